#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "penstock/base/time.hpp"

namespace penstock::control {

/// A control group's memory.
struct GroupMemory {
  std::uint64_t limit = 0;
  std::uint64_t used = 0;  ///< without the pages of files that the kernel takes back before it kills
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
  std::optional<GroupMemory> TightestGroup() const;
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
