#include "penstock/base/crc32c.hpp"

#include <gtest/gtest.h>

#include <string>

namespace penstock {
namespace {

TEST(Crc32c, AsRfc3720HasIt) {
  std::string ascending;
  for (int i = 0; i < 32; ++i) ascending.push_back(static_cast<char>(i));
  struct Case {
    std::string bytes;
    std::uint32_t sum;
  } const cases[] = {
      {"", 0},
      {"123456789", 0xe3069283u},
      {std::string(32, '\0'), 0x8a9136aau},
      {std::string(32, '\xff'), 0x62a8ab43u},
      {ascending, 0x46dd794eu},
  };
  for (const Case& each : cases) {
    EXPECT_EQ(Crc32c(each.bytes), each.sum);
    EXPECT_EQ(Crc32cByTable(each.bytes), each.sum);
  }
}

TEST(Crc32c, BothWaysAgreeAndContinue) {
  std::string bytes;
  for (unsigned i = 0; i < 100; ++i) {
    EXPECT_EQ(Crc32c(bytes), Crc32cByTable(bytes)) << i;
    EXPECT_EQ(Crc32c(bytes.substr(i / 3), Crc32c(bytes.substr(0, i / 3))), Crc32c(bytes)) << i;
    bytes.push_back(static_cast<char>(i * 37));
  }
}

}  // namespace
}  // namespace penstock
