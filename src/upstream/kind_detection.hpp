#pragma once

#include <array>
#include <string_view>

#include "penstock/config/clusters.hpp"

namespace penstock::upstream {

/// A path that one kind of server alone answers with a JSON object that has these members.
struct KindQuestion {
  std::string_view path;
  config::EndpointKind kind;
  std::array<std::string_view, 2> members;  ///< "" = no second one
};

/// In the order in which they are asked: SGLang also speaks some of Ollama's paths, so its own comes first.
inline constexpr std::array<KindQuestion, 5> kKindQuestions = {{
    {"/version", config::EndpointKind::kVllm, {"version", ""}},
    {"/props", config::EndpointKind::kLlamacpp, {"default_generation_settings", ""}},
    {"/info", config::EndpointKind::kTgi, {"model_id", "version"}},
    {"/get_model_info", config::EndpointKind::kSglang, {"model_path", ""}},
    {"/api/version", config::EndpointKind::kOllama, {"version", ""}},
}};

/// Whether this is the answer of the kind that the question is about.
bool Answers(const KindQuestion& question, int status, std::string_view body) noexcept;

}  // namespace penstock::upstream
