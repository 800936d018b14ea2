#pragma once

#include <memory>
#include <span>

#include "penstock/policy/balancer.hpp"

namespace penstock::policy {

std::unique_ptr<LoadBalancer> MakeRoundRobin(std::span<const EndpointView> endpoints, Prng& prng);
std::unique_ptr<LoadBalancer> MakeWeighted(std::span<const EndpointView> endpoints, Prng& prng);
std::unique_ptr<LoadBalancer> MakeLeastLoad(std::span<const EndpointView> endpoints, Prng& prng);
std::unique_ptr<LoadBalancer> MakeP2cEwma(std::span<const EndpointView> endpoints, Prng& prng);
std::unique_ptr<LoadBalancer> MakeConsistentHash(std::span<const EndpointView> endpoints, Prng& prng);

}  // namespace penstock::policy
