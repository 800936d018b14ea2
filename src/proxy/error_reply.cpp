#include "penstock/proxy/error_reply.hpp"

#include "penstock/llm/error_shapes.hpp"

namespace penstock::proxy {
namespace {

using telemetry::Term;

constexpr std::string_view kInvalid = "invalid_request_error";
constexpr std::string_view kNotFoundType = "not_found_error";
constexpr std::string_view kUnavailable = "service_unavailable";
constexpr std::string_view kUpstream = "upstream_error";
constexpr std::string_view kTimeout = "timeout_error";
constexpr std::string_view kRateLimit = "rate_limit_error";

/// The text for people: what was wrong, with the place in the body where there is one.
std::string Message(const Error& error) {
  std::string message = error.context;
  if (error.code == ErrorCode::kInvalidJson || error.code == ErrorCode::kDuplicateKey) {
    message += " (at byte " + std::to_string(error.offset) + ")";
  }
  return message;
}

llm::ErrorText TextOf(const Error& error, const std::string& message, std::string_view request_id) {
  llm::ErrorText text;
  text.message = message;
  text.type = RowOf(error).type;
  text.code = CodeName(error.code);
  if (error.param != nullptr) text.param = error.param;
  text.request_id = request_id;
  return text;
}

}  // namespace

ErrorRow RowOf(const Error& error) noexcept {
  switch (error.code) {
    case ErrorCode::kBadRequest: return {400, kInvalid, Term::kClientProtocol};
    case ErrorCode::kHttpVersion: return {505, kInvalid, Term::kClientProtocol};
    case ErrorCode::kTransferCoding: return {501, kInvalid, Term::kClientProtocol};
    case ErrorCode::kExpectationFailed: return {417, kInvalid, Term::kClientProtocol};
    case ErrorCode::kMisdirectedRequest: return {421, kInvalid, Term::kClientProtocol};
    case ErrorCode::kInvalidJson:
    case ErrorCode::kInvalidParam:
    case ErrorCode::kDuplicateKey: return {400, kInvalid, Term::kWell};
    case ErrorCode::kInvalidApiKey: return {401, "authentication_error", Term::kNotAuthorised};
    case ErrorCode::kModelForbidden: return {403, "permission_error", Term::kNotAuthorised};
    case ErrorCode::kModelNotFound: return {404, kNotFoundType, Term::kNoSuchModel};
    case ErrorCode::kNotFound: return {404, kNotFoundType, Term::kWell};
    case ErrorCode::kMethodNotAllowed: return {405, kNotFoundType, Term::kWell};
    case ErrorCode::kRequestTimeout: return {408, kInvalid, Term::kClientSlow};
    case ErrorCode::kBodyTooLarge: return {413, kInvalid, Term::kWell};
    case ErrorCode::kHeadersTooLarge: return {431, kInvalid, Term::kClientProtocol};
    case ErrorCode::kUriTooLong: return {414, kInvalid, Term::kClientProtocol};
    case ErrorCode::kUnsupportedMedia: return {415, kInvalid, Term::kWell};
    case ErrorCode::kRequestsExceeded:
    case ErrorCode::kTokensExceeded:
    case ErrorCode::kConcurrencyExceeded: return {429, kRateLimit, Term::kLimit};
    case ErrorCode::kQueueFull: return {503, kUnavailable, Term::kOverflow};
    case ErrorCode::kQueueTimeout: return {503, kUnavailable, Term::kQueueTimeout};
    case ErrorCode::kOverloaded: return {503, kUnavailable, Term::kOverload};
    case ErrorCode::kDraining: return {503, kUnavailable, Term::kDrain};
    case ErrorCode::kNoHealthyUpstream: return {503, kUnavailable, Term::kNobodyHealthy};
    case ErrorCode::kUpstreamConnect:
    case ErrorCode::kUpstreamTls:
    case ErrorCode::kUpstreamDns: return {502, kUpstream, Term::kConnectFailed};
    case ErrorCode::kUpstreamReset: return {502, kUpstream, Term::kUpstreamReset};
    case ErrorCode::kUpstreamProtocol: return {502, kUpstream, Term::kUpstreamProtocol};
    case ErrorCode::kUpstreamTimeout: return {504, kTimeout, Term::kUpstreamTimeout};
    case ErrorCode::kDeadlineExceeded: return {504, kTimeout, Term::kClientSlow};
    case ErrorCode::kUpstreamStatus: return {502, kUpstream, Term::kWell};
    case ErrorCode::kStreamInterrupted: return {502, kUpstream, Term::kUpstreamCut};
    case ErrorCode::kClientGone: return {499, kInvalid, Term::kClientGone};
    case ErrorCode::kNone:
    case ErrorCode::kInternal: return {500, "internal_error", Term::kLocalReset};
  }
  return {500, "internal_error", Term::kLocalReset};
}

grpc::Status StatusOf(const Error& error) {
  grpc::Status status;
  status.code = grpc::StatusOf(error.code);
  status.message = Message(error);
  status.reason = CodeName(error.code);
  status.type = RowOf(error).type;
  if (error.param == nullptr) return status;
  status.param = error.param;
  // Most clients show the message alone, and only its details say of which field it speaks.
  if (error.code == ErrorCode::kInvalidParam) status.message.insert(0, status.param + ": ");
  return status;
}

std::string ErrorBody(llm::Family family, const Error& error, std::string_view request_id) {
  std::string out;
  const std::string message = Message(error);
  llm::WriteError(out, family, TextOf(error, message, request_id));
  return out;
}

std::string ErrorEvent(llm::Family family, const Error& error, std::string_view request_id) {
  Error interrupted = error;
  interrupted.code = ErrorCode::kStreamInterrupted;
  const std::string message = Message(error);
  std::string out;
  llm::WriteErrorEvent(out, family, TextOf(interrupted, message, request_id));
  return out;
}

}  // namespace penstock::proxy
