#include "http/h1_scan.hpp"
#include "http/h1_verdict.hpp"
#include "penstock/http/h1_reading.hpp"

namespace penstock::http {
namespace {

/// 1*DIGIT, leading zeros allowed; false for anything else and for what does not fit 64 bits.
bool ParseLength(std::string_view text, std::uint64_t& length) noexcept {
  if (text.empty()) return false;
  std::uint64_t value = 0;
  for (const char c : text) {
    if (!scan::IsDigit(c)) return false;
    if (__builtin_mul_overflow(value, 10u, &value) ||
        __builtin_add_overflow(value, static_cast<unsigned>(c - '0'), &value)) {
      return false;
    }
  }
  length = value;
  return true;
}

/// "chunked" alone is what we take. A list of other plain codings is unknown; whatever a lenient parser may
/// read as chunked though it is not written so (empty elements, parameters, chunked twice) is malformed.
H1Facts::Coding ParseCoding(std::string_view value) noexcept {
  using Coding = H1Facts::Coding;
  if (scan::EqualsIgnoreCase(value, "chunked")) return Coding::kChunked;
  bool other = false;
  for (;;) {
    const std::size_t comma = value.find(',');
    const std::string_view coding = scan::TrimBlanks(value.substr(0, comma));
    if (!scan::IsToken(coding)) return Coding::kMalformed;
    other |= !scan::EqualsIgnoreCase(coding, "chunked");
    if (comma == std::string_view::npos) return other ? Coding::kUnknown : Coding::kMalformed;
    value.remove_prefix(comma + 1);
  }
}

void ParseConnection(std::string_view value, H1Facts& facts) noexcept {
  for (;;) {
    const std::size_t comma = value.find(',');
    const std::string_view option = scan::TrimBlanks(value.substr(0, comma));
    facts.close |= scan::EqualsIgnoreCase(option, "close");
    facts.keep_alive |= scan::EqualsIgnoreCase(option, "keep-alive");
    if (comma == std::string_view::npos) return;
    value.remove_prefix(comma + 1);
  }
}

}  // namespace

const H1Verdict* H1Facts::Note(HeaderId id, std::string_view value) noexcept {
  switch (id) {
    case HeaderId::kContentLength:
      if (has_length || !ParseLength(value, length)) return &verdict::kContentLength;
      has_length = true;
      return nullptr;
    case HeaderId::kTransferEncoding:
      if (coding != Coding::kNone) return &verdict::kTransferEncoding;
      coding = ParseCoding(value);
      return nullptr;
    case HeaderId::kHost:
      if (has_host || !IsAuthority(value)) return &verdict::kHost;
      has_host = true;
      return nullptr;
    case HeaderId::kConnection: ParseConnection(value, *this); return nullptr;
    case HeaderId::kExpect:
      if (!scan::EqualsIgnoreCase(value, "100-continue")) {
        expectation = Expectation::kUnknown;
      } else if (expectation == Expectation::kNone) {
        expectation = Expectation::kContinue;
      }
      return nullptr;
    default: return nullptr;
  }
}

}  // namespace penstock::http
