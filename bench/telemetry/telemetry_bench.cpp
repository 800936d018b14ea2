// What a request pays for being counted and logged. Budgets: a count some nanoseconds, an access line under 1
// us.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "penstock/base/prng.hpp"
#include "penstock/telemetry/access_log.hpp"
#include "penstock/telemetry/exposition.hpp"
#include "penstock/telemetry/log_sink.hpp"
#include "penstock/telemetry/worker_metrics.hpp"
#include "telemetry/access_line.hpp"

namespace penstock::telemetry {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view kRoutes[] = {"chat_completions"};

struct Gateway {
  MetricRegistry registry{GatewayFamilies()};
  GatewayMetrics metrics{registry, kRoutes, {"0", "0"}, registry.OpenSlab()};
  WorkerMetrics worker{metrics};
};

void CounterAdd(benchmark::State& state) {
  Gateway gateway;
  for (auto _ : state) {
    gateway.metrics.sse_malformed.Add(gateway.worker.slab);
    benchmark::ClobberMemory();
  }
}
BENCHMARK(CounterAdd);

void HistogramObserve(benchmark::State& state) {
  Gateway gateway;
  const ModelMetrics model(gateway.registry, "m");
  std::vector<Duration> values;
  Prng prng(1);
  for (int i = 0; i < 1024; ++i)
    values.emplace_back(static_cast<std::int64_t>(prng.Below(1ull << (20 + prng.Below(20)))));
  std::size_t i = 0;
  for (auto _ : state) {
    model.time_to_first_token.Observe(gateway.worker.slab, values[i++ % 1024]);
    benchmark::ClobberMemory();
  }
}
BENCHMARK(HistogramObserve);

void CountRequest(benchmark::State& state) {
  Gateway gateway;
  std::vector<LabelLease> models;
  for (int i = 0; i < 50; ++i) models.push_back(gateway.registry.Hold("model-" + std::to_string(i)));
  const LabelLease key = gateway.registry.Hold("team-a");
  std::size_t i = 0;
  for (auto _ : state) {
    gateway.worker.CountRequest(0, models[i++ % 50].id(), key.id(), 200, 123us);
    benchmark::ClobberMemory();
  }
}
BENCHMARK(CountRequest);

void RenderAtTheCap(benchmark::State& state) {
  Gateway gateway;
  std::vector<LabelLease> models;
  for (int i = 0; i < 10'000; ++i) {
    models.push_back(gateway.registry.Hold("model-" + std::to_string(i)));
    gateway.worker.CountTokens(models.back().id(), gateway.metrics.anonymous(), 1'000'000, 0);
  }
  std::size_t bytes = 0;
  for (auto _ : state) bytes = RenderMetrics(gateway.registry).size();
  state.counters["bytes"] = static_cast<double>(bytes);
}
BENCHMARK(RenderAtTheCap)->Unit(benchmark::kMillisecond);

void ReadAtTheCap(benchmark::State& state) {
  Gateway gateway;
  std::vector<LabelLease> models;
  for (int i = 0; i < 10'000; ++i) {
    models.push_back(gateway.registry.Hold("model-" + std::to_string(i)));
    gateway.worker.CountTokens(models.back().id(), gateway.metrics.anonymous(), 1'000'000, 0);
  }
  for (auto _ : state) benchmark::DoNotOptimize(gateway.registry.Read());
}
BENCHMARK(ReadAtTheCap)->Unit(benchmark::kMillisecond);

AccessRecord Usual() {
  AccessRecord record;
  record.ts = WallTime{1'789'389'296'789'000};
  record.request_id = "0193f2a4-7c1e-7b60-9d52-3f0a7f5d2c11";
  record.client = "192.0.2.7:41234";
  record.protocol = Protocol::kHttp2;
  record.method = "POST";
  record.route = "chat_completions";
  record.key = "team-a";
  record.model = "gpt-4o-mini";
  record.model_answered = "llama-3-8b";
  record.endpoint = "gpu-1";
  record.attempts = 1;
  record.status = 200;
  record.cache = "miss";
  record.bytes_in = 612;
  record.bytes_out = 20480;
  record.tokens_in = 151;
  record.tokens_out = 240;
  record.ttft = 182'345us;
  record.duration = 4'200'001us;
  record.gateway = 87us;
  return record;
}

void AccessLineFormat(benchmark::State& state) {
  AccessRecord record = Usual();
  std::vector<char> buffer(kLogLineMax);
  TimestampText timestamp;
  std::size_t bytes = 0;
  for (auto _ : state) {
    LineWriter line(buffer.data(), buffer.size());
    WriteAccessLine(line, timestamp, record);
    bytes = line.text().size();
    record.ts.us += 20;
    benchmark::ClobberMemory();
  }
  state.counters["bytes"] = static_cast<double>(bytes);
}
BENCHMARK(AccessLineFormat);

/// Format and push, the log thread writing to /dev/null meanwhile; lines a full ring drops are shown.
void AccessLogWrite(benchmark::State& state) {
  const auto sink = LogSink::Open({.access = "/dev/null"});
  AccessLog log(&(*sink)->OpenChannel());
  AccessRecord record = Usual();
  for (auto _ : state) {
    log.Write(record);
    record.ts.us += 20;
  }
  state.counters["dropped"] = static_cast<double>((*sink)->dropped());
}
BENCHMARK(AccessLogWrite);

/// As a worker meets it: a line behind every 20 us or so of other work. Process CPU, so that waking and
/// running the log thread counts; subtract OtherWork.
void SomeWork() {
  double x = 1;
  for (int i = 0; i < 8'000; ++i) benchmark::DoNotOptimize(x = x * 1.0000001);
}

void OtherWork(benchmark::State& state) {
  for (auto _ : state) SomeWork();
}
BENCHMARK(OtherWork)->MeasureProcessCPUTime();

void AccessLogPaced(benchmark::State& state) {
  const auto sink = LogSink::Open({.access = "/dev/null"});
  AccessLog log(&(*sink)->OpenChannel());
  const AccessRecord record = Usual();
  for (auto _ : state) {
    SomeWork();
    log.Write(record);
  }
  state.counters["dropped"] = static_cast<double>((*sink)->dropped());
}
BENCHMARK(AccessLogPaced)->MeasureProcessCPUTime();

}  // namespace
}  // namespace penstock::telemetry
