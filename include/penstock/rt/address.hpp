#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace penstock::rt {

/// Immutable. An IPv4, IPv6 or Unix-domain socket address by value.
class Address {
 public:
  Address() = default;
  Address(const sockaddr* address, socklen_t size) noexcept;

  /// "127.0.0.1:80", "[::1]:80", "unix:/path": numeric only, never a look-up. Empty when it is none of these.
  static std::optional<Address> Parse(std::string_view text);
  static std::optional<Address> FromIp(std::string_view ip, std::uint16_t port);

  const sockaddr* get() const noexcept { return reinterpret_cast<const sockaddr*>(&storage_); }
  socklen_t size() const noexcept { return size_; }
  int family() const noexcept { return storage_.any.sa_family; }
  bool is_unix() const noexcept { return family() == AF_UNIX; }
  bool is_loopback() const noexcept;  ///< 127.0.0.0/8, ::1 or a Unix socket
  std::uint16_t port() const noexcept;
  std::string ip() const;  ///< without port; "unix" for a Unix socket
  std::string ToString() const;

  friend bool operator==(const Address& a, const Address& b) noexcept;

 private:
  union Storage {
    sockaddr any;
    sockaddr_storage storage;
    sockaddr_un un;
    Storage() : storage{} {}
  } storage_;
  socklen_t size_ = 0;
};

}  // namespace penstock::rt
