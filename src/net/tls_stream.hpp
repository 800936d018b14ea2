#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "penstock/base/error.hpp"
#include "penstock/mem/chain.hpp"
#include "penstock/net/tls.hpp"
#include "penstock/rt/event_loop.hpp"

struct ssl_st;
struct ssl_session_st;
struct bio_st;
struct bio_method_st;

namespace penstock::net {

class Transport;

/// Owned by one Worker. One TLS connection's state: OpenSSL fed by borrowed ciphertext through a BIO of our own, so
/// that nothing is buffered twice and an idle connection holds no record buffers (SSL_MODE_RELEASE_BUFFERS).
///
/// Ciphertext out goes straight from OpenSSL's record to the socket when it is the only one; a longer run of records
/// gathers in `cipher_` and leaves in one write, and what the kernel does not take waits there. Handshake messages wait
/// for the end of the turn, so that a client's first request leaves with its Finished.
class TlsStream final : private rt::Flushable {
 public:
  static constexpr std::size_t kRecordBytes = 16 * 1024;  ///< plaintext of the largest record (RFC 8446 section 5.1)
  static constexpr std::size_t kBatchBytes = 32 * 1024;   ///< ciphertext gathered for one write
  static constexpr std::size_t kCiphertextBytesMax =
      64 * 1024;  ///< a peer that makes us answer but never reads is cut off here

  TlsStream(Transport& transport, const TlsServerContext& context);
  TlsStream(Transport& transport, const TlsClientContext& context, std::string_view server_name);
  ~TlsStream() override;

  /// The socket stands: a client says hello.
  void Start();
  /// Ciphertext came: drives the handshake, delivers plaintext.
  void OnCiphertext(std::string_view bytes);
  /// The peer's FIN. Without a close_notify before it this is a truncation.
  void OnSocketEnd();
  /// Encrypts what `plain` holds, as much as the socket takes.
  void FlushPlain(Chain& plain);
  void PauseRead() noexcept { paused_ = true; }
  /// True when the socket may be read again; false while ciphertext of before the pause waits (it comes first, this
  /// turn).
  bool ResumeRead();
  /// close_notify, and FIN when all ciphertext has left.
  void ShutdownWrite();
  /// close_notify if it fits; the caller closes the socket.
  void CloseNotify();

  bool open() const noexcept { return state_ == State::kOpen; }
  std::string_view alpn() const noexcept;
  std::string_view server_name() const noexcept;
  bool Covers(std::string_view host);  ///< see Transport

  /// OpenSSL's callbacks.
  static int RememberSession(ssl_st* ssl, ssl_session_st* session);
  int TakeCiphertext(char* to, std::size_t capacity) noexcept;
  void PutCiphertext(std::string_view bytes);

 private:
  enum class State : std::uint8_t { kHandshake, kOpen, kFailed };

  void Attach(ssl_ctx_st* context);
  void Flush() override;  // end of the turn: handshake messages, held ciphertext, a failure met while sending
  void Drive();
  bool StepHandshake();
  bool Decrypt();
  bool EncryptRecord(Chain& plain);
  bool WriteCiphertext();
  void Fail(const char* reason = nullptr);
  void FinishShutdown();

  Transport& transport_;
  ssl_st* ssl_ = nullptr;
  std::string_view in_;  // borrowed: the ciphertext of the read being served
  Chain held_;           // ciphertext that came with the read in which the connection paused; at most one read's worth
  Chain cipher_;         // ciphertext to send
  std::shared_ptr<TlsSessions> sessions_;  // clients that verify
  std::string session_name_;
  std::string covered_;  // servers: the last host but the SNI's that the certificate was found good for
  bool server_;
  State state_ = State::kHandshake;
  bool paused_ = false;
  bool read_ended_ = false;      // close_notify came
  bool direct_ = false;          // the record being written may go straight to the socket
  bool bad_name_ = false;        // nothing a certificate could be checked against; told by Start
  bool broken_write_ = false;    // encrypting failed; told at the end of the turn
  bool starved_ = false;         // sending waits for the rest of a handshake message that came in part
  bool shutdown_asked_ = false;  // FIN once cipher_ is empty
};

}  // namespace penstock::net
