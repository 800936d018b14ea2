#pragma once

#include <cstdint>
#include <string_view>

#include "penstock/llm/family.hpp"

namespace penstock::llm {

/// The top-level fields that the gateway reads; kUnknown is everything else, which passes untouched.
enum class Field : std::uint8_t {
  kUnknown,
  kModel,
  kMessages,
  kPrompt,
  kInput,
  kStream,
  kStreamOptions,
  kTemperature,
  kTopP,
  kSeed,
  kN,
  kMaxTokens,
  kMaxCompletionTokens,
  kMaxOutputTokens,
  kStop,
  kUser,
};

constexpr std::uint32_t Bit(Field field) { return std::uint32_t{1} << static_cast<unsigned>(field); }

/// The fields a family reads, and among them those that must be there.
struct FieldSets {
  std::uint32_t read;
  std::uint32_t required;
};
FieldSets FieldsOf(Family family) noexcept;

/// `name` decoded. One hash and one compare.
Field LookupField(std::string_view name) noexcept;
const char* FieldName(Field field) noexcept;

}  // namespace penstock::llm
