// Requests: what each field becomes in JSON, and how a body looks whatever the order and pieces of the message.

#include <google/protobuf/descriptor.h>
#include <gtest/gtest.h>
#include <penstock/v1/inference.pb.h>

#include <set>

#include "unit/grpc/translated.hpp"

namespace penstock::grpc {
namespace {

using test::FromText;
using test::JsonOf;

struct Case {
  const char* name;
  const char* text;  ///< protobuf's text format
  const char* json;
};

constexpr Case kChat[] = {
    {"Empty", "", "{}"},
    {"Model", "model: 'm'", R"({"model":"m"})"},
    {"EmptyStringIsNotSet", "model: ''", "{}"},
    {"EmptyOptionalStringIsSet", "user: ''", R"({"user":""})"},
    {"Sorted", "model: 'm' messages { role: ROLE_USER content: 'hi' } temperature: 0 max_tokens: 16",
     R"({"max_tokens":16,"messages":[{"content":"hi","role":"user"}],"model":"m","temperature":0})"},
    {"Sampling",
     "temperature: 0.7 top_p: 0.95 n: 2 max_tokens: 1 max_completion_tokens: 2147483648 presence_penalty: -0.5 "
     "frequency_penalty: 1e-5 seed: -9223372036854775808 logprobs: true top_logprobs: 5 reasoning_effort: 'low' "
     "verbosity: 'high' store: false service_tier: 'auto' parallel_tool_calls: false prompt_cache_key: 'k' "
     "safety_identifier: 's'",
     R"({"frequency_penalty":1e-05,"logprobs":true,"max_completion_tokens":2147483648,"max_tokens":1,"n":2,)"
     R"("parallel_tool_calls":false,"presence_penalty":-0.5,"prompt_cache_key":"k","reasoning_effort":"low",)"
     R"("safety_identifier":"s","seed":-9223372036854775808,"service_tier":"auto","store":false,"temperature":0.7,)"
     R"("top_logprobs":5,"top_p":0.95,"verbosity":"high"})"},
    {"Lists", "stop: 'a' stop: '' modalities: 'text' modalities: 'audio'",
     R"({"modalities":["text","audio"],"stop":["a",""]})"},
    {"Maps",
     "logit_bias { key: '50256' value: -100 } logit_bias { key: '11' value: 0.5 } logit_bias { key: '50256' value: 7 } "
     "metadata { key: 'b' } metadata { key: 'a' value: 'x' }",
     R"({"logit_bias":{"11":0.5,"50256":7},"metadata":{"a":"x","b":""}})"},
    {"Roles",
     "messages { role: ROLE_SYSTEM } messages { role: ROLE_DEVELOPER } messages { role: ROLE_ASSISTANT } "
     "messages { role: ROLE_TOOL } messages { role: ROLE_FUNCTION } messages {}",
     R"({"messages":[{"role":"system"},{"role":"developer"},{"role":"assistant"},{"role":"tool"},)"
     R"({"role":"function"},{}]})"},
    {"Parts",
     "messages { parts { text: '' } parts { image_url { url: 'data:x' detail: DETAIL_LOW } } "
     "parts { input_audio { data: 'ab\\377' format: 'wav' } } parts { file { file_data: 'd' file_id: 'i' filename: "
     "'n' } } parts { refusal: 'no' } parts { video_url { url: 'v' extra { fields { key: 'fps' value { number_value: 2 "
     "} } } } } parts {} parts { image_url { detail: DETAIL_AUTO } } parts { image_url { detail: DETAIL_HIGH } } }",
     R"({"messages":[{"content":[{"text":"","type":"text"},{"image_url":{"detail":"low","url":"data:x"},)"
     R"("type":"image_url"},{"input_audio":{"data":"YWL/","format":"wav"},"type":"input_audio"},)"
     R"({"file":{"file_data":"d","file_id":"i","filename":"n"},"type":"file"},{"refusal":"no","type":"refusal"},)"
     R"({"type":"video_url","video_url":{"fps":2,"url":"v"}},{},{"image_url":{"detail":"auto"},"type":"image_url"},)"
     R"({"image_url":{"detail":"high"},"type":"image_url"}]}]})"},
    {"AssistantMessage",
     "messages { role: ROLE_ASSISTANT name: 'n' refusal: 'r' reasoning_content: 'c' reasoning: 't' audio { id: 'a' } "
     "tool_calls { id: 'c1' function { name: 'f' arguments: '{}' } } tool_calls { id: 'c2' index: 0 custom { name: 'g' "
     "input: 'x' } } annotations { url_citation { start_index: 1 end_index: 2 title: 't' url: 'u' } } }",
     R"({"messages":[{"annotations":[{"type":"url_citation","url_citation":{"end_index":2,"start_index":1,)"
     R"("title":"t","url":"u"}}],"audio":{"id":"a"},"name":"n","reasoning":"t","reasoning_content":"c",)"
     R"("refusal":"r","role":"assistant","tool_calls":[{"function":{"arguments":"{}","name":"f"},"id":"c1",)"
     R"("type":"function"},{"custom":{"input":"x","name":"g"},"id":"c2","index":0,"type":"custom"}]}]})"},
    {"Audio", "messages { audio { data: 'a' expires_at: 5 transcript: 't' } } audio { voice: 'v' format: 'mp3' }",
     R"({"audio":{"format":"mp3","voice":"v"},"messages":[{"audio":{"data":"YQ==","expires_at":5,"transcript":"t"}}]})"},
    {"ToolMessage", "messages { role: ROLE_TOOL tool_call_id: 'c1' content: '' }",
     R"({"messages":[{"content":"","role":"tool","tool_call_id":"c1"}]})"},
    {"Tools",
     "tools { function { name: 'f' description: 'd' strict: true parameters { fields { key: 'type' value { "
     "string_value: 'object' } } fields { key: 'required' value { list_value { values { string_value: 'x' } } } } } } "
     "} "
     "tools { custom { name: 'c' description: 'd' format { } } } tool_choice: 'auto'",
     R"({"tool_choice":"auto","tools":[{"function":{"description":"d","name":"f","parameters":{"required":["x"],)"
     R"("type":"object"},"strict":true},"type":"function"},{"custom":{"description":"d","format":{},"name":"c"},)"
     R"("type":"custom"}]})"},
    {"NamedToolChoice", "named_tool_choice { function { name: 'f' } }",
     R"({"tool_choice":{"function":{"name":"f"},"type":"function"}})"},
    {"CustomToolChoice", "named_tool_choice { custom { name: 'f' } }",
     R"({"tool_choice":{"custom":{"name":"f"},"type":"custom"}})"},
    {"AllowedTools", "named_tool_choice { allowed_tools { mode: 'auto' tools { function { name: 'f' } } } }",
     R"({"tool_choice":{"allowed_tools":{"mode":"auto","tools":[{"function":{"name":"f"},"type":"function"}]},)"
     R"("type":"allowed_tools"}})"},
    {"ResponseText", "response_format { type: TYPE_TEXT }", R"({"response_format":{"type":"text"}})"},
    {"ResponseObject", "response_format { type: TYPE_JSON_OBJECT }", R"({"response_format":{"type":"json_object"}})"},
    {"ResponseSchema",
     "response_format { type: TYPE_JSON_SCHEMA json_schema { name: 'n' description: 'd' strict: false schema { fields "
     "{ key: '$ref' value { string_value: '#' } } } } }",
     R"({"response_format":{"json_schema":{"description":"d","name":"n","schema":{"$ref":"#"},"strict":false},)"
     R"("type":"json_schema"}})"},
    {"Prediction", "prediction { content: 'x' }", R"({"prediction":{"content":"x","type":"content"}})"},
    {"PredictionParts", "prediction { parts { parts { text: 'x' } } }",
     R"({"prediction":{"content":[{"text":"x","type":"text"}],"type":"content"}})"},
    {"StreamOptions", "stream_options { include_usage: true include_obfuscation: false }",
     R"({"stream_options":{"include_obfuscation":false,"include_usage":true}})"},
    {"WebSearch", "web_search_options { }", R"({"web_search_options":{}})"},
    {"Extra",
     "model: 'm' n: 1 extra { fields { key: 'top_k' value { number_value: 40 } } fields { key: 'a' value { null_value: "
     "NULL_VALUE } } fields { key: 'min_p' value { number_value: 0.05 } } fields { key: 'z' value { bool_value: true } "
     "} "
     "fields { key: 'l' value { list_value { values { number_value: 100000 } values { struct_value { } } values { "
     "list_value { } } } } } }",
     R"({"a":null,"l":[100000,{},[]],"min_p":0.05,"model":"m","n":1,"top_k":40,"z":true})"},
    {"ExtraEverywhere",
     "messages { role: ROLE_USER extra { fields { key: 'prefix' value { bool_value: true } } } parts { text: 'x' extra "
     "{ "
     "fields { key: 'cache' value { string_value: 'y' } } } } tool_calls { extra { fields { key: 'e' value { "
     "bool_value: false } } } } } tools { extra { fields { key: 'type' value { string_value: 'web' } } } } tools { "
     "function { extra { fields { key: 'q' value { string_value: '\"' } } } } } response_format { extra { fields { "
     "key: "
     "'type' value { string_value: 'grammar' } } } } stream_options { extra { fields { key: 'c' value { bool_value: "
     "true "
     "} } } } messages { parts { image_url { extra { fields { key: 'x' value { bool_value: true } } } } } }",
     R"({"messages":[{"content":[{"cache":"y","text":"x","type":"text"}],"prefix":true,"role":"user",)"
     R"("tool_calls":[{"e":false}]},{"content":[{"image_url":{"x":true},"type":"image_url"}]}],)"
     R"("response_format":{"type":"grammar"},"stream_options":{"c":true},"tools":[{"type":"web"},)"
     R"({"function":{"q":"\""},"type":"function"}]})"},
    {"ExtraForAFieldThatIsNotSet",
     "extra { fields { key: 'temperature' value { number_value: 1 } } fields { key: 'model' value { string_value: 'm' "
     "} "
     "} }",
     R"({"model":"m","temperature":1})"},
    {"Escapes", "model: '\\\"\\\\/\\b\\f\\n\\r\\t\\001\\037\\177\\303\\251\\360\\237\\230\\200\\000'",
     "{\"model\":\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\x7F\xC3\xA9\xF0\x9F\x98\x80\\u0000\"}"},
    {"HugeReals", "temperature: 123456789012345680000 top_p: 9007199254740994 presence_penalty: -0.0",
     R"({"presence_penalty":-0,"temperature":1.2345678901234568e+20,"top_p":9007199254740994})"},
};

constexpr Case kComplete[] = {
    {"Prompt", "model: 'm' prompt: ''", R"({"model":"m","prompt":""})"},
    {"Prompts", "prompts: 'a' prompts: 'b'", R"({"prompt":["a","b"]})"},
    {"Tokens", "prompt_token_ids { ids: 1 ids: 70000 }", R"({"prompt":[1,70000]})"},
    {"NoTokens", "prompt_token_ids { }", R"({"prompt":[]})"},
    {"TokenLists", "prompts_token_ids { ids: 1 } prompts_token_ids { ids: 2 ids: 3 }", R"({"prompt":[[1],[2,3]]})"},
    {"Rest",
     "suffix: 's' max_tokens: 0 temperature: 1 top_p: 1 n: 1 logprobs: 0 echo: true stop: 'x' presence_penalty: 0 "
     "frequency_penalty: 0 best_of: 2 logit_bias { key: '1' value: 2 } seed: 0 user: 'u' stream_options { } extra { }",
     R"({"best_of":2,"echo":true,"frequency_penalty":0,"logit_bias":{"1":2},"logprobs":0,"max_tokens":0,"n":1,)"
     R"("presence_penalty":0,"seed":0,"stop":["x"],"stream_options":{},"suffix":"s","temperature":1,"top_p":1,)"
     R"("user":"u"})"},
};

constexpr Case kEmbed[] = {
    {"Input", "model: 'm' input: 'x' encoding_format: ENCODING_FORMAT_BASE64",
     R"({"encoding_format":"base64","input":"x","model":"m"})"},
    {"Inputs", "inputs: 'x' dimensions: 256 encoding_format: ENCODING_FORMAT_FLOAT user: 'u' extra { }",
     R"({"dimensions":256,"encoding_format":"float","input":["x"],"user":"u"})"},
    {"Tokens", "input_token_ids { ids: 1 }", R"({"input":[1]})"},
    {"TokenLists", "inputs_token_ids { ids: 1 } inputs_token_ids { }", R"({"input":[[1],[]]})"},
};

template <class Message>
void Check(const Case& row, const char* method) {
  EXPECT_EQ(JsonOf(method, FromText<Message>(row.text).SerializeAsString()), row.json) << row.name;
}

TEST(GrpcRequestJson, Chat) {
  for (const Case& row : kChat) Check<v1::ChatRequest>(row, "Chat");
}
TEST(GrpcRequestJson, Complete) {
  for (const Case& row : kComplete) Check<v1::CompleteRequest>(row, "Complete");
}
TEST(GrpcRequestJson, Embed) {
  for (const Case& row : kEmbed) Check<v1::EmbedRequest>(row, "Embed");
}
TEST(GrpcRequestJson, ListModelsHasNoBody) { EXPECT_EQ(JsonOf("ListModels", ""), ""); }

TEST(GrpcRequestJson, StreamingMethodsSaySo) {
  const std::string chat = FromText<v1::ChatRequest>("model: 'm' temperature: 1").SerializeAsString();
  EXPECT_EQ(JsonOf("ChatStream", chat), R"({"model":"m","stream":true,"temperature":1})");
  EXPECT_EQ(JsonOf("CompleteStream", ""), R"({"stream":true})");
  std::string json;
  ReplyFacts facts;
  llm::TokenNotes notes;
  EXPECT_FALSE(TranslateRequest(test::MethodOf("ChatStream"), chat, json, facts, notes));
  EXPECT_TRUE(facts.stream);
  EXPECT_FALSE(TranslateRequest(test::MethodOf("Chat"), chat, json, facts, notes));
  EXPECT_FALSE(facts.stream);
}

constexpr Case kRefused[] = {
    {"ContentAndParts", "messages { content: 'x' parts { text: 'y' } }",
     "invalid_param messages: two fields that exclude each other are set"},
    {"NaN", "temperature: nan", "invalid_param temperature: must be a finite number"},
    {"Infinity", "top_p: -inf", "invalid_param top_p: must be a finite number"},
    {"NaNInAMap", "logit_bias { key: '1' value: nan }", "invalid_param logit_bias: must be a finite number"},
    {"NaNInExtra", "extra { fields { key: 'x' value { number_value: inf } } }",
     "invalid_param extra: must be a finite number"},
    {"NoValue", "extra { fields { key: 'x' value { } } }",
     "invalid_param extra: a google.protobuf.Value without a value"},
    {"EntryWithoutValue", "extra { fields { key: 'x' } }",
     "invalid_param extra: a google.protobuf.Value without a value"},
    {"ExtraRepeats", "model: 'm' extra { fields { key: 'model' value { string_value: 'x' } } }",
     "invalid_param extra: has a member that is set already"},
    {"UnknownRole", "messages { role: 77 }", "invalid_param messages: an enum value that is not known"},
};

TEST(GrpcRequestJson, Refused) {
  for (const Case& row : kRefused) Check<v1::ChatRequest>(row, "Chat");
  const auto prompts = FromText<v1::CompleteRequest>("prompt: 'a' prompt_token_ids { ids: 1 }");
  EXPECT_EQ(JsonOf("Complete", prompts.SerializeAsString()),
            "invalid_param prompt: two fields that exclude each other are set");
  const auto stream = FromText<v1::ChatRequest>("extra { fields { key: 'stream' value { bool_value: false } } }");
  EXPECT_EQ(JsonOf("ChatStream", stream.SerializeAsString()), "invalid_param extra: has a member that is set already");
  EXPECT_EQ(JsonOf("Chat", stream.SerializeAsString()), "invalid_param extra: the method says whether it streams");
}

/// Every field of every message that a request reaches is set in some row above.
void Reach(const google::protobuf::Descriptor& type, std::set<const google::protobuf::FieldDescriptor*>& fields) {
  for (int i = 0; i < type.field_count(); ++i) {
    const auto* const field = type.field(i);
    if (fields.insert(field).second && field->message_type() != nullptr) Reach(*field->message_type(), fields);
  }
}
void Cross(const google::protobuf::Message& message, std::set<const google::protobuf::FieldDescriptor*>& fields) {
  std::vector<const google::protobuf::FieldDescriptor*> set;
  message.GetReflection()->ListFields(message, &set);
  for (const auto* const field : set) {
    fields.erase(field);
    if (field->message_type() == nullptr) continue;
    if (!field->is_repeated()) {
      Cross(message.GetReflection()->GetMessage(message, field), fields);
      continue;
    }
    for (int i = 0; i < message.GetReflection()->FieldSize(message, field); ++i) {
      Cross(message.GetReflection()->GetRepeatedMessage(message, field, i), fields);
    }
  }
}

TEST(GrpcRequestJson, TheTablesHaveEveryField) {
  std::set<const google::protobuf::FieldDescriptor*> fields;
  for (const auto* type :
       {v1::ChatRequest::descriptor(), v1::CompleteRequest::descriptor(), v1::EmbedRequest::descriptor()}) {
    Reach(*type, fields);
  }
  for (const Case& row : kChat) Cross(FromText<v1::ChatRequest>(row.text), fields);
  for (const Case& row : kComplete) Cross(FromText<v1::CompleteRequest>(row.text), fields);
  for (const Case& row : kEmbed) Cross(FromText<v1::EmbedRequest>(row.text), fields);
  for (const auto* field : fields) ADD_FAILURE() << "no row sets " << field->full_name();
}

}  // namespace
}  // namespace penstock::grpc
