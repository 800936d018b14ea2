#pragma once

#include <cstdint>
#include <optional>

#include "proxy/attempt.hpp"
#include "proxy/stages/admit.hpp"

namespace penstock::proxy {

/// Owned by one Worker. Watches one attempt: when its first token is late, another endpoint is asked as well. Nothing,
/// where the model has no `hedge`.
///
/// The second request takes room that is there, and no more: not while others queue for the cluster, not while this
/// worker is short of memory, and never an endpoint that the request may not ask again.
class Hedge {
 public:
  Hedge(RequestContext& context, Attempt& attempt, Admission& admission);

  /// The attempt has begun.
  void Watch();
  /// It is over. The second endpoint that was asked, if there was one.
  std::optional<std::uint32_t> Stop() noexcept;

 private:
  void OnLate();

  RequestContext& context_;
  Attempt& attempt_;
  Admission& admission_;
  rt::Timer timer_;
  TimePoint watched_at_{};
  std::optional<std::uint32_t> second_;
};

}  // namespace penstock::proxy
