#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <iterator>

#include "penstock/net/tls.hpp"
#include "support/certificates.hpp"

namespace penstock::net {
namespace {

std::string Read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

struct TlsContexts : testing::Test {
  std::string ServerError(const TlsServerOptions& options) {
    auto made = TlsServerContext::Make(options);
    return made.has_value() ? "" : made.error();
  }
  test::TemporaryFolder folder;
  test::CertificateAuthority authority{folder, "authority"};
  test::CertificateFiles good = authority.Issue("good", {.dns = {"gateway.test"}});
};

TEST_F(TlsContexts, AGoodPairLoadsWithoutAWarning) {
  auto made = TlsServerContext::Make({good.certificate, good.private_key, authority.file()});
  ASSERT_TRUE(made.has_value());
  EXPECT_EQ((*made)->warning(), "");
}

TEST_F(TlsContexts, ErrorsAreOneLineAndNameTheFile) {
  const auto other = authority.Issue("other", {.dns = {"other.test"}});
  const std::string text = folder.Write("text.pem", "not PEM at all\n");
  const std::string missing = folder.Path("missing.pem");
  const std::string encrypted = folder.Write("encrypted.key", test::EncryptedKeyPem());
  std::string cut = Read(good.certificate);
  cut.resize(cut.size() / 2);
  const std::string truncated = folder.Write("truncated.pem", cut);
  const std::string pipe = folder.Path("pipe");  // that nobody writes to
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  const struct {
    TlsServerOptions options;
    std::string error;
  } rows[] = {
      {{missing, good.private_key, ""}, missing + ": No such file or directory"},
      {{good.certificate, missing, ""}, missing + ": No such file or directory"},
      {{good.certificate, good.private_key, missing}, missing + ": No such file or directory"},
      {{text, good.private_key, ""}, text + ": holds no PEM certificate"},
      {{good.private_key, good.private_key, ""}, good.private_key + ": holds no PEM certificate"},
      {{pipe, good.private_key, ""}, pipe + ": holds no PEM certificate"},
      {{good.certificate, text, ""}, text + ": holds no PEM private key"},
      {{good.certificate, good.private_key, text}, text + ": holds no PEM certificate"},
      {{good.certificate, encrypted, ""}, encrypted + ": the key is encrypted; give one without a passphrase"},
      {{good.certificate, other.private_key, ""},
       other.private_key + ": does not belong to the certificate in " + good.certificate},
      {{folder.Path(""), good.private_key, ""}, folder.Path("") + ": Is a directory"},
  };
  for (const auto& row : rows) EXPECT_EQ(ServerError(row.options), row.error);
  const std::string damaged = ServerError({truncated, good.private_key, ""});
  EXPECT_TRUE(damaged.starts_with(truncated + ": bad PEM certificate: ")) << damaged;
}

TEST_F(TlsContexts, AnExpiredOrFutureCertificateIsAWarning) {
  const auto expired =
      authority.Issue("expired", {.dns = {"gateway.test"}, .valid_from_days = -9, .valid_until_days = -1});
  const auto future = authority.Issue("future", {.dns = {"gateway.test"}, .valid_from_days = 1});
  auto old = TlsServerContext::Make({expired.certificate, expired.private_key, ""});
  ASSERT_TRUE(old.has_value());
  EXPECT_EQ((*old)->warning(), expired.certificate + ": the certificate has expired");
  auto early = TlsServerContext::Make({future.certificate, future.private_key, ""});
  ASSERT_TRUE(early.has_value());
  EXPECT_EQ((*early)->warning(), future.certificate + ": the certificate is not valid yet");
}

TEST_F(TlsContexts, AClientNamesItsAuthorityFileWhenItIsNotThere) {
  auto made = TlsClientContext::Make({.ca = folder.Path("none.pem")});
  ASSERT_FALSE(made.has_value());
  EXPECT_EQ(made.error(), folder.Path("none.pem") + ": No such file or directory");
  EXPECT_TRUE(TlsClientContext::Make({}).has_value()) << "the system's store";
}

}  // namespace
}  // namespace penstock::net
