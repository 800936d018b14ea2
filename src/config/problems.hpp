#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/yaml_tree.hpp"
#include "penstock/config/load.hpp"

namespace penstock::config {

/// Collects findings with their places, kProblemsMax of each kind at most. Owned by one Worker.
class Problems {
 public:
  explicit Problems(std::string_view file) : file_(file) {}

  void Error(Mark mark, std::string_view path, std::string message) {
    Add(errors_, dropped_, mark, path, std::move(message));
  }
  void Warning(Mark mark, std::string_view path, std::string message) {
    std::size_t uncounted = 0;
    Add(warnings_, uncounted, mark, path, std::move(message));
  }

  /// Whether something is wrong at `path` itself.
  bool Knows(std::string_view path) const noexcept;
  bool any() const noexcept { return !errors_.empty(); }
  /// True when further errors would only be counted, so that their text need not be made.
  bool full() const noexcept { return errors_.size() >= kProblemsMax; }

  /// Moves everything out, in the order of the file.
  void MoveTo(LoadResult& result);

 private:
  void Add(std::vector<Problem>& list, std::size_t& dropped, Mark mark, std::string_view path, std::string message);

  std::string file_;
  std::vector<Problem> errors_;
  std::vector<Problem> warnings_;
  std::size_t dropped_ = 0;
};

}  // namespace penstock::config
