#include "penstock/proxy/offered_key.hpp"

#include <gtest/gtest.h>

namespace penstock::proxy {
namespace {

TEST(OfferedKey, IsReadAsRfc6750AndAnthropicWriteIt) {
  const struct {
    const char* authorization;  ///< null: no such field
    const char* x_api_key;
    const char* key;
  } rows[] = {
      {"Bearer k", nullptr, "k"},     {"bearer k", nullptr, "k"}, {"BEARER   k", nullptr, "k"},
      {"Bearer k", "other", "k"},     {nullptr, "k", "k"},        {"", "k", "k"},
      {nullptr, nullptr, ""},         {"Bearer ", nullptr, ""},   {"k", nullptr, "\n"},
      {"Basic k", "k", "\n"},         {"Bearerk", nullptr, "\n"}, {"Bearer k l", nullptr, "k l"},
      {"Bearer k\x85", "k", "k\x85"},
  };
  for (const auto& row : rows) {
    http::Head head;
    if (row.authorization != nullptr) head.Add("authorization", row.authorization);
    if (row.x_api_key != nullptr) head.Add("x-api-key", row.x_api_key);
    EXPECT_EQ(OfferedKey(head), row.key) << (row.authorization == nullptr ? "-" : row.authorization);
  }
}

}  // namespace
}  // namespace penstock::proxy
