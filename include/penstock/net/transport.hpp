#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "penstock/base/error.hpp"
#include "penstock/mem/chain.hpp"
#include "penstock/net/tls.hpp"
#include "penstock/rt/worker.hpp"

namespace penstock::net {

/// What a transport tells its connection. The connection may Close() or Abort() the transport from inside any call, but
/// must not destroy it there: rt::Worker::Bury is for that.
class TransportHandler {
 public:
  virtual void OnOpen() = 0;                        ///< connected and, under TLS, the handshake done: alpn() is known
  virtual void OnData(std::string_view bytes) = 0;  ///< borrowed plaintext
  virtual void OnEnd() = 0;   ///< the peer sends no more: FIN, or close_notify under TLS (FIN alone is a failure there)
  virtual void OnRoom() = 0;  ///< out() was written to its end after it had been stuck
  /// Connect, TLS or reset; the transport is closed already. A server's failures are kClientGone, a client's
  /// kUpstreamConnect and kUpstreamTls before OnOpen (Retry::kIfUnprocessed), kUpstreamReset and kUpstreamTls after it
  /// (kUnproven).
  virtual void OnFailed(const Error& error) = 0;

 protected:
  ~TransportHandler() = default;
};

/// Owned by one Worker. A byte stream over one socket, TLS or not: sessions and pools cannot tell which.
/// Bytes to send are appended to out() and leave with Flush().
class Transport final : private rt::SocketHandler {
 public:
  Transport(rt::Worker& worker, TransportHandler& handler) noexcept;
  ~Transport();
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;

  /// Serves an accepted socket; with a context, as the TLS server. OnOpen comes from inside this call when there is no
  /// TLS.
  void Accept(std::unique_ptr<rt::Socket> socket, const TlsServerContext* tls);
  /// Connects; with a context, as a TLS client that verifies `server_name`. OnOpen or OnFailed follows later.
  void Connect(const rt::Address& address, const rt::ConnectOptions& options, const TlsClientContext* tls,
               std::string_view server_name);

  Chain& out() noexcept { return out_; }
  const Chain& out() const noexcept { return out_; }
  /// Writes what the kernel takes of out(). When it does not take all, OnRoom follows.
  void Flush();
  bool stuck() const noexcept { return stuck_; }  ///< the kernel's buffer is full
  std::uint64_t sent() const noexcept {
    return sent_;
  }  ///< bytes of out() that have left it so far, by Flush() or when room came

  void PauseRead();   ///< no OnData or OnEnd after this; a reset is still told at once
  void ResumeRead();  ///< OnData follows later, never from inside this call
  /// close_notify and FIN, when out() is empty. Under TLS stuck() may follow, until the close_notify has left too.
  void ShutdownWrite();
  void Close();  ///< no event after this; drops what has not left: not while out() holds something or stuck(), if that
                 ///< matters
  void Abort();  ///< Close by a TCP reset, without close_notify
  bool open() const noexcept { return socket_ != nullptr && socket_->open(); }

  const rt::Address& peer() const noexcept {
    return socket_->peer();
  }  ///< valid once accepted or connecting, closed or not
  bool secure() const noexcept { return tls_ != nullptr; }
  std::string_view alpn() const noexcept;         ///< "" without TLS or ALPN
  std::string_view server_name() const noexcept;  ///< what the client asked for by SNI
  /// A server's: may requests for this host (a name or an address) come on this connection (RFC 9110 section 7.4)? Not
  /// when the client asked for another name by SNI and our certificate is not good for this one: then it took us for
  /// somebody else. Who named nobody, or this host, decided for itself what it makes of our certificate.
  bool Covers(std::string_view host);

 private:
  friend class TlsStream;
  void OnConnected() override;
  void OnRead(std::string_view bytes) override;
  void OnEnd() override;
  void OnWritable() override;
  void OnError(int error) override;

  std::size_t Offer(std::span<const iovec> parts, std::size_t size);
  bool WriteOut(Chain& chain);
  void Fail(const Error& error);

  rt::Worker& worker_;
  TransportHandler& handler_;
  std::unique_ptr<rt::Socket> socket_;
  std::unique_ptr<TlsStream> tls_;
  Chain out_;
  std::uint64_t sent_ = 0;
  bool accepted_ = false;
  bool connecting_ = false;
  bool stuck_ = false;
};

}  // namespace penstock::net
