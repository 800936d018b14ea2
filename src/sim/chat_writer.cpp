#include <cstdio>

#include "sim/event_writer.hpp"
#include "sim/token_text.hpp"

namespace penstock::sim {
namespace {

/// Owned by one Worker. Chat completions and completions, streamed and whole.
class ChatWriter final : public EventWriter {
 public:
  explicit ChatWriter(const AnswerFacts& facts)
      : facts_(facts), traits_(TraitsOf(facts.kind)), chat_(facts.family == Family::kChat) {
    opening_ = "{\"id\":\"" + Id() + "\",\"object\":\"";
    closing_head_ = "\",\"created\":" + std::to_string(facts.created_s) + ",\"model\":\"" + facts.model + "\",";
    if (facts.kind == Kind::kOllama) closing_head_ += R"("system_fingerprint":"fp_ollama",)";
    event_ =
        "data: " + opening_ + (chat_ ? "chat.completion.chunk" : "text_completion") + closing_head_ + R"("choices":[)";
    if (facts.usage == UsageStyle::kEveryEvent) every_ = ",\"usage\":" + Usage();
  }

  void Begin(Chain& out) override {
    if (!chat_) return;
    for (std::uint32_t choice = 0; choice < facts_.choices; ++choice) {
      OpenChoice(out, choice);
      Put(out, {R"("delta":{"role":"assistant","content":)", traits_.role_null ? "null" : "\"\"", "}", kNoFinish,
                every_, "}\n\n"});
    }
  }

  void Token(Chain& out, std::uint32_t index) override {
    for (std::uint32_t choice = 0; choice < facts_.choices; ++choice) {
      char text[kTokenTextMax];
      const std::string_view token(text, WriteToken(text, SeedOf(choice), facts_.first_token + index));
      OpenChoice(out, choice);
      if (chat_) {
        Delta(out, index, token);
      } else {
        Put(out, {R"("text":")", token, "\""});
      }
      if (facts_.logprobs) {
        Logprobs(out, token);
        Put(out, {R"(,"finish_reason":null}])", every_, "}\n\n"});
      } else {
        Put(out, {kNoFinish, every_, "}\n\n"});
      }
    }
  }

  void Finish(Chain& out) override {
    const bool usage_event = facts_.include_usage && facts_.usage == UsageStyle::kAsked;
    const bool rides =
        facts_.usage == UsageStyle::kOnFinish || (usage_event && !chat_ && facts_.kind == Kind::kLlamacpp);
    if (facts_.with_finish) {
      for (std::uint32_t choice = 0; choice < facts_.choices; ++choice) {
        if (chat_ && facts_.delta == "tool_calls") CloseArguments(out, choice);
        OpenChoice(out, choice);
        const bool last = choice + 1 == facts_.choices;
        Put(out,
            {chat_ ? R"("delta":{})" : R"("text":"")", R"(,"logprobs":null,"finish_reason":")", facts_.finish, "\"}]",
             last && facts_.timings ? Timings() : "", last && rides ? ",\"usage\":" + Usage() : every_, "}\n\n"});
      }
    }
    if (usage_event && !rides) {
      Put(out, {event_, "],\"usage\":", Usage(), facts_.timings ? Timings() : "", "}\n\n"});
    }
    if (facts_.with_done) out.Append("data: [DONE]\n\n");
  }

  void Error(Chain& out, std::uint16_t status, std::string_view message) override {
    if (traits_.swallows_errors) {
      OpenChoice(out, 0);
      Put(out, {R"("delta":{})", kNoFinish, "}\n\n"});
      return;
    }
    Put(out, {"data: ", ErrorEvent(facts_, status, message), "\n\n"});
    if (traits_.done_after_error) out.Append("data: [DONE]\n\n");
  }

  void Whole(Chain& out) override {
    Put(out, {opening_, chat_ ? "chat.completion" : "text_completion", closing_head_, R"("choices":[)"});
    for (std::uint32_t choice = 0; choice < facts_.choices; ++choice) {
      std::string text;
      AppendText(text, SeedOf(choice), facts_.tokens, facts_.first_token);
      Put(out, {choice == 0 ? "" : ",", R"({"index":)", std::to_string(choice), ","});
      if (chat_) {
        Message(out, text);
      } else {
        Put(out, {R"("text":")", text, "\""});
      }
      if (facts_.logprobs) {
        WholeLogprobs(out, choice);
      } else {
        out.Append(R"(,"logprobs":null)");
      }
      if (facts_.with_finish) {
        Put(out, {R"(,"finish_reason":")", facts_.finish, "\"}"});
      } else {
        out.Append(R"(,"finish_reason":null})");
      }
    }
    out.Append("]");
    if (facts_.usage != UsageStyle::kNone) Put(out, {",\"usage\":", Usage()});
    Put(out, {facts_.timings ? Timings() : "", "}"});
  }

 private:
  static constexpr std::string_view kNoFinish = R"(,"logprobs":null,"finish_reason":null}])";

  std::string Id() const {
    if (facts_.kind == Kind::kTgi) return "";
    return (chat_ || facts_.kind == Kind::kLlamacpp ? "chatcmpl-" : "cmpl-") + facts_.id;
  }
  std::uint64_t SeedOf(std::uint32_t choice) const noexcept {
    return choice == 0 ? facts_.text_seed : Mix(facts_.text_seed + choice);
  }

  void OpenChoice(Chain& out, std::uint32_t choice) {
    char index[16];
    const int size = std::snprintf(index, sizeof index, "{\"index\":%u,", choice);
    out.Append(event_);
    out.Append(std::string_view(index, static_cast<std::size_t>(size)));
  }

  void Delta(Chain& out, std::uint32_t index, std::string_view token) {
    out.Append(traits_.role_always ? R"("delta":{"role":"assistant",)" : R"("delta":{)");
    if (facts_.delta == "tool_calls") {
      if (index == 0) {
        Put(out,
            {R"("tool_calls":[{"index":0,"id":"call_)", facts_.id,
             R"(","type":"function","function":{"name":"measure_flow","arguments":"{\"note\":\")", token, "\"}}]}"});
      } else {
        Put(out, {R"("tool_calls":[{"index":0,"function":{"arguments":")", token, "\"}}]}"});
      }
    } else if (facts_.delta == "function_call") {
      Put(out,
          {index == 0 ? R"("function_call":{"name":"measure_flow","arguments":")" : R"("function_call":{"arguments":")",
           token, "\"}}"});
    } else {
      Put(out, {"\"", facts_.delta, R"(":")", token, "\"}"});
    }
  }

  /// The last fragment, which makes the arguments of a tool call whole.
  void CloseArguments(Chain& out, std::uint32_t choice) {
    OpenChoice(out, choice);
    Put(out, {R"("delta":{"tool_calls":[{"index":0,"function":{"arguments":"\"}"}}]})", kNoFinish, every_, "}\n\n"});
  }

  void Message(Chain& out, std::string_view text) {
    out.Append(R"("message":{"role":"assistant",)");
    if (facts_.delta == "tool_calls") {
      Put(out,
          {R"("content":null,"tool_calls":[{"id":"call_)", facts_.id,
           R"(","type":"function","function":{"name":"measure_flow","arguments":"{\"note\":\")", text, R"(\"}"}}]})"});
    } else if (facts_.delta == "function_call") {
      Put(out, {R"("content":null,"function_call":{"name":"measure_flow","arguments":")", text, "\"}}"});
    } else if (facts_.delta == "content") {
      Put(out, {R"("content":")", text, "\"}"});
    } else {
      Put(out, {R"("content":null,")", facts_.delta, R"(":")", text, "\"}"});
    }
  }

  void LogprobItem(Chain& out, std::string_view token) {
    Put(out, {R"({"token":")", token, R"(","logprob":-0.25,"bytes":null,"top_logprobs":[]})"});
  }

  void Logprobs(Chain& out, std::string_view token) {
    if (chat_) {
      out.Append(R"(,"logprobs":{"content":[)");
      LogprobItem(out, token);
      out.Append("]}");
    } else {
      Put(out, {R"(,"logprobs":{"tokens":[")", token,
                R"("],"token_logprobs":[-0.25],"top_logprobs":null,"text_offset":[0]})"});
    }
  }

  void WholeLogprobs(Chain& out, std::uint32_t choice) {
    out.Append(chat_ ? R"(,"logprobs":{"content":[)" : R"(,"logprobs":{"top_logprobs":null,"tokens":[)");
    for (std::uint32_t i = 0; i < facts_.tokens; ++i) {
      char text[kTokenTextMax];
      const std::string_view token(text, WriteToken(text, SeedOf(choice), facts_.first_token + i));
      if (i != 0) out.Append(",");
      if (chat_) {
        LogprobItem(out, token);
      } else {
        Put(out, {"\"", token, "\""});
      }
    }
    out.Append("]}");
  }

  std::string Usage() const {
    const std::uint32_t completion = facts_.tokens * facts_.choices;
    std::string usage = R"({"prompt_tokens":)" + std::to_string(facts_.prompt_tokens) + R"(,"completion_tokens":)" +
                        std::to_string(completion) + R"(,"total_tokens":)" +
                        std::to_string(facts_.prompt_tokens + completion);
    if (traits_.cached_tokens)
      usage += R"(,"prompt_tokens_details":{"cached_tokens":)" + std::to_string(facts_.cached_tokens) + "}";
    return usage + "}";
  }

  std::string Timings() const {
    return R"(,"timings":{"cache_n":)" + std::to_string(facts_.cached_tokens) + R"(,"prompt_n":)" +
           std::to_string(facts_.prompt_tokens - facts_.cached_tokens) + R"(,"prompt_ms":1.5,"predicted_n":)" +
           std::to_string(facts_.tokens) + R"(,"predicted_ms":1.5})";
  }

  const AnswerFacts& facts_;
  const KindTraits& traits_;
  bool chat_;
  std::string opening_, closing_head_;
  std::string event_;  ///< an event up to its first choice
  std::string every_;  ///< what UsageStyle::kEveryEvent adds
};

}  // namespace

std::unique_ptr<EventWriter> MakeChatWriter(const AnswerFacts& facts) { return std::make_unique<ChatWriter>(facts); }

}  // namespace penstock::sim
