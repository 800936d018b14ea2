// Length-prefixed messages over any split of the bytes.
#include "penstock/grpc/message.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace penstock::grpc {
namespace {

constexpr std::size_t kMax = 1000;

std::string Prefix(std::uint32_t size, int flag = 0) {
  std::string prefix(kPrefixBytes, '\0');
  WritePrefix(prefix.data(), false, size);
  prefix[0] = static_cast<char>(flag);
  return prefix;
}
std::string Message(std::string_view bytes) {
  return Prefix(static_cast<std::uint32_t>(bytes.size())) + std::string(bytes);
}
std::string Packed(std::string_view bytes) {
  std::string packed;
  Deflate(bytes, packed);
  return Prefix(static_cast<std::uint32_t>(packed.size()), 1) + packed;
}
std::string Text(Chain& chain) {
  std::string text(chain.size(), '\0');
  chain.Read(text.data(), text.size());
  return text;
}

struct Outcome {
  std::vector<std::string> messages;
  StatusCode failure = StatusCode::kOk;
  bool whole = false;  ///< Finish()
  std::size_t held = 0;
  friend bool operator==(const Outcome& a, const Outcome& b) {
    return a.messages == b.messages && a.failure == b.failure && (a.failure != StatusCode::kOk || a.whole == b.whole);
  }
};

/// Each piece lies in a block of exactly its size, which is gone before the next is fed.
Outcome Read(std::string_view bytes, std::size_t piece, Coding coding = Coding::kIdentity, std::size_t max = kMax) {
  MessageReader reader;
  reader.Begin(coding, max);
  Outcome outcome;
  for (;;) {
    const std::string part(bytes.substr(0, piece));
    bytes.remove_prefix(part.size());
    reader.Feed(part);
    std::string_view message;
    MessageReader::Step step;
    while ((step = reader.Next(message)) == MessageReader::Step::kMessage) outcome.messages.emplace_back(message);
    outcome.held = std::max(outcome.held, reader.held());
    if (step == MessageReader::Step::kFailed) {
      EXPECT_EQ(reader.Next(message), MessageReader::Step::kFailed) << "for ever";
      EXPECT_FALSE(reader.failure().message.empty());
      outcome.failure = reader.failure().code;
      return outcome;
    }
    if (bytes.empty()) break;
  }
  outcome.whole = reader.Finish();
  return outcome;
}

struct Case {
  std::string name;
  std::string bytes;
  Coding coding;
  std::vector<std::string> messages;
  int failure;  ///< 0: none
  bool whole = true;
};

struct Messages : testing::TestWithParam<Case> {};

TEST_P(Messages, AreTheSameHoweverTheBytesAreCut) {
  const Case& row = GetParam();
  Outcome expected;
  expected.messages = row.messages;
  expected.failure = static_cast<StatusCode>(row.failure);
  expected.whole = row.whole;
  for (const std::size_t piece : {1u, 2u, 3u, 4u, 5u, 6u, 7u, 50u, 100'000u}) {
    const Outcome outcome = Read(row.bytes, piece, row.coding);
    EXPECT_EQ(outcome.messages, expected.messages) << piece;
    EXPECT_EQ(outcome.failure, expected.failure) << piece;
    EXPECT_TRUE(outcome == expected) << piece;
  }
}

const std::string kRow = "{\"some\":\"text\"} ";
const std::string kLong = kRow + kRow + kRow + kRow + kRow + kRow + kRow + kRow;

INSTANTIATE_TEST_SUITE_P(
    Rows, Messages,
    testing::Values(
        Case{"EmptyMessage", Message(""), Coding::kIdentity, {""}, 0}, Case{"Nothing", "", Coding::kIdentity, {}, 0},
        Case{"Q_14_ManyInOne",
             Message("a") + Message("") + Message("bc") + Message(kLong),
             Coding::kIdentity,
             {"a", "", "bc", kLong},
             0},
        Case{"Q_10_Gzip",
             Packed("packed") + Message("plain") + Packed(kLong) + Packed(""),
             Coding::kGzip,
             {"packed", "plain", kLong, ""},
             0},
        Case{"Q_11_CompressedWithoutCoding", Message("a") + Packed("b"), Coding::kIdentity, {"a"}, 13},
        Case{"Q_11_Flag2", Prefix(1, 2) + "x", Coding::kGzip, {}, 13},
        Case{"Q_11_Flag255", Message("a") + Prefix(0, 255), Coding::kGzip, {"a"}, 13},
        Case{"Q_10_NoGzip", Prefix(6, 1) + "abcdef", Coding::kGzip, {}, 13},
        Case{"Q_10_NoGzipAtAll", Prefix(0, 1), Coding::kGzip, {}, 13},
        Case{"Q_12_PrefixAlone", Message("a") + Prefix(5), Coding::kIdentity, {"a"}, 0, false},
        Case{"Q_12_FourOfFivePrefixBytes", Message("a") + Prefix(5).substr(0, 4), Coding::kIdentity, {"a"}, 0, false},
        Case{"Q_12_OneByteMissing", Prefix(5) + "abcd", Coding::kIdentity, {}, 0, false},
        Case{"Q_12_TrailingBytes", Message("a") + "xyz", Coding::kIdentity, {"a"}, 0, false},
        Case{"Q_12_TrailingText", Message("a") + "trailing", Coding::kIdentity, {"a"}, 13},
        Case{"Q_13_AtTheLimit", Message(std::string(kMax, 'm')), Coding::kIdentity, {std::string(kMax, 'm')}, 0},
        Case{"Q_13_OneAbove", Prefix(kMax + 1), Coding::kIdentity, {}, 8},
        Case{"Q_13_FourGigabytes", Prefix(0xffffffff), Coding::kIdentity, {}, 8},
        Case{"Q_13_GzipAtTheLimit", Packed(std::string(kMax, 'm')), Coding::kGzip, {std::string(kMax, 'm')}, 0},
        Case{"Q_13_GzipOneAbove", Packed(std::string(kMax + 1, 'm')), Coding::kGzip, {}, 8},
        Case{"Q_13_GzipBomb", Packed(std::string(500'000, '\0')), Coding::kGzip, {}, 8}),
    [](const auto& row) { return row.param.name; });

TEST(GrpcMessages, Q_13_NothingOfARefusedMessageIsHeld) {
  const std::string body(100'000, 'x');
  EXPECT_LT(Read(Prefix(1'000'000) + body, 16'384).held, 100u);
  EXPECT_LT(Read(Prefix(1'000'000) + body, 16'384, Coding::kIdentity, 2'000'000).held, 2 * body.size())
      << "what was announced is no reason to make room";
}

TEST(GrpcMessages, AMessageWithinTheFedBytesIsNotCopied) {
  MessageReader reader;
  reader.Begin(Coding::kIdentity, kMax);
  const std::string bytes = Message("first") + Message(kLong);
  reader.Feed(bytes);
  std::string_view message;
  ASSERT_EQ(reader.Next(message), MessageReader::Step::kMessage);
  EXPECT_EQ(message.data(), bytes.data() + kPrefixBytes);
  ASSERT_EQ(reader.Next(message), MessageReader::Step::kMessage);
  EXPECT_EQ(message, kLong);
  EXPECT_EQ(message.data() + message.size(), bytes.data() + bytes.size());
  EXPECT_EQ(reader.Next(message), MessageReader::Step::kNeedMore);
  EXPECT_LT(reader.held(), 100u) << "empty strings only";
}

TEST(GrpcMessages, WhatIsParkedIsReadLater) {
  for (const std::size_t first : {0u, 3u, 9u, 12u, 20u, 26u}) {  // within prefixes and messages
    MessageReader reader;
    reader.Begin(Coding::kIdentity, kMax);
    const std::string all = Message("aaaa") + Message("bbbbbb") + Message("cc");
    std::vector<std::string> read;
    std::string_view message;
    {
      const std::string part = all.substr(0, first);
      reader.Feed(part);
      if (first >= 9 && reader.Next(message) == MessageReader::Step::kMessage) read.emplace_back(message);
      reader.Park();
    }
    for (std::size_t at = first; at < all.size(); ++at) {  // byte by byte while nobody asks
      const std::string byte = all.substr(at, 1);
      reader.Feed(byte);
      reader.Park();
      if (at == 15 && reader.Next(message) == MessageReader::Step::kMessage) read.emplace_back(message);
      reader.Park();
    }
    while (reader.Next(message) == MessageReader::Step::kMessage) read.emplace_back(message);
    EXPECT_EQ(read, (std::vector<std::string>{"aaaa", "bbbbbb", "cc"})) << first;
    EXPECT_TRUE(reader.Finish());
  }
}

TEST(GrpcMessages, WhatIsParkedIsNotFinished) {
  MessageReader reader;
  reader.Begin(Coding::kIdentity, kMax);
  const std::string bytes = Message("a") + Message("b");
  reader.Feed(bytes);
  std::string_view message;
  ASSERT_EQ(reader.Next(message), MessageReader::Step::kMessage);
  reader.Park();
  EXPECT_FALSE(reader.Finish()) << "a message waits";
  ASSERT_EQ(reader.Next(message), MessageReader::Step::kMessage);
  EXPECT_EQ(message, "b");
  EXPECT_TRUE(reader.Finish());
}

TEST(GrpcMessages, MemoryIsGivenBackWhenItIsMuch) {
  MessageReader reader;
  reader.Begin(Coding::kIdentity, 1'000'000);
  const std::string half = Prefix(200'000) + std::string(100'000, 'x');
  reader.Feed(half);
  std::string_view message;
  ASSERT_EQ(reader.Next(message), MessageReader::Step::kNeedMore);
  EXPECT_GE(reader.held(), 100'000u);
  reader.Reset(1'000'000);
  EXPECT_GE(reader.held(), 100'000u) << "kept for the next call";
  reader.Reset(4096);
  EXPECT_LT(reader.held(), 100u);
  reader.Begin(Coding::kIdentity, kMax);
  const std::string next = Message("next");
  reader.Feed(next);
  ASSERT_EQ(reader.Next(message), MessageReader::Step::kMessage);
  EXPECT_EQ(message, "next");
}

TEST(GrpcMessages, MemoryIsGivenBackBetweenTwoMessages) {
  MessageReader reader;
  reader.Begin(Coding::kGzip, 1'000'000);
  const std::string large = Packed(std::string(200'000, 'x')) + Message(std::string(100'000, 'y'));
  std::string_view message;
  const std::string first = large.substr(0, 50'000);  // the compressed one, and some of the other
  reader.Feed(first);
  ASSERT_EQ(reader.Next(message), MessageReader::Step::kMessage);
  ASSERT_EQ(reader.Next(message), MessageReader::Step::kNeedMore);
  const std::string rest = large.substr(50'000);
  reader.Feed(rest);
  ASSERT_EQ(reader.Next(message), MessageReader::Step::kMessage);
  EXPECT_EQ(message.size(), 100'000u);
  ASSERT_EQ(reader.Next(message), MessageReader::Step::kNeedMore);
  ASSERT_TRUE(reader.Finish());
  EXPECT_GE(reader.held(), 300'000u);
  reader.Shrink(4096);
  EXPECT_LT(reader.held(), 100u);
  const std::string next = Packed("next next next next next next");
  reader.Feed(next);
  ASSERT_EQ(reader.Next(message), MessageReader::Step::kMessage) << "the coding is as before";
  EXPECT_EQ(message, "next next next next next next");
}

TEST(GrpcMessages, Q_10_AnswersAreCompressedWhereItHelps) {
  ChunkPool pool;
  Chain chain(pool);
  AppendMessage(chain, "plain", Coding::kIdentity);
  EXPECT_EQ(Text(chain), Message("plain"));
  AppendMessage(chain, "", Coding::kIdentity);
  EXPECT_EQ(Text(chain), Message(""));
  AppendMessage(chain, "short", Coding::kGzip);
  EXPECT_EQ(Text(chain), Message("short")) << "gzip would make it longer";
  const std::string zeroes(314'159, '\0');
  AppendMessage(chain, zeroes, Coding::kGzip);
  EXPECT_LT(chain.size(), 10'000u);
  const Outcome outcome = Read(Text(chain), 100, Coding::kGzip, 400'000);
  ASSERT_EQ(outcome.messages.size(), 1u);
  EXPECT_EQ(outcome.messages[0], zeroes);
}

TEST(GrpcGzip, TakesTheWholeAndNothingElse) {
  std::string packed;
  std::string out;
  bool too_large = false;
  Deflate(kLong, packed);
  EXPECT_TRUE(Inflate(packed, kLong.size(), out, too_large));
  EXPECT_EQ(out, kLong);
  EXPECT_FALSE(Inflate(packed, kLong.size() - 1, out, too_large));
  EXPECT_TRUE(too_large);
  EXPECT_LE(out.capacity(), 8192u);
  for (std::size_t size = 0; size < packed.size(); ++size) {
    EXPECT_FALSE(Inflate(std::string_view(packed).substr(0, size), 1 << 20, out, too_large)) << size;
    EXPECT_FALSE(too_large) << size;
  }
  EXPECT_FALSE(Inflate(packed + "x", 1 << 20, out, too_large)) << "trailing bytes";
  EXPECT_FALSE(Inflate(packed + packed, 1 << 20, out, too_large)) << "a second member";
  std::string broken = packed;
  broken[packed.size() - 5] ^= 1;  // of the checksum
  EXPECT_FALSE(Inflate(broken, 1 << 20, out, too_large));
  // Sizes at which the room runs out just at the end.
  for (const std::size_t size : {0u, 1u, 4095u, 4096u, 4097u, 8192u, 16'384u, 100'000u}) {
    std::string text;
    for (std::size_t i = 0; i < size; ++i) text.push_back(static_cast<char>(i * i >> 3));
    Deflate(text, packed);
    EXPECT_TRUE(Inflate(packed, size, out, too_large)) << size;
    EXPECT_EQ(out, text);
    if (size == 0) continue;
    EXPECT_FALSE(Inflate(packed, size - 1, out, too_large)) << size;
    EXPECT_TRUE(too_large) << size;
  }
}

TEST(GrpcGzip, ABombCostsNoMoreThanTwiceTheLimit) {
  std::string packed;
  Deflate(std::string(50'000'000, '\0'), packed);
  ASSERT_LT(packed.size(), 300'000u);
  std::string out;
  bool too_large = false;
  EXPECT_FALSE(Inflate(packed, 1 << 20, out, too_large));
  EXPECT_TRUE(too_large);
  EXPECT_LE(out.capacity(), 2u << 20);
}

}  // namespace
}  // namespace penstock::grpc
