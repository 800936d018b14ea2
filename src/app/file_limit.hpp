#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "penstock/config/config.hpp"

namespace penstock::app {

/// Descriptors that a configuration may need at once: its client connections, the upstream connections that it may hold
/// beside them, and a reserve. The upstream side is every pool filled (workers x endpoints x connections.max) but at
/// most one for every second client: a client's connection is idle most of the time, a pool's is not.
std::uint64_t FilesNeeded(const config::Config& config, unsigned workers);

/// Listening sockets, event loops, logs, the admin API, files read on a reload (FAULTS P-06).
inline constexpr std::uint64_t kFilesReserve = 64;

/// Raises the soft limit on open files to the hard one; the line why that is not enough for `config`, or none.
std::optional<std::string> RaiseFileLimit(const config::Config& config, unsigned workers);

}  // namespace penstock::app
