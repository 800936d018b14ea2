#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

namespace penstock::config {

struct FileText {
  std::string text;
  mode_t mode = 0;
};

/// Reads a regular file of at most `bytes_max`. Returns the problem ("cannot be opened: ...") or empty. Never
/// blocks on a pipe or a device.
std::string ReadFile(const std::string& path, std::uint64_t bytes_max, FileText& file);

}  // namespace penstock::config
