#include "config/problems.hpp"

#include <algorithm>
#include <tuple>

namespace penstock::config {
namespace {

void SortByPlace(std::vector<Problem>& problems) {
  std::stable_sort(problems.begin(), problems.end(), [](const Problem& a, const Problem& b) {
    return std::tie(a.line, a.column) < std::tie(b.line, b.column);
  });
}

}  // namespace

std::string Problem::ToString() const {
  return file + ":" + std::to_string(line) + ":" + std::to_string(column) + ": " + path + ": " + message;
}

void Problems::Add(std::vector<Problem>& list, std::size_t& dropped, Mark mark, std::string_view path,
                   std::string message) {
  if (list.size() >= kProblemsMax) {
    ++dropped;
    return;
  }
  list.push_back({file_, mark.line, mark.column, std::string(path), std::move(message)});
}

bool Problems::Knows(std::string_view path) const noexcept {
  return std::any_of(errors_.begin(), errors_.end(), [&](const Problem& problem) { return problem.path == path; });
}

void Problems::MoveTo(LoadResult& result) {
  SortByPlace(errors_);
  SortByPlace(warnings_);
  if (dropped_ > 0) {
    const Problem& last = errors_.back();
    errors_.push_back({file_, last.line, last.column, "(file)", "and " + std::to_string(dropped_) + " more errors"});
  }
  result.errors = std::move(errors_);
  result.warnings = std::move(warnings_);
}

}  // namespace penstock::config
