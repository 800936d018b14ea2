#include "penstock/redis/url.hpp"

#include <gtest/gtest.h>

#include "penstock/redis/key_slot.hpp"

namespace penstock::redis {
namespace {

struct Good {
  const char* text;
  bool tls;
  const char* host;
  std::uint16_t port;
  const char* user;
  const char* password;
  std::uint32_t database;
};

TEST(RedisUrl, Taken) {
  const Good cases[] = {
      {"redis://localhost", false, "localhost", 6379, "", "", 0},
      {"redis://Cache.Example:7000/", false, "cache.example", 7000, "", "", 0},
      {"rediss://10.0.0.1:6380/15", true, "10.0.0.1", 6380, "", "", 15},
      {"redis://[2001:db8::1]", false, "2001:db8::1", 6379, "", "", 0},
      {"redis://[::1]:6400/2", false, "::1", 6400, "", "", 2},
      {"redis://:secret@h", false, "h", 6379, "", "secret", 0},
      {"redis://me:s%40%2f%3A@h:1/3", false, "h", 1, "me", "s@/:", 3},
      {"redis://me:a@b/c@h:1/3", false, "h", 1, "me", "a@b/c", 3},
  };
  for (const Good& each : cases) {
    SCOPED_TRACE(each.text);
    const Parsed<Url> url = Url::Parse(each.text);
    ASSERT_TRUE(url.has_value()) << url.error().message;
    EXPECT_EQ(url->tls, each.tls);
    EXPECT_EQ(url->host, each.host);
    EXPECT_EQ(url->port, each.port);
    EXPECT_EQ(url->user, each.user);
    EXPECT_EQ(url->password.reveal(), each.password);
    EXPECT_EQ(url->database, each.database);
  }
}

TEST(RedisUrl, Refused) {
  for (const char* text : {"",
                           "localhost",
                           "http://h",
                           "redis:/h",
                           "redis://",
                           "redis:///1",
                           "redis://:6379",
                           "redis://h:0",
                           "redis://h:65536",
                           "redis://h:",
                           "redis://h:x",
                           "redis://h/x",
                           "redis://h/-1",
                           "redis://h/65536",
                           "redis://h/1/2",
                           "redis://h?db=1",
                           "redis://h#1",
                           "redis://me@h",
                           "redis://me:@h",
                           "redis://:%4@h",
                           "redis://:%zz@h",
                           "redis://[::1",
                           "redis://[::1]6379",
                           "redis://[1.2.3.4]",
                           "redis://[]",
                           "redis://a b",
                           "unix:/tmp/redis.sock"}) {
    EXPECT_FALSE(Url::Parse(text).has_value()) << text;
  }
}

TEST(RedisKeySlot, AsTheClusterSpecificationHasIt) {
  struct Case {
    std::string_view key;
    unsigned slot;
  } const cases[] = {
      {"123456789", 0x31c3 % 16384},  // the CRC's check value
      {"foo", 12182},
      {"", 0},
      {"{user1000}.following", 3443},
      {"{user1000}.followers", 3443},
      {"user1000", 3443},
      {"foo{}{bar}", 8363},
      {"foo{{bar}}zap", 4015},
      {"{bar", 4015},
      {"foo{bar}{zap}", 5061},
      {"bar", 5061},
  };
  for (const Case& each : cases) EXPECT_EQ(KeySlot(each.key), each.slot) << each.key;
}

}  // namespace
}  // namespace penstock::redis
