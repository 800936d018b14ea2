#include "sim/playback.hpp"

#include <cstdlib>
#include <ctime>

namespace penstock::sim {

Playback::Playback(rt::Worker& worker, http::HeadPool& heads)
    : worker_(worker),
      heads_(heads),
      timer_(this, [](void* self) { static_cast<Playback*>(self)->Play(); }),
      comment_timer_(this, [](void* self) { static_cast<Playback*>(self)->Comment(); }),
      whole_(worker.chunks()) {}

void Playback::Start(Performance performance) {
  performance_ = std::move(performance);
  const Program& program = *performance_.program;
  const Fault fault = performance_.strikes ? program.fault : Fault::kNone;
  streamed_ = performance_.streamed;
  if (fault == Fault::kJsonForStream) streamed_ = false;
  if (fault == Fault::kSseForJson) streamed_ = true;
  if (performance_.constant.empty() && performance_.plain.empty()) writer_ = EventWriter::Make(*performance_.facts);
  if (writer_ == nullptr) streamed_ = streamed_ && !performance_.constant.empty();
  // These change what is written, not when: nothing is left to strike.
  armed_ = fault != Fault::kNone && fault != Fault::kJsonForStream && fault != Fault::kSseForJson &&
           fault != Fault::kNoDone && fault != Fault::kNoFinish && fault != Fault::kEarly;
  after_ = fault == Fault::kError && !streamed_ ? kBeforeHead : program.after;  // not streamed, an error is a status
  first_due_ = worker_.Now() + std::chrono::milliseconds(program.ttft_ms) + performance_.prefill;
  stage_ = Stage::kStart;
  if (armed_ && program.wire && performance_.wire == nullptr) {
    Refuse(501, "this fault breaks HTTP: ask for it on the wire port (--wire-listen)");
    return;
  }
  if (armed_ && (fault == Fault::kGoaway || fault == Fault::kMaxStreams || fault == Fault::kFlood) &&
      !performance_.wire->http2()) {
    Refuse(501, "only HTTP/2 has such a fault");
    return;
  }
  Play();
}

void Playback::Stop() {
  timer_.Cancel();
  comment_timer_.Cancel();
  writer_.reset();
  script_.clear();
  whole_.Clear();
  performance_ = {};
  stage_ = Stage::kIdle;
  armed_ = blocked_ = head_sent_ = answered_ = false;
  goaway_step_ = 0;
  next_ = 0;
  produced_ = 0;
  pause_until_ = last_write_ = TimePoint{};
}

void Playback::OnSent() {
  if (!blocked_ || performance_.stream->unsent() > kUnsentHigh / 2) return;
  blocked_ = false;
  // In a turn of its own: a reader as fast as we are must not keep the worker in this one.
  worker_.Arm(timer_, Duration{0});
}

Progress Playback::progress() const noexcept {
  if (stage_ == Stage::kSilent) return Progress::kSilent;
  return head_sent_ && (next_ != 0 || !streamed_) ? Progress::kStreaming : Progress::kWaiting;
}

TimePoint Playback::DueOf(std::uint32_t token) const noexcept {
  return first_due_ + std::chrono::microseconds(static_cast<std::int64_t>(performance_.program->itl_us) * token);
}

TimePoint Playback::last_due() const noexcept {
  return stage_ == Stage::kIdle ? TimePoint{} : DueOf(performance_.facts->tokens);
}

// --- waiting ---

bool Playback::Due(TimePoint when) {
  if (worker_.Now() >= when) return true;
  worker_.timers().Arm(timer_, when);
  return false;
}

bool Playback::Room() {
  if (performance_.stream->unsent() < kUnsentHigh) return true;
  blocked_ = true;
  return false;
}

bool Playback::Pause(std::uint32_t ms) {
  pause_until_ = worker_.Now() + std::chrono::milliseconds(ms);
  worker_.timers().Arm(timer_, pause_until_);
  return false;
}

bool Playback::Silent() {
  stage_ = Stage::kSilent;
  return false;
}

bool Playback::End() {
  performance_.stream->EndBody();
  stage_ = Stage::kOver;
  comment_timer_.Cancel();
  return false;
}

bool Playback::Cut() {
  performance_.stream->CutBody();
  stage_ = Stage::kOver;
  comment_timer_.Cancel();
  return false;
}

bool Playback::Reached(std::int32_t place) const noexcept { return armed_ && after_ == place; }

void Playback::Comment() {
  const Duration gap = std::chrono::milliseconds(performance_.comment_ms);
  if (stage_ == Stage::kHead || stage_ == Stage::kTokens || stage_ == Stage::kSilent) {
    if (worker_.Now() - last_write_ >= gap) {
      body().Append(":\n\n");
      last_write_ = worker_.Now();
      performance_.stream->BodyReady();
    }
    worker_.Arm(comment_timer_, gap);
  }
}

// --- the stages ---

void Playback::Play() {
  if (worker_.Now() < pause_until_) {
    worker_.timers().Arm(timer_, pause_until_);
    return;
  }
  bool going = true;
  while (going) {
    switch (stage_) {
      case Stage::kStart: going = PlayStart(); break;
      case Stage::kHead: going = PlayHead(); break;
      case Stage::kTokens: going = PlayTokens(); break;
      case Stage::kEnding: going = PlayEnding(); break;
      case Stage::kWhole: going = PlayWhole(); break;
      case Stage::kDrip: going = PlayDrip(); break;
      case Stage::kEndless: going = PlayEndless(); break;
      case Stage::kScript: going = PlayScript(); break;
      case Stage::kIdle:
      case Stage::kSilent:
      case Stage::kOver: going = false; break;
    }
  }
}

bool Playback::PlayStart() {
  const bool strikes_first = Reached(kBeforeHead);
  const bool tokens = streamed_ && writer_ != nullptr;
  const bool early = tokens && !strikes_first && TraitsOf(performance_.facts->kind).early_head;
  if (!early && !Due(tokens || strikes_first || writer_ == nullptr ? first_due_ : last_due())) return false;
  if (strikes_first) return Strike();
  EnsureHead();
  return true;
}

bool Playback::PlayHead() {
  if (Reached(kAfterHead)) return Strike();
  if (!Due(first_due_)) return false;
  writer_->Begin(body());
  stage_ = Stage::kTokens;
  return true;
}

bool Playback::PlayTokens() {
  const std::uint32_t tokens = performance_.facts->tokens;
  const bool late = performance_.program->fault == Fault::kReset || performance_.program->fault == Fault::kClose;
  bool wrote = next_ == 0;
  bool going = true;
  while (going && next_ <= tokens) {
    const bool last = next_ == tokens;
    if (armed_ && (after_ == static_cast<std::int32_t>(next_) || (last && after_ >= kAfterRole && !late))) {
      if (wrote) performance_.stream->BodyReady();
      return Strike();
    }
    if (last) {
      going = Due(DueOf(next_ == 0 ? 0 : next_ - 1));
      break;
    }
    going = Due(DueOf(next_)) && Room();
    if (!going) break;
    writer_->Token(body(), next_++);
    wrote = true;
  }
  if (wrote) {
    last_write_ = worker_.Now();
    performance_.stream->BodyReady();
  }
  if (going) stage_ = Stage::kEnding;
  return going;
}

bool Playback::PlayEnding() {
  writer_->Finish(body());
  answered_ = true;
  End();
  if (armed_) Strike();  // a reset or close behind a whole answer
  return false;
}

bool Playback::PlayWhole() {
  Chain& out = body();
  if (armed_) {
    // At its head, or in its middle.
    const std::size_t before = after_ == kAfterHead ? 0 : whole_.size() / 2;
    for (std::size_t sent = 0; sent < before;) {
      const std::string_view piece = whole_.Front().substr(0, before - sent);
      out.Append(piece);
      sent += piece.size();
      whole_.Consume(piece.size());
    }
    performance_.stream->BodyReady();
    if (after_ == kAtEnd) {
      out.Append(std::move(whole_));
      answered_ = true;
      End();
    }
    return Strike();
  }
  out.Append(std::move(whole_));
  answered_ = true;
  next_ = performance_.facts->tokens;
  return End();
}

bool Playback::PlayDrip() {
  const std::uint64_t piece = performance_.program->bytes != 0 ? performance_.program->bytes : 1;
  const std::uint32_t gap = performance_.program->ms != 0 ? performance_.program->ms : 10;
  for (std::uint64_t i = 0; i < piece && !whole_.empty();) {
    const std::string_view front = whole_.Front().substr(0, piece - i);
    body().Append(front);
    i += front.size();
    whole_.Consume(front.size());
  }
  performance_.stream->BodyReady();
  if (whole_.empty()) return End();
  return Pause(gap);
}

bool Playback::PlayEndless() {
  const std::uint64_t limit = performance_.program->bytes;
  static const SharedBytes kPiece = SharedBytes::Copy(std::string(kEndlessPiece, 'a'));
  while (limit == 0 || produced_ < limit) {
    if (!Room()) {
      performance_.stream->BodyReady();
      return false;
    }
    body().Append(kPiece);
    produced_ += kPiece.size();
  }
  return End();
}

bool Playback::PlayScript() {
  if (next_ == script_.size()) return Silent();
  const WireStep& step = script_[next_];
  if (step.delay > Duration{0} && pause_until_ == TimePoint{}) {
    pause_until_ = worker_.Now() + step.delay;
    worker_.timers().Arm(timer_, pause_until_);
    return false;
  }
  pause_until_ = TimePoint{};
  ++next_;
  performance_.wire->Raw(step.bytes);
  answered_ = answered_ || step.answered;
  switch (step.then) {
    case WireStep::Then::kNext: return true;
    case WireStep::Then::kDone: performance_.wire->Done(); break;
    case WireStep::Then::kClose: performance_.wire->CloseConnection(); break;
    case WireStep::Then::kAbort: performance_.wire->AbortConnection(); break;
    case WireStep::Then::kReset: performance_.wire->Reset(performance_.program->code); break;
  }
  stage_ = Stage::kOver;
  return false;
}

// --- heads and whole answers ---

void Playback::EnsureHead() {
  if (head_sent_) return;
  if (!streamed_ || writer_ == nullptr) RenderWhole();
  SendHead();
  stage_ = !streamed_ || writer_ == nullptr ? Stage::kWhole : Stage::kHead;
}

void Playback::RenderWhole() {
  if (!performance_.constant.empty()) {
    whole_.Append(performance_.constant);
  } else if (writer_ == nullptr) {
    whole_.Append(performance_.plain);
  } else {
    writer_->Whole(whole_);
  }
  if (armed_ && performance_.program->fault == Fault::kMalformed) {
    // Half of a JSON text under a length that is right.
    whole_.Consume(whole_.size() / 2);
    armed_ = false;
  }
}

void Playback::SendHead() {
  const KindTraits& traits = TraitsOf(performance_.facts->kind);
  http::HeadPtr head = heads_.Take();
  head->status = 200;
  head->Add("content-type", streamed_ ? traits.stream_type : traits.json_type, http::HeaderId::kContentType);
  if (!traits.server.empty()) head->Add("server", traits.server, http::HeaderId::kServer);
  if (streamed_) {
    head->Add("cache-control", "no-cache", http::HeaderId::kCacheControl);
    if (performance_.facts->kind == Kind::kLlamacpp) head->Add("x-accel-buffering", "no");
  } else {
    head->content_length = whole_.size();
    if (performance_.facts->kind == Kind::kTgi) head->Add("x-compute-type", "sim");
  }
  performance_.stream->SendHead(*head, false);
  head_sent_ = true;
  last_write_ = worker_.Now();
  if (streamed_ && traits.closes_after_stream) performance_.stream->CloseAfter();
  if (streamed_ && performance_.comment_ms != 0)
    worker_.Arm(comment_timer_, std::chrono::milliseconds(performance_.comment_ms));
}

namespace {

/// "5" as it is; "date+5" as the HTTP-date of five seconds from now.
std::string RetryAfter(const std::string& text, WallTime wall) {
  if (!text.starts_with("date")) return text;
  const auto when = static_cast<std::time_t>(wall.us / 1'000'000 + std::strtol(text.c_str() + 4, nullptr, 10));
  std::tm parts{};
  ::gmtime_r(&when, &parts);
  char date[40];
  const std::size_t size = std::strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &parts);
  return {date, size};
}

}  // namespace

void Playback::Refuse(std::uint16_t status, std::string_view message) {
  const AnswerFacts& facts = *performance_.facts;
  const KindTraits& traits = TraitsOf(facts.kind);
  const Program& program = *performance_.program;
  const std::string retry_after = RetryAfter(program.retry_after, worker_.Wall());
  if (!program.text.empty()) message = program.text;
  const std::string body =
      ErrorBody(facts.kind, facts.family, status, message, status == 429 ? "rate_limit_exceeded" : "simulated");
  SendReply(heads_, *performance_.stream, traits, status, traits.json_type, SharedBytes::Copy(body),
            {{"retry-after", retry_after}, {"retry-after-ms", program.retry_after_ms}});
  stage_ = Stage::kOver;
}

void SendReply(http::HeadPool& heads, server::ResponseStream& stream, const KindTraits& traits, std::uint16_t status,
               std::string_view type, SharedBytes body,
               std::initializer_list<std::pair<std::string_view, std::string_view>> fields) {
  http::HeadPtr head = heads.Take();
  head->status = status;
  head->Add("content-type", type, http::HeaderId::kContentType);
  if (!traits.server.empty()) head->Add("server", traits.server, http::HeaderId::kServer);
  for (const auto& [name, value] : fields) {
    if (!value.empty()) head->Add(name, value);
  }
  head->content_length = body.size();
  if (status >= 300 && traits.closes_after_error) stream.CloseAfter();
  stream.SendHead(*head, body.empty());
  if (body.empty()) return;
  stream.body().Append(std::move(body));
  stream.EndBody();
}

}  // namespace penstock::sim
