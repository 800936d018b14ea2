#include "telemetry/process_stats.hpp"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

namespace penstock::telemetry {

namespace {

/// The start of a small file; empty when it cannot be read.
std::size_t ReadText(const char* path, char* buffer, std::size_t size) {
  std::FILE* const file = std::fopen(path, "re");
  if (file == nullptr) return buffer[0] = '\0', 0;
  const std::size_t got = std::fread(buffer, 1, size - 1, file);
  std::fclose(file);
  buffer[got] = '\0';
  return got;
}

double BootTimeSeconds() {
  char text[16384];
  ReadText("/proc/stat", text, sizeof text);
  const char* const line = std::strstr(text, "\nbtime ");
  unsigned long long seconds = 0;
  if (line != nullptr) std::sscanf(line, "\nbtime %llu", &seconds);
  return static_cast<double>(seconds);
}

std::uint64_t CountOpenFds() {
  DIR* const directory = opendir("/proc/self/fd");
  if (directory == nullptr) return 0;
  std::uint64_t entries = 0;
  while (readdir(directory) != nullptr) ++entries;
  closedir(directory);
  return entries - 3;  // ".", ".." and the directory's own
}

}  // namespace

ProcessStats ReadProcessStats() {
  ProcessStats stats;
  char text[1024];
  ReadText("/proc/self/stat", text, sizeof text);
  // The name in parentheses may hold anything: count from the last one. proc(5): state is field 3.
  const char* const after_name = std::strrchr(text, ')');
  unsigned long user = 0;
  unsigned long system = 0;
  unsigned long long start = 0;
  unsigned long virtual_bytes = 0;
  long resident_pages = 0;
  if (after_name != nullptr &&
      std::sscanf(after_name,
                  ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %*d %*d %*d %*d %*d %*d %llu %lu %ld", &user,
                  &system, &start, &virtual_bytes, &resident_pages) == 5) {
    const auto ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
    stats.cpu_seconds = static_cast<double>(user + system) / ticks;
    stats.start_time_seconds = BootTimeSeconds() + static_cast<double>(start) / ticks;
    stats.virtual_bytes = virtual_bytes;
    stats.resident_bytes =
        static_cast<std::uint64_t>(resident_pages) * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  }
  stats.open_fds = CountOpenFds();
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) stats.max_fds = limit.rlim_cur;
  return stats;
}

}  // namespace penstock::telemetry
