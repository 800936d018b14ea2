#include "control/admin_pages.hpp"
#include "control/json_page.hpp"
#include "penstock/cache/tiers.hpp"

namespace penstock::control {
namespace {

/// What purges and shares are told by, in words: scopes are digests of names.
std::string NameOfTenant(const proxy::Snapshot& snapshot, std::uint64_t scope) {
  if (snapshot.config.cache.partition == config::CachePartition::kNone) return "everybody";
  if (scope == cache::TenantScope::Anonymous().id()) return std::string(config::kAnonymous);
  for (const config::ApiKey& key : snapshot.config.auth.keys) {
    if (scope == cache::TenantScope::OfKey(key.name).id()) return key.name;
  }
  return "";  // of a key that is gone
}

void WriteUse(Members& members, const cache::MemoryUse& use) {
  members.Number("entries", use.entries);
  members.Number("bytes", use.bytes);
  members.Number("hits", use.hits);
  members.Number("evictions", use.evictions);
  members.Number("expired", use.expired);
}

void WriteMemory(std::string& out, const proxy::Snapshot& snapshot, const cache::MemoryTier& memory) {
  Members members(out);
  const cache::MemoryUse use = memory.Use();
  WriteUse(members, use);
  members.Number("misses", use.misses);
  members.Number("size", memory.size_bytes());
  members.Number("allowed", memory.allowed_bytes());
  members.Number("shards", memory.shards());
  WriteList(members.Name("tenants"), memory.TenantsUse(), [&](const cache::TenantUse& each) {
    Members tenant(out);
    tenant.Text("name", NameOfTenant(snapshot, each.tenant));
    WriteUse(tenant, each.use);
    tenant.End();
  });
  members.End();
}

void WriteRedis(std::string& out, const config::RedisCache& config, const telemetry::CacheTierMetrics& metrics,
                const telemetry::MetricsReading& reading) {
  using telemetry::LookupResult;
  Members members(out);
  members.Text("mode", config::Name(config.mode));
  const auto lookups = [&](std::string_view name, LookupResult result) {
    members.Number(name, Sum(reading, metrics.lookups[static_cast<std::size_t>(result)]));
  };
  lookups("hits", LookupResult::kHit);
  lookups("misses", LookupResult::kMiss);
  lookups("corrupt", LookupResult::kCorrupt);
  lookups("failed", LookupResult::kFailed);
  lookups("refused", LookupResult::kRefused);
  lookups("skipped", LookupResult::kSkipped);
  members.End();
}

void WriteDisk(std::string& out, const config::DiskCache& config, const cache::DiskStats& stats) {
  Members members(out);
  members.Text("path", config.path);
  members.Number("size", config.size);
  members.Number("entries", stats.entries);
  members.Number("bytes", stats.bytes);
  members.Number("hits", stats.hits);
  members.Number("misses", stats.misses);
  members.Number("stored", stats.stored);
  members.Number("evictions", stats.evicted);
  members.Number("expired", stats.expired);
  members.Number("corrupt", stats.corrupt);
  members.Number("read_errors", stats.read_errors);
  members.Number("write_errors", stats.write_errors);
  members.Number("dropped", stats.dropped_queue + stats.dropped_off + stats.dropped_size);
  members.Flag("writes_on", stats.writes_on);
  members.End();
}

}  // namespace

std::string CachePage(const proxy::Snapshot& snapshot, const cache::SharedCache& cache,
                      const telemetry::GatewayMetrics& metrics) {
  const config::Cache& config = snapshot.config.cache;
  const telemetry::MetricsReading reading = metrics.registry().Read();
  constexpr auto kRedis = static_cast<std::size_t>(cache::TierName::kRedis);
  std::string out;
  Members page(out);
  page.Flag("enabled", config.enabled);
  if (cache.memory != nullptr) WriteMemory(page.Name("memory"), snapshot, *cache.memory);
  if (!cache.redis.urls.empty()) WriteRedis(page.Name("redis"), config.redis, metrics.cache.tiers[kRedis], reading);
  if (cache.disk != nullptr) WriteDisk(page.Name("disk"), config.disk, cache.disk->Stats());
  page.Number("calls_under_way", cache.flights.size());
  Members epochs(page.Name("epochs"));
  for (const auto& [name, value] : cache.epochs.Values()) {
    const std::string quoted = llm::QuoteJson(name);  // Redis may have told us of names that are not ours
    epochs.Number(std::string_view(quoted).substr(1, quoted.size() - 2), value);
  }
  epochs.End();
  page.End();
  return out;
}

}  // namespace penstock::control
