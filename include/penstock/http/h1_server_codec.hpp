#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "penstock/base/error.hpp"
#include "penstock/http/h1_reading.hpp"
#include "penstock/http/head.hpp"
#include "penstock/mem/chain.hpp"

namespace penstock::http {

/// Limits on one HTTP/1.1 message; CONTRACT `server.limits`.
struct H1Limits {
  std::size_t header_bytes = 32 * 1024;  ///< all field lines together; beyond: headers_too_large
  std::size_t header_count = 100;
  std::size_t uri = 8 * 1024;               ///< beyond: uri_too_long
  std::uint64_t body = 10 * 1024 * 1024;    ///< beyond: body_too_large, before any of it is read where announced
  std::size_t chunk_extension = 256;        ///< per chunk (Go CVE-2023-39326)
  std::size_t chunk_extensions = 4 * 1024;  ///< per body
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
/// bytes in, events out, no socket, no clock. Any doubt about framing is a rejection. Holds a Head only while it parses
/// one.
class H1ServerCodec {
 public:
  enum class State : std::uint8_t { kIdle, kHead, kBody, kComplete, kRejected };

  H1ServerCodec(HeadPool& heads, const H1Limits& limits);

  /// Parses bytes up to the end of the current message and returns how many it took (of a refused message: some of
  /// them). Takes nothing in kComplete (until NextMessage) and kRejected. A handler must not call back into the codec,
  /// nor destroy it, from inside.
  std::size_t Feed(std::string_view bytes, H1ServerHandler& handler);

  /// The current message was answered: parse the next. Only in kComplete.
  void NextMessage();

  State state() const noexcept { return state_; }
  /// What the last head said about the connection: keep-alive after this message?
  bool keep_alive() const noexcept { return keep_alive_; }

 private:
  /// One empty line before a request line is skipped (RFC 9112 2.2), a second one is not.
  enum class BlankLine : std::uint8_t { kNone, kCr, kWhole };

  std::size_t SkipBlankLine(char first, H1ServerHandler& handler);
  std::size_t FeedHead(std::string_view bytes, H1ServerHandler& handler);
  std::size_t FeedBody(std::string_view bytes, H1ServerHandler& handler);
  const H1Verdict* TakeRequestLine(char* line, std::size_t size);
  const H1Verdict* DecideFraming();
  void FinishHead(H1ServerHandler& handler);
  void Finish(H1ServerHandler& handler);
  void Reject(const H1Verdict& wrong, H1ServerHandler& handler);

  const H1Limits* limits_;
  H1HeadReader reader_;
  H1Facts facts_;
  H1ChunkedBody chunks_;
  std::uint64_t length_left_ = 0;  ///< of a body with a length
  State state_ = State::kIdle;
  Framing framing_ = Framing::kNone;
  BlankLine blank_ = BlankLine::kNone;
  bool absolute_ = false;  ///< the authority came with the target; Host does not count (RFC 9112 3.2.2)
  bool keep_alive_ = true;
};

/// Every `reason` that the codecs give, for metrics that fix their label values at the start.
std::span<const char* const> H1Reasons() noexcept;

// The writers end no line but their own: a field with a control byte in it (or a separator in its name) is left out,
// whoever made it. Fields that concern one connection only (connection, keep-alive, proxy-connection, te, trailer,
// transfer-encoding, upgrade) and content-length are left out too and written anew from the arguments.

/// Writes a response head. `framing` says how the body will be delimited: kLength from head.content_length; kNone with
/// a content_length announces what is not sent (HEAD, 304); kChunked and kStream become "transfer-encoding: chunked",
/// or delimited by close for a 1.0 client. Returns whether the connection can be kept: false whenever "connection:
/// close" was written.
bool WriteH1ResponseHead(Chain& out, const Head& head, Framing framing, Version client_version, bool keep_alive);
/// Writes a request head: "METHOD target HTTP/1.1", host from authority, content-length from head.content_length (or
/// chunked, where there is none and head.framing says so). `expect` is left out as well: the body follows at once.
/// False: method, target or authority hold a byte that would end them early; nothing was written.
bool WriteH1RequestHead(Chain& out, const Head& head);
/// Chunk framing around `size` bytes of body that the caller puts between the two. Never 0: that ends the body.
void WriteChunkBegin(Chain& out, std::size_t size);
void WriteChunkEnd(Chain& out);
void WriteLastChunk(Chain& out);

}  // namespace penstock::http
