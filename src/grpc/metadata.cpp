#include "penstock/grpc/metadata.hpp"

#include <array>
#include <charconv>
#include <cstdint>

#include "grpc/base64.hpp"

namespace penstock::grpc {
namespace {

constexpr std::size_t kTimeoutDigitsMax = 8;
char Lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

/// `lower` has no letters in upper case.
bool StartsWithLower(std::string_view text, std::string_view lower) noexcept {
  if (text.size() < lower.size()) return false;
  for (std::size_t i = 0; i < lower.size(); ++i) {
    if (Lower(text[i]) != lower[i]) return false;
  }
  return true;
}

std::string_view Trim(std::string_view text) noexcept {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

std::int64_t UnitNanoseconds(char unit) noexcept {
  switch (unit) {
    case 'H': return 3'600'000'000'000;
    case 'M': return 60'000'000'000;
    case 'S': return 1'000'000'000;
    case 'm': return 1'000'000;
    case 'u': return 1'000;
    case 'n': return 1;
    default: return 0;
  }
}

}  // namespace

ContentType ContentTypeOf(std::string_view value) noexcept {
  const std::string_view type = Trim(value.substr(0, value.find(';')));
  constexpr std::string_view kPrefix = "application/grpc";
  if (!StartsWithLower(type, kPrefix)) return ContentType::kNone;
  const std::string_view rest = type.substr(kPrefix.size());
  if (rest.empty()) return ContentType::kProto;
  if (rest.front() != '+') return ContentType::kNone;  // application/grpc-web
  constexpr std::string_view kProto = "+proto";
  return rest.size() == kProto.size() && StartsWithLower(rest, kProto) ? ContentType::kProto : ContentType::kOther;
}

std::optional<Duration> ParseTimeout(std::string_view value) noexcept {
  if (value.size() < 2 || value.size() > kTimeoutDigitsMax + 1) return std::nullopt;
  const std::int64_t unit = UnitNanoseconds(value.back());
  value.remove_suffix(1);
  std::uint32_t count = 0;  // unsigned: no sign is taken
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), count);
  if (unit == 0 || error != std::errc{} || end != value.data() + value.size()) return std::nullopt;
  std::int64_t nanoseconds = 0;
  if (__builtin_mul_overflow(std::int64_t{count}, unit, &nanoseconds)) return Duration::max();
  return Duration(nanoseconds);
}

std::optional<std::string> DecodeBinary(std::string_view value) {
  if (value.ends_with('=')) {
    if (value.size() % 4 != 0) return std::nullopt;
    value.remove_suffix(value[value.size() - 2] == '=' ? 2 : 1);
  }
  std::string bytes(value.size() * 3 / 4, '\0');
  const char* const end = ReadBase64(value, bytes.data());
  if (end == nullptr) return std::nullopt;
  bytes.resize(static_cast<std::size_t>(end - bytes.data()));
  return bytes;
}

void AppendBinary(std::string& out, std::string_view bytes) {
  const std::size_t before = out.size();
  out.resize(before + Base64Size(bytes.size()));
  WriteBase64(bytes, out.data() + before);
}

bool IsReserved(std::string_view name) noexcept {
  return name.starts_with("grpc-") || name.starts_with(':') || name == "te" || name == "content-type" ||
         name == "user-agent";
}

std::optional<Coding> ParseCoding(std::string_view value) noexcept {
  if (value.empty() || value == "identity") return Coding::kIdentity;
  if (value == "gzip") return Coding::kGzip;
  return std::nullopt;
}

bool Accepts(std::string_view list, Coding coding) noexcept {
  if (coding == Coding::kIdentity) return true;
  while (!list.empty()) {
    const std::size_t comma = list.find(',');
    if (Trim(list.substr(0, comma)) == "gzip") return true;
    if (comma == std::string_view::npos) break;
    list.remove_prefix(comma + 1);
  }
  return false;
}

void AddStatus(http::Head& trailers, const Status& status) {
  std::array<char, 4> code;
  const auto end = std::to_chars(code.data(), code.data() + code.size(), static_cast<unsigned>(status.code)).ptr;
  trailers.Add("grpc-status", {code.data(), static_cast<std::size_t>(end - code.data())});
  if (!status.message.empty()) {
    std::string message;
    AppendPercentEncoded(message, CutMessage(status.message));
    trailers.Add("grpc-message", message);
  }
  if (const std::string details = StatusDetails(status); !details.empty()) {
    std::string text;
    AppendBinary(text, details);
    trailers.Add("grpc-status-details-bin", text);
  }
}

}  // namespace penstock::grpc
