#include "proxy/grpc/stored_messages.hpp"

#include "penstock/grpc/message.hpp"
#include "penstock/llm/sse_decoder.hpp"

namespace penstock::proxy {
namespace {

/// Puts the prefix in front of what was appended behind `begin`.
void Frame(std::string& out, std::size_t begin) {
  grpc::WritePrefix(out.data() + begin, false, static_cast<std::uint32_t>(out.size() - begin - grpc::kPrefixBytes));
}

}  // namespace

bool HasCommonMessages(const GrpcPart& part) noexcept { return part.method->service == grpc::Service::kCompletions; }

std::optional<std::string> MessagesOf(const GrpcPart& part, bool events, std::span<const std::string_view> body,
                                      llm::JsonParser& json) {
  grpc::AnswerTranslator translator;
  translator.Begin(*part.method, part.facts);
  std::string text;
  for (const std::string_view piece : body) text += piece;
  std::string out;
  if (!events) {
    out.resize(grpc::kPrefixBytes);
    if (!translator.Whole(text, json, out)) return std::nullopt;
    Frame(out, 0);
    return out;
  }
  llm::SseDecoder decoder(text.size());
  decoder.Feed(text);
  for (llm::SseEvent event; decoder.Next(event) == llm::SseDecoder::Step::kEvent;) {
    if (!event.has_data) continue;
    const std::size_t begin = out.size();
    out.resize(begin + grpc::kPrefixBytes);
    if (translator.Event(event.data, json, out)) {
      Frame(out, begin);
    } else {
      out.resize(begin);
    }
  }
  return out;
}

}  // namespace penstock::proxy
