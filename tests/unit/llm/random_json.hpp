#pragma once

#include <string>

#include "penstock/base/prng.hpp"

namespace penstock::llm::test {

/// Random JSON texts of up to a few hundred bytes, with every kind of token, white space in odd places, escapes, and
/// now and then a repeated key; and random damage to them.
inline std::string RandomSpace(Prng& prng) {
  static constexpr const char* kSpaces[] = {"", "", "", "", " ", "\n", "\t", "\r\n", "  "};
  return kSpaces[prng.Below(9)];
}

inline std::string RandomString(Prng& prng) {
  static constexpr const char* kPieces[] = {"a",
                                            "Z",
                                            "0",
                                            " ",
                                            "model",
                                            "\\n",
                                            "\\\"",
                                            "\\\\",
                                            "\\/",
                                            "\\u0041",
                                            "\\u00e9",
                                            "\xC3\xA9",
                                            "\xE2\x82\xAC",
                                            "\xF0\x9F\x98\x80",
                                            "\\ud83d\\ude00",
                                            "{",
                                            "]",
                                            ":"};
  std::string text = "\"";
  for (std::uint64_t n = prng.Below(7); n != 0; --n) text += kPieces[prng.Below(18)];
  if (prng.Below(40) == 0) text += std::string(prng.Below(200), 'x');
  return text + "\"";
}

inline std::string RandomNumber(Prng& prng) {
  static constexpr const char* kNumbers[] = {"0",
                                             "-0",
                                             "1",
                                             "42",
                                             "-7",
                                             "1.5",
                                             "-0.25",
                                             "1e3",
                                             "2E-5",
                                             "1e308",
                                             "18446744073709551615",
                                             "-9223372036854775808",
                                             "0.000",
                                             "123456789012",
                                             "1e-400",
                                             "9e307"};
  return kNumbers[prng.Below(16)];
}

inline std::string RandomValue(Prng& prng, int depth) {
  switch (depth == 0 ? 2 + prng.Below(5) : prng.Below(7)) {
    case 0: {
      std::string text = "{" + RandomSpace(prng);
      const std::uint64_t n = prng.Below(20) == 0 ? 20 : prng.Below(5);
      for (std::uint64_t i = 0; i < n; ++i) {
        if (i != 0) text += RandomSpace(prng) + "," + RandomSpace(prng);
        const std::string key =
            prng.Below(3) == 0 ? RandomString(prng) : "\"k" + std::to_string(prng.Below(n == 20 ? 200 : 12)) + "\"";
        text += key + RandomSpace(prng) + ":" + RandomSpace(prng) + RandomValue(prng, depth - 1);
      }
      return text + RandomSpace(prng) + "}";
    }
    case 1: {
      std::string text = "[" + RandomSpace(prng);
      const std::uint64_t n = prng.Below(5);
      for (std::uint64_t i = 0; i < n; ++i) {
        if (i != 0) text += RandomSpace(prng) + "," + RandomSpace(prng);
        text += RandomValue(prng, depth - 1);
      }
      return text + RandomSpace(prng) + "]";
    }
    case 2: return RandomString(prng);
    case 3: return RandomNumber(prng);
    case 4: return "true";
    case 5: return "false";
    default: return "null";
  }
}

inline std::string RandomJson(Prng& prng) {
  return RandomSpace(prng) + RandomValue(prng, 1 + static_cast<int>(prng.Below(5))) + RandomSpace(prng);
}

/// One to three random edits; few keep the text valid.
inline void MutateJson(Prng& prng, std::string& text) {
  static constexpr char kBytes[] = "{}[]:,\"\\0123456789eE+-.tfnu \n\x01\x0C\x1A\x80\xC3\xE2\xF0\xFF";
  for (std::uint64_t n = 1 + prng.Below(3); n != 0; --n) {
    const std::size_t at = prng.Below(text.size() + 1);
    const char byte = kBytes[prng.Below(sizeof kBytes)];
    switch (prng.Below(4)) {
      case 0: text.insert(at, 1, byte); break;
      case 1:
        if (at < text.size()) text[at] = byte;
        break;
      case 2:
        if (at < text.size()) text.erase(at, 1 + prng.Below(3));
        break;
      default: text.insert(at, text.substr(prng.Below(text.size() + 1), prng.Below(6))); break;
    }
  }
}

}  // namespace penstock::llm::test
