#pragma once

#include "proxy/worker_context.hpp"

namespace penstock::proxy {

/// Sets the metrics that the cache's tiers count by themselves: before a scrape. Those of the tiers that all workers
/// share are worker 0's to set.
void SampleCache(WorkerContext& context);

}  // namespace penstock::proxy
