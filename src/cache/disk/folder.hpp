#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "penstock/base/result.hpp"

namespace penstock::cache::disk {

/// Owned by one Worker. Or by the thread that opens the tier, then its writer. The folder that holds the database,
/// locked against other processes as long as this lives (flock: the kernel lets go of it however the process ends).
class Folder {
 public:
  /// Makes the folder when only its last part is missing. An error is one line for the operator.
  static Result<Folder, std::string> Open(const std::string& path);
  Folder(Folder&& other) noexcept : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)) {}
  Folder& operator=(Folder&&) = delete;
  ~Folder();

  enum class Finding : std::uint8_t {
    kNothing,  ///< no database yet
    kOurs,
    kBroken,  ///< no database, one of another version, or larger than `size_max`
  };
  /// Looks at what is there, before SQLite does. An error: something that is not ours to touch.
  Result<Finding, std::string> Look(std::uint64_t size_max) const;
  /// Puts a fresh, empty database in place, whole or not at all. False with a line in `why`.
  bool Begin(std::string& why) const;
  /// Renames the database and its log to kAside, over an earlier one. No connection may be open.
  bool MoveAside() const noexcept;
  /// Removes the database and its log. No connection may be open.
  bool Discard() const noexcept;

  std::string database() const { return path_ + "/" + kFile; }
  std::string aside() const { return path_ + "/" + kAside; }

  static constexpr const char* kFile = "cache.db";
  static constexpr const char* kAside = "cache.db.corrupt";

 private:
  Folder(std::string path, int fd) noexcept : path_(std::move(path)), fd_(fd) {}
  void Unlink(const char* name) const noexcept;

  std::string path_;  // without symbolic links
  int fd_;
};

}  // namespace penstock::cache::disk
