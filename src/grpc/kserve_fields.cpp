#include "grpc/kserve_fields.hpp"

#include <algorithm>

namespace penstock::grpc::kserve {
namespace {

/// By name. Tensors of Triton's vLLM backend (src/utils/request.py) and of TensorRT-LLM's ensemble (config.pbtxt of
/// all_models/inflight_batcher_llm), parameters that Triton's server keeps for itself (its extensions for sequences,
/// schedule policy, parameters), and the sampling parameters that vLLM and TensorRT-LLM share with each other or with
/// OpenAI, because a request's parameters can hold their numbers as texts alone.
constexpr Field kFields[] = {
    {"bad_words", "bad_words", FieldKind::kTexts},
    {"beam_width", "n", FieldKind::kBeams},
    {"best_of", "best_of", FieldKind::kInteger},
    {"binary_data_output", "", FieldKind::kNone},
    {"echo", "echo", FieldKind::kBool},
    {"end_id", "stop_token_ids", FieldKind::kTokens},
    {"exclude_input_in_output", "echo", FieldKind::kNotEcho},
    {"frequency_penalty", "frequency_penalty", FieldKind::kNumber},
    {"ignore_eos", "ignore_eos", FieldKind::kBool},
    {"include_stop_str_in_output", "include_stop_str_in_output", FieldKind::kBool},
    {"length_penalty", "length_penalty", FieldKind::kNumber},
    {"logprobs", "logprobs", FieldKind::kInteger},
    {"max_tokens", "max_tokens", FieldKind::kInteger},
    {"min_length", "min_tokens", FieldKind::kInteger},
    {"min_p", "min_p", FieldKind::kNumber},
    {"min_tokens", "min_tokens", FieldKind::kInteger},
    {"n", "n", FieldKind::kInteger},
    {"pad_id", "", FieldKind::kNone},
    {"parameters", "", FieldKind::kMembers},
    {"presence_penalty", "presence_penalty", FieldKind::kNumber},
    {"priority", "", FieldKind::kNone},
    {"prompt_logprobs", "prompt_logprobs", FieldKind::kInteger},
    {"random_seed", "seed", FieldKind::kInteger},
    {"repetition_penalty", "repetition_penalty", FieldKind::kNumber},
    {"return_context_logits", "", FieldKind::kOnlyFalse},
    {"return_cumulative_logprob", "", FieldKind::kOnlyFalse},
    {"return_finish_reason", "", FieldKind::kFinishReason},
    {"return_generation_logits", "", FieldKind::kOnlyFalse},
    {"return_log_probs", "", FieldKind::kOnlyFalse},
    {"return_logprobs", "", FieldKind::kOnlyFalse},
    {"return_num_input_tokens", "", FieldKind::kOnlyFalse},
    {"return_num_output_tokens", "", FieldKind::kOnlyFalse},
    {"sampling_parameters", "", FieldKind::kMembers},
    {"seed", "seed", FieldKind::kInteger},
    {"sequence_end", "", FieldKind::kNone},
    {"sequence_id", "", FieldKind::kNone},
    {"sequence_start", "", FieldKind::kNone},
    {"skip_special_tokens", "skip_special_tokens", FieldKind::kBool},
    {"spaces_between_special_tokens", "spaces_between_special_tokens", FieldKind::kBool},
    {"stop", "stop", FieldKind::kTexts},
    {"stop_words", "stop", FieldKind::kTexts},
    {"stream", "stream", FieldKind::kStream},
    {"suffix", "suffix", FieldKind::kText},
    {"temperature", "temperature", FieldKind::kNumber},
    {"text_input", "prompt", FieldKind::kPrompt},
    {"timeout", "", FieldKind::kNone},
    {"top_k", "top_k", FieldKind::kInteger},
    {"top_p", "top_p", FieldKind::kNumber},
    {"triton_enable_empty_final_response", "", FieldKind::kEmptyFinal},
    {"truncate_prompt_tokens", "truncate_prompt_tokens", FieldKind::kInteger},
    {"use_beam_search", "use_beam_search", FieldKind::kBool},
    {"user", "user", FieldKind::kText},
};
static_assert(std::ranges::is_sorted(kFields, {}, [](const Field& field) { return std::string_view(field.name); }));

}  // namespace

const Field* FindField(std::string_view name) noexcept {
  const Field* const found =
      std::ranges::lower_bound(kFields, name, {}, [](const Field& field) { return std::string_view(field.name); });
  return found != std::end(kFields) && name == found->name ? found : nullptr;
}

}  // namespace penstock::grpc::kserve
