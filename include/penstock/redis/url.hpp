#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "penstock/base/parse.hpp"
#include "penstock/base/secret.hpp"

namespace penstock::redis {

/// Where a Redis server is and how to log in: redis[s]://[[user]:password@]host[:port][/database], the form registered
/// with IANA, user and password percent-decoded. A query and a fragment are refused.
struct Url {
  static constexpr std::uint16_t kDefaultPort = 6379;
  static constexpr std::uint32_t kDatabaseMax = 65535;

  bool tls = false;
  std::string host;  ///< lower case; a name, an IPv4 address or an IPv6 address without brackets
  std::uint16_t port = kDefaultPort;
  std::string user;  ///< "" = Redis' default user
  Secret password;
  std::uint32_t database = 0;

  static Parsed<Url> Parse(std::string_view text);
  friend bool operator==(const Url&, const Url&) = default;
};

}  // namespace penstock::redis
