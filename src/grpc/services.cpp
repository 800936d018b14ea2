#include "grpc/services.hpp"

#include <grpc/health/v1/health.pb.h>
#include <grpc/reflection/v1/reflection.pb.h>
#include <grpc/reflection/v1alpha/reflection.pb.h>
#include <kserve/grpc_service.pb.h>
#include <penstock/v1/inference.pb.h>

#include <algorithm>
#include <array>

namespace penstock::grpc {
namespace {

/// Every file of ours declares one service.
template <class Message>
const google::protobuf::ServiceDescriptor* ServiceBeside() {
  return Message::descriptor()->file()->service(0);
}

}  // namespace

std::span<const google::protobuf::ServiceDescriptor* const> Services() {
  static const std::array services = {
      ServiceBeside<::grpc::health::v1::HealthCheckRequest>(),
      ServiceBeside<::grpc::reflection::v1::ServerReflectionRequest>(),
      ServiceBeside<::grpc::reflection::v1alpha::ServerReflectionRequest>(),
      ServiceBeside<::inference::ModelInferRequest>(),
      ServiceBeside<v1::ChatRequest>(),
  };
  return services;
}

bool IsService(std::string_view name) {
  return std::ranges::any_of(Services(), [&](const auto* service) { return service->full_name() == name; });
}

}  // namespace penstock::grpc
