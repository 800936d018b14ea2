#include "net/tls_pem.hpp"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace penstock::net {
namespace {

constexpr std::size_t kPemBytesMax = 4 << 20;  // a whole system store is about 250 KiB

/// Empty when `text` holds the file.
TlsError ReadFile(const std::string& path, std::string& text) {
  // O_NONBLOCK: to open a pipe to which nobody writes would take for ever, at a reload too.
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return path + ": " + std::strerror(errno);
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(::fdopen(fd, "rb"), &std::fclose);
  if (file == nullptr) return path + ": " + std::strerror(errno);
  char buffer[16 * 1024];
  while (const std::size_t n = std::fread(buffer, 1, sizeof buffer, file.get())) {
    text.append(buffer, n);
    if (text.size() > kPemBytesMax) return path + ": larger than 4 MiB";
  }
  return std::ferror(file.get()) != 0 ? path + ": " + std::strerror(errno) : "";
}

struct PassphraseAsked {
  bool asked = false;
};

int RefusePassphrase(char*, int, int, void* asked) {
  static_cast<PassphraseAsked*>(asked)->asked = true;
  return -1;
}

}  // namespace

const char* TakeOpenSslReason() noexcept {
  const char* reason = ERR_reason_error_string(ERR_peek_error());
  ERR_clear_error();
  return reason == nullptr ? "no reason given" : reason;
}

Result<std::vector<OpenSslPtr<X509>>, TlsError> ReadCertificates(const std::string& path) {
  std::string text;
  if (TlsError error = ReadFile(path, text); !error.empty()) return error;
  const OpenSslPtr<BIO> bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  std::vector<OpenSslPtr<X509>> certificates;
  while (X509* certificate = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr))
    certificates.emplace_back(certificate);
  // The loop ends with "no start line", the normal end of the file, or with what is wrong with the next block.
  const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  const std::string reason = TakeOpenSslReason();
  if (!at_end) return TlsError(path + ": bad PEM certificate: " + reason);
  if (certificates.empty()) return TlsError(path + ": holds no PEM certificate");
  return certificates;
}

Result<OpenSslPtr<EVP_PKEY>, TlsError> ReadPrivateKey(const std::string& path) {
  std::string text;
  if (TlsError error = ReadFile(path, text); !error.empty()) return error;
  const OpenSslPtr<BIO> bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  PassphraseAsked passphrase;
  OpenSslPtr<EVP_PKEY> key(PEM_read_bio_PrivateKey(bio.get(), nullptr, &RefusePassphrase, &passphrase));
  ERR_clear_error();
  if (passphrase.asked) return TlsError(path + ": the key is encrypted; give one without a passphrase");
  if (key == nullptr) return TlsError(path + ": holds no PEM private key");
  return key;
}

}  // namespace penstock::net
