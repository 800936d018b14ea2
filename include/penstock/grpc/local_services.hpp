#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "penstock/base/error.hpp"

namespace penstock::grpc {

/// What the gateway tells about itself.
struct GatewayFacts {
  bool serving = true;  ///< false while draining
  bool ready = true;    ///< some cluster has a healthy endpoint
  std::string_view version;
};

/// grpc.health.v1.Health/Check and each message of Watch. `request`: a HealthCheckRequest. Known services: "" and every
/// one that is served. Errors: kNotFound (Check of an unknown service: 5), kBadRequest.
/// Watch of an unknown service is answered SERVICE_UNKNOWN (`watch`).
std::optional<Error> AnswerHealth(std::string_view request, const GatewayFacts& facts, bool watch, std::string& out);

/// One message of ServerReflectionInfo, v1 and v1alpha (the same messages). What is not found is said in the answer.
/// Error: kBadRequest.
std::optional<Error> AnswerReflection(std::string_view request, std::string& out);

/// ServerLive, ServerReady, ServerMetadata, ModelReady, ModelMetadata (`path` says which). `models`: those that the
/// caller may use, by name. Errors: kModelNotFound, kBadRequest.
std::optional<Error> AnswerKserveFacts(std::string_view path, std::string_view request, const GatewayFacts& facts,
                                       std::span<const std::string_view> models, std::string& out);

}  // namespace penstock::grpc
