#include "llm/request_fields.hpp"

#include <array>
#include <cstddef>

namespace penstock::llm {
namespace {

constexpr std::array<std::string_view, 16> kNames = {
    "",
    "model",
    "messages",
    "prompt",
    "input",
    "stream",
    "stream_options",
    "temperature",
    "top_p",
    "seed",
    "n",
    "max_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    "stop",
    "user",
};

constexpr std::size_t kSlots = 32;
constexpr std::size_t SlotOf(std::string_view name) {
  return (name.size() + 7 * static_cast<unsigned char>(name.back())) % kSlots;
}

/// Perfect over kNames: built at compile time, which fails when a new name collides.
constexpr std::array<Field, kSlots> kSlotTable = [] {
  std::array<Field, kSlots> table{};
  for (std::size_t i = 1; i < kNames.size(); ++i) {
    Field& slot = table[SlotOf(kNames[i])];
    if (slot != Field::kUnknown) throw "two names share a slot: change SlotOf";
    slot = static_cast<Field>(i);
  }
  return table;
}();

constexpr std::uint32_t kSampling =
    Bit(Field::kTemperature) | Bit(Field::kTopP) | Bit(Field::kSeed) | Bit(Field::kUser);
constexpr std::uint32_t kGeneration = Bit(Field::kModel) | kSampling | Bit(Field::kStream) |
                                      Bit(Field::kStreamOptions) | Bit(Field::kN) | Bit(Field::kMaxTokens) |
                                      Bit(Field::kMaxCompletionTokens) | Bit(Field::kStop);

}  // namespace

FieldSets FieldsOf(Family family) noexcept {
  constexpr std::uint32_t kModel = Bit(Field::kModel);
  switch (family) {
    case Family::kChat: return {kGeneration | Bit(Field::kMessages), kModel | Bit(Field::kMessages)};
    case Family::kCompletions: return {kGeneration | Bit(Field::kPrompt), kModel | Bit(Field::kPrompt)};
    case Family::kEmbeddings: return {kModel | Bit(Field::kInput) | Bit(Field::kUser), kModel | Bit(Field::kInput)};
    case Family::kResponses:
      return {kModel | kSampling | Bit(Field::kStream) | Bit(Field::kStreamOptions) | Bit(Field::kMaxOutputTokens),
              kModel};
    case Family::kMessages:
      return {kModel | Bit(Field::kTemperature) | Bit(Field::kTopP) | Bit(Field::kStream) | Bit(Field::kMessages) |
                  Bit(Field::kMaxTokens),
              kModel | Bit(Field::kMessages)};
    case Family::kCountTokens: return {kModel | Bit(Field::kMessages), kModel | Bit(Field::kMessages)};
    case Family::kRerank:
    case Family::kScore: return {kModel, kModel};
    case Family::kTokenize:
    case Family::kDetokenize: return {kModel, 0};
  }
  return {0, 0};
}

Field LookupField(std::string_view name) noexcept {
  if (name.empty()) return Field::kUnknown;
  const Field field = kSlotTable[SlotOf(name)];
  return kNames[static_cast<std::size_t>(field)] == name ? field : Field::kUnknown;
}

const char* FieldName(Field field) noexcept { return kNames[static_cast<std::size_t>(field)].data(); }

}  // namespace penstock::llm
