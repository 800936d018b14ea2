#include <gtest/gtest.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "unit/cache/disk_world.hpp"
#include "unit/cache/faulty_disk.hpp"

namespace penstock::cache {
namespace {

namespace fs = std::filesystem;
using test::DeviceFault;
using test::DiskWorld;
using test::FaultyDisk;
using test::KeyOf;
using test::kSecondUs;
using testing::Test;

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}
void WriteFile(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc)
      .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}
bool Contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

struct DiskFaults : Test, DiskWorld {};

TEST_F(DiskFaults, R_11_PathsThatCannotBeUsedSayWhyInOneLine) {
  fs::create_directory(folder.Path("real"));
  fs::create_symlink(folder.Path("real"), folder.Path("link"));
  folder.Write("file", "x");
  const struct {
    const char* path;
    const char* why;
  } cases[] = {
      {"link", "is a symbolic link"},
      {"file", "is not a folder"},
      {"missing/cache", "cannot make the folder: No such file"},
      {"file/cache", "cannot look at it: Not a directory"},
  };
  for (const auto& wanted : cases) {
    const std::string why = OpenAt(folder.Path(wanted.path));
    EXPECT_TRUE(Contains(why, wanted.why)) << why;
    EXPECT_TRUE(Contains(why, folder.Path(wanted.path))) << why;
    EXPECT_FALSE(Contains(why, "\n")) << why;
  }
  EXPECT_TRUE(Contains(OpenAt(folder.Path("real"), kDiskSizeMin - 1), "at least 4MiB"));
  EXPECT_EQ(OpenAt(folder.Path("link/new")), "");  // a link above the folder is the operator's layout
}

TEST_F(DiskFaults, R_11_FilesThatAreNotOursAreNotTouched) {
  fs::create_directory(Home());
  const std::string precious = folder.Write("precious", "do not touch");
  for (const char* name : {"cache.db", "cache.db-wal", "cache.db-shm"}) {
    fs::create_symlink(precious, Home() + "/" + name);
    EXPECT_TRUE(Contains(Open(), "is a symbolic link")) << name;
    fs::remove(Home() + "/" + name);
    ASSERT_EQ(::mkfifo((Home() + "/" + name).c_str(), 0600), 0);
    EXPECT_TRUE(Contains(Open(), "is not a regular file")) << name;
    fs::remove(Home() + "/" + name);
    fs::create_directory(Home() + "/" + name);
    EXPECT_TRUE(Contains(Open(), "is not a regular file")) << name;
    fs::remove(Home() + "/" + name);
  }
  EXPECT_EQ(ReadFile(precious), "do not touch");

  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open(Database().c_str(), &other), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(other, "CREATE TABLE theirs(x); INSERT INTO theirs VALUES(1)", nullptr, nullptr, nullptr),
            SQLITE_OK);
  sqlite3_close(other);
  const std::string before = ReadFile(Database());
  EXPECT_TRUE(Contains(Open(), "another application's database"));
  EXPECT_EQ(ReadFile(Database()), before);
}

TEST_F(DiskFaults, R_11_AFolderWithoutPermission) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become somebody else";
  fs::permissions(folder.Path(""), fs::perms(0755));
  fs::create_directory(Home());
  fs::permissions(Home(), fs::perms(0755));
  ASSERT_EQ(::seteuid(65534), 0);
  const std::string unwritable = Open();
  const std::string unmakable = OpenAt(folder.Path("new"));
  ASSERT_EQ(::seteuid(0), 0);
  fs::permissions(Home(), fs::perms(0700));
  ASSERT_EQ(::seteuid(65534), 0);
  const std::string unreadable = Open();
  ASSERT_EQ(::seteuid(0), 0);
  EXPECT_TRUE(Contains(unwritable, "cannot write into the folder: Permission denied")) << unwritable;
  EXPECT_TRUE(Contains(unmakable, "cannot make the folder: Permission denied")) << unmakable;
  EXPECT_TRUE(Contains(unreadable, "cannot open the folder: Permission denied")) << unreadable;
}

TEST_F(DiskFaults, R_11_OneProcessAtATimeAndOnlyItsOwnerReads) {
  ASSERT_EQ(Open(), "");
  DiskWorld second;
  EXPECT_TRUE(Contains(second.OpenAt(Home()), "in use by another process"));
  struct stat status;
  for (const char* name : {"", "/cache.db", "/cache.db-wal"}) {
    ASSERT_EQ(::stat((Home() + name).c_str(), &status), 0) << name;
    EXPECT_EQ(status.st_mode & 077, 0u) << name;
  }
  EXPECT_FALSE(fs::exists(Home() + "/cache.db-shm")) << "a mapping that others may cut off";
}

TEST_F(DiskFaults, R_11_AnOlderVersionGarbageAndAFileFarTooLargeAreMovedAside) {
  for (const char* fault : {"version", "garbage", "short", "huge", "hugehole"}) {
    fs::remove_all(Home());
    ASSERT_EQ(Open(), "");
    Store(1, 100);
    tier.reset();
    reports.clear();
    std::string bytes = ReadFile(Database());
    if (fault == std::string_view("version")) bytes[63] = 99;
    if (fault == std::string_view("garbage")) bytes.assign(20'000, 'g');
    if (fault == std::string_view("short")) bytes.resize(50);
    if (fault == std::string_view("hugehole")) bytes.assign(100, '\0');
    WriteFile(Database(), bytes);
    if (std::string_view(fault).starts_with("huge")) fs::resize_file(Database(), std::uint64_t{1} << 40);
    ASSERT_EQ(Open(), "") << fault;
    EXPECT_EQ(reports.size(), 1u) << fault;
    EXPECT_TRUE(fs::exists(Home() + "/cache.db.corrupt")) << fault;
    EXPECT_FALSE(Find(1)) << fault;
    Store(2, 100);
    tier->Drain();
    EXPECT_TRUE(Find(2)) << fault;
  }
}

TEST_F(DiskFaults, R_11_AnyByteOfAnEntryChangedIsAMissCountedAndDeleted) {
  // One byte of the body where it lies in the file, then each column of its row.
  constexpr std::size_t kBody = 30'000;
  ASSERT_EQ(Open(), "");
  Store(1, kBody);
  Store(2, kBody);
  tier.reset();
  sqlite3* raw = nullptr;
  ASSERT_EQ(sqlite3_open(Database().c_str(), &raw), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(raw, "PRAGMA wal_checkpoint(TRUNCATE)", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(raw);
  std::string bytes = ReadFile(Database());
  const std::size_t at = bytes.find(test::BodyOf(1, kBody).substr(20'000, 40));
  ASSERT_NE(at, std::string::npos);
  bytes[at] = static_cast<char>(bytes[at] ^ 4);
  WriteFile(Database(), bytes);
  ASSERT_EQ(Open(), "");
  EXPECT_FALSE(Find(1));
  EXPECT_TRUE(Right(2, kBody, Find(2)));
  EXPECT_TRUE(Find(2));
  tier->Drain();
  EXPECT_EQ(tier->Stats().corrupt, 1u);
  EXPECT_EQ(tier->Stats().entries, 1u);

  std::uint64_t corrupt = 0;
  for (const char* column :
       {"tenant", "model", "kind", "usage_at", "usage_size", "stored_at", "expires_at", "purges_heard", "checksum"}) {
    Store(1, 100);
    tier.reset();
    ASSERT_EQ(sqlite3_open(Database().c_str(), &raw), SQLITE_OK);
    const std::string change = std::string("UPDATE entries SET ") + column + " = " + column + " + 1";
    ASSERT_EQ(sqlite3_exec(raw, change.c_str(), nullptr, nullptr, nullptr), SQLITE_OK);
    sqlite3_close(raw);
    ASSERT_EQ(Open(), "");
    EXPECT_FALSE(Find(1)) << column;
    tier->Drain();
    corrupt += tier->Stats().corrupt;
    EXPECT_FALSE(Find(1)) << column;
    EXPECT_EQ(tier->Stats().corrupt, 1u) << column << ": deleted, so counted once";
  }
  EXPECT_EQ(corrupt, 9u);
}

struct TornFiles : Test, DiskWorld {
  static constexpr std::uint64_t kCount = 60;
  static constexpr std::size_t kBody = 5000;
  std::string database, log;

  /// A database of which a part still lies in its log.
  void Make() {
    ASSERT_EQ(Open(), "");
    for (std::uint64_t i = 0; i < kCount; ++i) Store(i, kBody);
    tier.reset();
    sqlite3* raw = nullptr;
    ASSERT_EQ(sqlite3_open(Database().c_str(), &raw), SQLITE_OK);
    ASSERT_EQ(sqlite3_exec(raw, "PRAGMA wal_checkpoint(TRUNCATE)", nullptr, nullptr, nullptr), SQLITE_OK);
    sqlite3_close(raw);
    ASSERT_EQ(Open(), "");
    for (std::uint64_t i = kCount; i < 2 * kCount; ++i) {
      Store(i, kBody);
      if (i % 10 == 0) tier->Drain();
    }
    tier.reset();
    database = ReadFile(Database());
    log = ReadFile(Database() + "-wal");
    ASSERT_GT(database.size(), kCount * kBody);
    ASSERT_GT(log.size(), kCount * kBody);
  }
  /// Opens what `file` and `wal` make, reads every key, writes and reads one more. How many entries were there.
  std::uint64_t Check(const std::string& file, const std::string& wal, const std::string& what) {
    tier.reset();
    fs::remove_all(Home());
    fs::create_directory(Home());
    WriteFile(Database(), file);
    WriteFile(Database() + "-wal", wal);
    EXPECT_EQ(Open(), "") << what;
    std::uint64_t found = 0;
    for (std::uint64_t i = 0; i < 2 * kCount; ++i) {
      const auto entry = Find(i);
      EXPECT_TRUE(Right(i, kBody, entry)) << what << ", entry " << i;
      found += entry ? 1 : 0;
    }
    tier->Drain();
    Store(1000, kBody);
    tier->Drain();
    Store(1000, kBody);  // the first may have met the damage
    tier->Drain();
    EXPECT_TRUE(Find(1000)) << what;
    return found;
  }
};

TEST_F(TornFiles, R_11_OpenOrBeginAnewNeverAWrongAnswer) {
  Make();
  ASSERT_EQ(Check(database, log, "whole"), 2 * kCount);
  for (const std::size_t size : {0ul, 1ul, 16ul, 99ul, 100ul, 4096ul, 8192ul, 8193ul, 5 * 8192ul, database.size() / 2,
                                 database.size() - 8192, database.size() - 1}) {
    Check(database.substr(0, size), log, "database of " + std::to_string(size));
    Check(database.substr(0, size), "", "database alone of " + std::to_string(size));
  }
  std::uint64_t last = 0;
  for (std::size_t size = 0; size <= log.size(); size += log.size() / 12) {
    const std::uint64_t found = Check(database, log.substr(0, size), "log of " + std::to_string(size));
    EXPECT_GE(found, kCount) << size;
    EXPECT_GE(found, last) << size;
    last = found;
  }
}

TEST_F(TornFiles, R_11_ALogWithoutItsDatabaseIsNotTheNewOnes) {
  Make();
  for (const bool empty_file : {true, false}) {
    fs::remove_all(Home());
    fs::create_directory(Home());
    if (empty_file) WriteFile(Database(), "");
    WriteFile(Database() + "-wal", log);
    ASSERT_EQ(Open(), "");
    EXPECT_EQ(tier->Stats().entries, 0u);
    Store(1, kBody);
    tier->Drain();
    EXPECT_TRUE(Find(1));
    EXPECT_EQ(tier->Stats().entries, 1u);
    EXPECT_EQ(tier->Stats().begun_anew, 0u);
  }
}

TEST_F(TornFiles, R_11_ADatabaseThatAReaderFindsBrokenIsBegunAnew) {
  Make();
  sqlite3* raw = nullptr;
  ASSERT_EQ(sqlite3_open(Database().c_str(), &raw), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(raw, "PRAGMA wal_checkpoint(TRUNCATE)", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_stmt* root = nullptr;
  ASSERT_EQ(sqlite3_prepare_v2(raw, "SELECT rootpage FROM sqlite_schema WHERE name = 'entries'", -1, &root, nullptr),
            SQLITE_OK);
  ASSERT_EQ(sqlite3_step(root), SQLITE_ROW);
  const auto page = static_cast<std::size_t>(sqlite3_column_int(root, 0));
  sqlite3_finalize(root);
  sqlite3_close(raw);
  std::string bytes = ReadFile(Database());
  bytes.replace((page - 1) * 8192, 8192, 8192, '\xff');
  WriteFile(Database(), bytes);
  ASSERT_EQ(Open(), "");
  tier->RaiseEpoch("all", 9, nullptr);
  tier->Drain();
  EXPECT_FALSE(Find(1));
  tier->Drain();
  EXPECT_EQ(tier->Stats().begun_anew, 1u);
  EXPECT_EQ(tier->Stats().read_errors, 1u);
  EXPECT_EQ(reports.size(), 1u);
  EXPECT_TRUE(Store(1, kBody));
  tier->Drain();
  EXPECT_TRUE(Find(1));
  EXPECT_EQ(tier->Stats().begun_anew, 1u);
  EXPECT_TRUE(Contains(ReadFile(Home() + "/cache.db.corrupt"), std::string(8192, '\xff')));
  ASSERT_EQ(Open(), "");
  EXPECT_TRUE(Find(1));
  EXPECT_EQ(tier->Epochs().at("all"), 9u);
}

TEST_F(TornFiles, R_11_FlippedBytesAreNeverAWrongAnswer) {
  Make();
  Prng prng(11);
  for (int round = 0; round < 60; ++round) {
    std::string file = database, wal = log;
    std::string& hit = round % 3 == 0 ? wal : file;
    // Every third round a whole sector, as a disk would lose it.
    const std::size_t at = prng.Next() % (hit.size() - 512);
    for (std::size_t i = 0; i < (round % 3 == 2 ? 512u : 1u); ++i) hit[at + i] = static_cast<char>(prng.Next());
    if (std::string_view(file).substr(68, 4) != std::string_view(database).substr(68, 4))
      continue;  // not ours any more
    Check(file, wal, "round " + std::to_string(round) + ", byte " + std::to_string(at));
  }
}

/// No file of this process may grow beyond `bytes` while this lives: write() fails with EFBIG.
class FileLimit {
 public:
  explicit FileLimit(rlim_t bytes) {
    handler_ = ::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    ::signal(SIGXFSZ, handler_);
  }
  FileLimit(const FileLimit&) = delete;
  FileLimit& operator=(const FileLimit&) = delete;

 private:
  rlimit before_{};
  void (*handler_)(int) = nullptr;
};

TEST_F(DiskFaults, R_11_AFullDiskTurnsWritesOffForThirtySecondsAndReadsGoOn) {
  ASSERT_EQ(Open(), "");
  Store(1, 1000);
  tier->Drain();
  {
    const FileLimit full(fs::file_size(Database() + "-wal"));
    EXPECT_TRUE(Store(2, 300'000));
    tier->Drain();
    EXPECT_FALSE(tier->Stats().writes_on);
    EXPECT_EQ(tier->Stats().write_errors, 1u);
    EXPECT_EQ(reports, std::vector<std::string>{"cache.disk: writing failed, off for 30 s: disk I/O error"});
    EXPECT_EQ(tier->Stats().dropped_off, 1u);
    EXPECT_TRUE(Find(1));
    EXPECT_FALSE(Find(2));
    EXPECT_FALSE(Store(3, 100));
    EXPECT_EQ(tier->Stats().dropped_off, 2u);
    std::optional<std::uint64_t> removed = 5;
    tier->Remove(KeyOf(1), [&](std::optional<std::uint64_t> count) { removed = count; });
    tier->Drain();
    EXPECT_EQ(removed, std::nullopt) << "a removal that failed says so";

    now_ns += 30'000'000'000 - 1;
    EXPECT_FALSE(Store(3, 100));
    now_ns += 1;
    EXPECT_TRUE(Store(3, 100)) << "one try";
    tier->Drain();
    EXPECT_FALSE(tier->Stats().writes_on);
  }
  EXPECT_FALSE(Store(4, 100));
  now_ns += 30'000'000'000;
  EXPECT_TRUE(Store(4, 300'000));
  tier->Drain();
  EXPECT_TRUE(tier->Stats().writes_on);
  EXPECT_EQ(tier->Stats().begun_anew, 0u);
  EXPECT_TRUE(Right(4, 300'000, Find(4)));
  EXPECT_TRUE(Find(4));
  EXPECT_TRUE(Find(1));
}

TEST_F(DiskFaults, R_11_AnEntryThatCannotBeReadIsAMissAndStays) {
  FaultyDisk disk;
  for (const bool opened : {false, true}) {
    ASSERT_EQ(Open(), "");
    Store(1, 30'000);
    Store(2, 10);
    tier->Drain();
    ASSERT_EQ(Open(), "");
    if (opened) {
      EXPECT_TRUE(Find(2));
    }
    disk.Set(DeviceFault::kReadError);
    EXPECT_FALSE(Find(1)) << opened;
    EXPECT_EQ(tier->Stats().read_errors, 1u);
    EXPECT_EQ(tier->Stats().misses, 1u);
    disk.Set(DeviceFault::kNone);
    tier->Drain();
    EXPECT_TRUE(Right(1, 30'000, Find(1)));
    EXPECT_TRUE(Find(1)) << "an error is no damage";
    EXPECT_EQ(tier->Stats().corrupt + tier->Stats().begun_anew, 0u);
  }
}

TEST_F(DiskFaults, R_11_WhatCannotBeWrittenTurnsWritesOff) {
  FaultyDisk disk;
  for (const DeviceFault fault : {DeviceFault::kWriteError, DeviceFault::kNoRoom, DeviceFault::kSyncError}) {
    SCOPED_TRACE(static_cast<int>(fault));
    fs::remove_all(Home());
    ASSERT_EQ(Open(), "");
    Store(1, 1000);
    tier->Drain();
    ASSERT_TRUE(Find(1));
    disk.Set(fault);
    std::optional<std::uint64_t> raised = 7;
    tier->RaiseEpoch("all", 7, [&](std::optional<std::uint64_t> value) { raised = value; });
    tier->Drain();
    EXPECT_EQ(raised, std::nullopt) << "what is not on the disk is not said to be";
    EXPECT_FALSE(tier->Stats().writes_on);
    EXPECT_GE(tier->Stats().write_errors, 1u);
    EXPECT_FALSE(Store(2, 1000));
    EXPECT_TRUE(Find(1)) << "it is read on";
    disk.Set(DeviceFault::kNone);
    now_ns += 30'000'000'000 - 1;
    EXPECT_FALSE(Store(2, 1000));
    now_ns += 1;
    EXPECT_TRUE(Store(2, 1000));
    tier->Drain();
    EXPECT_TRUE(tier->Stats().writes_on);
    EXPECT_TRUE(Find(1));
    EXPECT_TRUE(Find(2));
    EXPECT_EQ(tier->Stats().begun_anew, 0u);
    tier.reset();
  }
}

TEST_F(DiskFaults, R_11_AFolderThatIsRemovedIsToldOnceInHalfAMinute) {
  ASSERT_EQ(Open(), "");
  fs::remove_all(Home());
  for (unsigned i = 0; i < 5; ++i) EXPECT_FALSE(Find(i));
  EXPECT_EQ(tier->Stats().read_errors, 5u);
  ASSERT_EQ(reports.size(), 1u);
  EXPECT_EQ(reports[0], "cache.disk: reading failed, every such lookup is a miss: unable to open database file");
  now_ns += 30'000'000'000;
  for (unsigned i = 0; i < 5; ++i) EXPECT_FALSE(Find(i));
  EXPECT_EQ(reports.size(), 2u);
}

TEST_F(DiskFaults, R_11_ManyEntriesCostTheStartNothing) {
  ASSERT_EQ(Open(), "");
  for (std::uint64_t i = 0; i < 20'000; ++i) {
    Store(i, 10);
    if (i % 2000 == 0) tier->Drain();
  }
  ASSERT_EQ(Open(), "");
  EXPECT_EQ(tier->Stats().entries, 20'000u);  // kept in the database: nothing is counted at the start
  EXPECT_TRUE(Find(19'999));
}

}  // namespace
}  // namespace penstock::cache
