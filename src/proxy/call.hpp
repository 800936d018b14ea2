#pragma once

#include <optional>

#include "penstock/llm/request_view.hpp"
#include "penstock/llm/splice.hpp"
#include "penstock/policy/circuit_breaker.hpp"
#include "penstock/policy/endpoint_load.hpp"
#include "penstock/upstream/stream.hpp"
#include "proxy/request_context.hpp"

namespace penstock::proxy {

/// A place at an endpoint, and the breaker's word that it may be used.
struct Slot {
  EndpointPool* pool = nullptr;
  policy::LoadLease lease;
  policy::BreakerPermit permit;
};

/// What a refusal says of how a call ended...
telemetry::AttemptOutcome OutcomeOfStatus(std::uint16_t status) noexcept;
/// ... and what an error does.
telemetry::AttemptOutcome OutcomeOfError(const Error& error) noexcept;

/// How a call ended.
struct CallEnd {
  telemetry::AttemptOutcome outcome = telemetry::AttemptOutcome::kCancelled;
  bool hurried = false;      ///< we gave it up too early to blame anybody
  bool resting = false;      ///< refused with a word on when to come again
  std::uint64_t tokens = 0;  ///< of the answer, where known
};

/// Owned by one Worker. One request at one endpoint: its stream, what that borrows, and the place it holds there until
/// End(); destroyed before that it counts as cancelled. Reused for the next request.
class Call {
 public:
  Call(RequestContext& context, upstream::StreamHandler& handler) : context_(context), stream_(handler) {}
  ~Call() { Cancel(); }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  /// Sends `request`, as the context's model and the endpoint's kind want it; `number` is told to the endpoint.
  void Begin(const llm::RequestView& request, Slot slot, std::uint32_t number, TimePoint now);
  /// Once: metrics, breaker and limits are told, and the place is free.
  void End(const CallEnd& how);
  void Cancel() {
    if (running()) End({});
  }
  /// What it held on to is let go: before the exchange goes back to its pool.
  void Reset();
  /// `handler` hears what comes from here on.
  void HandOver(upstream::StreamHandler& handler) noexcept { stream_.HandOver(handler); }

  bool running() const noexcept { return static_cast<bool>(lease_); }
  /// As upstream::StreamHandler has it: what let this endpoint be chosen still holds.
  bool MayBeSentNow() noexcept;
  /// It did not hold, so the call ends, which says nothing about the endpoint.
  bool withdrawn() const noexcept { return withdrawn_; }
  bool streamed() const noexcept { return streamed_; }    ///< it was asked for a stream
  bool aggregate() const noexcept { return aggregate_; }  ///< although the client was not
  EndpointPool& pool() const noexcept { return *pool_; }
  upstream::Endpoint& endpoint() const noexcept { return pool_->endpoint(); }
  upstream::Stream& stream() noexcept { return stream_; }
  const upstream::Stream& stream() const noexcept { return stream_; }
  TimePoint begun() const noexcept { return begun_; }

  /// The first content, or the head of a whole answer, came: how long that took, once.
  void SampleLatency();
  /// The first content of a stream came.
  void OnContent();
  /// A 429 or 503 that says when to come again: nobody asks the endpoint meanwhile.
  bool Rest(const http::Head& refusal);

 private:
  void TellBreaker(const CallEnd& end);
  void TellLimit(const CallEnd& end);

  RequestContext& context_;
  upstream::Stream stream_;
  EndpointPoolPtr pool_;
  policy::LoadLease lease_;
  policy::BreakerPermit permit_;
  http::HeadPtr head_;
  std::optional<llm::SplicedBody> body_;
  TimePoint begun_{};
  std::uint32_t among_ = 0;  ///< in flight at the endpoint when it began, itself included
  bool streamed_ = false;
  bool aggregate_ = false;
  bool sampled_ = false;
  bool withdrawn_ = false;
};

}  // namespace penstock::proxy
