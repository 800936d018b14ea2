#include "control/resource_monitor.hpp"

#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "control/stall_stack.hpp"
#include "penstock/mem/memory_reserve.hpp"

#ifdef __SANITIZE_ADDRESS__
extern "C" void __sanitizer_purge_allocator();  // its heap is not glibc's; sanitizer/allocator_interface.h
#endif

namespace penstock::control {
namespace {

using policy::OverloadAction;
using policy::OverloadLevel;
using policy::Resource;

static_assert(telemetry::kOverloadResources == policy::kResourceNames);
static_assert(telemetry::kOverloadActionLabels == policy::kOverloadActionNames);

constexpr Duration kCpuWindow = std::chrono::seconds(2);
constexpr unsigned kTicksPerSecond = 10;
static_assert(kTicksPerSecond * LoopWatch::kTick == std::chrono::seconds(1));
constexpr double kFilesReserve = 64;       // FAULTS P-06: upstream connections of what runs, logs, reloads
constexpr double kCacheGrowth = 1.0 / 32;  // of its size per second, when the pressure is gone
constexpr int kGiveBackShare = 20;         // the heap is walked for at most a twentieth of this thread's time

constexpr std::size_t IndexOf(Resource resource) { return static_cast<std::size_t>(resource); }

/// Of the memory tier's size.
double CacheShare(OverloadLevel memory) {
  switch (memory) {
    case OverloadLevel::kCalm: return 1;
    case OverloadLevel::kWarning: return 1.0 / 2;
    case OverloadLevel::kCritical: return 1.0 / 8;
    case OverloadLevel::kExtreme: return 0;
  }
  return 1;
}

/// How many samples in a row it takes. Memory and descriptors are what they are; CPU time (one sample in two seconds)
/// and lag go up and down by themselves.
policy::OverloadLevels::Rules RulesOf(const config::Overload& overload) {
  policy::OverloadLevels::Rules rules;
  if (!overload.enabled) return rules;
  const auto& memory = overload.memory;
  rules[IndexOf(Resource::kMemory)] = {{memory.warning, memory.critical, memory.reset}, 1, kTicksPerSecond};
  rules[IndexOf(Resource::kCpu)] = {{overload.cpu.warning, overload.cpu.critical}, 2, 2};
  rules[IndexOf(Resource::kLoopLag)] = {
      {ToSeconds(overload.loop_lag.warning), ToSeconds(overload.loop_lag.critical)}, 5, kTicksPerSecond};
  rules[IndexOf(Resource::kFds)] = {{overload.fds.warning, overload.fds.critical}, 1, 2};
  return rules;
}

}  // namespace

ResourceMonitor::ResourceMonitor(Parts parts, std::string root)
    : parts_(std::move(parts)),
      files_(std::move(root)),
      memory_(files_),
      loops_(
          parts_.workers.size(),
          [this](std::size_t worker, LoopWatch::Letter letter) {
            parts_.workers.TellOne(worker, [letter = std::move(letter)](proxy::Gateway&) { letter(); });
          },
          [&worker = parts_.worker] { return worker.ReadClock(); }),
      timer_(this, [](void* self) { static_cast<ResourceMonitor*>(self)->Tick(); }),
      reported_(parts_.workers.size()) {
  PrepareStallStacks();
  parts_.worker.Arm(timer_, LoopWatch::kTick);
}

void ResourceMonitor::Tick() {
  parts_.worker.Arm(timer_, LoopWatch::kTick);
  ++ticks_;
  const config::Overload& rules = parts_.rules();
  loops_.Tick(parts_.worker.Now());
  LookAtWorkers(rules.watchdog);
  levels_.SetRules(RulesOf(rules));
  const policy::OverloadLevels::Sample sample = Read(rules);
  levels_.Update(sample);
  Show(sample);
  Take(levels_.actions());
  SizeCaches();
  if (actions_.Has(OverloadAction::kResetStreams))
    parts_.workers.Tell([](proxy::Gateway& gateway) { gateway.ResetLargest(); });
  if (actions_.Has(OverloadAction::kShrinkCaches)) GiveBack();
}

policy::OverloadLevels::Sample ResourceMonitor::Read(const config::Overload& rules) {
  policy::OverloadLevels::Sample sample;
  sample[IndexOf(Resource::kMemory)] = memory_.Pressure(parts_.worker.Now(), rules.memory.limit, rules.memory.warning);
  // Refused by the kernel, whatever its figures say.
  if (const std::size_t taken = MemoryReserve::Refill(); taken != 0) {
    const bool many = taken >= MemoryReserve::kParts / 4;
    std::optional<double>& memory = sample[IndexOf(Resource::kMemory)];
    memory = std::max(memory.value_or(0), many ? rules.memory.critical : rules.memory.warning);
  }
  sample[IndexOf(Resource::kCpu)] = CpuPressure();
  if (const auto lag = loops_.Lag(); lag.has_value() && !loops_.overslept())
    sample[IndexOf(Resource::kLoopLag)] = ToSeconds(*lag);
  if (ticks_ % kTicksPerSecond == 0) sample[IndexOf(Resource::kFds)] = FilesPressure();
  return sample;
}

std::optional<double> ResourceMonitor::CpuPressure() {
  const TimePoint now = parts_.worker.Now();
  const bool stale = loops_.overslept();
  if (!stale && cpu_.at != TimePoint{} && now - cpu_.at < kCpuWindow) return std::nullopt;
  const auto used = files_.CpuTime();
  if (!used.has_value()) return std::nullopt;
  const CpuSample before = std::exchange(cpu_, CpuSample{now, *used});
  if (stale || before.at == TimePoint{}) return std::nullopt;
  double cores = std::min(rt::UsableCores(), parts_.threads);
  if (const auto quota = files_.CpuQuota()) cores = std::min(cores, *quota);
  return ToSeconds(*used - before.used) / (ToSeconds(now - before.at) * cores);
}

std::optional<double> ResourceMonitor::FilesPressure() {
  rlimit limit{};
  const auto open = files_.OpenFiles();
  if (!open.has_value() || ::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
    return std::nullopt;
  const auto most = static_cast<double>(limit.rlim_cur);
  return static_cast<double>(*open) / (most > 2 * kFilesReserve ? most - kFilesReserve : most);
}

void ResourceMonitor::Show(const policy::OverloadLevels::Sample& sample) {
  const telemetry::OverloadMetrics& metrics = parts_.metrics;
  for (std::size_t i = 0; i < policy::kResources; ++i) {
    const auto resource = static_cast<Resource>(i);
    metrics.level[i].Set(parts_.slab, static_cast<std::int64_t>(levels_.level(resource)));
    if (!sample[i].has_value()) continue;
    last_[i] = sample[i];
    if (resource == Resource::kLoopLag) {
      metrics.loop_lag.Set(parts_.slab, static_cast<std::int64_t>(*sample[i] * metrics.kSecondParts));
    } else {
      metrics.pressure[i].Set(parts_.slab, static_cast<std::int64_t>(*sample[i] * metrics.kRatioParts));
    }
  }
}

void ResourceMonitor::Take(policy::OverloadActions wanted) {
  if (wanted == actions_) return;
  const policy::OverloadActions before = std::exchange(actions_, wanted);
  parts_.workers.Tell([wanted](proxy::Gateway& gateway) { gateway.SetOverload(wanted); });
  const auto pressure = [this](Resource resource) { return last_[IndexOf(resource)].value_or(0); };
  for (std::size_t i = 0; i < policy::kOverloadActions; ++i) {
    const auto action = static_cast<OverloadAction>(i);
    const bool on = wanted.Has(action);
    if (on == before.Has(action)) continue;
    parts_.metrics.active[i].Set(parts_.slab, on ? 1 : 0);
    if (on) parts_.metrics.taken[i].Add(parts_.slab);
    const auto line = on ? &telemetry::Logger::Warn : &telemetry::Logger::Info;
    (parts_.log.*line)(parts_.worker.Wall(), on ? "overload action begins" : "overload action ends",
                       {{"action", policy::kOverloadActionNames[i]},
                        {"memory", pressure(Resource::kMemory)},
                        {"cpu", pressure(Resource::kCpu)},
                        {"loop_lag_s", pressure(Resource::kLoopLag)},
                        {"fds", pressure(Resource::kFds)}});
  }
}

/// Down at once; up again step by step, because what made the pressure may have been the cache.
void ResourceMonitor::SizeCaches() {
  if (parts_.memory == nullptr) return;
  double share = std::min(cache_share_, CacheShare(levels_.level(Resource::kMemory)));
  if (share < 1 && !actions_.Has(OverloadAction::kShrinkCaches) && ticks_ % kTicksPerSecond == 0)
    share = std::min(1.0, share + kCacheGrowth);
  if (share == cache_share_) return;
  cache_share_ = share;
  parts_.memory->Resize(static_cast<std::uint64_t>(share * static_cast<double>(parts_.memory->size_bytes())));
}

/// What is freed is still resident until the heap gives its free pages back. Walking it holds up who allocates.
void ResourceMonitor::GiveBack() {
  const TimePoint began = parts_.worker.ReadClock();
  if (began < give_back_due_) return;
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_purge_allocator();
#else
  ::malloc_trim(0);
#endif
  const TimePoint now = parts_.worker.ReadClock();
  give_back_due_ = now + std::max<Duration>(std::chrono::seconds(1), kGiveBackShare * (now - began));
}

void ResourceMonitor::LookAtWorkers(const config::Watchdog& rules) {
  for (std::size_t i = 0; i < loops_.workers(); ++i) {
    const Duration standing = loops_.Standing(i);
    const bool stalled = rules.stall > Duration::zero() && standing >= rules.stall;
    if (stalled && !reported_[i]) {
      parts_.metrics.stalls.Add(parts_.slab);
      parts_.log.Error(parts_.worker.Wall(), "worker stands still",
                       {{"worker", i}, {"thread", loops_.Thread(i)}, {"for_s", ToSeconds(standing)}});
      AskForStack(loops_.Thread(i));
      reported_[i] = true;
    } else if (standing == Duration::zero() && reported_[i]) {
      parts_.log.Info(parts_.worker.Wall(), "worker goes on", {{"worker", i}});
      reported_[i] = false;
    }
    if (rules.abort > Duration::zero() && standing >= rules.abort && !files_.Traced()) Abort(i);
  }
}

/// Past the log, whose thread would not get to it.
void ResourceMonitor::Abort(std::size_t worker) {
  std::fprintf(stderr, "penstock: worker %zu stands still for longer than overload.watchdog.abort: aborting\n", worker);
  std::fflush(stderr);
  std::abort();
}

}  // namespace penstock::control
