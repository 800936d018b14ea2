#pragma once

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "llm/json/structural_index.hpp"
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

/// What the writer noted is what a reader finds.
inline void CheckNotes(const std::string& json, const llm::TokenNotes& notes) {
  llm::json::StructuralIndex index;
  llm::json::Document document;
  ASSERT_FALSE(index.Build(json, document)) << json;
  const std::vector<std::uint32_t> noted(notes.data(), notes.data() + notes.size());
  ASSERT_EQ(noted, std::vector<std::uint32_t>(document.tokens, document.tokens + document.count)) << json;
  std::uint32_t depth = 0;
  std::uint32_t deepest = 0;
  for (const std::uint32_t token : noted) {
    if (json[token] == '{' || json[token] == '[') deepest = std::max(deepest, ++depth);
    if (json[token] == '}' || json[token] == ']') --depth;
  }
  ASSERT_EQ(notes.deepest(), deepest) << json;
}

/// The JSON body, or `CODE param: context` when it was refused. The message lies in exactly its own bytes.
inline std::string JsonOf(std::string_view method, const std::string& wire) {
  const llm::test::ExactCopy message(wire);
  std::string json = "what was there before";
  ReplyFacts facts;
  llm::TokenNotes notes;
  const std::optional<Error> error = TranslateRequest(MethodOf(method), message.view(), json, facts, notes);
  if (!error) {
    if (!json.empty()) CheckNotes(json, notes);
    return json;
  }
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
