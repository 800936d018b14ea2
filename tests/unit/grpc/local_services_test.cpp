// Health, reflection and what KServe asks about the server. Clients' side by the generated classes; a client that knows
// nothing builds its types from what reflection says.

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <grpc/health/v1/health.pb.h>
#include <grpc/reflection/v1/reflection.pb.h>
#include <grpc/reflection/v1alpha/reflection.pb.h>
#include <gtest/gtest.h>
#include <kserve/grpc_service.pb.h>

#include <set>
#include <string>
#include <vector>

#include "penstock/grpc/local_services.hpp"

namespace penstock::grpc {
namespace {

namespace pb = google::protobuf;

const std::string kWrongWireType = "\x08\x01";  // field 1 as a number; all that is asked for begins with a text

/// The message, or nothing and the error's name in `error`.
template <class Message>
Message Parse(const std::string& bytes) {
  Message message;
  EXPECT_TRUE(message.ParseFromString(bytes));
  return message;
}

std::string HealthOf(std::string_view service, bool serving, bool watch) {
  ::grpc::health::v1::HealthCheckRequest request;
  request.set_service(std::string(service));
  GatewayFacts facts;
  facts.serving = serving;
  facts.ready = !serving;  // another matter
  std::string out;
  if (const auto error = AnswerHealth(request.SerializeAsString(), facts, watch, out)) {
    EXPECT_EQ(out, "");
    return std::string(CodeName(error->code));
  }
  using Response = ::grpc::health::v1::HealthCheckResponse;
  return Response::ServingStatus_Name(Parse<Response>(out).status());
}

TEST(GrpcHealth, Q_26_CheckAndWatch) {
  for (const bool watch : {false, true}) {
    for (const char* service : {"", "grpc.health.v1.Health", "inference.GRPCInferenceService"}) {
      EXPECT_EQ(HealthOf(service, true, watch), "SERVING") << service;
      EXPECT_EQ(HealthOf(service, false, watch), "NOT_SERVING") << service;
    }
  }
  EXPECT_EQ(HealthOf("a.B", true, true), "SERVICE_UNKNOWN");
  EXPECT_EQ(HealthOf("a.B", true, false), "not_found");
  std::string out;
  EXPECT_EQ(AnswerHealth(kWrongWireType, {}, false, out)->code, ErrorCode::kBadRequest);
}

using Asked = ::grpc::reflection::v1::ServerReflectionRequest;
using Answer = ::grpc::reflection::v1::ServerReflectionResponse;

Answer Reflect(const Asked& asked) {
  std::string out;
  EXPECT_FALSE(AnswerReflection(asked.SerializeAsString(), out));
  auto answer = Parse<Answer>(out);
  EXPECT_EQ(answer.original_request().SerializeAsString(), asked.SerializeAsString());
  EXPECT_EQ(answer.valid_host(), asked.host());
  return answer;
}
Answer AskForSymbol(std::string_view symbol) {
  Asked asked;
  asked.set_file_containing_symbol(std::string(symbol));
  return Reflect(asked);
}
std::vector<std::string> FileNames(const Answer& answer) {
  std::vector<std::string> names;
  for (const std::string& file : answer.file_descriptor_response().file_descriptor_proto()) {
    names.push_back(Parse<pb::FileDescriptorProto>(file).name());
  }
  return names;
}

std::set<std::string> ListedServices() {
  Asked asked;
  asked.set_host("example.org");
  asked.set_list_services("*");
  const Answer answer = Reflect(asked);
  std::set<std::string> names;
  for (const auto& service : answer.list_services_response().service()) names.insert(service.name());
  return names;
}

TEST(GrpcReflection, ListsServices) {
  const std::set<std::string> names = ListedServices();
  for (const char* name : {"grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection",
                           "grpc.reflection.v1alpha.ServerReflection", "inference.GRPCInferenceService"}) {
    EXPECT_TRUE(names.contains(name)) << name;
  }
}

/// What grpcurl does: the service's file, what it imports, then a pool of its own.
TEST(GrpcReflection, AClientCanBuildEveryService) {
  for (const std::string& service : ListedServices()) {
    const Answer answer = AskForSymbol(service);
    pb::DescriptorPool pool;
    const auto& files = answer.file_descriptor_response().file_descriptor_proto();
    for (auto file = files.rbegin(); file != files.rend(); ++file) {
      ASSERT_NE(pool.BuildFile(Parse<pb::FileDescriptorProto>(*file)), nullptr) << service;
    }
    EXPECT_NE(pool.FindServiceByName(service), nullptr) << service;
  }
}

TEST(GrpcReflection, FindsFiles) {
  for (const char* symbol : {"inference.GRPCInferenceService", "inference.GRPCInferenceService.ModelInfer",
                             "inference.ModelInferRequest.InferInputTensor", "inference.ModelInferRequest.id"}) {
    EXPECT_EQ(FileNames(AskForSymbol(symbol)), std::vector<std::string>{"kserve/grpc_service.proto"}) << symbol;
  }
  for (const char* name :
       {"kserve/grpc_service.proto", "grpc/reflection/v1alpha/reflection.proto", "google/protobuf/descriptor.proto"}) {
    Asked asked;
    asked.set_file_by_filename(name);
    EXPECT_EQ(FileNames(Reflect(asked)), std::vector<std::string>{name});
  }
}

TEST(GrpcReflection, SaysWhatItDoesNotFind) {
  std::vector<Asked> requests(5);
  requests[0].set_file_by_filename("kserve/other.proto");
  requests[1].set_file_containing_symbol("inference.Other");
  requests[2].mutable_file_containing_extension()->set_containing_type("inference.ModelInferRequest");
  requests[2].mutable_file_containing_extension()->set_extension_number(100);
  requests[3].set_all_extension_numbers_of_type("inference.Other");
  requests[4].set_file_by_filename("grpc/testing/messages.proto");  // linked, but not offered
  for (const Asked& asked : requests) {
    EXPECT_EQ(Reflect(asked).error_response().error_code(), 5) << asked.ShortDebugString();
  }
  EXPECT_EQ(Reflect(Asked()).error_response().error_code(), 3);
  std::string out;
  EXPECT_EQ(AnswerReflection(kWrongWireType, out)->code, ErrorCode::kBadRequest);
}

TEST(GrpcReflection, Extensions) {
  Asked asked;
  asked.set_all_extension_numbers_of_type("inference.ModelInferRequest");
  const Answer answer = Reflect(asked);
  EXPECT_EQ(answer.all_extension_numbers_response().base_type_name(), "inference.ModelInferRequest");
  EXPECT_EQ(answer.all_extension_numbers_response().extension_number_size(), 0);
}

/// One set of messages serves both editions.
TEST(GrpcReflection, V1AlphaHasTheSameMessages) {
  const auto bare = [](const pb::FileDescriptor* file) {
    pb::FileDescriptorProto proto;
    file->CopyTo(&proto);
    std::string text = proto.DebugString();
    for (std::size_t at = 0; (at = text.find("v1alpha", at)) != std::string::npos;) text.erase(at + 2, 5);
    return text;
  };
  EXPECT_EQ(bare(::grpc::reflection::v1alpha::ServerReflectionRequest::descriptor()->file()),
            bare(Asked::descriptor()->file()));
}

class KserveAsks : public testing::Test {
 protected:
  /// The answer, or the error's name in `error`.
  template <class Response, class Request>
  Response Ask(std::string_view method, const Request& request) {
    std::string out;
    const auto failed = AnswerKserveFacts("/inference.GRPCInferenceService/" + std::string(method),
                                          request.SerializeAsString(), facts, models, out);
    error = failed ? CodeName(failed->code) : "";
    return Parse<Response>(out);
  }
  template <class Response, class Request>
  Response AskAbout(std::string_view method, std::string_view model) {
    Request request;
    request.set_name(std::string(model));
    return Ask<Response>(method, request);
  }

  GatewayFacts facts{true, true, "1.2.3"};
  std::vector<std::string_view> models{"a", "b"};
  std::string error;
};

TEST_F(KserveAsks, Server) {
  using namespace inference;
  for (const bool serving : {true, false}) {
    for (const bool ready : {true, false}) {
      facts.serving = serving;
      facts.ready = ready;
      EXPECT_TRUE(Ask<ServerLiveResponse>("ServerLive", ServerLiveRequest()).live());
      EXPECT_EQ(Ask<ServerReadyResponse>("ServerReady", ServerReadyRequest()).ready(), serving && ready);
    }
  }
  const auto metadata = Ask<ServerMetadataResponse>("ServerMetadata", ServerMetadataRequest());
  EXPECT_EQ(metadata.name(), "penstock");
  EXPECT_EQ(metadata.version(), "1.2.3");
  ASSERT_EQ(metadata.extensions_size(), 1);
  EXPECT_EQ(metadata.extensions(0), "parameters");
}

TEST_F(KserveAsks, Models) {
  using namespace inference;
  for (const bool ready : {true, false}) {
    facts.ready = ready;
    EXPECT_EQ((AskAbout<ModelReadyResponse, ModelReadyRequest>("ModelReady", "b").ready()), ready);
  }
  AskAbout<ModelReadyResponse, ModelReadyRequest>("ModelReady", "c");
  EXPECT_EQ(error, "model_not_found");
  AskAbout<ModelMetadataResponse, ModelMetadataRequest>("ModelMetadata", "");
  EXPECT_EQ(error, "model_not_found");

  const auto metadata = AskAbout<ModelMetadataResponse, ModelMetadataRequest>("ModelMetadata", "a");
  EXPECT_EQ(metadata.name(), "a");
  EXPECT_EQ(metadata.platform(), "penstock");
  EXPECT_EQ(metadata.versions_size(), 1);
  std::string tensors;
  for (const auto& tensor : metadata.inputs()) tensors += tensor.name() + ' ' + tensor.datatype() + ' ';
  for (const auto& tensor : metadata.outputs()) tensors += tensor.name() + ' ' + tensor.datatype() + ' ';
  EXPECT_EQ(tensors, "text_input BYTES stream BOOL sampling_parameters BYTES text_output BYTES ");
}

TEST_F(KserveAsks, Q_27_Malformed) {
  for (const char* method : {"ModelReady", "ModelMetadata"}) {
    std::string out;
    const auto failed =
        AnswerKserveFacts("/inference.GRPCInferenceService/" + std::string(method), kWrongWireType, facts, models, out);
    EXPECT_EQ(failed->code, ErrorCode::kBadRequest) << method;
  }
  for (const char* method : {"ServerLive", "ServerReady", "ServerMetadata"}) {
    std::string out;
    const std::string path = "/inference.GRPCInferenceService/" + std::string(method);
    EXPECT_FALSE(AnswerKserveFacts(path, kWrongWireType, facts, models, out)) << "no field is known: " << method;
    EXPECT_EQ(AnswerKserveFacts(path, "\x0a", facts, models, out)->code, ErrorCode::kBadRequest) << method;
  }
}

}  // namespace
}  // namespace penstock::grpc
