#include <algorithm>
#include <utility>

#include "http/h1_scan.hpp"
#include "http/h1_verdict.hpp"
#include "penstock/http/h1_reading.hpp"

namespace penstock::http {
namespace {

/// A read's bytes are taken over in pieces of this size: a head seldom needs two, and what is copied for nothing when a
/// body follows in the same read costs less than looking for the head's end first.
constexpr std::size_t kFillBytes = 1024;

/// Well-formed UTF-8 (RFC 3629) without C1 control characters? Some peers strip or split at \x85 and \xa0.
bool IsCleanUtf8(std::string_view text) noexcept {
  const auto* p = reinterpret_cast<const unsigned char*>(text.data());
  const auto* end = p + text.size();
  while (p != end) {
    const unsigned lead = *p++;
    if (lead < 0x80) continue;
    if (lead < 0xc2 || lead > 0xf4) return false;
    const int more = lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
    if (end - p < more) return false;
    unsigned code = lead & (0x3fu >> more);
    for (int i = 0; i < more; ++i) {
      if ((p[i] & 0xc0) != 0x80) return false;
      code = code << 6 | (p[i] & 0x3fu);
    }
    p += more;
    constexpr unsigned kLeast[] = {0, 0xa0, 0x800, 0x10000};  // below 0xa0: the C1 controls
    if (code < kLeast[more] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return false;
  }
  return true;
}

}  // namespace

void H1HeadReader::Begin(std::size_t bound) {
  if (head_ == nullptr) {
    head_ = heads_->Take();
  } else {
    head_->Clear();
  }
  line_ = scanned_ = 0;
  eight_bit_ = false;
  BeginSection(bound);
}

void H1HeadReader::BeginSection(std::size_t bound) noexcept {
  section_ = line_;
  bound_ = static_cast<std::uint32_t>(std::min<std::size_t>(bound, UINT32_MAX / 4));
}

std::size_t H1HeadReader::Fill(std::string_view bytes) {
  const std::string_view piece = bytes.substr(0, kFillBytes);
  head_->AppendRaw(piece);
  head_->bytes_[head_->bytes_size_] = '\n';  // in the slack: stops FindControl
  return piece.size();
}

H1HeadReader::Line H1HeadReader::NextLine(std::string_view& line) noexcept {
  const char* bytes = head_->bytes_.get();
  const std::size_t end = head_->bytes_size_;
  const std::size_t bound = std::size_t{section_} + bound_;
  const auto at = static_cast<std::size_t>(scan::FindControl(bytes + scanned_, eight_bit_) - bytes);
  if (at >= end) {
    scanned_ = static_cast<std::uint32_t>(end);
    return end > bound ? Line::kTooLong : Line::kPartial;
  }
  if (bytes[at] != '\r') {
    if (at >= bound) return Line::kTooLong;
    return bytes[at] == '\n' ? Line::kBadEnding : Line::kBadByte;
  }
  if (at + 1 == end) {
    scanned_ = static_cast<std::uint32_t>(at);
    return end > bound ? Line::kTooLong : Line::kPartial;
  }
  if (at + 2 > bound) return Line::kTooLong;
  if (bytes[at + 1] != '\n') return Line::kBadEnding;
  line = {bytes + line_, at - line_};
  line_ = scanned_ = static_cast<std::uint32_t>(at + 2);
  return Line::kWhole;
}

std::size_t H1HeadReader::Unread() noexcept {
  const std::size_t rest = head_->bytes_size_ - line_;
  head_->bytes_size_ = line_;
  scanned_ = line_;
  eight_bit_ = false;
  return rest;
}

const H1Verdict* H1HeadReader::ParseField(std::string_view line, Field& field) noexcept {
  const bool eight_bit = std::exchange(eight_bit_, false);
  if (scan::IsBlank(line.front())) return &verdict::kObsFold;
  bool plain = true;
  const std::size_t colon = scan::LowerName(Writable(line), line.size(), plain);
  if (colon == 0 || colon == line.size()) return &verdict::kFieldName;
  field.name = line.substr(0, colon);
  field.value = scan::TrimBlanks(line.substr(colon + 1));
  field.unclean = false;
  if (!plain) [[unlikely]] {
    if (!scan::IsToken(field.name)) return &verdict::kFieldName;
    field.unclean = field.name.find('_') != std::string_view::npos;
  }
  if (eight_bit) [[unlikely]] field.unclean |= !IsCleanUtf8(field.value);
  field.id = LookupHeader(field.name);
  return nullptr;
}

}  // namespace penstock::http
