// One connection's life and death; the callbacks are in h2_receive.cpp and h2_send.cpp.
#include "penstock/http/h2_codec.hpp"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "http/h2_state.hpp"
#include "penstock/base/assert.hpp"

namespace penstock::http {
namespace {

/// What a connection error that nghttp2 found is called.
H2Verdict ReasonOf(std::uint32_t code) noexcept {
  switch (code) {
    case NGHTTP2_PROTOCOL_ERROR: return "protocol_error";
    case NGHTTP2_FLOW_CONTROL_ERROR: return "flow_control_error";
    case NGHTTP2_STREAM_CLOSED: return "stream_closed";
    case NGHTTP2_FRAME_SIZE_ERROR: return "frame_size_error";
    case NGHTTP2_COMPRESSION_ERROR: return "compression_error";
    case NGHTTP2_ENHANCE_YOUR_CALM: return "too_many_settings";
    default: return "internal_error";
  }
}

char* PutBigEndian(char* to, std::uint32_t value) noexcept {
  for (int shift = 24; shift >= 0; shift -= 8) *to++ = static_cast<char>(value >> shift);
  return to;
}

char* PutFrameHeader(char* to, std::uint32_t length, std::uint8_t type) noexcept {
  to = PutBigEndian(to, length << 8 | type);
  *to++ = 0;
  return PutBigEndian(to, 0);
}

}  // namespace

H2State::H2State(H2Codec::Side our_side, H2Memory& h2_memory, HeadPool& head_pool, const H2Limits& limits,
                 H2ConnectionHandler& connection)
    : side(our_side),
      memory(h2_memory),
      heads(head_pool),
      handler(connection),
      max_concurrent_streams(limits.max_concurrent_streams),
      budget(limits),
      builder(limits),
      stream_window(limits.stream_window) {
  session = OpenH2Session(*this, limits);
  if (session == nullptr) killed = "out_of_memory";
}

H2Stream* H2State::Find(std::int32_t id) noexcept {
  if (session != nullptr) {
    if (H2Stream* stream = Known(id)) return stream;
    if (server()) return nullptr;
  }
  for (H2Stream* stream = streams; stream != nullptr; stream = stream->next) {
    if (stream->id == id) return stream;
  }
  return nullptr;
}

H2Stream* H2State::OpenStream(std::int32_t id) noexcept {
  void* block = memory.Allocate(sizeof(H2Stream));
  if (block == nullptr) return nullptr;
  auto* stream = new (block) H2Stream;
  stream->id = id;
  stream->opened = now;
  stream->next = streams;
  if (streams != nullptr) streams->previous = stream;
  streams = stream;
  ++open_streams;
  return stream;
}

void H2State::DropStream(H2Stream& stream) noexcept {
  if (recent == &stream) recent = nullptr;
  (stream.previous == nullptr ? streams : stream.previous->next) = stream.next;
  if (stream.next != nullptr) stream.next->previous = stream.previous;
  --open_streams;
  memory.Free(&stream);
}

void H2State::CloseStream(H2Stream& stream, std::uint32_t code) {
  H2StreamHandler* const to = stream.handler;
  const bool refused = code == NGHTTP2_REFUSED_STREAM && !stream.own_reset;
  H2Fate fate = H2Fate::kOver;
  if (!server() && (refused || !stream.head_sent)) fate = H2Fate::kUnprocessed;
  if (stream.reset_counted) fate = H2Fate::kMalformed;
  DropStream(stream);
  if (to != nullptr) to->OnClosed(static_cast<H2Error>(code), fate);
}

int H2State::Kill(H2Verdict reason, H2Error code) noexcept {
  if (killed == nullptr) {
    killed = reason;
    kill_code = code;
  }
  return NGHTTP2_ERR_CALLBACK_FAILURE;
}

int H2State::CountProvokedReset(H2Stream* stream) noexcept {
  if (stream != nullptr) {
    if (stream->own_reset || stream->reset_counted) return 0;
    stream->reset_counted = true;
  }
  return Check(budget.OnResetSent());
}

void H2State::OnGoawaySent(std::uint32_t code) noexcept {
  if (code == NGHTTP2_NO_ERROR && !goaway_finished && !terminated) {
    // The shutdown notice of a graceful end: it ends nothing yet. The answer to a PING behind it says that it was read;
    // submitted together, nghttp2 would send the PING first.
    Note(nghttp2_submit_ping(session, NGHTTP2_FLAG_NONE, kGoawayPing.data()));
    ++pings_unanswered;
    return;
  }
  goaway_sent = true;
  if (code != NGHTTP2_NO_ERROR && !terminated && killed == nullptr) {
    killed = ReasonOf(code);
    kill_code = static_cast<H2Error>(code);
  }
}

void H2State::Die(int library_code) {
  if (session == nullptr) return;
  if (killed == nullptr && library_code < 0) {
    switch (library_code) {
      case NGHTTP2_ERR_FLOODED: Kill("output_flood", H2Error::kEnhanceYourCalm); break;
      case NGHTTP2_ERR_TOO_MANY_CONTINUATIONS: Kill("too_many_continuations", H2Error::kEnhanceYourCalm); break;
      case NGHTTP2_ERR_BAD_CLIENT_MAGIC: Kill("bad_preface", H2Error::kProtocolError); break;
      case NGHTTP2_ERR_NOMEM: Kill("out_of_memory", H2Error::kInternalError); break;
      default: Kill("internal_error", H2Error::kInternalError); break;
    }
  }
  // After a fatal return the session may only be deleted, so the GOAWAY is written here; not to a peer that does not
  // speak HTTP/2, and not as a client whose preface nobody has seen.
  if (library_code < 0 && library_code != NGHTTP2_ERR_BAD_CLIENT_MAGIC && (preface_sent || server())) {
    char* to = last_words.data();
    if (!preface_sent) to = PutFrameHeader(to, 0, NGHTTP2_SETTINGS);
    const std::string_view said = killed == std::string_view(kTooManyPings) ? kTooManyPings : "";
    to = PutFrameHeader(to, 8 + static_cast<std::uint32_t>(said.size()), NGHTTP2_GOAWAY);
    to = PutBigEndian(to, static_cast<std::uint32_t>(nghttp2_session_get_last_proc_stream_id(session)));
    to = PutBigEndian(to, static_cast<std::uint32_t>(kill_code));
    to = std::copy(said.begin(), said.end(), to);
    last_words_size = static_cast<std::size_t>(to - last_words.data());
  }
  nghttp2_session_del(std::exchange(session, nullptr));
  builder.Abandon();
  while (streams != nullptr) CloseStream(*streams, static_cast<std::uint32_t>(kill_code));
}

bool H2State::Finished() {
  if (session == nullptr) return true;
  if (killed != nullptr) {
    Die(goaway_sent ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE);
    return true;
  }
  if (!goaway_sent && !goaway_received) return false;
  if (nghttp2_session_want_read(session) != 0 || nghttp2_session_want_write(session) != 0) return false;
  Die(0);
  return true;
}

void H2State::BeginGoaway() {
  if (goaway_begun || session == nullptr) return;
  goaway_begun = true;
  streams_at_goaway = budget.streams_opened();
  if (!server()) return FinishGoaway();  // nothing can be on its way to a client
  Note(nghttp2_submit_shutdown_notice(session));
}

void H2State::FinishGoaway() {
  if (session == nullptr || goaway_finished) return;
  goaway_begun = goaway_finished = true;
  Note(nghttp2_submit_goaway(session, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(session),
                             NGHTTP2_NO_ERROR, nullptr, 0));
}

H2Codec::H2Codec(Side side, H2Memory& memory, HeadPool& heads, const H2Limits& limits, H2ConnectionHandler& handler)
    : state_(std::make_unique<H2State>(side, memory, heads, limits, handler)) {}

H2Codec::~H2Codec() {
  if (state_->session != nullptr) nghttp2_session_del(state_->session);
  while (state_->streams != nullptr) state_->DropStream(*state_->streams);
}

bool H2Codec::Feed(std::string_view bytes, TimePoint now) {
  H2State& state = *state_;
  if (state.session == nullptr) return false;
  state.now = now;
  state.budget.set_now(now);
  const ssize_t taken =
      nghttp2_session_mem_recv(state.session, reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  if (taken < 0) {
    state.Die(static_cast<int>(taken));
    return false;
  }
  if (state.connection_unconsumed != 0) {
    state.Note(nghttp2_session_consume_connection(state.session, std::exchange(state.connection_unconsumed, 0)));
  }
  state.Check(state.budget.OnFed(bytes.size(), nghttp2_session_get_outbound_queue_size(state.session)));
  if (state.goaway_untold) {
    state.goaway_untold = false;
    state.handler.OnGoaway(static_cast<H2Error>(state.goaway_code));
  }
  return !state.Finished();
}

bool H2Codec::Pull(Chain& out, std::size_t target) {
  H2State& state = *state_;
  state.out = &out;
  state.target = target;
  bool in_header_block = false;  // no frame may come between HEADERS and its CONTINUATIONs, not even the last GOAWAY
  while (state.session != nullptr && state.killed == nullptr && (out.size() < target || in_header_block)) {
    const std::uint8_t* frame = nullptr;
    const ssize_t size = nghttp2_session_mem_send(state.session, &frame);
    if (size < 0) {
      state.Die(static_cast<int>(size));
      break;
    }
    if (size == 0) break;
    out.Append({reinterpret_cast<const char*>(frame), static_cast<std::size_t>(size)});
    const std::uint8_t type = frame[3];
    in_header_block =
        (type == NGHTTP2_HEADERS || type == NGHTTP2_CONTINUATION) && (frame[4] & NGHTTP2_FLAG_END_HEADERS) == 0;
  }
  state.out = nullptr;
  if (!state.Finished()) {
    if (out.empty()) out.Clear();  // room that was reserved for a body that deferred
    return true;
  }
  if (state.last_words_size != 0) {
    out.Append({state.last_words.data(), state.last_words_size});
    state.last_words_size = 0;
  }
  return false;
}

bool H2Codec::wants_write() const noexcept {
  const H2State& state = *state_;
  if (state.session == nullptr) return state.last_words_size != 0;
  return state.killed != nullptr || nghttp2_session_want_write(state.session) != 0;
}

std::uint32_t H2Codec::peer_max_concurrent_streams() const noexcept {
  if (state_->session == nullptr) return 0;
  return nghttp2_session_get_remote_settings(state_->session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
}

void H2Codec::ResumeBody(std::int32_t stream) {
  if (state_->session == nullptr) return;
  H2Stream* resumed = state_->Find(stream);
  if (resumed == nullptr || !resumed->drained || resumed->trailers) return;  // its turn comes anyway, or none
  resumed->drained = false;
  state_->Note(nghttp2_session_resume_data(state_->session, stream));
}

void H2Codec::Consumed(std::int32_t id, std::size_t bytes) {
  if (state_->session == nullptr) return;
  H2Stream* stream = state_->Known(id);
  if (stream == nullptr) return;
  stream->unconsumed += static_cast<std::uint32_t>(bytes);
  if (stream->unconsumed < state_->stream_window / 4) return;
  state_->Note(nghttp2_session_consume_stream(state_->session, id, std::exchange(stream->unconsumed, 0u)));
}

void H2Codec::GrowWindow(std::int32_t stream, std::uint32_t window) {
  if (state_->session == nullptr) return;
  // Until the peer acknowledges our SETTINGS its streams have RFC 9113's first window; then they lose the difference.
  const std::uint32_t first = nghttp2_session_get_local_settings(state_->session, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE);
  const std::int64_t size = std::int64_t{window} + first - state_->stream_window;
  state_->Note(nghttp2_session_set_local_window_size(state_->session, NGHTTP2_FLAG_NONE, stream,
                                                     static_cast<std::int32_t>(size)));
}

void H2Codec::Reset(std::int32_t id, H2Error code) {
  H2Stream* stream = state_->Find(id);
  if (stream == nullptr || state_->session == nullptr) return;
  stream->own_reset = true;
  state_->Note(nghttp2_submit_rst_stream(state_->session, NGHTTP2_FLAG_NONE, id, static_cast<std::uint32_t>(code)));
}

void H2Codec::Detach(std::int32_t id) {
  if (H2Stream* stream = state_->Find(id)) stream->handler = nullptr;
}

void H2Codec::SubmitPing() {
  if (state_->session == nullptr) return;
  ++state_->pings_unanswered;
  state_->Note(nghttp2_submit_ping(state_->session, NGHTTP2_FLAG_NONE, nullptr));
}

void H2Codec::BeginGoaway() { state_->BeginGoaway(); }

void H2Codec::FinishGoaway() { state_->FinishGoaway(); }

void H2Codec::Terminate(H2Error code) {
  if (state_->session == nullptr) return;
  state_->terminated = true;
  state_->kill_code = code;
  state_->Note(nghttp2_session_terminate_session(state_->session, static_cast<std::uint32_t>(code)));
}

void H2Codec::ConnectionLost() {
  H2State& state = *state_;
  if (state.session == nullptr) return;
  nghttp2_session_del(std::exchange(state.session, nullptr));
  state.builder.Abandon();
  while (state.streams != nullptr) state.CloseStream(*state.streams, NGHTTP2_INTERNAL_ERROR);
}

std::size_t H2Codec::open_streams() const noexcept { return state_->open_streams; }

const char* H2Codec::killed_reason() const noexcept { return state_->killed; }

}  // namespace penstock::http
