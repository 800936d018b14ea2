// What claims to be a ModelInferRequest, and what claims to be a backend's answer to it: a body is one JSON object with
// the members that the pipeline needs, and every answer is a message of its type.

#include <kserve/grpc_service.pb.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "grpc/json_members.hpp"
#include "grpc/kserve.hpp"
#include "grpc/tensor.hpp"

namespace {

using namespace penstock::grpc;
using namespace penstock::grpc::kserve;

constexpr Method kInfer{"/inference.GRPCInferenceService/ModelInfer", Service::kKserve,
                        penstock::llm::Family::kCompletions, false, false};
constexpr Method kStreamInfer{"/inference.GRPCInferenceService/ModelStreamInfer", Service::kKserve,
                              penstock::llm::Family::kCompletions, true, true};

void Require(bool condition) {
  if (!condition) std::abort();
}

void CheckBody(std::string_view body, const ReplyFacts& facts) {
  JsonMembers members;
  Require(ReadMembers(body, members) == JsonMembers::Fault::kNone);
  Require(members.Find("model") != nullptr && members.Find("prompt") != nullptr);
  Require(facts.stream == (members.Find("stream") != nullptr));
  Require(facts.choices >= 1 && facts.choices <= kElementsMax);
  std::string again;
  members.Write(again);
  Require(again == body);  // compact and sorted
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  static penstock::llm::JsonParser parser(1);
  std::string body;
  ReplyFacts facts;
  for (const Method* method : {&kInfer, &kStreamInfer}) {
    if (kserve::WriteBody(*method, text, body, facts)) {
      Require(body.empty());
    } else {
      CheckBody(body, facts);
    }
    std::string out;
    if (kserve::Whole(*method, facts, text, parser, out) && !method->server_streams) {
      Require(inference::ModelInferResponse().ParseFromString(out));
    }
  }
  std::string out;
  if (kserve::Event(kStreamInfer, facts, text, parser, out)) {
    Require(inference::ModelStreamInferResponse().ParseFromString(out));
  }
  out.clear();
  Require(kserve::Failure(kStreamInfer, facts, text, out));
  Require(inference::ModelStreamInferResponse().ParseFromString(out));
  return 0;
}
