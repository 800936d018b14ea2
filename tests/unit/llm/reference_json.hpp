#pragma once

#include <charconv>
#include <cmath>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace penstock::llm::test {

/// A JSON value as the plainest parser reads it: recursive, allocating, slow and easy to check against RFC 8259.
/// Tests compare the production walker with it.
struct Value {
  char kind = 'n';        ///< n t f 0 " [ {
  std::string text = {};  ///< a number's token, a string decoded
  std::vector<Value> items = {};
  std::vector<std::pair<std::string, Value>> members = {};

  bool operator==(const Value&) const = default;
  const Value* Find(std::string_view key) const {
    for (const auto& [name, value] : members) {
      if (name == key) return &value;
    }
    return nullptr;
  }
};

class ReferenceParser {
 public:
  struct Verdict {
    bool json = false;           ///< RFC 8259, UTF-8, no lone surrogate, numbers in range, depth within the limit
    bool duplicate_key = false;  ///< meaningful when json
    Value value;
  };

  static Verdict Parse(std::string_view text, int depth_max = 128) {
    ReferenceParser parser(text, depth_max);
    Verdict verdict;
    parser.Space();
    verdict.json = parser.ParseValue(verdict.value, 0);
    parser.Space();
    verdict.json = verdict.json && parser.at_ == text.size();
    verdict.duplicate_key = parser.duplicate_;
    return verdict;
  }

 private:
  ReferenceParser(std::string_view text, int depth_max) : text_(text), depth_max_(depth_max) {}

  int Peek() const { return at_ < text_.size() ? static_cast<unsigned char>(text_[at_]) : -1; }
  bool Eat(char c) {
    if (Peek() != c) return false;
    ++at_;
    return true;
  }
  void Space() {
    while (Peek() == ' ' || Peek() == '\t' || Peek() == '\n' || Peek() == '\r') ++at_;
  }
  bool Word(std::string_view word) {
    if (text_.substr(at_, word.size()) != word) return false;
    at_ += word.size();
    return true;
  }

  bool ParseValue(Value& value, int depth) {
    const int c = Peek();
    if (c == '{' || c == '[') {
      if (depth == depth_max_) return false;
      value.kind = static_cast<char>(c);
      return c == '{' ? Object(value, depth + 1) : Array(value, depth + 1);
    }
    if (c == '"') {
      value.kind = '"';
      return String(value.text);
    }
    if (c == 't' || c == 'f' || c == 'n') {
      value.kind = static_cast<char>(c);
      return Word(c == 't' ? "true" : c == 'f' ? "false" : "null");
    }
    value.kind = '0';
    return Number(value.text);
  }

  bool Object(Value& value, int depth) {
    ++at_;
    Space();
    if (Eat('}')) return true;
    std::set<std::string> keys;
    for (;;) {
      std::string key;
      if (Peek() != '"' || !String(key)) return false;
      if (!keys.insert(key).second) duplicate_ = true;
      Space();
      if (!Eat(':')) return false;
      Space();
      value.members.emplace_back(std::move(key), Value{});
      if (!ParseValue(value.members.back().second, depth)) return false;
      Space();
      if (Eat('}')) return true;
      if (!Eat(',')) return false;
      Space();
    }
  }

  bool Array(Value& value, int depth) {
    ++at_;
    Space();
    if (Eat(']')) return true;
    for (;;) {
      value.items.emplace_back();
      if (!ParseValue(value.items.back(), depth)) return false;
      Space();
      if (Eat(']')) return true;
      if (!Eat(',')) return false;
      Space();
    }
  }

  bool Number(std::string& token) {
    const std::size_t begin = at_;
    const auto digits = [this] {
      const std::size_t from = at_;
      while (Peek() >= '0' && Peek() <= '9') ++at_;
      return at_ - from;
    };
    Eat('-');
    const std::size_t whole = at_;
    const std::size_t n = digits();
    if (n == 0 || (n > 1 && text_[whole] == '0')) return false;
    bool integer = true;
    if (Eat('.')) {
      integer = false;
      if (digits() == 0) return false;
    }
    if (Peek() == 'e' || Peek() == 'E') {
      integer = false;
      ++at_;
      if (!Eat('+')) Eat('-');
      if (digits() == 0) return false;
    }
    token = std::string(text_.substr(begin, at_ - begin));
    if (!integer) return std::isfinite(std::strtod(token.c_str(), nullptr));
    std::uint64_t u = 0;
    std::int64_t i = 0;
    const char* const end = token.data() + token.size();
    return token.front() == '-' ? std::from_chars(token.data(), end, i).ec == std::errc{}
                                : std::from_chars(token.data(), end, u).ec == std::errc{};
  }

  static void Encode(std::string& out, std::uint32_t c) {
    if (c < 0x80) {
      out += static_cast<char>(c);
    } else if (c < 0x800) {
      out += static_cast<char>(0xC0 | (c >> 6));
      out += static_cast<char>(0x80 | (c & 63));
    } else if (c < 0x10000) {
      out += static_cast<char>(0xE0 | (c >> 12));
      out += static_cast<char>(0x80 | ((c >> 6) & 63));
      out += static_cast<char>(0x80 | (c & 63));
    } else {
      out += static_cast<char>(0xF0 | (c >> 18));
      out += static_cast<char>(0x80 | ((c >> 12) & 63));
      out += static_cast<char>(0x80 | ((c >> 6) & 63));
      out += static_cast<char>(0x80 | (c & 63));
    }
  }

  std::optional<std::uint32_t> Hex4() {
    std::uint32_t unit = 0;
    for (int i = 0; i < 4; ++i, ++at_) {
      const int c = Peek();
      if (c >= '0' && c <= '9')
        unit = unit * 16 + static_cast<std::uint32_t>(c - '0');
      else if ((c | 32) >= 'a' && (c | 32) <= 'f')
        unit = unit * 16 + static_cast<std::uint32_t>((c | 32) - 'a' + 10);
      else
        return std::nullopt;
    }
    return unit;
  }

  bool Escape(std::string& out) {
    const int c = Peek();
    ++at_;
    switch (c) {
      case '"':
      case '\\':
      case '/': out += static_cast<char>(c); return true;
      case 'b': out += '\b'; return true;
      case 'f': out += '\f'; return true;
      case 'n': out += '\n'; return true;
      case 'r': out += '\r'; return true;
      case 't': out += '\t'; return true;
      case 'u': break;
      default: return false;
    }
    auto unit = Hex4();
    if (!unit || (*unit >= 0xDC00 && *unit <= 0xDFFF)) return false;
    if (*unit >= 0xD800 && *unit <= 0xDBFF) {
      if (!Word("\\u")) return false;
      const auto low = Hex4();
      if (!low || *low < 0xDC00 || *low > 0xDFFF) return false;
      unit = 0x10000 + ((*unit - 0xD800) << 10) + (*low - 0xDC00);
    }
    Encode(out, *unit);
    return true;
  }

  /// One well-formed UTF-8 sequence: decode, then insist on the shortest form by encoding again.
  bool Utf8(std::string& out) {
    const int lead = Peek();
    const int n = lead < 0x80 ? 1 : lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 0;
    if (n == 0 || at_ + static_cast<std::size_t>(n) > text_.size()) return false;
    std::uint32_t c = n == 1 ? static_cast<std::uint32_t>(lead) : static_cast<std::uint32_t>(lead & (0x7F >> n));
    for (int i = 1; i < n; ++i) {
      const auto byte = static_cast<unsigned char>(text_[at_ + static_cast<std::size_t>(i)]);
      if ((byte & 0xC0) != 0x80) return false;
      c = (c << 6) | (byte & 63);
    }
    if (c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF)) return false;
    std::string again;
    Encode(again, c);
    if (again != text_.substr(at_, static_cast<std::size_t>(n))) return false;
    out += again;
    at_ += static_cast<std::size_t>(n);
    return true;
  }

  bool String(std::string& out) {
    ++at_;
    for (;;) {
      const int c = Peek();
      if (c < 0x20) return false;
      if (Eat('"')) return true;
      if (Eat('\\')) {
        if (!Escape(out)) return false;
      } else if (!Utf8(out)) {
        return false;
      }
    }
  }

  std::string_view text_;
  std::size_t at_ = 0;
  int depth_max_;
  bool duplicate_ = false;
};

}  // namespace penstock::llm::test
