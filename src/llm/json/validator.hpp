#pragma once

#include <cstdint>
#include <memory>

#include "llm/json/document.hpp"
#include "llm/json/key_ledger.hpp"
#include "llm/json/string.hpp"

namespace penstock::llm::json {

/// What a text must obey beyond the grammar.
struct Strictness {
  std::uint32_t depth_max = 128;     ///< containers inside each other; the root counts
  bool unique_keys = true;           ///< in every object
  bool finite_numbers = true;        ///< NumberFault::kRange is a fault
  Escapes escapes = Escapes::kText;  ///< kText: lone surrogates are a fault
};

/// Owned by one Worker. Walks every token of an indexed text once, without recursion, and so turns "has
/// tokens" into "is valid JSON". Keeps its stacks between texts: no allocation after warm-up.
class Validator {
 public:
  static constexpr std::uint32_t kDepthMax = 1024;  ///< Strictness::depth_max may not exceed it

  explicit Validator(std::uint64_t seed) noexcept : ledger_(seed) {}

  Fault Check(const Document& document, const Strictness& strictness);
  void Trim();

 private:
  struct Frame {
    KeyLedger::Scope scope;  ///< for objects
    bool object = false;
  };

  char Peek() const noexcept { return token_ < end_ ? document_.bytes[*token_] : '\0'; }
  bool Walk();
  [[gnu::always_inline]] inline bool Enter(bool object);
  [[gnu::always_inline]] inline bool Leave();
  [[gnu::always_inline]] inline bool Key();
  [[gnu::always_inline]] inline bool Scalar(char first);
  [[gnu::always_inline]] inline bool String(std::string_view& raw, bool& escaped);
  bool Literal(std::string_view literal);
  /// The bytes of the token at hand without the white space behind it.
  [[gnu::always_inline]] inline std::string_view Token() const noexcept;
  bool Refuse(ErrorCode code, const char* context, std::uint32_t offset) noexcept;
  bool Refuse(const char* context) noexcept { return Refuse(ErrorCode::kInvalidJson, context, *token_); }

  Document document_;
  Strictness strictness_;
  const std::uint32_t* token_ = nullptr;
  const std::uint32_t* end_ = nullptr;
  std::uint32_t next_backslash_ = 0;  ///< the first one of the string at hand or behind it; else document_.size
  Fault fault_;
  std::unique_ptr<Frame[]> frames_ = std::make_unique<Frame[]>(kDepthMax);  ///< of the open containers
  std::uint32_t depth_ = 0;
  KeyLedger ledger_;
};

}  // namespace penstock::llm::json
