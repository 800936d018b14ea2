#include "penstock/base/assert.hpp"
#include "proxy/relay.hpp"

namespace penstock::proxy {
namespace {

constexpr std::string_view kDone = "data: [DONE]\n\n";

RelayStep Failed(ErrorCode code, const char* context) {
  RelayStep step;
  step.kind = RelayStep::Kind::kFailed;
  step.error = UpstreamError(code, Retry::kUnproven, context);
  return step;
}

}  // namespace

StreamRelay::StreamRelay(RequestContext& context, Answer& answer)
    : context_(context),
      answer_(answer),
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
  step.progress = true;
  if (sighting.malformed) {
    context_.worker.metrics.gateway.sse_malformed.Add(context_.worker.metrics.slab);
    if (unfinished) return step;  // half an event: what comes behind it must be read as an event of its own
  }
  if (sighting.error && !answer_.committed()) {
    refusal_ = event.data;
    step.kind = RelayStep::Kind::kRefused;
    step.status = sighting.error_status;
    return step;
  }
  if (sighting.done && tap_.error_seen()) return step;  // only success ends with [DONE]
  if (context_.cache.lead.has_value()) {
    context_.cache.lead->OnEvent(event, sighting);
    if (unfinished) context_.cache.lead->OnBytes("\n\n");
  }
  if (sighting.usage_only && !context_.request->include_usage) return step;
  if (sighting.content) NoteContent();
  answer_.Append(event.raw);
  if (unfinished) answer_.Append("\n\n");
  const bool full = answer_.held() >= context_.snapshot().config.server.limits.stream_buffer;
  if (!answer_.committed() && (sighting.commits || full)) answer_.Commit(std::nullopt);
  step.content = answer_.committed();
  return step;
}

void StreamRelay::NoteContent() {
  const TimePoint now = context_.now();
  telemetry::Slab& slab = context_.worker.metrics.slab;
  if (last_content_ == TimePoint{}) {
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
  if (llm::HasDone(context_.family()) && !tap_.done_seen()) {
    answer_.Append(kDone);
    if (context_.cache.lead.has_value()) context_.cache.lead->OnBytes(kDone);
  }
  if (context_.cache.lead.has_value()) context_.cache.lead->OnComplete(tap_.storable(), tap_.finish_reasons());
  if (!answer_.committed()) answer_.Commit(std::nullopt);
  answer_.End();
  RelayStep step;
  step.kind = RelayStep::Kind::kComplete;
  return step;
}

}  // namespace penstock::proxy
