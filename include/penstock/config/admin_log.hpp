#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "penstock/base/address.hpp"
#include "penstock/base/secret.hpp"

namespace penstock::config {

struct Admin {
  SocketAddress address = *SocketAddress::Parse("127.0.0.1:9901");
  Secret key;  ///< empty only on a loopback address
};

enum class LogLevel : std::uint8_t { kDebug, kInfo, kWarn, kError };
enum class LogFormat : std::uint8_t { kJson, kText };
std::string_view Name(LogLevel level) noexcept;
std::string_view Name(LogFormat format) noexcept;

/// Where access lines go.
struct AccessLog {
  enum class Kind : std::uint8_t { kStderr, kOff, kFile };
  Kind kind = Kind::kStderr;
  std::string path;  ///< for kFile; reopened on SIGUSR1
  friend bool operator==(const AccessLog&, const AccessLog&) = default;
};

struct Log {
  LogLevel level = LogLevel::kInfo;
  LogFormat format = LogFormat::kJson;
  AccessLog access;
  bool prompts = false;
};

}  // namespace penstock::config
