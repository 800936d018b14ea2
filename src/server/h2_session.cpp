#include "server/h2_session.hpp"

#include <utility>

#include "penstock/base/assert.hpp"
#include "penstock/rt/task.hpp"

namespace penstock::server {
namespace {

constexpr std::size_t kPullBytes = 32 * 1024;               // frames gathered per write
constexpr Duration kTick = std::chrono::seconds(1);         // how often streams are looked at while there are any
constexpr Duration kGoawayGap = std::chrono::seconds(1);    // between the two steps of a graceful GOAWAY: a round trip
constexpr Duration kBodyWindow = std::chrono::seconds(10);  // body_min_rate is measured over this
constexpr std::uint32_t kWindowMax = 64 * 1024;             // of a request body that outgrows the first window

}  // namespace

// --- H2Stream ---

H2Stream::H2Stream(H2Session& session, std::int32_t id)
    : session_(session), body_(session.connection_.worker().chunks()), id_(id) {}

void* H2Stream::operator new(std::size_t size) { return rt::AllocateFrame(size); }
void H2Stream::operator delete(void* memory, std::size_t size) noexcept { rt::FreeFrame(memory, size); }

const rt::Address& H2Stream::peer() const noexcept { return session_.connection_.transport().peer(); }
bool H2Stream::Covers(std::string_view host) { return session_.connection_.transport().Covers(host); }

void H2Stream::SendContinue() {
  http::HeadPtr head = session_.connection_.server().heads().Take();
  head->status = 100;
  session_.codec_.SubmitResponse(id_, *head, false);
  session_.connection_.FlushLater();
}

void H2Stream::SendHead(const http::Head& head, bool end) {
  PENSTOCK_ASSERT(answer_ == Answer::kNone);
  end |= head_request_;
  answer_ = end ? Answer::kEnded : Answer::kHeadSent;
  session_.codec_.SubmitResponse(id_, head, end);
  session_.connection_.FlushLater();
}

void H2Stream::BodyReady() {
  session_.codec_.ResumeBody(id_);
  session_.connection_.FlushLater();
}

void H2Stream::EndBody() {
  if (head_request_) body_.Clear();
  if (answer_ != Answer::kHeadSent) return;
  answer_ = Answer::kEnding;
  BodyReady();
}

void H2Stream::EndWith(const http::Head& trailers) {
  if (head_request_ || answer_ != Answer::kHeadSent) return EndBody();
  if (body_.empty()) {
    answer_ = Answer::kEnded;
    session_.codec_.SubmitTrailers(id_, trailers);
    session_.connection_.FlushLater();
    return;
  }
  trailers_ = session_.connection_.server().heads().Take();
  for (std::size_t i = 0; i < trailers.size(); ++i) {
    const http::Head::Field field = trailers.field(i);
    trailers_->Add(field.name, field.value, field.id);
  }
  EndBody();
}

void H2Stream::CutBody() {
  if (answer_ != Answer::kHeadSent) return;
  answer_ = Answer::kCutting;
  BodyReady();
}

void H2Stream::Drop() {
  // The codec may be held up by a socket that nobody reads: what is held goes now, and so does the handler.
  body_.Clear();
  trailers_.reset();
  answer_ = Answer::kHeadSent;  // not finished, whatever was said
  session_.codec_.Reset(id_, http::H2Error::kInternalError);
  session_.connection_.FlushLater();
  if (handler_ != nullptr) std::exchange(handler_, nullptr)->OnGone(Departure::kDropped);
}

void H2Stream::OnResponse(http::HeadPtr, bool) { PENSTOCK_UNREACHABLE("a server's stream gets no response"); }

void H2Stream::PauseBody(bool paused) {
  if (std::exchange(body_paused_, paused) == paused) return;
  const TimePoint now = session_.connection_.worker().Now();
  if (paused) {
    paused_since_ = now;
    return;
  }
  body_deadline_ = body_deadline_ + (now - paused_since_);
  if (answer_ == Answer::kNone) {
    looked_at_ = now;
    window_bytes_ = 0;
  }
  if (owed_ == 0) return;
  session_.codec_.Consumed(id_, std::exchange(owed_, 0u));
  session_.connection_.FlushLater();
}

void H2Stream::OnBody(std::string_view bytes) {
  if (answer_ == Answer::kNone) window_bytes_ += bytes.size();
  if (body_paused_) {
    owed_ += static_cast<std::uint32_t>(bytes.size());
  } else {
    // The exchange holds the body until it is whole, under limits of its own, so the window may reopen at once.
    session_.codec_.Consumed(id_, bytes.size());
  }
  // A question longer than its window is about to wait for a round trip per window.
  if (!window_grown_ && !body_paused_ &&
      (received_ += bytes.size()) > session_.connection_.options().h2.stream_window / 2) {
    window_grown_ = true;
    session_.codec_.GrowWindow(id_, kWindowMax);
  }
  if (handler_ != nullptr && !failed_) handler_->OnBody(bytes);
}

void H2Stream::OnEnd() {
  request_complete_ = true;
  window_bytes_ = 0;
  looked_at_ = session_.connection_.worker().Now();
  if (handler_ != nullptr && !failed_) handler_->OnEnd();
}

http::BodyPiece H2Stream::PullBody(char* to, std::size_t capacity) {
  std::size_t n = body_.Read(to, capacity);
  const bool over = body_.empty() && (answer_ == Answer::kEnding || answer_ == Answer::kCutting);
  if (n != 0 && !over && handler_ != nullptr) {
    // What the handler appends or ends now is looked at here: the codec, which is reading, would not be asked again.
    handler_->OnSent();
    n += body_.Read(to + n, capacity - n);
  }
  window_bytes_ += n;
  if (body_.empty()) {
    if (answer_ == Answer::kEnding) {
      answer_ = Answer::kEnded;
      if (trailers_ != nullptr) {
        session_.codec_.SubmitTrailers(id_, *std::exchange(trailers_, nullptr));
        return {n, http::BodyState::kMore};
      }
      return {n, http::BodyState::kEnd};
    }
    if (answer_ == Answer::kCutting) return {n, http::BodyState::kAbort};
  }
  return {n, http::BodyState::kMore};
}

void H2Stream::OnClosed(http::H2Error, http::H2Fate) {
  RequestHandler* handler = std::exchange(handler_, nullptr);
  const bool finished = answer_ == Answer::kEnded || answer_ == Answer::kCutting;
  const Departure departure = session_.codec_.killed_reason() != nullptr ? Departure::kProtocolError : departure_;
  session_.Remove(*this);
  if (handler == nullptr) return;
  if (finished) {
    handler->OnFinished();
  } else {
    handler->OnGone(departure);
  }
}

// --- H2Session ---

H2Session::H2Session(Connection& connection)
    : connection_(connection),
      codec_(http::H2Codec::Side::kServer, connection.server().h2_memory(), connection.server().heads(),
             connection.options().h2, *this) {
  connection_.ArmTimer(connection_.options().header_timeout);
  connection_.FlushLater();  // our SETTINGS
}

H2Session::~H2Session() { CloseStreams(Departure::kClosed); }

void H2Session::OnData(std::string_view bytes) {
  if (phase_ == Phase::kDead || phase_ == Phase::kClosed) return;
  const bool alive = codec_.Feed(bytes, connection_.worker().Now());
  if (!alive) {
    Die();
    return;
  }
  if (codec_.wants_write()) connection_.FlushLater();
}

/// The codec is done, well or not: every stream was told, its last words are written, then the connection closes.
void H2Session::Die() {
  phase_ = Phase::kDead;
  if (const char* reason = codec_.killed_reason(); reason != nullptr) connection_.sink().OnConnectionKilled(reason);
  connection_.FlushLater();
}

void H2Session::OnFin() {
  // HTTP/2 has no half-close at the connection: who closes it leaves.
  phase_ = Phase::kClosed;
  connection_.Close();
  CloseStreams(Departure::kClosed);
}

void H2Session::OnLost() {
  phase_ = Phase::kClosed;
  CloseStreams(Departure::kClosed);
}

void H2Session::CloseStreams(Departure departure) {
  for (H2Stream* stream = first_; stream != nullptr; stream = stream->next_) stream->departure_ = departure;
  codec_.ConnectionLost();
}

H2Stream* H2Session::Open(std::int32_t id) {
  auto* stream = new H2Stream(*this, id);
  stream->next_ = first_;
  stream->link_ = &first_;
  if (first_ != nullptr) first_->link_ = &stream->next_;
  first_ = stream;
  stream->looked_at_ = connection_.worker().Now();
  StartTicking();
  return stream;
}

void H2Session::Remove(H2Stream& stream) {
  *stream.link_ = stream.next_;
  if (stream.next_ != nullptr) stream.next_->link_ = stream.link_;
  delete &stream;
  if (first_ == nullptr && phase_ == Phase::kGoingAway) connection_.FlushLater();
}

http::H2StreamHandler* H2Session::OnRequest(std::int32_t id, http::HeadPtr head, bool end) {
  H2Stream* stream = Open(id);
  stream->request_complete_ = end;
  stream->head_request_ = head->method == http::Method::kHead;
  if (!end) stream->body_deadline_ = connection_.worker().Now() + connection_.options().body_timeout;
  const bool expect = !end && head->Find(http::HeaderId::kExpect) == "100-continue";
  stream->handler_ = &connection_.sink().OnRequest(*stream, std::move(head), !end, expect, nullptr);
  if (std::exchange(drain_owed_, false)) Drain();
  return stream;
}

http::H2StreamHandler* H2Session::OnReject(std::int32_t id, http::HeadPtr head, bool end, const Error& error,
                                           const char* reason) {
  connection_.sink().OnProtocolReject(Protocol::kHttp2, reason);
  H2Stream* stream = Open(id);
  stream->failed_ = true;
  stream->head_request_ = head->method == http::Method::kHead;
  stream->request_complete_ = end;
  stream->handler_ = &connection_.sink().OnRequest(*stream, std::move(head), false, false, &error);
  return stream;
}

/// The preface is whole with the first SETTINGS: a client that was given h2 by ALPN may leave it out or half.
void H2Session::OnSettings() {
  if (std::exchange(greeted_, true) || ticking_) return;
  connection_.ArmTimer(connection_.options().idle_timeout_h2);
}

void H2Session::Flush() {
  net::Transport& transport = connection_.transport();
  while (phase_ != Phase::kClosed && !transport.stuck()) {
    const bool alive = codec_.Pull(transport.out(), kPullBytes);
    if (!alive && phase_ != Phase::kDead) Die();
    if (transport.out().empty()) break;
    transport.Flush();
  }
  if (phase_ == Phase::kClosed) return;
  if (!transport.out().empty()) {
    WatchReader();
    return;
  }
  watching_reader_ = false;
  if (phase_ == Phase::kDead) {
    phase_ = Phase::kClosed;
    connection_.Close();
  }
}

// --- time ---

void H2Session::StartTicking() {
  if (ticking_) return;
  ticking_ = true;
  connection_.ArmTimer(kTick);
}

void H2Session::OnTimer() {
  const TimePoint now = connection_.worker().Now();
  if (phase_ == Phase::kClosed) return;
  if (!ticking_ && !greeted_) {
    connection_.sink().OnConnectionKilled("handshake_timeout");
    phase_ = Phase::kClosed;
    connection_.Close();
    return;
  }
  if (!ticking_) {
    // Idle: say goodbye properly; the codec ends when the GOAWAY is out.
    phase_ = Phase::kGoingAway;
    drain_step_ = TimePoint::Max();
    codec_.FinishGoaway();
    connection_.FlushLater();
    return;
  }
  ticking_ = false;
  if (ReaderTooSlow(now)) {
    connection_.sink().OnConnectionKilled("slow_reader");
    phase_ = Phase::kClosed;
    connection_.Abort();
    CloseStreams(Departure::kSlowReader);
    return;
  }
  for (H2Stream* stream = first_; stream != nullptr;) {
    H2Stream* next = stream->next_;
    Look(*stream, now);
    stream = next;
  }
  if (phase_ == Phase::kGoingAway && now >= drain_step_) {
    drain_step_ = TimePoint::Max();
    codec_.FinishGoaway();
    connection_.FlushLater();
  }
  if (first_ != nullptr || watching_reader_ || (phase_ == Phase::kGoingAway && drain_step_ != TimePoint::Max())) {
    StartTicking();
  } else {
    connection_.ArmTimer(connection_.options().idle_timeout_h2);
  }
}

void H2Session::WatchReader() {
  StartTicking();
  if (std::exchange(watching_reader_, true)) return;
  reader_.Begin();
  reader_since_ = connection_.worker().Now();
  reader_had_ = connection_.transport().sent();
}

/// The connection's turn. Its streams may all have been answered: their last bytes are waiting here.
bool H2Session::ReaderTooSlow(TimePoint now) {
  const Duration window = connection_.options().slow_reader_timeout;
  if (!watching_reader_ || now - reader_since_ < window) return false;
  const std::uint64_t sent = connection_.transport().sent();
  const std::uint64_t taken = sent - std::exchange(reader_had_, sent);
  reader_since_ = now;
  return reader_.TooSlow(taken, window);
}

/// A stream's turn under the eye of the clock: bodies that come too slowly, answers that nobody takes.
void H2Session::Look(H2Stream& stream, TimePoint now) {
  const Options& options = connection_.options();
  if (!stream.request_complete_ && !stream.failed_ && stream.answer_ == H2Stream::Answer::kNone && !stream.endless_) {
    if (stream.body_paused_) return;
    const bool window_over = now - stream.looked_at_ >= kBodyWindow;
    const auto expected = options.body_min_rate * static_cast<std::uint64_t>(kBodyWindow / std::chrono::seconds(1));
    if (now >= stream.body_deadline_ || (window_over && stream.window_bytes_ < expected)) {
      stream.failed_ = true;
      connection_.sink().OnProtocolReject(Protocol::kHttp2, "body_timeout");
      if (stream.handler_ != nullptr) {
        stream.handler_->OnRequestFailed(
            DownstreamError(ErrorCode::kRequestTimeout, "the request body came too slowly"));
      }
    } else if (window_over) {
      stream.looked_at_ = now;
      stream.window_bytes_ = 0;
    }
    return;
  }
  if (stream.body_.empty()) {
    stream.looked_at_ = now;
    stream.window_bytes_ = 0;
    stream.reader_.Begin();
    return;
  }
  if (now - stream.looked_at_ < options.slow_reader_timeout) return;
  if (stream.reader_.TooSlow(stream.window_bytes_, options.slow_reader_timeout)) {
    connection_.sink().OnConnectionKilled("slow_reader");
    stream.departure_ = Departure::kSlowReader;
    stream.answer_ = H2Stream::Answer::kHeadSent;
    codec_.Reset(stream.id_, http::H2Error::kCancel);
    connection_.FlushLater();
  }
  stream.looked_at_ = now;
  stream.window_bytes_ = 0;
}

/// Who connects while listeners still accept has one question at least, about our health it may be: GOAWAY before it
/// would have that client come again and again.
void H2Session::Drain() {
  if (phase_ != Phase::kOpen) return;
  if (!greeted_) {
    drain_owed_ = true;
    return;
  }
  phase_ = Phase::kGoingAway;
  codec_.BeginGoaway();
  drain_step_ = connection_.worker().Now() + kGoawayGap;
  StartTicking();
  connection_.FlushLater();
}

}  // namespace penstock::server
