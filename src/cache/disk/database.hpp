#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

struct sqlite3;
struct sqlite3_stmt;

namespace penstock::cache::disk {

/// What SQLite answered, reduced to what the tier does about it.
enum class Verdict : std::uint8_t {
  kRow,
  kDone,
  kCorrupt,  ///< the file is not what was written, or no longer there: begin anew
  kFailed,   ///< disk full, an I/O error, a lock held too long: try again later
};

/// Owned by one Worker. Or by the one thread that reads or writes with it: a connection without a mutex of its own.
/// Files are opened without following symbolic links.
class Database {
 public:
  enum class Mode : std::uint8_t {
    kCreate,  ///< a new file, in rollback mode, for the schema
    kWrite,
    kRead,  ///< may touch the log's index, never a page
  };

  Database() noexcept = default;
  Database(Database&& other) noexcept
      : handle_(std::exchange(other.handle_, nullptr)), wal_pages_(std::move(other.wal_pages_)) {}
  Database& operator=(Database&& other) noexcept;
  ~Database() { Close(); }

  /// kDone when `path` is open.
  Verdict Open(const std::string& path, Mode mode);
  void Close() noexcept;
  bool open() const noexcept { return handle_ != nullptr; }

  /// Runs statements that answer nothing of interest.
  Verdict Run(const char* sql);
  /// The first column of the first row of `sql`; 0 when there is none, with the reason in `verdict`.
  std::int64_t Ask(const char* sql, Verdict& verdict);
  /// Takes the log back into the file, as far as readers let it; `all` waits for them and empties the log.
  Verdict Checkpoint(bool all);

  std::int64_t last_row() const noexcept;
  std::int64_t changes() const noexcept;                  ///< rows changed by the last statement
  int wal_pages() const noexcept { return *wal_pages_; }  ///< in the log since its last complete checkpoint
  const char* message() const noexcept;

 private:
  friend class Statement;
  static Verdict Judge(int code) noexcept;

  sqlite3* handle_ = nullptr;
  std::unique_ptr<int> wal_pages_ = std::make_unique<int>(0);  // has an address that SQLite keeps
};

/// Owned by one Worker. Or by its database's thread. A prepared statement; ends before its database is closed.
class Statement {
 public:
  Statement() noexcept = default;
  Statement(Statement&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)), next_(other.next_) {}
  Statement& operator=(Statement&& other) noexcept;
  ~Statement() { Finish(); }

  Verdict Prepare(Database& database, const char* sql);
  /// Binds the next parameter. Bytes are not copied: they stay where they are until the statement is done or Reset().
  Statement& Add(std::int64_t value) noexcept;
  Statement& AddBlob(std::string_view bytes) noexcept;
  Statement& AddText(std::string_view text) noexcept;
  /// The next row. Anything but kRow resets the statement for its next use.
  Verdict Step() noexcept;
  void Reset() noexcept;

  std::int64_t Integer(int column) const noexcept;
  /// Valid until the next Step() or Reset().
  std::string_view Bytes(int column) const noexcept;

 private:
  void Finish() noexcept;

  sqlite3_stmt* handle_ = nullptr;
  int next_ = 1;
};

}  // namespace penstock::cache::disk
