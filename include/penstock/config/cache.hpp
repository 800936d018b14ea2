#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "penstock/base/parse.hpp"
#include "penstock/base/secret.hpp"
#include "penstock/base/time.hpp"

namespace penstock::config {

/// Who may be served an answer that another request caused.
enum class CachePartition : std::uint8_t { kKey, kNone };
/// Which requests are looked up and stored. kOptIn: those that ask for it.
enum class CacheStore : std::uint8_t { kDeterministic, kAlways, kOptIn };
enum class CacheEviction : std::uint8_t { kS3Fifo, kLru };
enum class RedisMode : std::uint8_t { kSingle, kCluster, kSentinel };
std::string_view Name(CachePartition partition) noexcept;
std::string_view Name(CacheStore store) noexcept;
std::string_view Name(CacheEviction policy) noexcept;
std::string_view Name(RedisMode mode) noexcept;

struct MemoryCache {
  /// Bytes; nullopt (`auto`): the smaller of 4 GiB and a quarter of the memory the process may use.
  std::optional<std::uint64_t> size;
  std::optional<std::uint32_t> shards;  ///< nullopt (`auto`): by workers, `size` and `max_entry`
  CacheEviction policy = CacheEviction::kS3Fifo;
  std::uint64_t compress_after = 64 * kKiB;  ///< bytes
};

struct RedisCache {
  /// redis[s]://[[user]:password@]host[:port][/database], none: no such tier. Load() has looked at their form, not at
  /// what is percent-encoded in them. One in mode single.
  std::vector<Secret> urls;
  RedisMode mode = RedisMode::kSingle;
  std::string master;  ///< the name the sentinels know it by; set exactly in mode sentinel
  Duration connect_timeout = std::chrono::milliseconds(100);
  Duration timeout = std::chrono::milliseconds(20);
  std::uint32_t in_flight_max = 4096;
};

struct DiskCache {
  std::string path;  ///< a folder; empty: no such tier
  std::uint64_t size = 10 * kGiB;
};

struct Cache {
  bool enabled = true;
  Duration ttl = std::chrono::seconds(300);  ///< 0: nothing is stored or served
  CachePartition partition = CachePartition::kKey;
  CacheStore store = CacheStore::kDeterministic;
  std::uint64_t max_entry = 2 * kMiB;  ///< bytes; at most an eighth of a given `memory.size`
  bool coalesce = true;
  MemoryCache memory;
  RedisCache redis;
  DiskCache disk;
};

/// What a model has of its own; nullopt (`auto`): as in Cache.
struct ModelCache {
  std::optional<Duration> ttl;
  std::optional<CacheStore> store;
};

/// What keeps `path` from being the folder of the disk tier: it must be a folder that this process can write into, no
/// symbolic link, or its parent must be one. Empty: nothing, or `path` is empty. Looks only, makes nothing. `penstock
/// check` reports it at `cache.disk.path`.
std::string DiskPathProblem(const std::string& path);

}  // namespace penstock::config
