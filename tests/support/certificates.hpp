#pragma once

#include <string>
#include <vector>

#include "support/temporary_folder.hpp"

struct evp_pkey_st;
struct x509_st;

namespace penstock::test {

struct CertificateFiles {
  std::string certificate;
  std::string private_key;
};

/// What a certificate shall say.
struct CertificateWish {
  std::vector<std::string> dns{};  ///< subject alternative names, byte for byte: a NUL stays in
  std::vector<std::string> ips{};
  std::string common_name = "penstock test";
  int valid_from_days = -1;
  int valid_until_days = 30;
  bool client = false;  ///< extended key usage clientAuth instead of serverAuth
};

/// A certificate authority made on the spot (P-256), whose files live in `folder`.
class CertificateAuthority {
 public:
  CertificateAuthority(const TemporaryFolder& folder, std::string name);
  ~CertificateAuthority();
  CertificateAuthority(const CertificateAuthority&) = delete;
  CertificateAuthority& operator=(const CertificateAuthority&) = delete;

  const std::string& file() const noexcept { return file_; }
  CertificateFiles Issue(const std::string& file_name, const CertificateWish& wish);

 private:
  const TemporaryFolder& folder_;
  std::string name_;
  std::string file_;
  evp_pkey_st* key_;
  x509_st* certificate_;
  long serial_ = 1;
};

/// The PEM of a private key encrypted with a passphrase.
std::string EncryptedKeyPem();

}  // namespace penstock::test
