#pragma once

namespace penstock {

/// Prints the failed condition and aborts. Never for peer input: that is an Error.
[[noreturn]] void AssertionFailed(const char* condition, const char* file, int line) noexcept;

}  // namespace penstock

/// A programmer's error: checked in every build, release included.
#define PENSTOCK_ASSERT(condition)                           \
  (__builtin_expect(!!(condition), 1) ? static_cast<void>(0) \
                                      : ::penstock::AssertionFailed(#condition, __FILE__, __LINE__))

/// A place that no correct program comes to; `why` says so.
#define PENSTOCK_UNREACHABLE(why) ::penstock::AssertionFailed(why, __FILE__, __LINE__)
