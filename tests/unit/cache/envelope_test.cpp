#include "penstock/cache/envelope.hpp"

#include <gtest/gtest.h>

#include <string>

#include "penstock/base/crc32c.hpp"

namespace penstock::cache {
namespace {

Digest DigestOf(std::uint8_t first) {
  Digest digest;
  for (std::size_t i = 0; i < digest.bytes.size(); ++i) digest.bytes[i] = static_cast<std::uint8_t>(first + i);
  return digest;
}

Entry Sample() {
  Entry entry;
  entry.bytes = SharedBytes::Copy(R"({"id":"chatcmpl-1","choices":[]})");
  entry.form = Form::kEvents;
  entry.family = llm::Family::kMessages;
  entry.usage = {11, 22};
  entry.scope = {0x1122334455667788, 0x99aabbccddeeff00};
  entry.stored_at = {1'700'000'000'000'000};
  entry.expires_at = {1'700'000'300'000'000};
  entry.purges_heard = 1'699'999'999'999'999;
  return entry;
}

std::string Whole(const Digest& digest, const Entry& entry) {
  const EnvelopeHeader header = EncodeEnvelope(digest, entry);
  return std::string(header.data(), header.size()) + std::string(entry.bytes.view());
}

/// Makes the header's own sum right again after a change: what a program's mistake would leave, not the line's.
std::string Resealed(std::string envelope) {
  const std::size_t at = kEnvelopeHeaderBytes - 4;
  const std::uint32_t sum = Crc32c(std::string_view(envelope).substr(0, at));
  envelope.replace(at, 4, reinterpret_cast<const char*>(&sum), 4);
  return envelope;
}

TEST(CacheEnvelope, ComesBackAsItWent) {
  for (const std::size_t size : {0u, 1u, 1000u, 300'000u}) {
    Entry entry = Sample();
    entry.bytes = SharedBytes::Copy(std::string(size, 'a'));
    const auto back = DecodeEnvelope(Whole(DigestOf(1), entry), DigestOf(1), entry.scope);
    ASSERT_TRUE(back.has_value()) << EnvelopeFaultName(back.error());
    EXPECT_EQ(back->bytes.view(), entry.bytes.view());
    EXPECT_EQ(back->form, entry.form);
    EXPECT_EQ(back->family, entry.family);
    EXPECT_EQ(back->scope, entry.scope);
    EXPECT_EQ(back->usage, entry.usage);
    EXPECT_EQ(back->stored_at.us, entry.stored_at.us);
    EXPECT_EQ(back->expires_at.us, entry.expires_at.us);
    EXPECT_EQ(back->purges_heard, entry.purges_heard);
  }
}

TEST(CacheEnvelopeFaults, R_06_EveryLengthButTheRightOne) {
  const Entry entry = Sample();
  const std::string whole = Whole(DigestOf(1), entry);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const auto back = DecodeEnvelope(whole.substr(0, size), DigestOf(1), entry.scope);
    ASSERT_FALSE(back.has_value()) << size;
    EXPECT_EQ(back.error(), EnvelopeFault::kTruncated) << size;
  }
  EXPECT_EQ(DecodeEnvelope(whole + "x", DigestOf(1), entry.scope).error(), EnvelopeFault::kTruncated);
}

TEST(CacheEnvelopeFaults, R_06_EveryBitOfEveryByte) {
  const Entry entry = Sample();
  const std::string whole = Whole(DigestOf(1), entry);
  for (std::size_t i = 0; i < whole.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string flipped = whole;
      flipped[i] = static_cast<char>(flipped[i] ^ (1 << bit));
      EXPECT_FALSE(DecodeEnvelope(flipped, DigestOf(1), entry.scope).has_value()) << "byte " << i << " bit " << bit;
    }
  }
}

struct Wrong {
  const char* name;
  std::string (*bytes)(const std::string& whole);
  EnvelopeFault fault;
};

std::string With(std::string whole, std::size_t at, char value) {
  whole[at] = value;
  return Resealed(whole);
}

class CacheEnvelopeFaults : public testing::TestWithParam<Wrong> {};

// What is whole, but not this entry. Positions are those of envelope.hpp.
TEST_P(CacheEnvelopeFaults, Refused) {
  const Entry entry = Sample();
  const auto back = DecodeEnvelope(GetParam().bytes(Whole(DigestOf(1), entry)), DigestOf(1), entry.scope);
  ASSERT_FALSE(back.has_value());
  EXPECT_EQ(back.error(), GetParam().fault) << EnvelopeFaultName(back.error());
}
INSTANTIATE_TEST_SUITE_P(
    All, CacheEnvelopeFaults,
    testing::Values(
        Wrong{"R_06_OtherKey", [](const std::string&) { return Whole(DigestOf(2), Sample()); },
              EnvelopeFault::kOtherKey},
        Wrong{"R_06_KeyAlikeButItsLastByte", [](const std::string& whole) { return With(whole, 39, 'x'); },
              EnvelopeFault::kOtherKey},
        Wrong{"R_06_OtherTenant",
              [](const std::string&) {
                Entry other = Sample();
                ++other.scope.tenant;
                return Whole(DigestOf(1), other);
              },
              EnvelopeFault::kOtherScope},
        Wrong{"R_06_OtherModel",
              [](const std::string&) {
                Entry other = Sample();
                ++other.scope.model;
                return Whole(DigestOf(1), other);
              },
              EnvelopeFault::kOtherScope},
        Wrong{"R_06_OldVersion", [](const std::string& whole) { return With(whole, 4, 1); },
              EnvelopeFault::kOtherVersion},
        Wrong{"R_06_NewVersion", [](const std::string& whole) { return With(whole, 4, 3); },
              EnvelopeFault::kOtherVersion},
        Wrong{"R_06_NoSuchForm", [](const std::string& whole) { return With(whole, 6, 2); }, EnvelopeFault::kField},
        Wrong{"R_06_NoSuchFamily", [](const std::string& whole) { return With(whole, 7, 10); }, EnvelopeFault::kField},
        Wrong{"R_06_SomethingElse", [](const std::string&) { return std::string(500, '{'); }, EnvelopeFault::kNotOurs},
        Wrong{"R_06_OtherBytesOfTheSameSize",
              [](const std::string& whole) {
                return whole.substr(0, kEnvelopeHeaderBytes) + std::string(whole.size() - kEnvelopeHeaderBytes, ' ');
              },
              EnvelopeFault::kChecksum}),
    [](const auto& each) { return std::string(each.param.name); });

}  // namespace
}  // namespace penstock::cache
