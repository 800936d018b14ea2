#include <gtest/gtest.h>

#include <string>

#include "exact_copy.hpp"
#include "penstock/base/prng.hpp"
#include "penstock/llm/request_view.hpp"
#include "random_json.hpp"
#include "reference_json.hpp"

namespace penstock::llm {
namespace {

using test::ExactCopy;
using test::MutateJson;
using test::RandomJson;
using test::ReferenceParser;

TEST(JsonWalker, AgreesWithThePlainestParserOnRandomTexts) {
  Prng prng(20261121);
  JsonParser parser(prng.Next(), 8);
  int accepted = 0, refused = 0, duplicates = 0;
  for (int round = 0; round < 60'000; ++round) {
    std::string text = RandomJson(prng);
    if (prng.Below(3) != 0) MutateJson(prng, text);
    const auto expected = ReferenceParser::Parse(text, 8);
    const ExactCopy copy(text);
    const auto view = ParseRequest(Family::kTokenize, copy.view(), parser);
    const ErrorCode code = view.has_value() ? ErrorCode::kNone : view.error().code;
    if (!expected.json) {
      // A repeated key may be met before the fault that the reference stopped at.
      ASSERT_TRUE(code == ErrorCode::kInvalidJson || code == ErrorCode::kDuplicateKey) << text;
      ++refused;
    } else if (expected.duplicate_key) {
      ASSERT_EQ(code, ErrorCode::kDuplicateKey) << text;
      ++duplicates;
    } else {
      ASSERT_TRUE(code == ErrorCode::kNone || code == ErrorCode::kInvalidParam) << text;
      ++accepted;
    }
  }
  EXPECT_GT(accepted, 5000);
  EXPECT_GT(refused, 5000);
  EXPECT_GT(duplicates, 500);
}

}  // namespace
}  // namespace penstock::llm
