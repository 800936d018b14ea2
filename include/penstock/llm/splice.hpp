#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "penstock/llm/request_view.hpp"

namespace penstock::llm {

/// What to change in a body on its way upstream. All else goes byte for byte.
struct SpliceRules {
  /// The upstream's name as a JSON string (QuoteJson); empty: leave the client's.
  std::string_view model_json = {};
  bool include_usage = false;  ///< set `stream_options.include_usage` to true, in families that have it
  bool force_stream = false;   ///< set `stream` to true
};

/// Owned by one Worker. A body as a list of pieces, which point into the original body, the rules' model_json
/// and literals: send them with one gathered write. No allocation.
class SplicedBody {
 public:
  static constexpr std::size_t kSegmentsMax = 8;  ///< three changes cut a body into at most seven

  SplicedBody(const RequestView& request, const SpliceRules& rules) noexcept;

  std::span<const std::string_view> segments() const noexcept { return {segments_.data(), count_}; }
  std::size_t size() const noexcept { return size_; }  ///< bytes in all: the upstream Content-Length

 private:
  void Add(std::string_view segment) noexcept;

  std::array<std::string_view, kSegmentsMax> segments_;
  std::size_t count_ = 0;
  std::size_t size_ = 0;
};

/// `text` as a JSON string with its quotes. Allocates: for names known at configuration time.
std::string QuoteJson(std::string_view text);

}  // namespace penstock::llm
