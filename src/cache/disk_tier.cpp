#include "penstock/cache/disk_tier.hpp"

#include <algorithm>

#include "cache/disk/counters.hpp"
#include "cache/disk/readers.hpp"
#include "cache/disk/writer.hpp"
#include "penstock/base/assert.hpp"

namespace penstock::cache {

using disk::Command;
using disk::Increment;

Result<std::unique_ptr<DiskTier>, std::string> DiskTier::Open(DiskOptions options) {
  PENSTOCK_ASSERT(options.now && options.wall);
  if (options.size < kDiskSizeMin) return std::string("cache.disk.size: must be at least 4MiB");
  TRY(disk::Folder folder, disk::Folder::Open(options.path));
  std::unique_ptr<DiskTier> tier(new DiskTier(std::move(options), std::move(folder)));
  TRY(const bool opened, tier->writer_->Open());
  PENSTOCK_ASSERT(opened);
  tier->readers_->Start(std::max(1u, tier->options_.readers), *tier->writer_);
  tier->writer_->Start();
  return tier;
}

DiskTier::DiskTier(DiskOptions options, disk::Folder folder)
    : options_(std::move(options)),
      counters_(std::make_unique<disk::Counters>()),
      readers_(std::make_unique<disk::Readers>(folder.database(), *counters_)),
      writer_(std::make_unique<disk::Writer>(std::move(folder), options_, *readers_, *counters_)) {}

DiskTier::~DiskTier() { Stop(); }

bool DiskTier::Find(const Digest& key, const Scope& scope, WallTime now, rt::Worker& worker, Found found) {
  disk::Readers::Question question{key, scope, now, &worker, std::move(found)};
  std::optional<Entry> pending;
  if (writer_->queue().Knows(key, pending)) {
    if (pending && (pending->scope != scope || !pending->fresh(now))) pending.reset();
    Increment(pending ? counters_->hits : counters_->misses);
    disk::Readers::Answer(question, std::move(pending));
    return true;
  }
  if (readers_->Ask(std::move(question))) return true;
  Increment(counters_->reads_refused);
  Increment(counters_->misses);
  return false;
}

bool DiskTier::Store(const Digest& key, Entry entry) {
  if (!counters_->writes_on(options_.now())) {
    Increment(counters_->dropped_off);
    return false;
  }
  if (entry.bytes.size() > writer_->entry_bytes_max()) {
    Increment(counters_->dropped_size);
    return false;
  }
  Command command{.kind = Command::Kind::kStore, .key = key, .entry = std::move(entry)};
  if (writer_->queue().Push(command)) return true;
  Increment(counters_->dropped_queue);
  return false;
}

void DiskTier::Remove(const Digest& key, Done done) {
  Command command{.kind = Command::Kind::kRemove, .key = key, .done = std::move(done)};
  if (!writer_->queue().Push(command) && command.done) command.done(std::nullopt);
}

void DiskTier::Clear(std::optional<std::uint64_t> tenant, std::optional<std::uint64_t> model, Done done) {
  Command command{.kind = Command::Kind::kClear, .filter = {tenant, model}, .done = std::move(done)};
  if (!writer_->queue().Push(command) && command.done) command.done(std::nullopt);
}

std::map<std::string, std::uint64_t> DiskTier::Epochs() const { return writer_->Epochs(); }

void DiskTier::RaiseEpoch(std::string_view name, std::uint64_t value, Done done) {
  writer_->NoteEpoch(name, value);
  Command command{.kind = Command::Kind::kRaise, .name = std::string(name), .value = value, .done = std::move(done)};
  if (!writer_->queue().Push(command) && command.done) command.done(std::nullopt);
}

DiskStats DiskTier::Stats() const {
  const disk::Counters& from = *counters_;
  const auto read = [](const disk::Counters::Count& count) { return count.load(std::memory_order_relaxed); };
  return {.entries = read(from.entries),
          .bytes = read(from.bytes),
          .hits = read(from.hits),
          .misses = read(from.misses),
          .stored = read(from.stored),
          .evicted = read(from.evicted),
          .expired = read(from.expired),
          .corrupt = read(from.corrupt),
          .read_errors = read(from.read_errors),
          .write_errors = read(from.write_errors),
          .dropped_queue = read(from.dropped_queue),
          .dropped_off = read(from.dropped_off),
          .dropped_size = read(from.dropped_size),
          .reads_refused = read(from.reads_refused),
          .begun_anew = read(from.begun_anew),
          .writes_on = from.writes_on(options_.now())};
}

void DiskTier::Drain() { writer_->queue().Drain(); }

void DiskTier::Stop() {
  readers_->Stop();
  writer_->Stop();
}

}  // namespace penstock::cache
