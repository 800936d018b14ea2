#include "proxy/exchange.hpp"

#include <algorithm>

#include "penstock/proxy/error_reply.hpp"
#include "penstock/proxy/gateway.hpp"
#include "penstock/telemetry/log.hpp"
#include "proxy/client_address.hpp"
#include "proxy/header_rules.hpp"
#include "proxy/local_answers.hpp"
#include "proxy/pipeline.hpp"
#include "proxy/stages/stages.hpp"
#include "proxy/text.hpp"

namespace penstock::proxy {
namespace {

constexpr std::size_t kBodyReserveMax = 64 * 1024;  // announced sizes are believed up to here
constexpr std::size_t kBodyKeepMax = 16 * 1024;     // a recycled exchange keeps a buffer of this size at most

}  // namespace

void RequestContext::Clear(std::size_t body_keep_max) {
  client = nullptr;
  head.reset();
  route_index = 0;
  route = nullptr;
  argument = {};
  if (body.capacity() > body_keep_max) {
    std::string().swap(body);  // an assignment of an empty one would keep the buffer (libstdc++)
  } else {
    body.clear();
  }
  request.reset();
  tenant = nullptr;
  asked = nullptr;
  model = nullptr;
  cluster = nullptr;
  cache.Clear();
  grpc = nullptr;
  deadline = latest = {};
  record = {};
  peer.clear();
  told = false;
  std::string().swap(answer_start);
  view.reset();  // last: the pointers above lead into it
}

Exchange::Exchange(Gateway& gateway, WorkerContext& worker)
    : gateway_(gateway),
      context_(worker),
      answer_(context_),
      attempt_(context_, answer_),
      deadline_timer_(this, [](void* self) { static_cast<Exchange*>(self)->OnDeadline(); }) {
  context_.deadline_timer = &deadline_timer_;
  context_.cache.followers_changed = [this] { OnFollowersChanged(); };
}

void Exchange::Begin(server::ResponseStream& client, http::HeadPtr head, bool body_follows, bool expect_continue,
                     const Error* reject, GrpcPart* grpc) {
  context_.client = &client;
  attached_ = true;
  context_.view = context_.worker.view;
  context_.head = std::move(head);
  context_.grpc = grpc;
  context_.record.began = context_.now();
  context_.protocol = client.protocol();
  if (context_.worker.access_log.enabled()) {
    context_.record.wall = context_.worker.worker.Wall();
    context_.peer = ClientAddress(client.peer(), *context_.head, context_.snapshot().config.server);
  }
  const config::Log& log = context_.snapshot().config.log;
  context_.told = log.prompts && log.level == config::LogLevel::kDebug;
  ChooseRequestId();
  context_.worker.metrics.gateway.inflight.Add(context_.worker.metrics.slab);

  if (reject != nullptr) {
    Refuse(*reject);
    return;
  }
  std::optional<Error> error = ChooseRoute(context_);
  if (!error) error = CheckAuthority(context_);
  if (!error) error = Authenticate(context_);
  if (!error) error = CheckHead(context_);
  if (!error) error = CheckOverload(context_);
  if (error) {
    Refuse(*error);
    return;
  }
  if (!body_follows) {
    Run();
    return;
  }
  if (expect_continue) client.SendContinue();
  if (context_.head->content_length.has_value())
    context_.body.reserve(std::min<std::size_t>(*context_.head->content_length, kBodyReserveMax));
}

void Exchange::ChooseRequestId() {
  RequestRecord& record = context_.record;
  const std::string_view offered = context_.head->Find(http::HeaderId::kXRequestId);
  if (IsValidRequestId(offered)) {
    std::copy(offered.begin(), offered.end(), record.request_id.begin());
    record.request_id_size = static_cast<std::uint8_t>(offered.size());
  } else {
    WriteRandomId(context_.worker.worker.prng(), record.request_id.data());
    record.request_id_size = 32;
  }
}

void Exchange::Refuse(const Error& error) {
  answered_early_ = true;
  context_.body.clear();
  AnswerError(context_, answer_, error);
}

void Exchange::OnBody(std::string_view bytes) {
  if (answered_early_) return;
  context_.record.bytes_in += bytes.size();
  if (!TakesBody(*context_.route)) return;  // a GET's body is drained, nobody asked for it
  if (context_.body.size() + bytes.size() > context_.snapshot().config.server.limits.request_body) {
    context_.client->CloseAfter();
    Refuse(DownstreamError(ErrorCode::kBodyTooLarge, "the request body is larger than the gateway takes"));
    return;
  }
  if (const std::optional<Error> error = CheckOverload(context_)) {
    context_.client->CloseAfter();
    Refuse(*error);
    return;
  }
  context_.body.append(bytes);
}

void Exchange::OnEnd() {
  if (!answered_early_) Run();
}

void Exchange::OnRequestFailed(const Error& error) {
  if (!answered_early_) Refuse(error);
}

void Exchange::Run() {
  pipeline_ = RunPipeline(context_, answer_, attempt_);
  pipeline_.Start();
}

void Exchange::OnDeadline() {
  if (headless_ && pipeline_.done()) {
    FinishHeadless();
    return;
  }
  const Error error = InternalError(ErrorCode::kDeadlineExceeded, "the request's time is over");
  if (context_.cache.follower != nullptr) {
    context_.worker.metrics.gateway.cache.coalesced[static_cast<std::size_t>(telemetry::CoalescedOutcome::kTimedOut)]
        .Add(context_.worker.metrics.slab);
  }
  // The client may have wished for less time than those who follow its call have.
  if (!context_.latest.Expired(context_.now()) && (headless_ || LeaveToFollowers())) {
    context_.worker.worker.timers().Arm(deadline_timer_, context_.latest.at);
    return;
  }
  Expire(error);
}

void Exchange::Expire(const Error& error) {
  if (attempt_.running()) {
    attempt_.Expire(error);
    return;
  }
  const bool followed = context_.cache.follower != nullptr;
  const bool watches = context_.route != nullptr && context_.route->kind == RouteKind::kGrpcWatch;
  if (answer_.committed() && !followed && !watches) return;  // all of it is on its way
  pipeline_.Destroy();  // it waits for another thread, a tier, another request's call, or a refusal's end
  if (context_.body.empty()) context_.request.reset();  // that thread has the text which it is a view of
  context_.cache.lead.reset();                          // who follows need not wait for this one's client
  if (headless_) {
    FinishHeadless();
    return;
  }
  if (!answer_.committed()) {
    Refuse(error);
    return;
  }
  context_.record.term = RowOf(error).term;
  const bool events = context_.request.has_value() && context_.request->stream;
  answer_.Break(events ? BreakPoint::kAnywhere : BreakPoint::kBody, error);
}

void Exchange::End() { Expire(InternalError(ErrorCode::kDraining, "the gateway is shutting down")); }

/// All of the answer is there, and on its way to the client.
bool Exchange::WaitsForReader() const noexcept {
  return answer_.committed() && !attempt_.running() && context_.cache.follower == nullptr && context_.client != nullptr;
}

bool Exchange::MayShed() const noexcept {
  return WaitsForReader() || attempt_.running() || (!answer_.committed() && !headless_) ||
         context_.cache.follower != nullptr;
}

std::size_t Exchange::held_bytes() const noexcept {
  const llm::StreamSeam* const seam = attempt_.seam();
  // A turn that has gone took its part along.
  const std::size_t gathered = context_.grpc != nullptr && context_.client != nullptr ? context_.grpc->gathered : 0;
  return context_.body.capacity() + gathered + answer_.backlog() + (seam != nullptr ? seam->held() : 0);
}

void Exchange::Shed() {
  if (WaitsForReader()) return context_.client->Drop();
  context_.record.retry_after = OverloadPause(context_);
  Expire(InternalError(ErrorCode::kOverloaded, "the gateway runs out of memory"));
}

/// True: the client's part is over, the call goes on for those who follow it.
bool Exchange::LeaveToFollowers() {
  if (headless_ || !attempt_.running() || !context_.cache.followed()) return false;
  headless_ = true;
  if (context_.client == nullptr) {
    attempt_.OnFollowed();  // it may have waited for the client
    return true;
  }
  const Error error = InternalError(ErrorCode::kDeadlineExceeded, "the request's time is over");
  const bool committed = answer_.committed();
  if (committed) {
    answer_.Break(context_.request->stream ? BreakPoint::kBetweenEvents : BreakPoint::kBody, error);
  } else {
    AnswerError(context_, answer_, error);
  }
  context_.record.term = RowOf(error).term;
  answer_.Detach(committed);
  attempt_.OnFollowed();
  return true;
}

void Exchange::OnFollowersChanged() {
  if (context_.cache.followed()) {
    attempt_.OnFollowed();
  } else if (headless_) {
    attempt_.Cancel();
    pipeline_.Destroy();  // it may wait for an endpoint's room
    context_.cache.lead.reset();
    FinishHeadless();
  }
}

void Exchange::FinishHeadless() {
  if (attached_) {
    over_ = true;  // the last of the answer is on its way, and the session holds on to this
    return;
  }
  Account();
  Recycle();
}

void Exchange::Abandon() {
  attached_ = false;  // there is no session any more
  attempt_.Cancel();
  FinishHeadless();
}

/// The session is done with a headless exchange.
void Exchange::Detach() {
  if (over_) FinishHeadless();
}

void Exchange::OnSent() {
  if (headless_) return;
  attempt_.OnSent();
  if (context_.cache.follower != nullptr) context_.cache.follower->Wake();
}

void Exchange::OnFinished() {
  context_.client = nullptr;
  attached_ = false;
  if (headless_) return Detach();
  Account();
  Recycle();
}

void Exchange::OnGone(server::Departure departure) {
  context_.client = nullptr;
  attached_ = false;
  if (headless_) return Detach();
  if (LeaveToFollowers()) {
    NoteDeparture(departure);
    return;
  }
  if (attempt_.running()) {
    attempt_.Cancel();
    const rt::Worker& worker = context_.worker.worker;
    context_.worker.metrics.gateway.cancel_latency.Observe(context_.worker.metrics.slab,
                                                           worker.ReadClock() - worker.Now());
  }
  pipeline_.Destroy();
  NoteDeparture(departure);
  Account();
  Recycle();
}

void Exchange::NoteDeparture(server::Departure departure) {
  if (departure == server::Departure::kDropped) {
    context_.record.term = telemetry::Term::kOverload;
    return;
  }
  context_.record.status = 499;
  context_.record.term = departure == server::Departure::kSlowReader      ? telemetry::Term::kClientSlow
                         : departure == server::Departure::kProtocolError ? telemetry::Term::kConnectionKilled
                                                                          : telemetry::Term::kClientGone;
}

/// Everything that is told of a request, in one place.
void Exchange::Account() {
  const RequestRecord& record = context_.record;
  telemetry::WorkerMetrics& metrics = context_.worker.metrics;
  const telemetry::GatewayMetrics& gateway = metrics.gateway;
  const Duration duration = context_.worker.worker.ReadClock() - record.began;
  const Duration overhead = duration - record.upstream_time - record.queued;
  const telemetry::LabelId asked = context_.asked != nullptr ? context_.asked->metrics->label.id() : gateway.other();
  const std::size_t route = context_.route != nullptr ? context_.route_index : Routes().size();
  const telemetry::LabelId key = context_.tenant != nullptr ? context_.tenant->label.id() : gateway.anonymous();
  gateway.inflight.Sub(metrics.slab);
  gateway.overhead.Observe(metrics.slab, overhead);
  metrics.CountRequest(route, asked, key, record.status, duration);
  if (record.usage.known) {
    metrics.CountTokens(context_.model->metrics->label.id(), key, record.usage.prompt_tokens,
                        record.usage.completion_tokens);
  }
  if (context_.told) Tell();
  if (!context_.worker.access_log.enabled()) return;

  telemetry::AccessRecord line;
  line.ts = record.wall;
  line.request_id = record.id();
  line.client = context_.peer;
  line.protocol = LabelOf(context_.protocol);
  line.method = context_.head->method_text();
  line.route = context_.route != nullptr ? context_.route->name : kNoRouteName;
  if (context_.tenant != nullptr) line.key = context_.tenant->name;
  if (context_.request.has_value()) {
    line.model = context_.request->model();
  } else if (context_.asked != nullptr) {
    line.model = context_.asked->name;
  }
  if (context_.model != nullptr && (record.attempts > 0 || record.status == 200))
    line.model_answered = context_.model->name;
  if (record.endpoint != nullptr) line.endpoint = record.endpoint->name();
  line.attempts = record.attempts;
  line.status = record.status;
  line.cache = CacheStatusName(context_.cache.status);
  line.term = record.term;
  line.bytes_in = record.bytes_in;
  line.bytes_out = record.bytes_out;
  if (record.usage.known) {
    line.tokens_in = record.usage.prompt_tokens;
    line.tokens_out = record.usage.completion_tokens;
  }
  if (record.attempts > 0 || record.queued > Duration::zero()) line.queue = record.queued;
  line.ttft = record.ttft;
  line.duration = duration;
  line.gateway = overhead;
  context_.worker.access_log.Write(line);
}

/// `log.prompts`. Beside the access line, which never says what people wrote.
void Exchange::Tell() {
  telemetry::LogChannel* const channel = context_.worker.access_log.channel();
  if (channel == nullptr || context_.body.empty()) return;
  const bool text = context_.snapshot().config.log.format == config::LogFormat::kText;
  telemetry::Logger log(*channel, telemetry::LogLevel::kDebug,
                        text ? telemetry::LogFormat::kText : telemetry::LogFormat::kJson);
  log.Debug(context_.worker.worker.Wall(), "prompt",
            {{"request_id", context_.record.id()},
             telemetry::LogField::Long("prompt", std::string_view(context_.body).substr(0, kToldBytes)),
             telemetry::LogField::Long("answer", context_.answer_start)});
}

void Exchange::Recycle() {
  deadline_timer_.Cancel();
  pipeline_.Destroy();
  attempt_.Reset();
  answer_.Reset();
  answered_early_ = attached_ = headless_ = over_ = false;
  context_.Clear(kBodyKeepMax);
  gateway_.Recycle(*this);
}

}  // namespace penstock::proxy
