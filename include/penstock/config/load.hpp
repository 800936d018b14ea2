#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "penstock/config/config.hpp"

namespace penstock::config {

// Bounds on what Load takes; beyond any of them the file is refused before it can cost memory or time.
inline constexpr std::uint64_t kFileBytesMax = 16 * kMiB;
inline constexpr std::uint64_t kPendingBytesMax = 1 * kMiB;  ///< one flow collection ({...}, [...]) or scalar
inline constexpr std::uint32_t kDepthMax = 64;               ///< nested mappings and lists
inline constexpr std::uint32_t kNodesMax = 500'000;          ///< values, every alias counted in full
inline constexpr std::uint32_t kProblemsMax = 1'000;         ///< reported; the rest is only counted
inline constexpr std::uint64_t kSecretFileBytesMax = 64 * kKiB;

/// One finding, placed. Line and column count from 1; the column counts bytes.
struct Problem {
  std::string file;
  std::uint32_t line = 1;
  std::uint32_t column = 1;
  std::string path;  ///< `clusters[0].endpoints[1].url`, or `(file)`, `(syntax)`
  std::string message;

  /// `FILE:LINE:COL: path: message`
  std::string ToString() const;
};

/// Either a configuration or every error of the file, in the order of the file; warnings with both.
struct LoadResult {
  std::optional<Config> config;
  std::vector<Problem> errors;
  std::vector<Problem> warnings;
  /// Places what is found later, when somebody opens what a key names. Set where there is a config.
  std::function<Problem(const std::string& path, std::string message)> problem_at;

  bool ok() const noexcept { return config.has_value(); }
};

struct LoadOptions {
  /// Looks `${NAME}` up; null when it is not set. The default is the process's environment.
  const char* (*environment)(const char* name) = nullptr;
};

/// Reads, parses and checks a file. It opens no other file than those that `file:` secrets name; whether
/// certificates and paths can be used is for those who open them. Never throws.
LoadResult LoadFile(const std::string& path, const LoadOptions& options = {});

/// The same for a text; `name` stands for the file in problems.
LoadResult LoadText(std::string_view text, std::string_view name, const LoadOptions& options = {});

}  // namespace penstock::config
