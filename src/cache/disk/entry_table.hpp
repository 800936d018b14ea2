#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cache/disk/database.hpp"
#include "cache/disk/record.hpp"

namespace penstock::cache::disk {

/// What a clearing is to take: all that is given must match.
struct Filter {
  std::optional<std::uint64_t> tenant;
  std::optional<std::uint64_t> model;

  bool takes(std::uint64_t of_tenant, std::uint64_t of_model) const noexcept {
    return (!tenant || *tenant == of_tenant) && (!model || *model == of_model);
  }
  bool takes_all() const noexcept { return !tenant && !model; }
};

/// Owned by one Worker. Or by the disk tier's writer thread: the tables, changed in transactions. Every call returns
/// kDone, or what went wrong, after which only Rollback() makes sense. All changes lie between Begin() and Commit().
class EntryTable {
 public:
  static constexpr int kVictims = 64;            ///< entries per step of an eviction or sweep
  static constexpr int kEvictionsPerPut = 1024;  ///< more than that and the new entry is refused
  static constexpr int kClearChunk = 1024;       ///< entries looked at per step of a clearing

  /// `bytes_max`: what the database file may hold, its indexes included.
  Verdict Open(const std::string& path, std::uint64_t bytes_max);
  void Close() noexcept;
  bool open() const noexcept { return database_.open(); }

  /// `durable`: what is committed survives a power failure (the log is synced), not only the end of the process.
  Verdict Begin(bool durable);
  Verdict Commit();
  void Rollback();

  /// Stores or replaces, evicting what was used longest ago until it fits. `stored` false: it does not.
  Verdict Put(const Digest& key, const Entry& entry, WallTime now, bool& stored);
  Verdict Remove(const Digest& key, std::uint64_t& removed);
  /// Removes the entry if it is still the one with this checksum.
  Verdict RemoveDamaged(const Digest& key, std::int64_t checksum);
  Verdict Touch(const Digest& key, std::int64_t used_s);
  /// One step towards the cap, which may have been lowered. `more`: call again.
  Verdict Evict(bool& more);
  Verdict Expire(WallTime now, bool& more);
  /// One step through all entries in the order of their keys, from `cursor` on.
  Verdict Clear(const Filter& filter, Digest& cursor, std::uint64_t& removed, bool& more);
  Verdict Raise(std::string_view name, std::uint64_t value);
  Verdict ReadEpochs(const std::function<void(std::string_view, std::uint64_t)>& each);
  /// Outside transactions: gives a few free pages at the file's end back while the file is above its cap.
  Verdict Shrink();
  /// Outside transactions: takes the log back once it has grown past `bytes`.
  Verdict Checkpoint(std::uint64_t bytes);

  std::uint64_t bytes_used() const noexcept { return bytes_used_; }  ///< as of the last commit
  std::uint64_t entries() const noexcept { return static_cast<std::uint64_t>(entries_); }
  std::uint64_t evicted() const noexcept { return evicted_; }
  std::uint64_t expired() const noexcept { return expired_; }
  /// Why the last call went wrong; after Rollback(), what made it necessary.
  const char* message() const noexcept { return failure_.empty() ? database_.message() : failure_.c_str(); }

 private:
  struct Victim {
    Digest key;
    std::int64_t body;
  };
  Verdict Prepare();
  Verdict Used(std::uint64_t& bytes);
  Verdict Collect(Statement& query);
  Verdict DropVictims();
  Verdict Drop(const Victim& victim);
  Verdict MakeRoom(std::uint64_t bytes, WallTime now, bool& fits);

  Database database_;
  Statement pages_, free_pages_, find_, put_body_, put_entry_, drop_body_, drop_entry_, damaged_, touch_, oldest_,
      expired_query_, walk_, raise_, count_;
  std::uint64_t bytes_max_ = 0;
  std::uint64_t bytes_used_ = 0;
  std::int64_t entries_ = 0;
  std::int64_t entries_committed_ = 0;
  std::uint64_t evicted_ = 0;
  std::uint64_t expired_ = 0;
  std::vector<Victim> victims_;
  std::string failure_;  ///< of the transaction that was rolled back
};

}  // namespace penstock::cache::disk
