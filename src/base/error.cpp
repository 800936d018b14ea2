#include "penstock/base/error.hpp"

namespace penstock {

std::string_view CodeName(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::kNone: return "none";
    case ErrorCode::kBadRequest: return "bad_request";
    case ErrorCode::kHttpVersion: return "http_version";
    case ErrorCode::kTransferCoding: return "transfer_coding";
    case ErrorCode::kExpectationFailed: return "expectation_failed";
    case ErrorCode::kMisdirectedRequest: return "misdirected_request";
    case ErrorCode::kInvalidJson: return "invalid_json";
    case ErrorCode::kInvalidParam: return "invalid_param";
    case ErrorCode::kDuplicateKey: return "duplicate_key";
    case ErrorCode::kInvalidApiKey: return "invalid_api_key";
    case ErrorCode::kModelForbidden: return "model_forbidden";
    case ErrorCode::kModelNotFound: return "model_not_found";
    case ErrorCode::kNotFound: return "not_found";
    case ErrorCode::kMethodNotAllowed: return "method_not_allowed";
    case ErrorCode::kRequestTimeout: return "request_timeout";
    case ErrorCode::kBodyTooLarge: return "body_too_large";
    case ErrorCode::kHeadersTooLarge: return "headers_too_large";
    case ErrorCode::kUriTooLong: return "uri_too_long";
    case ErrorCode::kUnsupportedMedia: return "unsupported_media";
    case ErrorCode::kRequestsExceeded: return "requests_exceeded";
    case ErrorCode::kTokensExceeded: return "tokens_exceeded";
    case ErrorCode::kConcurrencyExceeded: return "concurrency_exceeded";
    case ErrorCode::kQueueFull: return "queue_full";
    case ErrorCode::kQueueTimeout: return "queue_timeout";
    case ErrorCode::kOverloaded: return "overloaded";
    case ErrorCode::kDraining: return "draining";
    case ErrorCode::kNoHealthyUpstream: return "no_healthy_upstream";
    case ErrorCode::kUpstreamConnect: return "upstream_connect";
    case ErrorCode::kUpstreamTls: return "upstream_tls";
    case ErrorCode::kUpstreamDns: return "upstream_dns";
    case ErrorCode::kUpstreamReset: return "upstream_reset";
    case ErrorCode::kUpstreamProtocol: return "upstream_protocol";
    case ErrorCode::kUpstreamTimeout: return "upstream_timeout";
    case ErrorCode::kDeadlineExceeded: return "deadline_exceeded";
    case ErrorCode::kUpstreamStatus: return "upstream_status";
    case ErrorCode::kStreamInterrupted: return "stream_interrupted";
    case ErrorCode::kClientGone: return "client_gone";
    case ErrorCode::kInternal: return "internal";
  }
  return "internal";
}

}  // namespace penstock
