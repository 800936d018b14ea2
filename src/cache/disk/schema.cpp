#include "cache/disk/schema.hpp"

#include "cache/disk/database.hpp"

namespace penstock::cache::disk {
namespace {

// Bodies lie apart from what is said of them, so that neither a new last_used nor a walk over an index reads or writes
// one. Both indexes contain what a deletion needs. No durability while the file is being made: it is synced and renamed
// as a whole.
constexpr const char* kSchema = R"(
PRAGMA page_size=8192;
PRAGMA auto_vacuum=INCREMENTAL;
PRAGMA journal_mode=MEMORY;
PRAGMA synchronous=OFF;
BEGIN;
PRAGMA application_id=0x506E5374;
PRAGMA user_version=2;
CREATE TABLE entries(
  key BLOB PRIMARY KEY NOT NULL,
  body INTEGER NOT NULL,
  tenant INTEGER NOT NULL,
  model INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  usage_at INTEGER NOT NULL,
  usage_size INTEGER NOT NULL,
  stored_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  purges_heard INTEGER NOT NULL,
  last_used INTEGER NOT NULL,
  checksum INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX entries_by_use ON entries(last_used, body);
CREATE INDEX entries_by_expiry ON entries(expires_at, body);
CREATE TABLE bodies(id INTEGER PRIMARY KEY, bytes BLOB NOT NULL);
CREATE TABLE epochs(name TEXT PRIMARY KEY NOT NULL, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE totals(id INTEGER PRIMARY KEY, entries INTEGER NOT NULL);
INSERT INTO totals VALUES(1, 0);
COMMIT;
PRAGMA journal_mode=WAL;
)";

}  // namespace

bool CreateSchema(const std::string& path, std::string& why) {
  Database database;
  if (database.Open(path, Database::Mode::kCreate) == Verdict::kDone && database.Run(kSchema) == Verdict::kDone) {
    return true;
  }
  why = database.message();
  return false;
}

}  // namespace penstock::cache::disk
