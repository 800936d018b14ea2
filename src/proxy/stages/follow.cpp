#include "penstock/proxy/error_reply.hpp"
#include "proxy/cached_answer.hpp"
#include "proxy/stages/stages.hpp"
#include "proxy/upstream_refusal.hpp"

namespace penstock::proxy {
namespace {

using cache::Landing;
using telemetry::CoalescedOutcome;

/// How following one call went.
enum class Followed : std::uint8_t {
  kAnswered,
  kAgain,  ///< the call came to nothing before anything of it was sent
  kAlone,  ///< its answer is none that can be had here
};

/// Owned by one Worker. A request on its way behind another's call: sends on what comes, at its client's pace.
class Following {
 public:
  Following(RequestContext& context, Answer& answer, cache::Follower& follower)
      : context_(context),
        answer_(answer),
        follower_(follower),
        silence_(this, [](void* self) { static_cast<Following*>(self)->OnSilence(); }) {
    context_.cache.follower = &follower_;
  }
  ~Following() { context_.cache.follower = nullptr; }
  Following(const Following&) = delete;
  Following& operator=(const Following&) = delete;

  rt::Task<Followed> Run() {
    while (true) {
      const cache::Follower::State state = follower_.Look();  // before the bytes: what has landed has all of them
      bool all_sent = true;
      if (state.open && state.form == WantedForm(context_)) {
        if (!answer_.committed() && !Adopt(state.answered_by)) co_return Followed::kAlone;
        all_sent = PassOn(state);
      }
      if (state.landing != Landing::kUnderWay && all_sent) co_return End(state);
      co_await follower_.Changed();
    }
  }

  void Count(CoalescedOutcome outcome) const {
    context_.worker.metrics.gateway.cache.coalesced[static_cast<std::size_t>(outcome)].Add(
        context_.worker.metrics.slab);
  }

 private:
  /// The answer is another model's, and says so. False: one that is not known here, or that this client may not use.
  bool Adopt(std::string_view answered_by) {
    if (answered_by.empty()) return true;
    const ModelRoute* const model = context_.snapshot().FindModel(answered_by);
    if (model == nullptr || !context_.MayUse(*model)) return false;
    context_.model = model;
    return true;
  }

  /// True: there is no more for now.
  bool PassOn(const cache::Follower::State& state) {
    if (!answer_.committed()) {
      context_.cache.status = CacheStatus::kCoalesced;
      context_.record.ttft = context_.now() - context_.record.began;
      CommitShared(context_, answer_, state.form, state.length);
    }
    const std::size_t watermark = context_.snapshot().config.server.limits.stream_buffer;
    while (true) {
      const std::size_t backlog = answer_.backlog();
      if (backlog >= watermark) {
        silence_.Cancel();  // it is the client that is behind
        return false;
      }
      if (answer_.AppendFrom(follower_, watermark - backlog) == 0) break;
    }
    AwaitSilence();
    return true;
  }

  Followed End(const cache::Follower::State& state) {
    const Landing landing = state.landing;
    if (answer_.committed()) {
      silence_.Cancel();
      if (landing == Landing::kWhole) {
        answer_.End();
        Count(CoalescedOutcome::kDone);
      } else {
        Cut();
      }
      return Followed::kAnswered;
    }
    switch (landing) {
      case Landing::kWhole:
        if (const auto entry = Landed();
            entry && Adopt(state.answered_by) && AnswerFromEntry(context_, answer_, *entry, CacheStatus::kCoalesced)) {
          Count(CoalescedOutcome::kDone);
          return Followed::kAnswered;
        }
        Count(CoalescedOutcome::kUncacheable);
        return Followed::kAlone;
      case Landing::kRefused:
        if (!Adopt(state.answered_by)) return Followed::kAlone;
        context_.cache.status = CacheStatus::kCoalesced;
        ReplyRefusal(follower_.refusal());
        Count(CoalescedOutcome::kDone);
        return Followed::kAnswered;
      case Landing::kFailed: Count(CoalescedOutcome::kLeaderFailed); return Followed::kAgain;
      case Landing::kLeft: Count(CoalescedOutcome::kLeaderGone); return Followed::kAgain;
      case Landing::kUnderWay:
      case Landing::kAlone: break;
    }
    Count(CoalescedOutcome::kUncacheable);
    return Followed::kAlone;
  }

  /// The answer in the form that is wanted here; rebuilt once for all who want that.
  std::optional<cache::Entry> Landed() {
    const std::optional<cache::Entry> entry = follower_.entry();
    if (!entry.has_value() || !HasOtherForm(context_, *entry)) return entry;
    const bool with_usage = context_.request->include_usage;
    if (const auto shared = follower_.rebuilt(with_usage)) return shared;
    const std::optional<cache::Entry> rebuilt = Rebuilt(context_, *entry);
    if (rebuilt.has_value()) follower_.ShareRebuilt(with_usage, *rebuilt);
    return rebuilt;
  }

  void ReplyRefusal(const cache::SharedRefusal& refusal) {
    const http::HeadPtr head = context_.worker.heads.Take();
    head->status = refusal.status;
    const UpstreamRefusal read = ReadRefusal(context_, refusal.status, refusal.body);
    context_.record.hopeless = read.hopeless();
    answer_.ReplyUpstream(*head, "application/json", read.body);
  }

  /// What it followed broke after commit: the client is told as if it had been its own call.
  void Cut() {
    const Error error =
        UpstreamError(ErrorCode::kUpstreamReset, Retry::kUnproven, "the stream ended before the answer did");
    answer_.Break(context_.request->stream ? BreakPoint::kAnywhere : BreakPoint::kBody, error);
    context_.record.term = RowOf(error).term;
    Count(CoalescedOutcome::kLeaderFailed);
  }

  void AwaitSilence() {
    const Duration keepalive = context_.snapshot().config.server.sse_keepalive;
    if (keepalive > Duration::zero() && WantedForm(context_) == cache::Form::kEvents)
      context_.worker.worker.Arm(silence_, keepalive);
  }
  void OnSilence() {
    answer_.Append(kKeepaliveComment);
    AwaitSilence();
  }

  RequestContext& context_;
  Answer& answer_;
  cache::Follower& follower_;
  rt::Timer silence_;
};

cache::Lead::Limits LimitsOf(const RequestContext& context) {
  const config::Config& config = context.snapshot().config;
  return {config.cache.max_entry, config.server.limits.response_body};
}

}  // namespace

rt::Task<bool> Follow(RequestContext& context, Answer& answer) {
  CachePart& part = context.cache;
  const llm::Family family = context.family();
  cache::FlightTable& flights = context.worker.tiers.shared().flights;
  if (part.admission.coalesce && context.snapshot().config.cache.coalesce) {
    cache::Follower follower(context.worker.worker);
    Following following(context, answer, follower);
    while (true) {
      const cache::FlightTable::Joined joined = flights.Join(part.key->digest);
      if (joined.leader) {
        part.lead.emplace(flights, joined.flight, *part.key, family, LimitsOf(context));
        joined.flight->Watch(&context.worker.worker, part.followers_changed);
        co_return false;
      }
      const cache::Boarding boarding = follower.Board(joined.flight);
      if (boarding == cache::Boarding::kOver) continue;  // it is out of the table already
      if (boarding == cache::Boarding::kFull) {
        following.Count(CoalescedOutcome::kCrowded);
        break;
      }
      const Followed followed = co_await following.Run();
      if (followed == Followed::kAnswered) co_return true;
      context.model = context.asked;
      if (followed == Followed::kAlone) break;
    }
  }
  if (part.admission.store) part.lead.emplace(flights.Alone(), *part.key, family, LimitsOf(context));
  co_return false;
}

}  // namespace penstock::proxy
