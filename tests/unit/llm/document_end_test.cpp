#include "penstock/llm/document_end.hpp"

#include <gtest/gtest.h>

namespace penstock::llm {
namespace {

bool Reached(std::string_view text) {
  DocumentEnd end;
  for (const char& c : text) end.Feed({&c, 1});
  return end.reached();
}

TEST(DocumentEnd, OnlyAtTheLastBracket) {
  constexpr std::string_view kText = R"( {"a":[1,{"b":"}]\"\\"}],"c":"x"} )";
  const std::size_t last = kText.rfind('}');
  for (std::size_t cut = 0; cut <= kText.size(); ++cut) {
    EXPECT_EQ(Reached(kText.substr(0, cut)), cut > last) << cut;
  }
}

TEST(DocumentEnd, NothingIsNoDocument) {
  EXPECT_FALSE(Reached(""));
  EXPECT_FALSE(Reached("\"text\""));
}

}  // namespace
}  // namespace penstock::llm
