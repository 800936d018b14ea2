#include "penstock/policy/gradient_limit.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace penstock::policy {
namespace {

constexpr double kGradientMin = 0.5;  // a window takes away half of the limit at most, before smoothing
constexpr double kOverloadCut = 0.9;
constexpr double kLeastS = 1e-6;   // below, clocks and queues of the gateway itself are measured
constexpr double kRatioMax = 100;  // one answer of a minute among fast ones is no average
constexpr double kShake = 0.25;    // of the time between probes

Duration Seconds(double seconds) { return Duration(static_cast<std::int64_t>(1e9 * seconds)); }

}  // namespace

GradientLimit::GradientLimit(const GradientRules& rules, std::uint64_t seed) noexcept
    : rules_(rules), limit_(std::clamp(rules.initial, rules.min, rules.max)), estimate_(limit_), prng_(seed) {}

void GradientLimit::OnLatency(LatencyKind kind, Duration latency, std::uint32_t in_flight, TimePoint now) noexcept {
  const std::lock_guard lock(mutex_);
  if (probe_due_ == TimePoint{}) {
    window_began_ = load_began_ = now;
    probe_due_ = now + rules_.probe_max;
  }
  if (probing_ && now >= probe_end_) EndProbe(now);
  // While probing only what began among few tells how fast the server is by itself.
  if (probing_ && in_flight > limit()) return;
  Samples& samples = kinds_[static_cast<std::size_t>(kind)];
  double seconds = std::max(ToSeconds(latency), kLeastS);
  if (samples.least_s != 0) seconds = std::min(seconds, kRatioMax * samples.least_s);
  samples.sum_s += seconds;
  ++samples.count;
  ++answers_;
  in_flight_most_ = std::max(in_flight_most_, in_flight);
  if (probing_) {
    if (samples.count >= rules_.probe_answers) EndProbe(now);
    return;
  }
  load_sum_ += in_flight;
  ++load_answers_;
  if (answers_ >= rules_.window_answers && now - window_began_ >= rules_.window) CloseWindow(now);
}

void GradientLimit::Look(TimePoint now) noexcept {
  const std::lock_guard lock(mutex_);
  if (probing_ && now >= probe_end_) EndProbe(now);
}

void GradientLimit::OnOverload(TimePoint now) noexcept {
  const std::lock_guard lock(mutex_);
  if (now - cut_at_ < rules_.window && cut_at_ != TimePoint{}) return;
  cut_at_ = now;
  estimate_ = std::max(estimate_ * kOverloadCut, static_cast<double>(rules_.min));
  Publish();
}

void GradientLimit::CloseWindow(TimePoint now) noexcept {
  const double ratio = RatioOfWindow();
  const bool in_use = in_flight_most_ >= estimate_ / 2;
  BeginWindow(now);
  if (!in_use) return;
  const double gradient = std::clamp(rules_.tolerance / ratio, kGradientMin, 1.0);
  const double wanted = estimate_ * gradient + std::sqrt(estimate_);
  estimate_ += (wanted - estimate_) * rules_.smoothing;
  estimate_ = std::clamp(estimate_, static_cast<double>(rules_.min), static_cast<double>(rules_.max));
  if (now >= probe_due_) BeginProbe(now);
  Publish();
}

/// Latency / least, over the kinds by how many answers were of each.
double GradientLimit::RatioOfWindow() noexcept {
  double sum = 0;
  for (Samples& samples : kinds_) {
    if (samples.count == 0) continue;
    const double average = samples.sum_s / samples.count;
    const bool enough = samples.count >= rules_.probe_answers;
    if (samples.least_s == 0 || (enough && average < samples.least_s)) samples.least_s = average;
    sum += samples.count * (average / samples.least_s);
  }
  return sum / answers_;
}

/// Little's law: the mean in flight / the rate at which they begin.
Duration GradientLimit::MeanCall(TimePoint now) const noexcept {
  const auto count = static_cast<double>(load_answers_);
  if (load_answers_ == 0) return Duration::zero();
  const double seconds = ToSeconds(now - load_began_) * static_cast<double>(load_sum_) / (count * count);
  return Seconds(std::min(seconds, ToSeconds(rules_.call_max)));
}

/// Until those beyond half of the limit have gone, and then as many as are looked at have come, at the rate at which so
/// few go and come.
void GradientLimit::BeginProbe(TimePoint now) noexcept {
  const double call_s = ToSeconds(MeanCall(now));
  const double patience_s = call_s * (1 + rules_.probe_answers / std::max(estimate_ / 2, 1.0));
  const double pause_s = std::max(ToSeconds(rules_.probe_every), call_s * rules_.probe_every_calls);
  probing_ = true;
  probe_end_ =
      now + (std::exchange(probed_, true) ? std::max(rules_.probe_max, Seconds(patience_s)) : rules_.probe_max);
  probe_pause_ = Seconds(pause_s * (1 - kShake + 2 * kShake * prng_.Uniform()));
}

void GradientLimit::EndProbe(TimePoint now) noexcept {
  probing_ = false;
  probe_due_ = now + probe_pause_;
  load_began_ = now;
  load_sum_ = load_answers_ = 0;
  for (Samples& samples : kinds_) {
    if (samples.count >= rules_.probe_answers) samples.least_s = samples.sum_s / samples.count;
  }
  BeginWindow(now);
  Publish();
}

void GradientLimit::BeginWindow(TimePoint now) noexcept {
  window_began_ = now;
  answers_ = in_flight_most_ = 0;
  for (Samples& samples : kinds_) {
    samples.sum_s = 0;
    samples.count = 0;
  }
}

void GradientLimit::Publish() noexcept {
  const double in_force = probing_ ? std::max(estimate_ / 2, static_cast<double>(rules_.min)) : estimate_;
  limit_.store(static_cast<std::uint32_t>(in_force), std::memory_order_relaxed);
}

}  // namespace penstock::policy
