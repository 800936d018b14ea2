#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "grpc/plan.hpp"
#include "penstock/base/error.hpp"
#include "penstock/llm/token_notes.hpp"

namespace penstock::grpc {

/// Replaces `json` with what `message` is in JSON, and adds its tokens to `notes`; `stream` adds "stream":true. The
/// rules of translation.hpp's TranslateRequest.
///
/// A message is scanned once, which finds where each field's values lie; its members are then written in the order of
/// their names, and so on inside them. A repeated field is found again by a scan from its first value to its last, so
/// that fields whose values alternate cost a scan each; their number is the schema's. A field's value that a later one
/// replaces is checked for its bounds alone. Allocates beyond `json` only for maps of more than
/// kEntriesInline members and for messages that come in pieces.
std::optional<Error> WriteJson(const MessagePlan& plan, std::string_view message, bool stream, std::string& json,
                               llm::TokenNotes& notes);

inline constexpr std::size_t kEntriesInline = 16;
inline constexpr std::size_t kEntriesMax = std::size_t{1} << 20;  ///< members of one map, repeated keys included
inline constexpr std::size_t kPiecesMax = 4096;  ///< of one message whose field occurs more than once (they are merged)

}  // namespace penstock::grpc
