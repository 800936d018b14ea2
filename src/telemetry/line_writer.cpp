#include "telemetry/line_writer.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>

namespace penstock::telemetry {

namespace {

/// Characters that stand for themselves: printable ASCII but the quote and the backslash.
constexpr std::array<bool, 256> kPlain = [] {
  std::array<bool, 256> plain{};
  for (std::size_t c = 0x20; c < 0x7f; ++c) plain[c] = c != '"' && c != '\\';
  return plain;
}();

/// True when all eight bytes are plain: the usual case, eight at a time.
bool AllPlain(const char* bytes) noexcept {
  std::uint64_t word;
  std::memcpy(&word, bytes, sizeof word);
  constexpr std::uint64_t kOnes = 0x0101010101010101;
  constexpr std::uint64_t kHigh = 0x8080808080808080;
  const auto has_zero = [](std::uint64_t w) { return (w - kOnes) & ~w & kHigh; };
  const std::uint64_t below_space = (word - kOnes * 0x20) & ~word & kHigh;
  return ((word & kHigh) | below_space | has_zero(word ^ kOnes * '"') | has_zero(word ^ kOnes * '\\') |
          has_zero(word ^ kOnes * 0x7f)) == 0;
}

struct Decoded {
  char32_t code = 0;
  std::size_t size = 0;  ///< 0 = not UTF-8
};

/// One character of more than one byte; strict (Unicode 15, table 3-7).
Decoded DecodeUtf8(std::string_view text) noexcept {
  const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<std::uint8_t>(text[i]) : 0u; };
  const auto continues = [&](std::size_t i) { return (byte(i) & 0xc0) == 0x80; };
  const std::uint32_t lead = byte(0);
  if (lead >= 0xc2 && lead <= 0xdf && continues(1)) return {(lead & 0x1f) << 6 | (byte(1) & 0x3f), 2};
  if (lead >= 0xe0 && lead <= 0xef && continues(1) && continues(2)) {
    const char32_t code = (lead & 0x0f) << 12 | (byte(1) & 0x3f) << 6 | (byte(2) & 0x3f);
    const bool surrogate = code >= 0xd800 && code <= 0xdfff;
    if (code >= 0x800 && !surrogate) return {code, 3};
  }
  if (lead >= 0xf0 && lead <= 0xf4 && continues(1) && continues(2) && continues(3)) {
    const char32_t code = (lead & 0x07) << 18 | (byte(1) & 0x3f) << 12 | (byte(2) & 0x3f) << 6 | (byte(3) & 0x3f);
    if (code >= 0x10000 && code <= 0x10ffff) return {code, 4};
  }
  return {};
}

bool Harmful(char32_t code) noexcept {
  return (code >= 0x80 && code <= 0x9f) || (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
}

std::size_t HexEscape(char32_t code, char* out) noexcept {
  constexpr char kDigits[] = "0123456789abcdef";
  out[0] = '\\';
  out[1] = 'u';
  for (int i = 0; i < 4; ++i) out[2 + i] = kDigits[code >> (12 - 4 * i) & 0xf];
  return 6;
}

std::size_t EscapeAscii(char c, char* out) noexcept {
  char letter = 0;
  switch (c) {
    case '"': letter = '"'; break;
    case '\\': letter = '\\'; break;
    case '\n': letter = 'n'; break;
    case '\r': letter = 'r'; break;
    case '\t': letter = 't'; break;
    default: return HexEscape(static_cast<std::uint8_t>(c), out);
  }
  out[0] = '\\';
  out[1] = letter;
  return 2;
}

}  // namespace

char* EscapeText(std::string_view text, char* out, std::size_t room) noexcept {
  char* const end = out + room;
  while (!text.empty()) {
    while (text.size() >= 8 && end - out >= 8 && AllPlain(text.data())) {
      std::memcpy(out, text.data(), 8);
      text.remove_prefix(8);
      out += 8;
    }
    if (text.empty()) break;
    char piece[6];
    std::size_t taken = 1;
    std::size_t size = 1;
    const auto c = static_cast<std::uint8_t>(text[0]);
    if (kPlain[c]) {
      piece[0] = text[0];
    } else if (c < 0x80) {
      size = EscapeAscii(text[0], piece);
    } else {
      const Decoded decoded = DecodeUtf8(text);
      if (decoded.size == 0 || Harmful(decoded.code)) {
        size = HexEscape(decoded.size == 0 ? 0xfffd : decoded.code, piece);
        taken = std::max<std::size_t>(decoded.size, 1);
      } else {
        size = taken = decoded.size;
        std::memcpy(piece, text.data(), size);
      }
    }
    if (static_cast<std::size_t>(end - out) < size) break;
    std::memcpy(out, piece, size);
    out += size;
    text.remove_prefix(taken);
  }
  return out;
}

void LineWriter::Quoted(std::string_view text, std::size_t bytes_max) noexcept {
  if (room() < 2) return;
  *at_++ = '"';
  at_ = EscapeText(text, at_, std::min(bytes_max, room() - 1));
  *at_++ = '"';
}

void LineWriter::Unsigned(std::uint64_t value) noexcept {
  char digits[20];
  Raw({digits, static_cast<std::size_t>(std::to_chars(digits, digits + sizeof digits, value).ptr - digits)});
}

void LineWriter::Signed(std::int64_t value) noexcept {
  char digits[20];
  Raw({digits, static_cast<std::size_t>(std::to_chars(digits, digits + sizeof digits, value).ptr - digits)});
}

void LineWriter::Real(double value) noexcept {
  if (!std::isfinite(value)) return Raw("null");
  // What is shortest is not always what people read: five minutes are 300000 ms, not 3e+05.
  const double size = std::abs(value);
  const auto format =
      size == 0 || (size >= 1e-3 && size < 1e15) ? std::chars_format::fixed : std::chars_format::general;
  char digits[32];
  Raw({digits, static_cast<std::size_t>(std::to_chars(digits, digits + sizeof digits, value, format).ptr - digits)});
}

void LineWriter::Milliseconds(Duration value) noexcept {
  const auto us = static_cast<std::uint64_t>(std::max<std::int64_t>(value.count(), 0)) / 1000;
  char digits[24];
  char* at = std::to_chars(digits, digits + sizeof digits, us / 1000).ptr;
  const auto rest = static_cast<unsigned>(us % 1000);
  *at++ = '.';
  *at++ = static_cast<char>('0' + rest / 100);
  *at++ = static_cast<char>('0' + rest / 10 % 10);
  *at++ = static_cast<char>('0' + rest % 10);
  Raw({digits, static_cast<std::size_t>(at - digits)});
}

std::string_view TimestampText::Format(WallTime time) noexcept {
  const auto put = [this](std::size_t at, std::size_t digits, std::int64_t value) {
    for (std::size_t i = digits; i-- > 0; value /= 10) text_[at + i] = static_cast<char>('0' + value % 10);
  };
  // Years 1970 to 9999: what a clock gone mad says is clamped, so that the field keeps its width.
  constexpr std::int64_t kSecondMax = 253'402'300'799;
  const std::int64_t us = std::clamp<std::int64_t>(time.us, 0, kSecondMax * 1'000'000);
  const std::int64_t second = us / 1'000'000;
  if (second != second_) {
    using namespace std::chrono;
    second_ = second;
    const year_month_day date(sys_days(days(second / 86400)));
    const std::int64_t of_day = second % 86400;
    std::memcpy(text_.data(), "0000-00-00T00:00:00.000Z", kSize);
    put(0, 4, static_cast<int>(date.year()));
    put(5, 2, static_cast<unsigned>(date.month()));
    put(8, 2, static_cast<unsigned>(date.day()));
    put(11, 2, of_day / 3600);
    put(14, 2, of_day / 60 % 60);
    put(17, 2, of_day % 60);
  }
  put(20, 3, us / 1000 % 1000);
  return {text_.data(), kSize};
}

}  // namespace penstock::telemetry
