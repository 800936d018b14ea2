#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "penstock/base/parse.hpp"

namespace penstock {

/// An IPv4 or IPv6 address in network order; IPv4 is held as ::ffff:a.b.c.d, so that one comparison serves
/// both.
struct IpAddress {
  std::array<std::uint8_t, 16> bytes{};

  static Parsed<IpAddress> Parse(std::string_view text);  ///< no brackets, no zone id
  bool is_v4() const noexcept;                            ///< ::ffff:0:0/96 included
  bool is_loopback() const noexcept;                      ///< 127.0.0.0/8 and ::1
  std::string ToString() const;
  friend bool operator==(const IpAddress&, const IpAddress&) = default;
};

/// Where to listen: an IP address and a port, or a Unix socket.
struct SocketAddress {
  static constexpr std::size_t kUnixPathMax = 107;  ///< sockaddr_un::sun_path without its terminator

  IpAddress ip;
  std::uint16_t port = 0;  ///< 0: the kernel picks one
  std::string unix_path;   ///< not empty: a Unix socket, and `ip` and `port` mean nothing

  /// "127.0.0.1:8080", "[::1]:8080" or "unix:/absolute/path". Host names are refused: what they mean changes.
  static Parsed<SocketAddress> Parse(std::string_view text);
  bool is_unix() const noexcept { return !unix_path.empty(); }
  bool is_loopback() const noexcept { return is_unix() || ip.is_loopback(); }
  std::string ToString() const;
  friend bool operator==(const SocketAddress&, const SocketAddress&) = default;
};

/// "10.0.0.0/8", "fd00::/8" or one address. Bits beyond the prefix must be zero.
struct IpPrefix {
  IpAddress ip;
  std::uint8_t bits = 128;  ///< of the 128-bit form: an IPv4 /8 is 104

  static Parsed<IpPrefix> Parse(std::string_view text);
  bool Contains(const IpAddress& address) const noexcept;
  std::string ToString() const;
  friend bool operator==(const IpPrefix&, const IpPrefix&) = default;
};

/// The address of an upstream: http(s)://host[:port][/path]. User information, query and fragment are
/// refused.
struct Url {
  bool https = false;
  std::string host;  ///< lower case; a name, an IPv4 address or an IPv6 address without brackets
  std::uint16_t port = 0;
  std::string path;  ///< put before every request path: "" or "/prefix", never with a trailing slash

  static Parsed<Url> Parse(std::string_view text);
  std::string Authority() const;  ///< "host:port", "[::1]:port": always with the port
  std::string ToString() const;
  friend bool operator==(const Url&, const Url&) = default;
};

/// An IPv4 address, or labels of 1 to 63 letters, digits, '-' and '_' joined by '.', 253 bytes in all.
bool IsHostName(std::string_view text) noexcept;

}  // namespace penstock
