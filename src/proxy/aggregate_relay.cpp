#include "proxy/relay.hpp"

namespace penstock::proxy {
namespace {

RelayStep Failed(const Error& error) {
  RelayStep step;
  step.kind = RelayStep::Kind::kFailed;
  step.error = error;
  return step;
}

}  // namespace

AggregateRelay::AggregateRelay(RequestContext& context, Answer& answer)
    : context_(context),
      answer_(answer),
      decoder_(context.snapshot().config.server.limits.sse_event),
      tap_(context.family(), context.request->choices()),
      aggregator_(context.family(), context.snapshot().config.server.limits.response_body) {}

RelayStep AggregateRelay::OnBytes(std::string_view bytes) {
  RelayStep all;
  decoder_.Feed(bytes);
  llm::SseEvent event;
  while (true) {
    switch (decoder_.Next(event)) {
      case llm::SseDecoder::Step::kNeedMore: return all;
      case llm::SseDecoder::Step::kTooLong:
        return Failed(
            UpstreamError(ErrorCode::kUpstreamProtocol, Retry::kUnproven, "an event of the stream is too long"));
      case llm::SseDecoder::Step::kEvent: break;
    }
    const RelayStep step = Take(event);
    if (step.kind != RelayStep::Kind::kGoOn) return step;
    all.progress = all.progress || step.progress;
    all.content = all.content || step.content;
  }
}

RelayStep AggregateRelay::Take(const llm::SseEvent& event) {
  RelayStep step;
  if (!event.has_data && !event.has_junk) return step;
  const llm::Sighting sighting = tap_.Look(event, context_.worker.json);
  step.progress = true;
  step.content = tap_.content_seen();
  if (sighting.error) {
    refusal_ = event.data;
    step.kind = RelayStep::Kind::kRefused;
    step.status = sighting.error_status;
    return step;
  }
  if (sighting.malformed) {
    // An event that cannot be read cannot be rebuilt: half an answer would be presented as a whole one.
    context_.worker.metrics.gateway.sse_malformed.Add(context_.worker.metrics.slab);
    return Failed(UpstreamError(ErrorCode::kUpstreamProtocol, Retry::kUnproven, "an event of the stream is malformed"));
  }
  if (sighting.done) return step;
  if (sighting.content && !context_.record.ttft.has_value()) {
    context_.record.ttft = context_.now() - context_.record.began;
    context_.model->metrics->time_to_first_token.Observe(context_.worker.metrics.slab, *context_.record.ttft);
  }
  if (const std::optional<Error> error = aggregator_.Add(event.data, context_.worker.json)) return Failed(*error);
  return step;
}

RelayStep AggregateRelay::OnEnd() {
  llm::SseEvent rest;
  if (decoder_.Finish(rest)) {
    const RelayStep step = Take(rest);
    if (step.kind != RelayStep::Kind::kGoOn) return step;
  }
  context_.record.usage = tap_.usage();
  if (!tap_.ended()) {
    return Failed(UpstreamError(ErrorCode::kUpstreamReset, Retry::kUnproven, "the stream ended before the answer did"));
  }
  std::string body;
  aggregator_.Write(body);
  if (context_.cache.lead.has_value()) {
    context_.cache.lead->OnBytes(body);
    context_.cache.lead->OnComplete(tap_.storable(), tap_.finish_reasons());
  }
  answer_.CommitWhole("application/json", body);
  RelayStep step;
  step.kind = RelayStep::Kind::kComplete;
  return step;
}

}  // namespace penstock::proxy
