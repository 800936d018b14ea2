#include "cache/disk/database.hpp"

#include <sqlite3.h>

namespace penstock::cache::disk {
namespace {

constexpr int kWriteBusyMs = 1000;
constexpr int kReadBusyMs = 100;  // readers meet a lock only while a log is recovered

// This VFS keeps the log's index in the process' own memory: the folder is locked, nobody else reads it
// (sqlite.org/vfs, "unix-excl"). The usual one maps a file, and whoever cuts that file off ends the process by a
// SIGBUS.
constexpr const char* kVfs = "unix-excl";

// mmap stays off: an I/O error on a mapping is a SIGBUS. Checkpoints are the writer's own decision, so that their
// errors are seen. Nothing in the file is trusted: neither its schema nor the sizes in its pages.
constexpr const char* kSettings =
    "PRAGMA mmap_size=0; PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON; PRAGMA secure_delete=FAST;"
    "PRAGMA synchronous=NORMAL; PRAGMA wal_autocheckpoint=0; PRAGMA temp_store=MEMORY;";

int CountPages(void* pages, sqlite3*, const char*, int count) {
  *static_cast<int*>(pages) = count;
  return SQLITE_OK;
}

}  // namespace

Database& Database::operator=(Database&& other) noexcept {
  if (this != &other) {
    Close();
    handle_ = std::exchange(other.handle_, nullptr);
    wal_pages_ = std::move(other.wal_pages_);
    other.wal_pages_ = std::make_unique<int>(0);
  }
  return *this;
}

Verdict Database::Judge(int code) noexcept {
  switch (code & 0xff) {
    case SQLITE_ROW: return Verdict::kRow;
    case SQLITE_OK:
    case SQLITE_DONE: return Verdict::kDone;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_MISMATCH:
    case SQLITE_ERROR: return Verdict::kCorrupt;  // our statements are right: a table of theirs is missing
    case SQLITE_READONLY: return code == SQLITE_READONLY_DBMOVED ? Verdict::kCorrupt : Verdict::kFailed;
    default: return Verdict::kFailed;
  }
}

Verdict Database::Open(const std::string& path, Mode mode) {
  Close();
  *wal_pages_ = 0;
  int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_EXRESCODE;
  if (mode == Mode::kCreate) flags |= SQLITE_OPEN_CREATE;
  Verdict verdict = Judge(sqlite3_open_v2(path.c_str(), &handle_, flags, kVfs));
  if (verdict != Verdict::kDone) return verdict;
  sqlite3_busy_timeout(handle_, mode == Mode::kRead ? kReadBusyMs : kWriteBusyMs);
  sqlite3_db_config(handle_, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  if (mode == Mode::kCreate) return verdict;
  // The log is kept for the next start: taking it back at the end would make stopping as slow as the disk.
  sqlite3_db_config(handle_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  verdict = Run(kSettings);
  sqlite3_wal_hook(handle_, CountPages, wal_pages_.get());  // last: wal_autocheckpoint=0 takes any hook off
  if (verdict == Verdict::kDone && mode == Mode::kRead) verdict = Run("PRAGMA query_only=ON");
  return verdict;
}

void Database::Close() noexcept {
  if (handle_ != nullptr) sqlite3_close_v2(std::exchange(handle_, nullptr));
}

Verdict Database::Run(const char* sql) { return Judge(sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr)); }

std::int64_t Database::Ask(const char* sql, Verdict& verdict) {
  Statement statement;
  verdict = statement.Prepare(*this, sql);
  if (verdict != Verdict::kDone) return 0;
  verdict = statement.Step();
  return verdict == Verdict::kRow ? statement.Integer(0) : 0;
}

Verdict Database::Checkpoint(bool all) {
  int log = 0, done = 0;
  const int code = sqlite3_wal_checkpoint_v2(handle_, nullptr,
                                             all ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE, &log, &done);
  if (code == SQLITE_OK && log == done) *wal_pages_ = 0;
  if ((code & 0xff) == SQLITE_BUSY) return Verdict::kDone;  // a reader is in the way: next time
  return Judge(code);
}

std::int64_t Database::last_row() const noexcept { return sqlite3_last_insert_rowid(handle_); }
std::int64_t Database::changes() const noexcept { return sqlite3_changes64(handle_); }
const char* Database::message() const noexcept { return handle_ == nullptr ? "not open" : sqlite3_errmsg(handle_); }

Statement& Statement::operator=(Statement&& other) noexcept {
  if (this != &other) {
    Finish();
    handle_ = std::exchange(other.handle_, nullptr);
    next_ = other.next_;
  }
  return *this;
}

void Statement::Finish() noexcept {
  if (handle_ != nullptr) sqlite3_finalize(std::exchange(handle_, nullptr));
}

Verdict Statement::Prepare(Database& database, const char* sql) {
  Finish();
  next_ = 1;
  return Database::Judge(sqlite3_prepare_v3(database.handle_, sql, -1, SQLITE_PREPARE_PERSISTENT, &handle_, nullptr));
}

Statement& Statement::Add(std::int64_t value) noexcept {
  sqlite3_bind_int64(handle_, next_++, value);
  return *this;
}

Statement& Statement::AddBlob(std::string_view bytes) noexcept {
  sqlite3_bind_blob64(handle_, next_++, bytes.data(), bytes.size(), SQLITE_STATIC);
  return *this;
}

Statement& Statement::AddText(std::string_view text) noexcept {
  sqlite3_bind_text64(handle_, next_++, text.data(), text.size(), SQLITE_STATIC, SQLITE_UTF8);
  return *this;
}

Verdict Statement::Step() noexcept {
  const Verdict verdict = Database::Judge(sqlite3_step(handle_));
  if (verdict != Verdict::kRow) Reset();
  return verdict;
}

void Statement::Reset() noexcept {
  sqlite3_reset(handle_);
  sqlite3_clear_bindings(handle_);
  next_ = 1;
}

std::int64_t Statement::Integer(int column) const noexcept { return sqlite3_column_int64(handle_, column); }

std::string_view Statement::Bytes(int column) const noexcept {
  const void* bytes = sqlite3_column_blob(handle_, column);
  if (bytes == nullptr) return {};
  return {static_cast<const char*>(bytes), static_cast<std::size_t>(sqlite3_column_bytes(handle_, column))};
}

}  // namespace penstock::cache::disk
