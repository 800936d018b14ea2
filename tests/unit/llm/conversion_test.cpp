// Whole answers as events, and back (K-06): nothing that a client could read in one form is missing in the other.

#include <string>
#include <vector>

#include "converted.hpp"

namespace penstock::llm {
namespace {

using test::ExpectSame;
using test::Read;
using test::ToAnswer;
using test::ToEvents;

struct Shape {
  const char* what;
  Family family;
  const char* answer;
};

constexpr Family kChat = Family::kChat;
constexpr Shape kAnswers[] = {
    {"OpenAI", kChat,
     R"({"id":"chatcmpl-B9","object":"chat.completion","created":1741569952,"model":"m-2025","choices":[{"index":0,"message":{"role":"assistant","content":"Hello!\n\"\u00e9\ud83d\ude00\/","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":19,"completion_tokens":10,"total_tokens":29,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0}},"service_tier":"default","system_fingerprint":"fp_1"})"},
    {"pretty-printed", kChat,
     "{\r\n  \"id\" : \"c\",\n  \"x\": {\n\t\"y\" : [ 1 ,\n 2.50 , 1e-7 ]\r},\n \"choices\": [ {\n \"index\" : 0 , "
     "\"message\" : {\n \"role\": "
     "\"assistant\" ,\r\n \"content\": \"a\" \n},\n \"finish_reason\":\r\n\"stop\" } ],\n \"object\": "
     "\"chat.completion\"\n}\n"},
    {"tool calls", kChat,
     R"({"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"get_weather","arguments":"{\"city\":\"L\u00eenz\",\"n\":1.0}"}},{"id":"call_2","type":"custom","custom":{"name":"sql","input":"select \"x\""}},{"id":"call_3","type":"function","function":{"name":"f","arguments":""},"extra_content":{"google":{"thought_signature":"abc"}}}]},"logprobs":null,"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}})"},
    {"vLLM", kChat,
     R"({"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"4","refusal":null,"annotations":null,"audio":null,"function_call":null,"tool_calls":[],"reasoning":"2+2","reasoning_content":"2+2"},"logprobs":{"content":[{"token":"4","logprob":-0.0010,"bytes":[52],"top_logprobs":[{"token":"4","logprob":-1E-3,"bytes":[52]}]}]},"finish_reason":"stop","stop_reason":128001,"token_ids":[1,2]}],"service_tier":null,"system_fingerprint":null,"usage":{"prompt_tokens":1,"total_tokens":3,"completion_tokens":2,"prompt_tokens_details":null},"prompt_logprobs":[null,{"7":{"logprob":-1.5}}],"prompt_token_ids":[5,6],"kv_transfer_params":null,"metrics":{"queue_time_ms":0.1}})"},
    {"llama.cpp", kChat,
     R"({"choices":[{"finish_reason":"stop","index":0,"message":{"role":"assistant","content":"Hi"}}],"created":1,"model":"m","system_fingerprint":"b1","object":"chat.completion","usage":{"completion_tokens":1,"prompt_tokens":2,"total_tokens":3},"id":"x","timings":{"cache_n":0,"prompt_ms":1.50,"predicted_n":1}})"},
    {"several choices, not in order", kChat,
     R"({"id":"c","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"a"},"logprobs":{"content":[{"token":"a"}],"refusal":null},"finish_reason":"stop"},{"index":1,"message":{"role":"assistant","content":null,"refusal":"No."},"logprobs":{"content":null,"refusal":[{"token":"No"},{"token":"."}]},"finish_reason":"stop"},{"index":7,"message":{"role":"assistant","content":""},"logprobs":null,"finish_reason":"stop","content_filter_results":{"hate":{"filtered":false}}}]})"},
    {"function call", kChat,
     R"({"object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":null,"function_call":{"name":"f","arguments":"{}"}},"finish_reason":"function_call"}]})"},
    {"SGLang", kChat,
     R"({"id":"s","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"a","reasoning_content":null,"tool_calls":null},"logprobs":null,"finish_reason":"stop","matched_stop":2}],"usage":{"prompt_tokens":1,"total_tokens":2,"completion_tokens":1,"prompt_tokens_details":null},"metadata":{"weight_version":"default"}})"},
    {"audio, citations, content in parts", kChat,
     R"({"object":"chat.completion","citations":["https://a"],"choices":[{"index":0,"message":{"role":"assistant","content":[{"type":"text","text":"a"}],"audio":{"id":"a1","data":"AAA=","transcript":"hi","expires_at":9},"annotations":[{"type":"url_citation"}],"odd":7},"logprobs":{"content":[],"refusal":null},"finish_reason":"stop"}]})"},
    {"logprobs without text", kChat,
     R"({"object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}]},"logprobs":{"content":[{"token":"{"}],"refusal":null},"finish_reason":"tool_calls"}]})"},
    {"completions", Family::kCompletions,
     R"({"id":"cmpl-1","object":"text_completion","created":1,"model":"m","system_fingerprint":null,"choices":[{"text":" Once","index":0,"logprobs":{"tokens":[" On","ce"],"token_logprobs":[null,-0.50],"top_logprobs":[null,{"ce":-0.5}],"text_offset":[0,3]},"finish_reason":"stop","stop_reason":null,"prompt_logprobs":null,"prompt_token_ids":[1]},{"text":"","index":1,"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}})"},
    {"llama.cpp's completions", Family::kCompletions,
     R"({"choices":[{"text":"a","index":0,"logprobs":null,"finish_reason":"stop"}],"created":1,"model":"m","object":"text_completion","usage":{"completion_tokens":1,"prompt_tokens":1,"total_tokens":2},"id":"chatcmpl-1","timings":{"predicted_n":1}})"},
    {"Anthropic", Family::kMessages,
     R"({"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{"type":"thinking","thinking":"hm\n","signature":"c2ln"},{"type":"redacted_thinking","data":"xyz"},{"type":"text","text":"Hi \u00e9","citations":[{"type":"char_location","cited_text":"a"},{"type":"char_location","cited_text":"b"}]},{"type":"text","text":"","citations":null},{"type":"tool_use","id":"toolu_1","name":"f","input":{"a":"\u00e9\"","n":1.0,"z":[ ]}},{"type":"tool_use","id":"toolu_2","name":"g","input":{}},{"type":"web_search_tool_result","tool_use_id":"s","content":[{"type":"web_search_result","url":"u"}]}],"stop_reason":"tool_use","stop_sequence":null,"container":{"id":"k"},"usage":{"input_tokens":3,"cache_read_input_tokens":1,"output_tokens":9,"service_tier":"standard"},"context_management":{"applied_edits":[]}})"},
    {"Anthropic, a stop sequence, nothing said", Family::kMessages,
     R"({"id":"msg_1","type":"message","role":"assistant","model":"m","content":[],"stop_reason":"stop_sequence","stop_sequence":"###","usage":{"input_tokens":3,"output_tokens":0}})"},
    {"Responses", Family::kResponses,
     R"({"id":"resp_1","object":"response","created_at":1,"status":"completed","completed_at":2,"error":null,"incomplete_details":null,"model":"m","output":[{"id":"rs_1","type":"reasoning","summary":[{"type":"summary_text","text":"s"}],"content":[{"type":"reasoning_text","text":"t"}],"encrypted_content":null},{"id":"msg_1","type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","text":"Hi\u00e9","annotations":[{"type":"url_citation","url":"u"}],"logprobs":[{"token":"Hi","logprob":-0.10}]},{"type":"refusal","refusal":"No"}]},{"id":"fc_1","type":"function_call","status":"completed","call_id":"call_1","name":"f","arguments":"{\"a\":1}"},{"type":"custom_tool_call","call_id":"c2","name":"g","input":"x"}],"usage":{"input_tokens":1,"output_tokens":2,"total_tokens":3},"tools":[],"metadata":{}})"},
};

TEST(CacheFaults, K_06_WholeAnswersComeBackFromTheirEvents) {
  for (const Shape& row : kAnswers) {
    SCOPED_TRACE(row.what);
    const std::string events = ToEvents(row.family, row.answer);
    Read(row.family, events);
    ExpectSame(ToAnswer(row.family, events), row.answer, row.what);
  }
}

TEST(CacheFaults, K_06_UsageIsSentOnlyToThoseWhoAskedForIt) {
  for (const Shape& row : kAnswers) {
    if (!HasDone(row.family)) continue;
    auto without = test::Sorted(row.answer);
    std::erase_if(without.members, [](const auto& member) { return member.first == "usage"; });
    const std::string events = ToEvents(row.family, row.answer, false);
    for (const std::string& data : Read(row.family, events)) EXPECT_EQ(data.find("\"usage\""), std::string::npos);
    EXPECT_EQ(test::Sorted(ToAnswer(row.family, events)), without) << row.what;
  }
}

TEST(CacheFaults, K_06_TheEventsAreThoseOfAServer) {
  EXPECT_EQ(
      ToEvents(
          kChat,
          R"({"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Hi","reasoning_content":"hm","tool_calls":[{"id":"a","function":{"name":"f","arguments":"{}"}},{"id":"b"}]},"logprobs":{"content":[1]},"finish_reason":"tool_calls","stop_reason":7,"x":1}],"usage":{"prompt_tokens":1},"y":2,"timings":{}})"),
      R"(data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","y":2,"choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null,"x":1}]}

data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"reasoning_content":"hm"},"logprobs":null,"finish_reason":null}]}

data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"Hi"},"logprobs":{"content":[1]},"finish_reason":null}]}

data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}]},"logprobs":null,"finish_reason":null}]}

data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"id":"b"}]},"logprobs":null,"finish_reason":null}]}

data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"tool_calls","stop_reason":7}],"timings":{}}

data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[],"usage":{"prompt_tokens":1}}

data: [DONE]

)");
}

std::vector<std::string> Types(Family family, const std::string& events) {
  std::vector<std::string> types;
  for (const std::string& data : Read(family, events)) types.push_back(test::Sorted(data).Find("type")->text);
  return types;
}

TEST(CacheFaults, K_06_AnthropicsAndResponsesEventsComeInTheirOrder) {
  EXPECT_EQ(
      Types(
          Family::kMessages,
          ToEvents(
              Family::kMessages,
              R"({"type":"message","content":[{"type":"thinking","signature":"s","thinking":"t"},{"type":"tool_use","input":{}}],"stop_reason":"end_turn"})")),
      (std::vector<std::string>{"message_start", "content_block_start", "content_block_delta", "content_block_delta",
                                "content_block_stop", "content_block_start", "content_block_stop", "message_delta",
                                "message_stop"}));
  const std::string events = ToEvents(
      Family::kResponses,
      R"({"status":"completed","usage":{},"output":[{"id":"m","type":"message","status":"completed","content":[{"type":"output_text","text":"a","annotations":[{}]}]},{"id":"f","type":"function_call","arguments":"{}"}]})");
  EXPECT_EQ(Types(Family::kResponses, events),
            (std::vector<std::string>{
                "response.created", "response.in_progress", "response.output_item.added", "response.content_part.added",
                "response.output_text.delta", "response.output_text.done", "response.output_text.annotation.added",
                "response.content_part.done", "response.output_item.done", "response.output_item.added",
                "response.function_call_arguments.delta", "response.function_call_arguments.done",
                "response.output_item.done", "response.completed"}));
  const std::vector<std::string> all = Read(Family::kResponses, events);
  ExpectSame(
      all[0],
      R"({"type":"response.created","sequence_number":0,"response":{"status":"in_progress","usage":null,"output":[]}})");
  ExpectSame(
      all[2],
      R"({"type":"response.output_item.added","sequence_number":2,"output_index":0,"item":{"id":"m","type":"message","status":"in_progress","content":[]}})");
  ExpectSame(
      all[4],
      R"({"type":"response.output_text.delta","sequence_number":4,"item_id":"m","output_index":0,"content_index":0,"delta":"a","logprobs":[]})");
  ExpectSame(
      all[11],
      R"({"type":"response.function_call_arguments.done","sequence_number":11,"item_id":"f","output_index":1,"arguments":"{}"})");
}

struct Stream {
  const char* what;
  Family family;
  const char* events;
  const char* answer;
};

constexpr Stream kStreams[] = {
    {"fragments of tool calls, a call of a custom tool, usage", kChat,
     "data: "
     "{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"choices\":[{\"index\":0,\"delta\":{\"role\":"
     "\"assistant\",\"content\":null,\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"type\":\"function\",\"function\":{"
     "\"name\":\"f\",\"arguments\":\"\"}}]},\"finish_reason\":null}],\"usage\":null}\r\n\r\n"
     ": ping\n\n"
     "data: "
     "{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"choices\":[{\"index\":0,\"delta\":{\"tool_"
     "calls\":[{\"index\":0,\"function\":{\"arguments\":\"{\\\"a\\\"\"}}]},\"finish_reason\":null}]}\n\n"
     "data: "
     "{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"choices\":[{\"index\":0,\"delta\":{\"tool_"
     "calls\":[{\"index\":1,\"id\":\"b\",\"type\":\"custom\",\"custom\":{\"name\":\"q\",\"input\":\"se\"}},{\"index\":"
     "0,\"function\":{\"arguments\":\":1}\"}}]},\"finish_reason\":null}]}\n\n"
     "data: "
     "{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"choices\":[{\"index\":0,\"delta\":{\"tool_"
     "calls\":[{\"index\":1,\"custom\":{\"input\":\"lect\"}}]},\"finish_reason\":\"tool_calls\"}]}\n\n"
     "data: "
     "{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"choices\":[],\"usage\":{\"prompt_tokens\":1}}"
     "\n\ndata: [DONE]\n\n",
     R"({"id":"c","object":"chat.completion","created":1,"choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}},{"id":"b","type":"custom","custom":{"name":"q","input":"select"}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":1}})"},
    {"vLLM: empty tool_calls, empty finish reason behind the end", kChat,
     "data: "
     "{\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[]},\"logprobs\":"
     "null,\"finish_reason\":null}]}\n\n"
     "data: "
     "{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\",\"tool_calls\":[]},\"logprobs\":{\"content\":[{\"token\":"
     "\"a\"}]},\"finish_reason\":\"stop\",\"stop_reason\":7}]}\n\n"
     "data: "
     "{\"choices\":[{\"index\":0,\"delta\":{},\"logprobs\":{\"content\":[{\"token\":\"\"}]},\"finish_reason\":\"\","
     "\"stop_reason\":null}]}\n\n"
     "data: [DONE]\n\n",
     R"({"choices":[{"index":0,"message":{"role":"assistant","content":"a","tool_calls":[]},"logprobs":{"content":[{"token":"a"},{"token":""}]},"finish_reason":"stop","stop_reason":7}]})"},
    {"audio in pieces", kChat,
     "data: "
     "{\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"audio\":{\"id\":\"x\",\"transcript\":\"he\"}},"
     "\"finish_reason\":null}]}\n\n"
     "data: {\"choices\":[{\"index\":0,\"delta\":{\"audio\":{\"data\":\"AAAA\"}},\"finish_reason\":null}]}\n\n"
     "data: "
     "{\"choices\":[{\"index\":0,\"delta\":{\"audio\":{\"data\":\"BBB=\",\"transcript\":\"y\"}},\"finish_reason\":null}"
     "]}\n\n"
     "data: {\"choices\":[{\"index\":0,\"delta\":{\"audio\":{\"expires_at\":7}},\"finish_reason\":\"stop\"}]}\n\ndata: "
     "[DONE]",
     R"({"choices":[{"index":0,"message":{"role":"assistant","content":null,"audio":{"id":"x","transcript":"hey","data":"AAAABBB=","expires_at":7}},"finish_reason":"stop"}]})"},
    {"Anthropic", Family::kMessages,
     "event: message_start\ndata: "
     "{\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"type\":\"message\",\"role\":\"assistant\",\"content\":[],"
     "\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":5,\"output_tokens\":1}}}\n\n"
     "event: content_block_start\ndata: "
     "{\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n"
     "event: ping\ndata: {\"type\":\"ping\"}\n\n"
     "event: content_block_delta\ndata: "
     "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"He\"}}\n\n"
     "event: content_block_delta\ndata: "
     "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"y\"}}\n\n"
     "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n"
     "event: content_block_start\ndata: "
     "{\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"tool_use\",\"id\":\"t\",\"name\":"
     "\"f\",\"input\":{}}}\n\n"
     "event: content_block_delta\ndata: "
     "{\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"\"}}"
     "\n\n"
     "event: content_block_delta\ndata: "
     "{\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{"
     "\\\"a\\\": \\\"\\\\u00\"}}\n\n"
     "event: content_block_delta\ndata: "
     "{\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"e9\\\"}"
     "\"}}\n\n"
     "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":1}\n\n"
     "event: message_delta\ndata: "
     "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\",\"stop_sequence\":null},\"usage\":{\"output_"
     "tokens\":15}}\n\n"
     "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
     R"({"id":"m","type":"message","role":"assistant","content":[{"type":"text","text":"Hey"},{"type":"tool_use","id":"t","name":"f","input":{"a":"\u00e9"}}],"stop_reason":"tool_use","stop_sequence":null,"usage":{"input_tokens":5,"output_tokens":15}})"},
    {"Responses", Family::kResponses,
     "event: response.created\ndata: "
     "{\"type\":\"response.created\",\"response\":{\"status\":\"in_progress\",\"output\":[]}}\n\n"
     "event: response.completed\ndata: "
     "{\"type\":\"response.completed\",\"response\":{\"id\":\"r\",\"status\":\"completed\",\"output\":[]}}\n\n",
     R"({"id":"r","status":"completed","output":[]})"},
};

TEST(CacheFaults, K_06_StreamsBecomeWholeAndStreamAgain) {
  for (const Stream& row : kStreams) {
    SCOPED_TRACE(row.what);
    const std::string answer = ToAnswer(row.family, row.events);
    std::string expected = row.answer;
    ExpectSame(answer, expected, row.what);
    const std::string events = ToEvents(row.family, answer);
    Read(row.family, events);
    if (HasDone(row.family)) {
      auto again = test::Sorted(ToAnswer(row.family, events));
      std::erase_if(again.members, [&](const auto& m) {
        return m.first == "object" && expected.find("\"object\"") == std::string::npos;
      });
      EXPECT_EQ(again, test::Sorted(answer)) << row.what;
    } else {
      ExpectSame(ToAnswer(row.family, events), answer, row.what);
    }
  }
}

TEST(CacheFaults, K_06_WhatCannotBeConvertedIsRefusedWhole) {
  const Shape rows[] = {
      {"no JSON", kChat, R"({"choices":[)"},
      {"no object", kChat, "[]"},
      {"empty", kChat, ""},
      {"no choices", kChat, R"({"choices":[]})"},
      {"choices of another type", kChat, R"({"choices":{}})"},
      {"choice of another type", kChat, R"({"choices":[7]})"},
      {"a chunk", kChat, R"({"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]})"},
      {"not ended", kChat, R"({"choices":[{"index":0,"message":{"content":"a"},"finish_reason":null}]})"},
      {"second choice not ended", kChat,
       R"({"choices":[{"index":0,"message":{"content":"a"},"finish_reason":"stop"},{"index":1,"message":{"content":"a"}}]})"},
      {"same index", kChat,
       R"({"choices":[{"index":0,"message":{"content":"a"},"finish_reason":"stop"},{"index":0,"message":{"content":"a"},"finish_reason":"stop"}]})"},
      {"index beyond", kChat, R"({"choices":[{"index":1024,"message":{"content":"a"},"finish_reason":"stop"}]})"},
      {"error", kChat, R"({"error":{"message":"x"},"choices":[{"message":{"content":"a"},"finish_reason":"stop"}]})"},
      {"key twice", kChat, R"({"choices":[{"message":{"content":"a","content":"b"},"finish_reason":"stop"}]})"},
      {"key in disguise", kChat, R"({"i\u0064":"x","choices":[{"message":{"content":"a"},"finish_reason":"stop"}]})"},
      {"choice's key in disguise", kChat, R"({"choices":[{"message":{},"finish_reason":"stop","inde\u0078":1}]})"},
      {"message's key in disguise", kChat, R"({"choices":[{"message":{"rol\u0065":""},"finish_reason":"stop"}]})"},
      {"tool call's key in disguise", kChat,
       R"({"choices":[{"message":{"tool_calls":[{"ind\u0065x":1}]},"finish_reason":"tool_calls"}]})"},
      {"aborted", kChat, R"({"choices":[{"message":{"content":"a"},"finish_reason":"abort"}]})"},
      {"error by its object", Family::kCompletions,
       R"({"object":"error","choices":[{"text":"a","finish_reason":"stop"}]})"},
      {"tool call of another type", kChat, R"({"choices":[{"message":{"tool_calls":[7]},"finish_reason":"stop"}]})"},
      {"no text", Family::kCompletions, R"({"choices":[{"text":null,"finish_reason":"stop"}]})"},
      {"embeddings", Family::kEmbeddings, R"({"object":"list","data":[]})"},
      {"no message", Family::kMessages, R"({"type":"error","error":{}})"},
      {"message not ended", Family::kMessages, R"({"type":"message","content":[],"stop_reason":null})"},
      {"no content", Family::kMessages, R"({"type":"message","stop_reason":"end_turn"})"},
      {"block of another type", Family::kMessages, R"({"type":"message","content":[7],"stop_reason":"end_turn"})"},
      {"response in progress", Family::kResponses, R"({"status":"in_progress","output":[]})"},
      {"response failed", Family::kResponses, R"({"status":"completed","error":{},"output":[]})"},
      {"unknown item", Family::kResponses, R"({"status":"completed","output":[{"type":"web_search_call"}]})"},
      {"unknown part", Family::kResponses,
       R"({"status":"completed","output":[{"type":"message","content":[{"type":"output_audio"}]}]})"},
  };
  JsonParser parser(1);
  for (const Shape& row : rows) {
    std::string out = "before";
    const auto error = WriteEvents({row.family, true, test::kPlenty}, row.answer, parser, out);
    ASSERT_TRUE(error.has_value()) << row.what;
    EXPECT_EQ(error->origin, Origin::kCache);
    EXPECT_EQ(out, "before") << row.what;
  }
}

TEST(CacheFaults, K_06_StreamsThatCannotBeJoinedAreRefusedWhole) {
  const std::string start =
      "data: {\"type\":\"message_start\",\"message\":{\"type\":\"message\",\"content\":[],\"stop_reason\":null}}\n\n"
      "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"tool_use\",\"input\":{}}}\n\n";
  const std::string stop = "data: {\"type\":\"message_stop\"}\n\n";
  const struct {
    const char* what;
    Family family;
    std::string events;
  } rows[] = {
      {"cut", kChat, "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n"},
      {"malformed", kChat, "data: {\n\ndata: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"},
      {"error", kChat,
       "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: {\"error\":\"x\"}\n\n"},
      {"padding inside audio", kChat,
       "data: {\"choices\":[{\"delta\":{\"audio\":{\"data\":\"AA==\"}}}]}\n\n"
       "data: {\"choices\":[{\"delta\":{\"audio\":{\"data\":\"AAAA\"}},\"finish_reason\":\"stop\"}]}\n\n"},
      {"empty", kChat, ""},
      {"no start", Family::kMessages, stop},
      {"no stop", Family::kMessages, start},
      {"two starts", Family::kMessages, start + start + stop},
      {"unknown event", Family::kMessages, start + "data: {\"type\":\"news\"}\n\n" + stop},
      {"unknown delta", Family::kMessages,
       start + "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"x_delta\"}}\n\n" + stop},
      {"delta without a block", Family::kMessages,
       start +
           "data: "
           "{\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"text_delta\",\"text\":\"\"}}\n\n" +
           stop},
      {"half an input", Family::kMessages,
       start +
           "data: "
           "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{"
           "\"}}\n\n" +
           stop},
      {"no response", Family::kResponses, "data: {\"type\":\"response.completed\"}\n\n"},
      {"embeddings", Family::kEmbeddings, ""},
  };
  JsonParser parser(1);
  for (const auto& row : rows) {
    std::string out = "before";
    EXPECT_TRUE(WriteAnswer(row.family, row.events, test::kPlenty, parser, out).has_value()) << row.what;
    EXPECT_EQ(out, "before") << row.what;
  }
}

TEST(Conversion, NeverWritesMoreThanItsBound) {
  JsonParser parser(1);
  for (const Shape& row : kAnswers) {
    const std::size_t size = ToEvents(row.family, row.answer).size();
    for (std::size_t bytes_max = size % 7; bytes_max <= size; bytes_max += 7) {
      std::string out;
      const bool refused = WriteEvents({row.family, true, bytes_max}, row.answer, parser, out).has_value();
      ASSERT_EQ(refused, bytes_max != size) << row.what << " " << bytes_max << " of " << size;
      ASSERT_EQ(out.size(), refused ? 0 : size);
    }
  }
  for (const Stream& row : kStreams) {
    std::string out;
    EXPECT_TRUE(WriteAnswer(row.family, row.events, 8, parser, out).has_value()) << row.what;
    EXPECT_TRUE(out.empty());
  }
}

}  // namespace
}  // namespace penstock::llm
