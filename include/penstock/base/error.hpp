#pragma once

#include <cstdint>
#include <string_view>

namespace penstock {

/// Every error the outside can see, named as in the contract's error table; the text is the `code` of the reply.
/// proxy/error_reply.cpp holds the status and type of each, in one exhaustive switch.
enum class ErrorCode : std::uint8_t {
  kNone = 0,
  // the client's message
  kBadRequest,
  kHttpVersion,
  kTransferCoding,
  kExpectationFailed,
  kMisdirectedRequest,
  kInvalidJson,
  kInvalidParam,
  kDuplicateKey,
  kInvalidApiKey,
  kModelForbidden,
  kModelNotFound,
  kNotFound,
  kMethodNotAllowed,
  kRequestTimeout,
  kBodyTooLarge,
  kHeadersTooLarge,
  kUriTooLong,
  kUnsupportedMedia,
  kRequestsExceeded,
  kTokensExceeded,
  kConcurrencyExceeded,
  // the gateway's state
  kQueueFull,
  kQueueTimeout,
  kOverloaded,
  kDraining,
  kNoHealthyUpstream,
  // the upstream
  kUpstreamConnect,
  kUpstreamTls,
  kUpstreamDns,
  kUpstreamReset,
  kUpstreamProtocol,
  kUpstreamTimeout,
  kDeadlineExceeded,
  kUpstreamStatus,
  kStreamInterrupted,
  // nobody sees these but the log
  kClientGone,
  kInternal,
};

/// Whose fault it is.
enum class Origin : std::uint8_t { kDownstream, kUpstream, kCache, kInternal };

/// May another attempt be made? kIfUnprocessed: the upstream provably did not start on the request.
/// kUnproven: it may have; `retry.unproven` decides. kSafe: the upstream itself refused it.
enum class Retry : std::uint8_t { kNever, kIfUnprocessed, kUnproven, kSafe };

/// A failure as a value. Trivially copyable; `context` and `param` point to literals.
struct Error {
  ErrorCode code = ErrorCode::kInternal;
  Origin origin = Origin::kInternal;
  Retry retry = Retry::kNever;
  const char* context = "";     ///< for people: what was wrong, a constant text without peer bytes
  const char* param = nullptr;  ///< the request field at fault, for kInvalidParam
  std::uint32_t offset = 0;     ///< byte offset in the body, for kInvalidJson and kDuplicateKey
};

/// "invalid_json" and so on: the contract's spelling.
std::string_view CodeName(ErrorCode code) noexcept;

inline Error DownstreamError(ErrorCode code, const char* context) {
  return {code, Origin::kDownstream, Retry::kNever, context};
}
inline Error UpstreamError(ErrorCode code, Retry retry, const char* context) {
  return {code, Origin::kUpstream, retry, context};
}
inline Error InternalError(ErrorCode code, const char* context) {
  return {code, Origin::kInternal, Retry::kNever, context};
}

}  // namespace penstock
