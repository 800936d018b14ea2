#include <google/protobuf/arena.h>

#include <algorithm>
#include <cstring>
#include <span>

#include "grpc/completion_text.hpp"
#include "grpc/json_members.hpp"
#include "grpc/kserve.hpp"
#include "grpc/tensor.hpp"
#include "penstock/llm/json_value.hpp"

namespace penstock::grpc::kserve {
namespace {

using google::protobuf::Arena;
using inference::ModelInferResponse;
using inference::ModelStreamInferResponse;

void Identify(const ReplyFacts& facts, ModelInferResponse& response) {
  response.set_model_name(facts.model);
  response.set_model_version(facts.version);
  response.set_id(facts.id);
}

/// On a stream Triton says of every answer whether it is the last one to its request.
void MarkFinal(bool final, ModelInferResponse& response) {
  (*response.mutable_parameters())["triton_final_response"].set_bool_param(final);
}

/// A tensor of BYTES, one text for each choice, in the raw form: Triton's clients look there first, and all of them
/// understand it.
template <class TextOf>
void AddTexts(const char* name, std::span<const CompletionChoice* const> choices, TextOf&& text_of,
              ModelInferResponse& response) {
  auto& output = *response.add_outputs();
  output.set_name(name);
  output.set_datatype("BYTES");
  output.add_shape(static_cast<std::int64_t>(choices.size()));
  std::string& raw = *response.add_raw_output_contents();
  for (const CompletionChoice* choice : choices) {
    const std::string_view text = text_of(choice);
    const auto size = static_cast<std::uint32_t>(text.size());
    char prefix[sizeof(size)];
    std::memcpy(prefix, &size, sizeof(size));  // little-endian, as tensor.cpp asserts of this machine
    raw.append(prefix, sizeof(prefix)).append(text);
  }
}

/// Every choice has its place in the tensors, also in an event that tells of one alone.
void AddOutputs(const ReplyFacts& facts, const std::vector<CompletionChoice>& told, ModelInferResponse& response) {
  std::vector<const CompletionChoice*> choices(std::max<std::size_t>(facts.choices, 1));
  for (const CompletionChoice& choice : told) {
    if (choice.index < choices.size()) choices[choice.index] = &choice;
  }
  if (facts.text_output) {
    AddTexts(
        "text_output", choices,
        [](const CompletionChoice* choice) {
          return choice == nullptr ? std::string_view() : std::string_view(choice->text);
        },
        response);
  }
  if (facts.finish_reason) {
    AddTexts(
        "finish_reason", choices,
        [](const CompletionChoice* choice) {
          // the word that Triton's vLLM backend has for a text that goes on
          return choice == nullptr || choice->finish_reason.empty() ? std::string_view("None")
                                                                    : std::string_view(choice->finish_reason);
        },
        response);
  }
}

/// What a string of protobuf can hold.
void SetError(std::string_view text, ModelStreamInferResponse& response) {
  std::string& message = *response.mutable_error_message();
  message = text.empty() ? std::string_view("the request failed") : text;  // empty would mean success
  if (llm::IsUtf8(message)) return;
  std::ranges::replace_if(
      message, [](char c) { return static_cast<unsigned char>(c) >= 0x80; }, '?');
}

}  // namespace

bool Whole(const Method& method, const ReplyFacts& facts, std::string_view json, llm::JsonParser& parser,
           std::string& out) {
  const auto told = ReadCompletion(json, parser);
  if (!told) return false;
  Arena arena;
  if (!method.server_streams) {
    auto& response = *Arena::CreateMessage<ModelInferResponse>(&arena);
    Identify(facts, response);
    AddOutputs(facts, *told, response);
    return response.AppendToString(&out);
  }
  auto& response = *Arena::CreateMessage<ModelStreamInferResponse>(&arena);
  ModelInferResponse& answer = *response.mutable_infer_response();
  Identify(facts, answer);
  // Triton sends an empty answer only where none with a text is the last one.
  MarkFinal(!facts.stream || !facts.empty_final, answer);
  AddOutputs(facts, *told, answer);
  return response.AppendToString(&out);
}

bool Event(const Method&, const ReplyFacts& facts, std::string_view data, llm::JsonParser& parser, std::string& out) {
  const auto told = ReadCompletion(data, parser);
  if (!told) return false;
  const auto ends = [](const CompletionChoice& choice) { return !choice.finish_reason.empty(); };
  const auto finished = static_cast<std::size_t>(std::ranges::count_if(*told, ends));
  const bool text = std::ranges::any_of(*told, [](const CompletionChoice& choice) { return !choice.text.empty(); });
  if (!text && finished == 0) return false;
  Arena arena;
  auto& response = *Arena::CreateMessage<ModelStreamInferResponse>(&arena);
  ModelInferResponse& answer = *response.mutable_infer_response();
  Identify(facts, answer);
  // Without an empty last message the event that ends the only choice is the last one. Of several choices an event
  // ends one, and the events before are not remembered: clients that must know ask for the empty one.
  MarkFinal(!facts.empty_final && finished >= facts.choices, answer);
  AddOutputs(facts, *told, answer);
  return response.AppendToString(&out);
}

bool Finish(const Method& method, const ReplyFacts& facts, std::string& out) {
  if (!method.server_streams || !facts.stream || !facts.empty_final) return false;
  Arena arena;
  auto& response = *Arena::CreateMessage<ModelStreamInferResponse>(&arena);
  Identify(facts, *response.mutable_infer_response());
  MarkFinal(true, *response.mutable_infer_response());
  return response.AppendToString(&out);
}

bool Failure(const Method& method, const ReplyFacts& facts, std::string_view text, std::string& out) {
  if (!method.server_streams) return false;
  Arena arena;
  auto& response = *Arena::CreateMessage<ModelStreamInferResponse>(&arena);
  SetError(text, response);
  Identify(facts, *response.mutable_infer_response());
  MarkFinal(true, *response.mutable_infer_response());
  return response.AppendToString(&out);
}

}  // namespace penstock::grpc::kserve
