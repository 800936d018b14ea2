#include "app/file_limit.hpp"

#include <sys/resource.h>

#include <algorithm>

namespace penstock::app {

std::uint64_t FilesNeeded(const config::Config& config, unsigned workers) {
  const std::uint64_t clients = config.server.limits.connections;
  std::uint64_t pools = 0;
  for (const config::Cluster& cluster : config.clusters) {
    pools += std::uint64_t{workers} * cluster.endpoints.size() * cluster.connections.max;
  }
  return clients + std::min(pools, clients / 2) + kFilesReserve;
}

std::optional<std::string> RaiseFileLimit(const config::Config& config, unsigned workers) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return "cannot read the limit on open files";
  if (limit.rlim_cur != limit.rlim_max) {
    const rlimit raised{limit.rlim_max, limit.rlim_max};
    if (::setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
  }
  const std::uint64_t needed = FilesNeeded(config, workers);
  if (limit.rlim_cur >= needed) return std::nullopt;
  return "the limit on open files is " + std::to_string(limit.rlim_cur) + ", but the configuration may need " +
         std::to_string(needed) + ": raise it (ulimit -n, LimitNOFILE=) or lower server.limits.connections";
}

}  // namespace penstock::app
