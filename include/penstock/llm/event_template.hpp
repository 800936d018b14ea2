#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace penstock::llm {

/// Owned by one Worker. Recognises an event that equals an earlier one of its stream but for the text in one string,
/// as nearly all token events do. Exchanging one valid string for another keeps JSON valid and means the same, so
/// such an event needs no parser: two comparisons and a look at the new text, a tenth of the time.
class EventTemplate {
 public:
  static constexpr std::size_t kBytesMax = 768;  ///< longer events are parsed each time

  /// `data` was parsed and is a plain content event; `text` is the inside of a string that made it one, raw.
  void Learn(std::string_view data, std::string_view text) noexcept;
  void Forget() noexcept { prefix_ = 0; }
  /// True: `data` is the learnt event with another non-empty text. Exact: false only means "parse it".
  bool Matches(std::string_view data) const noexcept;

 private:
  std::uint32_t prefix_ = 0;           ///< bytes up to and with the opening quote; 0: nothing learnt
  std::uint32_t suffix_ = 0;           ///< bytes from the closing quote on
  std::array<char, kBytesMax> bytes_;  // NOLINT: prefix, then suffix; the rest is never read
};

}  // namespace penstock::llm
