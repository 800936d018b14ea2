#include "penstock/llm/stream_tap.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "exact_copy.hpp"

namespace penstock::llm {
namespace {

SseEvent Event(std::string_view data, std::string_view name = {}) { return {{}, data, name, true, false}; }

/// Runs a whole transcript through decoder and tap.
struct Watched {
  Watched(Family family, std::string_view transcript, std::uint32_t choices = 0) : tap(family, choices) {
    JsonParser parser(1);
    SseDecoder decoder;
    SseEvent event;
    decoder.Feed(transcript);
    while (decoder.Next(event) == SseDecoder::Step::kEvent) sightings.push_back(tap.Look(event, parser));
  }
  StreamTap tap;
  std::vector<Sighting> sightings;
};

/// Which of the flags are set, as letters: Commits, content (t), Finish, Done, Usage-only, Malformed, Error.
std::string Letters(const Sighting& s) {
  std::string text;
  if (s.commits) text += 'C';
  if (s.content) text += 't';
  if (s.finish) text += 'F';
  if (s.done) text += 'D';
  if (s.usage_only) text += 'U';
  if (s.malformed) text += 'M';
  if (s.error) text += 'E';
  return text;
}
std::string Letters(const Watched& watched) {
  std::string text;
  for (const Sighting& sighting : watched.sightings) text += (text.empty() ? "" : " ") + Letters(sighting);
  return text;
}

struct EventRow {
  const char* what;
  Family family;
  const char* name;
  const char* data;
  const char* letters;
  int status = 0;
};

void ExpectSightings(std::initializer_list<EventRow> rows) {
  JsonParser parser(1);
  for (const EventRow& row : rows) {
    StreamTap tap(row.family);
    const test::ExactCopy data(row.data);
    const Sighting sighting = tap.Look(Event(data.view(), row.name), parser);
    EXPECT_EQ(Letters(sighting), row.letters) << row.what;
    EXPECT_EQ(sighting.error_status, row.status) << row.what;
    EXPECT_EQ(tap.error_seen(), sighting.error) << row.what;
    EXPECT_EQ(tap.malformed(), sighting.malformed ? 1u : 0u) << row.what;
  }
}

TEST(StreamTap, TellsContentFromWhatCommitsNothing) {
  const Family chat = Family::kChat;
  ExpectSightings({
      {"role only, empty content", chat, "",
       R"({"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]})", ""},
      {"role only, null content (llama.cpp)", chat, "",
       R"({"choices":[{"finish_reason":null,"index":0,"delta":{"role":"assistant","content":null}}]})", ""},
      {"content", chat, "", R"({"choices":[{"index":0,"delta":{"content":"x"}}]})", "Ct"},
      {"role and content (TGI)", chat, "", R"({"id":"","choices":[{"delta":{"role":"assistant","content":" "}}]})",
       "Ct"},
      {"reasoning_content", chat, "", R"({"choices":[{"delta":{"reasoning_content":"hm"}}]})", "Ct"},
      {"reasoning", chat, "", R"({"choices":[{"delta":{"reasoning":"hm"}}]})", "Ct"},
      {"refusal", chat, "", R"({"choices":[{"delta":{"refusal":"no"}}]})", "Ct"},
      {"tool call", chat, "", R"({"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"name":"f"}}]}}]})", "Ct"},
      {"function call", chat, "", R"({"choices":[{"delta":{"function_call":{"name":"f"}}}]})", "Ct"},
      {"empty tool calls", chat, "", R"({"choices":[{"delta":{"tool_calls":[],"function_call":{ },"refusal":null}}]})",
       ""},
      {"unknown delta field", chat, "", R"({"choices":[{"delta":{"audio":"x"}}]})", ""},
      {"second choice has content", chat, "",
       R"({"choices":[{"index":0,"delta":{}},{"index":1,"delta":{"content":"x"}}]})", "Ct"},
      {"finish", chat, "", R"({"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]})", "CF"},
      {"content and finish in one", chat, "", R"({"choices":[{"delta":{"content":"x"},"finish_reason":"length"}]})",
       "CtF"},
      {"empty finish reason", chat, "", R"({"choices":[{"delta":{},"finish_reason":""}]})", ""},
      {"usage only", chat, "", R"({"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}})", "U"},
      {"usage only, spaced", chat, "", R"({"choices" : [ ] , "usage" : { } })", "U"},
      {"no choices, null usage", chat, "", R"({"choices":[],"usage":null})", ""},
      {"no choices, filter results", chat, "", R"({"choices":[],"prompt_filter_results":[]})", ""},
      {"usage beside content", chat, "", R"({"choices":[{"delta":{"content":"x"}}],"usage":{"prompt_tokens":1}})",
       "Ct"},
      {"prompt progress", chat, "", R"({"choices":[{"delta":{"role":null}}],"prompt_progress":{"total":9}})", ""},
      {"done", chat, "", "[DONE]", "D"},
      {"text", Family::kCompletions, "", R"({"choices":[{"text":"x","index":0,"finish_reason":null}]})", "Ct"},
      {"empty text", Family::kCompletions, "", R"({"choices":[{"text":"","index":0,"finish_reason":null}]})", ""},
      {"text and finish", Family::kCompletions, "", R"({"choices":[{"text":"","finish_reason":"stop"}],"usage":{}})",
       "CF"},
      {"created", Family::kResponses, "response.created", R"({"type":"response.created","response":{"error":null}})",
       ""},
      {"item added", Family::kResponses, "", R"({"type":"response.output_item.added","item":{}})", ""},
      {"text delta", Family::kResponses, "", R"({"type":"response.output_text.delta","delta":"x"})", "Ct"},
      {"argument delta", Family::kResponses, "", R"({"type":"response.function_call_arguments.delta","delta":"{"})",
       "Ct"},
      {"completed", Family::kResponses, "", R"({"type":"response.completed","response":{"status":"completed"}})", "CF"},
      {"incomplete", Family::kResponses, "", R"({"type":"response.incomplete","response":{}})", "CF"},
      {"type only in the event's name", Family::kResponses, "response.completed", R"({"response":{}})", "CF"},
      {"message start", Family::kMessages, "message_start",
       R"({"type":"message_start","message":{"usage":{"input_tokens":3}}})", ""},
      {"ping", Family::kMessages, "ping", R"({"type":"ping"})", ""},
      {"block start", Family::kMessages, "",
       R"({"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}})", ""},
      {"block delta", Family::kMessages, "",
       R"({"type":"content_block_delta","delta":{"type":"text_delta","text":"x"}})", "Ct"},
      {"stop reason", Family::kMessages, "",
       R"({"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":2}})", "C"},
      {"message stop", Family::kMessages, "message_stop", R"({"type":"message_stop"})", "CF"},
  });
}

TEST(StreamTap, ErrorsInTheStreamOfEveryServer) {
  const Family chat = Family::kChat;
  ExpectSightings({
      {"vLLM", chat, "", R"({"error":{"message":"x","type":"BadRequestError","param":null,"code":400}})", "E", 400},
      {"llama.cpp", chat, "", R"({"error":{"code":500,"message":"x","type":"server_error"}})", "E", 500},
      {"TGI", chat, "", R"({"error":{"message":"Input validation error","http_status_code":422}})", "E", 422},
      {"TGI without room", chat, "", R"({"error":{"message":"Model is overloaded","http_status_code":422}})", "E", 429},
      {"TGI generate_stream", chat, "", R"({"error":"Model is overloaded","error_type":"overloaded"})", "E", 429},
      {"TGI generation", chat, "", R"({"error":"x","error_type":"generation"})", "E", 424},
      {"SGLang's full queue", chat, "",
       R"({"error":{"object":"error","message":"The request queue is full.","type":"x","code":503}})", "E", 503},
      {"SGLang without wrapper", chat, "", R"({"object":"error","message":"x","type":"BadRequestError","code":400})",
       "E", 400},
      {"SGLang's abort", chat, "",
       R"({"choices":[{"index":0,"delta":{},"finish_reason":{"type":"abort","message":"x"}}]})", "E", 503},
      {"abort as a text", chat, "", R"({"choices":[{"index":0,"delta":{},"finish_reason":"abort"}]})", "E", 503},
      {"by the event's name", chat, "error", R"({"message":"x","code":429})", "E", 429},
      {"code as a name", chat, "", R"({"error":{"message":"x","code":"rate_limit_exceeded"}})", "E", 429},
      {"nothing to go by", chat, "", R"({"error":{"message":"x","code":7}})", "E", 500},
      {"Triton", chat, "", R"({"error":"in ensemble 'ensemble': x"})", "E", 500},
      {"Anthropic", Family::kMessages, "error", R"({"type":"error","error":{"type":"overloaded_error","message":"x"}})",
       "E", 503},
      {"Anthropic, unnamed", Family::kMessages, "",
       R"({"type":"error","error":{"type":"rate_limit_error","message":"x"}})", "E", 429},
      {"Responses failed", Family::kResponses, "",
       R"({"type":"response.failed","response":{"status":"failed","error":{"code":"rate_limit_exceeded","message":"x"}}})",
       "E", 429},
      {"Responses failed, no reason", Family::kResponses, "", R"({"type":"response.failed","response":{"error":null}})",
       "E", 500},
      {"Responses error", Family::kResponses, "error", R"({"type":"error","code":"server_error","message":"x"})", "E",
       500},
      {"null is none", chat, "", R"({"error":null,"choices":[{"delta":{"content":"x"}}]})", "Ct"},
      {"false is none", chat, "", R"({"error":false,"choices":[{"delta":{"content":"x"}}]})", "Ct"},
      {"empty is none", chat, "", R"({"error":"","choices":[{"delta":{"content":"x"}}]})", "Ct"},
  });
}

TEST(UpstreamFaults, U_14_MalformedEventsAreCountedAndTheStreamGoesOn) {
  const Family chat = Family::kChat;
  ExpectSightings({
      {"cut JSON", chat, "", R"({"choices":[{"delta":{"content":"x)", "M"},
      {"trailing comma", chat, "", R"({"choices":[],})", "M"},
      {"wrong behind the choices", chat, "", R"({"choices":[{"delta":{"content":"x"}}],"usage":nul})", "M"},
      {"wrong inside what is not read", chat, "", R"({"x":{"y":[1 2]},"choices":[]})", "M"},
      {"bytes behind the root", chat, "", R"({"choices":[]} {})", "M"},
      {"empty data", chat, "", "", "M"},
      {"no JSON", chat, "", "hello", "M"},
      {"invalid UTF-8", chat, "", "{\"choices\":[{\"delta\":{\"content\":\"\xFF\"}}]}", "M"},
      {"array", chat, "", "[]", "M"},
      {"wrong escape", chat, "", R"({"choices":[{"delta":{"content":"\x"}}]})", "M"},
      {"half a pair is JSON", chat, "", R"({"choices":[{"delta":{"content":"\ud83d"}}]})", "Ct"},
      {"a key twice is JSON", chat, "", R"({"choices":[],"choices":[{"delta":{"content":"x"}}]})", "Ct"},
      {"a huge number is JSON", chat, "", R"({"x":1e999,"choices":[]})", ""},
      {"ill-typed choices", chat, "", R"({"choices":{"0":{}}})", ""},
      {"ill-typed choice", chat, "", R"({"choices":[7,null,"x"]})", ""},
      {"ill-typed delta", chat, "", R"({"choices":[{"delta":"x","index":"0","finish_reason":7}]})", ""},
      {"cut, Responses", Family::kResponses, "", R"({"type":"response.completed")", "M"},
  });
  const Watched watched(
      chat,
      "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\ndata: oops\n\n: ping\n\nnonsense\n\n"
      "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"b\"},\"finish_reason\":\"stop\"}]}\n\ndata: "
      "[DONE]\n\n");
  EXPECT_EQ(Letters(watched), "Ct M  M CtF D");
  EXPECT_EQ(watched.tap.malformed(), 2u);
  EXPECT_TRUE(watched.tap.complete());
  EXPECT_TRUE(watched.tap.ended());
  EXPECT_FALSE(watched.tap.storable());
}

constexpr std::string_view kRole =
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n";
constexpr std::string_view kText = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n";
constexpr std::string_view kStop = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
constexpr std::string_view kDone = "data: [DONE]\n\n";

std::string Join(std::initializer_list<std::string_view> parts) {
  std::string all;
  for (const std::string_view part : parts) all += part;
  return all;
}

TEST(UpstreamFaults, U_10_WhatCountsAsAWholeStream) {
  const auto second = [](const char* rest) {
    return std::string("data: {\"choices\":[{\"index\":1,") + rest + "}]}\n\n";
  };
  const std::string text1 = second(R"("delta":{"content":"b"})");
  const std::string stop1 = second(R"("delta":{},"finish_reason":"tool_calls")");
  const struct {
    const char* what;
    std::string stream;
    std::uint32_t choices;
    bool complete;
    bool ended;
    bool storable;
  } rows[] = {
      {"finish and done", Join({kRole, kText, kStop, kDone}), 1, true, true, true},
      {"finish, no done", Join({kRole, kText, kStop}), 1, true, true, true},
      {"neither", Join({kRole, kText}), 1, false, false, false},
      {"nothing", "", 1, false, false, false},
      {"done, no finish (Ollama's swallowed error has neither)", Join({kText, kDone}), 1, false, true, false},
      {"one of two choices finished", Join({kText, text1, kStop}), 2, false, false, false},
      {"the other", Join({kText, text1, stop1}), 2, false, false, false},
      {"both", Join({kText, text1, stop1, kStop}), 2, true, true, true},
      {"both of an unknown number", Join({kText, text1, stop1, kStop}), 0, true, true, true},
      {"two asked, one ever seen", Join({kText, kStop}), 2, false, false, false},
      {"content after the finish of another", Join({kText, kStop, text1}), 0, false, false, false},
      {"length is whole but not stored",
       Join({kText, "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"length\"}]}\n\n"}), 1, true, true, false},
      {"an error after the finish", Join({kText, kStop, "data: {\"error\":{\"message\":\"x\"}}\n\n"}), 1, true, false,
       false},
      {"vLLM: an error, then done", Join({kText, "data: {\"error\":{\"message\":\"x\"}}\n\n", kDone}), 1, false, false,
       false},
      {"an index beyond what is tracked",
       Join({"data: {\"choices\":[{\"index\":5000,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"}), 0, false, false,
       false},
      {"the same with done",
       Join({"data: {\"choices\":[{\"index\":5000,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n", kDone}), 0, false,
       true, false},
  };
  for (const auto& row : rows) {
    const Watched watched(Family::kChat, row.stream, row.choices);
    EXPECT_EQ(watched.tap.complete(), row.complete) << row.what;
    EXPECT_EQ(watched.tap.ended(), row.ended) << row.what;
    EXPECT_EQ(watched.tap.storable(), row.storable) << row.what;
  }
}

TEST(UpstreamFaults, U_10_FamiliesWithATerminalEventNeedIt) {
  const std::string start =
      "event: message_start\ndata: "
      "{\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":25,\"cache_read_input_tokens\":5,\"output_"
      "tokens\":1}}}\n\n";
  const std::string delta =
      "event: message_delta\ndata: "
      "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":15}}\n\n";
  const std::string stop = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
  const Watched cut(Family::kMessages, start + delta);
  EXPECT_FALSE(cut.tap.ended());
  const Watched whole(Family::kMessages, start + delta + stop);
  EXPECT_TRUE(whole.tap.complete());
  EXPECT_TRUE(whole.tap.storable());
  EXPECT_EQ(whole.tap.usage().prompt_tokens, 25u);
  EXPECT_EQ(whole.tap.usage().completion_tokens, 15u);
  EXPECT_EQ(whole.tap.usage().cached_tokens, 5u);

  const std::string created =
      "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"usage\":null}}\n\n";
  EXPECT_FALSE(Watched(Family::kResponses, created).tap.ended());
  EXPECT_FALSE(Watched(Family::kResponses, created + "data: [DONE]\n\n").tap.ended())
      << "not this family's terminal event";
  const Watched completed(Family::kResponses,
                          created +
                              "data: {\"type\":\"response.completed\",\"response\":{\"usage\":{\"input_tokens\":8,"
                              "\"input_tokens_details\":{\"cached_tokens\":2},\"output_tokens\":9}}}\n\n");
  EXPECT_TRUE(completed.tap.storable());
  EXPECT_EQ(completed.tap.usage().prompt_tokens, 8u);
  EXPECT_EQ(completed.tap.usage().cached_tokens, 2u);
  EXPECT_FALSE(
      Watched(Family::kResponses, "data: {\"type\":\"response.incomplete\",\"response\":{}}\n\n").tap.storable());
}

TEST(StreamTap, FindsTokenCountsWhereverServersPutThem) {
  const struct {
    const char* what;
    Family family;
    std::string stream;
    Usage usage;
  } rows[] = {
      {"usage event",
       Family::kChat,
       Join({kText, kStop,
             "data: "
             "{\"choices\":[],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":20,\"prompt_tokens_details\":{"
             "\"cached_tokens\":4}}}\n\n"}),
       {true, 10, 20, 4}},
      {"the last of continuous usage",
       Family::kChat,
       "data: "
       "{\"choices\":[{\"delta\":{\"content\":\"a\"}}],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}}\n\n"
       "data: "
       "{\"choices\":[{\"delta\":{\"content\":\"b\"}}],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\n\n",
       {true, 1, 2, 0}},
      {"usage on the last choice",
       Family::kCompletions,
       "data: "
       "{\"choices\":[{\"text\":\"\",\"finish_reason\":\"stop\"}],\"usage\":{\"completion_tokens\":5,\"prompt_tokens\":"
       "3}}\n\n",
       {true, 3, 5, 0}},
      {"llama.cpp's timings",
       Family::kChat,
       "data: "
       "{\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}],\"timings\":{\"cache_n\":236,\"prompt_n\":1,"
       "\"predicted_n\":35,\"predicted_ms\":1.5}}\n\n",
       {true, 237, 35, 236}},
      {"usage wins over timings",
       Family::kChat,
       "data: "
       "{\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}],\"timings\":{\"cache_n\":1,\"prompt_n\":1,\"predicted_"
       "n\":1}}\n\n"
       "data: "
       "{\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":8},\"timings\":{\"cache_n\":1,\"prompt_"
       "n\":1,\"predicted_n\":1}}\n\n",
       {true, 7, 8, 0}},
      {"none", Family::kChat, Join({kText, kStop}), {}},
      {"nonsense",
       Family::kChat,
       "data: "
       "{\"choices\":[],\"usage\":{\"prompt_tokens\":-1,\"completion_tokens\":1e300,\"prompt_tokens_details\":7}}\n\n",
       {true, 0, 0, 0}},
  };
  for (const auto& row : rows) {
    const Watched watched(row.family, row.stream);
    EXPECT_EQ(watched.tap.usage().known, row.usage.known) << row.what;
    EXPECT_EQ(watched.tap.usage().prompt_tokens, row.usage.prompt_tokens) << row.what;
    EXPECT_EQ(watched.tap.usage().completion_tokens, row.usage.completion_tokens) << row.what;
    EXPECT_EQ(watched.tap.usage().cached_tokens, row.usage.cached_tokens) << row.what;
  }
}

}  // namespace
}  // namespace penstock::llm
