#pragma once

#include <cstdint>

namespace penstock::telemetry {

/// What /proc says of this process. Zero where it says nothing. Read at a scrape only.
struct ProcessStats {
  double cpu_seconds = 0;
  double start_time_seconds = 0;  ///< since the epoch
  std::uint64_t resident_bytes = 0;
  std::uint64_t virtual_bytes = 0;
  std::uint64_t open_fds = 0;
  std::uint64_t max_fds = 0;
};

ProcessStats ReadProcessStats();

}  // namespace penstock::telemetry
