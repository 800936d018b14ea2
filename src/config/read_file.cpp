#include "config/read_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "penstock/base/parse.hpp"

namespace penstock::config {
namespace {

std::string Reason(int error) { return std::generic_category().message(error); }

/// Owned by one Worker.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

}  // namespace

std::string ReadFile(const std::string& path, std::uint64_t bytes_max, FileText& file) {
  const Descriptor fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (fd.get() < 0) return "cannot be opened: " + Reason(errno);
  struct stat status {};
  if (fstat(fd.get(), &status) != 0) return "cannot be opened: " + Reason(errno);
  if (!S_ISREG(status.st_mode)) return "is not a regular file";
  file.mode = status.st_mode & 07777;
  file.text.clear();
  // Read to the end rather than to st_size: the file may grow or shrink meanwhile.
  std::uint64_t size = static_cast<std::uint64_t>(status.st_size);
  while (size <= bytes_max) {
    char block[16384];
    const ssize_t got = read(fd.get(), block, sizeof block);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return "cannot be read: " + Reason(errno);
    if (got == 0) return {};
    file.text.append(block, static_cast<std::size_t>(got));
    size = file.text.size();
  }
  return "is larger than " + PrintSize(bytes_max);
}

}  // namespace penstock::config
