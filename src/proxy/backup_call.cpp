#include "proxy/backup_call.hpp"

#include "proxy/header_rules.hpp"

namespace penstock::proxy {
namespace {

constexpr std::size_t kHeldBytesMax = 64 * 1024;  // without content: more says that it has some

using telemetry::AttemptOutcome;

}  // namespace

BackupCall::BackupCall(RequestContext& context, BackupListener& listener)
    : context_(context),
      listener_(listener),
      decoder_(context.snapshot().config.server.limits.sse_event),
      tap_(context.family(), context.request->choices()) {
  arrived_.call = std::make_unique<Call>(context, *this);
}

void BackupCall::Begin(Slot slot, std::uint32_t number) {
  arrived_.call->Begin(*context_.request, std::move(slot), number, context_.now());
}

void BackupCall::OnHead(http::HeadPtr head) {
  if (head->status >= 400) {
    const bool resting = arrived_.call->Rest(*head);
    Lose({.outcome = OutcomeOfStatus(head->status), .resting = resting});
    return;
  }
  if (head->status != 200 || HasMediaType(*head, "text/html")) {
    Lose({.outcome = AttemptOutcome::kProtocol});
    return;
  }
  // A whole answer, which may be just what it was asked for: nothing that could be held until its first content.
  if (!IsEventStream(*head)) return Lose({});
  arrived_.head = std::move(head);
}

void BackupCall::OnBody(std::string_view bytes) {
  arrived_.bytes += bytes;
  decoder_.Feed(bytes);
  llm::SseEvent event;
  while (true) {
    switch (decoder_.Next(event)) {
      case llm::SseDecoder::Step::kNeedMore:
        if (arrived_.bytes.size() > kHeldBytesMax) listener_.OnBackupContent();
        return;
      case llm::SseDecoder::Step::kTooLong: Lose({.outcome = AttemptOutcome::kProtocol}); return;
      case llm::SseDecoder::Step::kEvent: break;
    }
    if (Look(event)) return;
  }
}

/// True: it is over with this object.
bool BackupCall::Look(const llm::SseEvent& event) {
  if (!event.has_data && !event.has_junk) return false;
  const llm::Sighting sighting = tap_.Look(event, context_.worker.json);
  if (sighting.error) {
    Lose({.outcome = OutcomeOfStatus(sighting.error_status)});
    return true;
  }
  if (sighting.malformed) {
    Lose({.outcome = AttemptOutcome::kProtocol});
    return true;
  }
  if (!sighting.commits && !tap_.content_seen()) return false;
  listener_.OnBackupContent();
  return true;
}

void BackupCall::OnEnd() {
  arrived_.ended = true;
  llm::SseEvent rest;
  if (decoder_.Finish(rest) && Look(rest)) return;
  if (tap_.ended()) return listener_.OnBackupContent();
  Lose({.outcome = AttemptOutcome::kReset});
}

void BackupCall::OnFailed(const Error& error) { Lose({.outcome = OutcomeOfError(error)}); }

void BackupCall::Lose(const CallEnd& end) {
  arrived_.call->End(end);
  listener_.OnBackupLost();
}

}  // namespace penstock::proxy
