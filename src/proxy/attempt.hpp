#pragma once

#include <optional>
#include <string>
#include <variant>

#include "penstock/llm/splice.hpp"
#include "penstock/policy/circuit_breaker.hpp"
#include "penstock/policy/endpoint_load.hpp"
#include "penstock/rt/task.hpp"
#include "penstock/upstream/stream.hpp"
#include "proxy/relay.hpp"
#include "proxy/upstream_refusal.hpp"

namespace penstock::proxy {

/// How an attempt ended, for the loop around it.
struct AttemptResult {
  enum class Kind : std::uint8_t {
    kDelivered,    ///< the whole answer went to the client
    kRefused,      ///< the upstream said no, with `status`; nothing was committed
    kFailed,       ///< `error`; nothing was committed
    kInterrupted,  ///< `error` after commit; the client was told in-band
    kBroken,       ///< `error` after commit; the client waits, for another answer may take over
  };
  Kind kind = Kind::kFailed;
  Error error{};
  std::uint16_t status = 0;
};

/// A try that goes on with a committed stream that broke.
struct Takeover {
  const llm::RequestView* request = nullptr;  ///< what to ask; outlives the try
  llm::StreamSeam::From from{};               ///< where in the client's text the answer to that begins
};

/// Owned by one Worker. One try at one endpoint: sends the request, runs the timeout ladder (headers, first token,
/// idle; the deadline is the exchange's), feeds the answer to a relay. Reused for the next try.
class Attempt final : public upstream::StreamHandler {
 public:
  Attempt(RequestContext& context, Answer& answer);

  /// Begins. The result comes through Done().
  void Begin(EndpointPool& pool, policy::LoadLease lease, policy::BreakerPermit permit, std::uint32_t number,
             const Takeover* takeover = nullptr);
  rt::Signal& Done() noexcept { return done_; }
  const AttemptResult& result() const noexcept { return result_; }
  /// What the client has of the stream; null: it was not noted.
  const llm::StreamSeam* seam() const noexcept { return seam_.has_value() ? &*seam_ : nullptr; }
  const EndpointPool& pool() const noexcept { return *pool_; }
  bool asked_twice() const noexcept { return stream_.replaced(); }
  /// A refused attempt's answer, and its body as the upstream sent it.
  const http::Head& refusal_head() const noexcept { return *refusal_head_; }
  const UpstreamRefusal& refusal() const noexcept { return refusal_; }
  const std::string& refusal_as_sent() const noexcept;

  /// The client is gone, or the deadline came: at once, without a result.
  void Cancel();
  /// The deadline came (or a drain's end): as if the upstream had failed with `error`.
  void Expire(const Error& error);
  /// The client took bytes.
  void OnSent();
  /// Others want the answer too, at their own pace.
  void OnFollowed();
  bool running() const noexcept { return stream_.active(); }
  /// Forgets the last try: before the exchange goes back to its pool.
  void Reset();

 private:
  void OnRequestSent() override;
  void OnHead(http::HeadPtr head) override;
  void OnBody(std::string_view bytes) override;
  void OnEnd() override;
  void OnFailed(const Error& error) override;

  void PrepareSeam(const Takeover* takeover);
  void Handle(const RelayStep& step);
  void Refuse(std::uint16_t status);
  void Fail(const Error& error);
  bool MayBeRescued(const Error& error) const noexcept;
  void Finish(AttemptResult::Kind kind, const Error& error);
  void Await(Duration limit, const char* what);
  void Progress(const RelayStep& step);
  void AwaitSilence();
  void OnTimer();
  std::size_t PauseAt() const noexcept;
  void Backpressure();
  void Resume();
  std::size_t HeldMax() const noexcept;
  void CountOutcome();
  void TellBreaker(telemetry::AttemptOutcome outcome);
  /// How long the endpoint took, or at least takes: once per attempt.
  void SampleLatency();
  void TellLimit(telemetry::AttemptOutcome outcome);
  /// It asked for a pause: nobody asks it meanwhile.
  bool RestEndpoint();

  RequestContext& context_;
  Answer& answer_;
  upstream::Stream stream_;
  rt::Timer timer_;
  rt::Signal done_;
  EndpointPoolPtr pool_;
  policy::LoadLease lease_;
  policy::BreakerPermit permit_;
  http::HeadPtr request_head_;
  std::optional<llm::SplicedBody> body_;
  std::variant<std::monostate, PlainRelay, StreamRelay, AggregateRelay, RefusalRelay> relay_;
  std::optional<llm::StreamSeam> seam_;
  http::HeadPtr refusal_head_;
  UpstreamRefusal refusal_;
  AttemptResult result_;
  TimePoint begun_{};
  std::uint32_t among_ = 0;           ///< in flight at the endpoint when it began, itself included
  TimePoint due_ = TimePoint::Max();  ///< when the current wait is over; the timer may fire earlier and look again
  const char* awaited_ = "";
  TimePoint keepalive_due_ = TimePoint::Max();
  std::size_t watermark_ = 0;  ///< what this answer may hold here, doubled for readers that keep up
  std::size_t received_ = 0;   ///< since the watermark was set
  bool streamed_ = false;      ///< the upstream was asked for a stream
  bool aggregate_ = false;     ///< although the client was not
  bool content_seen_ = false;
  bool sampled_ = false;  ///< its latency
  bool paused_ = false;
  bool cancelled_ = false;
  bool takes_over_ = false;
  bool resting_ = false;  ///< refused with a word on when to come again
};

}  // namespace penstock::proxy
