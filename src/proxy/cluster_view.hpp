#pragma once

#include <memory>
#include <vector>

#include "penstock/proxy/snapshot.hpp"
#include "proxy/endpoint_pool.hpp"

namespace penstock::proxy {

/// Owned by one Worker. A cluster as this worker uses it.
struct ClusterView {
  const ClusterRoute* route = nullptr;
  std::vector<EndpointPoolPtr> pools;
  std::unique_ptr<policy::LoadBalancer> balancer;
};

/// Owned by one Worker. One snapshot as this worker uses it; pinned by every exchange that began with it.
struct View final : Counted<View> {
  std::shared_ptr<const Snapshot> snapshot;
  std::vector<ClusterView> clusters;
};

using ViewPtr = boost::intrusive_ptr<View>;

}  // namespace penstock::proxy
