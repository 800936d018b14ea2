#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "penstock/base/result.hpp"
#include "penstock/cache/entry.hpp"
#include "penstock/rt/worker.hpp"

namespace penstock::cache {

namespace disk {
class Folder;
class Readers;
class Writer;
struct Counters;
}  // namespace disk

/// Below this a log and a few entries would be all there is.
inline constexpr std::uint64_t kDiskSizeMin = 4u << 20;

/// Of `cache.disk`, and what the tier is given by its owner.
struct DiskOptions {
  std::string path;                  ///< the folder that holds cache.db, made if its parent is there
  std::uint64_t size = 10ull << 30;  ///< bytes on disk at most, the log included
  unsigned readers = 2;              ///< threads that read
  std::function<TimePoint()> now{};  ///< any thread
  std::function<WallTime()> wall{};  ///< any thread
  std::function<void(std::string)>
      report{};  ///< one line for the operator; from Open's or a thread of the tier, seldom
};

/// What /admin/cache and the metrics tell. Counters since Open.
struct DiskStats {
  std::uint64_t entries = 0;  ///< as of the writer's last commit, like `bytes`
  std::uint64_t bytes = 0;    ///< of the database file in use: bodies, rows and indexes
  std::uint64_t hits = 0;
  std::uint64_t misses = 0;  ///< those below included
  std::uint64_t stored = 0;
  std::uint64_t evicted = 0;
  std::uint64_t expired = 0;        ///< removed by the sweep
  std::uint64_t corrupt = 0;        ///< entries whose checksum was wrong
  std::uint64_t read_errors = 0;    ///< reads that the file system or SQLite refused
  std::uint64_t write_errors = 0;   ///< transactions that failed; each turns writes off for DiskTier::kWritesOff
  std::uint64_t dropped_queue = 0;  ///< not stored: the writer's queue was full
  std::uint64_t dropped_off = 0;    ///< not stored: writes were off or failed
  std::uint64_t dropped_size = 0;   ///< not stored: too large for `size`
  std::uint64_t reads_refused = 0;  ///< immediate misses: the readers' queue was full
  std::uint64_t begun_anew = 0;     ///< corrupt databases moved aside
  bool writes_on = true;
};

/// Shared: queues under one mutex each, one writer thread, a few reader threads. The third tier: answers that survive a
/// restart, in one SQLite database in WAL mode. A cache to the bone: whatever goes wrong is a miss or a dropped
/// write that is counted, and only Open() tells an error. A process may be killed at any time; a power failure may lose
/// the newest entries, never an epoch or a removal that was confirmed.
///
/// One process at a time uses a folder. Nothing here waits for the disk but Open(), Drain() and Stop().
class DiskTier {
 public:
  /// Called once, on the writer's thread, with what was removed; none when the disk refused or the tier stopped, and
  /// the entries may come back.
  using Done = std::function<void(std::optional<std::uint64_t>)>;
  /// Called once, on the asking worker's thread: an entry whose checksum, scope and times are right, or none.
  using Found = std::function<void(std::optional<Entry>)>;

  static constexpr std::size_t kWriteQueueMax = 4096;              ///< commands that wait for the writer
  static constexpr std::uint64_t kWriteQueueBytesMax = 64u << 20;  ///< their bodies
  static constexpr std::size_t kReadQueueMax = 1024;               ///< lookups that wait for a reader
  static constexpr std::size_t kTouchedMax = 4096;  ///< hits remembered for last_used; more are forgotten
  static constexpr Duration kWritesOff = std::chrono::seconds(30);
  static constexpr Duration kTendEvery = std::chrono::seconds(1);
  static constexpr Duration kStopMax = std::chrono::seconds(2);  ///< for what is queued when Stop() is called
  static constexpr Duration kReadReportEvery = std::chrono::seconds(30);
  static constexpr std::int64_t kTouchEveryS = 60;  ///< how coarse last_used is

  /// An error is one line for the operator. A database that is broken is moved aside, told through `report`.
  static Result<std::unique_ptr<DiskTier>, std::string> Open(DiskOptions options);
  ~DiskTier();  ///< stops
  DiskTier(const DiskTier&) = delete;
  DiskTier& operator=(const DiskTier&) = delete;

  /// False: an immediate miss, and `found` is not called. `worker` outlives the tier's Stop(). Finds what was stored
  /// before, committed or not. Any thread.
  bool Find(const Digest& key, const Scope& scope, WallTime now, rt::Worker& worker, Found found);
  /// False: dropped and counted. Any thread; takes a reference to the bytes, copies none.
  bool Store(const Digest& key, Entry entry);
  /// From now on a miss, until it is stored again. Any thread.
  void Remove(const Digest& key, Done done);
  /// Gives the space of a tenant's and/or model's entries back; neither = all. In the background and in steps: raise
  /// the epoch first, which is what makes the entries unreachable. Any thread.
  void Clear(std::optional<std::uint64_t> tenant, std::optional<std::uint64_t> model, Done done);

  /// The epochs kept here, as raised so far. Any thread.
  std::map<std::string, std::uint64_t> Epochs() const;
  /// Sets the epoch to at least `value`; `done` hears the one kept when it is on the disk. Any thread.
  void RaiseEpoch(std::string_view name, std::uint64_t value, Done done);

  DiskStats Stats() const;
  /// Waits until all that was asked of the writer before is done and it has swept and evicted. Not from its callbacks.
  void Drain();
  /// Writes what is queued, for at most kStopMax, and ends the threads; lookups that wait are misses. Then every call
  /// is a miss.
  void Stop();

 private:
  DiskTier(DiskOptions options, disk::Folder folder);

  DiskOptions options_;
  std::unique_ptr<disk::Counters> counters_;
  std::unique_ptr<disk::Readers> readers_;
  std::unique_ptr<disk::Writer> writer_;  // has the readers stand aside when it begins anew
};

}  // namespace penstock::cache
