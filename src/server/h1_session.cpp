#include "server/h1_session.hpp"

#include <utility>

#include "penstock/base/assert.hpp"

namespace penstock::server {
namespace {

constexpr std::size_t kPipelinedBytes = 64 * 1024;  // FAULTS H1-21
constexpr std::size_t kLingerBytes = 64 * 1024;     // FAULTS 1.2: discarded after an early answer, then close
constexpr Duration kLingerTime = std::chrono::seconds(1);
constexpr Duration kBodyWindow = std::chrono::seconds(10);  // body_min_rate is measured over this

}  // namespace

H1Session::H1Session(Connection& connection)
    : connection_(connection),
      codec_(connection.server().heads(), connection.options().h1),
      pending_(connection.worker().chunks()),
      body_(connection.worker().chunks()) {}

// --- bytes in ---

void H1Session::OnData(std::string_view bytes) {
  if (phase_ == Phase::kClosed) return;
  if (phase_ == Phase::kLinger) {
    lingered_ += bytes.size();
    if (lingered_ > kLingerBytes) connection_.Close();
    return;
  }
  if (!pending_.empty() || codec_.state() == http::H1ServerCodec::State::kComplete) {
    pending_.Append(bytes);
    if (pending_.size() > kPipelinedBytes && !read_paused_) {
      read_paused_ = true;
      connection_.transport().PauseRead();
    }
    return;
  }
  Parse(bytes);
}

void H1Session::Parse(std::string_view bytes) {
  if (phase_ == Phase::kWaiting && !bytes.empty()) {
    phase_ = Phase::kHead;
    connection_.ArmTimer(connection_.options().header_timeout);
  }
  const std::size_t taken = codec_.Feed(bytes, *this);
  bytes.remove_prefix(taken);
  if (phase_ == Phase::kClosed) return;
  if (codec_.state() == http::H1ServerCodec::State::kRejected) {
    lingered_ += bytes.size();
    return;
  }
  if (codec_.state() == http::H1ServerCodec::State::kIdle && phase_ == Phase::kHead) {
    phase_ = Phase::kWaiting;  // only empty lines so far
    connection_.ArmTimer(connection_.options().idle_timeout);
  }
  if (!bytes.empty()) pending_.Append(bytes);
}

/// The next request was waiting as bytes. Parse consumes from copies because handlers may append to pending_.
void H1Session::ParsePending() {
  Chain waiting = std::move(pending_);
  pending_ = Chain(connection_.worker().chunks());
  while (!waiting.empty() && phase_ != Phase::kClosed) {
    if (codec_.state() == http::H1ServerCodec::State::kComplete ||
        codec_.state() == http::H1ServerCodec::State::kRejected)
      break;
    const std::string_view front = waiting.Front();
    Parse(front);
    waiting.Consume(front.size());
  }
  if (phase_ == Phase::kClosed) return;
  if (codec_.state() != http::H1ServerCodec::State::kRejected) {
    if (!waiting.empty()) pending_.Append(std::move(waiting));
  }
  if (read_paused_ && pending_.size() <= kPipelinedBytes / 2) {
    read_paused_ = false;
    connection_.transport().ResumeRead();
  }
}

void H1Session::OnRequest(http::HeadPtr head, bool expect_continue) {
  const bool body_follows = head->framing != http::Framing::kNone;
  phase_ = Phase::kExchange;
  answer_ = Answer::kNone;
  version_ = head->version;
  head_request_ = head->method == http::Method::kHead;
  request_complete_ = !body_follows;
  endless_ = false;
  ++requests_;
  const Options& options = connection_.options();
  if (options.requests_per_connection != 0 && requests_ >= options.requests_per_connection) close_after_ = true;
  if (body_follows) {
    body_deadline_ = connection_.worker().Now() + options.body_timeout;
    window_bytes_ = 0;
    connection_.ArmTimer(std::min(options.body_timeout, kBodyWindow));
  } else {
    connection_.CancelTimer();
  }
  handler_ = &connection_.sink().OnRequest(*this, std::move(head), body_follows, expect_continue, nullptr);
}

void H1Session::OnBody(std::string_view bytes) {
  window_bytes_ += bytes.size();
  if (handler_ != nullptr && phase_ == Phase::kExchange) handler_->OnBody(bytes);
}

void H1Session::OnEnd() {
  if (request_complete_) return;
  PauseBody(false);
  request_complete_ = true;
  if (!watching_reader_) connection_.CancelTimer();
  if (handler_ != nullptr && phase_ == Phase::kExchange) handler_->OnEnd();
}

void H1Session::OnReject(http::HeadPtr head, const Error& error, const char* reason) {
  connection_.sink().OnProtocolReject(Protocol::kHttp1, reason);
  close_after_ = true;
  request_complete_ = false;
  connection_.CancelTimer();
  if (handler_ != nullptr) {
    // The head was fine, the body is not.
    if (answer_ == Answer::kNone) handler_->OnRequestFailed(error);
    return;
  }
  phase_ = Phase::kExchange;
  answer_ = Answer::kNone;
  version_ = head->version;
  head_request_ = head->method == http::Method::kHead;
  handler_ = &connection_.sink().OnRequest(*this, std::move(head), false, false, &error);
}

// --- the client goes, or is slow ---

void H1Session::OnFin() {
  if (phase_ != Phase::kExchange) {
    connection_.Close();
    phase_ = Phase::kClosed;
    return;
  }
  const bool answering_reject = codec_.state() == http::H1ServerCodec::State::kRejected;
  if (answering_reject || (request_complete_ && !connection_.options().half_close_is_abort)) {
    close_after_ = true;
    return;
  }
  connection_.Close();
  Gone(Departure::kClosed);
}

void H1Session::OnLost() { Gone(Departure::kClosed); }

void H1Session::Gone(Departure departure) {
  phase_ = Phase::kClosed;
  body_.Clear();
  if (handler_ != nullptr) std::exchange(handler_, nullptr)->OnGone(departure);
}

void H1Session::OnTimer() {
  switch (phase_) {
    case Phase::kWaiting:
      phase_ = Phase::kClosed;
      connection_.Close();
      return;
    case Phase::kHead: {
      const Error error = DownstreamError(ErrorCode::kRequestTimeout, "the request head took too long");
      http::HeadPtr head = connection_.server().heads().Take();
      connection_.sink().OnProtocolReject(Protocol::kHttp1, "header_timeout");
      close_after_ = true;
      phase_ = Phase::kExchange;
      answer_ = Answer::kNone;
      handler_ = &connection_.sink().OnRequest(*this, std::move(head), false, false, &error);
      return;
    }
    case Phase::kExchange:
      if (!request_complete_ && answer_ == Answer::kNone) {
        BodyTimer();
      } else {
        ReaderTimer();
      }
      return;
    case Phase::kLinger:
      phase_ = Phase::kClosed;
      connection_.Close();
      return;
    case Phase::kClosed: return;
  }
}

void H1Session::BodyTimer() {
  const Options& options = connection_.options();
  const TimePoint now = connection_.worker().Now();
  if (body_paused_ || endless_) return;
  const auto expected = options.body_min_rate * static_cast<std::uint64_t>(kBodyWindow / std::chrono::seconds(1));
  if (now >= body_deadline_ || window_bytes_ < expected) {
    connection_.sink().OnProtocolReject(Protocol::kHttp1, "body_timeout");
    close_after_ = true;
    if (handler_ != nullptr)
      handler_->OnRequestFailed(DownstreamError(ErrorCode::kRequestTimeout, "the request body came too slowly"));
    return;
  }
  window_bytes_ = 0;
  connection_.ArmTimer(std::min(body_deadline_ - now, kBodyWindow));
}

/// Armed while the kernel's buffer is full. When it has room now, what is unsent has just come, not waited.
void H1Session::ReaderTimer() {
  watching_reader_ = false;
  if (unsent() == 0 || !connection_.transport().stuck()) return;
  window_bytes_ += Progress();
  if (reader_.TooSlow(window_bytes_, connection_.options().slow_reader_timeout)) {
    connection_.sink().OnConnectionKilled("slow_reader");
    connection_.Abort();
    Gone(Departure::kSlowReader);
    return;
  }
  WatchReader();
}

/// Bytes that left since the last call. The transport also writes by itself, while it is stuck: those count.
std::uint64_t H1Session::Progress() noexcept {
  const std::uint64_t sent = connection_.transport().sent();
  return sent - std::exchange(sent_seen_, sent);
}

void H1Session::WatchReader() {
  watching_reader_ = true;
  window_bytes_ = 0;
  connection_.ArmTimer(connection_.options().slow_reader_timeout);
}

// --- the answer ---

void H1Session::SendContinue() {
  if (phase_ != Phase::kExchange || version_ == http::Version::kHttp10) return;
  connection_.transport().out().Append("HTTP/1.1 100 Continue\r\n\r\n");
  connection_.FlushLater();
}

void H1Session::SendHead(const http::Head& head, bool end) {
  PENSTOCK_ASSERT(answer_ == Answer::kNone);
  if (phase_ != Phase::kExchange) return;
  if (head_request_ || head.status == 204 || head.status == 304) {
    framing_ = http::Framing::kNone;
  } else if (head.content_length.has_value() || end) {
    framing_ = http::Framing::kLength;
  } else {
    framing_ = version_ == http::Version::kHttp10 ? http::Framing::kUntilClose : http::Framing::kChunked;
  }
  if (framing_ == http::Framing::kUntilClose || connection_.draining() || !connection_.server().keep_alive() ||
      !request_complete_ || !codec_.keep_alive())
    close_after_ = true;
  http::WriteH1ResponseHead(connection_.transport().out(), head, framing_, version_, !close_after_);
  answer_ = end ? Answer::kEnded : Answer::kHeadSent;
  connection_.FlushLater();
}

void H1Session::EndBody() {
  if (answer_ == Answer::kHeadSent) answer_ = Answer::kEnded;
  connection_.FlushLater();
}

void H1Session::CutBody() {
  if (answer_ == Answer::kHeadSent) answer_ = Answer::kCut;
  connection_.FlushLater();
}

void H1Session::Drop() {
  if (phase_ != Phase::kExchange) return;
  connection_.sink().OnConnectionKilled("memory");
  connection_.Abort();
  Gone(Departure::kDropped);
}

void H1Session::PauseBody(bool paused) {
  if (phase_ != Phase::kExchange || request_complete_ || body_paused_ == paused) return;
  body_paused_ = paused;
  const TimePoint now = connection_.worker().Now();
  if (paused) {
    connection_.transport().PauseRead();
    paused_since_ = now;
    return;
  }
  connection_.transport().ResumeRead();
  body_deadline_ = body_deadline_ + (now - paused_since_);
  if (answer_ != Answer::kNone || endless_) return;
  window_bytes_ = 0;
  connection_.ArmTimer(std::min(body_deadline_ - now, kBodyWindow));
}

/// Frames what has gathered since the last turn as one piece.
void H1Session::WriteBody() {
  Chain& out = connection_.transport().out();
  if (!body_.empty()) {
    if (framing_ == http::Framing::kNone) {
      body_.Clear();
    } else if (framing_ == http::Framing::kChunked) {
      http::WriteChunkBegin(out, body_.size());
      out.Append(std::move(body_));
      http::WriteChunkEnd(out);
    } else {
      out.Append(std::move(body_));
    }
  }
  if (answer_ == Answer::kEnded) {
    if (framing_ == http::Framing::kChunked) http::WriteLastChunk(out);
    answer_ = Answer::kTailWritten;
  }
}

void H1Session::Flush() {
  if (phase_ == Phase::kClosed || phase_ == Phase::kLinger) return;
  net::Transport& transport = connection_.transport();
  if (phase_ == Phase::kExchange && answer_ != Answer::kNone && !transport.stuck()) WriteBody();
  transport.Flush();
  if (phase_ != Phase::kExchange) return;
  const std::uint64_t progress = Progress();
  const std::size_t after = unsent();
  if (watching_reader_) window_bytes_ += progress;
  if (after == 0) {
    if (answer_ == Answer::kTailWritten) {
      Finish();
      return;
    }
    if (answer_ == Answer::kCut) {
      RequestHandler* handler = std::exchange(handler_, nullptr);
      phase_ = Phase::kClosed;
      // HTTP/1.0's only end is the close itself: it must not look like one (CONTRACT 5).
      if (framing_ == http::Framing::kUntilClose) {
        connection_.Abort();
      } else {
        connection_.Close();
      }
      if (handler != nullptr) handler->OnFinished();
      return;
    }
  } else if (transport.stuck() && !watching_reader_ && (request_complete_ || answer_ != Answer::kNone)) {
    reader_.Begin();
    WatchReader();
  }
  if (progress != 0 && answer_ == Answer::kHeadSent && handler_ != nullptr) handler_->OnSent();
}

void H1Session::Finish() {
  if (watching_reader_) {
    watching_reader_ = false;
    connection_.CancelTimer();
  }
  std::exchange(handler_, nullptr)->OnFinished();
  if (close_after_ || connection_.draining()) {
    Linger();
    return;
  }
  answer_ = Answer::kNone;
  phase_ = Phase::kWaiting;
  codec_.NextMessage();
  if (!pending_.empty()) {
    ParsePending();
  }
  if (phase_ == Phase::kWaiting) connection_.ArmTimer(connection_.options().idle_timeout);
}

/// The answer is out. Closing with unread bytes in the kernel would reset the connection and may destroy the answer on
/// its way, so what may still come is read and thrown away for a moment.
void H1Session::Linger() {
  const bool nothing_more = request_complete_ && pending_.empty();
  pending_.Clear();
  if (nothing_more) {
    phase_ = Phase::kClosed;
    connection_.Close();
    return;
  }
  phase_ = Phase::kLinger;
  connection_.transport().ShutdownWrite();
  connection_.transport().ResumeRead();
  connection_.ArmTimer(kLingerTime);
}

void H1Session::Drain() {
  close_after_ = true;  // takes effect with the next answer
}

}  // namespace penstock::server
