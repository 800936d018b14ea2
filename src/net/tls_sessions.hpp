#pragma once

#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "net/tls_pem.hpp"

namespace penstock::net {

/// Shared: a mutex around a map look-up. The latest session of each server name, so that a new connection spares the
/// certificates and their verification. At most TlsClientContext::kSessionsMax names; beyond that any one goes.
class TlsSessions {
 public:
  /// A reference of its own, or null.
  OpenSslPtr<SSL_SESSION> Find(const std::string& name);
  void Remember(const std::string& name, OpenSslPtr<SSL_SESSION> session);
  /// After a failed handshake: what was remembered may be the cause.
  void Forget(const std::string& name);

 private:
  std::mutex mutex_;
  std::unordered_map<std::string, OpenSslPtr<SSL_SESSION>> sessions_;
};

}  // namespace penstock::net
