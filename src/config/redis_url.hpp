#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "penstock/base/parse.hpp"

namespace penstock::config {

/// What the text of redis[s]://[[user]:password@]host[:port][/database] tells this module: enough for the checks of the
/// file. Those who connect decode the login.
struct RedisUrlParts {
  std::string_view password;  ///< as it is written; a part of the text
  std::string server;         ///< host:port, in lower case
  std::uint32_t database = 0;
};

/// Messages never repeat the text.
Parsed<RedisUrlParts> SplitRedisUrl(std::string_view text);

/// The URL with `***` for its password; all of a text that is no such URL.
std::string MaskRedisUrl(std::string_view text);

}  // namespace penstock::config
