#include "upstream/h2_client_session.hpp"

#include <algorithm>

#include "penstock/base/assert.hpp"

namespace penstock::upstream {
namespace {

constexpr std::size_t kPullBytes = 32 * 1024;
constexpr Duration kPingAfter = std::chrono::seconds(10);  // FAULTS 2.1: upstream HTTP/2 PING 10 s + 5 s
constexpr Duration kPingTimeout = std::chrono::seconds(5);

http::H2Limits LimitsOf(const PoolOptions& options) {
  http::H2Limits limits = http::H2Limits::ForClient();
  limits.stream_window = options.stream_window;
  return limits;
}

}  // namespace

H2ClientSession::H2ClientSession(Connection& connection, http::HeadPool& heads, http::H2Memory& memory)
    : connection_(connection),
      codec_(http::H2Codec::Side::kClient, memory, heads, LimitsOf(connection.options()), *this),
      last_data_(connection.worker().Now()) {
  connection_.ArmTimer(kPingAfter);
  connection_.FlushLater();
}

H2ClientSession::~H2ClientSession() {
  for (Stream* stream : streams_) codec_.Detach(stream->id_);
}

std::size_t H2ClientSession::room() const noexcept {
  if (going_away_ || dead_) return 0;
  const std::size_t limit =
      std::min<std::size_t>(connection_.options().max_streams, codec_.peer_max_concurrent_streams());
  return limit > open_ ? limit - open_ : 0;
}

void H2ClientSession::Start(Stream& stream) {
  if (open_ == 0) heard_ = false;
  if (open_ == 0 && !ping_out_) {
    last_data_ = connection_.worker().Now();
    connection_.ArmTimer(kPingAfter);
  }
  stream.session_ = this;
  stream.begun_ = true;
  const bool no_body = stream.request_.body_size == 0;
  stream.id_ = codec_.SubmitRequest(*stream.request_.head, no_body, stream);
  if (stream.id_ < 0) {
    // Stream ids are used up: this connection finishes what it has, the stream goes to another.
    going_away_ = true;
    stream.session_ = nullptr;
    stream.begun_ = false;
    connection_.pool().Enqueue(stream, true);
    connection_.pool().PumpSoon();
    CloseIfDone();
    return;
  }
  ++open_;
  stream.window_ = connection_.options().stream_window;
  stream.slot_ = static_cast<std::uint32_t>(streams_.size());
  streams_.push_back(&stream);
  connection_.FlushLater();
  if (no_body) stream.handler_->OnRequestSent();
}

void H2ClientSession::Closed(Stream& stream) noexcept {
  if (delivering_ == &stream) delivering_ = nullptr;
  PENSTOCK_ASSERT(stream.slot_ < streams_.size() && streams_[stream.slot_] == &stream);
  streams_[stream.slot_] = streams_.back();
  streams_[stream.slot_]->slot_ = stream.slot_;
  streams_.pop_back();
  --open_;
  if (open_ == 0) {
    used_ = true;
    if (going_away_) {
      CloseIfDone();
    } else {
      OnIdle();
    }
  }
  if (room() > 0) connection_.pool().Ready(connection_);
}

void H2ClientSession::Cancel(Stream& stream) { Abandon(stream, http::H2Error::kCancel); }

void H2ClientSession::Abandon(Stream& stream, http::H2Error code) {
  codec_.Detach(stream.id_);
  codec_.Reset(stream.id_, code);
  connection_.FlushLater();
  Closed(stream);
}

void H2ClientSession::Credit(Stream& stream) { codec_.Consumed(stream.id_, std::exchange(stream.uncredited_, 0u)); }

void H2ClientSession::SetPaused(Stream& stream, bool paused) {
  if (paused || stream.uncredited_ == 0) return;
  Credit(stream);
  connection_.FlushLater();
}

void H2ClientSession::GrowWindow(Stream& stream) {
  codec_.GrowWindow(stream.id_, stream.window_);
  connection_.FlushLater();
}

void H2ClientSession::Retire() {
  going_away_ = true;
  CloseIfDone();
}

void H2ClientSession::OnData(std::string_view bytes) {
  if (dead_) return;
  heard_ = true;
  last_data_ = connection_.worker().Now();
  if (!codec_.Feed(bytes, last_data_)) {
    Drop(UpstreamError(ErrorCode::kUpstreamProtocol, Retry::kUnproven, "the upstream broke HTTP/2"));
    return;
  }
  if (codec_.wants_write()) connection_.FlushLater();
}

void H2ClientSession::OnFin() {
  Drop(UpstreamError(ErrorCode::kUpstreamReset, Retry::kUnproven, "connection closed by the upstream"));
}

void H2ClientSession::OnLost(const Error& error) {
  dead_ = true;
  delivering_ = nullptr;
  const bool lost = error.code == ErrorCode::kUpstreamReset || error.code == ErrorCode::kUpstreamTls;
  const bool stale = used_ && !heard_ && lost;
  while (!streams_.empty()) {
    Stream* stream = streams_.back();
    streams_.pop_back();
    --open_;
    codec_.Detach(stream->id_);
    if (stale && !stream->replaced_) {
      connection_.pool().Replace(*stream);
      continue;
    }
    stream->Detach();
    if (stream->ended_) {
      stream->handler_->OnEnd();
    } else {
      stream->handler_->OnFailed(error);
    }
  }
}

/// Everything on this connection fails; other connections know nothing of it.
void H2ClientSession::Drop(const Error& error) {
  if (dead_) return;
  dead_ = true;
  codec_.Pull(connection_.transport().out(), kPullBytes);
  connection_.transport().Flush();
  connection_.Close();
  OnLost(error);
}

void H2ClientSession::Flush() {
  if (dead_) return;
  net::Transport& transport = connection_.transport();
  while (!transport.stuck() && transport.open()) {
    const bool alive = codec_.Pull(transport.out(), kPullBytes);
    if (!alive) {
      Drop(UpstreamError(ErrorCode::kUpstreamProtocol, Retry::kUnproven, "the HTTP/2 session ended"));
      return;
    }
    if (transport.out().empty()) return;
    transport.Flush();
  }
}

void H2ClientSession::OnIdle() {
  if (!ping_out_) connection_.ArmTimer(connection_.options().idle_timeout);
}

void H2ClientSession::OnTimer() {
  const TimePoint now = connection_.worker().Now();
  if (open_ == 0) {
    going_away_ = true;
    codec_.FinishGoaway();
    Flush();
    CloseIfDone();
    return;
  }
  if (ping_out_) {
    // No answer, and nothing else came either: the link or the peer is dead.
    if (now - last_data_ >= kPingAfter + kPingTimeout) {
      Drop(UpstreamError(ErrorCode::kUpstreamReset, Retry::kUnproven, "no answer to an HTTP/2 PING"));
      return;
    }
    ping_out_ = false;
  }
  const Duration quiet = now - last_data_;
  if (quiet >= kPingAfter) {
    ping_out_ = true;
    codec_.SubmitPing();
    connection_.FlushLater();
    connection_.ArmTimer(kPingTimeout);
  } else {
    connection_.ArmTimer(kPingAfter - quiet);
  }
}

void H2ClientSession::CloseIfDone() {
  if (going_away_ && open_ == 0 && !dead_) {
    dead_ = true;
    connection_.Close();
  }
}

void H2ClientSession::OnGoaway(http::H2Error code) {
  going_away_ = true;
  if (code == http::H2Error::kEnhanceYourCalm) connection_.pool().CalmDown();
  CloseIfDone();
  connection_.pool().PumpSoon();
}

void H2ClientSession::OnSettings() {
  if (room() > 0) connection_.pool().Ready(connection_);
}

http::H2StreamHandler* H2ClientSession::OnRequest(std::int32_t, http::HeadPtr, bool) {
  PENSTOCK_UNREACHABLE("a client's codec makes no requests");
}

http::H2StreamHandler* H2ClientSession::OnReject(std::int32_t, http::HeadPtr, bool, const Error&, const char*) {
  PENSTOCK_UNREACHABLE("a client's codec makes no requests");
}

}  // namespace penstock::upstream
