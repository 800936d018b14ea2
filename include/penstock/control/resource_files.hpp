#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "penstock/base/time.hpp"

namespace penstock::control {

/// Immutable. A control group that limits memory.
struct MemoryGroup {
  std::string folder;
  std::uint64_t limit = 0;
  bool version_2 = false;
};

/// Immutable. What the kernel says of this process and of the groups it is in, read anew with each call; nothing where
/// it says nothing. proc(5), cgroups(7), cgroup-v2.rst and cgroup-v1/memory.rst of the kernel's documentation.
class ResourceFiles {
 public:
  /// `root` stands before every path.
  explicit ResourceFiles(std::string root = "") : root_(std::move(root)) {}

  std::optional<std::uint64_t> ResidentBytes() const;
  /// Of the machine.
  std::optional<std::uint64_t> InstalledBytes() const;
  /// Of the groups that the process is in, up to the root: the one with the smallest limit. Version 2 and version 1.
  std::optional<MemoryGroup> TightestGroup() const;
  /// What the group's processes use, pages of files included.
  std::optional<std::uint64_t> UsedBytes(const MemoryGroup& group) const;
  /// Of that: pages of files that the kernel takes back before it kills. It counts them only now, which takes it long.
  std::uint64_t FileBytes(const MemoryGroup& group) const;
  /// What the process may use: the machine's, or its tightest group's if that is less. 0: nobody knows.
  std::uint64_t UsableBytes() const;
  /// User and system time of all threads, in the kernel's ticks of 10 ms.
  std::optional<Duration> CpuTime() const;
  /// Cores' worth of time that the groups let the process have.
  std::optional<double> CpuQuota() const;
  std::optional<std::uint64_t> OpenFiles() const;
  /// A debugger is attached.
  bool Traced() const;

 private:
  std::string root_;
};

}  // namespace penstock::control
