#pragma once

#include <string_view>
#include <utility>

#include "http/field_value.hpp"
#include "http/h1_scan.hpp"
#include "http/h1_verdict.hpp"
#include "http/header_table.hpp"
#include "penstock/http/h1_reading.hpp"

namespace penstock::http {

// The inner loop of the codecs, inlined into each: a field line costs some 200 instructions all told.

[[gnu::always_inline]] inline bool H1HeadReader::NextLine(Cursor& cursor, char*& line, std::size_t& size) noexcept {
  char* const at = scan::FindControl(cursor.scanned, cursor.eight_bit);
  if (at + 2 <= cursor.stop && at[0] == '\r' && at[1] == '\n') [[likely]] {
    line = cursor.line;
    size = static_cast<std::size_t>(at - line);
    cursor.line = cursor.scanned = at + 2;
    return true;
  }
  cursor.scanned = at;
  return false;
}

[[gnu::always_inline]] inline const H1Verdict* H1HeadReader::ParseField(Cursor& cursor, char* line, std::size_t size,
                                                                        Field& field) noexcept {
  const bool eight_bit = std::exchange(cursor.eight_bit, false);
  if (scan::IsBlank(*line)) return &verdict::kObsFold;
  bool plain = true;
  const std::size_t colon = scan::LowerName(line, size, plain);
  if (colon == 0 || colon == size) return &verdict::kFieldName;
  field.name = {line, colon};
  const char* begin = line + colon + 1;
  const char* end = line + size;
  while (begin != end && *begin >= 0 && *begin <= ' ') ++begin;  // of what is that small, blanks are left
  while (begin != end && end[-1] >= 0 && end[-1] <= ' ') --end;
  field.value = {begin, static_cast<std::size_t>(end - begin)};
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
                                     const H1Verdict& long_start_line, TakeStart take_start, TakeField take_field) {
  taken = 0;
  wrong = nullptr;
  while (taken < bytes.size()) {
    taken += Fill(bytes.substr(taken));
    Cursor cursor = Open();
    for (;;) {
      char* line = nullptr;
      std::size_t size = 0;
      const bool whole = NextLine(cursor, line, size);
      if (whole && size != 0 && cursor.fields_left != 0) [[likely]] {
        --cursor.fields_left;
        Field field;
        wrong = ParseField(cursor, line, size, field);
        if (wrong == nullptr) wrong = take_field(field);
      } else if (!whole) {
        wrong = WhyNoLine(cursor, long_start_line);
        if (wrong == nullptr) break;
      } else if (start_line_) {
        Close(cursor);
        wrong = take_start(line, size);
        OpenFields();
        cursor = Open();
      } else if (size == 0) {
        taken -= static_cast<std::size_t>(cursor.end - cursor.line);
        cursor.end = cursor.line;
        Close(cursor);
        return Got::kEnd;
      } else {
        wrong = &verdict::kHeaderCount;
      }
      if (wrong != nullptr) return Got::kRefused;
    }
    Close(cursor);
  }
  return Got::kMore;
}

}  // namespace penstock::http
