#include "cache/disk/entry_table.hpp"

#include <algorithm>
#include <cstring>

#include "cache/disk/schema.hpp"

namespace penstock::cache::disk {
namespace {

constexpr std::int64_t kMicrosecondsPerSecond = 1'000'000;
// Pages that an entry may take beside its body: its own row, both indexes, the body's partly filled pages.
constexpr std::uint64_t kRowBytes = 4 * kPageBytes;

Digest ToDigest(std::string_view bytes) noexcept {
  Digest key;
  std::memcpy(key.bytes.data(), bytes.data(), std::min(bytes.size(), key.bytes.size()));
  return key;
}

}  // namespace

#define STEP(expression) \
  if (const Verdict step_verdict = (expression); step_verdict != Verdict::kDone) return step_verdict

Verdict EntryTable::Open(const std::string& path, std::uint64_t bytes_max) {
  bytes_max_ = bytes_max;
  STEP(database_.Open(path, Database::Mode::kWrite));
  STEP(Prepare());
  Verdict verdict;
  entries_ = entries_committed_ = database_.Ask("SELECT entries FROM totals WHERE id = 1", verdict);
  if (verdict != Verdict::kRow) return verdict == Verdict::kDone ? Verdict::kCorrupt : verdict;
  return Used(bytes_used_);
}

Verdict EntryTable::Prepare() {
  STEP(pages_.Prepare(database_, "PRAGMA page_count"));
  STEP(free_pages_.Prepare(database_, "PRAGMA freelist_count"));
  STEP(find_.Prepare(database_, "SELECT body FROM entries WHERE key = ?"));
  STEP(put_body_.Prepare(database_, "INSERT INTO bodies(bytes) VALUES(?)"));
  STEP(put_entry_.Prepare(database_, "INSERT INTO entries VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"));
  STEP(drop_body_.Prepare(database_, "DELETE FROM bodies WHERE id = ?"));
  STEP(drop_entry_.Prepare(database_, "DELETE FROM entries WHERE key = ?"));
  STEP(damaged_.Prepare(database_, "SELECT key, body FROM entries WHERE key = ? AND checksum = ?"));
  STEP(touch_.Prepare(database_, "UPDATE entries SET last_used = ? WHERE key = ?"));
  STEP(oldest_.Prepare(database_, "SELECT key, body FROM entries ORDER BY last_used LIMIT ?"));
  STEP(expired_query_.Prepare(database_,
                              "SELECT key, body FROM entries WHERE expires_at <= ? ORDER BY expires_at LIMIT ?"));
  STEP(walk_.Prepare(database_, "SELECT key, body, tenant, model FROM entries WHERE key > ? ORDER BY key LIMIT ?"));
  STEP(raise_.Prepare(
      database_, "INSERT INTO epochs VALUES(?, ?) ON CONFLICT(name) DO UPDATE SET value = max(value, excluded.value)"));
  return count_.Prepare(database_, "UPDATE totals SET entries = ? WHERE id = 1");
}

void EntryTable::Close() noexcept {
  for (Statement* statement : {&pages_, &free_pages_, &find_, &put_body_, &put_entry_, &drop_body_, &drop_entry_,
                               &damaged_, &touch_, &oldest_, &expired_query_, &walk_, &raise_, &count_}) {
    *statement = Statement();
  }
  database_.Close();
}

Verdict EntryTable::Begin(bool durable) {
  failure_.clear();
  // In a log, NORMAL syncs at checkpoints only.
  STEP(database_.Run(durable ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL"));
  return database_.Run("BEGIN IMMEDIATE");
}

Verdict EntryTable::Commit() {
  if (entries_ != entries_committed_) STEP(count_.Add(entries_).Step());
  std::uint64_t used = 0;
  STEP(Used(used));
  STEP(database_.Run("COMMIT"));
  entries_committed_ = entries_;
  bytes_used_ = used;
  return Verdict::kDone;
}

void EntryTable::Rollback() {
  failure_ = database_.message();  // the next call has a message of its own
  database_.Run("ROLLBACK");       // an error: SQLite has rolled back by itself
  entries_ = entries_committed_;
}

Verdict EntryTable::Used(std::uint64_t& bytes) {
  Verdict verdict = pages_.Step();
  if (verdict != Verdict::kRow) return verdict;
  const std::int64_t pages = pages_.Integer(0);
  pages_.Reset();
  verdict = free_pages_.Step();
  if (verdict != Verdict::kRow) return verdict;
  const std::int64_t free = free_pages_.Integer(0);
  free_pages_.Reset();
  bytes = static_cast<std::uint64_t>(std::max<std::int64_t>(0, pages - free)) * kPageBytes;
  return Verdict::kDone;
}

Verdict EntryTable::Collect(Statement& query) {
  victims_.clear();
  Verdict verdict;
  while ((verdict = query.Step()) == Verdict::kRow) victims_.push_back({ToDigest(query.Bytes(0)), query.Integer(1)});
  return verdict;
}

Verdict EntryTable::DropVictims() {
  for (const Victim& victim : victims_) STEP(Drop(victim));
  return Verdict::kDone;
}

Verdict EntryTable::Drop(const Victim& victim) {
  STEP(drop_body_.Add(victim.body).Step());
  STEP(drop_entry_.AddBlob(View(victim.key)).Step());
  // An index that names an entry which is not there: a walk along it would never end.
  if (database_.changes() != 1) return Verdict::kCorrupt;
  --entries_;
  return Verdict::kDone;
}

Verdict EntryTable::MakeRoom(std::uint64_t bytes, WallTime now, bool& fits) {
  fits = false;
  for (int dropped = 0; dropped <= kEvictionsPerPut; dropped += static_cast<int>(victims_.size())) {
    std::uint64_t used = 0;
    STEP(Used(used));
    if (used + bytes <= bytes_max_) {
      fits = true;
      return Verdict::kDone;
    }
    STEP(Collect(expired_query_.Add(now.us).Add(kVictims)));
    expired_ += victims_.size();
    if (victims_.empty()) {
      // As few as can do: the larger the new entry, the more at once.
      const auto step = static_cast<std::int64_t>(std::clamp<std::uint64_t>(bytes / kPageBytes, 1, kVictims));
      STEP(Collect(oldest_.Add(step)));
      evicted_ += victims_.size();
    }
    if (victims_.empty()) return Verdict::kDone;
    STEP(DropVictims());
  }
  return Verdict::kDone;
}

Verdict EntryTable::Put(const Digest& key, const Entry& entry, WallTime now, bool& stored) {
  std::uint64_t removed = 0;
  STEP(Remove(key, removed));
  STEP(MakeRoom(entry.bytes.size() + kRowBytes, now, stored));
  if (!stored) return Verdict::kDone;
  const Record record = ToRecord(key, entry);
  STEP(put_body_.AddBlob(entry.bytes.view()).Step());
  const std::int64_t body = database_.last_row();
  put_entry_.AddBlob(View(key)).Add(body).Add(record.tenant).Add(record.model).Add(record.kind);
  put_entry_.Add(record.usage_at).Add(record.usage_size);
  put_entry_.Add(record.stored_us).Add(record.expires_us).Add(record.purges_heard);
  put_entry_.Add(now.us / kMicrosecondsPerSecond).Add(record.checksum);
  STEP(put_entry_.Step());
  ++entries_;
  return Verdict::kDone;
}

Verdict EntryTable::Remove(const Digest& key, std::uint64_t& removed) {
  const Verdict verdict = find_.AddBlob(View(key)).Step();
  if (verdict != Verdict::kRow) return verdict;
  const std::int64_t body = find_.Integer(0);
  find_.Reset();
  ++removed;
  return Drop({key, body});
}

Verdict EntryTable::RemoveDamaged(const Digest& key, std::int64_t checksum) {
  STEP(Collect(damaged_.AddBlob(View(key)).Add(checksum)));
  return DropVictims();
}

Verdict EntryTable::Touch(const Digest& key, std::int64_t used_s) {
  return touch_.Add(used_s).AddBlob(View(key)).Step();
}

Verdict EntryTable::Evict(bool& more) {
  std::uint64_t used = 0;
  STEP(Used(used));
  victims_.clear();
  if (used > bytes_max_) STEP(Collect(oldest_.Add(kVictims)));
  evicted_ += victims_.size();
  more = !victims_.empty();
  return DropVictims();
}

Verdict EntryTable::Expire(WallTime now, bool& more) {
  STEP(Collect(expired_query_.Add(now.us).Add(kVictims)));
  expired_ += victims_.size();
  more = victims_.size() == kVictims;
  return DropVictims();
}

Verdict EntryTable::Clear(const Filter& filter, Digest& cursor, std::uint64_t& removed, bool& more) {
  victims_.clear();
  int seen = 0;
  Digest last = cursor;
  walk_.AddBlob(View(cursor)).Add(kClearChunk);
  Verdict verdict;
  while ((verdict = walk_.Step()) == Verdict::kRow) {
    ++seen;
    last = ToDigest(walk_.Bytes(0));
    const auto tenant = static_cast<std::uint64_t>(walk_.Integer(2)),
               model = static_cast<std::uint64_t>(walk_.Integer(3));
    if (filter.takes(tenant, model)) victims_.push_back({last, walk_.Integer(1)});
  }
  if (verdict != Verdict::kDone) return verdict;
  cursor = last;
  more = seen == kClearChunk;
  removed += victims_.size();
  return DropVictims();
}

Verdict EntryTable::Raise(std::string_view name, std::uint64_t value) {
  return raise_.AddText(name).Add(static_cast<std::int64_t>(value)).Step();
}

Verdict EntryTable::ReadEpochs(const std::function<void(std::string_view, std::uint64_t)>& each) {
  Statement epochs;
  STEP(epochs.Prepare(database_, "SELECT name, value FROM epochs"));
  Verdict verdict;
  while ((verdict = epochs.Step()) == Verdict::kRow) {
    each(epochs.Bytes(0), static_cast<std::uint64_t>(epochs.Integer(1)));
  }
  return verdict;
}

Verdict EntryTable::Shrink() {
  Verdict verdict;
  const std::int64_t pages = database_.Ask("PRAGMA page_count", verdict);
  if (verdict != Verdict::kRow) return verdict;
  if (static_cast<std::uint64_t>(pages) * kPageBytes <= bytes_max_) return Verdict::kDone;
  return database_.Run("PRAGMA incremental_vacuum(1024)");
}

Verdict EntryTable::Checkpoint(std::uint64_t bytes) {
  const auto log = static_cast<std::uint64_t>(database_.wal_pages()) * kPageBytes;
  if (log <= bytes) return Verdict::kDone;
  return database_.Checkpoint(log > 2 * bytes);
}

#undef STEP

}  // namespace penstock::cache::disk
