#include "penstock/llm/sse_decoder.hpp"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace penstock::llm {
namespace {

constexpr std::size_t kRetainedMax = 64 * 1024;
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

/// The first CR or LF in [p, end), or end. One pass for both: searching them apart would cost quadratic time
/// on a stream that uses only one of them.
const char* FindLineEnd(const char* p, const char* end) noexcept {
#if defined(__SSE2__)
  const __m128i lf = _mm_set1_epi8('\n');
  const __m128i cr = _mm_set1_epi8('\r');
  for (; end - p >= 16; p += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    const int hits = _mm_movemask_epi8(_mm_or_si128(_mm_cmpeq_epi8(bytes, lf), _mm_cmpeq_epi8(bytes, cr)));
    if (hits != 0) return p + __builtin_ctz(static_cast<unsigned>(hits));
  }
#endif
  while (p != end && *p != '\n' && *p != '\r') ++p;
  return p;
}

}  // namespace

/// Behind the blank line that ends the event, or null with `scan` brought up to the end of the bytes.
const char* SseDecoder::FindEnd(const char* p, const char* end, Scan& scan) noexcept {
  while (p != end) {
    if (scan.skip_lf) {
      scan.skip_lf = false;
      if (*p == '\n') {
        ++p;
        continue;
      }
    }
    const char* const line_end = FindLineEnd(p, end);
    if (line_end != p) scan.line_empty = false;
    if (line_end == end) return nullptr;
    p = line_end + 1;
    if (scan.line_empty) {
      if (*line_end == '\r' && p != end && *p == '\n') ++p;
      return p;
    }
    scan.line_empty = true;
    scan.skip_lf = *line_end == '\r';
  }
  return nullptr;
}

SseDecoder::Step SseDecoder::Next(SseEvent& event) {
  if (buffer_taken_) {
    buffer_taken_ = false;
    buffer_.clear();
  }
  if (!buffer_.empty()) return NextBuffered(event);
  if (piece_.empty()) return Step::kNeedMore;
  const char* const begin = piece_.data();
  const char* const end = begin + piece_.size();

  // What nearly every event of every server is: one data line and LF LF.
  if (piece_.starts_with("data:") && !after_cr_) {
    const char* const line_end = FindLineEnd(begin, end);
    if (end - line_end >= 2 && line_end[0] == '\n' && line_end[1] == '\n') {
      const auto size = static_cast<std::size_t>(line_end + 2 - begin);
      if (size > event_bytes_max_) return Step::kTooLong;
      const char* const data = begin + (begin[5] == ' ' ? 6 : 5);
      event = {{begin, size}, {data, static_cast<std::size_t>(line_end - data)}, {}, true, false};
      first_ = false;
      piece_.remove_prefix(size);
      consumed_ += size;
      return Step::kEvent;
    }
  }

  scan_ = {true, after_cr_};
  const char* const event_end = FindEnd(begin, end, scan_);
  if (event_end == nullptr) return Keep(piece_);
  const auto size = static_cast<std::size_t>(event_end - begin);
  if (size > event_bytes_max_) return Step::kTooLong;
  piece_.remove_prefix(size);
  Parse({begin, size}, event);
  return Step::kEvent;
}

SseDecoder::Step SseDecoder::Keep(std::string_view bytes) {
  if (buffer_.size() + bytes.size() > event_bytes_max_) return Step::kTooLong;
  buffer_.append(bytes);
  piece_ = {};
  return Step::kNeedMore;
}

SseDecoder::Step SseDecoder::NextBuffered(SseEvent& event) {
  if (piece_.empty()) return Step::kNeedMore;
  const Scan before = scan_;
  const char* const event_end = FindEnd(piece_.data(), piece_.data() + piece_.size(), scan_);
  const std::size_t size = event_end == nullptr ? piece_.size() : static_cast<std::size_t>(event_end - piece_.data());
  if (buffer_.size() + size > event_bytes_max_) {
    scan_ = before;
    return Step::kTooLong;
  }
  if (event_end == nullptr) return Keep(piece_);
  buffer_.append(piece_.substr(0, size));
  piece_.remove_prefix(size);
  buffer_taken_ = true;
  Parse(buffer_, event);
  return Step::kEvent;
}

bool SseDecoder::Finish(SseEvent& event) {
  if (!mid_event()) return false;
  buffer_taken_ = true;
  Parse(buffer_, event);
  return event.has_data;
}

void SseDecoder::Parse(std::string_view raw, SseEvent& event) {
  event = {raw, {}, {}, false, false};
  consumed_ += raw.size();
  std::string_view rest = raw;
  if (first_ && rest.starts_with(kByteOrderMark)) rest.remove_prefix(kByteOrderMark.size());
  first_ = false;
  after_cr_ = raw.back() == '\r';
  while (!rest.empty()) {
    const char* const begin = rest.data();
    const char* const line_end = FindLineEnd(begin, begin + rest.size());
    const auto size = static_cast<std::size_t>(line_end - begin);
    TakeLine(rest.substr(0, size), event);
    rest.remove_prefix(size);
    // An LF behind CR reads as an empty line, which says nothing here: where the event ends is known.
    if (!rest.empty()) rest.remove_prefix(1);
  }
}

void SseDecoder::TakeLine(std::string_view line, SseEvent& event) {
  if (line.empty() || line.front() == ':') return;
  const std::size_t colon = line.find(':');
  const std::string_view field = line.substr(0, colon);
  std::string_view value = colon == std::string_view::npos ? std::string_view{} : line.substr(colon + 1);
  if (value.starts_with(' ')) value.remove_prefix(1);
  if (field == "data") {
    if (event.has_data) {
      if (event.data.data() != joined_.data()) joined_.assign(event.data);
      joined_ += '\n';
      joined_ += value;
      event.data = joined_;
    } else {
      event.data = value;
    }
    event.has_data = true;
  } else if (field == "event") {
    event.name = value;
  } else if (field != "id" && field != "retry") {
    event.has_junk = true;
  }
}

void SseDecoder::Reset() {
  const auto reset = [](std::string& text) {
    text.clear();
    if (text.capacity() > kRetainedMax) std::string().swap(text);
  };
  reset(buffer_);
  reset(joined_);
  consumed_ = 0;
  piece_ = {};
  scan_ = {};
  buffer_taken_ = false;
  after_cr_ = false;
  first_ = true;
}

}  // namespace penstock::llm
