#include "penstock/grpc/status.hpp"

#include <google/rpc/error_details.pb.h>
#include <google/rpc/status.pb.h>

namespace penstock::grpc {
namespace {

constexpr std::size_t kReasonMax = 63;   // google.rpc.ErrorInfo's own
constexpr std::size_t kDetailMax = 256;  // of a type or a param
constexpr std::string_view kDomain = "penstock";

bool IsDigit(char c) noexcept { return c >= '0' && c <= '9'; }

/// ErrorInfo's alphabet: "queue_full" is QUEUE_FULL.
std::string UpperReason(std::string_view reason) {
  std::string upper(reason.substr(0, kReasonMax));
  for (char& c : upper) {
    if (c >= 'a' && c <= 'z') {
      c = static_cast<char>(c - 'a' + 'A');
    } else if (!(c >= 'A' && c <= 'Z') && !IsDigit(c)) {
      c = '_';
    }
  }
  return upper;
}

/// HTTP statuses that are nobody's of ours: an upstream's own, and what a proxy in between says. The client's faults
/// are those that no repetition mends; what a server says by way of 5xx without a known meaning is its own fault.
StatusCode OfStatus(std::uint16_t status) noexcept {
  switch (status) {
    case 401: return StatusCode::kUnauthenticated;
    case 402:
    case 403: return StatusCode::kPermissionDenied;
    case 404:
    case 410: return StatusCode::kNotFound;
    case 405:
    case 406:
    case 415:
    case 417:
    case 501:
    case 505: return StatusCode::kUnimplemented;
    case 408:
    case 504: return StatusCode::kDeadlineExceeded;
    case 409: return StatusCode::kAborted;
    case 412: return StatusCode::kFailedPrecondition;
    case 413:
    case 414:
    case 429:
    case 431: return StatusCode::kResourceExhausted;
    case 416: return StatusCode::kOutOfRange;
    case 421:  // another connection may carry it
    case 502:
    case 503: return StatusCode::kUnavailable;
    case 499: return StatusCode::kCancelled;
    default: break;
  }
  if (status >= 200 && status < 300) return StatusCode::kOk;
  if (status >= 400 && status < 500) return StatusCode::kInvalidArgument;
  if (status >= 500 && status < 520) return StatusCode::kInternal;
  if (status >= 520 && status < 600) return StatusCode::kUnavailable;  // CDNs' and "overloaded" (529)
  return StatusCode::kUnknown;
}

}  // namespace

StatusCode StatusOf(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::kNone: return StatusCode::kOk;
    case ErrorCode::kBadRequest: return StatusCode::kInternal;  // broken bytes, as gRPC's own libraries call them
    case ErrorCode::kHttpVersion:
    case ErrorCode::kTransferCoding:
    case ErrorCode::kExpectationFailed: return StatusCode::kUnimplemented;
    case ErrorCode::kMisdirectedRequest: return StatusCode::kUnavailable;
    case ErrorCode::kInvalidJson:
    case ErrorCode::kInvalidParam:
    case ErrorCode::kDuplicateKey: return StatusCode::kInvalidArgument;
    case ErrorCode::kInvalidApiKey: return StatusCode::kUnauthenticated;
    case ErrorCode::kModelForbidden: return StatusCode::kPermissionDenied;
    case ErrorCode::kModelNotFound: return StatusCode::kNotFound;
    case ErrorCode::kNotFound:  // a path, so a method
    case ErrorCode::kMethodNotAllowed:
    case ErrorCode::kUnsupportedMedia: return StatusCode::kUnimplemented;
    case ErrorCode::kRequestTimeout: return StatusCode::kDeadlineExceeded;
    case ErrorCode::kBodyTooLarge:
    case ErrorCode::kHeadersTooLarge:
    case ErrorCode::kUriTooLong:
    case ErrorCode::kRequestsExceeded:
    case ErrorCode::kTokensExceeded:
    case ErrorCode::kConcurrencyExceeded: return StatusCode::kResourceExhausted;
    case ErrorCode::kQueueFull:
    case ErrorCode::kQueueTimeout:
    case ErrorCode::kOverloaded:
    case ErrorCode::kDraining:
    case ErrorCode::kNoHealthyUpstream:
    case ErrorCode::kUpstreamConnect:
    case ErrorCode::kUpstreamTls:
    case ErrorCode::kUpstreamDns:
    case ErrorCode::kUpstreamReset:
    case ErrorCode::kStreamInterrupted: return StatusCode::kUnavailable;
    case ErrorCode::kUpstreamProtocol: return StatusCode::kInternal;
    case ErrorCode::kUpstreamTimeout:
    case ErrorCode::kDeadlineExceeded: return StatusCode::kDeadlineExceeded;
    case ErrorCode::kUpstreamStatus: return StatusCode::kUnknown;  // its HTTP status says more
    case ErrorCode::kClientGone: return StatusCode::kCancelled;
    case ErrorCode::kInternal: return StatusCode::kInternal;
  }
  return StatusCode::kUnknown;
}

StatusCode StatusOf(std::uint16_t http_status, std::string_view code) noexcept {
  if (!code.empty()) {
    for (int i = 1; i <= static_cast<int>(ErrorCode::kInternal); ++i) {
      const auto ours = static_cast<ErrorCode>(i);
      if (ours != ErrorCode::kUpstreamStatus && CodeName(ours) == code) return StatusOf(ours);
    }
  }
  return OfStatus(http_status);
}

void AppendPercentEncoded(std::string& out, std::string_view message) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  for (const char c : message) {
    if (c >= ' ' && c <= '~' && c != '%') {
      out.push_back(c);
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out.push_back('%');
      out.push_back(kDigits[byte >> 4]);
      out.push_back(kDigits[byte & 15]);
    }
  }
}

std::string_view CutMessage(std::string_view message) noexcept {
  if (message.size() <= kStatusMessageMax) return message;
  std::size_t end = kStatusMessageMax;
  while (end > 0 && (static_cast<unsigned char>(message[end]) & 0xc0) == 0x80) --end;
  return message.substr(0, end);
}

std::string StatusDetails(const Status& status) {
  if (status.reason.empty()) return {};
  google::rpc::Status details;
  details.set_code(static_cast<int>(status.code));
  details.set_message(std::string(CutMessage(status.message)));
  google::rpc::ErrorInfo reason;
  reason.set_reason(UpperReason(status.reason));
  reason.set_domain(std::string(kDomain));
  const auto add = [&reason](const char* name, const std::string& value) {
    if (!value.empty() && value.size() <= kDetailMax) (*reason.mutable_metadata())[name] = value;
  };
  add("type", status.type);
  add("param", status.param);
  details.add_details()->PackFrom(reason);
  if (status.retry_after > Duration::zero()) {
    google::rpc::RetryInfo retry;
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(status.retry_after);
    retry.mutable_retry_delay()->set_seconds(seconds.count());
    retry.mutable_retry_delay()->set_nanos(static_cast<std::int32_t>((status.retry_after - seconds).count()));
    details.add_details()->PackFrom(retry);
  }
  return details.SerializeAsString();
}

}  // namespace penstock::grpc
