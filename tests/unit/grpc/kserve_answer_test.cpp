// Completions to ModelInferResponse and ModelStreamInferResponse, read back by the generated classes.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "grpc/kserve.hpp"
#include "unit/grpc/kserve_request.hpp"

namespace penstock::grpc {
namespace {

using inference::ModelInferResponse;
using inference::ModelStreamInferResponse;

ReplyFacts Facts() {
  ReplyFacts facts;
  facts.stream = true;
  facts.id = "7";
  facts.model = "llama";
  facts.version = "2";
  return facts;
}

/// As tritonclient's as_numpy() and deserialize_bytes_tensor() read it.
std::vector<std::string> Texts(const ModelInferResponse& response, std::string_view name) {
  std::vector<std::string> texts;
  for (int i = 0; i < response.outputs_size(); ++i) {
    if (response.outputs(i).name() != name) continue;
    EXPECT_EQ(response.outputs(i).datatype(), "BYTES");
    EXPECT_FALSE(response.outputs(i).has_contents());
    EXPECT_EQ(response.outputs_size(), response.raw_output_contents_size());
    std::string_view rest = response.raw_output_contents(i);
    while (rest.size() >= 4) {
      std::uint32_t size;
      std::memcpy(&size, rest.data(), 4);
      texts.emplace_back(rest.substr(4, size));
      rest.remove_prefix(4 + size);
    }
    EXPECT_EQ(rest, "");
    EXPECT_EQ(response.outputs(i).shape_size(), 1);
    EXPECT_EQ(response.outputs(i).shape(0), static_cast<std::int64_t>(texts.size()));
  }
  return texts;
}

/// "" when the parameter is not there.
std::string Final(const ModelInferResponse& response) {
  const auto found = response.parameters().find("triton_final_response");
  if (found == response.parameters().end()) return "";
  return found->second.bool_param() ? "true" : "false";
}

void ExpectIdentity(const ModelInferResponse& response) {
  EXPECT_EQ(response.id(), "7");
  EXPECT_EQ(response.model_name(), "llama");
  EXPECT_EQ(response.model_version(), "2");
}

using List = std::vector<std::string>;

constexpr std::string_view kDocument =
    R"({"id":"cmpl-1","object":"text_completion","choices":[{"index":1,"text":"b\u00e4","finish_reason":"length"},)"
    R"({"index":0,"text":"a\n","logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":1}})";

class KserveAnswer : public testing::Test {
 protected:
  ModelStreamInferResponse StreamMessage() {
    ModelStreamInferResponse message;
    EXPECT_TRUE(message.ParseFromString(out_));
    EXPECT_EQ(message.error_message(), "");
    ExpectIdentity(message.infer_response());
    out_.clear();
    return message;
  }
  ModelInferResponse Event(const ReplyFacts& facts, std::string_view data) {
    EXPECT_TRUE(kserve::Event(kStreamInfer, facts, data, parser_, out_)) << data;
    return StreamMessage().infer_response();
  }

  llm::JsonParser parser_{1};
  std::string out_;
};

TEST_F(KserveAnswer, WholeOnModelInfer) {
  ReplyFacts facts = Facts();
  facts.stream = false;
  facts.choices = 2;
  out_ = "kept";
  ASSERT_TRUE(kserve::Whole(kInfer, facts, kDocument, parser_, out_));
  ASSERT_TRUE(out_.starts_with("kept"));
  ModelInferResponse response;
  ASSERT_TRUE(response.ParseFromString(out_.substr(4)));
  ExpectIdentity(response);
  EXPECT_EQ(Texts(response, "text_output"), (List{"a\n", "b\xc3\xa4"}));
  EXPECT_EQ(response.outputs_size(), 1);
  EXPECT_EQ(Final(response), "");
}

TEST_F(KserveAnswer, OutputsAskedFor) {
  ReplyFacts facts = Facts();
  facts.choices = 3;
  facts.finish_reason = true;
  ASSERT_TRUE(kserve::Whole(kInfer, facts, kDocument, parser_, out_));
  ModelInferResponse response;
  ASSERT_TRUE(response.ParseFromString(out_));
  EXPECT_EQ(Texts(response, "text_output"), (List{"a\n", "b\xc3\xa4", ""}));
  EXPECT_EQ(Texts(response, "finish_reason"), (List{"stop", "length", "None"}));

  facts.text_output = false;
  out_.clear();
  ASSERT_TRUE(kserve::Whole(kInfer, facts, kDocument, parser_, out_));
  ASSERT_TRUE(response.ParseFromString(out_));
  ASSERT_EQ(response.outputs_size(), 1);
  EXPECT_EQ(Texts(response, "finish_reason"), (List{"stop", "length", "None"}));
}

/// Nothing tells more texts than the request can have.
TEST_F(KserveAnswer, MoreChoicesThanAskedFor) {
  ASSERT_TRUE(kserve::Whole(kInfer, Facts(), kDocument, parser_, out_));
  ModelInferResponse response;
  ASSERT_TRUE(response.ParseFromString(out_));
  EXPECT_EQ(Texts(response, "text_output"), List{"a\n"});
}

TEST_F(KserveAnswer, WholeOnModelStreamInfer) {
  ReplyFacts facts = Facts();
  facts.stream = false;
  facts.empty_final = true;
  ASSERT_TRUE(kserve::Whole(kStreamInfer, facts, kDocument, parser_, out_));
  EXPECT_EQ(Final(StreamMessage().infer_response()), "true");
  EXPECT_FALSE(kserve::Finish(kStreamInfer, facts, out_)) << "the answer was the last one";

  // answered whole though a stream was asked for
  facts.stream = true;
  ASSERT_TRUE(kserve::Whole(kStreamInfer, facts, kDocument, parser_, out_));
  EXPECT_EQ(Final(StreamMessage().infer_response()), "false");
  EXPECT_TRUE(kserve::Finish(kStreamInfer, facts, out_));
}

TEST_F(KserveAnswer, NoDocument) {
  for (const std::string_view text : {"", "[]", "{", "x", "{} {}", "\"a\""}) {
    EXPECT_FALSE(kserve::Whole(kInfer, Facts(), text, parser_, out_)) << text;
    EXPECT_FALSE(kserve::Event(kStreamInfer, Facts(), text, parser_, out_)) << text;
    EXPECT_EQ(out_, "");
  }
}

TEST_F(KserveAnswer, Events) {
  const ReplyFacts facts = Facts();
  ModelInferResponse response = Event(facts, R"({"choices":[{"index":0,"text":" w","finish_reason":null}]})");
  EXPECT_EQ(Texts(response, "text_output"), List{" w"});
  EXPECT_EQ(Final(response), "false");
  response = Event(facts, R"({"choices":[{"index":0,"text":"","finish_reason":"stop"}]})");
  EXPECT_EQ(Texts(response, "text_output"), List{""});
  EXPECT_EQ(Final(response), "true");
  EXPECT_FALSE(kserve::Finish(kStreamInfer, facts, out_));
}

TEST_F(KserveAnswer, EventsThatTellNothing) {
  for (const std::string_view data :
       {R"({"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}})", R"({})", R"({"error":{"message":"x"}})",
        R"({"choices":[{"index":0,"text":"","finish_reason":null}]})", R"({"choices":[{"index":0,"text":5}]})",
        R"({"choices":{"text":"x"}})", R"({"choices":["text"]})"}) {
    EXPECT_FALSE(kserve::Event(kStreamInfer, Facts(), data, parser_, out_)) << data;
    EXPECT_EQ(out_, "");
  }
}

TEST_F(KserveAnswer, EmptyFinalResponse) {
  ReplyFacts facts = Facts();
  facts.empty_final = true;
  EXPECT_EQ(Final(Event(facts, R"({"choices":[{"text":"x","finish_reason":"stop"}]})")), "false");
  ASSERT_TRUE(kserve::Finish(kStreamInfer, facts, out_));
  const ModelInferResponse last = StreamMessage().infer_response();
  EXPECT_EQ(Final(last), "true");
  EXPECT_EQ(last.outputs_size(), 0);
}

TEST_F(KserveAnswer, EventsOfSeveralChoices) {
  ReplyFacts facts = Facts();
  facts.choices = 2;
  facts.finish_reason = true;
  ModelInferResponse response = Event(facts, R"({"choices":[{"index":1,"text":"x","finish_reason":"stop"}]})");
  EXPECT_EQ(Texts(response, "text_output"), (List{"", "x"}));
  EXPECT_EQ(Texts(response, "finish_reason"), (List{"None", "stop"}));
  EXPECT_EQ(Final(response), "false");
  response = Event(facts, R"({"choices":[{"index":0,"text":"y","finish_reason":"stop"},)"
                          R"({"index":1,"text":"","finish_reason":"stop"}]})");
  EXPECT_EQ(Final(response), "true");
}

TEST_F(KserveAnswer, Failure) {
  ASSERT_TRUE(kserve::Failure(kStreamInfer, Facts(), "no \xe2\x98\xba", out_));
  ModelStreamInferResponse message;
  ASSERT_TRUE(message.ParseFromString(out_));
  EXPECT_EQ(message.error_message(), "no \xe2\x98\xba");
  ExpectIdentity(message.infer_response());
  EXPECT_EQ(Final(message.infer_response()), "true");

  for (const auto& [text, told] : {std::pair{"", "the request failed"}, std::pair{"a\xff", "a?"}}) {
    out_.clear();
    ASSERT_TRUE(kserve::Failure(kStreamInfer, Facts(), text, out_));
    ASSERT_TRUE(message.ParseFromString(out_));
    EXPECT_EQ(message.error_message(), told);
  }
}

TEST_F(KserveAnswer, ModelInferHasNoMessagesForFailuresAndEnds) {
  ReplyFacts facts = Facts();
  facts.empty_final = true;
  EXPECT_FALSE(kserve::Failure(kInfer, facts, "no", out_));
  EXPECT_FALSE(kserve::Finish(kInfer, facts, out_));
  EXPECT_EQ(out_, "");
}

}  // namespace
}  // namespace penstock::grpc
