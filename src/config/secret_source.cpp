#include "config/secret_source.hpp"

#include <algorithm>

#include "config/read_file.hpp"

namespace penstock::config {
namespace {

constexpr std::size_t kSecretBytesMax = 4096;  // a header field of this size still passes every server

bool IsEnvironmentName(std::string_view name) {
  const auto letter = [](char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_'; };
  return !name.empty() && name.size() <= 256 && letter(name[0]) &&
         std::all_of(name.begin(), name.end(), [&](char c) { return letter(c) || (c >= '0' && c <= '9'); });
}

std::string Expand(std::string_view text, const ReadContext& context, std::string& expanded) {
  while (!text.empty()) {
    const std::size_t at = text.find("${");
    expanded.append(text.substr(0, at));
    if (at == std::string_view::npos) return {};
    const bool escaped = at > 0 && text[at - 1] == '$';
    text.remove_prefix(at + 2);
    if (escaped) {
      expanded.push_back('{');
      continue;
    }
    const std::size_t close = text.find('}');
    if (close == std::string_view::npos) return "has a ${ without its }";
    const std::string name(text.substr(0, close));
    if (!IsEnvironmentName(name)) return "has a ${...} that is no environment variable's name";
    const char* value = context.environment(name.c_str());
    if (value == nullptr) return "needs the environment variable " + name + ", which is not set";
    if (*value == '\0') return "needs the environment variable " + name + ", which is empty";
    expanded.append(value);
    text.remove_prefix(close + 1);
  }
  return {};
}

}  // namespace

std::string ReadSecret(std::string_view text, const ReadContext& context, Secret& value) {
  if (text.empty()) {
    value = {};
    return {};
  }
  const bool from_file = text.starts_with("file:");
  if (from_file) text.remove_prefix(5);
  std::string secret;
  if (std::string problem = Expand(text, context, secret); !problem.empty()) return problem;
  if (from_file) {
    FileText file;
    if (std::string problem = ReadFile(secret, kSecretFileBytesMax, file); !problem.empty())
      return "names a file that " + problem;
    if ((file.mode & 037) != 0)
      context.warnings.push_back(
          "the file it names can be used by more than its owner and reading group (mode wider than 0640)");
    secret = std::move(file.text);
    if (secret.ends_with('\n')) secret.pop_back();
    if (secret.ends_with('\r')) secret.pop_back();
  }
  if (secret.empty()) return "resolves to nothing";
  if (secret.size() > kSecretBytesMax) return "is longer than 4096 bytes";
  const bool sendable = std::all_of(secret.begin(), secret.end(), [](char c) { return c > ' ' && c < 0x7f; });
  if (!sendable) return "holds a blank or a byte that is not visible ASCII";
  value = Secret(std::move(secret));
  return {};
}

}  // namespace penstock::config
