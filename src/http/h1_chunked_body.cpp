#include <algorithm>
#include <array>

#include "http/h1_head_reader.hpp"
#include "penstock/http/h1_server_codec.hpp"

namespace penstock::http {
namespace {

constexpr unsigned kSizeDigits = 13;  // 52 bits, as HAProxy: no sum of sizes below can overflow

constexpr auto kHex = [] {
  std::array<std::int8_t, 256> table{};
  table.fill(-1);
  for (int i = 0; i < 10; ++i) table['0' + i] = static_cast<std::int8_t>(i);
  for (int i = 0; i < 6; ++i) table['a' + i] = table['A' + i] = static_cast<std::int8_t>(10 + i);
  return table;
}();

/// RFC 9110 6.5.1: framing, routing, authentication, request control and content fields must not be trailers.
bool IsForbiddenTrailer(const H1HeadReader::Field& field) noexcept {
  switch (field.id) {
    case HeaderId::kAccept:
    case HeaderId::kAge:
    case HeaderId::kAuthorization:
    case HeaderId::kCacheControl:
    case HeaderId::kConnection:
    case HeaderId::kContentEncoding:
    case HeaderId::kContentLength:
    case HeaderId::kContentType:
    case HeaderId::kCookie:
    case HeaderId::kDate:
    case HeaderId::kExpect:
    case HeaderId::kForwarded:
    case HeaderId::kHost:
    case HeaderId::kKeepAlive:
    case HeaderId::kProxyConnection:
    case HeaderId::kRetryAfter:
    case HeaderId::kSetCookie:
    case HeaderId::kTe:
    case HeaderId::kTrailer:
    case HeaderId::kTransferEncoding:
    case HeaderId::kUpgrade:
    case HeaderId::kXApiKey:
    case HeaderId::kXForwardedFor: return true;
    default: break;
  }
  constexpr std::string_view kNames[] = {
      "content-range",       "expires", "location", "max-forwards", "pragma",          "proxy-authenticate",
      "proxy-authorization", "range",   "vary",     "warning",      "www-authenticate"};
  return std::find(std::begin(kNames), std::end(kNames), field.name) != std::end(kNames);
}

}  // namespace

const H1Verdict* H1ChunkedBody::SizeLineDone(std::uint64_t body_max) noexcept {
  if (size_ > body_max - total_) return &verdict::kBodyLength;  // total_ <= body_max: checked chunk by chunk
  total_ += size_;
  step_ = size_ == 0 ? Step::kTrailers : Step::kBytes;
  return nullptr;
}

/// One byte of "size *( ; name [= value] ) CRLF".
const H1Verdict* H1ChunkedBody::SizeByte(char c, const H1Limits& limits, std::uint64_t body_max) noexcept {
  if (step_ == Step::kSizeFirst || step_ == Step::kSize) {
    const int digit = kHex[static_cast<unsigned char>(c)];
    if (digit >= 0) {
      if (++digits_ > kSizeDigits) return &verdict::kChunkSize;
      size_ = size_ << 4 | static_cast<unsigned>(digit);
      step_ = Step::kSize;
      return nullptr;
    }
    if (step_ == Step::kSizeFirst || (c != ';' && c != '\r')) return &verdict::kChunkSize;
  }
  if (step_ == Step::kSizeLf) return c == '\n' ? SizeLineDone(body_max) : &verdict::kChunkSize;

  const bool mandatory = step_ == Step::kNameFirst || step_ == Step::kValueFirst;  // a token's first byte is due
  if (c == '\r' && !mandatory) {
    step_ = Step::kSizeLf;
    return nullptr;
  }
  if (++extension_ > limits.chunk_extension || ++extensions_ > limits.chunk_extensions)
    return &verdict::kChunkExtension;
  if (scan::IsToken(c) && step_ != Step::kSize) {
    if (mandatory) step_ = step_ == Step::kNameFirst ? Step::kName : Step::kValue;
    return nullptr;
  }
  if (c == ';' && !mandatory) {
    step_ = Step::kNameFirst;
    return nullptr;
  }
  if (c == '=' && step_ == Step::kName) {
    step_ = Step::kValueFirst;
    return nullptr;
  }
  return &verdict::kChunkExtension;
}

const H1Verdict* H1ChunkedBody::SizeLine(std::string_view& bytes, const H1Limits& limits,
                                         std::uint64_t body_max) noexcept {
  if (step_ == Step::kSizeFirst) {  // the usual line, digits and CRLF, all of it at hand
    std::uint64_t size = 0;
    std::size_t n = 0;
    for (; n < bytes.size() && n < kSizeDigits && kHex[static_cast<unsigned char>(bytes[n])] >= 0; ++n) {
      size = size << 4 | static_cast<unsigned>(kHex[static_cast<unsigned char>(bytes[n])]);
    }
    if (n > 0 && bytes.substr(n, 2) == "\r\n") {
      bytes.remove_prefix(n + 2);
      size_ = size;
      return SizeLineDone(body_max);
    }
  }
  const H1Verdict* wrong = nullptr;
  std::size_t i = 0;
  while (i < bytes.size() && wrong == nullptr && step_ < Step::kBytes) wrong = SizeByte(bytes[i++], limits, body_max);
  bytes.remove_prefix(i);
  return wrong;
}

H1ChunkedBody::Got H1ChunkedBody::Trailers(std::string_view& bytes, const H1Limits& limits, H1HeadReader& reader,
                                           const H1Verdict*& wrong) {
  if (!reader.active()) {
    if (bytes.substr(0, 2) == "\r\n") {
      bytes.remove_prefix(2);
      return Got::kEnd;
    }
    reader.Begin({0, limits.trailer_bytes, limits.trailer_count});
  }
  std::size_t taken = 0;
  const H1HeadReader::Got got = reader.Read(
      bytes, taken, wrong, verdict::kTrailer, [](char*, std::size_t) -> const H1Verdict* { return nullptr; },
      [](const H1HeadReader::Field& field) { return IsForbiddenTrailer(field) ? &verdict::kTrailer : nullptr; });
  bytes.remove_prefix(taken);
  if (got == H1HeadReader::Got::kMore) return Got::kMore;
  reader.TakeHead();
  if (got == H1HeadReader::Got::kEnd) return Got::kEnd;
  wrong = &verdict::kTrailer;
  return Got::kRefused;
}

H1ChunkedBody::Got H1ChunkedBody::Next(std::string_view& bytes, std::string_view& piece, const H1Limits& limits,
                                       std::uint64_t body_max, H1HeadReader& reader, const H1Verdict*& wrong) {
  while (!bytes.empty()) {
    switch (step_) {
      case Step::kBytes: {
        const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(size_, bytes.size()));
        piece = bytes.substr(0, n);
        bytes.remove_prefix(n);
        size_ -= n;
        if (size_ == 0) step_ = Step::kBytesCr;
        return Got::kBytes;
      }
      case Step::kBytesCr:
      case Step::kBytesLf:
        if (bytes.front() != (step_ == Step::kBytesCr ? '\r' : '\n')) {
          wrong = &verdict::kChunkEnd;
          return Got::kRefused;
        }
        bytes.remove_prefix(1);
        if (step_ == Step::kBytesCr) {
          step_ = Step::kBytesLf;
        } else {
          step_ = Step::kSizeFirst;
          digits_ = 0;
          extension_ = 0;
        }
        break;
      case Step::kTrailers: return Trailers(bytes, limits, reader, wrong);
      default:
        wrong = SizeLine(bytes, limits, body_max);
        if (wrong != nullptr) return Got::kRefused;
        break;
    }
  }
  return Got::kMore;
}

}  // namespace penstock::http
