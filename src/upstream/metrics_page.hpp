#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace penstock::upstream {

/// Owned by one Worker. Adds up gauges of a page in Prometheus' text format (0.0.4) that comes in pieces, whatever
/// their labels: vLLM has a series per model and engine. The page is not kept.
class MetricsPage {
 public:
  using Names = std::array<std::string_view, 2>;  ///< "" names nothing

  void Begin(const Names& names);
  void Feed(std::string_view bytes);
  /// Behind the last piece. Nothing when the page has neither.
  std::optional<std::uint32_t> Sum() const noexcept;

 private:
  void TakeLine(std::string_view line);

  Names names_;
  std::string rest_;  ///< of a line whose end has not come, at most kLineMax
  bool skipping_ = false;
  bool found_ = false;
  double sum_ = 0;
};

}  // namespace penstock::upstream
