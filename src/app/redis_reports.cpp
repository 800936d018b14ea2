#include "app/redis_reports.hpp"

namespace penstock::app {

void RedisReports::OnRedisServer(std::string_view server, cache::RedisTrouble trouble) {
  {
    const std::lock_guard lock(mutex_);
    const auto [place, first] = told_.try_emplace(std::string(server), trouble);
    if (!first && place->second == trouble) return;
    place->second = trouble;
  }
  log_(std::string(server), trouble);
}

void RedisReports::OnPurgedKey(const Digest& digest) {
  cache_.key_purges.fetch_add(1);
  cache_.flights.Forbid(digest);
  if (cache_.memory != nullptr) cache_.memory->Erase(digest);
  if (cache_.disk != nullptr) cache_.disk->Remove(digest, [](std::optional<std::uint64_t>) {});
}

}  // namespace penstock::app
