#include "penstock/cache/flight_table.hpp"

namespace penstock::cache {

FlightTable::Joined FlightTable::Join(const Digest& digest) {
  Shard& shard = ShardOf(digest);
  const std::lock_guard lock(shard.mutex);
  const auto [place, made] = shard.flights.try_emplace(digest);
  if (made) place->second = std::make_shared<Flight>(held_);
  return {place->second, made};
}

void FlightTable::Remove(const Digest& digest, const Flight& flight) {
  Shard& shard = ShardOf(digest);
  const std::lock_guard lock(shard.mutex);
  const auto found = shard.flights.find(digest);
  if (found != shard.flights.end() && found->second.get() == &flight) shard.flights.erase(found);
}

void FlightTable::Forbid(const Digest& digest) {
  Shard& shard = ShardOf(digest);
  const std::lock_guard lock(shard.mutex);
  const auto found = shard.flights.find(digest);
  if (found == shard.flights.end()) return;
  found->second->Forbid();
  shard.flights.erase(found);
}

std::size_t FlightTable::size() const {
  std::size_t size = 0;
  for (const Shard& shard : shards_) {
    const std::lock_guard lock(shard.mutex);
    size += shard.flights.size();
  }
  return size;
}

}  // namespace penstock::cache
