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
  options.connect_timeout = std::max(watch.check.timeout, watch.check.warmup.timeout) + kConnectSlack;
  options.tls = watch.pool.tls;
  options.server_name = watch.pool.server_name;
  return options;
}

std::string_view PathOf(config::WarmupApi api) noexcept {
  switch (api) {
    case config::WarmupApi::kChat: break;
    case config::WarmupApi::kCompletions: return "/v1/completions";
    case config::WarmupApi::kEmbeddings: return "/v1/embeddings";
  }
  return "/v1/chat/completions";
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
  SetWarming(watch_.endpoint->warming() && watch_.check.warmup.enabled());
  Round();
}

bool EndpointProbe::Matches(const HealthWatch& watch) const noexcept {
  return watch_.endpoint == watch.endpoint && watch_.check == watch.check && watch_.warmup == watch.warmup;
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

void EndpointProbe::Ask(http::Method method, std::string_view path, std::string_view body, Duration timeout) {
  const Endpoint& endpoint = *watch_.endpoint;
  status_ = 0;
  body_.clear();
  http::Head& head = *request_;
  head.Clear();
  head.method = method;
  head.set_method_text(method == http::Method::kPost ? "POST" : "GET");
  head.set_scheme(endpoint.spec().url.https ? "https" : "http");
  head.set_authority(endpoint.authority());
  head.set_target(path, endpoint.spec().url.path);
  head.Add("accept", "*/*", http::HeaderId::kAccept);
  head.Add("user-agent", "penstock", http::HeaderId::kUserAgent);
  if (!endpoint.authorization().empty())
    head.Add("authorization", endpoint.authorization(), http::HeaderId::kAuthorization);
  if (!body.empty()) {
    head.Add("content-type", "application/json", http::HeaderId::kContentType);
    head.content_length = body.size();
  }
  request_began_ = owner_.worker_.Now();
  owner_.worker_.Arm(timer_, timeout);
  sent_ = body;
  connections_.Submit(stream_, {&head, {&sent_, body.empty() ? 0u : 1u}, body.size()});
}

// --- what runs there ---

void EndpointProbe::AskKind() {
  step_ = Step::kKind;
  Ask(http::Method::kGet, kKindQuestions[question_].path, {}, watch_.check.timeout);
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
  Ask(http::Method::kGet, path.empty() ? QuirksOf(watch_.endpoint->kind()).health_path : std::string_view(path), {},
      watch_.check.timeout);
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
  Endpoint& endpoint = *watch_.endpoint;
  const bool was_usable = endpoint.usable();
  const bool was_warming = endpoint.warming();
  const bool fell = state_.OnProbe(result, request_began_, endpoint.load.last_progress()) && !state_.usable();
  if (doubtful_ && result == policy::ProbeResult::kOk && ++kind_rounds_ >= kKindRoundsMax)
    SetKind(config::EndpointKind::kOpenai);
  if (fell && endpoint.spec().kind == config::EndpointKind::kAuto)
    kind_settled_ = false;  // what comes back may be another server
  owner_.events_.OnChecked(endpoint, state_.good_in_a_row());
  const bool joins = state_.health() == policy::Health::kHealthy && !was_usable;
  if (joins && result == policy::ProbeResult::kOk && watch_.check.warmup.enabled()) {
    AskWarmup();
    return;
  }
  const bool owes = joins && watch_.check.warmup.enabled();  // a warm-up, and this check was not good
  const bool changed = state_.usable() != was_usable || (fell && was_warming);
  if (changed && !owes && state_.health() != policy::Health::kUnknown) SetUsable(state_.usable(), reason);
  if (result != policy::ProbeResult::kOk || !endpoint.usable() || !AskMetrics()) EndRound();
}

void EndpointProbe::EndRound() {
  timer_.Cancel();
  step_ = Step::kWaiting;
  connections_.Renew();  // the next round shall see whether a new connection can be had
  WaitForNext();
}

void EndpointProbe::SetUsable(bool usable, std::string_view reason) {
  Endpoint& endpoint = *watch_.endpoint;
  SetWarming(false);
  endpoint.load.SetUsable(usable, owner_.worker_.Now());
  endpoint.metrics.healthy.Set(owner_.slab_, usable ? 1 : 0);
  if (!usable) endpoint.load.SetElsewhere(0);
  owner_.events_.OnHealthChanged(endpoint, usable, reason);
}

// --- the first answer ---

void EndpointProbe::SetWarming(bool warming) {
  watch_.endpoint->set_warming(warming);
  watch_.endpoint->metrics.warming.Set(owner_.slab_, warming ? 1 : 0);
}

void EndpointProbe::AskWarmup() {
  step_ = Step::kWarmup;
  SetWarming(true);
  owner_.events_.OnWarmupBegan(*watch_.endpoint);
  const config::Warmup& warmup = watch_.check.warmup;
  Ask(http::Method::kPost, PathOf(warmup.api), watch_.warmup, warmup.timeout);
}

/// `failure`: empty when it was a whole answer.
void EndpointProbe::ConcludeWarmup(std::string_view failure) {
  EndRound();
  if (failure.empty()) {
    SetUsable(true, "warmed up");
  } else {
    owner_.events_.OnWarmupFailed(*watch_.endpoint, failure);
  }
}

// --- what others have there ---

/// False: its kind tells nobody, or nobody wants to know.
bool EndpointProbe::AskMetrics() {
  const MetricsPage::Names& names = QuirksOf(watch_.endpoint->kind()).load_metrics;
  if (!watch_.check.metrics || names[0].empty()) {
    watch_.endpoint->load.SetElsewhere(0);
    return false;
  }
  step_ = Step::kMetrics;
  page_.Begin(names);
  Ask(http::Method::kGet, "/metrics", {}, watch_.check.timeout);
  return true;
}

/// What it has less what it has from here. Both change while the page is on its way: this corrects a count that was
/// wrong for long, and follows no single request.
void EndpointProbe::ConcludeMetrics() {
  EndRound();
  policy::EndpointLoad& load = watch_.endpoint->load;
  const std::uint32_t all = status_ == 200 ? page_.Sum().value_or(0) : 0;
  const std::uint32_t ours = load.in_flight();
  load.SetElsewhere(all > ours ? all - ours : 0);
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
    case Step::kWarmup:
      stream_.Cancel();
      ConcludeWarmup("no answer in time");
      return;
    case Step::kMetrics:
      stream_.Cancel();
      status_ = 0;
      ConcludeMetrics();
      return;
  }
}

void EndpointProbe::OnHead(http::HeadPtr head) { status_ = head->status; }

void EndpointProbe::OnBody(std::string_view bytes) {
  if (step_ == Step::kKind) body_.append(bytes.substr(0, kBodyMax - body_.size()));
  if (step_ == Step::kMetrics) page_.Feed(bytes);
}

std::string_view EndpointProbe::StatusText() {
  constexpr std::string_view kWord = "status ";
  char* const begin = status_text_.data();
  const auto end =
      std::to_chars(std::copy(kWord.begin(), kWord.end(), begin), begin + status_text_.size(), status_).ptr;
  return {begin, static_cast<std::size_t>(end - begin)};
}

void EndpointProbe::OnEnd() {
  if (step_ == Step::kKind) {
    KindAnswered();
  } else if (step_ == Step::kWarmup) {
    ConcludeWarmup(status_ == 200 ? std::string_view{} : StatusText());
  } else if (step_ == Step::kMetrics) {
    ConcludeMetrics();
  } else if (IsAlive()) {
    Conclude(policy::ProbeResult::kOk, "ok");
  } else {
    Conclude(policy::ProbeResult::kFail, StatusText());
  }
}

void EndpointProbe::OnFailed(const Error& error) {
  if (step_ == Step::kKind) {
    KindUnanswered(false);
  } else if (step_ == Step::kWarmup) {
    ConcludeWarmup(error.context);
  } else if (step_ == Step::kMetrics) {
    status_ = 0;
    ConcludeMetrics();
  } else {
    Conclude(policy::ProbeResult::kFail, error.context);
  }
}

void EndpointProbe::OnConnectFailed(const Error&) { name_->RefreshSoon(); }

}  // namespace penstock::upstream
