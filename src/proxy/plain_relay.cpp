#include <algorithm>

#include "penstock/llm/answer.hpp"
#include "proxy/relay.hpp"

namespace penstock::proxy {
namespace {

constexpr std::size_t kRefusalBytesMax = 64 * 1024;  // of an upstream's error body; the rest is dropped

}  // namespace

PlainRelay::PlainRelay(RequestContext& context, Answer& answer) : context_(context), answer_(answer) {}

RelayStep PlainRelay::OnBytes(std::string_view bytes) {
  const config::Limits& limits = context_.snapshot().config.server.limits;
  RelayStep step;
  step.progress = true;
  received_ += bytes.size();
  answer_.Append(bytes);
  const std::uint64_t hold = context_.worker.crowded() ? limits.stream_buffer : limits.response_hold;
  if (!answer_.committed() && answer_.held() >= hold) answer_.Commit(answer_.upstream_head()->content_length);
  return step;
}

RelayStep PlainRelay::OnEnd() {
  RelayStep step;
  step.kind = RelayStep::Kind::kComplete;
  if (!answer_.committed()) {
    std::string scratch;
    context_.record.usage = llm::ReadAnswer(context_.family(), answer_.HeldBytes(scratch), context_.worker.json).usage;
    answer_.Commit(received_);
  }
  answer_.End();
  return step;
}

RelayStep RefusalRelay::OnBytes(std::string_view bytes) {
  body_.append(bytes.substr(0, kRefusalBytesMax - std::min(body_.size(), kRefusalBytesMax)));
  return {};
}

}  // namespace penstock::proxy
