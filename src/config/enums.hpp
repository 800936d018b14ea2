#pragma once

#include <string_view>

#include "penstock/config/config.hpp"

namespace penstock::config {

template <class E>
struct EnumRow {
  std::string_view name;
  E value;
};

/// The words of an enumeration, in the order of its values.
template <class E>
struct EnumRows {};

template <>
struct EnumRows<EventLoop> {
  static constexpr EnumRow<EventLoop> kRows[] = {{"auto", EventLoop::kAuto}, {"epoll", EventLoop::kEpoll}};
};
template <>
struct EnumRows<LogLevel> {
  static constexpr EnumRow<LogLevel> kRows[] = {
      {"debug", LogLevel::kDebug}, {"info", LogLevel::kInfo}, {"warn", LogLevel::kWarn}, {"error", LogLevel::kError}};
};
template <>
struct EnumRows<LogFormat> {
  static constexpr EnumRow<LogFormat> kRows[] = {{"json", LogFormat::kJson}, {"text", LogFormat::kText}};
};
template <>
struct EnumRows<EndpointKind> {
  static constexpr EnumRow<EndpointKind> kRows[] = {
      {"auto", EndpointKind::kAuto},     {"vllm", EndpointKind::kVllm},         {"sglang", EndpointKind::kSglang},
      {"tgi", EndpointKind::kTgi},       {"llamacpp", EndpointKind::kLlamacpp}, {"triton", EndpointKind::kTriton},
      {"ollama", EndpointKind::kOllama}, {"openai", EndpointKind::kOpenai}};
};
template <>
struct EnumRows<UpstreamProtocol> {
  static constexpr EnumRow<UpstreamProtocol> kRows[] = {
      {"auto", UpstreamProtocol::kAuto}, {"http1", UpstreamProtocol::kHttp1}, {"h2", UpstreamProtocol::kH2}};
};
template <>
struct EnumRows<StreamUpstream> {
  static constexpr EnumRow<StreamUpstream> kRows[] = {
      {"auto", StreamUpstream::kAuto}, {"on", StreamUpstream::kOn}, {"off", StreamUpstream::kOff}};
};
template <>
struct EnumRows<Rescue> {
  static constexpr EnumRow<Rescue> kRows[] = {
      {"off", Rescue::kOff}, {"restart", Rescue::kRestart}, {"continue", Rescue::kContinue}};
};
template <>
struct EnumRows<BalancerPolicy> {
  static constexpr EnumRow<BalancerPolicy> kRows[] = {{"round_robin", BalancerPolicy::kRoundRobin},
                                                      {"weighted", BalancerPolicy::kWeighted},
                                                      {"least_load", BalancerPolicy::kLeastLoad},
                                                      {"p2c_ewma", BalancerPolicy::kP2cEwma},
                                                      {"consistent_hash", BalancerPolicy::kConsistentHash}};
};
template <>
struct EnumRows<WarmupApi> {
  static constexpr EnumRow<WarmupApi> kRows[] = {
      {"chat", WarmupApi::kChat}, {"completions", WarmupApi::kCompletions}, {"embeddings", WarmupApi::kEmbeddings}};
};
template <>
struct EnumRows<Priority> {
  static constexpr EnumRow<Priority> kRows[] = {
      {"interactive", Priority::kInteractive}, {"default", Priority::kDefault}, {"batch", Priority::kBatch}};
};
template <>
struct EnumRows<CachePartition> {
  static constexpr EnumRow<CachePartition> kRows[] = {{"key", CachePartition::kKey}, {"none", CachePartition::kNone}};
};
template <>
struct EnumRows<CacheStore> {
  static constexpr EnumRow<CacheStore> kRows[] = {
      {"deterministic", CacheStore::kDeterministic}, {"always", CacheStore::kAlways}, {"opt_in", CacheStore::kOptIn}};
};
template <>
struct EnumRows<CacheEviction> {
  static constexpr EnumRow<CacheEviction> kRows[] = {{"s3fifo", CacheEviction::kS3Fifo}, {"lru", CacheEviction::kLru}};
};
template <>
struct EnumRows<RedisMode> {
  static constexpr EnumRow<RedisMode> kRows[] = {
      {"single", RedisMode::kSingle}, {"cluster", RedisMode::kCluster}, {"sentinel", RedisMode::kSentinel}};
};

}  // namespace penstock::config
