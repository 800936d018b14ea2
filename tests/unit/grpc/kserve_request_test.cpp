// ModelInferRequest to the body of POST /v1/completions. The requests are made by the generated classes, so that what
// is read is what other implementations write.

#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "grpc/kserve.hpp"
#include "unit/grpc/kserve_request.hpp"

namespace penstock::grpc {
namespace {

/// The body, or "code param" of what was refused.
std::string BodyOf(const Method& method, std::string_view bytes, ReplyFacts& facts) {
  std::string json = "left over";
  facts.choices = 77;
  const std::optional<Error> error = kserve::WriteBody(method, bytes, json, facts);
  if (!error) return json;
  EXPECT_NE(std::string_view(error->context), "");
  EXPECT_EQ(json, "");
  return std::string(CodeName(error->code)) + ' ' + (error->param == nullptr ? "" : error->param);
}
std::string BodyOf(const Method& method, const InferRequest& request) {
  ReplyFacts facts;
  return BodyOf(method, request.Bytes(), facts);
}

struct Case {
  const char* name;
  std::function<void(InferRequest&)> fill;
  const char* body;
};

std::string CaseName(const testing::TestParamInfo<Case>& info) { return info.param.name; }

class KserveRequest : public testing::TestWithParam<Case> {};

TEST_P(KserveRequest, Body) {
  InferRequest request;
  GetParam().fill(request);
  EXPECT_EQ(BodyOf(kStreamInfer, request), GetParam().body);
}

INSTANTIATE_TEST_SUITE_P(
    Inputs, KserveRequest,
    testing::Values(
        Case{"Text", [](auto& r) { r.Text("text_input", "hi"); }, R"({"model":"m","prompt":"hi"})"},
        Case{"Contents",
             [](auto& r) {
               r.Header("text_input", "BYTES", {1, 1}).mutable_contents()->add_bytes_contents("hi");
               r.Header("max_tokens", "INT32", {1, 1}).mutable_contents()->add_int_contents(7);
             },
             R"({"max_tokens":7,"model":"m","prompt":"hi"})"},
        Case{"Escapes", [](auto& r) { r.Text("text_input", "\"\\/\b\f\n\r\t\x01\x7f\xc3\xa4\xe2\x98\xba"); },
             "{\"model\":\"m\",\"prompt\":\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\x7f\xc3\xa4\xe2\x98\xba\"}"},
        Case{"EmptyText", [](auto& r) { r.Text("text_input", ""); }, R"({"model":"m","prompt":""})"},
        Case{"Batch",
             [](auto& r) {
               r.Tensor("text_input", "BYTES", {2, 1}, RawTexts({"a", ""}));
             },
             R"({"model":"m","prompt":["a",""]})"},
        Case{"Stream", [](auto& r) { r.Text("text_input", "a").Bool("stream", true); },
             R"({"model":"m","prompt":"a","stream":true})"},
        Case{"NoStream", [](auto& r) { r.Text("text_input", "a").Bool("stream", false); },
             R"({"model":"m","prompt":"a"})"},
        Case{"StreamParameter",
             [](auto& r) {
               r.Text("text_input", "a");
               r.Parameter("stream").set_bool_param(true);
             },
             R"({"model":"m","prompt":"a","stream":true})"},
        Case{"TensorRt",
             [](auto& r) {
               r.Tensor("text_input", "BYTES", {1, 1}, RawTexts({"a"}));
               r.Tensor("max_tokens", "INT32", {1, 1}, Raw<std::int32_t>(16));
               r.Tensor("bad_words", "BYTES", {1, 1}, RawTexts({""}));
               r.Tensor("stop_words", "BYTES", {1, 2}, RawTexts({"\n", "END"}));
               r.Tensor("end_id", "INT32", {1, 1}, Raw<std::int32_t>(2));
               r.Tensor("pad_id", "INT32", {1, 1}, Raw<std::int32_t>(2));
               r.Tensor("top_k", "UINT32", {1, 1}, Raw<std::uint32_t>(40));
               r.Tensor("top_p", "FP32", {1, 1}, Raw(0.1F));
               r.Tensor("temperature", "FP32", {1, 1}, Raw(1.0F));
               r.Tensor("length_penalty", "FP32", {1, 1}, Raw(-0.5F));
               r.Tensor("repetition_penalty", "FP32", {1, 1}, Raw(1.1F));
               r.Tensor("presence_penalty", "FP32", {1, 1}, Raw(0.0F));
               r.Tensor("frequency_penalty", "FP64", {1, 1}, Raw(0.1));
               r.Tensor("min_length", "INT32", {1, 1}, Raw<std::int32_t>(1));
               r.Tensor("random_seed", "UINT64", {1, 1}, Raw(std::numeric_limits<std::uint64_t>::max()));
               r.Bool("return_log_probs", false);
               r.Tensor("beam_width", "INT32", {1, 1}, Raw<std::int32_t>(1));
               r.Bool("stream", true);
             },
             R"({"frequency_penalty":0.1,"length_penalty":-0.5,"max_tokens":16,"min_tokens":1,"model":"m",)"
             R"("presence_penalty":0,"prompt":"a","repetition_penalty":1.1,"seed":18446744073709551615,)"
             R"("stop":["\n","END"],"stop_token_ids":[2],"stream":true,"temperature":1,"top_k":40,"top_p":0.1})"},
        Case{"Beams",
             [](auto& r) { r.Text("text_input", "a").Tensor("beam_width", "INT32", {1}, Raw<std::int32_t>(4)); },
             R"({"model":"m","n":4,"prompt":"a","use_beam_search":true})"},
        Case{"Echo", [](auto& r) { r.Text("text_input", "a").Bool("exclude_input_in_output", false); },
             R"({"echo":true,"model":"m","prompt":"a"})"},
        Case{"NoEcho", [](auto& r) { r.Text("text_input", "a").Bool("exclude_input_in_output", true); },
             R"({"model":"m","prompt":"a"})"},
        Case{"BatchOfValues",
             [](auto& r) {
               r.Tensor("text_input", "BYTES", {2, 1}, RawTexts({"a", "b"}));
               r.Tensor("max_tokens", "INT16", {2, 1}, Raw<std::int16_t>(-3) + Raw<std::int16_t>(-3));
             },
             R"({"max_tokens":-3,"model":"m","prompt":["a","b"]})"},
        Case{"UnknownScalars",
             [](auto& r) {
               r.Text("text_input", "a").Text("lora_name", "x\"y").Bool("zeal", true);
               r.Tensor("boost", "FP32", {}, Raw(1e30F)).Tensor("Age", "UINT8", {1}, "\xff");
             },
             R"({"Age":255,"boost":1e+30,"lora_name":"x\"y","model":"m","prompt":"a","zeal":true})"},
        Case{"Datatypes",
             [](auto& r) {
               r.Header("text_input", "BYTES", {1}).mutable_contents()->add_bytes_contents("a");
               r.Header("a", "BOOL", {1}).mutable_contents()->add_bool_contents(true);
               r.Header("b", "INT8", {1}).mutable_contents()->add_int_contents(-128);
               r.Header("c", "INT64", {1})
                   .mutable_contents()
                   ->add_int64_contents(std::numeric_limits<std::int64_t>::min());
               r.Header("d", "UINT16", {1}).mutable_contents()->add_uint_contents(65535);
               r.Header("e", "UINT64", {1}).mutable_contents()->add_uint64_contents(1);
               r.Header("f", "FP32", {1}).mutable_contents()->add_fp32_contents(0.3F);
               r.Header("g", "FP64", {1}).mutable_contents()->add_fp64_contents(0.30000000000000004);
             },
             R"({"a":true,"b":-128,"c":-9223372036854775808,"d":65535,"e":1,"f":0.3,"g":0.30000000000000004,)"
             R"("model":"m","prompt":"a"})"},
        Case{"SequencesMeanNothing",
             [](auto& r) {
               r.Text("text_input", "a");
               r.Parameter("sequence_id").set_int64_param(5);
               r.Parameter("sequence_start").set_bool_param(true);
               r.Parameter("priority").set_uint64_param(1);
               r.Parameter("timeout").set_int64_param(1000);
             },
             R"({"model":"m","prompt":"a"})"}),
    CaseName);

INSTANTIATE_TEST_SUITE_P(
    Sampling, KserveRequest,
    testing::Values(
        Case{"SamplingParameters",
             [](auto& r) {
               r.Text("sampling_parameters",
                      " {\"top_p\" : \"0.95\", \"temperature\":1.50, \"max_tokens\":\"16\", \"ignore_eos\":\"True\",\n"
                      "\"stop\":[\"\\u0041\", \"b\"], \"logit_bias\": {\"b\": -1, \"a\": [ 2, {\"x\": null} ] } } ");
               r.Text("text_input", "a");
             },
             R"({"ignore_eos":true,"logit_bias":{"b":-1,"a":[2,{"x":null}]},"max_tokens":16,"model":"m","prompt":"a",)"
             R"("stop":["A","b"],"temperature":1.50,"top_p":0.95})"},
        Case{"EmptyObject", [](auto& r) { r.Text("text_input", "a").Text("sampling_parameters", "{}"); },
             R"({"model":"m","prompt":"a"})"},
        Case{"NumberOfUnknownNameStays",
             [](auto& r) { r.Text("text_input", "a").Text("parameters", R"({"x":"1","y":1e999,"z":"\ud83d\ude08"})"); },
             "{\"model\":\"m\",\"prompt\":\"a\",\"x\":\"1\",\"y\":1e999,\"z\":\"\xf0\x9f\x98\x88\"}"},
        Case{"RequestParameters",
             [](auto& r) {
               r.Text("text_input", "a");
               r.Parameter("temperature").set_string_param("0.5");
               r.Parameter("max_tokens").set_int64_param(9);
               r.Parameter("random_seed").set_uint64_param(3);
               r.Parameter("min_p").set_double_param(0.05);
               r.Parameter("ignore_eos").set_bool_param(true);
               r.Parameter("stop").set_string_param("x");
               r.Parameter("unknown").set_string_param("12");
             },
             R"({"ignore_eos":true,"max_tokens":9,"min_p":0.05,"model":"m","prompt":"a","seed":3,"stop":["x"],)"
             R"("temperature":0.5,"unknown":"12"})"},
        Case{"SamplingAsParameter",
             [](auto& r) {
               r.Text("text_input", "a");
               r.Parameter("sampling_parameters").set_string_param(R"({"n":2})");
             },
             R"({"model":"m","n":2,"prompt":"a"})"}),
    CaseName);

INSTANTIATE_TEST_SUITE_P(
    Refused, KserveRequest,
    testing::Values(
        Case{"NoModel", [](auto& r) { r.Text("text_input", "a").request.clear_model_name(); },
             "invalid_param model_name"},
        Case{"NoText", [](auto& r) { r.Bool("stream", true); }, "invalid_param text_input"},
        Case{"TextTwice", [](auto& r) { r.Text("text_input", "a").Text("text_input", "b"); },
             "invalid_param text_input"},
        Case{"TextOfNumbers", [](auto& r) { r.Tensor("text_input", "INT32", {1}, Raw<std::int32_t>(1)); },
             "invalid_param text_input"},
        Case{"TextNotUtf8", [](auto& r) { r.Text("text_input", "\xff"); }, "invalid_param text_input"},
        Case{"TextOfSurrogates", [](auto& r) { r.Text("text_input", "\xed\xa0\x80"); }, "invalid_param text_input"},
        Case{"NoElement", [](auto& r) { r.Tensor("text_input", "BYTES", {0}, ""); }, "invalid_param text_input"},
        Case{"NegativeShape",
             [](auto& r) {
               r.Tensor("text_input", "BYTES", {-1, -1}, RawTexts({"a"}));
             },
             "invalid_param text_input"},
        Case{"HugeShape",
             [](auto& r) {
               r.Tensor("text_input", "BYTES", {1LL << 32, 1LL << 32}, "");
             },
             "invalid_param text_input"},
        Case{"ThreeDimensions",
             [](auto& r) {
               r.Tensor("text_input", "BYTES", {1, 1, 1}, RawTexts({"a"}));
             },
             "invalid_param text_input"},
        Case{"TooManyElements",
             [](auto& r) {
               r.Tensor("text_input", "BYTES", {33, 32}, std::string(4 * 33 * 32, '\0'));
             },
             "invalid_param text_input"},
        Case{"LengthBeyondBytes",
             [](auto& r) {
               r.Tensor("text_input", "BYTES", {1}, {"\x02\0\0\0a", 5});
             },
             "invalid_param text_input"},
        Case{"LengthOf4Gib", [](auto& r) { r.Tensor("text_input", "BYTES", {1}, "\xff\xff\xff\xff"); },
             "invalid_param text_input"},
        Case{"HalfALength",
             [](auto& r) {
               r.Tensor("text_input", "BYTES", {1}, {"\x01\0", 2});
             },
             "invalid_param text_input"},
        Case{"BytesLeft",
             [](auto& r) {
               r.Tensor("text_input", "BYTES", {1}, RawTexts({"a", "b"}));
             },
             "invalid_param text_input"},
        Case{"ShapeBesideContents",
             [](auto& r) { r.Header("text_input", "BYTES", {2}).mutable_contents()->add_bytes_contents("a"); },
             "invalid_param text_input"},
        Case{"ContentsBesideRaw",
             [](auto& r) {
               r.Text("text_input", "a").request.mutable_inputs(0)->mutable_contents()->add_bytes_contents("a");
             },
             "invalid_param text_input"},
        Case{"RawForSome",
             [](auto& r) {
               r.Text("text_input", "a").Header("max_tokens", "INT32", {1}).mutable_contents()->add_int_contents(1);
             },
             "invalid_param raw_input_contents"},
        Case{"SharedMemory",
             [](auto& r) {
               (*r.Header("text_input", "BYTES", {1}).mutable_parameters())["shared_memory_region"].set_string_param(
                   "x");
             },
             "invalid_param text_input"},
        Case{"WrongDatatype", [](auto& r) { r.Text("text_input", "a").Tensor("max_tokens", "FP32", {1}, Raw(1.0F)); },
             "invalid_param max_tokens"},
        Case{"WrongSize", [](auto& r) { r.Text("text_input", "a").Tensor("max_tokens", "INT32", {1}, "\x01"); },
             "invalid_param max_tokens"},
        Case{"OutOfRange",
             [](auto& r) {
               r.Header("text_input", "BYTES", {1}).mutable_contents()->add_bytes_contents("a");
               r.Header("max_tokens", "INT8", {1}).mutable_contents()->add_int_contents(300);
             },
             "invalid_param max_tokens"},
        Case{"HalfFloat", [](auto& r) { r.Text("text_input", "a").Tensor("top_p", "FP16", {1}, "ab"); },
             "invalid_param top_p"},
        Case{"NotANumber",
             [](auto& r) {
               r.Text("text_input", "a").Tensor("top_p", "FP32", {1}, Raw(std::numeric_limits<float>::quiet_NaN()));
             },
             "invalid_param top_p"},
        Case{"InfiniteParameter",
             [](auto& r) {
               r.Text("text_input", "a");
               r.Parameter("x").set_double_param(std::numeric_limits<double>::infinity());
             },
             "invalid_param parameters"},
        Case{"BatchOfDifferentValues",
             [](auto& r) {
               r.Tensor("text_input", "BYTES", {2, 1}, RawTexts({"a", "b"}));
               r.Tensor("max_tokens", "INT32", {2, 1}, Raw<std::int32_t>(1) + Raw<std::int32_t>(2));
             },
             "invalid_param max_tokens"},
        Case{"UnknownArray",
             [](auto& r) {
               r.Text("text_input", "a").Tensor("x", "INT32", {2}, Raw<std::int32_t>(1) + Raw<std::int32_t>(1));
             },
             "invalid_param inputs"},
        Case{"ModelAsInput", [](auto& r) { r.Text("text_input", "a").Text("model", "b"); }, "invalid_param inputs"},
        Case{"TwoSeeds",
             [](auto& r) {
               r.Text("text_input", "a").Tensor("random_seed", "UINT64", {1}, Raw<std::uint64_t>(1));
               r.Parameter("seed").set_int64_param(2);
             },
             "invalid_param seed"},
        Case{"NoValue",
             [](auto& r) {
               r.Text("text_input", "a");
               r.Parameter("x");
             },
             "invalid_param parameters"},
        Case{"NumberInWords",
             [](auto& r) {
               r.Text("text_input", "a");
               r.Parameter("temperature").set_string_param("warm");
             },
             "invalid_param temperature"},
        Case{"LogProbabilities", [](auto& r) { r.Text("text_input", "a").Bool("return_log_probs", true); },
             "invalid_param return_log_probs"},
        Case{"UnknownOutput", [](auto& r) { r.Text("text_input", "a").request.add_outputs()->set_name("x"); },
             "invalid_param outputs"},
        Case{"OutputInSharedMemory",
             [](auto& r) {
               auto& output = *r.Text("text_input", "a").request.add_outputs();
               output.set_name("text_output");
               (*output.mutable_parameters())["shared_memory_region"].set_string_param("x");
             },
             "invalid_param outputs"},
        Case{"TooManyTexts",
             [](auto& r) {
               r.Tensor("text_input", "BYTES", {2}, RawTexts({"a", "b"}));
               r.Parameter("n").set_int64_param(513);
             },
             "invalid_param n"},
        Case{"AnyNumberOfTexts",
             [](auto& r) { r.Text("text_input", "a").Text("sampling_parameters", R"({"n":99999999999999999999999})"); },
             "invalid_param n"}),
    CaseName);

TEST(KserveSampling, StrictJson) {
  const std::string deep(200, '[');
  const std::vector<std::string> wrong = {"", "[]", "1", "\"x\"", "null", "{", "{}x", "{} {}", "{\"a\":1,}", "{'a':1}",
                                          "{\"a\":01}", "{\"a\":NaN}", "{\"a\":\"\xff\"}", "{\"a\":\"\\ud800\"}",
                                          "{/**/}", "{\"a\":" + deep + std::string(200, ']') + "}",
                                          // names given twice, here and elsewhere, and what has a tensor of its own
                                          R"({"a":1,"a":1})", R"({"a":1,"\u0061":1})", R"({"prompt":"x"})",
                                          R"({"model":"x"})", R"({"stream":true})", R"({"top_k":1})"};
  for (const std::string& text : wrong) {
    InferRequest request;
    request.Text("text_input", "a").Tensor("top_k", "INT32", {1}, Raw<std::int32_t>(1));
    request.Text("sampling_parameters", text);
    EXPECT_EQ(BodyOf(kInfer, request), "invalid_param sampling_parameters") << text;
  }
}

TEST(KserveFacts, OfARequest) {
  InferRequest request("llama");
  request.Tensor("text_input", "BYTES", {2}, RawTexts({"a", "b"})).Bool("stream", true);
  request.request.set_id("7");
  request.request.set_model_version("3");
  request.Parameter("triton_enable_empty_final_response").set_bool_param(true);
  request.Parameter("n").set_int64_param(3);
  ReplyFacts facts;
  facts.finish_reason = true;
  EXPECT_EQ(BodyOf(kStreamInfer, request.Bytes(), facts),
            R"({"model":"llama","n":3,"prompt":["a","b"],"stream":true})");
  EXPECT_EQ(facts.id, "7");
  EXPECT_EQ(facts.model, "llama");
  EXPECT_EQ(facts.version, "3");
  EXPECT_TRUE(facts.stream);
  EXPECT_TRUE(facts.empty_final);
  EXPECT_EQ(facts.choices, 6u);
  EXPECT_TRUE(facts.text_output);
  EXPECT_FALSE(facts.finish_reason);
}

TEST(KserveFacts, OutputsAskedFor) {
  for (const auto& [name, text, reason] :
       {std::tuple{"text_output", true, false}, std::tuple{"finish_reason", false, true}, std::tuple{"", true, true}}) {
    InferRequest request;
    request.Text("text_input", "a").Bool("return_finish_reason", true);
    if (*name != '\0') request.request.add_outputs()->set_name(name);
    ReplyFacts facts;
    EXPECT_EQ(BodyOf(kInfer, request.Bytes(), facts), R"({"model":"m","prompt":"a"})");
    EXPECT_EQ(facts.text_output, text) << name;
    EXPECT_EQ(facts.finish_reason, reason) << name;
  }
}

/// The stream goes on with other requests: whose failure it was must be known.
TEST(KserveFacts, OfARefusedRequest) {
  InferRequest request;
  request.request.set_id("7");
  ReplyFacts facts;
  EXPECT_EQ(BodyOf(kStreamInfer, request.Bytes(), facts), "invalid_param text_input");
  EXPECT_EQ(facts.id, "7");
}

TEST(KserveStream, OnModelInfer) {
  InferRequest request;
  request.Text("text_input", "a").Bool("stream", true);
  EXPECT_EQ(BodyOf(kInfer, request), "invalid_param stream");
  InferRequest whole;
  whole.Text("text_input", "a").Bool("stream", false);
  EXPECT_EQ(BodyOf(kInfer, whole), R"({"model":"m","prompt":"a"})");
}

std::string Tag(int field, int wire_type) { return std::string(1, static_cast<char>(field << 3 | wire_type)); }

TEST(KserveWire, Q_27_UnknownFieldsArePassedOver) {
  InferRequest request;
  request.Text("text_input", "a");
  ReplyFacts facts;
  EXPECT_EQ(BodyOf(kInfer, request.Bytes() + Tag(15, 0) + '\x05', facts), R"({"model":"m","prompt":"a"})");
}

TEST(KserveWire, Q_27_Malformed) {
  InferRequest request;
  request.Text("text_input", "a");
  const std::string good = request.Bytes();
  std::string open_groups;
  std::string groups;
  for (int i = 0; i < 10'000; ++i) groups = Tag(15, 3) + groups + Tag(15, 4);
  for (int i = 0; i < 10'000; ++i) open_groups += Tag(15, 3);
  const struct {
    const char* what;
    std::string bytes;
  } cases[] = {
      {"a number for model_name", good + Tag(1, 0) + '\x05'},
      {"a number for inputs", good + Tag(5, 0) + '\x05'},
      {"a number for an input's name", good + Tag(5, 2) + '\x02' + Tag(1, 0) + '\x05'},
      {"a text for an element", good + Tag(5, 2) + '\x05' + Tag(5, 2) + '\x03' + Tag(8, 5).substr(0, 1) + "ab"},
      {"nested 10,000 deep", good + groups},
      {"nested 10,000 deep, open", good + open_groups},
      {"id not UTF-8", good + Tag(3, 2) + "\x01\xff"},
      {"2^31 bytes of id", good + Tag(3, 2) + "\x80\x80\x80\x80\x08"},
      {"cut", good.substr(0, good.size() - 1)},
      {"field 0", good + std::string(2, '\0')},
      {"an end without a group", good + Tag(15, 4)},
      {"text", "GET / HTTP/1.1"},
  };
  for (const auto& [what, bytes] : cases) {
    ReplyFacts facts;
    EXPECT_EQ(BodyOf(kInfer, bytes, facts), "bad_request ") << what;
  }
}

/// Two bytes on the wire are an object of hundreds.
TEST(KserveRequest, ManySmallParts) {
  std::string inputs;
  std::string elements;
  for (int i = 0; i < 5000; ++i) {
    inputs += Tag(5, 2) + '\0';
    elements += Tag(8, 2) + '\0';
  }
  ReplyFacts facts;
  EXPECT_EQ(BodyOf(kInfer, inputs, facts), "invalid_param inputs");
  std::string contents = Tag(5, 2);
  contents += std::string("\x90\x4e", 2) + elements;  // 10,000 bytes
  std::string input = Tag(5, 2);
  input += std::string("\x93\x4e", 2) + contents;
  EXPECT_EQ(BodyOf(kInfer, input, facts), "invalid_param inputs");
}

}  // namespace
}  // namespace penstock::grpc
