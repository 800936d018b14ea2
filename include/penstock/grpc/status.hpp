#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "penstock/base/error.hpp"
#include "penstock/base/time.hpp"

namespace penstock::grpc {

/// https://grpc.github.io/grpc/core/md_doc_statuscodes.html
enum class StatusCode : std::uint8_t {
  kOk = 0,
  kCancelled = 1,
  kUnknown = 2,
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kAborted = 10,
  kOutOfRange = 11,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
  kDataLoss = 15,
  kUnauthenticated = 16,
};

/// How a call ended, as its trailers say it. `reason` and `type` go into google.rpc.ErrorInfo, `retry_after` > 0 into
/// google.rpc.RetryInfo.
struct Status {
  StatusCode code = StatusCode::kOk;
  std::string message{};  ///< for people, UTF-8
  std::string reason{};   ///< the contract's code of the error ("queue_full"); empty: no details are sent
  std::string type{};     ///< its type ("service_unavailable")
  std::string param{};    ///< the request's field at fault
  Duration retry_after{};
};

/// The contract's table (section 5), column gRPC. Exhaustive.
StatusCode StatusOf(ErrorCode code) noexcept;
/// For an answer of the HTTP pipeline: its status, and the `code` of its error object where it is one of ours. An
/// upstream's own refusals go by the status alone.
StatusCode StatusOf(std::uint16_t http_status, std::string_view code) noexcept;

/// grpc-message: everything but printable ASCII without '%' is percent-encoded, byte by byte (gRPC over HTTP/2,
/// "Status-Message").
void AppendPercentEncoded(std::string& out, std::string_view message);

/// Of a status message goes no more than this, in bytes before encoding: clients take 8 KiB of trailers, and a message
/// stands in them twice, once with up to three characters per byte.
inline constexpr std::size_t kStatusMessageMax = 1024;
/// `message` up to there, cut between two characters.
std::string_view CutMessage(std::string_view message) noexcept;

/// The bytes of google.rpc.Status with its ErrorInfo (domain "penstock") and RetryInfo, for grpc-status-details-bin;
/// empty when `status.reason` is.
std::string StatusDetails(const Status& status);

}  // namespace penstock::grpc
