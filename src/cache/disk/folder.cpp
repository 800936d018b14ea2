#include "cache/disk/folder.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "cache/disk/schema.hpp"

namespace penstock::cache::disk {
namespace {

constexpr const char* kLog = "cache.db-wal";
constexpr const char* kLogIndex = "cache.db-shm";
constexpr const char* kJournal = "cache.db-journal";
constexpr const char* kNew = "cache.db.new";
constexpr const char* kNewLog = "cache.db.new-wal";
constexpr const char* kNewLogIndex = "cache.db.new-shm";
constexpr const char* kAsideLog = "cache.db.corrupt-wal";

// Where the database header keeps them, big-endian (SQLite file format, section 1.3).
constexpr std::size_t kHeaderBytes = 100, kVersionAt = 60, kApplicationAt = 68;
constexpr std::string_view kMagic("SQLite format 3\0", 16);

std::string Line(const std::string& path, std::string_view what) {
  return "cache.disk.path " + path + ": " + std::string(what);
}
std::string Failure(const std::string& path, std::string_view what, int error) {
  return Line(path, what) + ": " + std::strerror(error);
}

std::uint32_t BigEndian(const unsigned char* at) noexcept {
  return std::uint32_t{at[0]} << 24 | std::uint32_t{at[1]} << 16 | std::uint32_t{at[2]} << 8 | at[3];
}

class File {
 public:
  explicit File(int fd) noexcept : fd_(fd) {}
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int fd() const noexcept { return fd_; }

 private:
  int fd_;
};

}  // namespace

Result<Folder, std::string> Folder::Open(const std::string& path) {
  struct stat status;
  if (::lstat(path.c_str(), &status) != 0) {
    if (errno != ENOENT) return Failure(path, "cannot look at it", errno);
    if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return Failure(path, "cannot make the folder", errno);
  } else if (S_ISLNK(status.st_mode)) {
    return Line(path, "is a symbolic link; name the folder that it leads to");
  } else if (!S_ISDIR(status.st_mode)) {
    return Line(path, "is not a folder");
  }
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return Failure(path, "cannot open the folder", errno);
  Folder folder(path, fd);
  if (::faccessat(fd, ".", W_OK | X_OK, AT_EACCESS) != 0) return Failure(path, "cannot write into the folder", errno);
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return Line(path, "is in use by another process");
    return Failure(path, "cannot lock the folder", errno);
  }
  // Links above the folder are the operator's layout; SQLite is to meet none at all.
  char* resolved = ::realpath(path.c_str(), nullptr);
  if (resolved == nullptr) return Failure(path, "cannot resolve it", errno);
  folder.path_ = resolved;
  std::free(resolved);
  return folder;
}

Folder::~Folder() {
  if (fd_ >= 0) ::close(fd_);
}

Result<Folder::Finding, std::string> Folder::Look(std::uint64_t size_max) const {
  for (const char* name : {kFile, kLog, kLogIndex}) {
    struct stat status;
    if (::fstatat(fd_, name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
      if (errno != ENOENT) return Failure(path_ + "/" + name, "cannot look at it", errno);
    } else if (!S_ISREG(status.st_mode)) {
      return Line(path_ + "/" + name, S_ISLNK(status.st_mode) ? "is a symbolic link" : "is not a regular file");
    }
  }
  const File file(::openat(fd_, kFile, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (file.fd() < 0) {
    if (errno == ENOENT) return Finding::kNothing;
    return Failure(database(), "cannot open it", errno);
  }
  struct stat status;
  if (::fstat(file.fd(), &status) != 0 || !S_ISREG(status.st_mode)) return Line(database(), "is not a regular file");
  if (status.st_size == 0) return Finding::kNothing;
  std::array<unsigned char, kHeaderBytes> header{};
  const ssize_t got = ::pread(file.fd(), header.data(), header.size(), 0);
  if (got < 0) return Failure(database(), "cannot read it", errno);
  if (static_cast<std::size_t>(got) < header.size() || std::memcmp(header.data(), kMagic.data(), kMagic.size()) != 0) {
    return Finding::kBroken;
  }
  if (BigEndian(&header[kApplicationAt]) != kApplicationId)
    return Line(database(), "is another application's database");
  if (BigEndian(&header[kVersionAt]) != kSchemaVersion) return Finding::kBroken;
  if (static_cast<std::uint64_t>(status.st_size) > size_max) return Finding::kBroken;
  return Finding::kOurs;
}

void Folder::Unlink(const char* name) const noexcept { ::unlinkat(fd_, name, 0); }

bool Folder::Begin(std::string& why) const {
  // A log without its database would be taken for the new one's.
  for (const char* name : {kLog, kLogIndex, kJournal, kNew, kNewLog, kNewLogIndex}) Unlink(name);
  {
    // Made here, not by SQLite: its mode is that of the log and the log's index, too.
    const File made(::openat(fd_, kNew, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (made.fd() < 0) {
      why = Failure(path_, "cannot make the database", errno);
      return false;
    }
  }
  if (!CreateSchema(path_ + "/" + kNew, why)) {
    why = Line(path_, "cannot make the database: " + why);
    return false;
  }
  const File made(::openat(fd_, kNew, O_RDWR | O_NOFOLLOW | O_CLOEXEC));
  if (made.fd() < 0 || ::fsync(made.fd()) != 0 || ::renameat(fd_, kNew, fd_, kFile) != 0) {
    why = Failure(path_, "cannot make the database", errno);
    return false;
  }
  ::fsync(fd_);
  return true;
}

bool Folder::MoveAside() const noexcept {
  // The database first: one that is missing takes its log along at the next start, whenever this is cut short.
  if (::renameat(fd_, kFile, fd_, kAside) != 0 && errno != ENOENT) return false;
  if (::renameat(fd_, kLog, fd_, kAsideLog) != 0) Unlink(kAsideLog);
  Unlink(kLogIndex);
  return true;
}

bool Folder::Discard() const noexcept {
  if (::unlinkat(fd_, kFile, 0) != 0 && errno != ENOENT) return false;
  Unlink(kLog);
  Unlink(kLogIndex);
  return true;
}

}  // namespace penstock::cache::disk
