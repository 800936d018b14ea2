#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "penstock/base/error.hpp"
#include "penstock/base/time.hpp"
#include "penstock/http/head.hpp"
#include "penstock/mem/chain.hpp"

namespace penstock::http {

/// HTTP/2 error codes (RFC 9113 7) that we send or look at.
enum class H2Error : std::uint32_t {
  kNoError = 0,
  kProtocolError = 1,
  kInternalError = 2,
  kFlowControlError = 3,
  kStreamClosed = 5,
  kFrameSizeError = 6,
  kRefusedStream = 7,
  kCancel = 8,
  kCompressionError = 9,
  kEnhanceYourCalm = 11,
  kInadequateSecurity = 12,
};

/// Budgets and limits of one connection; the buckets are {burst, per second}. The defaults are for a front; their
/// sources are Envoy's flood limits, HAProxy's glitches, nginx' byte rule and nghttp2's own defaults.
struct H2Limits {
  struct Bucket {
    double burst;
    double per_second;
  };
  std::uint32_t max_concurrent_streams = 100;
  std::uint32_t stream_window = 16 * 1024;  ///< our receive window per stream at first
  std::uint32_t connection_window = 1024 * 1024;
  std::size_t header_bytes = 32 * 1024;  ///< soft: rejected with headers_too_large; twice that: RST_STREAM at once
  std::size_t header_count = 100;        ///< cookie crumbs count one by one
  std::size_t uri = 8 * 1024;
  Bucket resets_received{200, 33};
  Bucket resets_sent{100, 5};
  Bucket glitches{1000, 10};  ///< graceful GOAWAY at 75 %
  Bucket pings{20, 1};
  Bucket settings{20, 1};
  std::uint32_t empty_frames = 10;  ///< consecutive
  std::uint32_t continuations = 8;
  std::size_t control_frames_queued = 1000;
  std::uint64_t streams_total = 0;  ///< graceful GOAWAY when reached; 0 = never

  /// Toward a backend: its heads may be larger (and are refused at the limit, not at twice), it may refuse many of
  /// our streams at once, and gRPC servers probe the bandwidth with PINGs.
  static H2Limits ForClient();
};

/// What H2StreamHandler::PullBody found.
enum class BodyState : std::uint8_t {
  kMore,   ///< not the end; fewer bytes than asked for: call again after ResumeBody(), or SubmitTrailers() was called
  kEnd,    ///< these bytes are the last, END_STREAM goes with them
  kAbort,  ///< these bytes still go out, then RST_STREAM(INTERNAL_ERROR): an error event before a broken end
};
struct BodyPiece {
  std::size_t bytes = 0;
  BodyState state = BodyState::kMore;
};

/// How a stream came to its end, as far as a client must know it.
enum class H2Fate : std::uint8_t {
  kOver,         ///< answered, reset by either side, or lost with its connection
  kUnprocessed,  ///< the peer provably did not act on it: REFUSED_STREAM, above GOAWAY's last id, or never sent
  kMalformed,  ///< we reset it, for what the peer sent on it breaks RFC 9113 or our limits; the code is what we told it
};

/// One stream's events and its outgoing body; implemented by the session's stream object. Calls come only from inside
/// the codec's Feed(), Pull() and ConnectionLost(); none of them may call one of these or Terminate(), or destroy the
/// codec. Submitting, resetting, detaching, resuming and crediting are allowed.
class H2StreamHandler {
 public:
  virtual void OnResponse(HeadPtr head, bool end) = 0;  ///< client side only; 1xx are skipped
  virtual void OnBody(std::string_view bytes) = 0;  ///< borrowed; credit it with Consumed() when it has left our memory
  virtual void OnEnd() = 0;                         ///< the peer ended its side properly; trailers are dropped
  /// The stream is over (both sides ended, reset by either, refused by GOAWAY, or the connection died). Last call.
  virtual void OnClosed(H2Error code, H2Fate fate) = 0;
  /// Fills `to` with up to `capacity` bytes of outgoing body. Fewer than that with kMore defers until ResumeBody().
  virtual BodyPiece PullBody(char* to, std::size_t capacity) = 0;

 protected:
  ~H2StreamHandler() = default;
};

/// A connection's events.
class H2ConnectionHandler {
 public:
  /// Server side: a complete valid request head. Returns who takes the stream; never null.
  virtual H2StreamHandler* OnRequest(std::int32_t stream, HeadPtr head, bool end) = 0;
  /// Server side: head refused by a soft rule (431, 414, bad authority ...): answer `error` on the stream. As
  /// OnRequest; `head` holds what fitted, `reason` is the label of protocol_rejects_total. `end` as there.
  virtual H2StreamHandler* OnReject(std::int32_t stream, HeadPtr head, bool end, const Error& error,
                                    const char* reason) = 0;
  virtual void OnGoaway(H2Error code) = 0;  ///< the peer says it; streams above its last id got OnClosed already
  virtual void OnSettings() = 0;            ///< the peer's settings changed (peer_max_concurrent_streams)
  virtual void OnPingAck() = 0;             ///< of a SubmitPing()

 protected:
  ~H2ConnectionHandler() = default;
};

class H2Memory;  // h2_memory.hpp: the worker's allocation pool for nghttp2

struct H2State;  // private: src/http/h2_state.hpp

/// Owned by one Worker. One HTTP/2 connection's protocol state: nghttp2 behind a narrow face (its only home), with
/// the abuse budgets that libnghttp2 1.52 lacks. Bytes in, events out; output is pulled. `now` is passed in.
/// When Feed() or Pull() returns false, every stream has had its OnClosed().
class H2Codec {
 public:
  enum class Side : std::uint8_t { kServer, kClient };

  H2Codec(Side side, H2Memory& memory, HeadPool& heads, const H2Limits& limits, H2ConnectionHandler& handler);
  ~H2Codec();  ///< calls no handler; see ConnectionLost()
  H2Codec(const H2Codec&) = delete;
  H2Codec& operator=(const H2Codec&) = delete;

  /// False: the connection is finished; pull the last bytes (a GOAWAY), write them, close. killed_reason() says why.
  bool Feed(std::string_view bytes, TimePoint now);
  /// Appends frames to `out` until it holds about `target` bytes or there is nothing to send now. Bodies are pulled
  /// straight into the chain. False: the connection is finished after what was appended.
  bool Pull(Chain& out, std::size_t target);
  bool wants_write() const noexcept;

  /// Server side. `head` is copied. Fields that belong to one HTTP/1.1 hop are left out. A 1xx head is an interim
  /// response. When the response ends before the request did, RST_STREAM(NO_ERROR) follows (RFC 9113 8.1).
  void SubmitResponse(std::int32_t stream, const Head& head, bool end);
  /// Server side. Ends the answer with a block of fields behind everything that PullBody() has given; it is not asked
  /// again. From within PullBody(): behind that piece, whose state is kMore. `trailers` is copied. Costs other streams
  /// nothing; waits for no window.
  void SubmitTrailers(std::int32_t stream, const Head& trailers);
  /// Client side. Returns the stream id, or a negative number when no stream can be opened (ids used up, GOAWAY, more
  /// than kFieldsMax fields); then the handler hears nothing. A request beyond the peer's limit waits in the codec.
  std::int32_t SubmitRequest(const Head& head, bool end, H2StreamHandler& handler);
  static constexpr std::size_t kFieldsMax = 256;
  std::uint32_t peer_max_concurrent_streams() const noexcept;

  void ResumeBody(std::int32_t stream);
  /// `bytes` of received body have left our memory: lets the stream's window open again. The connection's window is
  /// always credited at once, so that one slow stream never stalls its neighbours (FAULTS C-09).
  void Consumed(std::int32_t stream, std::size_t bytes);
  /// Sets the stream's receive window (a reader that keeps up grows it to 64 KiB).
  void GrowWindow(std::int32_t stream, std::uint32_t window);
  void Reset(std::int32_t stream, H2Error code);
  /// No handler call for this stream any more; its remaining events are swallowed.
  void Detach(std::int32_t stream);

  void SubmitPing();
  /// Graceful end: GOAWAY(2^31-1) and a PING; its answer brings the final GOAWAY(last id), or FinishGoaway() does
  /// for a peer that does not answer. Feed() or Pull() returns false when the last stream is over.
  void BeginGoaway();
  void FinishGoaway();
  /// Ends the connection with this code: the next Pull() appends the GOAWAY, closes everything open and returns false.
  void Terminate(H2Error code);
  /// The transport is gone: OnClosed(kInternalError) for every stream, now.
  void ConnectionLost();

  std::size_t open_streams() const noexcept;
  /// "rapid_reset", "glitches", "too_many_pings" ...: the label of connections_killed_total; null while alive or after
  /// a normal end.
  const char* killed_reason() const noexcept;

 private:
  std::unique_ptr<H2State> state_;
};

}  // namespace penstock::http
