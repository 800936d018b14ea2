#pragma once

#include <cstddef>

namespace penstock {

/// Shared: atomics. Address space put aside for the moment at which the kernel refuses more (RLIMIT_AS, overcommit off,
/// a limit on mappings): operator new takes a part of it back and tries again, so that what is under way ends in good
/// order while the control thread sheds load. When nothing is left the process says so in one line and aborts: no
/// half-made object is ever seen. A control group's limit is none of this; there the kernel kills (overload.memory
/// keeps away from it).
///
/// C libraries that allocate by malloc do not ask here: they report a failure, and a request fails.
class MemoryReserve {
 public:
  static constexpr std::size_t kParts = 32;
  static constexpr std::size_t kPartBytes = 256 * 1024;  ///< pages that nobody touches: no resident memory

  /// Fills it and becomes the process's new-handler. Once, before other threads.
  static void Install();
  /// Fills up what was taken; how many parts that were since the last call. One thread at a time.
  static std::size_t Refill();
};

}  // namespace penstock
