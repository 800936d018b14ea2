#include "penstock/http/head.hpp"

#include <gtest/gtest.h>

#include <string>

namespace penstock::http {
namespace {

TEST(Head, FindsTheFirstFieldOfAnId) {
  Head head;
  head.Add("content-type", "application/json");
  head.Add("x-other", "1");
  head.Add("content-type", "text/plain");
  EXPECT_EQ(head.Find(HeaderId::kContentType), "application/json");
  EXPECT_EQ(head.Count(HeaderId::kContentType), 2u);
  EXPECT_EQ(head.Find("x-other"), "1");
  head.Remove(HeaderId::kContentType);
  EXPECT_FALSE(head.Has(HeaderId::kContentType));
  EXPECT_EQ(head.size(), 1u);
}

TEST(Head, KnowsItsNames) {
  EXPECT_EQ(LookupHeader("transfer-encoding"), HeaderId::kTransferEncoding);
  EXPECT_EQ(LookupHeader("x-penstock-timeout-ms"), HeaderId::kXPenstockTimeoutMs);
  EXPECT_EQ(LookupHeader("x-unknown"), HeaderId::kOther);
  EXPECT_EQ(LookupHeader(""), HeaderId::kOther);
}

TEST(Head, AddsAPartOfItself) {
  Head head;
  head.set_target(std::string(1500, 't'));
  head.Add("x", "y");
  for (int i = 0; i < 5; ++i) head.Add(head.Find("x"), head.target());  // the store moves under the views
  EXPECT_EQ(head.size(), 6u);
  EXPECT_EQ(head.field(5).name, "y");
  EXPECT_EQ(head.field(5).value, std::string(1500, 't'));
}

TEST(HeadPool, GivesBackAClearedHead) {
  HeadPool pool;
  {
    HeadPtr head = pool.Take();
    head->Add("host", "a");
    head->set_target("/x");
  }
  HeadPtr again = pool.Take();
  EXPECT_EQ(again->size(), 0u);
  EXPECT_TRUE(again->target().empty());
}

}  // namespace
}  // namespace penstock::http
