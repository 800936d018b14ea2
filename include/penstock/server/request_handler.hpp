#pragma once

#include <cstdint>
#include <string_view>

#include "penstock/base/error.hpp"
#include "penstock/http/head.hpp"
#include "penstock/mem/chain.hpp"
#include "penstock/rt/address.hpp"

namespace penstock::server {

enum class Protocol : std::uint8_t { kHttp1, kHttp2, kGrpc };

/// How a client's stream ended before its answer did.
enum class Departure : std::uint8_t {
  kClosed,         ///< it left: FIN, RST, RST_STREAM, connection closed
  kSlowReader,     ///< it took no byte for slow_reader_timeout, or too few
  kProtocolError,  ///< it broke the protocol; the connection was killed
  kDropped,        ///< we gave it up: Drop()
};

/// Owned by one Worker. Where one request's answer goes; a stream of an HTTP/1.1 or HTTP/2 session. Valid until the
/// handler's OnFinished or OnGone.
class ResponseStream {
 public:
  virtual Protocol protocol() const noexcept = 0;
  virtual const rt::Address& peer() const noexcept = 0;
  /// May this connection carry requests for `host` (without port and brackets)? See net::Transport.
  virtual bool Covers(std::string_view host) = 0;

  /// 100 Continue, when the request asked for it and the head is acceptable: the body will come.
  virtual void SendContinue() = 0;
  /// The final head. `end`: no body follows. Framing is the session's: content-length is kept when `head` has one.
  virtual void SendHead(const http::Head& head, bool end) = 0;
  /// Body bytes waiting to be sent: append, then BodyReady(). They leave in one write at the end of the loop turn.
  virtual Chain& body() noexcept = 0;
  virtual void BodyReady() = 0;
  /// The answer is complete with what body() holds now. OnFinished follows when it has left.
  virtual void EndBody() = 0;
  /// As EndBody(), and the fields of `trailers` follow the body (HTTP/2). HTTP/1.1 has no way for them that every
  /// client reads: they are dropped. A body that is empty by now holds them up no longer: not even a closed window
  /// does.
  virtual void EndWith(const http::Head& trailers) = 0;
  /// The answer cannot be completed: what body() holds is sent, then the framing is broken (HTTP/1.1: close before the
  /// end; HTTP/2: RST_STREAM INTERNAL_ERROR). OnFinished follows.
  virtual void CutBody() = 0;
  /// At once, with what body() holds: nobody waits for the client to read. Cuts the framing as CutBody() does. OnGone
  /// is called from within.
  virtual void Drop() = 0;
  /// Body bytes not yet given to the kernel (HTTP/1.1) or framed (HTTP/2).
  virtual std::size_t unsent() const noexcept = 0;
  /// This connection carries no further request after this answer.
  virtual void CloseAfter() = 0;

  /// While paused, what comes of the request is not credited: the client stops after its window, and what it sends
  /// until then is still delivered (HTTP/1.1: what the last read held). The time does not count for body_timeout and
  /// body_min_rate. HTTP/1.1 reads nothing meanwhile, so a client that goes is not seen before a write fails.
  virtual void PauseBody(bool paused) = 0;
  /// The request may go on as long as it likes: body_timeout and body_min_rate do not count.
  virtual void ExpectNoEnd() = 0;

 protected:
  ~ResponseStream() = default;
};

/// Owned by one Worker. Who answers one request. Calls come from the session; OnFinished or OnGone is the last.
class RequestHandler {
 public:
  virtual void OnBody(std::string_view bytes) = 0;  ///< borrowed
  virtual void OnEnd() = 0;                         ///< the request is complete
  /// The rest of the request will not come (malformed, too large, too slow): answer `error`.
  virtual void OnRequestFailed(const Error& error) = 0;
  virtual void OnSent() = 0;                     ///< body bytes left: unsent() is smaller than before
  virtual void OnFinished() = 0;                 ///< the answer was handed over to its last byte
  virtual void OnGone(Departure departure) = 0;  ///< the client is gone: stop working

 protected:
  ~RequestHandler() = default;
};

/// Shared by a worker's sessions: where requests come in.
class RequestSink {
 public:
  /// A request's head. `reject`: the protocol layer refuses it and this error is to be answered (`head` holds what was
  /// understood). `body_follows`: OnBody/OnEnd come; otherwise OnEnd is not called. Returns who handles it, never null.
  virtual RequestHandler& OnRequest(ResponseStream& stream, http::HeadPtr head, bool body_follows, bool expect_continue,
                                    const Error* reject) = 0;
  /// Reasons are literals.
  virtual void OnProtocolReject(Protocol protocol, const char* reason) = 0;
  virtual void OnConnectionKilled(const char* reason) = 0;

 protected:
  ~RequestSink() = default;
};

}  // namespace penstock::server
