// Random messages: production against libprotobuf's reflection, and against the canonical form.

#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>
#include <penstock/v1/inference.pb.h>

#include <sstream>

#include "penstock/llm/canonical_json.hpp"
#include "penstock/llm/json_value.hpp"
#include "penstock/llm/request_view.hpp"
#include "unit/grpc/random_message.hpp"
#include "unit/grpc/reflection_json.hpp"
#include "unit/grpc/translated.hpp"

namespace penstock::grpc {
namespace {

using test::JsonOf;
using test::ReflectionJson;

/// Two messages one behind the other are their merger.
template <class Message>
void CompareRequests(const char* method, bool stream, int rounds) {
  Prng prng(7);
  test::RandomMessage random(prng, true);
  int refused = 0;
  for (int i = 0; i < rounds; ++i) {
    std::string wire;
    for (std::uint64_t n = 1 + prng.Below(3); n != 0; --n) {
      Message piece;
      random.Fill(piece);
      wire += piece.SerializeAsString();
    }
    Message merged;
    ASSERT_TRUE(merged.ParseFromString(wire));
    const std::optional<std::string> expected = ReflectionJson::Of(merged, stream);
    const std::string json = JsonOf(method, wire);
    if (expected) {
      ASSERT_EQ(json, *expected) << merged.DebugString();
    } else {
      ASSERT_EQ(json.substr(0, 14), "invalid_param ") << merged.DebugString();
      ++refused;
    }
  }
  EXPECT_LT(refused, rounds * 9 / 10);
  EXPECT_GT(refused, rounds / 100);
}

TEST(GrpcRandom, RequestsAgreeWithReflection) {
  CompareRequests<v1::ChatRequest>("Chat", false, 2000);
  CompareRequests<v1::ChatRequest>("ChatStream", true, 500);
  CompareRequests<v1::CompleteRequest>("Complete", false, 1500);
  CompareRequests<v1::EmbedRequest>("Embed", false, 1000);
}

/// The canonical form of a body is the body itself, less the members that do not count: an HTTP request of the same
/// members has the same entry in the cache.
TEST(GrpcRandom, BodiesAreCanonical) {
  Prng prng(11);
  test::RandomMessage random(prng, true);
  llm::JsonParser parser(1);
  int read = 0;
  for (int i = 0; i < 3000; ++i) {
    v1::ChatRequest request;
    random.Fill(request);
    request.set_model("m");
    request.clear_seed();
    if (request.messages_size() == 0) request.add_messages()->set_content("x");
    for (auto* field : {"n", "max_tokens", "max_completion_tokens", "temperature", "top_p", "stop"}) {
      request.GetReflection()->ClearField(&request, request.GetDescriptor()->FindFieldByName(field));
    }
    const std::string json = JsonOf("ChatStream", request.SerializeAsString());
    if (json.front() != '{') continue;
    const auto view = llm::ParseRequest(llm::Family::kChat, json, parser);
    ASSERT_TRUE(view.has_value()) << view.error().context << json;
    std::string canonical;
    ASSERT_TRUE(llm::WriteCanonicalBody(*view, parser, [&](std::string_view bytes) { canonical += bytes; }));
    for (const char* field : {"model", "user", "stream_options"}) {
      request.GetReflection()->ClearField(&request, request.GetDescriptor()->FindFieldByName(field));
      if (request.has_extra()) request.mutable_extra()->mutable_fields()->erase(field);
    }
    ASSERT_EQ(canonical, JsonOf("Chat", request.SerializeAsString()));
    ++read;
  }
  EXPECT_GT(read, 300);
}

/// Every message that JSON can say comes back from it.
template <class Message>
void CompareAnswers(const char* method, int rounds) {
  Prng prng(13);
  test::RandomMessage random(prng, false);
  llm::JsonParser parser(1);
  int compared = 0;
  for (int i = 0; i < rounds; ++i) {
    Message filled;
    random.Fill(filled);
    Message answer;  // each key of a map once
    ASSERT_TRUE(answer.ParseFromString(filled.SerializeAsString()));
    const std::optional<std::string> json = ReflectionJson::Of(answer);
    if (!json) continue;
    const auto wire = test::WireOf(method, *json, parser);
    ASSERT_TRUE(wire) << *json;
    Message read;
    ASSERT_TRUE(read.ParseFromString(*wire)) << *json;
    ASSERT_TRUE(google::protobuf::util::MessageDifferencer::Equals(answer, read))
        << *json << '\n'
        << answer.DebugString() << read.DebugString();
    ++compared;
  }
  EXPECT_GT(compared, rounds / 10);
}

TEST(GrpcRandom, AnswersComeBack) {
  CompareAnswers<v1::ChatResponse>("Chat", 2000);
  CompareAnswers<v1::ChatChunk>("ChatStream", 2000);
  CompareAnswers<v1::CompleteResponse>("Complete", 2000);
  CompareAnswers<v1::CompleteChunk>("CompleteStream", 1000);
  CompareAnswers<v1::EmbedResponse>("Embed", 1000);
  CompareAnswers<v1::ListModelsResponse>("ListModels", 1000);
}

struct Viewed {
  std::string text;       ///< what the pipeline goes by, or why not
  std::string canonical;  ///< the key's part of the body
};

Viewed View(const Result<llm::RequestView>& result, llm::JsonParser& parser) {
  if (!result.has_value()) return {result.error().context, result.error().param != nullptr ? result.error().param : ""};
  Viewed viewed;
  const llm::RequestView& view = *result;
  std::ostringstream text;
  for (const llm::Span span : {view.model_token, view.stream_token, view.stream_options, view.include_usage_token,
                               view.user, view.prompt, llm::Span{view.end, view.empty}})
    text << span.begin << '+' << span.size << ' ';
  text << view.model() << ' ' << view.stream << view.stream_options_empty << view.include_usage << view.has_seed << ' '
       << view.prompt_items << ' ' << view.temperature.value_or(-1) << ' ' << view.n << ' ' << view.max_tokens;
  viewed.text = text.str();
  EXPECT_TRUE(llm::WriteCanonicalBody(view, parser, [&](std::string_view bytes) { viewed.canonical += bytes; }));
  return viewed;
}

/// A body that is viewed by its writer's notes is what it is to a reader.
TEST(GrpcRandom, NotedBodiesAreViewedAsReadOnes) {
  Prng prng(19);
  test::RandomMessage random(prng, true);
  llm::JsonParser parser(1);
  const Method& method = test::MethodOf("ChatStream");
  int refused = 0;
  for (int i = 0; i < 3000; ++i) {
    v1::ChatRequest request;
    random.Fill(request);
    request.set_model("m");
    if (request.messages_size() == 0) request.add_messages()->set_content("x");
    for (auto* field : {"n", "max_tokens", "max_completion_tokens", "temperature", "top_p", "stop"}) {
      if (prng.Below(4) != 0)
        request.GetReflection()->ClearField(&request, request.GetDescriptor()->FindFieldByName(field));
    }
    std::string json;
    ReplyFacts facts;
    parser.set_depth_max(static_cast<std::uint32_t>(4 + prng.Below(8)));
    if (TranslateRequest(method, request.SerializeAsString(), json, facts, parser.BeginNotes())) continue;
    const Viewed noted = View(llm::ViewRequest(method.family, json, parser), parser);
    const Viewed read = View(llm::ParseRequest(method.family, json, parser), parser);
    ASSERT_EQ(noted.text, read.text) << json;
    ASSERT_EQ(noted.canonical, read.canonical) << json;
    refused += noted.text == "nested deeper than the limit" ? 1 : 0;
  }
  EXPECT_GT(refused, 10);
}

/// Another text was read meanwhile: the body is indexed again.
TEST(GrpcRandom, ACanonicalFormOutlivesTheNotes) {
  v1::ChatRequest request;
  request.set_model("m");
  request.add_messages()->set_content("x");
  llm::JsonParser parser(1);
  std::string json;
  ReplyFacts facts;
  const Method& method = test::MethodOf("Chat");
  ASSERT_FALSE(TranslateRequest(method, request.SerializeAsString(), json, facts, parser.BeginNotes()));
  const auto view = llm::ViewRequest(method.family, json, parser);
  ASSERT_TRUE(view.has_value());
  const std::string before = View(view, parser).canonical;
  parser.BeginNotes();
  EXPECT_EQ(View(view, parser).canonical, before);
  ASSERT_TRUE(llm::ReadJson("[1]", parser));
  EXPECT_EQ(View(view, parser).canonical, before);
}

/// Damaged messages: never a read beyond the bytes (the address sanitizer looks), and what comes out is JSON.
TEST(GrpcRandom, DamagedRequests) {
  Prng prng(17);
  test::RandomMessage random(prng, true);
  llm::JsonParser parser(1);
  int accepted = 0;
  for (int i = 0; i < 3000; ++i) {
    v1::ChatRequest request;
    random.Fill(request, 3);
    std::string wire = request.SerializeAsString();
    for (std::uint64_t n = 1 + prng.Below(3); n != 0 && !wire.empty(); --n) {
      wire[prng.Below(wire.size())] = static_cast<char>(prng.Next());
    }
    const std::string json = JsonOf("Chat", wire);
    if (json.front() != '{') continue;
    ++accepted;
    const auto view = llm::ParseRequest(llm::Family::kChat, json, parser);
    ASSERT_TRUE(view.has_value() || view.error().code == ErrorCode::kInvalidParam) << json;
  }
  EXPECT_GT(accepted, 100);
}

}  // namespace
}  // namespace penstock::grpc
