#include "http/h1_head_reader.hpp"

#include <algorithm>

namespace penstock::http {
namespace {

/// A read's bytes are taken over in pieces of this size: a head seldom needs two, and what is copied for
/// nothing when a body follows in the same read costs less than looking for the head's end first.
constexpr std::size_t kFillBytes = 1024;
constexpr std::size_t kLastLine = 2;  // the empty line is not a field's
constexpr std::size_t kBoundMax = UINT32_MAX / 4;

}  // namespace

void H1HeadReader::Begin(const Bounds& bounds) {
  if (head_ == nullptr) {
    head_ = heads_->Take();
  } else {
    head_->Clear();
  }
  line_ = scanned_ = 0;
  fields_bound_ = static_cast<std::uint32_t>(std::min(bounds.fields + kLastLine, kBoundMax));
  field_count_ = static_cast<std::uint16_t>(std::min<std::size_t>(bounds.field_count, UINT16_MAX));
  if (bounds.start_line == 0) return OpenFields();
  start_line_ = true;
  fields_left_ = 0;
  eight_bit_ = false;
  bound_ = static_cast<std::uint32_t>(std::min(bounds.start_line, kBoundMax));
}

void H1HeadReader::OpenFields() noexcept {
  start_line_ = false;
  fields_left_ = field_count_;
  eight_bit_ = false;
  bound_ = line_ + fields_bound_;
}

std::size_t H1HeadReader::Fill(std::string_view bytes) {
  const std::string_view piece = bytes.substr(0, kFillBytes);
  head_->AppendRaw(piece);
  head_->bytes_[head_->bytes_size_] = '\n';  // in the slack: stops FindControl
  return piece.size();
}

H1HeadReader::Cursor H1HeadReader::Open() noexcept {
  char* const bytes = head_->bytes_.get();
  const std::size_t end = head_->bytes_size_;
  return {bytes + line_, bytes + scanned_, bytes + end, bytes + std::min<std::size_t>(end, bound_),
          fields_left_,  eight_bit_};
}

void H1HeadReader::Close(const Cursor& cursor) noexcept {
  const char* const bytes = head_->bytes_.get();
  head_->bytes_size_ = static_cast<std::uint32_t>(cursor.end - bytes);
  line_ = static_cast<std::uint32_t>(cursor.line - bytes);
  scanned_ = static_cast<std::uint32_t>(cursor.scanned - bytes);
  fields_left_ = static_cast<std::uint16_t>(cursor.fields_left);
  eight_bit_ = cursor.eight_bit;
}

const H1Verdict* H1HeadReader::WhyNoLine(const Cursor& cursor, const H1Verdict& long_start_line) const noexcept {
  const H1Verdict* const too_long = start_line_ ? &long_start_line : &verdict::kHeaderBytes;
  const char* const bytes = head_->bytes_.get();
  const auto end = static_cast<std::size_t>(cursor.end - bytes);
  const auto at = static_cast<std::size_t>(cursor.scanned - bytes);
  const bool cr = bytes[at] == '\r';
  // At the end the sentinel stopped the scan, or a CR whose LF may still come.
  if (at >= end || (cr && at + 1 == end)) return end > bound_ ? too_long : nullptr;
  if (at + (cr ? 2 : 1) > bound_) return too_long;  // what is wrong shows only behind the bound
  return cr || bytes[at] == '\n' ? &verdict::kLineEnding : &verdict::kControlByte;
}

}  // namespace penstock::http
