#include "config/text_rules.hpp"

#include <algorithm>
#include <string>

#include "penstock/base/address.hpp"

namespace penstock::config {
namespace {

bool IsNameByte(char c) { return c > ' ' && c < 0x7f && c != '"' && c != '\\'; }

bool IsName(std::string_view text) { return std::all_of(text.begin(), text.end(), IsNameByte); }

bool IsUpstreamName(std::string_view text) {
  return text.front() != ' ' && text.back() != ' ' &&
         std::all_of(text.begin(), text.end(), [](char c) { return c == ' ' || IsNameByte(c); });
}

bool IsRequestTarget(std::string_view text) {
  return text.front() == '/' && std::all_of(text.begin(), text.end(), [](char c) { return IsNameByte(c) && c != '#'; });
}

// RFC 9110 section 5.6.2
bool IsTokenByte(char c) {
  const bool alphanumeric = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  return alphanumeric || std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

// Credentials, cookies, what belongs to one hop (RFC 9110 section 7.6.1), and what the gateway writes itself.
constexpr std::string_view kNeverForwarded[] = {"authorization",
                                                "x-api-key",
                                                "api-key",
                                                "cookie",
                                                "set-cookie",
                                                "proxy-authorization",
                                                "proxy-authenticate",
                                                "connection",
                                                "keep-alive",
                                                "proxy-connection",
                                                "te",
                                                "trailer",
                                                "transfer-encoding",
                                                "upgrade",
                                                "http2-settings",
                                                "host",
                                                "content-length",
                                                "expect",
                                                "accept-encoding",
                                                "x-request-id"};

bool IsForwardableHeader(std::string_view text) {
  std::string name(text);
  std::transform(name.begin(), name.end(), name.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return IsToken(name) && !name.starts_with("x-penstock-") &&
         std::find(std::begin(kNeverForwarded), std::end(kNeverForwarded), name) == std::end(kNeverForwarded);
}

}  // namespace

// cppcheck-suppress invalidLifetime
bool IsToken(std::string_view text) { return !text.empty() && std::all_of(text.begin(), text.end(), IsTokenByte); }

const TextRule kNameRule = {IsName, "must be visible ASCII without blanks, \" and \\", "^[!#-\\[\\]-~]+$"};
const TextRule kUpstreamNameRule = {IsUpstreamName,
                                    "must be printable ASCII without \" and \\, and no blank at its ends",
                                    "^[!#-\\[\\]-~]([ !#-\\[\\]-~]*[!#-\\[\\]-~])?$"};
const TextRule kHostNameRule = {IsHostName, "must be a host name", "^[0-9A-Za-z_-]+(\\.[0-9A-Za-z_-]+)*$"};
const TextRule kRequestTargetRule = {IsRequestTarget, "must be a path that begins with /", "^/[!$-\\[\\]-~]*$"};
const TextRule kForwardableHeaderRule = {
    IsForwardableHeader,
    "must be the name of a header that may go upstream (no credentials, cookies, hop-by-hop or x-penstock-*)",
    "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"};

}  // namespace penstock::config
