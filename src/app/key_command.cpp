#include "app/key_command.hpp"

#include <sys/random.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <iostream>
#include <string>

#include "penstock/base/digest.hpp"

namespace penstock::app {
namespace {

constexpr std::string_view kPrefix = "psk-";  // tells a leaked key from other secrets
constexpr std::size_t kKeyBytesMax = 4096;

}  // namespace

int NewKey() {
  Digest random;  // 32 bytes, and it spells itself
  if (getrandom(random.bytes.data(), random.bytes.size(), 0) != static_cast<ssize_t>(random.bytes.size())) {
    std::perror("penstock: no random bytes");
    return 1;
  }
  const std::string key = std::string(kPrefix) + HexString(random);
  std::printf("key: %s\n# for auth.keys; the key itself is nowhere but above\n- {name: NAME, key_sha256: \"%s\"}\n",
              key.c_str(), HexString(Sha256::Of(key)).c_str());
  return 0;
}

int HashKey() {
  if (isatty(STDIN_FILENO) != 0) std::fputs("key: ", stderr);
  std::string key;
  if (!std::getline(std::cin, key) || key.empty() || key.size() > kKeyBytesMax) {
    std::fputs("penstock: key hash reads one key of 1 to 4096 bytes from its standard input\n", stderr);
    return 1;
  }
  std::printf("%s\n", HexString(Sha256::Of(key)).c_str());
  return 0;
}

}  // namespace penstock::app
