// nghttp2's receiving callbacks: accounting, header collection, events to the handlers.
#include <cstring>

#include "http/h2_state.hpp"

namespace penstock::http {
namespace {

constexpr std::uint8_t kInterimResponsesMax = 16;

std::string_view View(const std::uint8_t* bytes, std::size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

/// Stream ids must rise; nghttp2 silently ignores HEADERS on old ones, because they may be the trailers of a stream
/// that we reset. Whoever sends them at other times is broken or probing.
int CheckStreamId(H2State& state, const nghttp2_frame_hd& header) {
  if (header.stream_id > state.last_request) {
    state.last_request = header.stream_id;
    return 0;
  }
  if ((header.stream_id & 1) == 0 || state.Known(header.stream_id) != nullptr) return 0;
  if (state.now < state.late_headers_until || state.goaway_sent) return state.CheckGlitch();
  return state.Kill("stream_id", H2Error::kProtocolError);
}

int OnBeginFrame(nghttp2_session*, const nghttp2_frame_hd* header, void* user_data) {
  H2State& state = H2State::Of(user_data);
  if (const int rv = state.Check(state.budget.OnFrame(header->type, header->flags, header->length)); rv != 0) return rv;
  if (header->type == NGHTTP2_HEADERS && state.server()) return CheckStreamId(state, *header);
  if (header->type == NGHTTP2_PING && (header->flags & NGHTTP2_FLAG_ACK) == 0)
    return state.Check(state.budget.OnPing(state.open_streams == 0));
  return 0;
}

int OnBeginRequest(H2State& state, std::int32_t id) {
  H2Stream* stream = state.OpenStream(id);
  if (stream == nullptr) return state.Kill("out_of_memory", H2Error::kInternalError);
  nghttp2_session_set_stream_user_data(state.session, id, stream);
  state.budget.OnStreamOpened();
  // RFC 9113 6.8: who has said GOAWAY opens nothing more. nghttp2 would serve it.
  stream->refused = state.goaway_received;
  state.builder.Begin(stream->refused ? H2HeadBuilder::Kind::kIgnored : H2HeadBuilder::Kind::kRequest, state.heads);
  if (state.goaway_begun) {
    // A peer that keeps opening streams and does not answer our PING is told the last id all the same.
    if (state.budget.streams_opened() > state.streams_at_goaway + state.max_concurrent_streams) state.FinishGoaway();
  } else if (state.budget.wants_goaway()) {
    state.BeginGoaway();
  }
  return 0;
}

int OnBeginHeaders(nghttp2_session*, const nghttp2_frame* frame, void* user_data) {
  H2State& state = H2State::Of(user_data);
  if (frame->hd.type != NGHTTP2_HEADERS) return 0;
  if (frame->headers.cat == NGHTTP2_HCAT_REQUEST) return OnBeginRequest(state, frame->hd.stream_id);
  const H2Stream* stream = state.Known(frame->hd.stream_id);
  const bool response = !state.server() && stream != nullptr && !stream->head_received;
  state.builder.Begin(response ? H2HeadBuilder::Kind::kResponse : H2HeadBuilder::Kind::kIgnored, state.heads);
  return 0;
}

int OnHeader(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name, std::size_t name_size,
             const std::uint8_t* value, std::size_t value_size, std::uint8_t, void* user_data) {
  H2State& state = H2State::Of(user_data);
  if (state.builder.Add(View(name, name_size), View(value, value_size)) == H2HeadBuilder::Step::kContinue) return 0;
  if (const int rv = state.CheckGlitch(H2Budget::kHeaderBombGlitches); rv != 0) return rv;
  state.builder.Abandon();
  if (const int rv = state.CountProvokedReset(state.Known(frame->hd.stream_id)); rv != 0) return rv;
  return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;  // RST_STREAM; the rest of the block is decoded but not shown to us
}

int OnInvalidHeader(nghttp2_session*, const nghttp2_frame*, const std::uint8_t*, std::size_t, const std::uint8_t*,
                    std::size_t, std::uint8_t, void* user_data) {
  if (const int rv = H2State::Of(user_data).CheckGlitch(); rv != 0) return rv;
  return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;  // malformed, not merely ignored (RFC 9113 8.2.1)
}

int OnInvalidFrame(nghttp2_session*, const nghttp2_frame* frame, int code, void* user_data) {
  H2State& state = H2State::Of(user_data);
  // Connection errors come here too; nghttp2 has its GOAWAY ready for them.
  const bool stream_error = code == NGHTTP2_ERR_HTTP_HEADER || code == NGHTTP2_ERR_HTTP_MESSAGING ||
                            code == NGHTTP2_ERR_REFUSED_STREAM || code == NGHTTP2_ERR_FLOW_CONTROL;
  if (!stream_error || frame->hd.stream_id == 0) return 0;
  if (const int rv = state.CheckGlitch(); rv != 0) return rv;
  return state.CountProvokedReset(state.Known(frame->hd.stream_id));
}

int OnRequestComplete(H2State& state, H2Stream& stream, bool end) {
  if (stream.refused) {
    state.Note(nghttp2_submit_rst_stream(state.session, NGHTTP2_FLAG_NONE, stream.id, NGHTTP2_REFUSED_STREAM));
    return 0;
  }
  const char* reason = state.builder.reject_reason();
  HeadPtr head = state.builder.Finish(end);
  if (!state.budget.grpc() && head->Find(HeaderId::kContentType).starts_with("application/grpc")) state.budget.OnGrpc();
  stream.head_received = true;
  stream.handler = reason == nullptr
                       ? state.handler.OnRequest(stream.id, std::move(head), end)
                       : state.handler.OnReject(stream.id, std::move(head), end, state.builder.reject_error(), reason);
  return 0;
}

int ResetFor(H2State& state, H2Stream& stream, H2Error code) {
  state.Note(nghttp2_submit_rst_stream(state.session, NGHTTP2_FLAG_NONE, stream.id, static_cast<std::uint32_t>(code)));
  if (const int rv = state.CheckGlitch(); rv != 0) return rv;
  return state.CountProvokedReset(&stream);
}

int OnResponseComplete(H2State& state, H2Stream& stream, bool end) {
  HeadPtr head = state.builder.Finish(end);
  if (head->status < 100) return ResetFor(state, stream, H2Error::kProtocolError);  // nghttp2 wants three digits only
  if (head->status < 200) {
    return ++stream.interim_responses <= kInterimResponsesMax ? 0 : ResetFor(state, stream, H2Error::kEnhanceYourCalm);
  }
  stream.head_received = true;
  if (stream.handler != nullptr) stream.handler->OnResponse(std::move(head), end);
  return 0;
}

int OnHeadersComplete(H2State& state, const nghttp2_frame& frame) {
  H2Stream* stream = state.Known(frame.hd.stream_id);
  if (stream == nullptr) return 0;
  const bool end = (frame.hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
  stream->peer_ended |= end;
  if (frame.headers.cat == NGHTTP2_HCAT_REQUEST) return OnRequestComplete(state, *stream, end);
  if (!state.server() && !stream->head_received) return OnResponseComplete(state, *stream, end);
  if (end && stream->handler != nullptr) stream->handler->OnEnd();  // trailers
  return 0;
}

int OnResetReceived(H2State& state, std::int32_t id) {
  H2Stream* stream = state.Known(id);
  if (stream == nullptr) return 0;
  stream->premature = !stream->head_sent || (state.now - stream->opened).count() < H2Budget::kPrematureWithinNs;
  return 0;
}

int OnSettingsReceived(H2State& state, const nghttp2_settings& settings) {
  if ((settings.hd.flags & NGHTTP2_FLAG_ACK) != 0) return 0;
  for (std::size_t i = 0; i < settings.niv; ++i) {
    if (settings.iv[i].settings_id != NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE) continue;
    if (settings.iv[i].value < state.initial_window) {
      // Each one walks over all open streams.
      if (const int rv = state.CheckGlitch(); rv != 0) return rv;
    }
    state.initial_window = settings.iv[i].value;
  }
  state.handler.OnSettings();
  return 0;
}

int OnPingReceived(H2State& state, const nghttp2_ping& ping) {
  if ((ping.hd.flags & NGHTTP2_FLAG_ACK) == 0) return 0;
  if (state.pings_unanswered == 0) return state.Check(state.budget.OnUnaskedPingAck());
  --state.pings_unanswered;
  if (std::memcmp(ping.opaque_data, kGoawayPing.data(), kGoawayPing.size()) == 0) {
    state.FinishGoaway();
  } else {
    state.handler.OnPingAck();
  }
  return 0;
}

int OnFrameReceived(nghttp2_session*, const nghttp2_frame* frame, void* user_data) {
  H2State& state = H2State::Of(user_data);
  switch (frame->hd.type) {
    case NGHTTP2_DATA:
      if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) return 0;
      if (H2Stream* stream = state.Known(frame->hd.stream_id); stream != nullptr) {
        stream->peer_ended = true;
        if (stream->handler != nullptr) stream->handler->OnEnd();
      }
      return 0;
    case NGHTTP2_HEADERS: return OnHeadersComplete(state, *frame);
    case NGHTTP2_RST_STREAM: return OnResetReceived(state, frame->hd.stream_id);
    case NGHTTP2_SETTINGS: return OnSettingsReceived(state, frame->settings);
    case NGHTTP2_PING: return OnPingReceived(state, frame->ping);
    case NGHTTP2_GOAWAY:
      if (state.goaway_received) {  // two are a graceful end, a flood of them is not
        if (const int rv = state.CheckGlitch(); rv != 0) return rv;
      }
      state.goaway_received = state.goaway_untold = true;
      state.goaway_code = frame->goaway.error_code;
      return 0;
    default: return 0;
  }
}

int OnDataChunk(nghttp2_session* session, std::uint8_t, std::int32_t id, const std::uint8_t* bytes, std::size_t size,
                void* user_data) {
  H2State& state = H2State::Of(user_data);
  state.budget.OnBody(size);
  state.connection_unconsumed += size;
  H2Stream* stream = state.Known(id);
  if (stream == nullptr) return 0;
  if (stream->handler != nullptr) {
    stream->handler->OnBody(View(bytes, size));
  } else {
    state.Note(nghttp2_session_consume_stream(session, id, size));
  }
  return 0;
}

int OnStreamClose(nghttp2_session* session, std::int32_t id, std::uint32_t code, void* user_data) {
  H2State& state = H2State::Of(user_data);
  H2Stream* stream = state.Known(id);
  if (stream == nullptr) return 0;
  nghttp2_session_set_stream_user_data(session, id, nullptr);
  const bool premature = stream->premature;
  state.CloseStream(*stream, code);
  return state.server() ? state.Check(state.budget.OnStreamClosed(premature)) : 0;
}

}  // namespace

void SetReceiveCallbacks(nghttp2_session_callbacks* callbacks) {
  nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, OnBeginFrame);
  nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, OnBeginHeaders);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, OnHeader);
  nghttp2_session_callbacks_set_on_invalid_header_callback(callbacks, OnInvalidHeader);
  nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, OnInvalidFrame);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, OnFrameReceived);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, OnDataChunk);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, OnStreamClose);
}

}  // namespace penstock::http
