#pragma once

#include <cstdint>
#include <string_view>

namespace penstock::grpc::kserve {

/// What becomes of a tensor, a request's parameter or a sampling parameter.
enum class FieldKind : std::uint8_t {
  kInteger,       ///< a number without fraction
  kNumber,        ///< any number
  kBool,          ///< true or false
  kText,          ///< a text
  kTexts,         ///< an array of texts; empty ones are padding and left out
  kPrompt,        ///< the text to go on with, or one for each answer of a batch
  kStream,        ///< answers as they come
  kMembers,       ///< a JSON object whose members are members of the body
  kNotEcho,       ///< a bool, of which `echo` is the opposite
  kFinishReason,  ///< a bool: the output finish_reason is told
  kBeams,         ///< a number of beams
  kTokens,        ///< a token's number: an array of one
  kOnlyFalse,     ///< asks for an output that is not served
  kNone,          ///< means nothing here
  kEmptyFinal,    ///< triton_enable_empty_final_response
};

/// Immutable. A name that is known.
struct Field {
  const char* name;
  const char* member;  ///< of the body
  FieldKind kind;
};

/// Null: a name that is passed on as it is.
const Field* FindField(std::string_view name) noexcept;

}  // namespace penstock::grpc::kserve
