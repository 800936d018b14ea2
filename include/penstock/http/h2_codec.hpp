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
  kNoError = 0, kProtocolError = 1, kInternalError = 2, kFlowControlError = 3, kStreamClosed = 5, kFrameSizeError = 6,
  kRefusedStream = 7, kCancel = 8, kCompressionError = 9, kEnhanceYourCalm = 11, kInadequateSecurity = 12,
};

/// Budgets and limits of one connection, FAULTS 2.1; the buckets are {burst, per second}.
struct H2Limits {
  struct Bucket {
    double burst;
    double per_second;
  };
  std::uint32_t max_concurrent_streams = 100;
  std::uint32_t stream_window = 16 * 1024;           ///< our receive window per stream at first
  std::uint32_t connection_window = 1024 * 1024;
  std::size_t header_bytes = 32 * 1024;              ///< soft: rejected with headers_too_large; twice that: RST_STREAM at once
  std::size_t header_count = 100;
  std::size_t uri = 8 * 1024;
  Bucket resets_received{200, 33};
  Bucket resets_sent{100, 5};
  Bucket glitches{1000, 10};                         ///< graceful GOAWAY at 75 %
  Bucket pings{20, 1};
  Bucket settings{20, 1};
  std::uint32_t empty_frames = 10;                   ///< consecutive
  std::uint32_t continuations = 8;
  std::size_t control_frames_queued = 1000;
  std::uint64_t streams_total = 0;                   ///< graceful GOAWAY when reached; 0 = never
};

/// What PullBody says about the body it serves.
enum class BodyPull : std::uint8_t {
  kMore,   ///< not the last of it; 0 bytes defer until ResumeBody()
  kEnd,    ///< these bytes are the last
  kAbort,  ///< these bytes are sent, then the stream is reset with INTERNAL_ERROR
};

/// One stream's events and its outgoing body; implemented by the session's stream object. Calls come only from inside
/// the codec's Feed() and Pull(); none of them may call Feed(), Pull() or destroy the codec. Submitting, resetting,
/// resuming and crediting are allowed.
class H2StreamHandler {
 public:
  virtual void OnResponse(HeadPtr head, bool end) = 0;  ///< client side only; 1xx are skipped
  virtual void OnBody(std::string_view bytes) = 0;      ///< borrowed; credit it with Consumed() when it has left our memory
  virtual void OnEnd() = 0;                             ///< the peer ended its side properly; trailers are dropped
  /// The stream is over (both sides ended, reset by either, refused by GOAWAY, or the connection died). Last call.
  /// `unprocessed`: the peer provably did not act on it (REFUSED_STREAM, or above GOAWAY's last id).
  virtual void OnClosed(H2Error code, bool unprocessed) = 0;
  /// Fills `to` with up to `capacity` bytes of outgoing body, returns how many.
  virtual std::size_t PullBody(char* to, std::size_t capacity, BodyPull& what) = 0;

 protected:
  ~H2StreamHandler() = default;
};

/// A connection's events.
class H2ConnectionHandler {
 public:
  /// Server side: a complete valid request head. Returns who takes the stream; never null.
  virtual H2StreamHandler* OnRequest(std::int32_t stream, HeadPtr head, bool end) = 0;
  /// Server side: head refused by a soft rule (431, 414, bad authority ...): answer `error` on the stream. As OnRequest.
  virtual H2StreamHandler* OnReject(std::int32_t stream, HeadPtr head, const Error& error, const char* reason) = 0;
  virtual void OnGoaway(H2Error code) = 0;              ///< the peer says it; streams above its last id got OnClosed already
  virtual void OnSettings() = 0;                        ///< the peer's settings changed (peer_max_concurrent_streams)
  virtual void OnPingAck() = 0;

 protected:
  ~H2ConnectionHandler() = default;
};

class H2Memory;  // h2_memory.hpp: the worker's allocation pool for nghttp2

/// Owned by one Worker. One HTTP/2 connection's protocol state: nghttp2 behind a narrow face (its only home), with
/// the abuse budgets that libnghttp2 1.52 lacks. Bytes in, events out; output is pulled. `now` is passed in.
class H2Codec {
 public:
  enum class Side : std::uint8_t { kServer, kClient };

  H2Codec(Side side, H2Memory& memory, HeadPool& heads, const H2Limits& limits, H2ConnectionHandler& handler);
  ~H2Codec();
  H2Codec(const H2Codec&) = delete;
  H2Codec& operator=(const H2Codec&) = delete;

  /// False: the connection is finished; pull the last bytes (a GOAWAY), write them, close. killed_reason() says why.
  bool Feed(std::string_view bytes, TimePoint now);
  /// Appends frames to `out` until it holds about `target` bytes or there is nothing to send now.
  /// False: the session is dead after what was appended.
  bool Pull(Chain& out, std::size_t target);
  bool wants_write() const noexcept;

  // Server side.
  void SubmitResponse(std::int32_t stream, const Head& head, bool end);
  // Client side. Returns the stream id, or a negative number when no stream can be opened (ids used up, GOAWAY).
  std::int32_t SubmitRequest(const Head& head, bool end, H2StreamHandler& handler);
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
  /// First step of a graceful end: GOAWAY(2^31-1). Then, a round trip later, FinishGoaway: GOAWAY(last id).
  void BeginGoaway();
  void FinishGoaway();
  /// Ends the connection now with this code; everything open is closed.
  void Terminate(H2Error code);

  std::size_t open_streams() const noexcept;
  /// "rapid_reset", "glitches", "too_many_pings" ...: the label of connections_killed_total; null while alive or after a normal end.
  const char* killed_reason() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace penstock::http
