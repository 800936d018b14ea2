#include "app/memory_limit.hpp"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <optional>
#include <sstream>

namespace penstock::app {
namespace {

/// A number in a file; nothing: no such file, or it says "max".
std::optional<std::uint64_t> ReadNumber(const std::string& path) {
  std::ifstream file(path);
  std::string word;
  if (!(file >> word)) return std::nullopt;
  std::uint64_t number = 0;
  const auto result = std::from_chars(word.data(), word.data() + word.size(), number);
  if (result.ec != std::errc() || result.ptr != word.data() + word.size()) return std::nullopt;
  return number;
}

/// The smallest limit of `group` and of those that it lies in.
std::uint64_t SmallestUpwards(const std::string& root, std::string group, const std::string& file,
                              std::uint64_t smallest) {
  while (true) {
    if (const auto limit = ReadNumber(root + group + "/" + file)) smallest = std::min(smallest, *limit);
    if (group.empty()) return smallest;
    group.resize(std::min(group.rfind('/'), group.size()));
  }
}

}  // namespace

std::uint64_t UsableMemory(const std::string& groups, const std::string& root, std::uint64_t installed) {
  std::uint64_t usable = installed;
  std::istringstream lines(groups);
  // A line is ID:CONTROLLERS:PATH; version 2 has one line with ID 0 and no controllers (cgroups(7)).
  for (std::string line; std::getline(lines, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    std::string group = line.substr(second + 1);
    if (group == "/") group.clear();
    if (controllers.empty()) {
      usable = SmallestUpwards(root, group, "memory.max", usable);
    } else if (("," + controllers + ",").find(",memory,") != std::string::npos) {
      usable = SmallestUpwards(root + "/memory", group, "memory.limit_in_bytes", usable);
    }
  }
  return usable;
}

std::uint64_t UsableMemory() {
  std::ifstream file("/proc/self/cgroup");
  std::ostringstream groups;
  groups << file.rdbuf();
  const auto installed =
      static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  return UsableMemory(groups.str(), "/sys/fs/cgroup", installed);
}

}  // namespace penstock::app
