#include "penstock/grpc/method.hpp"

#include <google/protobuf/descriptor.h>
#include <gtest/gtest.h>
#include <penstock/v1/inference.pb.h>

#include <set>
#include <string>

namespace penstock::grpc {
namespace {

TEST(GrpcMethod, EachIsFoundByItsPathAlone) {
  std::set<std::string_view> paths;
  for (const Method& method : Methods()) {
    EXPECT_TRUE(paths.insert(method.path).second) << method.path;
    EXPECT_EQ(FindMethod(method.path), &method);
    EXPECT_EQ(FindMethod(std::string(method.path) + "x"), nullptr);
    EXPECT_EQ(FindMethod(method.path.substr(0, method.path.size() - 1)), nullptr);
    EXPECT_EQ(FindMethod(method.path.substr(1)), nullptr);
  }
  EXPECT_EQ(paths.size(), 17u);
  EXPECT_EQ(FindMethod(""), nullptr);
  EXPECT_EQ(FindMethod("/penstock.v1.Inference/chat"), nullptr);
  EXPECT_EQ(FindMethod(std::string(100'000, 'x')), nullptr);
}

/// What our own service's table says is what its .proto says.
TEST(GrpcMethod, InferenceIsAsDeclared) {
  const auto& service = *v1::ChatRequest::descriptor()->file()->FindServiceByName("Inference");
  for (int i = 0; i < service.method_count(); ++i) {
    const auto& declared = *service.method(i);
    const Method* const method = FindMethod("/" + service.full_name() + "/" + declared.name());
    ASSERT_NE(method, nullptr) << declared.full_name();
    EXPECT_EQ(method->client_streams, declared.client_streaming());
    EXPECT_EQ(method->server_streams, declared.server_streaming());
  }
  EXPECT_EQ(FindMethod("/penstock.v1.Inference/Embed")->family, llm::Family::kEmbeddings);
  EXPECT_EQ(FindMethod("/penstock.v1.Inference/CompleteStream")->family, llm::Family::kCompletions);
  EXPECT_EQ(FindMethod("/penstock.v1.Inference/ListModels")->service, Service::kModels);
  EXPECT_EQ(FindMethod("/inference.GRPCInferenceService/ModelInfer")->service, Service::kKserve);
  EXPECT_EQ(FindMethod("/inference.GRPCInferenceService/ServerLive")->service, Service::kKserveFacts);
  EXPECT_EQ(FindMethod("/grpc.health.v1.Health/Watch")->service, Service::kHealth);
  EXPECT_EQ(FindMethod("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")->service,
            Service::kReflection);
}

}  // namespace
}  // namespace penstock::grpc
