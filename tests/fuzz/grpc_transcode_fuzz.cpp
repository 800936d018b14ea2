// The first byte picks a method; the rest is a request's message and, if it is JSON, an answer. A body made of a
// message must be JSON that the pipeline reads; a message made of JSON must be one that protobuf reads.

#include <penstock/v1/inference.pb.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "penstock/grpc/translation.hpp"
#include "penstock/llm/canonical_json.hpp"
#include "penstock/llm/request_view.hpp"
#include "unit/llm/exact_copy.hpp"

namespace {

using namespace penstock;
using google::protobuf::Message;

struct Target {
  const char* path;
  const Message& request;
  const Message& answer;
};

void Require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

bool Canonical(const llm::RequestView& view, llm::JsonParser& parser, std::string& out) {
  return llm::WriteCanonicalBody(view, parser, [&out](std::string_view bytes) { out += bytes; });
}

void CheckRequest(const Target& target, std::string_view message, llm::JsonParser& parser) {
  const grpc::Method& method = *grpc::FindMethod(target.path);
  std::string json;
  grpc::ReplyFacts facts;
  const std::optional<Error> error = grpc::TranslateRequest(method, message, json, facts, parser.BeginNotes());
  if (error) {
    Require(error->code == ErrorCode::kBadRequest || error->code == ErrorCode::kInvalidParam, "another kind of error");
    return Require(json.empty(), "an error with a body");
  }
  if (method.service == grpc::Service::kModels) return Require(json.empty(), "a GET with a body");
  const auto noted = llm::ViewRequest(method.family, json, parser);
  std::string noted_canonical;
  if (noted) Require(Canonical(*noted, parser, noted_canonical), "no canonical form of what was noted");
  const auto view = llm::ParseRequest(method.family, json, parser);
  Require(noted.has_value() == view.has_value(), "what was noted is not what is read");
  if (!view) return Require(view.error().code == ErrorCode::kInvalidParam, "a body that is no JSON");
  std::string canonical;
  Require(Canonical(*view, parser, canonical), "no canonical form");
  Require(canonical == noted_canonical, "what was noted has another canonical form");
}

void CheckAnswer(const Target& target, std::string_view json, llm::JsonParser& parser) {
  const grpc::ReplyFacts facts;
  grpc::AnswerTranslator translator;
  translator.Begin(*grpc::FindMethod(target.path), facts);
  std::string whole;
  const bool object = translator.Whole(json, parser, whole);
  Require(object || whole.empty(), "a message of what is no object");
  const std::unique_ptr<Message> answer(target.answer.New());
  Require(answer->ParseFromString(whole), "an answer that protobuf does not read");
  std::string event;
  Require(translator.Event(json, parser, event) == !whole.empty(), "an event is not what a whole answer is");
  Require(event == whole, "an event is not what a whole answer is");
  grpc::ReadErrorObject(json, parser);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  static const Target kTargets[] = {
      {"/penstock.v1.Inference/Chat", v1::ChatRequest::default_instance(), v1::ChatResponse::default_instance()},
      {"/penstock.v1.Inference/ChatStream", v1::ChatRequest::default_instance(), v1::ChatChunk::default_instance()},
      {"/penstock.v1.Inference/Complete", v1::CompleteRequest::default_instance(),
       v1::CompleteResponse::default_instance()},
      {"/penstock.v1.Inference/CompleteStream", v1::CompleteRequest::default_instance(),
       v1::CompleteChunk::default_instance()},
      {"/penstock.v1.Inference/Embed", v1::EmbedRequest::default_instance(), v1::EmbedResponse::default_instance()},
      {"/penstock.v1.Inference/ListModels", v1::ListModelsRequest::default_instance(),
       v1::ListModelsResponse::default_instance()},
  };
  static llm::JsonParser parser(42);
  if (size == 0) return 0;
  const Target& target = kTargets[bytes[0] % std::size(kTargets)];
  const llm::test::ExactCopy input({reinterpret_cast<const char*>(bytes) + 1, size - 1});
  CheckRequest(target, input.view(), parser);
  CheckAnswer(target, input.view(), parser);
  return 0;
}
