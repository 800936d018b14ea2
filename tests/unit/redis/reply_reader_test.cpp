#include "penstock/redis/reply_reader.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

namespace penstock::redis {
namespace {

using Step = ReplyReader::Step;

constexpr std::size_t kLimit = 4096;  // small, so that a test can pass it

/// A reply as a line: +OK -ERR :1 "bulk" nil [1,2]
std::string Print(const Reply& reply) {
  switch (reply.type()) {
    case ReplyType::kStatus: return "+" + std::string(reply.text());
    case ReplyType::kError: return "-" + std::string(reply.text());
    case ReplyType::kBulk: return '"' + std::string(reply.text()) + '"';
    case ReplyType::kInteger: return std::to_string(reply.integer());
    case ReplyType::kNil: return "nil";
    case ReplyType::kArray: break;
  }
  std::string text = "[";
  Reply element = reply.elements() > 0 ? reply.First() : Reply();
  for (std::size_t i = 0; i < reply.elements(); ++i) {
    if (i > 0) {
      element = element.Next();
      text += ",";
    }
    text += Print(element);
  }
  return text + "]";
}

/// All replies in `bytes`, fed `piece` bytes at a time; "refused" at the end when it was.
std::string ReadAll(ReplyReader& reader, std::string_view bytes, std::size_t piece) {
  std::string said;
  for (; !bytes.empty(); bytes.remove_prefix(std::min(piece, bytes.size()))) {
    bool good = reader.Feed(std::string(bytes.substr(0, piece)));
    Reply reply;
    Step step = Step::kMore;
    while (good && (step = reader.Next(reply)) == Step::kReply) said += Print(reply) + "\n";
    if (!good || step == Step::kRefused) return said + "refused";
  }
  return said;
}

TEST(RedisReply, ReadAlikeHoweverTheyAreCut) {
  const std::string bulk(kLimit, 'x');
  struct Case {
    std::string bytes;
    std::string said;
  } const cases[] = {
      {"+OK\r\n", "+OK\n"},
      {"+\r\n", "+\n"},
      {"-ERR no\r\n:-12\r\n:0\r\n", "-ERR no\n-12\n0\n"},
      {"$5\r\nhello\r\n$0\r\n\r\n$-1\r\n*-1\r\n", "\"hello\"\n\"\"\nnil\nnil\n"},
      {"$9\r\n$-5\r\n*1\r\n\r\n", "\"$-5\r\n*1\r\n\"\n"},
      {"*0\r\n*2\r\n+a\r\n*2\r\n$1\r\nb\r\n*0\r\n+next\r\n", "[]\n[+a,[\"b\",[]]]\n+next\n"},
      {"*3\r\n*2\r\n:1\r\n*1\r\n:2\r\n$-1\r\n:3\r\n", "[[1,[2]],nil,3]\n"},
      {"$4096\r\n" + bulk + "\r\n+OK\r\n", "\"" + bulk + "\"\n+OK\n"},
      {"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n", "[[[[[[[1]]]]]]]\n"},
  };
  for (const Case& each : cases) {
    for (const std::size_t piece : {1u, 2u, 3u, 7u, 100'000u}) {
      SCOPED_TRACE(each.bytes.substr(0, 60) + " in pieces of " + std::to_string(piece));
      ReplyReader reader(kLimit);
      EXPECT_EQ(ReadAll(reader, each.bytes, piece), each.said);
      EXPECT_TRUE(reader.idle());
      EXPECT_EQ(reader.refusal(), nullptr);
    }
  }
}

struct Garbage {
  const char* name;
  std::string bytes;
  const char* said;  ///< before the refusal
};

std::vector<Garbage> AllGarbage() {
  std::string nested;
  for (int i = 0; i < 10'000; ++i) nested += "*1\r\n";
  std::string wide = "*65536\r\n";
  for (int i = 0; i < 2; ++i) wide += "*65536\r\n";
  std::string elements = "*65536\r\n";
  for (int i = 0; i < 65536; ++i) elements += ":1\r\n";
  std::string large = "*400\r\n";
  for (int i = 0; i < 400; ++i) large += "$4000\r\n" + std::string(4000, 'x') + "\r\n";
  return {
      {"negative_bulk", "$-5\r\n", ""},
      {"bulk_of_2_63", "$9223372036854775807\r\n", ""},
      {"bulk_of_2_64", "$18446744073709551616\r\n", ""},
      {"bulk_above_limit", "$4097\r\n", ""},
      {"bulk_not_a_number", "$5x\r\nhello\r\n", ""},
      {"bulk_without_number", "$\r\n", ""},
      {"bulk_with_plus", "$+5\r\nhello\r\n", ""},
      {"bulk_with_zero", "$05\r\nhello\r\n", ""},
      {"bulk_longer_than_said", "$3\r\nhello\r\n", ""},
      {"array_of_1e9", "*1000000000\r\n", ""},
      {"array_of_int_max", "*2147483647\r\n", ""},
      {"array_negative", "*-2\r\n", ""},
      {"nested_10k", nested, ""},
      {"array_with_too_many_elements", elements, ""},
      {"arrays_in_arrays_with_too_many", wide + elements.substr(8), ""},
      {"array_with_too_much_text", large, ""},
      {"bulk_in_array_above_limit", "*1\r\n$9223372036854775807\r\n", ""},
      {"html", "<html><body>nginx</body></html>\r\n", ""},
      {"http", "HTTP/1.1 400 Bad Request\r\n\r\n", ""},
      {"resp3_push", "+OK\r\n>2\r\n+invalidate\r\n*0\r\n", "+OK\n"},
      {"resp3_map", "%1\r\n+a\r\n+b\r\n", ""},
      {"resp3_nil", "_\r\n", ""},
      {"bare_lf", "+OK\n", ""},
      {"empty_line", "\r\n", ""},
      {"line_without_end", "+" + std::string(10'000, 'x'), ""},
      {"line_too_long", "+" + std::string(5000, 'x') + "\r\n", ""},
      {"integer_not_a_number", ":1x\r\n", ""},
      {"integer_overflow", ":9223372036854775808\r\n", ""},
  };
}

class RedisFaults : public testing::TestWithParam<Garbage> {};

TEST_P(RedisFaults, R_05_Garbage) {
  for (const std::size_t piece : {1u, 5u, 1u << 20}) {
    ReplyReader reader(kLimit);
    EXPECT_EQ(ReadAll(reader, GetParam().bytes, piece), GetParam().said + std::string("refused"));
    ASSERT_NE(reader.refusal(), nullptr);
    EXPECT_FALSE(reader.idle());
    EXPECT_FALSE(reader.Feed("+OK\r\n"));  // for good
    EXPECT_LT(reader.held(), std::size_t{6} << 20);
  }
}
INSTANTIATE_TEST_SUITE_P(All, RedisFaults, testing::ValuesIn(AllGarbage()),
                         [](const auto& each) { return std::string(each.param.name); });

TEST(RedisReply, R_05_HalfAReplyIsNotIdle) {
  for (const char* half : {"$5\r\nhel", "$5\r\nhello", "+O", "*2\r\n:1\r\n", "$"}) {
    ReplyReader reader(kLimit);
    ASSERT_TRUE(reader.Feed(half));
    Reply reply;
    EXPECT_EQ(reader.Next(reply), Step::kMore);
    EXPECT_FALSE(reader.idle()) << half;
  }
}

TEST(RedisReply, R_05_MemoryFollowsTheBytesThatCameNotTheLength) {
  ReplyReader reader(ReplyReader::kBulkMax);
  ASSERT_TRUE(reader.Feed("$14000000\r\nabc"));
  Reply reply;
  EXPECT_EQ(reader.Next(reply), Step::kMore);
  EXPECT_LT(reader.held(), 4096u);
  ASSERT_TRUE(reader.Feed(std::string(14'000'000 - 3, 'x') + "\r\n"));
  ASSERT_EQ(reader.Next(reply), Step::kReply);
  EXPECT_EQ(reply.text().size(), 14'000'000u);
  EXPECT_EQ(reader.Next(reply), Step::kMore);
  EXPECT_LT(reader.held(), 70'000u);  // given back
}

TEST(RedisReply, R_05_NobodyMayAllowMoreThanSixteenMegabytes) {
  ReplyReader reader(SIZE_MAX);
  EXPECT_TRUE(reader.Feed("$" + std::to_string(ReplyReader::kBulkMax) + "\r\n"));
  ReplyReader other(SIZE_MAX);
  EXPECT_FALSE(other.Feed("$" + std::to_string(ReplyReader::kBulkMax + 1) + "\r\n"));
}

TEST(RedisReply, R_07_ErrorKinds) {
  struct Case {
    const char* error;
    ErrorKind kind;
  } const cases[] = {
      {"MOVED 3999 127.0.0.1:6381", ErrorKind::kMoved},
      {"ASK 3999 127.0.0.1:6381", ErrorKind::kAsk},
      {"TRYAGAIN Multiple keys request during rehashing of slot", ErrorKind::kTryAgain},
      {"CLUSTERDOWN Hash slot not served", ErrorKind::kTryAgain},
      {"LOADING Redis is loading the dataset in memory", ErrorKind::kNotServing},
      {"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", ErrorKind::kNotServing},
      {"BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
       ErrorKind::kNotServing},
      {"READONLY You can't write against a read only replica.", ErrorKind::kReadOnly},
      {"OOM command not allowed when used memory > 'maxmemory'.", ErrorKind::kNoWrites},
      {"MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
       ErrorKind::kNoWrites},
      {"NOREPLICAS Not enough good replicas to write.", ErrorKind::kNoWrites},
      {"NOAUTH Authentication required.", ErrorKind::kNotAllowed},
      {"WRONGPASS invalid username-password pair or user is disabled.", ErrorKind::kNotAllowed},
      {"NOPERM User me has no permissions to run the 'get' command", ErrorKind::kNotAllowed},
      {"ERR AUTH <password> called without any password configured for the default user.", ErrorKind::kNoPassword},
      {"ERR invalid password", ErrorKind::kNotAllowed},
      {"NOSCRIPT No matching script.", ErrorKind::kNoScript},
      {"ERR unknown command 'SCRIPT', with args beginning with: ", ErrorKind::kUnsupported},
      {"ERR value is not an integer or out of range", ErrorKind::kOther},
      {"WRONGTYPE Operation against a key holding the wrong kind of value", ErrorKind::kOther},
      {"", ErrorKind::kOther},
  };
  for (const Case& each : cases) {
    ReplyReader reader(kLimit);
    ASSERT_TRUE(reader.Feed("-" + std::string(each.error) + "\r\n"));
    Reply reply;
    ASSERT_EQ(reader.Next(reply), Step::kReply);
    EXPECT_EQ(reply.error(), each.kind) << each.error;
  }
}

TEST(RedisReply, R_07_Redirects) {
  const auto moved = Redirect::Parse("MOVED 3999 127.0.0.1:6381");
  ASSERT_TRUE(moved);
  EXPECT_EQ(moved->slot, 3999);
  EXPECT_EQ(moved->host, "127.0.0.1");
  EXPECT_EQ(moved->port, 6381);
  const auto ask = Redirect::Parse("ASK 0 2001:db8::1:65535");
  ASSERT_TRUE(ask);
  EXPECT_EQ(ask->host, "2001:db8::1");
  EXPECT_EQ(ask->port, 65535);
  EXPECT_EQ(Redirect::Parse("MOVED 1 :7000")->host, "");
  for (const char* bad : {"MOVED", "MOVED 1", "MOVED x h:1", "MOVED 16384 h:1", "MOVED -1 h:1", "MOVED 1 h",
                          "MOVED 1 h:0", "MOVED 1 h:65536", "MOVED 1 h:", "MOVED 1 h:1 x"}) {
    EXPECT_FALSE(Redirect::Parse(bad)) << bad;
  }
}

}  // namespace
}  // namespace penstock::redis
