#include "upstream/endpoint_probe.hpp"

#include <algorithm>
#include <charconv>

#include "penstock/upstream/kind_quirks.hpp"
#include "upstream/kind_detection.hpp"

namespace penstock::upstream {
namespace {

constexpr std::size_t kBodyMax = 256 * 1024;  // llama-server's /props holds the chat template: tens of KiB
constexpr std::uint32_t kKindRoundsMax = 3;   // questions that nobody answers are not asked for ever
constexpr Duration kConnectSlack = std::chrono::seconds(1);

/// One connection; its connect timeout never comes before the check's own, which has the better words.
PoolOptions ProbeOptions(const HealthWatch& watch) {
  PoolOptions options;
  options.protocol = watch.pool.protocol;
  options.max = 1;
  options.max_streams = 1;
  options.idle_timeout = watch.check.timeout;
  options.connect_timeout = watch.check.timeout + kConnectSlack;
  options.tls = watch.pool.tls;
  options.server_name = watch.pool.server_name;
  return options;
}

bool Same(const config::HealthCheck& a, const config::HealthCheck& b) noexcept {
  return a.path == b.path && a.interval == b.interval && a.timeout == b.timeout &&
         a.unhealthy_after == b.unhealthy_after && a.healthy_after == b.healthy_after;
}

}  // namespace

EndpointProbe::EndpointProbe(HealthChecker& owner, HealthWatch watch)
    : owner_(owner),
      watch_(std::move(watch)),
      state_({watch_.check.unhealthy_after, watch_.check.healthy_after}),
      connections_(owner.worker_, *owner.heads_, *owner.memory_, ProbeOptions(watch_), *this),
      stream_(*this),
      timer_(this, [](void* self) { static_cast<EndpointProbe*>(self)->OnTimer(); }),
      request_(owner.heads_->Take()),
      kind_settled_(watch_.endpoint->spec().kind != config::EndpointKind::kAuto ||
                    watch_.endpoint->kind() != config::EndpointKind::kAuto) {
  const Url& url = watch_.endpoint->spec().url;
  const auto changed = [this] {
    if (!name_->addresses().empty() || name_->error()) connections_.SetAddresses(name_->addresses());
  };
  name_ = owner_.resolver_.Watch(url.host, url.port, owner_.worker_, changed);
  changed();
}

EndpointProbe::~EndpointProbe() = default;

void EndpointProbe::Begin() {
  watch_.endpoint->metrics.healthy.Set(owner_.slab_, watch_.endpoint->usable() ? 1 : 0);
  Round();
}

bool EndpointProbe::Matches(const HealthWatch& watch) const noexcept {
  return watch_.endpoint == watch.endpoint && Same(watch_.check, watch.check);
}

void EndpointProbe::Round() {
  round_began_ = owner_.worker_.Now();
  question_ = 0;
  doubtful_ = false;
  if (kind_settled_) {
    AskHealth();
  } else {
    AskKind();
  }
}

void EndpointProbe::Ask(std::string_view path) {
  const Endpoint& endpoint = *watch_.endpoint;
  status_ = 0;
  body_.clear();
  http::Head& head = *request_;
  head.Clear();
  head.method = http::Method::kGet;
  head.set_method_text("GET");
  head.set_scheme(endpoint.spec().url.https ? "https" : "http");
  head.set_authority(endpoint.authority());
  head.set_target(path, endpoint.spec().url.path);
  head.Add("accept", "*/*", http::HeaderId::kAccept);
  head.Add("user-agent", "penstock", http::HeaderId::kUserAgent);
  if (!endpoint.authorization().empty())
    head.Add("authorization", endpoint.authorization(), http::HeaderId::kAuthorization);
  request_began_ = owner_.worker_.Now();
  owner_.worker_.Arm(timer_, watch_.check.timeout);
  connections_.Submit(stream_, {&head, {}, 0});
}

// --- what runs there ---

void EndpointProbe::AskKind() {
  step_ = Step::kKind;
  Ask(kKindQuestions[question_].path);
}

void EndpointProbe::KindAnswered() {
  const KindQuestion& question = kKindQuestions[question_];
  if (Answers(question, status_, body_)) {
    SetKind(question.kind);
    AskHealth();
    return;
  }
  if (status_ >= 500) doubtful_ = true;  // a server that loads its model answers so to everything
  if (++question_ < kKindQuestions.size()) {
    AskKind();
  } else {
    KindUnanswered(!doubtful_);
  }
}

void EndpointProbe::KindUnanswered(bool conclusive) {
  if (conclusive) {
    SetKind(config::EndpointKind::kOpenai);
  } else {
    doubtful_ = true;
  }
  AskHealth();
}

void EndpointProbe::SetKind(config::EndpointKind kind) {
  kind_settled_ = true;
  kind_rounds_ = 0;
  if (watch_.endpoint->kind() == kind) return;
  watch_.endpoint->set_kind(kind);
  owner_.events_.OnKindDetected(*watch_.endpoint);
}

// --- whether it is well ---

void EndpointProbe::AskHealth() {
  step_ = Step::kHealth;
  const std::string& path = watch_.check.path;
  Ask(path.empty() ? QuirksOf(watch_.endpoint->kind()).health_path : std::string_view(path));
}

bool EndpointProbe::IsAlive() const noexcept {
  if (status_ >= 200 && status_ < 300) return true;
  const bool known = !watch_.check.path.empty() || QuirksOf(watch_.endpoint->kind()).health_path_known;
  return !known && status_ < 500;
}

void EndpointProbe::Conclude(policy::ProbeResult result, std::string_view reason) {
  timer_.Cancel();
  step_ = Step::kWaiting;
  asked_ = true;
  connections_.Renew();  // the next round shall see whether a new connection can be had
  Endpoint& endpoint = *watch_.endpoint;
  const bool was_usable = endpoint.usable();
  const bool fell = state_.OnProbe(result, request_began_, endpoint.load.last_progress()) && !state_.usable();
  if (doubtful_ && result == policy::ProbeResult::kOk && ++kind_rounds_ >= kKindRoundsMax)
    SetKind(config::EndpointKind::kOpenai);
  if (fell && endpoint.spec().kind == config::EndpointKind::kAuto)
    kind_settled_ = false;  // what comes back may be another server
  owner_.events_.OnChecked(endpoint, state_.good_in_a_row());
  WaitForNext();
  if (state_.health() == policy::Health::kUnknown || state_.usable() == was_usable) return;
  endpoint.set_usable(state_.usable());
  endpoint.metrics.healthy.Set(owner_.slab_, state_.usable() ? 1 : 0);
  owner_.events_.OnHealthChanged(endpoint, state_.usable(), reason);
}

/// Between 0.9 and 1.1 intervals after this round's beginning, so that checks of many gateways and endpoints spread.
void EndpointProbe::WaitForNext() {
  const auto interval = static_cast<std::uint64_t>(watch_.check.interval.count());
  const Duration delay(
      static_cast<std::int64_t>(interval - interval / 10 + owner_.worker_.prng().Below(interval / 5 + 1)));
  owner_.worker_.timers().Arm(timer_, std::max(round_began_ + delay, owner_.worker_.Now()));
}

// --- events ---

void EndpointProbe::OnTimer() {
  switch (step_) {
    case Step::kWaiting: Round(); return;
    case Step::kKind:
      // A path that hangs says nothing about health.
      stream_.Cancel();
      KindUnanswered(false);
      return;
    case Step::kHealth:
      stream_.Cancel();
      Conclude(policy::ProbeResult::kTimeout, "no answer in time");
      return;
  }
}

void EndpointProbe::OnHead(http::HeadPtr head) { status_ = head->status; }

void EndpointProbe::OnBody(std::string_view bytes) {
  if (step_ == Step::kKind) body_.append(bytes.substr(0, kBodyMax - body_.size()));
}

void EndpointProbe::OnEnd() {
  if (step_ == Step::kKind) {
    KindAnswered();
  } else if (IsAlive()) {
    Conclude(policy::ProbeResult::kOk, "ok");
  } else {
    char text[] = "status 000000";
    const auto end = std::to_chars(text + 7, text + sizeof text - 1, status_).ptr;
    Conclude(policy::ProbeResult::kFail, {text, static_cast<std::size_t>(end - text)});
  }
}

void EndpointProbe::OnFailed(const Error& error) {
  if (step_ == Step::kKind) {
    KindUnanswered(false);
  } else {
    Conclude(policy::ProbeResult::kFail, error.context);
  }
}

void EndpointProbe::OnConnectFailed(const Error&) { name_->RefreshSoon(); }

}  // namespace penstock::upstream
