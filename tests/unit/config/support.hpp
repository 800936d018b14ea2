#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "penstock/config/load.hpp"

namespace penstock::config {

inline std::string SourcePath(std::string_view relative) {
  return std::string(PENSTOCK_SOURCE_DIR "/").append(relative);
}

inline std::string ReadText(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// The file must be what was generated; PENSTOCK_UPDATE_GOLDEN=1 writes it instead.
inline void ExpectGolden(std::string_view relative, const std::string& generated) {
  const std::string path = SourcePath(relative);
  if (std::getenv("PENSTOCK_UPDATE_GOLDEN") != nullptr) std::ofstream(path, std::ios::binary) << generated;
  EXPECT_EQ(ReadText(path), generated) << relative << " is out of date; run this test with PENSTOCK_UPDATE_GOLDEN=1";
}

/// Every error on its own line, without the file's name: "3:5: server.workers: must be ...".
inline std::string Errors(const LoadResult& result) {
  std::string lines;
  for (const Problem& problem : result.errors) lines += problem.ToString().substr(problem.file.size() + 1) + "\n";
  return lines;
}

inline std::string Warnings(const LoadResult& result) {
  std::string lines;
  for (const Problem& problem : result.warnings) lines += problem.ToString().substr(problem.file.size() + 1) + "\n";
  return lines;
}

/// The smallest configuration that loads. Lines: listener 3, model 5-6, cluster 8-10.
inline constexpr std::string_view kSmallest =
    "server:\n"
    "  listeners:\n"
    "    - address: 127.0.0.1:8080\n"
    "models:\n"
    "  - name: m\n"
    "    cluster: c\n"
    "clusters:\n"
    "  - name: c\n"
    "    endpoints:\n"
    "      - url: http://127.0.0.1:9001\n";

}  // namespace penstock::config
