#include "penstock/control/resource_files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <sstream>
#include <string_view>
#include <system_error>
#include <vector>

namespace penstock::control {
namespace {

/// Several times a second: without streams and their locales.
std::string ReadText(const std::string& path) {
  std::string text;
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return text;
  std::array<char, 4096> piece;
  while (true) {
    const ssize_t size = ::read(file, piece.data(), piece.size());
    if (size <= 0) break;
    text.append(piece.data(), static_cast<std::size_t>(size));
  }
  ::close(file);
  return text;
}

std::optional<std::uint64_t> Number(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end == text.data()) return std::nullopt;
  return number;
}

/// The n-th word, from 0.
std::string_view Word(std::string_view text, unsigned n) {
  constexpr std::string_view kBlank = " \t\n";
  for (;; --n) {
    text.remove_prefix(std::min(text.find_first_not_of(kBlank), text.size()));
    const std::string_view word = text.substr(0, text.find_first_of(kBlank));
    if (n == 0 || word.empty()) return n == 0 ? word : std::string_view{};
    text.remove_prefix(word.size());
  }
}

/// What stands behind `name` at the beginning of a line.
std::optional<std::uint64_t> NumberAfter(std::string_view text, std::string_view name) {
  for (std::size_t at = text.find(name); at != text.npos; at = text.find(name, at + 1)) {
    if (at == 0 || text[at - 1] == '\n') return Number(Word(text.substr(at + name.size()), 0));
  }
  return std::nullopt;
}

/// Folders of the process's groups in one controller's hierarchy, from the innermost to the root.
std::vector<std::string> Groups(const std::string& root, const std::string& controller, bool& version_2) {
  std::istringstream lines(ReadText(root + "/proc/self/cgroup"));
  // A line is ID:CONTROLLERS:PATH; version 2 has one line with ID 0 and no controllers.
  std::vector<std::string> folders;
  for (std::string line; std::getline(lines, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (first == line.npos || second == line.npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    std::string group = line.substr(second + 1);
    const bool two = controllers == ",,";
    if (!two && controllers.find("," + controller + ",") == controllers.npos) continue;
    if (!folders.empty() && two) continue;  // a controller is in one hierarchy only
    version_2 = two;
    folders.clear();
    const std::string top = root + "/sys/fs/cgroup" + (two ? "" : "/" + controller);
    if (group == "/") group.clear();
    while (true) {
      folders.push_back(top + group);
      if (group.empty()) break;
      group.resize(group.rfind('/'));
    }
  }
  return folders;
}

}  // namespace

std::optional<std::uint64_t> ResourceFiles::ResidentBytes() const {
  const std::string text = ReadText(root_ + "/proc/self/statm");
  const auto pages = Number(Word(text, 1));
  if (!pages.has_value()) return std::nullopt;
  return *pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

std::optional<std::uint64_t> ResourceFiles::InstalledBytes() const {
  const auto kilobytes = NumberAfter(ReadText(root_ + "/proc/meminfo"), "MemTotal:");
  if (!kilobytes.has_value()) return std::nullopt;
  return *kilobytes * 1024;
}

std::optional<MemoryGroup> ResourceFiles::TightestGroup() const {
  bool two = false;
  std::optional<MemoryGroup> tightest;
  for (const std::string& folder : Groups(root_, "memory", two)) {
    const auto limit = Number(ReadText(folder + (two ? "/memory.max" : "/memory.limit_in_bytes")));
    if (!limit.has_value() || (tightest.has_value() && tightest->limit <= *limit)) continue;
    tightest = MemoryGroup{folder, *limit, two};
  }
  return tightest;
}

std::optional<std::uint64_t> ResourceFiles::UsedBytes(const MemoryGroup& group) const {
  return Number(ReadText(group.folder + (group.version_2 ? "/memory.current" : "/memory.usage_in_bytes")));
}

std::uint64_t ResourceFiles::FileBytes(const MemoryGroup& group) const {
  return NumberAfter(ReadText(group.folder + "/memory.stat"),
                     group.version_2 ? "inactive_file " : "total_inactive_file ")
      .value_or(0);
}

std::uint64_t ResourceFiles::UsableBytes() const {
  const std::uint64_t installed = InstalledBytes().value_or(0);
  const auto group = TightestGroup();
  if (!group.has_value()) return installed;
  return installed == 0 ? group->limit : std::min(installed, group->limit);
}

std::optional<Duration> ResourceFiles::CpuTime() const {
  const std::string text = ReadText(root_ + "/proc/self/stat");
  // The name in parentheses may hold anything: count from the last one. The state behind it is field 3.
  const std::size_t name_end = text.rfind(')');
  if (name_end == text.npos) return std::nullopt;
  const std::string_view rest = std::string_view(text).substr(name_end + 1);
  const auto user = Number(Word(rest, 11));
  const auto system = Number(Word(rest, 12));
  if (!user.has_value() || !system.has_value()) return std::nullopt;
  const auto tick = Duration(std::chrono::seconds(1)) / ::sysconf(_SC_CLK_TCK);
  return static_cast<std::int64_t>(*user + *system) * tick;
}

std::optional<double> ResourceFiles::CpuQuota() const {
  bool two = false;
  std::optional<double> least;
  for (const std::string& folder : Groups(root_, "cpu", two)) {
    const std::string text =
        two ? ReadText(folder + "/cpu.max")
            : ReadText(folder + "/cpu.cfs_quota_us") + " " + ReadText(folder + "/cpu.cfs_period_us");
    const auto quota = Number(Word(text, 0));  // "max", or -1: none
    const auto period = Number(Word(text, 1));
    if (!quota.has_value() || !period.has_value() || *period == 0) continue;
    const double cores = static_cast<double>(*quota) / static_cast<double>(*period);
    if (!least.has_value() || cores < *least) least = cores;
  }
  return least;
}

std::optional<std::uint64_t> ResourceFiles::OpenFiles() const {
  const std::string folder = root_ + "/proc/self/fd";
  // Since Linux 6.2 the folder's size is the count; earlier it is 0.
  struct stat status {};
  if (::stat(folder.c_str(), &status) == 0 && status.st_size > 0 && root_.empty()) {
    return static_cast<std::uint64_t>(status.st_size);
  }
  std::error_code error;
  std::uint64_t count = 0;
  for (std::filesystem::directory_iterator each(folder, error), end; !error && each != end; each.increment(error))
    ++count;
  if (error) return std::nullopt;
  return count;
}

bool ResourceFiles::Traced() const {
  return NumberAfter(ReadText(root_ + "/proc/self/status"), "TracerPid:").value_or(0) != 0;
}

}  // namespace penstock::control
