#include "sim/event_writer.hpp"
#include "sim/token_text.hpp"

namespace penstock::sim {
namespace {

/// Owned by one Worker. Anthropic's Messages API: named events, no [DONE].
class MessagesWriter final : public EventWriter {
 public:
  explicit MessagesWriter(const AnswerFacts& facts) : facts_(facts) {}

  void Begin(Chain& out) override {
    Event(out, "message_start",
          {R"(,"message":{"id":"msg_)", facts_.id, R"(","type":"message","role":"assistant","model":")", facts_.model,
           R"(","content":[],"stop_reason":null,"stop_sequence":null,"usage":)", Usage(0), "}"});
    Event(out, "content_block_start", {R"(,"index":0,"content_block":{"type":"text","text":""})"});
    Event(out, "ping", {});
  }

  void Token(Chain& out, std::uint32_t index) override {
    char text[kTokenTextMax];
    const std::string_view token(text, WriteToken(text, facts_.text_seed, index));
    Event(out, "content_block_delta", {R"(,"index":0,"delta":{"type":"text_delta","text":")", token, "\"}"});
  }

  void Finish(Chain& out) override {
    Event(out, "content_block_stop", {R"(,"index":0)"});
    if (facts_.with_finish) {
      Event(out, "message_delta",
            {R"(,"delta":{"stop_reason":")", StopReason(), R"(","stop_sequence":null},"usage":{"output_tokens":)",
             std::to_string(facts_.tokens), "}"});
    }
    if (facts_.with_done) Event(out, "message_stop", {});
  }

  void Error(Chain& out, std::uint16_t status, std::string_view message) override {
    Put(out, {"event: error\ndata: ", ErrorBody(facts_.kind, Family::kMessages, status, message, ""), "\n\n"});
  }

  void Whole(Chain& out) override {
    std::string text;
    AppendText(text, facts_.text_seed, facts_.tokens);
    Put(out, {R"({"id":"msg_)", facts_.id, R"(","type":"message","role":"assistant","model":")", facts_.model,
              R"(","content":[{"type":"text","text":")", text, R"("}],"stop_reason":)"});
    if (facts_.with_finish) {
      Put(out, {"\"", StopReason(), "\""});
    } else {
      out.Append("null");
    }
    Put(out, {R"(,"stop_sequence":null,"usage":)", Usage(facts_.tokens), "}"});
  }

 private:
  static void Event(Chain& out, std::string_view type, std::initializer_list<std::string_view> rest) {
    Put(out, {"event: ", type, "\ndata: {\"type\":\"", type, "\""});
    Put(out, rest);
    out.Append("}\n\n");
  }
  std::string_view StopReason() const noexcept {
    if (facts_.finish == "length") return "max_tokens";
    return facts_.finish == "stop" ? "end_turn" : facts_.finish;
  }
  std::string Usage(std::uint32_t output) const {
    return R"({"input_tokens":)" + std::to_string(facts_.prompt_tokens - facts_.cached_tokens) +
           R"(,"cache_read_input_tokens":)" + std::to_string(facts_.cached_tokens) + R"(,"output_tokens":)" +
           std::to_string(output) + "}";
  }

  const AnswerFacts& facts_;
};

}  // namespace

std::unique_ptr<EventWriter> MakeMessagesWriter(const AnswerFacts& facts) {
  return std::make_unique<MessagesWriter>(facts);
}

}  // namespace penstock::sim
