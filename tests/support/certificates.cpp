#include "support/certificates.hpp"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <cstdlib>

#include "penstock/base/assert.hpp"

namespace penstock::test {
namespace {

constexpr long kSecondsPerDay = 86'400;

EVP_PKEY* NewKey() {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  PENSTOCK_ASSERT(key != nullptr);
  return key;
}

template <class Writer>
std::string Pem(Writer write) {
  BIO* bio = BIO_new(BIO_s_mem());
  write(bio);
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(bio, &bytes);
  std::string text(bytes, static_cast<std::size_t>(size));
  BIO_free(bio);
  return text;
}

std::string CertificatePem(X509* certificate) {
  return Pem([certificate](BIO* bio) { PEM_write_bio_X509(bio, certificate); });
}

std::string KeyPem(EVP_PKEY* key) {
  return Pem([key](BIO* bio) { PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr); });
}

void AddExtension(X509* certificate, int id, const char* value) {
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, id, value);
  PENSTOCK_ASSERT(extension != nullptr);
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

void AddNames(X509* certificate, const CertificateWish& wish) {
  GENERAL_NAMES* names = GENERAL_NAMES_new();
  for (const std::string& dns : wish.dns) {
    GENERAL_NAME* name = GENERAL_NAME_new();
    ASN1_IA5STRING* text = ASN1_IA5STRING_new();
    ASN1_STRING_set(text, dns.data(), static_cast<int>(dns.size()));
    GENERAL_NAME_set0_value(name, GEN_DNS, text);
    sk_GENERAL_NAME_push(names, name);
  }
  for (const std::string& ip : wish.ips) {
    GENERAL_NAME* name = GENERAL_NAME_new();
    GENERAL_NAME_set0_value(name, GEN_IPADD, a2i_IPADDRESS(ip.c_str()));
    sk_GENERAL_NAME_push(names, name);
  }
  if (sk_GENERAL_NAME_num(names) > 0) X509_add1_ext_i2d(certificate, NID_subject_alt_name, names, 0, 0);
  GENERAL_NAMES_free(names);
}

X509* NewCertificate(EVP_PKEY* key, const std::string& common_name, long serial, int from_days, int until_days) {
  X509* certificate = X509_new();
  X509_set_version(certificate, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial);
  X509_gmtime_adj(X509_getm_notBefore(certificate), from_days * kSecondsPerDay);
  X509_gmtime_adj(X509_getm_notAfter(certificate), until_days * kSecondsPerDay);
  X509_set_pubkey(certificate, key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(common_name.c_str()), -1, -1, 0);
  return certificate;
}

}  // namespace

CertificateAuthority::CertificateAuthority(const TemporaryFolder& folder, std::string name)
    : folder_(folder), name_(std::move(name)), key_(NewKey()), certificate_(NewCertificate(key_, name_, 1, -10, 365)) {
  X509_set_issuer_name(certificate_, X509_get_subject_name(certificate_));
  AddExtension(certificate_, NID_basic_constraints, "critical,CA:TRUE");
  AddExtension(certificate_, NID_key_usage, "critical,keyCertSign,cRLSign");
  X509_sign(certificate_, key_, EVP_sha256());
  file_ = folder_.Write(name_ + ".pem", CertificatePem(certificate_));
}

CertificateAuthority::~CertificateAuthority() {
  X509_free(certificate_);
  EVP_PKEY_free(key_);
}

CertificateFiles CertificateAuthority::Issue(const std::string& file_name, const CertificateWish& wish) {
  EVP_PKEY* key = NewKey();
  X509* certificate = NewCertificate(key, wish.common_name, ++serial_, wish.valid_from_days, wish.valid_until_days);
  X509_set_issuer_name(certificate, X509_get_subject_name(certificate_));
  AddExtension(certificate, NID_ext_key_usage, wish.client ? "clientAuth" : "serverAuth");
  AddNames(certificate, wish);
  X509_sign(certificate, key_, EVP_sha256());
  CertificateFiles files{folder_.Write(file_name + ".pem", CertificatePem(certificate)),
                         folder_.Write(file_name + ".key", KeyPem(key))};
  X509_free(certificate);
  EVP_PKEY_free(key);
  return files;
}

std::string EncryptedKeyPem() {
  EVP_PKEY* key = NewKey();
  std::string text = Pem([key](BIO* bio) {
    std::string passphrase = "secret";
    PEM_write_bio_PrivateKey(bio, key, EVP_aes_128_cbc(), reinterpret_cast<unsigned char*>(passphrase.data()),
                             static_cast<int>(passphrase.size()), nullptr, nullptr);
  });
  EVP_PKEY_free(key);
  return text;
}

}  // namespace penstock::test
