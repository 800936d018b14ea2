#include <algorithm>

#include "penstock/llm/answer.hpp"
#include "proxy/relay.hpp"

namespace penstock::proxy {
namespace {

constexpr std::size_t kTailBytes = 1024;             // of a large answer, where its token counts are
constexpr std::size_t kRefusalBytesMax = 64 * 1024;  // of an upstream's error body; the rest is dropped

}  // namespace

PlainRelay::PlainRelay(RequestContext& context, Answer& answer) : context_(context), answer_(answer) {}

RelayStep PlainRelay::OnBytes(std::string_view bytes) {
  const config::Limits& limits = context_.snapshot().config.server.limits;
  RelayStep step;
  step.progress = true;
  step.content = true;
  received_ += bytes.size();
  if (context_.grpc != nullptr && received_ > limits.response_body) {  // it is kept until it is one message
    step.kind = RelayStep::Kind::kFailed;
    step.error =
        UpstreamError(ErrorCode::kUpstreamProtocol, Retry::kNever, "the answer is larger than a message may be");
    return step;
  }
  if (answer_.upstream_framing() == http::Framing::kUntilClose) document_.Feed(bytes);
  if (answer_.committed()) KeepTail(bytes);
  answer_.Append(bytes);
  if (context_.cache.lead.has_value()) context_.cache.lead->OnBytes(bytes);
  const std::uint64_t hold = context_.worker.crowded() ? limits.stream_buffer : limits.response_hold;
  if (!answer_.committed() && answer_.held() >= hold) answer_.Commit(answer_.upstream_head()->content_length);
  return step;
}

void PlainRelay::KeepTail(std::string_view bytes) {
  tail_.append(bytes.substr(bytes.size() - std::min(bytes.size(), kTailBytes)));
  if (tail_.size() > kTailBytes) tail_.erase(0, tail_.size() - kTailBytes);
}

/// A body that lasts until the connection closes may have been cut anywhere: only the document itself tells.
bool PlainRelay::Truncated() const noexcept {
  return answer_.upstream_framing() == http::Framing::kUntilClose && !document_.reached();
}

RelayStep PlainRelay::OnEnd() {
  RelayStep step;
  if (Truncated()) {
    step.kind = RelayStep::Kind::kFailed;
    step.error = UpstreamError(ErrorCode::kUpstreamReset, Retry::kUnproven, "the answer ended before its document did");
    return step;
  }
  step.kind = RelayStep::Kind::kComplete;
  std::string scratch;
  std::optional<std::string_view> all;
  if (!answer_.committed()) {
    all = answer_.HeldBytes(scratch);
  } else if (context_.cache.lead.has_value()) {
    all = context_.cache.lead->Taken();
  }
  if (all.has_value()) {
    const llm::AnswerSummary summary = llm::ReadAnswer(context_.family(), *all, context_.worker.json);
    context_.record.usage = summary.usage;
    if (context_.cache.lead.has_value()) {
      context_.cache.lead->OnComplete(summary.storable(), summary.finish_reasons,
                                      summary.well_formed && !summary.error);
    }
  } else {
    context_.record.usage = llm::ReadUsageAtEnd(tail_, context_.worker.json);
  }
  if (!answer_.committed()) answer_.Commit(received_);
  answer_.End();
  return step;
}

RelayStep RefusalRelay::OnBytes(std::string_view bytes) {
  body_.append(bytes.substr(0, kRefusalBytesMax - std::min(body_.size(), kRefusalBytesMax)));
  return {};
}

}  // namespace penstock::proxy
