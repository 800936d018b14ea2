#pragma once

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>

#include "penstock/grpc/translation.hpp"
#include "unit/llm/exact_copy.hpp"

namespace penstock::grpc::test {

inline const Method& MethodOf(std::string_view name) {
  const Method* const method = FindMethod("/penstock.v1.Inference/" + std::string(name));
  EXPECT_NE(method, nullptr) << name;
  return *method;
}

/// A message of the type `name` within penstock.v1, made of protobuf's text format.
template <class Message>
Message FromText(const std::string& text) {
  Message message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message)) << text;
  return message;
}

/// The JSON body, or `CODE param: context` when it was refused. The message lies in exactly its own bytes.
inline std::string JsonOf(std::string_view method, const std::string& wire) {
  const llm::test::ExactCopy message(wire);
  std::string json = "what was there before";
  ReplyFacts facts;
  const std::optional<Error> error = TranslateRequest(MethodOf(method), message.view(), json, facts);
  if (!error) return json;
  EXPECT_EQ(json, "");
  return std::string(CodeName(error->code)) + (error->param != nullptr ? std::string(" ") + error->param : "") + ": " +
         error->context;
}

/// The wire bytes of a whole answer; nothing when it is none.
inline std::optional<std::string> WireOf(std::string_view method, std::string_view json, llm::JsonParser& parser) {
  const llm::test::ExactCopy text(json);
  const ReplyFacts facts;
  AnswerTranslator translator;
  translator.Begin(MethodOf(method), facts);
  std::string out = "before";
  if (!translator.Whole(text.view(), parser, out)) {
    EXPECT_EQ(out, "before");
    return std::nullopt;
  }
  EXPECT_EQ(out.substr(0, 6), "before");
  return out.substr(6);
}

}  // namespace penstock::grpc::test
