#include "penstock/policy/gradient_limit.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <utility>
#include <vector>

#include "penstock/base/prng.hpp"

namespace penstock::policy {
namespace {

using namespace std::chrono_literals;

/// A server with `slots`: a request takes `service`, give or take a tenth; those beyond wait in line, unseen.
class Server {
 public:
  std::uint32_t slots = 20;
  Duration service = 100ms;
  Duration prefill{};  ///< the first token comes so long after the slot; zero: with the end

  /// Keeps the server as full as `limit` allows for `time`, with at most `offered` at a time.
  void Run(GradientLimit& limit, Duration time, std::uint32_t offered = 1'000'000) {
    const TimePoint end = now_ + time;
    while (now_ < end) {
      while (in_flight() < std::min(limit.limit(), offered)) Begin();
      if (!starting_.empty() && starting_.begin()->first <= leaving_.begin()->first) {
        const auto next = starting_.begin();
        now_ = std::max(now_, next->first);
        limit.OnLatency(LatencyKind::kFirstToken, now_ - next->second.began, next->second.among, now_);
        starting_.erase(next);
        continue;
      }
      const auto next = leaving_.begin();
      now_ = std::max(now_, next->first);
      limit.Look(now_);
      leaving_.erase(next);
      ++done_;
      most_ = std::max(most_, in_flight());
    }
  }
  std::uint64_t TakeDone() { return std::exchange(done_, 0); }
  std::uint32_t TakeMost() { return std::exchange(most_, 0); }
  TimePoint now() const { return now_; }

 private:
  struct Request {
    TimePoint began;
    std::uint32_t among;
  };
  std::uint32_t in_flight() const { return static_cast<std::uint32_t>(leaving_.size()); }

  void Begin() {
    free_at_.resize(slots, now_);
    const auto slot = std::min_element(free_at_.begin(), free_at_.end());
    const auto shake = static_cast<std::int64_t>(prng_.Below(static_cast<std::uint64_t>(service.count()) / 5));
    const TimePoint served = std::max(*slot, now_);
    *slot = served + service * 9 / 10 + Duration(shake);
    starting_.emplace(prefill == Duration::zero() ? *slot : served + prefill, Request{now_, in_flight() + 1});
    leaving_.emplace(*slot, 0);
  }

  Prng prng_{42};
  TimePoint now_{1'000'000'000};
  std::vector<TimePoint> free_at_;
  std::multimap<TimePoint, Request> starting_;
  std::multimap<TimePoint, int> leaving_;
  std::uint64_t done_ = 0;
  std::uint32_t most_ = 0;
};

class Converges : public testing::TestWithParam<std::uint32_t> {};

TEST_P(Converges, NearTheCapacity) {
  GradientLimit limit;
  Server server;
  server.slots = GetParam();
  server.Run(limit, 120s);
  server.TakeDone();
  server.TakeMost();
  server.Run(limit, 60s);
  const double rate = static_cast<double>(server.TakeDone()) / 60;
  EXPECT_GT(rate, 0.93 * server.slots / ToSeconds(server.service)) << "it is kept busy";
  EXPECT_LE(server.TakeMost(), 2 * server.slots + 12) << "and not flooded";
}

INSTANTIATE_TEST_SUITE_P(GradientLimit, Converges, testing::Values(4, 20, 100));

TEST(GradientLimit, ShrinksWhenTheServerSlowsAndGrowsAgain) {
  GradientLimit limit;
  Server server;
  server.slots = 100;
  server.Run(limit, 90s);
  const std::uint32_t before = limit.limit();
  EXPECT_GT(before, 100u);
  server.service = 300ms;  // all of it, say by a neighbour on the same machine
  server.Run(limit, 10s);
  EXPECT_LT(limit.limit(), before / 2);
  server.service = 100ms;
  server.Run(limit, 10s);
  std::uint32_t most = limit.limit();
  for (int i = 0; i < 10; ++i) {  // it may probe just now
    server.Run(limit, 500ms);
    most = std::max(most, limit.limit());
  }
  EXPECT_GT(most, 100u);
}

TEST(GradientLimit, ASlowerServerIsMeasuredAnew) {
  GradientLimit limit;
  Server server;
  server.slots = 50;
  server.Run(limit, 60s);
  server.service = 400ms;  // for good: another model, with as many slots
  server.Run(limit, 240s);
  server.TakeDone();
  server.Run(limit, 60s);
  EXPECT_GT(static_cast<double>(server.TakeDone()) / 60, 0.85 * 50 / 0.4);
}

/// Calls of three minutes, of whose first tokens the limit hears after less than a second.
struct CallsOfMinutes : testing::Test {
  CallsOfMinutes() {
    server.slots = 32;
    server.service = 180s;
    server.prefill = 300ms;
    server.Run(limit, 3h);
    server.TakeDone();
  }
  double ShareOfCapacity(Duration time) {
    server.TakeDone();
    server.Run(limit, time);
    return static_cast<double>(server.TakeDone()) * ToSeconds(server.service) / (server.slots * ToSeconds(time));
  }
  GradientLimit limit;
  Server server;
};

TEST_F(CallsOfMinutes, TheLimitIsFoundAndProbesCostLittle) {
  server.TakeMost();
  EXPECT_GT(ShareOfCapacity(6h), 0.93);
  EXPECT_LE(server.TakeMost(), 2 * server.slots);
}

TEST_F(CallsOfMinutes, ASlowerServerIsMeasuredAnew) {
  server.prefill = 2s;  // for good: longer prompts
  server.Run(limit, 1h);
  EXPECT_GT(ShareOfCapacity(3h), 0.85);
}

TEST_F(CallsOfMinutes, AFasterServerIsKnownAtOnce) {
  server.prefill = 100ms;
  server.Run(limit, 10min);
  EXPECT_GT(ShareOfCapacity(3h), 0.85);
}

/// Endpoints of one cluster get their calls together.
TEST(GradientLimit, NotAllProbeAtOnce) {
  constexpr std::size_t kEndpoints = 6;
  std::deque<GradientLimit> limits;
  std::vector<Server> servers(kEndpoints);
  for (std::size_t i = 0; i < kEndpoints; ++i) {
    limits.emplace_back(GradientRules{}, i + 1);
    servers[i].service = 180s;
    servers[i].prefill = 300ms;
  }
  std::size_t most = 0, probes = 0;
  std::vector<std::uint32_t> before(kEndpoints, 0);
  for (int minute = 0; minute < 12 * 60; ++minute) {
    std::size_t halved = 0;
    for (std::size_t i = 0; i < kEndpoints; ++i) {
      servers[i].Run(limits[i], 60s);
      const bool probes_now = limits[i].limit() < 0.6 * before[i];
      if (!probes_now) before[i] = limits[i].limit();
      halved += probes_now;
    }
    probes += halved != 0;
    if (minute > 120) most = std::max(most, halved);
  }
  EXPECT_GT(probes, 50u);
  EXPECT_LE(most, 3u);
}

TEST(GradientLimit, GrowsNotWhileItIsNotUsed) {
  GradientLimit limit;
  Server server;
  server.Run(limit, 120s, 3);
  EXPECT_EQ(limit.limit(), GradientRules{}.initial);
}

TEST(GradientLimit, StaysWithinItsBounds) {
  GradientLimit limit({.initial = 5, .min = 2, .max = 30});
  Server server;
  server.slots = 1000;
  server.Run(limit, 60s);
  EXPECT_LE(limit.limit(), 30u);
  EXPECT_GE(limit.limit(), 15u) << "30, or half of it for a probe";
  for (int i = 0; i < 100; ++i) limit.OnOverload(server.now() + i * 300ms);
  EXPECT_EQ(limit.limit(), 2u);
}

TEST(GradientLimit, ARefusalTakesATenthOncePerWindow) {
  GradientLimit limit({.initial = 100});
  const TimePoint now{5'000'000'000};
  for (int i = 0; i < 50; ++i) limit.OnOverload(now + i * 1ms);
  EXPECT_EQ(limit.limit(), 90u);
  limit.OnOverload(now + 1s);
  EXPECT_EQ(limit.limit(), 81u);
}

TEST(GradientLimit, KindsAreNotCompared) {
  GradientLimit limit({.initial = 16});
  TimePoint now{1'000'000'000};
  // A hundred times slower than a token, always: no sign of anything.
  for (int i = 0; i < 400; ++i) {
    now = now + 10ms;
    limit.OnLatency(LatencyKind::kPerToken, 5ms, 16, now);
    limit.OnLatency(LatencyKind::kWhole, 500ms, 16, now);
  }
  EXPECT_GT(limit.limit(), 16u);
}

}  // namespace
}  // namespace penstock::policy
