#include <array>
#include <cstring>

#include "http/h1_scan.hpp"
#include "http/h1_verdict.hpp"
#include "penstock/http/h1_reading.hpp"

namespace penstock::http {
namespace {

constexpr std::size_t kMethodMax = 24;
constexpr std::string_view kVersionForm = " HTTP/x.y";

bool IsPort(std::string_view text) noexcept {
  constexpr unsigned kPortMax = 65535;
  if (text.empty() || text.size() > 5) return false;
  unsigned port = 0;
  for (const char c : text) {
    if (!scan::IsDigit(c)) return false;
    port = port * 10 + static_cast<unsigned>(c - '0');
  }
  return port <= kPortMax;
}

constexpr auto kHostByte = [] {
  std::array<bool, 256> table{};
  for (unsigned c = '0'; c <= '9'; ++c) table[c] = true;
  for (unsigned c = 'a'; c <= 'z'; ++c) table[c] = table[c - 'a' + 'A'] = true;
  for (const char c : std::string_view("-._~")) table[static_cast<unsigned char>(c)] = true;
  return table;
}();

bool IsAddressLiteralByte(char c) noexcept {
  return scan::IsDigit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || c == ':' || c == '.';
}

/// Splits "http://host/path?query" in place. Where there is no path, host moves one byte to the left, over
/// the second slash, and makes room for "/".
const H1Verdict* SplitAbsolute(char* target, std::size_t size, H1RequestLine& line) noexcept {
  std::size_t scheme = 0;
  while (scheme < size && target[scheme] != ':') ++scheme;
  const std::string_view name(target, scheme);
  if (!scan::EqualsIgnoreCase(name, "http") && !scan::EqualsIgnoreCase(name, "https")) return &verdict::kTarget;
  if (std::string_view(target + scheme, size - scheme).substr(0, 3) != "://") return &verdict::kTarget;
  for (std::size_t i = 0; i < scheme; ++i) target[i] = static_cast<char>(target[i] | 0x20);
  std::size_t begin = scheme + 3;
  std::size_t path = begin;
  while (path < size && target[path] != '/' && target[path] != '?') ++path;
  if (!IsAuthority({target + begin, path - begin})) return &verdict::kTarget;
  if (path == size || target[path] == '?') {
    std::memmove(target + begin - 1, target + begin, path - begin);
    --begin;
    target[--path] = '/';
  }
  line.scheme = name;
  line.authority = {target + begin, path - begin};
  line.target = {target + path, size - path};
  return nullptr;
}

}  // namespace

bool IsAuthority(std::string_view text) noexcept {
  constexpr std::size_t kAddressMax = 45;  // the longest text of an IPv6 address
  if (text.size() > 255 + 6) return false;
  std::size_t i = 0;
  if (!text.empty() && text.front() == '[') {
    const std::size_t end = text.find(']');
    if (end == std::string_view::npos || end < 3 || end > kAddressMax + 1) return false;
    for (i = 1; i < end; ++i) {
      if (!IsAddressLiteralByte(text[i])) return false;
    }
    i = end + 1;
  } else {
    while (i < text.size() && kHostByte[static_cast<unsigned char>(text[i])]) ++i;
    if (i == 0) return false;
  }
  return i == text.size() || (text[i] == ':' && IsPort(text.substr(i + 1)));
}

const H1Verdict* H1RequestLine::Parse(char* line, std::size_t size, std::size_t uri_max) noexcept {
  std::size_t space = 0;
  while (space < size && ((line[space] >= 'A' && line[space] <= 'Z') || line[space] == '-')) ++space;
  if (space == 0 || space > kMethodMax || space == size || line[space] != ' ') return &verdict::kMethod;
  method_text = {line, space};
  method = LookupMethod(method_text);

  const std::size_t rest = size - space;
  if (rest < kVersionForm.size()) return &verdict::kRequestLine;
  const char* tail = line + size - kVersionForm.size();
  if (std::memcmp(tail, kVersionForm.data(), 6) != 0 || !scan::IsDigit(tail[6]) || tail[7] != '.' ||
      !scan::IsDigit(tail[8])) {
    return &verdict::kRequestLine;
  }
  if (tail[6] != '1' || tail[8] > '1') return &verdict::kVersion;
  version = tail[8] == '1' ? Version::kHttp11 : Version::kHttp10;

  if (rest < kVersionForm.size() + 2) return &verdict::kTarget;
  char* const begin = line + space + 1;
  const std::size_t length = static_cast<std::size_t>(tail - begin);
  if (length > uri_max) return &verdict::kUriLength;
  if (!scan::IsTargetText(begin, length)) return &verdict::kTarget;
  target = {begin, length};
  if (method == Method::kConnect) {
    authority = target;  // authority-form; the port is not optional (RFC 9110 9.3.6)
    const bool with_port = target.back() != ']' && target.find(':') != std::string_view::npos;
    return with_port && IsAuthority(target) ? nullptr : &verdict::kTarget;
  }
  if (*begin == '/') return nullptr;
  if (target == "*") return method == Method::kOptions ? nullptr : &verdict::kTarget;
  return SplitAbsolute(begin, length, *this);
}

}  // namespace penstock::http
