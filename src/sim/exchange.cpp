#include "sim/exchange.hpp"

#include <algorithm>

#include "sim/plain_answer.hpp"
#include "sim/routes.hpp"
#include "sim/sim_worker.hpp"
#include "sim/token_text.hpp"

namespace penstock::sim {
namespace {

std::uint16_t StatusOf(const Error& error) {
  switch (error.code) {
    case ErrorCode::kHttpVersion: return 505;
    case ErrorCode::kTransferCoding: return 501;
    case ErrorCode::kExpectationFailed: return 417;
    case ErrorCode::kRequestTimeout: return 408;
    case ErrorCode::kBodyTooLarge: return 413;
    case ErrorCode::kHeadersTooLarge: return 431;
    case ErrorCode::kUriTooLong: return 414;
    default: return 400;
  }
}

std::string_view FinishOf(const Program& program, bool cut_short) {
  if (!program.finish.empty()) return program.finish;
  if (cut_short) return "length";
  if (program.delta == "tool_calls" || program.delta == "function_call") return program.delta;
  return "stop";
}

}  // namespace

Exchange::Exchange(SimWorker& worker)
    : worker_(worker),
      playback_(worker.worker(), worker.heads()),
      timer_(this, [](void* self) { static_cast<Exchange*>(self)->OnTimer(); }) {}

Exchange::~Exchange() = default;

Simulation& Exchange::simulation() noexcept { return worker_.simulation(); }

// --- the request ---

void Exchange::Open(server::ResponseStream& stream, Wire* wire, http::HeadPtr head, bool body_follows,
                    bool expect_continue, const Error* reject) {
  stream_ = &stream;
  wire_ = wire;
  head_ = std::move(head);
  phase_ = Phase::kReceiving;
  if (reject != nullptr) {
    OnRequestFailed(*reject);
    return;
  }
  if (expect_continue) stream.SendContinue();
  if (!body_follows) Handle();
}

void Exchange::OnBody(std::string_view bytes) {
  if (phase_ != Phase::kReceiving) return;
  body_.append(bytes);
  if (WantsEarly()) Handle();
}

void Exchange::OnEnd() {
  if (phase_ == Phase::kReceiving) Handle();
}

/// FAULTS U-32: the answer comes before the request's end.
bool Exchange::WantsEarly() const {
  if (head_->content_length && body_.size() >= *head_->content_length) return false;
  if (const NamedProgram* everything = worker_.simulation().everything())
    return everything->program.fault == Fault::kEarly;
  return body_.find("\"fault:early") != std::string::npos && ScanRequest(body_).model.starts_with("fault:early");
}

void Exchange::OnRequestFailed(const Error& error) {
  if (phase_ != Phase::kReceiving) return;
  Fail(StatusOf(error), error.context, CodeName(error.code));
}

void Exchange::Handle() { Route(*this); }

// --- answers that no model gives ---

void Exchange::Reply(std::uint16_t status, std::string_view type, std::string_view body) {
  phase_ = Phase::kReplying;
  SendReply(worker_.heads(), *stream_, simulation().traits, status, type, SharedBytes::Copy(body));
}

void Exchange::Fail(std::uint16_t status, std::string_view message, std::string_view code) {
  const Simulation& simulation = this->simulation();
  Reply(status, simulation.traits.json_type, ErrorBody(simulation.options.kind, facts_.family, status, message, code));
}

void Exchange::ReplyLater(std::uint32_t ms, std::uint16_t status, std::string_view body) {
  if (ms == 0) {
    Reply(status, "application/json", body);
    return;
  }
  phase_ = Phase::kDelayed;
  delayed_status_ = status;
  delayed_body_ = body;
  worker_.worker().Arm(timer_, std::chrono::milliseconds(ms));
}

// --- answers of a model ---

void Exchange::Ask(Family family) {
  const SimOptions& options = simulation().options;
  facts_.family = family;
  fields_ = ScanRequest(body_);
  model_.assign(fields_.model);
  asked_ = true;
  worker_.stats().Received(model_);
  const bool readable = fields_.whole || WantsEarly();
  if (!readable) {
    Keep();
    Fail(simulation().traits.malformed_json, "the body is no JSON object", "invalid_json");
    return;
  }
  if (!FindProgram()) return;
  if (!options.prefill && FindLastMessage(fields_.prompt).assistant) {
    Keep();
    Fail(400, "This model does not support assistant message prefill. The conversation must end with a user message.",
         "invalid_request_error");
    return;
  }
  FillFacts(family);
  if (TooLarge(family)) return;
  if (!Generates(family)) plain_ = PlainAnswer(facts_, fields_, options.embedding_dimensions);
  Keep();
  Admit();
}

bool Exchange::FindProgram() {
  std::string error;
  const NamedProgram* everything = simulation().everything();
  ready_ = worker_.Find(everything != nullptr ? std::string_view(everything->name) : fields_.model, own_ready_, error);
  if (ready_ == nullptr) {
    Keep();
    Fail(404, error, "model_not_found");
    return false;
  }
  strikes_ = ready_->named.program.fault != Fault::kNone && simulation().strikes.Next(ready_->named);
  return true;
}

void Exchange::FillFacts(Family family) {
  const SimOptions& options = simulation().options;
  const Program& program = ready_->named.program;
  facts_.kind = options.kind;
  facts_.model.clear();
  AppendEscaped(facts_.model, model_);
  if (program.constant_bytes != 0) return;  // a constant says nothing of its own
  facts_.id = worker_.NextId();
  facts_.created_s = worker_.worker().Wall().us / 1'000'000;
  const std::uint32_t tokens = Begin(program);
  const std::uint32_t limit = fields_.max_tokens != 0 ? fields_.max_tokens : simulation().traits.max_tokens;
  const bool cut_short = limit != 0 && limit < tokens;
  facts_.tokens = cut_short ? limit : tokens;
  facts_.prompt_tokens = static_cast<std::uint32_t>(fields_.prompt.size() / PrefixCache::kTokenBytes + 1);
  facts_.cached_tokens = Generates(family) ? simulation().prefixes.Visit(fields_.prompt, ready_->model_hash) : 0;
  facts_.choices = fields_.n;
  facts_.logprobs = fields_.logprobs;
  facts_.include_usage = fields_.include_usage;
  facts_.timings = program.timings || simulation().traits.timings;
  facts_.usage = program.usage;
  facts_.delta = program.delta;
  facts_.finish = FinishOf(program, cut_short);
  facts_.with_finish = !(strikes_ && program.fault == Fault::kNoFinish);
  facts_.with_done = !(strikes_ && program.fault == Fault::kNoDone);
  const auto fresh = static_cast<std::int64_t>(facts_.prompt_tokens - facts_.cached_tokens);
  prefill_ = program.prefill ? std::chrono::microseconds(fresh * options.prefill_us_per_token) : Duration{0};
}

/// Chooses the text, that of the model asked for whatever program plays it; returns how much of it is to come.
std::uint32_t Exchange::Begin(const Program& program) {
  std::string prompt(fields_.prompt);
  std::string_view begun;
  if (fields_.continues) {
    const LastMessage last = FindLastMessage(fields_.prompt);
    prompt.assign(last.before) += ']';
    begun = last.content;
  }
  facts_.text_seed = HashBytes(prompt, Mix(HashBytes(model_, 0) ^ fields_.seed));
  facts_.first_token = CountTokens(begun, facts_.text_seed);
  return program.tokens - std::min(facts_.first_token, program.tokens);
}

/// What is not generated must go through the model in one piece. Of several inputs the mean counts.
bool Exchange::TooLarge(Family family) {
  const std::uint32_t limit = simulation().traits.physical_batch;
  const bool one_piece = family == Family::kEmbeddings || family == Family::kRerank || family == Family::kScore;
  const std::uint32_t tokens = facts_.prompt_tokens / std::max(CountInputs(fields_.inputs), 1U);
  if (limit == 0 || !one_piece || tokens <= limit) return false;
  Keep();
  Fail(500, "input (" + std::to_string(tokens) + " tokens) is too large to process", "too_large");
  return true;
}

void Exchange::Keep() {
  worker_.recorder().Keep(worker_.worker().Now(), stream_->protocol(), wire_ != nullptr, head_, body_);
}

bool Exchange::Overloaded() {
  const Simulation& simulation = this->simulation();
  const std::uint32_t most = simulation.options.max_concurrent;
  if (most == 0 || worker_.running() < most) return false;
  constexpr std::string_view kMessage = "Model is overloaded";
  if (simulation.options.kind == Kind::kTgi && fields_.stream) {
    // TGI has sent its 200 before it asks for a permit.
    const std::string events = "data: " + ErrorEvent(facts_, 429, kMessage) + "\n\ndata: [DONE]\n\n";
    Reply(200, simulation.traits.stream_type, events);
  } else {
    Fail(simulation.traits.overload, kMessage, "overloaded");
  }
  return true;
}

void Exchange::Admit() {
  if (Overloaded()) return;
  running_ = true;
  ++worker_.running();
  worker_.stats().Running(1);
  phase_ = Phase::kQueued;
  has_slot_ = worker_.slots().Take(*this);
  if (!has_slot_) {
    worker_.stats().Waiting(1);
    return;
  }
  Play();
}

void Exchange::OnSlot() {
  has_slot_ = true;
  worker_.stats().Waiting(-1);
  if (phase_ == Phase::kOrphan) {
    const Program& program = ready_->named.program;
    HoldSlot(std::chrono::milliseconds(program.ttft_ms) + prefill_ +
             std::chrono::microseconds(static_cast<std::int64_t>(program.itl_us) * facts_.tokens));
    return;
  }
  Play();
}

void Exchange::Play() {
  phase_ = Phase::kPlaying;
  Performance performance;
  performance.stream = stream_;
  performance.wire = wire_;
  performance.program = &ready_->named.program;
  performance.facts = &facts_;
  performance.strikes = strikes_;
  performance.streamed = fields_.stream && Generates(facts_.family);
  performance.plain = std::move(plain_);
  performance.constant = performance.streamed ? ready_->constant_events : ready_->constant_json;
  performance.prefill = prefill_;
  performance.comment_ms = simulation().options.comment_ms;
  playback_.Start(std::move(performance));
}

// --- the end ---

void Exchange::OnSent() {
  if (phase_ == Phase::kPlaying) playback_.OnSent();
}

void Exchange::OnFinished() {
  if (asked_) worker_.stats().Completed(model_, facts_.prompt_tokens, running_ ? playback_.tokens_played() : 0);
  Leave();
}

void Exchange::OnGone(server::Departure departure) {
  stream_ = nullptr;
  const bool answered = phase_ == Phase::kPlaying && playback_.answered();
  if (asked_ && answered) {
    worker_.stats().Completed(model_, facts_.prompt_tokens, playback_.tokens_played());
  } else if (asked_) {
    Progress progress = Progress::kReceiving;
    if (phase_ == Phase::kQueued) progress = Progress::kQueued;
    if (phase_ == Phase::kPlaying) progress = playback_.progress();
    worker_.stats().Cancelled(model_, progress, departure, worker_.worker().Now());
  }
  const bool orphan =
      running_ && !answered && simulation().traits.keeps_abandoned && !fields_.stream && Generates(facts_.family);
  if (!orphan) {
    Leave();
    return;
  }
  // BACKENDS.md section 0: nobody tells this server that the client of a non-stream request left.
  const bool queued = phase_ == Phase::kQueued;
  const TimePoint until = playback_.last_due();
  phase_ = Phase::kOrphan;
  playback_.Stop();
  if (!queued) HoldSlot(until - worker_.worker().Now());
}

void Exchange::HoldSlot(Duration time) { worker_.worker().Arm(timer_, time); }

void Exchange::OnTimer() {
  if (phase_ == Phase::kOrphan) {
    Leave();
  } else if (phase_ == Phase::kDelayed) {
    Reply(delayed_status_, "application/json", delayed_body_);
  }
}

void Exchange::Leave() {
  playback_.Stop();
  timer_.Cancel();
  if (running_) {
    --worker_.running();
    worker_.stats().Running(-1);
    if (phase_ == Phase::kQueued) {
      worker_.slots().Forget(*this);
      worker_.stats().Waiting(-1);
    }
    if (has_slot_) worker_.slots().Give();
  }
  stream_ = nullptr;
  wire_ = nullptr;
  head_.reset();
  body_.clear();
  if (body_.capacity() > SimWorker::kKeptBodyMax) body_.shrink_to_fit();
  fields_ = {};
  ready_ = nullptr;
  own_ready_.reset();
  plain_.clear();
  facts_.family = Family::kChat;
  facts_.prompt_tokens = facts_.tokens = 0;
  prefill_ = Duration{0};
  asked_ = running_ = has_slot_ = strikes_ = false;
  worker_.Recycle(*this);
}

}  // namespace penstock::sim
