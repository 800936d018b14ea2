#pragma once

#include "config/field.hpp"

namespace penstock::config {

// The tables, declared so that one file may refer to a section of another.
template <>
const SectionType& SectionOf<ListenerTls>();
template <>
const SectionType& SectionOf<Listener>();
template <>
const SectionType& SectionOf<Drain>();
template <>
const SectionType& SectionOf<EventBudget>();
template <>
const SectionType& SectionOf<Limits>();
template <>
const SectionType& SectionOf<Server>();
template <>
const SectionType& SectionOf<Admin>();
template <>
const SectionType& SectionOf<Log>();
template <>
const SectionType& SectionOf<Model>();
template <>
const SectionType& SectionOf<EndpointTls>();
template <>
const SectionType& SectionOf<Endpoint>();
template <>
const SectionType& SectionOf<Balancer>();
template <>
const SectionType& SectionOf<Connections>();
template <>
const SectionType& SectionOf<HealthCheck>();
template <>
const SectionType& SectionOf<Timeouts>();
template <>
const SectionType& SectionOf<Retry>();
template <>
const SectionType& SectionOf<Cluster>();
template <>
const SectionType& SectionOf<MemoryCache>();
template <>
const SectionType& SectionOf<RedisCache>();
template <>
const SectionType& SectionOf<DiskCache>();
template <>
const SectionType& SectionOf<Cache>();
template <>
const SectionType& SectionOf<ModelCache>();
template <>
const SectionType& SectionOf<ApiKey>();
template <>
const SectionType& SectionOf<Auth>();
template <>
const SectionType& SectionOf<Hedge>();
template <>
const SectionType& SectionOf<Variant>();
template <>
const SectionType& SectionOf<MemoryOverload>();
template <>
const SectionType& SectionOf<ShareOverload>();
template <>
const SectionType& SectionOf<LagOverload>();
template <>
const SectionType& SectionOf<Watchdog>();
template <>
const SectionType& SectionOf<Overload>();
template <>
const SectionType& SectionOf<Config>();

}  // namespace penstock::config
