// 10,000 requests over eight equal endpoints that nobody has ever asked: nobody may be the favourite, however many
// workers choose at once.
#include <gtest/gtest.h>

#include <cmath>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "support/fleet.hpp"

namespace penstock::policy {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t kEndpoints = 8;
constexpr int kWorkers = 4;
constexpr std::uint64_t kSeeds = 4;

Duration Exponential(Prng& prng, Duration mean) {
  return Duration{static_cast<std::int64_t>(-std::log(1 - prng.Uniform()) * static_cast<double>(mean.count()))};
}

/// What an attempt tells of itself.
enum class Sample {
  kFirstToken,   ///< 40 to 160 ms, for prompts of like length
  kLongPrompts,  ///< every fiftieth ten times as long
  kWhole,        ///< as random as the whole service
};

Duration SampleOf(Prng& prng, Sample kind, Duration service) {
  if (kind == Sample::kWhole) return service;
  const Duration prefill = 40ms + Duration{static_cast<std::int64_t>(prng.Below(120'000'000))};
  return kind == Sample::kLongPrompts && prng.Below(50) == 0 ? 10 * prefill : prefill;
}

/// A thing that happens to a request: its sample is known, or it ends.
struct Event {
  TimePoint at;
  std::uint32_t endpoint;
  Duration sample;
  LoadLease lease;  ///< ends
};

struct Traffic {
  Duration service, between;
  int requests;
};

/// Requests come and are served at random times (M/M/infinity). How many each endpoint got.
std::vector<int> Serve(std::string_view policy, std::uint64_t seed, Sample kind, const Traffic& traffic) {
  Prng prng(seed);
  Fleet fleet(std::vector<std::uint32_t>(kEndpoints, 1));
  std::deque<Prng> prngs;
  std::vector<std::unique_ptr<LoadBalancer>> workers;
  for (int w = 0; w < kWorkers; ++w)
    workers.push_back(FindBalancer(policy)->make(fleet.views(), prngs.emplace_back(prng.Next())));
  std::vector<int> counts(kEndpoints);
  std::vector<Event> events;  // a heap, the next at the front
  const auto later = [](const Event& a, const Event& b) { return a.at > b.at; };
  const auto add = [&](Event event) {
    events.push_back(std::move(event));
    std::push_heap(events.begin(), events.end(), later);
  };
  TimePoint now = TimePoint{0} + 1h;
  for (int i = 0; i < traffic.requests; ++i) {
    now = now + Exponential(prng, traffic.between);
    while (!events.empty() && events.front().at <= now) {
      std::pop_heap(events.begin(), events.end(), later);
      const Event& event = events.back();
      if (!event.lease) fleet.load(event.endpoint).latency().Observe(event.at, event.sample);
      events.pop_back();
    }
    const std::size_t worker = prng.Below(kWorkers);
    const std::uint32_t pick = First(*workers[worker], {prngs[worker], now});
    ++counts[pick];
    const Duration service = Exponential(prng, traffic.service);
    const Duration sample = SampleOf(prng, kind, service);
    add({now + sample, pick, sample, {}});
    add({now + std::max(sample, service), pick, {}, fleet.load(pick).TryLease(0).value()});
  }
  return counts;
}

class ColdStart : public testing::TestWithParam<const char*> {
 protected:
  void Expect(Sample kind, double spread_max) {
    // 5, 5 and 40 requests at a time on each endpoint.
    for (const Traffic& traffic :
         {Traffic{200ms, 5ms, 10'000}, Traffic{2s, 50ms, 10'000}, Traffic{2s, 6250us, 10'000}}) {
      for (std::uint64_t seed = 1; seed <= kSeeds; ++seed)
        EXPECT_LE(SpreadOf(Serve(GetParam(), seed, kind, traffic)), spread_max)
            << "seed " << seed << ", a request every " << ToMilliseconds(traffic.between) << " ms";
    }
  }
};

TEST_P(ColdStart, TenThousandRequestsAreSpreadEvenly) { Expect(Sample::kFirstToken, 1.15); }

// Where samples say more of the prompts than of the endpoint, a policy that believes them pays for it; but within
// limits.
TEST_P(ColdStart, NoiseDoesNotMakeAFavourite) {
  Expect(Sample::kWhole, 1.30);
  Expect(Sample::kLongPrompts, 1.30);
}

// Before anybody has answered, and when only those have who happened to be quick.
TEST_P(ColdStart, TheFirstToAnswerAreNotStampeded) {
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    for (const int requests : {80, 800}) {
      const std::vector<int> counts = Serve(GetParam(), seed, Sample::kWhole, {2s, 10ms, requests});
      EXPECT_LE(*std::max_element(counts.begin(), counts.end()), requests == 80 ? 25 : 150) << seed << ", " << requests;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Policies, ColdStart, testing::Values("least_load", "p2c_ewma"),
                         [](const auto& name) { return std::string(name.param); });

}  // namespace
}  // namespace penstock::policy
