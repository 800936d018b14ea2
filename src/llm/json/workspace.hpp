#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "llm/json/canonical.hpp"
#include "llm/json/document.hpp"
#include "llm/json/structural_index.hpp"
#include "llm/json/validator.hpp"
#include "penstock/llm/json_parser.hpp"
#include "penstock/llm/json_value.hpp"

namespace penstock::llm {

/// Owned by one Worker. What a JsonParser holds.
struct JsonParser::Workspace {
  Workspace(std::uint64_t seed, std::uint32_t depth) : validator(seed), depth_max(depth) {}

  /// A client's text: everything is checked. `document` is valid until the next call.
  json::Fault ParseRequest(std::string_view bytes);
  /// An upstream's text: the grammar alone, as SDKs' parsers would take it; nothing when it is not JSON. The
  /// cursor is at the root.
  std::optional<json::Cursor> ParseAnswer(std::string_view bytes);
  /// The same for a text whose members are moved to other places: no object may have a key twice.
  std::optional<json::Cursor> ParseUnambiguous(std::string_view bytes);
  /// A text that our own writer wrote with `notes`: only its depth and size are checked.
  json::Fault TakeNotes(std::string_view bytes);
  /// A text that ParseRequest accepted before: only `document` is made again. False: no memory.
  bool Index(std::string_view bytes);
  void Trim();
  /// `document` is compact and known to be in canonical order at every depth: its tokens are noted ones.
  bool sorted() const noexcept { return document.tokens == notes.data(); }

  json::StructuralIndex index;
  json::Validator validator;
  json::CanonicalWriter canonical;
  TokenNotes notes;
  json::Document document;
  std::uint64_t text = 0;  ///< rises whenever `document` becomes another text's or nobody's
  std::uint32_t depth_max;

 private:
  std::optional<json::Cursor> ParseLenient(std::string_view bytes, bool unique_keys);
};

}  // namespace penstock::llm
