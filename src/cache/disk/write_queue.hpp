#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "cache/disk/entry_table.hpp"
#include "penstock/cache/disk_tier.hpp"

namespace penstock::cache::disk {

/// One thing that the writer is to do, and how it went.
struct Command {
  enum class Kind : std::uint8_t {
    kStore,
    kRemove,
    kRemoveDamaged,  ///< `value`: the checksum
    kRaise,          ///< the epoch `name` to `value`
    kClear,
  };
  Kind kind = Kind::kStore;
  Digest key{};
  Entry entry{};
  Filter filter{};
  std::string name{};
  std::uint64_t value = 0;
  DiskTier::Done done{};
  std::uint64_t sequence = 0;
  // as the writer left it
  bool applied = false;
  std::uint64_t removed = 0;
};

/// Shared: one mutex. What waits for the writer, and what a lookup must know of it: an entry that is not committed
/// yet is found here, and one whose removal is not committed yet is found nowhere.
class WriteQueue {
 public:
  using Batch = std::vector<Command>;
  /// Beyond kWriteQueueMax, for what is no store: removals and epochs are few and must not drown in stores.
  static constexpr std::size_t kControlReserve = 1024;
  static constexpr std::size_t kBatchMax = 256;  ///< commands per transaction

  /// False when full or closed: nothing was taken from `command`.
  bool Push(Command& command);
  /// Whether the key's fate is decided here: then `entry` is it, or none.
  bool Knows(const Digest& key, std::optional<Entry>& entry) const;
  /// Remembers a hit; forgotten when kTouchedMax are waiting.
  void Touch(const Digest& key, std::int64_t used_s);
  void MarkBroken();
  bool TakeBroken();
  void Close();  ///< nothing more is pushed; the writer is woken
  void Drain();  ///< until the writer has met an empty queue and tended, or ended

  struct Work {
    Batch batch{};
    bool broken = false;  ///< a reader found the database corrupt
    bool asked = false;   ///< somebody waits in Drain()
    bool closed = false;
    std::uint64_t ticket = 0;
  };
  /// Writer: waits for work, at most kTendEvery. A clearing comes alone.
  Work Take(std::uint64_t batch_bytes);
  /// Writer: the batch is on the disk or lost. `tended`: and all else was done that Drain() waits for.
  void Settle(const Work& work, bool tended);
  void End();  ///< Writer: has gone; what waits in Drain() goes on
  std::vector<std::pair<Digest, std::int64_t>> TakeTouched();

 private:
  struct KeyHash {
    std::size_t operator()(const Digest& key) const noexcept { return key.word(0); }
  };
  struct Pending {
    std::uint64_t sequence;
    std::optional<Entry> entry;
  };

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable drained_;
  std::deque<Command> commands_;
  std::unordered_map<Digest, Pending, KeyHash> pending_;
  std::vector<std::pair<Digest, std::int64_t>> touched_;
  std::uint64_t bytes_ = 0;  // of bodies, those of the batch in progress included
  std::uint64_t sequence_ = 0;
  std::uint64_t tickets_ = 0;
  std::uint64_t served_ = 0;
  bool broken_ = false;
  bool closed_ = false;
  bool ended_ = false;
};

}  // namespace penstock::cache::disk
