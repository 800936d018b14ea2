#include "penstock/base/address.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>

namespace penstock {
namespace {

constexpr std::uint8_t kV4Prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool IsAlphanumeric(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool IsHex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

Parsed<std::uint16_t> ParsePort(std::string_view text, std::uint16_t min) {
  const auto port = ParseInteger(text, UINT16_MAX);
  if (!port.has_value() || *port < min)
    return ParseError{min == 0 ? "needs a port of 0 to 65535" : "needs a port of 1 to 65535"};
  return static_cast<std::uint16_t>(*port);
}

/// RFC 3986's pchar and '/', percent escapes complete, no `.` or `..` or empty segment.
bool IsPathPrefix(std::string_view path) {
  for (std::size_t i = 0; i < path.size(); ++i) {
    const char c = path[i];
    if (c == '%') {
      if (i + 2 >= path.size() || !IsHex(path[i + 1]) || !IsHex(path[i + 2])) return false;
    } else if (!IsAlphanumeric(c) && std::string_view("-._~!$&'()*+,;=:@/").find(c) == std::string_view::npos) {
      return false;
    }
  }
  while (!path.empty()) {
    path.remove_prefix(1);
    const std::string_view segment = path.substr(0, path.find('/'));
    if (segment.empty() || segment == "." || segment == "..") return false;
    path.remove_prefix(segment.size());
  }
  return true;
}

}  // namespace

Parsed<IpAddress> IpAddress::Parse(std::string_view text) {
  constexpr ParseError kRefused{"must be an IPv4 or IPv6 address"};
  char buffer[INET6_ADDRSTRLEN];
  if (text.size() >= sizeof buffer) return kRefused;
  buffer[text.copy(buffer, sizeof buffer - 1)] = '\0';
  if (std::strlen(buffer) != text.size()) return kRefused;
  IpAddress ip;
  if (inet_pton(AF_INET6, buffer, ip.bytes.data()) == 1) return ip;
  std::copy(std::begin(kV4Prefix), std::end(kV4Prefix), ip.bytes.begin());
  if (inet_pton(AF_INET, buffer, ip.bytes.data() + sizeof kV4Prefix) == 1) return ip;
  return kRefused;
}

bool IpAddress::is_v4() const noexcept { return std::equal(std::begin(kV4Prefix), std::end(kV4Prefix), bytes.begin()); }

bool IpAddress::is_loopback() const noexcept {
  if (is_v4()) return bytes[12] == 127;
  return bytes[15] == 1 && std::all_of(bytes.begin(), bytes.end() - 1, [](std::uint8_t byte) { return byte == 0; });
}

std::string IpAddress::ToString() const {
  char buffer[INET6_ADDRSTRLEN] = "";
  const bool v4 = is_v4();
  inet_ntop(v4 ? AF_INET : AF_INET6, bytes.data() + (v4 ? sizeof kV4Prefix : 0), buffer, sizeof buffer);
  return buffer;
}

Parsed<SocketAddress> SocketAddress::Parse(std::string_view text) {
  constexpr ParseError kRefused{"must be IP:PORT, [IPV6]:PORT or unix:/PATH"};
  SocketAddress address;
  if (text.starts_with("unix:")) {
    text.remove_prefix(5);
    if (!text.starts_with('/') || text.find('\0') != std::string_view::npos)
      return ParseError{"needs an absolute path after unix:"};
    if (text.size() > kUnixPathMax) return ParseError{"has a socket path of more than 107 bytes"};
    address.unix_path = text;
    return address;
  }
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return kRefused;
  std::string_view host = text.substr(0, colon);
  const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  const auto ip = IpAddress::Parse(host);
  if (!ip.has_value() || bracketed != (host.find(':') != std::string_view::npos)) return kRefused;
  address.ip = *ip;
  TRY(address.port, ParsePort(text.substr(colon + 1), 0));
  return address;
}

std::string SocketAddress::ToString() const {
  if (is_unix()) return "unix:" + unix_path;
  const std::string host = ip.ToString();
  return (ip.is_v4() ? host : "[" + host + "]") + ":" + std::to_string(port);
}

Parsed<IpPrefix> IpPrefix::Parse(std::string_view text) {
  const std::size_t slash = text.find('/');
  IpPrefix prefix;
  TRY(prefix.ip, IpAddress::Parse(text.substr(0, slash)));
  if (slash == std::string_view::npos) return prefix;
  const bool v4 = text.substr(0, slash).find(':') == std::string_view::npos;
  const auto bits = ParseInteger(text.substr(slash + 1), v4 ? 32 : 128);
  if (!bits.has_value()) return ParseError{"needs a prefix of 0 to 32 (IPv4) or 0 to 128 (IPv6) bits"};
  prefix.bits = static_cast<std::uint8_t>(*bits + (v4 ? 96 : 0));
  for (std::size_t bit = prefix.bits; bit < 128; ++bit) {
    if (prefix.ip.bytes[bit / 8] & (0x80 >> (bit % 8))) return ParseError{"has bits set beyond its prefix"};
  }
  return prefix;
}

bool IpPrefix::Contains(const IpAddress& address) const noexcept {
  const std::size_t whole = bits / 8;
  if (!std::equal(ip.bytes.begin(), ip.bytes.begin() + static_cast<std::ptrdiff_t>(whole), address.bytes.begin()))
    return false;
  if (bits % 8 == 0) return true;
  const unsigned mask = 0xffu << (8 - bits % 8);
  return ((ip.bytes[whole] ^ address.bytes[whole]) & mask & 0xff) == 0;
}

std::string IpPrefix::ToString() const {
  if (bits == 128) return ip.ToString();
  const bool v4 = ip.is_v4() && bits >= 96;
  return ip.ToString() + "/" + std::to_string(bits - (v4 ? 96 : 0));
}

Parsed<Url> Url::Parse(std::string_view text) {
  Url url;
  url.https = text.starts_with("https://");
  if (!url.https && !text.starts_with("http://")) return ParseError{"must begin with http:// or https://"};
  text.remove_prefix(url.https ? 8 : 7);
  if (text.find('?') != std::string_view::npos) return ParseError{"must not have a query"};
  if (text.find('#') != std::string_view::npos) return ParseError{"must not have a fragment"};
  std::string_view authority = text.substr(0, text.find('/'));
  std::string_view path = text.substr(authority.size());
  if (authority.find('@') != std::string_view::npos)
    return ParseError{"must not have user information; credentials belong in api_key"};

  std::string_view host = authority;
  if (authority.starts_with('[')) {
    const std::size_t close = authority.find(']');
    host = close == std::string_view::npos ? std::string_view() : authority.substr(1, close - 1);
    if (host.find(':') == std::string_view::npos || !IpAddress::Parse(host).has_value())
      return ParseError{"must have an IPv6 address between the brackets"};
    authority.remove_prefix(close + 1);
  } else {
    host = authority.substr(0, authority.find(':'));
    if (!IsHostName(host)) return ParseError{"must have a host name or an IP address (IPv6 in brackets)"};
    authority.remove_prefix(host.size());
  }
  url.host = host;
  std::transform(url.host.begin(), url.host.end(), url.host.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });

  url.port = url.https ? 443 : 80;
  if (!authority.empty()) {
    if (authority.front() != ':') return ParseError{"must have a port or a path after the host"};
    TRY(url.port, ParsePort(authority.substr(1), 1));
  }
  while (path.ends_with('/')) path.remove_suffix(1);
  if (!IsPathPrefix(path)) return ParseError{"must have a plain path, without empty or dot segments"};
  url.path = path;
  return url;
}

std::string Url::Authority() const {
  const bool v6 = host.find(':') != std::string::npos;
  return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

std::string Url::ToString() const { return (https ? "https://" : "http://") + Authority() + path; }

bool IsHostName(std::string_view text) noexcept {
  if (text.empty() || text.size() > 253) return false;
  // A name whose last label is a number is an IPv4 address or a mistake (WHATWG URL, "ends in a number").
  const std::string_view last = text.substr(text.rfind('.') + 1);
  if (last.find_first_not_of("0123456789") == std::string_view::npos)
    return text.find(':') == std::string_view::npos && IpAddress::Parse(text).has_value();
  std::size_t label = 0;
  for (const char c : text) {
    if (c == '.') {
      if (label == 0) return false;
      label = 0;
    } else if (!IsAlphanumeric(c) && c != '-' && c != '_') {
      return false;
    } else if (++label > 63) {
      return false;
    }
  }
  return true;
}

}  // namespace penstock
