#include <kserve/grpc_service.pb.h>

#include <algorithm>

#include "grpc/parse_message.hpp"
#include "penstock/grpc/local_services.hpp"

namespace penstock::grpc {
namespace {

constexpr std::string_view kService = "/inference.GRPCInferenceService/";
constexpr const char* kModelVersion = "1";  // what a model has that knows no versions; Triton counts from 1

Error Malformed() { return DownstreamError(ErrorCode::kBadRequest, "the message is not of its method's type"); }

bool IsModel(std::string_view name, std::span<const std::string_view> models) {
  return std::ranges::find(models, name) != models.end();
}

void AddTensor(const char* name, const char* datatype, std::int64_t size,
               google::protobuf::RepeatedPtrField<inference::ModelMetadataResponse::TensorMetadata>& to) {
  auto& tensor = *to.Add();
  tensor.set_name(name);
  tensor.set_datatype(datatype);
  tensor.add_shape(size);
}

/// What a client cannot know by itself. All but text_input may be left out; that the protocol cannot say.
void DescribeModel(const std::string& name, inference::ModelMetadataResponse& answer) {
  answer.set_name(name);
  answer.add_versions(kModelVersion);
  answer.set_platform("penstock");
  AddTensor("text_input", "BYTES", -1, *answer.mutable_inputs());
  AddTensor("stream", "BOOL", 1, *answer.mutable_inputs());
  AddTensor("sampling_parameters", "BYTES", 1, *answer.mutable_inputs());
  AddTensor("text_output", "BYTES", -1, *answer.mutable_outputs());
}

template <class Request, class Response, class Answer>
std::optional<Error> AnswerWith(std::string_view bytes, std::string& out, Answer&& answer) {
  Request request;
  if (!ParseMessage(bytes, request)) return Malformed();
  Response response;
  if (std::optional<Error> error = answer(request, response)) return error;
  response.AppendToString(&out);
  return std::nullopt;
}

}  // namespace

std::optional<Error> AnswerKserveFacts(std::string_view path, std::string_view request, const GatewayFacts& facts,
                                       std::span<const std::string_view> models, std::string& out) {
  using namespace inference;
  using Outcome = std::optional<Error>;
  const Error unknown = DownstreamError(ErrorCode::kModelNotFound, "no such model");
  if (!path.starts_with(kService)) return DownstreamError(ErrorCode::kNotFound, "no such method");
  path.remove_prefix(kService.size());
  if (path == "ServerLive") {
    return AnswerWith<ServerLiveRequest, ServerLiveResponse>(request, out, [&](auto&, auto& response) -> Outcome {
      response.set_live(true);
      return std::nullopt;
    });
  }
  if (path == "ServerReady") {
    return AnswerWith<ServerReadyRequest, ServerReadyResponse>(request, out, [&](auto&, auto& response) -> Outcome {
      response.set_ready(facts.serving && facts.ready);
      return std::nullopt;
    });
  }
  if (path == "ServerMetadata") {
    return AnswerWith<ServerMetadataRequest, ServerMetadataResponse>(
        request, out, [&](auto&, auto& response) -> Outcome {
          response.set_name("penstock");
          response.set_version(std::string(facts.version));
          response.add_extensions("parameters");  // Triton's name for: a request's parameters reach the model
          return std::nullopt;
        });
  }
  if (path == "ModelReady") {
    return AnswerWith<ModelReadyRequest, ModelReadyResponse>(request, out, [&](auto& asked, auto& response) -> Outcome {
      if (!IsModel(asked.name(), models)) return unknown;
      response.set_ready(facts.serving && facts.ready);
      return std::nullopt;
    });
  }
  if (path == "ModelMetadata") {
    return AnswerWith<ModelMetadataRequest, ModelMetadataResponse>(request, out,
                                                                   [&](auto& asked, auto& response) -> Outcome {
                                                                     if (!IsModel(asked.name(), models)) return unknown;
                                                                     DescribeModel(asked.name(), response);
                                                                     return std::nullopt;
                                                                   });
  }
  return DownstreamError(ErrorCode::kNotFound, "no such method");
}

}  // namespace penstock::grpc
