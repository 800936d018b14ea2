#include "penstock/policy/priority.hpp"
#include "proxy/stages/stages.hpp"

namespace penstock::proxy {
namespace {

static_assert(telemetry::kPriorityLabels == policy::kPriorityNames);

// Not one moment for all, or they would come back together: SDKs wait exactly as long as they are told.
constexpr Duration kPauseMin = std::chrono::seconds(1);
constexpr std::chrono::milliseconds kPauseSpread{3000};

}  // namespace

Duration OverloadPause(RequestContext& context) {
  const auto spread = static_cast<std::uint64_t>(kPauseSpread.count());
  return kPauseMin + std::chrono::milliseconds(context.worker.worker.prng().Below(spread));
}

// Not in the way of health checks and of the list of models. Cached answers are refused too: to look one up, the body
// must be taken in, which is what there is no room for.
std::optional<Error> CheckOverload(RequestContext& context) {
  using policy::OverloadAction;
  using policy::Priority;
  const policy::OverloadActions actions = context.worker.overload;
  if (actions.none() || context.route->kind != RouteKind::kInference) return std::nullopt;
  const Priority priority = context.priority();
  const bool shed = actions.Has(OverloadAction::kShedRequests) ||
                    (actions.Has(OverloadAction::kShedBatch) && priority == Priority::kBatch);
  if (!shed) return std::nullopt;
  telemetry::WorkerMetrics& metrics = context.worker.metrics;
  metrics.gateway.overload.shed[static_cast<std::size_t>(priority)].Add(metrics.slab);
  context.record.retry_after = OverloadPause(context);
  return InternalError(ErrorCode::kOverloaded, "the gateway is overloaded");
}

}  // namespace penstock::proxy
