#include "upstream/metrics_page.hpp"

#include <algorithm>
#include <charconv>

namespace penstock::upstream {
namespace {

constexpr std::size_t kLineMax = 4096;
constexpr double kSumMax = 1e6;  // as many requests as an endpoint may be allowed

/// What follows the name and its labels, if `line` is a sample of `name`.
std::optional<std::string_view> ValueOf(std::string_view line, std::string_view name) {
  if (name.empty() || !line.starts_with(name)) return std::nullopt;
  line.remove_prefix(name.size());
  if (line.starts_with('{')) {
    const std::size_t end = line.rfind('}');  // a label's value may have one too
    if (end == std::string_view::npos) return std::nullopt;
    line.remove_prefix(end + 1);
  } else if (!line.starts_with(' ')) {
    return std::nullopt;
  }
  line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
  return line;
}

}  // namespace

void MetricsPage::Begin(const Names& names) {
  names_ = names;
  rest_.clear();
  skipping_ = found_ = false;
  sum_ = 0;
}

void MetricsPage::Feed(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::size_t end = bytes.find('\n');
    const std::string_view piece = bytes.substr(0, end);
    if (rest_.size() + piece.size() > kLineMax) skipping_ = true;
    if (!skipping_) rest_ += piece;
    if (end == std::string_view::npos) return;
    if (!skipping_) TakeLine(rest_);
    rest_.clear();
    skipping_ = false;
    bytes.remove_prefix(end + 1);
  }
}

void MetricsPage::TakeLine(std::string_view line) {
  for (const std::string_view name : names_) {
    const auto text = ValueOf(line, name);
    if (!text) continue;
    double value = 0;
    if (std::from_chars(text->data(), text->data() + text->size(), value).ec != std::errc{}) return;
    if (!(value >= 0)) return;  // NaN
    found_ = true;
    sum_ = std::min(sum_ + value, kSumMax);
    return;
  }
}

std::optional<std::uint32_t> MetricsPage::Sum() const noexcept {
  return found_ ? std::optional(static_cast<std::uint32_t>(sum_)) : std::nullopt;
}

}  // namespace penstock::upstream
