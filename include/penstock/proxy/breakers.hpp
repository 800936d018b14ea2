#pragma once

#include <cstddef>
#include <deque>

#include "penstock/policy/circuit_breaker.hpp"

namespace penstock::proxy {

/// Shared: as its parts are. The circuit breakers of one model, one per endpoint of its cluster, in that order; kept
/// over reloads that change nothing about them.
class Breakers {
 public:
  struct Rules {
    policy::CircuitBreakerRules breaker;
    std::uint32_t ejections_allowed = 0;
    friend bool operator==(const Rules&, const Rules&) = default;
  };

  Breakers(const Rules& rules, std::size_t endpoints) : rules_(rules), limit_(rules.ejections_allowed) {
    for (std::size_t i = 0; i < endpoints; ++i) breakers_.emplace_back(rules_.breaker, limit_);
  }

  policy::CircuitBreaker& operator[](std::size_t endpoint) noexcept { return breakers_[endpoint]; }
  /// All of them, while one is not closed; else null.
  const std::deque<policy::CircuitBreaker>* open() const noexcept {
    return limit_.ejected() == 0 ? nullptr : &breakers_;
  }
  /// How often one of them left the closed state.
  std::uint64_t ejections() const noexcept { return limit_.total(); }
  const Rules& rules() const noexcept { return rules_; }

 private:
  const Rules rules_;
  policy::EjectionLimit limit_;
  std::deque<policy::CircuitBreaker> breakers_;  // none can be moved
};

}  // namespace penstock::proxy
