#pragma once

#include <string_view>
#include <utility>

#include "http/h1_scan.hpp"
#include "http/h1_verdict.hpp"
#include "http/header_table.hpp"
#include "penstock/http/h1_reading.hpp"

namespace penstock::http {

/// Well-formed UTF-8 (RFC 3629) without C1 control characters? Some peers strip or split at \x85 and \xa0.
bool IsCleanUtf8(std::string_view text) noexcept;

// The inner loop of the codecs, inlined into each: a field line costs some 200 instructions all told.

[[gnu::always_inline]] inline H1HeadReader::Line H1HeadReader::NextLine(Cursor& cursor,
                                                                        std::string_view& line) noexcept {
  const char* bytes = cursor.bytes;
  const auto at =
      static_cast<std::size_t>(scan::FindControl(bytes + cursor.scanned, cursor.eight_bit) - bytes);
  if (at + 1 < cursor.end && bytes[at] == '\r' && bytes[at + 1] == '\n' && at + 2 <= cursor.bound)
      [[likely]] {
    line = {bytes + cursor.line, at - cursor.line};
    cursor.line = cursor.scanned = at + 2;
    return Line::kWhole;
  }
  if (at >= cursor.end || (bytes[at] == '\r' && at + 1 == cursor.end)) {
    cursor.scanned = at >= cursor.end ? cursor.end : at;
    return cursor.end > cursor.bound ? Line::kTooLong : Line::kPartial;
  }
  const std::size_t seen = bytes[at] == '\r' ? at + 2 : at + 1;  // bytes needed to see what is wrong
  if (seen > cursor.bound) return Line::kTooLong;
  return bytes[at] == '\r' || bytes[at] == '\n' ? Line::kBadEnding : Line::kBadByte;
}

[[gnu::always_inline]] inline const H1Verdict* H1HeadReader::ParseField(Cursor& cursor, std::string_view line,
                                                                        Field& field) noexcept {
  const bool eight_bit = std::exchange(cursor.eight_bit, false);
  if (scan::IsBlank(line.front())) return &verdict::kObsFold;
  bool plain = true;
  const std::size_t colon = scan::LowerName(cursor.bytes + (line.data() - cursor.bytes), line.size(), plain);
  if (colon == 0 || colon == line.size()) return &verdict::kFieldName;
  field.name = line.substr(0, colon);
  field.value = scan::TrimBlanks(line.substr(colon + 1));
  field.unclean = false;
  if (!plain) [[unlikely]] {
    if (!scan::IsToken(field.name)) return &verdict::kFieldName;
    field.unclean = field.name.find('_') != std::string_view::npos;
  }
  if (eight_bit) [[unlikely]]
    field.unclean |= !IsCleanUtf8(field.value);
  field.id = header_table::LookupStored(field.name.data(), field.name.size());
  return nullptr;
}

template <class TakeStart, class TakeField>
H1HeadReader::Got H1HeadReader::Read(std::string_view bytes, std::size_t& taken, const H1Verdict*& wrong,
                                     const H1Verdict& long_start_line, TakeStart take_start,
                                     TakeField take_field) {
  taken = 0;
  wrong = nullptr;
  while (taken < bytes.size()) {
    taken += Fill(bytes.substr(taken));
    Cursor cursor = Open();
    for (;;) {
      std::string_view line;
      const Line got = NextLine(cursor, line);
      if (got == Line::kPartial) break;
      if (got != Line::kWhole) {
        wrong = got == Line::kBadByte     ? &verdict::kControlByte
                : got == Line::kBadEnding ? &verdict::kLineEnding
                : start_line_             ? &long_start_line
                                          : &verdict::kHeaderBytes;
      } else if (start_line_) {
        Close(cursor);
        wrong = take_start(cursor.bytes + (line.data() - cursor.bytes), line.size());
        OpenFields();
        cursor = Open();
      } else if (line.empty()) {
        taken -= cursor.end - cursor.line;
        cursor.end = cursor.line;
        Close(cursor);
        return Got::kEnd;
      } else if (fields_left_-- == 0) {
        wrong = &verdict::kHeaderCount;
      } else {
        Field field;
        wrong = ParseField(cursor, line, field);
        if (wrong == nullptr) wrong = take_field(field);
      }
      if (wrong != nullptr) return Got::kRefused;
    }
    Close(cursor);
  }
  return Got::kMore;
}

}  // namespace penstock::http
