#include "config/field.hpp"
#include "config/tables.hpp"
#include "config/text_rules.hpp"

namespace penstock::config {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Rules kTtl = Between(seconds(0), hours(24 * 365));
constexpr std::uint64_t kDiskSizeMin = 4 * kMiB;  // a log and a few entries

}  // namespace

// One row, one line.
// clang-format off
template <>
const SectionType& SectionOf<MemoryCache>() {
  static const Field kFields[] = {
      Key<&MemoryCache::size, AutoFormat<SizeFormat>>("size", "of all it holds, at least eight times max_entry; auto = 4GiB, or a quarter of the memory the process may use if that is less", Bytes(kMiB, 1024 * kGiB).Restart()),
      Key<&MemoryCache::shards>("shards", "parts with a lock each, rounded up to a power of two; auto = four per worker, fewer where one would be too small", Between(1, 256).Restart()),
      Key<&MemoryCache::policy>("policy", "which entry goes when room is needed", Rules{}.Restart()),
      Key<&MemoryCache::compress_after, SizeFormat>("compress_after", "larger entries are compressed while they are seldom asked for", Bytes(0, kGiB).Restart()),
  };
  return MakeSection<MemoryCache>(kFields);
}

template <>
const SectionType& SectionOf<RedisCache>() {
  static const Field kFields[] = {
      Key<&RedisCache::urls, RedisUrlFormat>("urls", "redis:// or rediss://, user:password@ if it asks for one, host, port, /database; inline, ${ENV} or file:PATH; none = no such tier", Rules{}.Count(0, 64).Restart()),
      Key<&RedisCache::mode>("mode", "single = one server; cluster = any of its nodes; sentinel = its sentinels", Rules{}.Restart()),
      Key<&RedisCache::master>("master", "what the sentinels call it; for mode sentinel", Between(0, 128).Text(kNameRule).Restart()),
      Key<&RedisCache::connect_timeout>("connect_timeout", "TCP, TLS and login", Between(milliseconds(1), seconds(10)).Restart()),
      Key<&RedisCache::timeout>("timeout", "for one command; a lookup that takes longer is a miss", Between(milliseconds(1), seconds(1)).Restart()),
      Key<&RedisCache::in_flight_max>("in_flight_max", "commands without a reply per connection; beyond: a miss at once", Between(1, 65'536).Restart()),
  };
  return MakeSection<RedisCache>(kFields);
}

template <>
const SectionType& SectionOf<DiskCache>() {
  static const Field kFields[] = {
      Key<&DiskCache::path>("path", "a folder for this process alone, made if its parent is there; empty = no such tier", Between(0, 4095).Restart()),
      Key<&DiskCache::size, SizeFormat>("size", "bytes on disk at most", Bytes(kDiskSizeMin, 16 * 1024 * kGiB).Restart()),
  };
  return MakeSection<DiskCache>(kFields);
}

template <>
const SectionType& SectionOf<Cache>() {
  static const Field kFields[] = {
      Key<&Cache::enabled>("enabled", "look answers up and store them"),
      Key<&Cache::ttl>("ttl", "an answer is served for this long after it was stored; 0 = none is stored or served", kTtl),
      Key<&Cache::partition>("partition", "key = an API key's answers are its own; none = shared by all", Rules{}.Restart()),
      Key<&Cache::store>("store", "deterministic = embeddings and the like, generation with temperature 0 or a seed; opt_in = what sends x-penstock-cache: use"),
      Key<&Cache::max_entry, SizeFormat>("max_entry", "a larger answer is not stored", Bytes(kKiB, 32 * kMiB)),
      Key<&Cache::coalesce>("coalesce", "equal requests that come while one is answered wait for that answer"),
      Key<&Cache::memory>("memory", "the first tier"),
      Key<&Cache::redis>("redis", "the second tier, shared by several gateways"),
      Key<&Cache::disk>("disk", "the third tier, kept over restarts"),
  };
  return MakeSection<Cache>(kFields);
}

template <>
const SectionType& SectionOf<ModelCache>() {
  static const Field kFields[] = {
      Key<&ModelCache::ttl>("ttl", "auto = cache.ttl", kTtl),
      Key<&ModelCache::store>("store", "auto = cache.store"),
  };
  return MakeSection<ModelCache>(kFields);
}
// clang-format on

}  // namespace penstock::config
