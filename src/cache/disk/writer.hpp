#pragma once

#include <map>
#include <mutex>
#include <string>
#include <thread>

#include "cache/disk/counters.hpp"
#include "cache/disk/entry_table.hpp"
#include "cache/disk/folder.hpp"
#include "cache/disk/readers.hpp"
#include "cache/disk/write_queue.hpp"

namespace penstock::cache::disk {

/// Shared: the queue has its mutex, the epochs theirs; all else belongs to the writer's thread once Start() was called.
/// Owns the database's fate: commits in batches, evicts, sweeps, takes the log back, begins anew when it is corrupt.
class Writer final : public ReadNotes {
 public:
  Writer(Folder folder, const DiskOptions& options, Readers& readers, Counters& counters);
  ~Writer() { Stop(); }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  /// Before Start(). An error is one line for the operator.
  Result<bool, std::string> Open();
  void Start();
  void Stop();

  WriteQueue& queue() noexcept { return queue_; }
  std::uint64_t entry_bytes_max() const noexcept { return bytes_max_ / 4; }
  std::map<std::string, std::uint64_t> Epochs() const;
  /// At once here; the caller then has it written.
  void NoteEpoch(std::string_view name, std::uint64_t value);

  void OnUsed(const Digest& key, std::int64_t used_s) override { queue_.Touch(key, used_s); }
  void OnDamaged(const Digest& key, std::int64_t checksum) override;
  void OnBroken() override { queue_.MarkBroken(); }
  void OnReadFailed(const char* why) override;

 private:
  enum class Old : std::uint8_t { kNone, kAside, kDiscard };

  void Run();
  bool OutOfTime() const;
  void Write(WriteQueue::Work& work);
  Verdict Apply(WriteQueue::Batch& batch, bool stores);
  Verdict ApplyOne(Command& command, WallTime now);
  void Clear(Command& command);
  Verdict ClearStep(Command& command, Digest& cursor, bool& more);
  void Finish(WriteQueue::Batch& batch);
  void Tend();
  Verdict TendTable(WallTime now);
  Verdict FlushTouched();
  /// One transaction around `steps`, rolled back unless every one of them is kDone.
  template <class Steps>
  Verdict Transact(bool durable, Steps steps);
  /// True when it is worth another try: the database was begun anew.
  bool Recover(Verdict verdict);
  bool Reopen();
  void WritesFailed(const std::string& why);
  bool BeginAnew(Old old, std::string& why);
  Verdict OpenTable();
  void Report(const std::string& line) const;

  Folder folder_;
  const DiskOptions& options_;
  Readers& readers_;
  Counters& counters_;
  const std::uint64_t log_bytes_;  // what a log may grow to before it is taken back, and a batch of bodies
  const std::uint64_t bytes_max_;
  EntryTable table_;
  Verdict log_ = Verdict::kDone;  // of taking the log back, after a transaction that is committed all the same
  WriteQueue queue_;
  mutable std::mutex epochs_mutex_;
  std::map<std::string, std::uint64_t> epochs_;
  TimePoint tended_{};
  std::atomic<std::int64_t> stop_at_ns_{INT64_MAX};
  std::atomic<std::int64_t> read_report_due_ns_{INT64_MIN};
  std::thread thread_;
};

}  // namespace penstock::cache::disk
