#include "penstock/base/digest.hpp"

#include <gtest/gtest.h>

#include <string>

namespace penstock {
namespace {

/// FIPS 180-4's examples, as NIST publishes them.
TEST(Sha256, KnownAnswers) {
  const struct {
    std::string text;
    const char* hex;
  } rows[] = {
      {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
      {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
      {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
       "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
      {std::string(1'000'000, 'a'), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
  };
  for (const auto& row : rows) EXPECT_EQ(HexString(Sha256::Of(row.text)), row.hex) << row.text.substr(0, 60);
}

TEST(Sha256, PiecesMakeNoDifference) {
  std::string text;
  for (int i = 0; i < 300; ++i) text += static_cast<char>(i);
  const Digest whole = Sha256::Of(text);
  Sha256 sha;
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    sha.Add(std::string_view(text).substr(0, cut));
    sha.Add({});
    sha.Add(std::string_view(text).substr(cut));
    ASSERT_EQ(sha.Finish(), whole) << cut;
  }
}

TEST(Sha256, ACopyGoesOnByItself) {
  Sha256 first;
  first.Add("a");
  Sha256 second = first;
  first.Add("bc");
  EXPECT_EQ(second.Finish(), Sha256::Of("a"));
  EXPECT_EQ(first.Finish(), Sha256::Of("abc"));
}

TEST(DigestHex, ReadsWhatItWrites) {
  const Digest digest = Sha256::Of("penstock");
  std::string hex = HexString(digest);
  EXPECT_EQ(ParseDigest(hex), digest);
  for (char& c : hex) c = c >= 'a' ? static_cast<char>(c - 'a' + 'A') : c;
  EXPECT_EQ(ParseDigest(hex), digest);
}

TEST(DigestHex, RefusesEverythingElse) {
  const std::string hex = HexString(Sha256::Of("penstock"));
  EXPECT_FALSE(ParseDigest(""));
  EXPECT_FALSE(ParseDigest(hex.substr(1)));
  EXPECT_FALSE(ParseDigest(hex + "0"));
  for (const char wrong : {'g', 'G', ' ', '/', ':', '@', '`', '\0', '\x10', '\x19', '-'}) {
    for (const std::size_t at : {std::size_t{0}, std::size_t{1}, std::size_t{63}}) {
      std::string text = hex;
      text[at] = wrong;
      EXPECT_FALSE(ParseDigest(text)) << at << " " << int{wrong};
    }
  }
}

}  // namespace
}  // namespace penstock
