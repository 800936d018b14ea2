#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <vector>

#include "penstock/policy/balancer.hpp"

namespace penstock::policy {

/// A cluster with its load.
class Fleet {
 public:
  explicit Fleet(const std::vector<std::uint32_t>& weights) {
    for (const std::uint32_t weight : weights) {
      EndpointView& view = views_.emplace_back();
      view.load = &loads_.emplace_back();
      view.weight = weight;
    }
  }

  std::span<const EndpointView> views() const { return views_; }
  EndpointView& view(std::uint32_t i) { return views_[i]; }  ///< to be set before a balancer is made
  EndpointLoad& load(std::uint32_t i) { return loads_[i]; }
  std::uint32_t size() const { return static_cast<std::uint32_t>(views_.size()); }

  /// Requests that stay.
  void Hold(std::uint32_t i, int requests = 1) {
    while (requests-- > 0) held_.push_back(loads_[i].TryLease(0).value());
  }

 private:
  std::deque<EndpointLoad> loads_;
  std::vector<EndpointView> views_;
  std::vector<LoadLease> held_;
};

inline std::vector<std::uint32_t> Walk(LoadBalancer& balancer, PickContext context) {
  std::vector<std::uint32_t> picks;
  Candidates candidates(balancer, context);
  while (const auto pick = candidates.Next()) {
    picks.push_back(*pick);
    if (picks.size() > 2 * kEndpointsMax) ADD_FAILURE() << "the walk does not end";
    if (picks.size() > 2 * kEndpointsMax) break;
  }
  return picks;
}

inline std::uint32_t First(LoadBalancer& balancer, PickContext context) {
  return Candidates(balancer, context).Next().value();
}

inline double SpreadOf(const std::vector<int>& counts) {
  const auto [low, high] = std::minmax_element(counts.begin(), counts.end());
  return static_cast<double>(*high) / std::max(1, *low);
}

}  // namespace penstock::policy
