#pragma once

#include <nghttp2/nghttp2.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "http/h2_budget.hpp"
#include "http/h2_head_builder.hpp"
#include "penstock/http/h2_codec.hpp"
#include "penstock/http/h2_memory.hpp"

namespace penstock::http {

/// Owned by one Worker. What the codec knows of one stream: nghttp2's stream_user_data, allocated from the worker's
/// H2Memory, chained in H2State::streams while open.
struct H2Stream {
  H2StreamHandler* handler = nullptr;  ///< null: detached, or not dispatched yet
  H2Stream* previous = nullptr;
  H2Stream* next = nullptr;
  TimePoint opened{};
  std::int32_t id = 0;
  std::uint32_t unconsumed = 0;  ///< received and no longer held, not told to nghttp2 yet
  std::uint8_t interim_responses = 0;
  bool head_received : 1 = false;  ///< the peer's head went to the handler
  bool head_sent : 1 = false;
  bool peer_ended : 1 = false;
  bool own_reset : 1 = false;      ///< we reset it by our own will: not the peer's fault
  bool reset_counted : 1 = false;  ///< the peer provoked a reset and paid for it
  bool premature : 1 = false;      ///< reset by the peer before it was of use
  bool refused : 1 = false;        ///< to be reset once its header block is decoded
  bool abort : 1 = false;          ///< the body's last bytes are out, the reset follows
  bool trailers : 1 = false;       ///< the end of the answer is in nghttp2's queue, no body goes any more
  bool drained : 1 = false;        ///< PullBody had less than was asked for; wait for ResumeBody
};

/// The opaque bytes of the PING whose answer finishes a graceful end; SubmitPing() sends zeroes.
inline constexpr std::array<std::uint8_t, 8> kGoawayPing = {'g', 'o', 'a', 'w', 'a', 'y', '?', 0};

/// Owned by one Worker. The state behind H2Codec, shared by its four files: h2_codec (life and death), h2_receive
/// (nghttp2's receiving callbacks), h2_send (submitting and the sending callbacks), h2_setup (options, SETTINGS).
struct H2State {
  H2State(H2Codec::Side side, H2Memory& memory, HeadPool& heads, const H2Limits& limits, H2ConnectionHandler& handler);

  static H2State& Of(void* user_data) noexcept { return *static_cast<H2State*>(user_data); }
  bool server() const noexcept { return side == H2Codec::Side::kServer; }

  /// The record of a stream that nghttp2 knows; null for others. Frames of one stream come in runs, so the last one is
  /// kept.
  H2Stream* Known(std::int32_t id) noexcept {
    if (recent == nullptr || recent->id != id)
      recent = static_cast<H2Stream*>(nghttp2_session_get_stream_user_data(session, id));
    return recent;
  }
  /// The stream's record; null when it is closed or not ours. Covers requests still waiting in nghttp2's queue.
  H2Stream* Find(std::int32_t id) noexcept;
  H2Stream* OpenStream(std::int32_t id) noexcept;  ///< null: out of memory
  void DropStream(H2Stream& stream) noexcept;
  void CloseStream(H2Stream& stream, std::uint32_t code);  ///< DropStream and OnClosed

  /// Notes why the connection must end and returns what a callback has to return then.
  int Kill(H2Verdict reason, H2Error code) noexcept;
  int Check(H2Verdict verdict) noexcept { return verdict == nullptr ? 0 : Kill(verdict, H2Error::kEnhanceYourCalm); }
  int CheckGlitch(double count = 1) noexcept { return Check(budget.OnGlitch(count)); }
  /// What nghttp2 said to a submission: out of memory is the only thing that matters, and the next Feed() or Pull()
  /// acts on it. A stream that is gone is no error.
  void Note(int library_code) noexcept {
    if (library_code < NGHTTP2_ERR_FATAL) Kill("out_of_memory", H2Error::kInternalError);
  }
  /// The peer provoked a reset of this stream (null: of one that never opened): it pays, once.
  int CountProvokedReset(H2Stream* stream) noexcept;

  /// nghttp2 returned a fatal code: deletes the session, writes the last GOAWAY, closes every stream.
  void Die(int library_code);
  /// True, and the session is gone: it was killed, or a GOAWAY passed and nghttp2 has nothing to read or write any more.
  bool Finished();
  void BeginGoaway();
  void FinishGoaway();
  void OnGoawaySent(std::uint32_t code) noexcept;

  const H2Codec::Side side;
  H2Memory& memory;
  HeadPool& heads;
  H2ConnectionHandler& handler;
  const std::uint32_t max_concurrent_streams;
  nghttp2_session* session = nullptr;
  H2Budget budget;
  H2HeadBuilder builder;
  TimePoint now{};
  H2Stream* streams = nullptr;  ///< newest first
  H2Stream* recent = nullptr;   ///< Known()'s last answer
  std::size_t open_streams = 0;

  // Receiving.
  const std::uint32_t stream_window;      ///< of a new stream, once the peer has acknowledged our SETTINGS
  std::size_t connection_unconsumed = 0;  ///< of this Feed(): the connection is credited when it ends
  std::int32_t last_request = 0;          ///< highest stream id seen in HEADERS
  TimePoint late_headers_until{};         ///< trailers of streams that we reset may still arrive
  std::uint32_t initial_window = 65535;   ///< the peer's, to see it shrink
  std::uint32_t pings_unanswered = 0;
  bool goaway_received = false;
  bool goaway_untold = false;  ///< OnGoaway is due when the streams it killed are closed
  std::uint32_t goaway_code = 0;

  // Sending.
  std::uint32_t heads_submitted = 0;
  Chain* out = nullptr;  ///< during Pull() only
  std::size_t target = 0;
  char* frame_begin = nullptr;  ///< where the header of the DATA frame being pulled goes
  H2Stream* sending = nullptr;  ///< whose DATA frame it is
  bool preface_sent = false;    ///< our SETTINGS are on their way
  bool goaway_begun = false;
  bool goaway_finished = false;
  bool terminated = false;   ///< by Terminate()
  bool goaway_sent = false;  ///< any but the shutdown notice
  std::uint64_t streams_at_goaway = 0;

  // Death.
  H2Verdict killed = nullptr;
  H2Error kill_code = H2Error::kNoError;
  std::array<char, 48> last_words{};  ///< an empty SETTINGS where none went out, and the GOAWAY
  std::size_t last_words_size = 0;
};

// h2_setup.cpp
/// The session with its options, callbacks, SETTINGS and connection window; null when out of memory.
nghttp2_session* OpenH2Session(H2State& state, const H2Limits& limits);

// h2_receive.cpp, h2_send.cpp
void SetReceiveCallbacks(nghttp2_session_callbacks* callbacks);
void SetSendCallbacks(nghttp2_session_callbacks* callbacks);

}  // namespace penstock::http
