#pragma once

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <atomic>
#include <cstring>

namespace penstock::cache::test {

/// What a device may do to whoever uses it.
enum class DeviceFault { kNone, kReadError, kWriteError, kNoRoom, kSyncError, kHang };

/// While one lives, files that SQLite opens lie on a device with the fault that is set: SQLite's own file system under
/// the name that the tier asks for (sqlite.org/vfs, "shims"), whose calls fail as the kernel's EIO and ENOSPC make them.
class FaultyDisk {
 public:
  FaultyDisk() : real_(sqlite3_vfs_find("unix-excl")) {
    self = this;
    vfs_ = *real_;
    vfs_.szOsFile = static_cast<int>(sizeof(File)) + real_->szOsFile;
    vfs_.pNext = nullptr;
    vfs_.xOpen = Open;
    EXPECT_EQ(sqlite3_vfs_register(&vfs_, 0), SQLITE_OK);
    EXPECT_EQ(sqlite3_vfs_find("unix-excl"), &vfs_) << "the first of two of a name";
  }
  ~FaultyDisk() {
    Set(DeviceFault::kNone);
    sqlite3_vfs_unregister(&vfs_);
    self = nullptr;
  }
  FaultyDisk(const FaultyDisk&) = delete;
  FaultyDisk& operator=(const FaultyDisk&) = delete;

  void Set(DeviceFault fault) {
    fault_ = fault;
    fault_.notify_all();
  }

 private:
  struct File {
    sqlite3_file base;
    sqlite3_file* real() { return reinterpret_cast<sqlite3_file*>(this + 1); }
  };
  static File& Of(sqlite3_file* file) { return *reinterpret_cast<File*>(file); }
  static sqlite3_file* Real(sqlite3_file* file) { return Of(file).real(); }
  static bool Has(DeviceFault fault) { return self->fault_ == fault; }

  static int Open(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* flags_out) {
    std::memset(file, 0, static_cast<std::size_t>(self->vfs_.szOsFile));
    const int code = self->real_->xOpen(self->real_, name, Real(file), flags, flags_out);
    file->pMethods = Real(file)->pMethods == nullptr ? nullptr : Table();
    return code;
  }
  static int Read(sqlite3_file* file, void* into, int size, sqlite3_int64 at) {
    self->fault_.wait(DeviceFault::kHang);
    return Has(DeviceFault::kReadError) ? SQLITE_IOERR_READ : Real(file)->pMethods->xRead(Real(file), into, size, at);
  }
  static int Write(sqlite3_file* file, const void* from, int size, sqlite3_int64 at) {
    if (Has(DeviceFault::kWriteError)) return SQLITE_IOERR_WRITE;
    if (Has(DeviceFault::kNoRoom)) return SQLITE_FULL;
    return Real(file)->pMethods->xWrite(Real(file), from, size, at);
  }
  static int Sync(sqlite3_file* file, int flags) {
    return Has(DeviceFault::kSyncError) ? SQLITE_IOERR_FSYNC : Real(file)->pMethods->xSync(Real(file), flags);
  }
  using Methods = sqlite3_io_methods;
  template <auto Method, class... Arguments>
  static int Pass(sqlite3_file* file, Arguments... arguments) {
    return (Real(file)->pMethods->*Method)(Real(file), arguments...);
  }
  static void Barrier(sqlite3_file* file) { Real(file)->pMethods->xShmBarrier(Real(file)); }

  static const Methods* Table() {
    static constexpr int kWithoutMapping = 2;
    static const Methods methods = {kWithoutMapping,
                                    Pass<&Methods::xClose>,
                                    Read,
                                    Write,
                                    Pass<&Methods::xTruncate>,
                                    Sync,
                                    Pass<&Methods::xFileSize>,
                                    Pass<&Methods::xLock>,
                                    Pass<&Methods::xUnlock>,
                                    Pass<&Methods::xCheckReservedLock>,
                                    Pass<&Methods::xFileControl>,
                                    Pass<&Methods::xSectorSize>,
                                    Pass<&Methods::xDeviceCharacteristics>,
                                    Pass<&Methods::xShmMap>,
                                    Pass<&Methods::xShmLock>,
                                    Barrier,
                                    Pass<&Methods::xShmUnmap>,
                                    nullptr,
                                    nullptr};
    return &methods;
  }

  static inline FaultyDisk* self = nullptr;
  sqlite3_vfs* const real_;
  sqlite3_vfs vfs_{};
  std::atomic<DeviceFault> fault_{DeviceFault::kNone};
};

}  // namespace penstock::cache::test
