#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "penstock/base/error.hpp"
#include "penstock/http/head.hpp"
#include "penstock/mem/chain.hpp"

namespace penstock::http {

/// Limits on one HTTP/1.1 message; CONTRACT `server.limits`.
struct H1Limits {
  std::size_t header_bytes = 32 * 1024;    ///< all field lines together; beyond: headers_too_large
  std::size_t header_count = 100;
  std::size_t uri = 8 * 1024;              ///< beyond: uri_too_long
  std::uint64_t body = 10 * 1024 * 1024;   ///< beyond: body_too_large, before any of it is read where announced
  std::size_t chunk_extension = 256;       ///< per chunk (Go CVE-2023-39326)
  std::size_t chunk_extensions = 4 * 1024; ///< per body
  std::size_t trailer_count = 20;
  std::size_t trailer_bytes = 8 * 1024;
};

/// What H1ServerCodec tells its session. Calls come only from inside Feed().
class H1ServerHandler {
 public:
  /// A complete, valid head: framing is decided (head->framing, head->content_length). `expect_continue`: the client
  /// waits for a 100 before it sends the body.
  virtual void OnRequest(HeadPtr head, bool expect_continue) = 0;
  virtual void OnBody(std::string_view bytes) = 0;  ///< borrowed for the call; chunk framing removed
  virtual void OnEnd() = 0;                         ///< the message is complete; trailers were checked and dropped
  /// The message is refused: answer `error`, drain, close. `reason` is the label of protocol_rejects_total.
  /// `head` holds what was parsed so far (for the log line), never null. Nothing more is parsed afterwards.
  virtual void OnReject(HeadPtr head, const Error& error, const char* reason) = 0;

 protected:
  ~H1ServerHandler() = default;
};

/// Owned by one Worker. A strict HTTP/1.0 and 1.1 request parser (RFC 9112, and stricter: FAULTS rows H1-01..H1-31):
/// bytes in, events out, no socket, no clock. Any doubt about framing is a rejection. Holds a Head only while it parses one.
class H1ServerCodec {
 public:
  enum class State : std::uint8_t { kIdle, kHead, kBody, kComplete, kRejected };

  H1ServerCodec(HeadPool& heads, const H1Limits& limits);

  /// Parses bytes up to the end of the current message and returns how many it took. Takes nothing in kComplete
  /// (until NextMessage) and kRejected. A handler must not call back into the codec, nor destroy it, from inside.
  std::size_t Feed(std::string_view bytes, H1ServerHandler& handler);

  /// The current message was answered: parse the next. Only in kComplete.
  void NextMessage();

  State state() const noexcept { return state_; }
  /// What the last head said about the connection: keep-alive after this message?
  bool keep_alive() const noexcept { return keep_alive_; }

 private:
  State state_ = State::kIdle;
  bool keep_alive_ = true;
  // the rest is the implementation's
  HeadPool* heads_;
  const H1Limits* limits_;
};

/// Writes a response head. `framing` says how the body will be delimited; content-length, transfer-encoding and
/// connection are written from it and `keep_alive`, whatever fields of those names `head` has are skipped.
void WriteH1ResponseHead(Chain& out, const Head& head, Framing framing, Version client_version, bool keep_alive);
/// Writes a request head: "METHOD target HTTP/1.1", host from authority, content-length from head.content_length.
void WriteH1RequestHead(Chain& out, const Head& head);
/// Chunk framing around `size` bytes of body that the caller puts between the two.
void WriteChunkBegin(Chain& out, std::size_t size);
void WriteChunkEnd(Chain& out);
void WriteLastChunk(Chain& out);

}  // namespace penstock::http
