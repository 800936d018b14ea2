#include "http/h2_head_builder.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "http/field_value.hpp"

namespace penstock::http {
namespace {

constexpr std::size_t kFieldOverhead = 32;  // RFC 9113 6.5.2

char Lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

bool EqualIgnoringCase(std::string_view a, std::string_view b) noexcept {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return Lower(x) == Lower(y); });
}

/// Within the brackets of an IPv6 address (RFC 3986 3.2.2; zones are not for the wire).
bool IsAddressCharacter(char c) noexcept {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || c == ':' || c == '.';
}

bool ValidPort(std::string_view text) noexcept {
  unsigned port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc{} && end == text.data() + text.size() && port >= 1 && port <= 65535;
}

}  // namespace

bool ValidAuthority(std::string_view authority) noexcept {
  std::size_t at = 0;
  if (authority.starts_with('[')) {
    do {
      if (++at == authority.size()) return false;
    } while (IsAddressCharacter(authority[at]));
    if (authority[at] != ']' || at == 1) return false;
    ++at;
  } else {
    while (at < authority.size() && authority[at] != ':') {
      if (authority[at] == '@' || authority[at] == ',') return false;
      ++at;
    }
    if (at == 0) return false;
  }
  return at == authority.size() || (authority[at] == ':' && ValidPort(authority.substr(at + 1)));
}

void H2HeadBuilder::Begin(Kind kind, HeadPool& heads) {
  kind_ = kind;
  bytes_ = 0;
  count_ = 0;
  reason_ = nullptr;
  head_.reset();
  if (kind == Kind::kIgnored) return;
  head_ = heads.Take();
  head_->version = Version::kHttp2;
}

H2HeadBuilder::Step H2HeadBuilder::Add(std::string_view name, std::string_view value) {
  const bool pseudo = name.starts_with(':');
  bytes_ += name.size() + value.size() + kFieldOverhead;
  count_ += pseudo ? 0 : 1;
  const bool over = bytes_ > header_bytes_ || count_ > header_count_;
  // A backend's head and trailers are refused at the limit; a request gets an answer up to twice the limit.
  if (over && (kind_ != Kind::kRequest || bytes_ > 2 * header_bytes_)) return Step::kTooLarge;
  if (kind_ == Kind::kIgnored) return Step::kContinue;
  if (pseudo) {
    AddPseudo(name, value);
  } else if (over) {
    Reject(ErrorCode::kHeadersTooLarge, "headers_too_large", "header fields exceed the limit");
  } else if (kind_ == Kind::kRequest) {
    AddRequestField(name, value);
  } else {
    head_->Add(name, value);
  }
  return Step::kContinue;
}

void H2HeadBuilder::AddPseudo(std::string_view name, std::string_view value) {
  switch (name.size()) {
    case 5:  // :path
      if (value.size() > uri_) {
        Reject(ErrorCode::kUriTooLong, "uri_too_long", "path and query exceed the limit");
        value = value.substr(0, uri_);
      }
      head_->set_target(value);
      return;
    case 7:
      if (name == ":method") {
        head_->method = LookupMethod(value);
        head_->set_method_text(value);
        if (head_->method == Method::kConnect || head_->method == Method::kTrace) {
          Reject(ErrorCode::kMethodNotAllowed, "method_refused", "CONNECT and TRACE are not served");
        }
      } else if (name == ":scheme") {
        if (!EqualIgnoringCase(value, "https") && !EqualIgnoringCase(value, "http")) {
          Reject(ErrorCode::kBadRequest, "bad_scheme", "scheme is neither http nor https");
        }
        head_->set_scheme(value);
      } else {  // :status, three digits by nghttp2's word
        unsigned status = 0;
        std::from_chars(value.data(), value.data() + value.size(), status);
        head_->status = static_cast<std::uint16_t>(status);
      }
      return;
    default:  // :authority
      if (!ValidAuthority(value)) Reject(ErrorCode::kBadRequest, "bad_authority", "authority is not a host and port");
      head_->set_authority(value);
  }
}

void H2HeadBuilder::AddRequestField(std::string_view name, std::string_view value) {
  // Backends behind CGI-like gateways read "_" as "-": a field with it could pass for one that we checked.
  if (std::memchr(name.data(), '_', name.size()) != nullptr) return;
  const HeaderId id = LookupHeader(name);
  if (id == HeaderId::kExpect) return AddExpect(name, value);
  if (id != HeaderId::kHost) {
    if (HasEightBit(value) && !IsCleanUtf8(value) && !IsCredential(id)) return;
    head_->Add(name, value, id);
    return;
  }
  if (head_->authority().empty()) {
    if (!ValidAuthority(value)) Reject(ErrorCode::kBadRequest, "bad_authority", "host is not a host and port");
    head_->set_authority(value);
  } else if (!EqualIgnoringCase(head_->authority(), value)) {
    Reject(ErrorCode::kBadRequest, "authority_mismatch", "authority and host differ");
  }
}

void H2HeadBuilder::AddExpect(std::string_view name, std::string_view value) {
  constexpr std::string_view kContinue = "100-continue";
  if (!EqualIgnoringCase(value, kContinue)) {
    Reject(ErrorCode::kExpectationFailed, "expectation", "expectation not supported");
  }
  head_->Add(name, kContinue, HeaderId::kExpect);  // readers need not fold its case
}

void H2HeadBuilder::Reject(ErrorCode code, const char* reason, const char* context) noexcept {
  if (reason_ != nullptr) return;
  reason_ = reason;
  error_ = DownstreamError(code, context);
}

HeadPtr H2HeadBuilder::Finish(bool end_stream) {
  if (head_ == nullptr) return nullptr;
  const std::string_view length = head_->Find(HeaderId::kContentLength);
  if (length.data() != nullptr) {
    std::uint64_t value = 0;
    std::from_chars(length.data(), length.data() + length.size(), value);  // digits, by nghttp2's word
    head_->content_length = value;
  }
  head_->framing = end_stream ? Framing::kNone : Framing::kStream;
  return std::move(head_);
}

}  // namespace penstock::http
