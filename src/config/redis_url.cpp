#include "config/redis_url.hpp"

#include <algorithm>

#include "penstock/base/address.hpp"
#include "penstock/base/percent.hpp"

namespace penstock::config {
namespace {

constexpr std::uint64_t kPortMax = 65535;
constexpr std::uint64_t kDatabaseMax = 65535;

char ToLower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

bool IsHost(std::string_view host) {
  if (!host.starts_with('[')) return IsHostName(host);
  return host.ends_with(']') && host.find(':') != std::string_view::npos &&
         IpAddress::Parse(host.substr(1, host.size() - 2)).has_value();
}

Parsed<std::string> ReadServer(std::string_view text) {
  // The colons of an IPv6 address stand in brackets.
  const std::size_t bracket = text.rfind(']');
  const std::size_t colon = text.find(':', bracket == std::string_view::npos ? 0 : bracket);
  const std::string_view host = text.substr(0, colon);
  if (!IsHost(host)) return ParseError{"must name a host, or an IPv6 address in brackets"};
  std::string server(host);
  std::transform(server.begin(), server.end(), server.begin(), ToLower);
  if (colon == std::string_view::npos) return server + ":6379";
  const Parsed<std::uint64_t> port = ParseInteger(text.substr(colon + 1), kPortMax);
  if (!port.has_value() || *port == 0) return ParseError{"must have a port between 1 and 65535 behind the ':'"};
  return server + ":" + std::to_string(*port);
}

}  // namespace

Parsed<RedisUrlParts> SplitRedisUrl(std::string_view text) {
  if (!text.starts_with("redis://") && !text.starts_with("rediss://"))
    return ParseError{"must begin with redis:// or rediss://"};
  text.remove_prefix(text.find("//") + 2);
  if (text.find_first_of("?#") != std::string_view::npos)
    return ParseError{"must have no query and no fragment; write ? and # in a password as %3F and %23"};
  RedisUrlParts parts;
  // The last one: a password may hold another.
  if (const std::size_t at = text.rfind('@'); at != std::string_view::npos) {
    const std::string_view login = text.substr(0, at);
    const std::size_t colon = login.find(':');
    if (colon == std::string_view::npos) return ParseError{"must have a ':' between user and password"};
    parts.password = login.substr(colon + 1);
    if (parts.password.empty()) return ParseError{"must have a password behind the ':'"};
    if (!EscapesAreWhole(login.substr(0, colon)) || !EscapesAreWhole(parts.password))
      return ParseError{"must have two hexadecimal digits behind each '%' of user and password"};
    text.remove_prefix(at + 1);
  }
  const std::size_t slash = text.find('/');
  if (slash != std::string_view::npos && slash + 1 < text.size()) {
    const Parsed<std::uint64_t> database = ParseInteger(text.substr(slash + 1), kDatabaseMax);
    if (!database.has_value()) return ParseError{"must have a database number behind the '/', or nothing"};
    parts.database = static_cast<std::uint32_t>(*database);
  }
  Parsed<std::string> server = ReadServer(text.substr(0, slash));
  if (!server.has_value()) return server.error();
  parts.server = std::move(*server);
  return parts;
}

std::string MaskRedisUrl(std::string_view text) {
  if (text.empty()) return {};
  const Parsed<RedisUrlParts> parts = SplitRedisUrl(text);
  if (!parts.has_value()) return "***";
  std::string masked(text);
  if (!parts->password.empty())
    masked.replace(static_cast<std::size_t>(parts->password.data() - text.data()), parts->password.size(), "***");
  return masked;
}

}  // namespace penstock::config
