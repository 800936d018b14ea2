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

void H1HeadReader::Begin(const Bounds& bounds) {
  if (head_ == nullptr) {
    head_ = heads_->Take();
  } else {
    head_->Clear();
  }
  section_ = line_ = scanned_ = 0;
  eight_bit_ = false;
  fields_bound_ = static_cast<std::uint32_t>(std::min(bounds.fields + kLastLine, kBoundMax));
  fields_left_ = static_cast<std::uint16_t>(std::min<std::size_t>(bounds.field_count, UINT16_MAX));
  start_line_ = bounds.start_line != 0;
  bound_ = start_line_ ? static_cast<std::uint32_t>(std::min(bounds.start_line, kBoundMax)) : fields_bound_;
}

void H1HeadReader::OpenFields() noexcept {
  start_line_ = false;
  section_ = line_;
  bound_ = fields_bound_;
  eight_bit_ = false;
}

std::size_t H1HeadReader::Fill(std::string_view bytes) {
  const std::string_view piece = bytes.substr(0, kFillBytes);
  head_->AppendRaw(piece);
  head_->bytes_[head_->bytes_size_] = '\n';  // in the slack: stops FindControl
  return piece.size();
}

H1HeadReader::Cursor H1HeadReader::Open() const noexcept {
  return {head_->bytes_.get(), head_->bytes_size_, std::size_t{section_} + bound_, line_, scanned_,
          eight_bit_};
}

void H1HeadReader::Close(const Cursor& cursor) noexcept {
  head_->bytes_size_ = static_cast<std::uint32_t>(cursor.end);
  line_ = static_cast<std::uint32_t>(cursor.line);
  scanned_ = static_cast<std::uint32_t>(cursor.scanned);
  eight_bit_ = cursor.eight_bit;
}

}  // namespace penstock::http
