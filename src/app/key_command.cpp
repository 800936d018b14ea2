#include "app/key_command.hpp"

#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <string>

#include "penstock/base/digest.hpp"

namespace penstock::app {
namespace {

constexpr std::string_view kPrefix = "psk-";  // tells a leaked key from other secrets
constexpr std::size_t kKeyBytesMax = 4096;

/// One line, without its end as DOS writes it either, as the `file:PATH` of the configuration is read.
std::string ReadLine() {
  std::string line;
  for (int c = 0; line.size() <= kKeyBytesMax + 1 && (c = std::getchar()) != EOF && c != '\n';)
    line += static_cast<char>(c);
  if (line.ends_with('\r')) line.pop_back();
  return line;
}

/// What a client cannot send in a header field is nobody's key.
bool IsKey(const std::string& line) {
  return !line.empty() && line.size() <= kKeyBytesMax &&
         std::all_of(line.begin(), line.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

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
  const std::string key = ReadLine();
  if (!IsKey(key)) {
    std::fputs("penstock: key hash reads one key of 1 to 4096 visible ASCII characters from its standard input\n",
               stderr);
    return 1;
  }
  std::printf("%s\n", HexString(Sha256::Of(key)).c_str());
  return 0;
}

}  // namespace penstock::app
