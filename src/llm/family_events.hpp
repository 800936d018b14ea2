#pragma once

#include "llm/event_text.hpp"
#include "penstock/llm/event_writer.hpp"
#include "penstock/llm/json_value.hpp"

namespace penstock::llm {

/// The events of one family from the object that is the whole answer. Null: written, if `text` fits; else why not, a
/// constant text, and `text` holds part of it.
const char* WriteTokenEvents(const EventForm& form, json::Cursor answer, EventText& text);
const char* WriteMessageEvents(json::Cursor answer, EventText& text);
const char* WriteResponseEvents(json::Cursor answer, EventText& text);

/// Keys are compared as they were written. One with an escape may be any of them.
constexpr const char* kEscapedKey = "a key of the answer is written with an escape";
inline bool IsEscaped(std::string_view key) noexcept { return key.find('\\') != std::string_view::npos; }

}  // namespace penstock::llm
