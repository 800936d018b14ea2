#include <gtest/gtest.h>

#include "penstock/llm/answer.hpp"

namespace penstock::llm {
namespace {

struct Row {
  const char* name;
  const char* tail;
  bool known;
  std::uint32_t prompt_tokens;
};

class UsageAtEnd : public testing::TestWithParam<Row> {};

TEST_P(UsageAtEnd, IsReadOrUnknown) {
  JsonParser parser(1);
  const Usage usage = ReadUsageAtEnd(GetParam().tail, parser);
  EXPECT_EQ(usage.known, GetParam().known);
  EXPECT_EQ(usage.prompt_tokens, GetParam().prompt_tokens);
}

INSTANTIATE_TEST_SUITE_P(
    Tails, UsageAtEnd,
    testing::Values(Row{"Last", R"(1]}],"usage":{"prompt_tokens":3,"total_tokens":3}})", true, 3},
                    Row{"Spaced", R"(], "usage" : { "prompt_tokens" : 4, "details": {"x":[1]} } , "id":"z"})", true, 4},
                    Row{"InsideAText", R"({"content":"\"usage\":{\"prompt_tokens\":9}"})", false, 0},
                    Row{"Absent", R"(0.1,0.2]}]})", false, 0}, Row{"Null", R"(],"usage":null})", false, 0},
                    Row{"Cut", R"(],"usage":{"prompt_tokens":3)", false, 0}),
    [](const auto& row) { return std::string(row.param.name); });

}  // namespace
}  // namespace penstock::llm
