#include "cache/disk/writer.hpp"

#include <algorithm>

namespace penstock::cache::disk {
namespace {

constexpr std::uint64_t kLogBytesMin = 256u << 10, kLogBytesMax = 16u << 20;
constexpr int kStepsPerTransaction = 16;  // of a sweep or an eviction
constexpr int kTransactionsPerTend = 16;
constexpr std::uint64_t kOversizeMax = 4;  // a file this many times the cap takes longer to evict than to fill anew

std::uint64_t LogBytes(std::uint64_t size) { return std::clamp(size / 32, kLogBytesMin, kLogBytesMax); }

}  // namespace

// A log is taken back at log_bytes, waits for readers at twice that, and may have one batch more by then.
Writer::Writer(Folder folder, const DiskOptions& options, Readers& readers, Counters& counters)
    : folder_(std::move(folder)),
      options_(options),
      readers_(readers),
      counters_(counters),
      log_bytes_(LogBytes(options.size)),
      bytes_max_(options.size - 4 * log_bytes_) {}

void Writer::Report(const std::string& line) const {
  if (options_.report) options_.report(line);
}

Verdict Writer::OpenTable() {
  Verdict verdict = table_.Open(folder_.database(), bytes_max_);
  if (verdict != Verdict::kDone) return verdict;
  return table_.ReadEpochs([this](std::string_view name, std::uint64_t value) { NoteEpoch(name, value); });
}

Result<bool, std::string> Writer::Open() {
  TRY(const Folder::Finding finding, folder_.Look(kOversizeMax * options_.size));
  std::string why;
  if (finding != Folder::Finding::kOurs) {
    if (!BeginAnew(finding == Folder::Finding::kBroken ? Old::kAside : Old::kNone, why)) return why;
  } else if (const Verdict verdict = OpenTable(); verdict == Verdict::kCorrupt) {
    if (!BeginAnew(Old::kAside, why)) return why;
  } else if (verdict != Verdict::kDone) {
    return "cache.disk.path " + folder_.database() + ": cannot open it: " + table_.message();
  }
  counters_.entries.store(table_.entries(), std::memory_order_relaxed);
  counters_.bytes.store(table_.bytes_used(), std::memory_order_relaxed);
  tended_ = options_.now();
  return true;
}

void Writer::Start() {
  thread_ = std::thread([this] { Run(); });
}

void Writer::Stop() {
  if (!thread_.joinable()) return;
  stop_at_ns_ = (options_.now() + DiskTier::kStopMax).ns;
  queue_.Close();
  thread_.join();
}

std::map<std::string, std::uint64_t> Writer::Epochs() const {
  const std::lock_guard lock(epochs_mutex_);
  return epochs_;
}

void Writer::NoteEpoch(std::string_view name, std::uint64_t value) {
  const std::lock_guard lock(epochs_mutex_);
  std::uint64_t& kept = epochs_[std::string(name)];
  kept = std::max(kept, value);
}

void Writer::OnDamaged(const Digest& key, std::int64_t checksum) {
  Command command{.kind = Command::Kind::kRemoveDamaged, .key = key, .value = static_cast<std::uint64_t>(checksum)};
  queue_.Push(command);
}

void Writer::OnReadFailed(const char* why) {
  const TimePoint now = options_.now();
  std::int64_t due_ns = read_report_due_ns_.load(std::memory_order_relaxed);
  const std::int64_t next_ns = (now + DiskTier::kReadReportEvery).ns;
  // Of readers that fail together one reports.
  if (now.ns < due_ns || !read_report_due_ns_.compare_exchange_strong(due_ns, next_ns, std::memory_order_relaxed))
    return;
  Report("cache.disk: reading failed, every such lookup is a miss: " + std::string(why));
}

bool Writer::OutOfTime() const { return options_.now().ns >= stop_at_ns_.load(std::memory_order_relaxed); }

void Writer::Run() {
  while (true) {
    WriteQueue::Work work = queue_.Take(log_bytes_);
    if (work.broken) Recover(Verdict::kCorrupt);
    if (work.batch.empty() && work.closed) break;
    if (!work.batch.empty()) Write(work);
    if (log_ != Verdict::kDone) Recover(std::exchange(log_, Verdict::kDone));
    const bool tend = work.asked || options_.now() - tended_ >= DiskTier::kTendEvery;
    if (tend) Tend();
    counters_.entries.store(table_.entries(), std::memory_order_relaxed);
    counters_.bytes.store(table_.bytes_used(), std::memory_order_relaxed);
    Finish(work.batch);
    queue_.Settle(work, tend);
  }
  if (table_.open() && !OutOfTime()) FlushTouched();
  queue_.End();
  table_.Close();
}

void Writer::Write(WriteQueue::Work& work) {
  if (OutOfTime()) return;
  if (!table_.open() && !Reopen()) return;
  if (work.batch.front().kind == Command::Kind::kClear) return Clear(work.batch.front());
  const bool stores = counters_.writes_on(options_.now());
  Verdict verdict = Apply(work.batch, stores);
  if (verdict == Verdict::kDone) return;
  // Once more: into the new database, or without the stores, for which there may be no room.
  const bool anew = Recover(verdict);
  if (!table_.open()) return;
  verdict = Apply(work.batch, anew);
  if (verdict != Verdict::kDone) Recover(verdict);
}

template <class Steps>
Verdict Writer::Transact(bool durable, Steps steps) {
  Verdict verdict = table_.Begin(durable);
  if (verdict != Verdict::kDone) return verdict;
  verdict = steps();
  if (verdict == Verdict::kDone) verdict = table_.Commit();
  if (verdict != Verdict::kDone) {
    table_.Rollback();
    return verdict;
  }
  const Verdict log = table_.Checkpoint(log_bytes_);
  if (log != Verdict::kDone) log_ = log;
  return Verdict::kDone;
}

Verdict Writer::Apply(WriteQueue::Batch& batch, bool stores) {
  bool durable = false, anything = false;
  for (Command& command : batch) {
    command.applied = false;
    command.removed = 0;
    durable = durable || command.done != nullptr;
    anything = anything || stores || command.kind != Command::Kind::kStore;
  }
  if (!anything) return Verdict::kDone;
  const WallTime now = options_.wall();
  const Verdict verdict = Transact(durable, [&] {
    for (Command& command : batch) {
      if (command.kind == Command::Kind::kStore && !stores) continue;
      const Verdict one = ApplyOne(command, now);
      if (one != Verdict::kDone) return one;
    }
    return Verdict::kDone;
  });
  if (verdict != Verdict::kDone) {
    for (Command& command : batch) command.applied = false;
  }
  return verdict;
}

Verdict Writer::ApplyOne(Command& command, WallTime now) {
  command.applied = true;
  switch (command.kind) {
    case Command::Kind::kStore: {
      bool fits = false;
      const Verdict verdict = table_.Put(command.key, command.entry, now, fits);
      command.removed = fits ? 0 : 1;
      return verdict;
    }
    case Command::Kind::kRemove: return table_.Remove(command.key, command.removed);
    case Command::Kind::kRemoveDamaged:
      return table_.RemoveDamaged(command.key, static_cast<std::int64_t>(command.value));
    case Command::Kind::kRaise: return table_.Raise(command.name, command.value);
    case Command::Kind::kClear: break;
  }
  return Verdict::kDone;
}

void Writer::Finish(WriteQueue::Batch& batch) {
  for (Command& command : batch) {
    if (command.kind == Command::Kind::kStore) {
      Increment(!command.applied      ? counters_.dropped_off
                : command.removed > 0 ? counters_.dropped_size
                                      : counters_.stored);
    } else if (command.done) {
      const std::uint64_t answer = command.kind == Command::Kind::kRaise ? command.value : command.removed;
      command.done(command.applied ? std::optional(answer) : std::nullopt);
    }
  }
}

void Writer::Clear(Command& command) {
  if (command.filter.takes_all()) {
    const std::uint64_t entries = table_.entries();
    std::string why;
    command.applied = BeginAnew(Old::kDiscard, why);
    command.removed = entries;
    if (!command.applied) WritesFailed(why);
    return;
  }
  Digest cursor{};
  bool more = true;
  while (more && !OutOfTime()) {
    const Verdict verdict = ClearStep(command, cursor, more);
    if (verdict == Verdict::kDone) continue;
    command.applied = Recover(verdict);  // an empty database has nothing left to clear
    return;
  }
  command.applied = !more;
}

Verdict Writer::ClearStep(Command& command, Digest& cursor, bool& more) {
  return Transact(true, [&] { return table_.Clear(command.filter, cursor, command.removed, more); });
}

void Writer::Tend() {
  tended_ = options_.now();
  if (!counters_.writes_on(tended_)) return;
  if (!table_.open() && !Reopen()) return;
  Verdict verdict = FlushTouched();
  if (verdict == Verdict::kDone) verdict = TendTable(options_.wall());
  if (verdict != Verdict::kDone) Recover(verdict);
}

Verdict Writer::TendTable(WallTime now) {
  bool more = true;
  for (int i = 0; more && i < kTransactionsPerTend; ++i) {
    const Verdict verdict = Transact(false, [&] {
      for (int step = 0; more && step < kStepsPerTransaction; ++step) {
        bool expired = false, evicted = false;
        Verdict one = table_.Expire(now, expired);
        if (one == Verdict::kDone) one = table_.Evict(evicted);
        if (one != Verdict::kDone) return one;
        more = expired || evicted;
      }
      return Verdict::kDone;
    });
    if (verdict != Verdict::kDone) return verdict;
  }
  const Verdict verdict = table_.Shrink();
  counters_.evicted.store(table_.evicted(), std::memory_order_relaxed);
  counters_.expired.store(table_.expired(), std::memory_order_relaxed);
  return verdict;
}

Verdict Writer::FlushTouched() {
  const auto touched = queue_.TakeTouched();
  if (touched.empty()) return Verdict::kDone;
  return Transact(false, [&] {
    for (const auto& [key, used_s] : touched) {
      const Verdict verdict = table_.Touch(key, used_s);
      if (verdict != Verdict::kDone) return verdict;
    }
    return Verdict::kDone;
  });
}

bool Writer::Recover(Verdict verdict) {
  if (verdict != Verdict::kCorrupt) {
    WritesFailed(table_.message());
    return false;
  }
  Increment(counters_.begun_anew);
  std::string why;
  if (BeginAnew(Old::kAside, why)) return true;
  WritesFailed(why);
  return false;
}

bool Writer::Reopen() {
  std::string why;
  if (BeginAnew(Old::kNone, why)) return true;
  WritesFailed(why);
  return false;
}

void Writer::WritesFailed(const std::string& why) {
  Increment(counters_.write_errors);
  const TimePoint now = options_.now();
  if (counters_.writes_on(now)) Report("cache.disk: writing failed, off for 30 s: " + why);
  counters_.writes_off_until_ns.store((now + DiskTier::kWritesOff).ns, std::memory_order_relaxed);
}

bool Writer::BeginAnew(Old old, std::string& why) {
  const Readers::Aside aside(readers_);
  queue_.TakeBroken();  // said of the one that goes
  table_.Close();
  if (old == Old::kAside) {
    if (!folder_.MoveAside()) {
      why = "cache.disk: cannot move the broken database aside to " + folder_.aside();
      return false;
    }
    Report("cache.disk: the database was broken; moved to " + folder_.aside() + ", begun anew");
  } else if (old == Old::kDiscard && !folder_.Discard()) {
    why = "cache.disk: cannot remove " + folder_.database();
    return false;
  }
  if (!folder_.Begin(why)) return false;
  const auto epochs = Epochs();
  if (OpenTable() != Verdict::kDone) {
    why = "cache.disk: cannot open the new database: " + std::string(table_.message());
    table_.Close();
    return false;
  }
  if (epochs.empty()) return true;
  return Transact(true, [&] {
           for (const auto& [name, value] : epochs) {
             const Verdict verdict = table_.Raise(name, value);
             if (verdict != Verdict::kDone) return verdict;
           }
           return Verdict::kDone;
         }) == Verdict::kDone;
}

}  // namespace penstock::cache::disk
