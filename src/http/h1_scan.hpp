#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace penstock::http::scan {

// Character classes of RFC 9110 5.6.2 and scans over a Head's store. The scans go by blocks of 16 bytes and
// may read (and write back unchanged) up to 31 bytes behind the text: only for text inside a Head's store,
// which has that slack.

/// The lower-case form of each tchar; 0 for every other byte.
inline constexpr auto kTokenLower = [] {
  std::array<char, 256> table{};
  for (unsigned c = '0'; c <= '9'; ++c) table[c] = static_cast<char>(c);
  for (unsigned c = 'a'; c <= 'z'; ++c) table[c] = table[c - 'a' + 'A'] = static_cast<char>(c);
  for (const char c : std::string_view("!#$%&'*+-.^_`|~")) table[static_cast<unsigned char>(c)] = c;
  return table;
}();

inline bool IsToken(char c) noexcept { return kTokenLower[static_cast<unsigned char>(c)] != 0; }
inline bool IsDigit(char c) noexcept { return c >= '0' && c <= '9'; }
inline bool IsBlank(char c) noexcept { return c == ' ' || c == '\t'; }

inline bool IsToken(std::string_view text) noexcept {
  for (const char c : text) {
    if (!IsToken(c)) return false;
  }
  return !text.empty();
}

/// `lower` is in lower case already.
inline bool EqualsIgnoreCase(std::string_view text, std::string_view lower) noexcept {
  if (text.size() != lower.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if ((c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c) != lower[i]) return false;
  }
  return true;
}

inline std::string_view TrimBlanks(std::string_view text) noexcept {
  const char* begin = text.data();
  const char* end = begin + text.size();
  while (begin != end && IsBlank(*begin)) ++begin;
  while (begin != end && IsBlank(end[-1])) --end;
  return {begin, static_cast<std::size_t>(end - begin)};
}

#if defined(__SSE2__)

inline __m128i Load(const char* p) noexcept { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)); }
inline unsigned Mask(__m128i v) noexcept { return static_cast<unsigned>(_mm_movemask_epi8(v)); }
inline __m128i InRange(__m128i v, char low, char high) noexcept {  // signed: for ASCII bounds only
  return _mm_and_si128(_mm_cmpgt_epi8(v, _mm_set1_epi8(static_cast<char>(low - 1))),
                       _mm_cmplt_epi8(v, _mm_set1_epi8(static_cast<char>(high + 1))));
}
inline unsigned ControlMask(__m128i v) noexcept {
  const __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(0x1f)), v);
  const __m128i low_not_tab = _mm_andnot_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('\t')), low);
  return Mask(_mm_or_si128(low_not_tab, _mm_cmpeq_epi8(v, _mm_set1_epi8(0x7f))));
}

/// The first control character other than HTAB; the caller put one behind the text. `eight_bit` is set when a
/// byte above 0x7f may have been passed (a hint: it may lie a little behind).
inline char* FindControl(char* p, bool& eight_bit) noexcept {
  for (;; p += 16) {
    const __m128i v = Load(p);
    const __m128i odd = _mm_or_si128(_mm_cmpgt_epi8(_mm_set1_epi8(0x20), v), _mm_cmpeq_epi8(v, _mm_set1_epi8(0x7f)));
    if (Mask(odd) == 0) continue;  // signed: HTAB and what is above 0x7f are among the odd
    eight_bit |= Mask(v) != 0;
    if (const unsigned mask = ControlMask(v); mask != 0) return p + __builtin_ctz(mask);
  }
}

/// Only visible ASCII, no '#'? DEL and the controls were excluded by FindControl.
inline bool IsTargetText(const char* p, std::size_t size) noexcept {
  for (std::size_t i = 0; i < size; i += 16) {
    const __m128i v = Load(p + i);
    const __m128i good =
        _mm_andnot_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('#')), _mm_cmpgt_epi8(v, _mm_set1_epi8(0x20)));
    const unsigned wanted = size - i >= 16 ? 0xffffu : (1u << (size - i)) - 1u;
    if ((Mask(good) & wanted) != wanted) return false;
  }
  return true;
}

/// Finds the ':' among the first `size` bytes and turns what precedes it into lower case. Returns its offset,
/// or `size` when there is none. `plain` is false when the name has other characters than letters, digits and
/// '-'.
inline std::size_t LowerName(char* p, std::size_t size, bool& plain) noexcept {
  static constexpr auto kFirst = [] {  // at kFirst + 16 - n: the bit of lower case in each of the first n bytes
    std::array<char, 32> bytes{};
    for (std::size_t i = 0; i < 16; ++i) bytes[i] = 0x20;
    return bytes;
  }();
  plain = true;
  for (std::size_t i = 0; i < size; i += 16) {
    const __m128i v = Load(p + i);
    const unsigned colon = Mask(_mm_cmpeq_epi8(v, _mm_set1_epi8(':'))) | 0x10000u;
    const auto n = static_cast<unsigned>(__builtin_ctz(colon));
    const __m128i letters = InRange(_mm_or_si128(v, _mm_set1_epi8(0x20)), 'a', 'z');
    const __m128i others = _mm_or_si128(InRange(v, '0', '9'), _mm_cmpeq_epi8(v, _mm_set1_epi8('-')));
    const __m128i raise = _mm_and_si128(letters, Load(kFirst.data() + 16 - n));
    plain &= (~Mask(_mm_or_si128(letters, others)) & ((1u << n) - 1u)) == 0;
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p + i), _mm_or_si128(v, raise));
    if (n != 16) return i + n < size ? i + n : size;
  }
  return size;
}

/// Copies text out of a Head's store and tells whether it is free of controls other than HTAB. Writes up to
/// 15 bytes behind the copy as well.
inline bool CopyText(char* to, const char* from, std::size_t size) noexcept {
  unsigned controls = 0;
  for (std::size_t i = 0; i < size; i += 16) {
    const __m128i v = Load(from + i);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + i), v);
    const unsigned within = size - i >= 16 ? 0xffffu : (1u << (size - i)) - 1u;
    controls |= ControlMask(v) & within;
  }
  return controls == 0;
}

/// Only lower-case letters, digits and '-'? A name inside a Head's store.
inline bool IsPlainName(const char* p, std::size_t size) noexcept {
  unsigned others = 0;
  for (std::size_t i = 0; i < size; i += 16) {
    const __m128i v = Load(p + i);
    const __m128i good =
        _mm_or_si128(_mm_or_si128(InRange(v, 'a', 'z'), InRange(v, '0', '9')), _mm_cmpeq_epi8(v, _mm_set1_epi8('-')));
    const unsigned within = size - i >= 16 ? 0xffffu : (1u << (size - i)) - 1u;
    others |= ~Mask(good) & within;
  }
  return others == 0 && size != 0;
}

#else

inline bool IsControl(char c) noexcept { return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f; }

inline char* FindControl(char* p, bool& eight_bit) noexcept {
  for (;; ++p) {
    if (IsControl(*p)) return p;
    eight_bit |= (*p & 0x80) != 0;
  }
}

inline bool IsTargetText(const char* p, std::size_t size) noexcept {
  for (std::size_t i = 0; i < size; ++i) {
    const auto c = static_cast<unsigned char>(p[i]);
    if (c <= 0x20 || c >= 0x7f || c == '#') return false;
  }
  return true;
}

inline bool CopyText(char* to, const char* from, std::size_t size) noexcept {
  bool controls = false;
  for (std::size_t i = 0; i < size; ++i) {
    controls |= IsControl(from[i]);
    to[i] = from[i];
  }
  return !controls;
}

inline bool IsPlainName(const char* p, std::size_t size) noexcept {
  for (std::size_t i = 0; i < size; ++i) {
    if (!(p[i] >= 'a' && p[i] <= 'z') && !IsDigit(p[i]) && p[i] != '-') return false;
  }
  return size != 0;
}

inline std::size_t LowerName(char* p, std::size_t size, bool& plain) noexcept {
  plain = true;
  for (std::size_t i = 0; i < size; ++i) {
    if (p[i] == ':') return i;
    if (p[i] >= 'A' && p[i] <= 'Z') p[i] = static_cast<char>(p[i] | 0x20);
    plain &= (p[i] >= 'a' && p[i] <= 'z') || IsDigit(p[i]) || p[i] == '-';
  }
  return size;
}

#endif

}  // namespace penstock::http::scan
