#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "penstock/base/digest.hpp"

namespace penstock::config {

/// What requests without a key are called, in logs, metrics and purges; no key may have this name.
inline constexpr std::string_view kAnonymous = "anonymous";

/// Which of those who wait goes first; in the order of policy::Priority.
enum class Priority : std::uint8_t { kInteractive, kDefault, kBatch };
std::string_view Name(Priority priority) noexcept;

/// A tenant. Its key is nowhere: only the digest of it is.
struct ApiKey {
  std::string name;                            ///< in metrics and the access log
  Digest key_sha256;                           ///< of the key's bytes
  std::vector<std::string> models{"*"};        ///< configured names it may use; "*" = all
  Priority priority = Priority::kInteractive;  ///< the highest class it may ask for

  friend bool operator==(const ApiKey&, const ApiKey&) = default;
};

struct Auth {
  std::vector<ApiKey> keys;      ///< none: every client is anonymous
  bool allow_anonymous = false;  ///< requests without a key are served although there are keys, or beyond loopback

  friend bool operator==(const Auth&, const Auth&) = default;
};

}  // namespace penstock::config
