#include "penstock/redis/url.hpp"

#include <algorithm>
#include <optional>

#include "penstock/base/address.hpp"
#include "penstock/base/percent.hpp"

namespace penstock::redis {

namespace {

std::optional<std::string> PercentDecode(std::string_view text) {
  if (!EscapesAreWhole(text)) return std::nullopt;
  return DecodePercent(text);
}

Parsed<bool> ReadLogin(std::string_view text, Url& url) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return ParseError{"has no ':' between user and password"};
  std::optional<std::string> user = PercentDecode(text.substr(0, colon));
  std::optional<std::string> password = PercentDecode(text.substr(colon + 1));
  if (!user || !password) return ParseError{"has a '%' that two hexadecimal digits do not follow"};
  if (password->empty()) return ParseError{"has no password behind the ':'"};
  url.user = std::move(*user);
  url.password = Secret(std::move(*password));
  return true;
}

Parsed<bool> ReadPlace(std::string_view text, Url& url) {
  std::string_view port;
  bool has_port = false;
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos) return ParseError{"has no ']' behind its IPv6 address"};
    url.host = text.substr(1, close - 1);
    const Parsed<IpAddress> ip = IpAddress::Parse(url.host);
    if (!ip.has_value() || url.host.find(':') == std::string::npos)
      return ParseError{"has no IPv6 address in brackets"};
    text.remove_prefix(close + 1);
    if (!text.empty() && !text.starts_with(':')) return ParseError{"has more than a port behind its IPv6 address"};
    has_port = !text.empty();
    port = has_port ? text.substr(1) : text;
  } else {
    const std::size_t colon = text.find(':');
    has_port = colon != std::string_view::npos;
    url.host = text.substr(0, colon);
    port = has_port ? text.substr(colon + 1) : std::string_view{};
    if (!IsHostName(url.host)) return ParseError{"has no valid host name"};
  }
  std::transform(url.host.begin(), url.host.end(), url.host.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  if (!has_port) return true;
  const Parsed<std::uint64_t> number = ParseInteger(port, 65535);
  if (!number.has_value() || *number == 0) return ParseError{"has no port between 1 and 65535 behind the ':'"};
  url.port = static_cast<std::uint16_t>(*number);
  return true;
}

}  // namespace

Parsed<Url> Url::Parse(std::string_view text) {
  Url url;
  if (text.starts_with("rediss://")) {
    url.tls = true;
  } else if (!text.starts_with("redis://")) {
    return ParseError{"does not begin with redis:// or rediss://"};
  }
  text.remove_prefix(text.find("//") + 2);
  if (text.find_first_of("?#") != std::string_view::npos) return ParseError{"has a query or a fragment"};
  if (const std::size_t at = text.rfind('@'); at != std::string_view::npos) {
    const Parsed<bool> login = ReadLogin(text.substr(0, at), url);
    if (!login.has_value()) return login.error();
    text.remove_prefix(at + 1);
  }
  if (const std::size_t slash = text.find('/'); slash != std::string_view::npos) {
    const std::string_view database = text.substr(slash + 1);
    text = text.substr(0, slash);
    if (!database.empty()) {
      const Parsed<std::uint64_t> number = ParseInteger(database, kDatabaseMax);
      if (!number.has_value()) return ParseError{"has no database number behind the '/'"};
      url.database = static_cast<std::uint32_t>(*number);
    }
  }
  const Parsed<bool> place = ReadPlace(text, url);
  if (!place.has_value()) return place.error();
  return url;
}

}  // namespace penstock::redis
