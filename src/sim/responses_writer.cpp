#include "sim/event_writer.hpp"
#include "sim/token_text.hpp"

namespace penstock::sim {
namespace {

/// Owned by one Worker. The Responses API: lifecycle events around output_text deltas, no [DONE].
class ResponsesWriter final : public EventWriter {
 public:
  explicit ResponsesWriter(const AnswerFacts& facts) : facts_(facts), item_("msg_" + facts.id) {}

  void Begin(Chain& out) override {
    Event(out, "response.created", {R"(,"response":)", Response("in_progress", "")});
    Event(out, "response.in_progress", {R"(,"response":)", Response("in_progress", "")});
    Event(out, "response.output_item.added",
          {R"(,"output_index":0,"item":{"type":"message","id":")", item_,
           R"(","status":"in_progress","role":"assistant","content":[]})"});
    Event(out, "response.content_part.added",
          {Place(), R"(,"part":{"type":"output_text","text":"","annotations":[],"logprobs":[]})"});
  }

  void Token(Chain& out, std::uint32_t index) override {
    char text[kTokenTextMax];
    const std::string_view token(text, WriteToken(text, facts_.text_seed, index));
    Event(out, "response.output_text.delta", {Place(), R"(,"delta":")", token, R"(","logprobs":[])"});
  }

  void Finish(Chain& out) override {
    std::string text;
    AppendText(text, facts_.text_seed, facts_.tokens);
    Event(out, "response.output_text.done", {Place(), R"(,"text":")", text, R"(","logprobs":[])"});
    Event(out, "response.content_part.done", {Place(), R"(,"part":)", Part(text)});
    Event(out, "response.output_item.done", {R"(,"output_index":0,"item":)", Item(text)});
    // This family's finish reason and its last event are one.
    if (!facts_.with_finish || !facts_.with_done) return;
    if (facts_.finish == "length") {
      Event(out, "response.incomplete", {R"(,"response":)", Response("incomplete", text)});
    } else {
      Event(out, "response.completed", {R"(,"response":)", Response("completed", text)});
    }
  }

  void Error(Chain& out, std::uint16_t, std::string_view message) override {
    std::string text;
    AppendEscaped(text, message);
    Event(out, "response.failed",
          {R"(,"response":{"id":"resp_)", facts_.id, R"(","object":"response","created_at":)",
           std::to_string(facts_.created_s), R"(,"status":"failed","model":")", facts_.model,
           R"(","output":[],"error":{"code":"server_error","message":")", text, R"("}})"});
  }

  void Whole(Chain& out) override {
    std::string text;
    AppendText(text, facts_.text_seed, facts_.tokens);
    out.Append(Response(facts_.finish == "length" ? "incomplete" : "completed", text));
  }

 private:
  void Event(Chain& out, std::string_view type, std::initializer_list<std::string_view> rest) {
    Put(out, {"event: ", type, "\ndata: {\"type\":\"", type, R"(","sequence_number":)", std::to_string(sequence_++)});
    Put(out, rest);
    out.Append("}\n\n");
  }
  std::string Place() const { return R"(,"item_id":")" + item_ + R"(","output_index":0,"content_index":0)"; }
  static std::string Part(std::string_view text) {
    return R"({"type":"output_text","text":")" + std::string(text) + R"(","annotations":[],"logprobs":[]})";
  }
  std::string Item(std::string_view text) const {
    return R"({"type":"message","id":")" + item_ + R"(","status":"completed","role":"assistant","content":[)" +
           Part(text) + "]}";
  }
  std::string Response(std::string_view status, std::string_view text) const {
    const bool whole = status != "in_progress";
    std::string json = R"({"id":"resp_)" + facts_.id + R"(","object":"response","created_at":)" +
                       std::to_string(facts_.created_s) + R"(,"status":")" + std::string(status) + R"(","model":")" +
                       facts_.model + R"(","output":[)";
    if (whole) json += Item(text);
    json += R"(],"error":null,"incomplete_details":)";
    json += status == "incomplete" ? R"({"reason":"max_output_tokens"})" : "null";
    json += R"(,"usage":)";
    if (!whole || facts_.usage == UsageStyle::kNone) return json + "null}";
    return json + R"({"input_tokens":)" + std::to_string(facts_.prompt_tokens) +
           R"(,"input_tokens_details":{"cached_tokens":)" + std::to_string(facts_.cached_tokens) +
           R"(},"output_tokens":)" + std::to_string(facts_.tokens) +
           R"(,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":)" +
           std::to_string(facts_.prompt_tokens + facts_.tokens) + "}}";
  }

  const AnswerFacts& facts_;
  std::string item_;
  std::uint32_t sequence_ = 0;
};

}  // namespace

std::unique_ptr<EventWriter> MakeResponsesWriter(const AnswerFacts& facts) {
  return std::make_unique<ResponsesWriter>(facts);
}

}  // namespace penstock::sim
