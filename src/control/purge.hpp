#pragma once

#include <optional>
#include <string>

#include "penstock/base/digest.hpp"
#include "penstock/control/control.hpp"
#include "penstock/rt/task.hpp"

namespace penstock::control {

/// What POST /admin/cache/purge asks for: exactly one of them.
struct PurgeOrder {
  std::optional<Digest> key;
  std::optional<std::string> model;
  std::optional<std::string> tenant;
  bool all = false;
};

/// The request's body; nothing: it is none of these, and `why` says what is wrong (a literal).
std::optional<PurgeOrder> ParsePurge(std::string_view body, const char*& why);

/// Purges (CONTRACT 6): what is meant cannot be served by this process from the moment that this begins, nor by any
/// other from when Redis has told it. The answer's body says what was raised or removed, and whether Redis and the disk
/// know; waits for them at most kPurgePatience. Destroying the task gives up the waiting, not the purge.
inline constexpr Duration kPurgePatience = std::chrono::seconds(2);
rt::Task<std::string> Purge(rt::Worker& worker, Workers& workers, cache::SharedCache& cache, PurgeOrder order);

}  // namespace penstock::control
