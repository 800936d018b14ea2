#pragma once

#include <cstdint>
#include <string>

namespace penstock::app {

/// How many bytes of memory this process may use: the smallest of what the machine has and what the control groups of
/// the process, up to the root, allow (cgroup v2 memory.max, v1 memory.limit_in_bytes).
std::uint64_t UsableMemory();

/// The same, of a process whose /proc/PID/cgroup says `groups`, with the hierarchies mounted under `root`
/// (/sys/fs/cgroup), on a machine with `installed` bytes.
std::uint64_t UsableMemory(const std::string& groups, const std::string& root, std::uint64_t installed);

}  // namespace penstock::app
