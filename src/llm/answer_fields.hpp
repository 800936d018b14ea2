#pragma once

#include <cstdint>
#include <string_view>

#include "penstock/llm/json_value.hpp"
#include "penstock/llm/usage.hpp"

namespace penstock::llm {

/// Readers of the pieces that stream events and whole answers share. All are tolerant: an ill-typed value
/// reads as absent.

/// At an OpenAI, Responses or Anthropic `usage` object. Fields that are absent keep their values, for
/// Anthropic spreads them over two events.
void ReadUsage(json::Cursor usage, Usage& into);
/// At llama.cpp's `timings`: the token counts of a server that was not asked for usage.
void ReadTimings(json::Cursor timings, Usage& into);

/// At a finish_reason, stop_reason or matched value: kNone for null and "". SGLang's {"type":"abort"} is
/// understood.
FinishReason ReadFinishReason(json::Cursor value);
FinishReason FinishReasonOf(std::string_view name) noexcept;

/// At a count; 0 for anything but an integer of 32 bits.
std::uint32_t ReadCount(json::Cursor value) noexcept;

/// At the value of an `error` member, as SDKs see it: null, false, "" and 0 are none.
bool IsErrorValue(const json::Cursor& value) noexcept;
/// At an error value of any server: object, string, or anything else that is not null. The HTTP status it
/// stands for: taken from an integer code or status of 400-599, then from type and code names, else 500.
std::uint16_t ReadErrorStatus(json::Cursor error);
/// By name ("overloaded_error", "rate_limit_exceeded", ...); 0 when the name says nothing.
std::uint16_t StatusOfErrorName(std::string_view name) noexcept;

}  // namespace penstock::llm
