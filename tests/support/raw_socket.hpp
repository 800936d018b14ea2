#pragma once

#include <string>
#include <string_view>

#include "penstock/rt/address.hpp"

namespace penstock::test {

/// A plain non-blocking descriptor for the far end of a test, under the test's full control.
class RawSocket {
 public:
  RawSocket() noexcept = default;
  explicit RawSocket(int fd) noexcept : fd_(fd) {}
  RawSocket(RawSocket&& other) noexcept;
  RawSocket& operator=(RawSocket&& other) noexcept;
  ~RawSocket() { Close(); }

  static RawSocket Connect(const rt::Address& address);
  /// Listens on 127.0.0.1, port of the kernel's choice.
  static RawSocket Listen();
  /// -1 inside when nobody waits.
  RawSocket Accept() const;

  int fd() const noexcept { return fd_; }
  bool valid() const noexcept { return fd_ >= 0; }
  rt::Address LocalAddress() const;
  /// As many as go; the count.
  std::size_t Send(std::string_view bytes) const;
  /// What is there, at most `max`. Sets ended() or error().
  std::string Receive(std::size_t max = 1 << 20);
  bool ended() const noexcept { return ended_; }
  int error() const noexcept { return error_; }
  void ShutdownWrite() const;
  void Close();
  void Reset();  ///< closes by RST
  void SetReceiveBuffer(int bytes) const;

 private:
  int fd_ = -1;
  bool ended_ = false;
  int error_ = 0;
};

}  // namespace penstock::test
