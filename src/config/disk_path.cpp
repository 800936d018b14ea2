#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "penstock/config/cache.hpp"

namespace penstock::config {
namespace {

std::string Reason(int error) { return std::generic_category().message(error); }

bool IsWritable(const std::string& folder) { return faccessat(AT_FDCWD, folder.c_str(), W_OK | X_OK, AT_EACCESS) == 0; }

std::string ParentOf(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::string ParentProblem(const std::string& parent) {
  struct stat status {};
  if (stat(parent.c_str(), &status) != 0) return "does not exist and cannot be made: " + parent + ": " + Reason(errno);
  if (!S_ISDIR(status.st_mode)) return "cannot be made: " + parent + " is not a folder";
  if (!IsWritable(parent)) return "does not exist and cannot be made: " + parent + ": " + Reason(errno);
  return {};
}

}  // namespace

std::string DiskPathProblem(const std::string& path) {
  if (path.empty()) return {};
  std::string folder = path;
  while (folder.size() > 1 && folder.back() == '/') folder.pop_back();
  struct stat status {};
  if (lstat(folder.c_str(), &status) != 0) {
    if (errno != ENOENT) return "cannot be looked at: " + Reason(errno);
    return ParentProblem(ParentOf(folder));
  }
  if (S_ISLNK(status.st_mode)) return "is a symbolic link; name the folder that it leads to";
  if (!S_ISDIR(status.st_mode)) return "is not a folder";
  if (!IsWritable(folder)) return "cannot be written into: " + Reason(errno);
  return {};
}

}  // namespace penstock::config
