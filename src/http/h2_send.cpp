// Submitting heads, and nghttp2's sending callbacks.
#include <algorithm>
#include <cstring>

#include "http/h2_state.hpp"
#include "penstock/base/assert.hpp"

namespace penstock::http {
namespace {

constexpr std::size_t kFrameHeaderBytes = 9;
/// The least room in the chain's last chunk worth a DATA frame; below it a new chunk begins.
constexpr std::size_t kPieceMin = 512;
/// How long after a reset of ours the peer's trailers may still come: far beyond any round trip.
constexpr std::int64_t kLateHeadersNs = 30'000'000'000;

/// "100" to "999", so that :status can be referred to.
constexpr std::uint16_t kStatusMin = 100;
constexpr std::uint16_t kStatusMax = 999;
constexpr auto kStatusTexts = [] {
  std::array<std::array<char, 3>, kStatusMax - kStatusMin + 1> texts{};
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const std::size_t status = kStatusMin + i;
    texts[i] = {static_cast<char>('0' + status / 100), static_cast<char>('0' + status / 10 % 10),
                static_cast<char>('0' + status % 10)};
  }
  return texts;
}();

bool HopByHop(HeaderId id) noexcept {
  switch (id) {
    case HeaderId::kConnection:
    case HeaderId::kKeepAlive:
    case HeaderId::kProxyConnection:
    case HeaderId::kTransferEncoding:
    case HeaderId::kUpgrade:
    case HeaderId::kTe:
    case HeaderId::kHost:  // it is :authority
      return true;
    default: return false;
  }
}

/// The first head enters every field into the peer's HPACK table, so that names can be referred to; and once the table
/// is so full that they may have been pushed out, one head in so many does.
constexpr std::uint32_t kNamesEvery = 64;
constexpr std::size_t kNamesLastUntil = 3 * 1024;  // bytes of the 4 KiB that nghttp2's encoder uses

bool EntersNames(H2State& state) noexcept {
  const std::uint32_t number = state.heads_submitted++;
  return number == 0 || (number % kNamesEvery == 0 &&
                         nghttp2_session_get_hd_deflate_dynamic_table_size(state.session) > kNamesLastUntil);
}

/// Fields with a new value in nearly every message: those values would push others out of the table, and nghttp2 walks
/// all values of a name to find one.
bool Changes(HeaderId id) noexcept {
  switch (id) {
    case HeaderId::kXRequestId:
    case HeaderId::kRequestId:
    case HeaderId::kServerTiming:
    case HeaderId::kTraceparent:
    case HeaderId::kXForwardedFor:
    case HeaderId::kXPenstockCacheKey: return true;
    default: return false;
  }
}

/// The fields of one head as nghttp2 wants them, on the stack; nghttp2 copies what is not marked as lasting.
class FieldList {
 public:
  explicit FieldList(bool with_names) noexcept : with_names_(with_names) {}
  // False: more fields than kFieldsMax.
  bool AddRequest(const Head& head) noexcept {
    Push(":method", head.method_text(), NGHTTP2_NV_FLAG_NO_COPY_NAME);
    Push(":scheme", head.scheme(), NGHTTP2_NV_FLAG_NO_COPY_NAME);
    Push(":authority", head.authority(), NGHTTP2_NV_FLAG_NO_COPY_NAME);
    Push(":path", head.target(), NGHTTP2_NV_FLAG_NO_COPY_NAME);
    return AddFields(head);
  }
  bool AddResponse(const Head& head) noexcept {
    const auto& status = kStatusTexts[head.status - kStatusMin];
    Push(":status", {status.data(), status.size()}, NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE);
    return AddFields(head);
  }
  bool AddTrailers(const Head& trailers) noexcept { return AddFields(trailers); }

  const nghttp2_nv* data() const noexcept { return fields_.data(); }
  std::size_t size() const noexcept { return size_; }

 private:
  static constexpr std::size_t kPseudoMax = 4;

  bool AddFields(const Head& head) noexcept {
    for (std::size_t i = 0; i < head.size(); ++i) {
      const Head::Field field = head.field(i);
      if (HopByHop(field.id)) continue;
      if (size_ == fields_.size()) return false;
      if (field.id == HeaderId::kOther) {
        Push(field.name, field.value, NGHTTP2_NV_FLAG_NONE);
      } else {
        const bool enter = with_names_ || !Changes(field.id);
        Push(HeaderName(field.id), field.value,
             static_cast<std::uint8_t>((enter ? NGHTTP2_NV_FLAG_NONE : NGHTTP2_NV_FLAG_NO_INDEX) |
                                       NGHTTP2_NV_FLAG_NO_COPY_NAME));
      }
    }
    return true;
  }

  static std::uint8_t* Bytes(std::string_view text) noexcept {
    return reinterpret_cast<std::uint8_t*>(const_cast<char*>(text.data()));  // nghttp2 only reads
  }
  void Push(std::string_view name, std::string_view value, std::uint8_t flags) noexcept {
    fields_[size_++] = nghttp2_nv{Bytes(name), Bytes(value), name.size(), value.size(), flags};
  }

  std::array<nghttp2_nv, H2Codec::kFieldsMax + kPseudoMax> fields_;  // uninitialised on purpose: 10 KiB
  std::size_t size_ = 0;
  const bool with_names_;
};

ssize_t ReadBody(nghttp2_session*, std::int32_t, std::uint8_t*, std::size_t length, std::uint32_t* flags,
                 nghttp2_data_source* source, void* user_data) {
  H2State& state = H2State::Of(user_data);
  H2Stream& stream = *static_cast<H2Stream*>(source->ptr);
  Chain& out = *state.out;
  if (stream.handler == nullptr) {  // detached with its body unfinished
    stream.own_reset = true;
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  }
  if (stream.drained || stream.trailers) return NGHTTP2_ERR_DEFERRED;
  std::span<char> room = out.Reserve(kFrameHeaderBytes + std::min(length, kPieceMin));
  state.frame_begin = room.data();
  room = room.subspan(kFrameHeaderBytes);
  std::size_t asked = std::min(room.size(), length);
  BodyPiece piece = stream.handler->PullBody(room.data(), asked);
  PENSTOCK_ASSERT(piece.bytes <= asked);
  if (piece.bytes == 0 && piece.state == BodyState::kMore) {
    stream.drained = true;
    return NGHTTP2_ERR_DEFERRED;
  }
  if (piece.bytes == 0 && piece.state == BodyState::kAbort) {
    stream.own_reset = true;
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  }
  out.Commit(kFrameHeaderBytes + piece.bytes);
  std::size_t total = piece.bytes;
  while (piece.state == BodyState::kMore && piece.bytes == asked && total < length && stream.handler != nullptr &&
         !stream.trailers) {
    room = out.Reserve();
    asked = std::min(room.size(), length - total);
    piece = stream.handler->PullBody(room.data(), asked);
    PENSTOCK_ASSERT(piece.bytes <= asked);
    out.Commit(piece.bytes);
    total += piece.bytes;
  }
  if (piece.state == BodyState::kEnd) *flags |= NGHTTP2_DATA_FLAG_EOF;
  if (stream.trailers) *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
  stream.drained = piece.state == BodyState::kMore && piece.bytes < asked;
  stream.abort = piece.state == BodyState::kAbort;
  state.sending = &stream;
  *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
  return static_cast<ssize_t>(total);
}

/// The body lies in the chain already; only its frame header is missing.
int SendData(nghttp2_session*, nghttp2_frame*, const std::uint8_t* frame_header, std::size_t, nghttp2_data_source*,
             void* user_data) {
  H2State& state = H2State::Of(user_data);
  std::memcpy(state.frame_begin, frame_header, kFrameHeaderBytes);
  return state.out->size() >= state.target ? NGHTTP2_ERR_PAUSE : 0;
}

/// The answer is complete before the question: the rest of it is of no use (RFC 9113 8.1).
void EndEarly(H2State& state, H2Stream& stream) {
  if (!state.server() || stream.peer_ended) return;
  stream.own_reset = true;
  state.Note(nghttp2_submit_rst_stream(state.session, NGHTTP2_FLAG_NONE, stream.id, NGHTTP2_NO_ERROR));
}

void OnDataSent(H2State& state, const nghttp2_frame_hd& header) {
  state.budget.OnDataSent();
  H2Stream& stream = *state.sending;
  if (stream.abort) {
    stream.own_reset = true;
    state.Note(nghttp2_submit_rst_stream(state.session, NGHTTP2_FLAG_NONE, stream.id, NGHTTP2_INTERNAL_ERROR));
  } else if ((header.flags & NGHTTP2_FLAG_END_STREAM) != 0) {
    EndEarly(state, stream);
  }
}

int OnFrameSent(nghttp2_session*, const nghttp2_frame* frame, void* user_data) {
  H2State& state = H2State::Of(user_data);
  switch (frame->hd.type) {
    case NGHTTP2_DATA: OnDataSent(state, frame->hd); return 0;
    case NGHTTP2_HEADERS:
      if (auto* stream = state.Known(frame->hd.stream_id)) {
        stream->head_sent = true;
        if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) EndEarly(state, *stream);
      }
      return 0;
    case NGHTTP2_RST_STREAM: {
      state.late_headers_until = TimePoint{state.now.ns + kLateHeadersNs};
      auto* stream = state.Known(frame->hd.stream_id);
      return stream == nullptr ? 0 : state.CountProvokedReset(stream);
    }
    case NGHTTP2_SETTINGS: state.preface_sent = true; return 0;
    case NGHTTP2_GOAWAY: state.OnGoawaySent(frame->goaway.error_code); return 0;
    default: return 0;
  }
}

/// A head that nghttp2 could not send (too large for it) must not leave its stream hanging. A request's stream is
/// closed by nghttp2 itself.
int OnFrameNotSent(nghttp2_session* session, const nghttp2_frame* frame, int, void* user_data) {
  if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat == NGHTTP2_HCAT_REQUEST) return 0;
  H2State& state = H2State::Of(user_data);
  auto* stream = state.Known(frame->hd.stream_id);
  if (stream == nullptr) return 0;
  stream->own_reset = true;
  state.Note(nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_INTERNAL_ERROR));
  return 0;
}

}  // namespace

void H2Codec::SubmitResponse(std::int32_t id, const Head& head, bool end) {
  H2State& state = *state_;
  H2Stream* stream = state.Find(id);
  if (stream == nullptr || state.session == nullptr) return;
  FieldList fields(EntersNames(state));
  if (head.status < kStatusMin || head.status > kStatusMax || !fields.AddResponse(head)) {
    Reset(id, H2Error::kInternalError);
    return;
  }
  if (head.status < 200) {
    state.Note(
        nghttp2_submit_headers(state.session, NGHTTP2_FLAG_NONE, id, nullptr, fields.data(), fields.size(), nullptr));
    return;
  }
  nghttp2_data_provider body{};
  body.source.ptr = stream;
  body.read_callback = ReadBody;
  state.Note(nghttp2_submit_response(state.session, id, fields.data(), fields.size(), end ? nullptr : &body));
}

void H2Codec::SubmitTrailers(std::int32_t id, const Head& trailers) {
  H2State& state = *state_;
  H2Stream* stream = state.Find(id);
  if (stream == nullptr || state.session == nullptr || stream->trailers) return;
  FieldList fields(false);
  if (!fields.AddTrailers(trailers)) {
    Reset(id, H2Error::kInternalError);
    return;
  }
  stream->trailers = true;
  // Heads go before bodies, and what was pulled of this one is on its way: nothing of it can come behind the trailers.
  state.Note(nghttp2_submit_trailer(state.session, id, fields.data(), fields.size()));
}

std::int32_t H2Codec::SubmitRequest(const Head& head, bool end, H2StreamHandler& handler) {
  H2State& state = *state_;
  if (state.session == nullptr || state.killed != nullptr ||
      nghttp2_session_check_request_allowed(state.session) == 0) {
    return -1;
  }
  FieldList fields(EntersNames(state));
  if (!fields.AddRequest(head)) return -1;
  H2Stream* stream = state.OpenStream(0);
  if (stream == nullptr) return -1;
  stream->handler = &handler;
  nghttp2_data_provider body{};
  body.source.ptr = stream;
  body.read_callback = ReadBody;
  const std::int32_t id =
      nghttp2_submit_request(state.session, nullptr, fields.data(), fields.size(), end ? nullptr : &body, stream);
  if (id < 0) {
    state.Note(id);
    state.DropStream(*stream);
    return id;
  }
  stream->id = id;
  state.budget.OnStreamOpened();
  return id;
}

void SetSendCallbacks(nghttp2_session_callbacks* callbacks) {
  nghttp2_session_callbacks_set_send_data_callback(callbacks, SendData);
  nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, OnFrameSent);
  nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, OnFrameNotSent);
}

}  // namespace penstock::http
