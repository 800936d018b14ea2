#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "penstock/llm/family.hpp"

namespace penstock::grpc {

/// What serves a method.
enum class Service : std::uint8_t {
  kCompletions,  ///< penstock.v1.Inference: OpenAI's fields in protobuf, through the pipeline
  kModels,       ///< its ListModels
  kKserve,       ///< ModelInfer and ModelStreamInfer: through the pipeline
  kKserveFacts,  ///< the rest of inference.GRPCInferenceService: what the gateway knows itself
  kHealth,       ///< grpc.health.v1.Health
  kReflection,   ///< grpc.reflection.v1 and v1alpha
};

/// Immutable. A row of the table of methods. `path` is what proxy's table of routes has too.
struct Method {
  std::string_view path;  ///< "/package.Service/Method"
  Service service;
  llm::Family family;   ///< of the HTTP request that it becomes
  bool client_streams;  ///< each message is a request of its own
  bool server_streams;  ///< any number of messages may answer one
};

std::span<const Method> Methods() noexcept;
/// Null: no such method (12).
const Method* FindMethod(std::string_view path) noexcept;

}  // namespace penstock::grpc
