#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "penstock/base/time.hpp"
#include "penstock/telemetry/log_channel.hpp"

namespace penstock::telemetry {

/// Writes `text` so that it can stand between the quotes of a JSON string and do no harm in a terminal or to
/// a reader of lines: quotes, backslashes, control characters (C1 too: U+009B starts an ANSI sequence),
/// U+2028/2029 and the marks that reverse text are escaped; a byte that is not UTF-8 becomes \ufffd. What
/// does not fit into `room` is cut, never inside a character or an escape. Returns the end.
char* EscapeText(std::string_view text, char* out, std::size_t room) noexcept;

/// Owned by one thread. Builds one line in a fixed buffer. What does not fit is left out whole: a line is
/// always valid.
class LineWriter {
 public:
  LineWriter(char* buffer, std::size_t size) noexcept : begin_(buffer), at_(buffer), end_(buffer + size) {}

  void Raw(std::string_view text) noexcept {
    if (text.size() > room()) return;
    std::memcpy(at_, text.data(), text.size());
    at_ += text.size();
  }
  void Quoted(std::string_view text, std::size_t bytes_max = kLogFieldMax) noexcept;
  void Escaped(std::string_view text) noexcept {
    at_ = EscapeText(text, at_, room() < kLogFieldMax ? room() : kLogFieldMax);
  }
  void Unsigned(std::uint64_t value) noexcept;
  void Signed(std::int64_t value) noexcept;
  void Real(double value) noexcept;            ///< "null" for what JSON has no number for
  void Milliseconds(Duration value) noexcept;  ///< three decimals

  std::size_t room() const noexcept { return static_cast<std::size_t>(end_ - at_); }
  std::string_view text() const noexcept { return {begin_, static_cast<std::size_t>(at_ - begin_)}; }

 private:
  char* begin_;
  char* at_;
  char* end_;
};

/// Owned by one thread. 2026-09-14T12:34:56.789Z; the part to the second is kept, because lines come many a
/// second.
class TimestampText {
 public:
  static constexpr std::size_t kSize = 24;
  std::string_view Format(WallTime time) noexcept;

 private:
  std::int64_t second_ = INT64_MIN;
  std::array<char, kSize> text_{};
};

}  // namespace penstock::telemetry
