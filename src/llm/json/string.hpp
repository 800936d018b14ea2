#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "penstock/llm/json_value.hpp"  // Unescape

namespace penstock::llm::json {

/// What a raw string (the bytes between the quotes, known to be free of raw control characters) may contain.
/// kGrammar: RFC 8259's escapes. kText: also no lone surrogate, so that it decodes to UTF-8.
enum class Escapes : unsigned char { kGrammar, kText };

/// The first wrong escape of raw[from, size), npos when there is none. Linear.
std::size_t FindBadEscape(std::string_view raw, std::size_t from, Escapes rule) noexcept;

/// Appends `text` with quotes, escaping what JSON requires: quote, backslash, controls. Bytes that are not
/// UTF-8 become U+FFFD, so that the result is always valid JSON.
void AppendQuoted(std::string& out, std::string_view text);

/// The offset of the first byte that is not part of well-formed UTF-8 (RFC 3629), or size.
std::size_t FindInvalidUtf8(std::string_view text) noexcept;

}  // namespace penstock::llm::json
