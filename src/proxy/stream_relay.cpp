#include "penstock/base/assert.hpp"
#include "proxy/relay.hpp"

namespace penstock::proxy {
namespace {

constexpr std::string_view kDone = "data: [DONE]\n\n";
constexpr std::size_t kHoldBytesMax = 256 * 1024;  // of a stream that its model's `hold` keeps back

RelayStep Failed(ErrorCode code, const char* context) {
  RelayStep step;
  step.kind = RelayStep::Kind::kFailed;
  step.error = UpstreamError(code, Retry::kUnproven, context);
  return step;
}

}  // namespace

StreamRelay::StreamRelay(RequestContext& context, Answer& answer, StreamJoin join)
    : context_(context),
      answer_(answer),
      join_(join),
      decoder_(context.snapshot().config.server.limits.sse_event),
      tap_(context.family(), context.request->choices()) {}

RelayStep StreamRelay::OnBytes(std::string_view bytes) {
  RelayStep all;
  decoder_.Feed(bytes);
  llm::SseEvent event;
  while (true) {
    switch (decoder_.Next(event)) {
      case llm::SseDecoder::Step::kNeedMore: return all;
      case llm::SseDecoder::Step::kTooLong:
        return Failed(ErrorCode::kUpstreamProtocol, "an event of the stream is too long");
      case llm::SseDecoder::Step::kEvent: break;
    }
    const RelayStep step = Take(event);
    if (step.kind != RelayStep::Kind::kGoOn) return step;
    all.progress = all.progress || step.progress;
    all.content = all.content || step.content;
  }
}

RelayStep StreamRelay::Take(const llm::SseEvent& event, bool unfinished) {
  RelayStep step;
  if (!event.has_data && !event.has_junk) {
    answer_.Append(event.raw);  // comments keep connections awake; they are no sign of progress
    return step;
  }
  const llm::Sighting sighting = tap_.Look(event, context_.worker.json);
  const bool rescued = context_.asked->rescue != config::Rescue::kOff;
  step.progress = true;
  if (sighting.malformed) {
    context_.worker.metrics.gateway.sse_malformed.Add(context_.worker.metrics.slab);
    if (rescued) return Failed(ErrorCode::kUpstreamReset, "an event of the stream is malformed");  // broken, as if cut
    if (unfinished) return step;  // half an event: what comes behind it must be read as an event of its own
  }
  if (sighting.error && !answer_.committed()) {
    refusal_ = event.data;
    step.kind = RelayStep::Kind::kRefused;
    step.status = sighting.error_status;
    return step;
  }
  if (sighting.error && rescued && (sighting.error_status >= 500 || sighting.error_status == 429))
    return Failed(ErrorCode::kStreamInterrupted, "the upstream reported an error in its stream");
  if (sighting.done && tap_.error_seen()) return step;  // only success ends with [DONE]
  return join_.takes_over ? Join(event, sighting) : Pass(event, sighting, unfinished);
}

RelayStep StreamRelay::Pass(const llm::SseEvent& event, const llm::Sighting& sighting, bool unfinished) {
  RelayStep step;
  step.progress = true;
  if (context_.cache.lead.has_value()) {
    context_.cache.lead->OnEvent(event, sighting);
    if (unfinished) context_.cache.lead->OnBytes("\n\n");
  }
  if (sighting.usage_only && !context_.request->include_usage) return step;
  if (sighting.content) NoteContent();
  answer_.Append(event.raw);
  if (unfinished) answer_.Append("\n\n");
  if (join_.seam != nullptr && event.has_data) {
    join_.seam->Note(event.data, context_.worker.json);
    if (sighting.error || context_.worker.crowded()) join_.seam->GiveUp();
  }
  const bool full = answer_.held() >= context_.snapshot().config.server.limits.stream_buffer;
  begun_ = begun_ || sighting.commits || full;
  if (!answer_.committed() && begun_ && MayCommit(sighting)) answer_.Commit(std::nullopt);
  step.content = begun_;
  return step;
}

/// `hold` is over, or more than it may keep back is there.
bool StreamRelay::MayCommit(const llm::Sighting& sighting) const noexcept {
  const std::uint32_t hold = context_.asked->hold;
  if (hold == 0 || contents_ >= hold || context_.worker.crowded()) return true;
  return (sighting.finish && tap_.complete()) || answer_.held() >= kHoldBytesMax;
}

/// An event of an answer that took over: only what the client does not have.
RelayStep StreamRelay::Join(const llm::SseEvent& event, const llm::Sighting& sighting) {
  RelayStep step;
  step.progress = true;
  step.content = begun_ = begun_ || sighting.commits;
  joint_.clear();
  switch (join_.seam->Rewrite(event.data, context_.worker.json, joint_)) {
    case llm::StreamSeam::Joint::kPass: break;
    case llm::StreamSeam::Joint::kDrop: return step;
    case llm::StreamSeam::Joint::kTorn:
      return Failed(ErrorCode::kStreamInterrupted, "the answer that took over is another one");
  }
  if (context_.cache.lead.has_value()) {
    constexpr std::string_view kBefore = "data: ";
    constexpr std::string_view kBehind = "\n\n";
    llm::SseEvent made = event;
    made.raw = joint_;
    made.data = made.raw.substr(kBefore.size(), joint_.size() - kBefore.size() - kBehind.size());
    context_.cache.lead->OnEvent(made, sighting);
  }
  if (sighting.usage_only && !context_.request->include_usage) return step;
  if (sighting.content) NoteContent();
  answer_.Append(joint_);
  return step;
}

void StreamRelay::NoteContent() {
  const TimePoint now = context_.now();
  telemetry::Slab& slab = context_.worker.metrics.slab;
  ++contents_;
  if (join_.takes_over && last_content_ == TimePoint{}) {
    last_content_ = now;  // the first token came long ago, and what passed since is the rescue's
  } else if (last_content_ == TimePoint{}) {
    context_.record.ttft = now - context_.record.began;
    context_.model->metrics->time_to_first_token.Observe(slab, *context_.record.ttft);
  } else {
    context_.model->metrics->inter_token_latency.Observe(slab, now - last_content_);
  }
  last_content_ = now;
}

RelayStep StreamRelay::OnEnd() {
  llm::SseEvent rest;
  if (decoder_.Finish(rest)) {
    const RelayStep step = Take(rest, true);
    if (step.kind != RelayStep::Kind::kGoOn) return step;
  }
  context_.record.usage = tap_.usage();
  if (tap_.error_seen()) return Failed(ErrorCode::kStreamInterrupted, "the upstream reported an error in its stream");
  if (!tap_.ended()) return Failed(ErrorCode::kUpstreamReset, "the stream ended before the answer did");
  if (join_.takes_over && !join_.seam->caught_up())
    return Failed(ErrorCode::kStreamInterrupted, "the answer that took over is a shorter one");
  if (llm::HasDone(context_.family()) && !tap_.done_seen()) {
    answer_.Append(kDone);
    if (context_.cache.lead.has_value()) context_.cache.lead->OnBytes(kDone);
  }
  if (context_.cache.lead.has_value()) {
    // Of two servers' words nothing is kept (contract, section 6).
    context_.cache.lead->OnComplete(tap_.storable() && !join_.takes_over, tap_.finish_reasons());
  }
  if (!answer_.committed()) answer_.Commit(std::nullopt);
  answer_.End();
  RelayStep step;
  step.kind = RelayStep::Kind::kComplete;
  return step;
}

}  // namespace penstock::proxy
