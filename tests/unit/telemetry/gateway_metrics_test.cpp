#include "penstock/telemetry/gateway_metrics.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include "penstock/telemetry/exposition.hpp"
#include "penstock/telemetry/log_sink.hpp"
#include "penstock/telemetry/status_label.hpp"
#include "penstock/telemetry/worker_metrics.hpp"

namespace penstock::telemetry {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view kRoutes[] = {"chat_completions", "models"};

class Gateway : public testing::Test {
 protected:
  /// The value of a line of the exposition, "" when there is none.
  std::string Value(const std::string& series) const {
    const std::string text = "\n" + RenderMetrics(registry_);
    const std::size_t at = text.find("\n" + series + " ");
    if (at == std::string::npos) return "";
    const std::size_t begin = at + series.size() + 2;
    return text.substr(begin, text.find('\n', begin) - begin);
  }
  MetricRegistry registry_{GatewayFamilies()};
  Slab& control_ = registry_.OpenSlab();
  GatewayMetrics metrics_{registry_, kRoutes, {"0.1.0", "abc1234"}, control_};
  WorkerMetrics worker_{metrics_};
};

TEST(GatewayFamilies, NamesTypesAndLabelsAreTheGoldenOnes) {
  std::ostringstream actual;
  for (const MetricFamily& family : GatewayFamilies()) {
    const char* const kinds[] = {"counter", "gauge", "histogram"};
    actual << family.name << ' ' << kinds[static_cast<int>(family.kind)];
    for (const std::string_view label : family.labels) {
      if (!label.empty()) actual << ' ' << label;
    }
    actual << '\n';
  }
  std::ifstream file(PENSTOCK_GOLDEN_DIR "/metrics.txt");
  std::ostringstream golden;
  golden << file.rdbuf();
  EXPECT_EQ(actual.str(), golden.str())
      << "names and labels are API: change tests/golden/metrics.txt, the contract and "
         "every dashboard with them";
}

TEST(GatewayFamilies, BoundsAscend) {
  for (const MetricFamily& family : GatewayFamilies()) {
    EXPECT_EQ(family.kind == MetricKind::kHistogram, !family.bounds_ns.empty()) << family.name;
    for (std::size_t i = 1; i < family.bounds_ns.size(); ++i)
      EXPECT_LT(family.bounds_ns[i - 1], family.bounds_ns[i]) << family.name;
  }
}

TEST_F(Gateway, StartsWithZerosAndItsBuild) {
  EXPECT_EQ(Value("penstock_build_info{version=\"0.1.0\",revision=\"abc1234\"}"), "1");
  EXPECT_EQ(Value("penstock_inflight_requests"), "0");
  EXPECT_EQ(Value("penstock_retries_total{reason=\"connect\"}"), "0");
  EXPECT_EQ(Value("penstock_config_reloads_total{result=\"rejected\"}"), "0");
  EXPECT_EQ(Value("penstock_metrics_dropped_total"), "0");
}

TEST_F(Gateway, RequestsAreCountedByWhatTheyAre) {
  const ModelMetrics model(registry_, "llama");
  const LabelLease key = registry_.Hold("team-a");
  worker_.CountRequest(0, model.label.id(), key.id(), 200, 120ms);
  worker_.CountRequest(0, model.label.id(), key.id(), 200, 80ms);
  worker_.CountRequest(0, model.label.id(), metrics_.anonymous(), 499, 1s);
  worker_.CountRequest(1, metrics_.other(), metrics_.anonymous(), 599, 1ms);
  EXPECT_EQ(Value(R"(penstock_requests_total{route="chat_completions",model="llama",key="team-a",status="200"})"), "2");
  EXPECT_EQ(Value(R"(penstock_requests_total{route="chat_completions",model="llama",key="anonymous",status="499"})"),
            "1");
  EXPECT_EQ(Value(R"(penstock_requests_total{route="models",model="other",key="anonymous",status="5xx"})"), "1");
  EXPECT_EQ(Value(R"(penstock_request_duration_seconds_count{route="chat_completions",model="llama"})"), "3");
  EXPECT_EQ(Value(R"(penstock_request_duration_seconds_bucket{route="chat_completions",model="llama",le="0.1"})"), "1");
  EXPECT_EQ(Value(R"(penstock_request_duration_seconds_sum{route="chat_completions",model="llama"})"), "1.2");
}

TEST_F(Gateway, TokensAndReasons) {
  const ModelMetrics model(registry_, "llama");
  worker_.CountTokens(model.label.id(), metrics_.anonymous(), 10, 0);
  worker_.CountTokens(model.label.id(), metrics_.anonymous(), 5, 7);
  EXPECT_EQ(Value(R"(penstock_tokens_total{model="llama",key="anonymous",direction="input"})"), "15");
  EXPECT_EQ(Value(R"(penstock_tokens_total{model="llama",key="anonymous",direction="output"})"), "7");
  worker_.CountProtocolReject(Protocol::kHttp2, "rapid_reset");
  worker_.CountProtocolReject(Protocol::kHttp2, "rapid_reset");
  worker_.CountConnectionKilled("slow_reader");
  worker_.CountStreamInterruption("upstream_reset");
  EXPECT_EQ(Value(R"(penstock_protocol_rejects_total{protocol="http2",reason="rapid_reset"})"), "2");
  EXPECT_EQ(Value(R"(penstock_connections_killed_total{reason="slow_reader"})"), "1");
  EXPECT_EQ(Value(R"(penstock_stream_interruptions_total{cause="upstream_reset"})"), "1");
}

TEST_F(Gateway, A_12_ReasonsAreBounded) {
  static char reasons[1000][16];
  for (int i = 0; i < 1000; ++i) {
    std::snprintf(reasons[i], sizeof reasons[i], "r%d", i);
    worker_.CountConnectionKilled(reasons[i]);
  }
  EXPECT_EQ(Value(R"(penstock_connections_killed_total{reason="other"})"),
            std::to_string(1000 - WorkerMetrics::kReasonsMax));
}

TEST_F(Gateway, EveryHandleMovesItsOwnSeries) {
  Slab& slab = worker_.slab;
  const ModelMetrics model(registry_, "llama");
  const EndpointMetrics endpoint(registry_, "gpu", "gpu-1");
  metrics_.overhead.Observe(slab, 60us);
  metrics_.inflight.Add(slab);
  metrics_.retries[static_cast<std::size_t>(RetryReason::kTimeout)].Add(slab);
  metrics_.cancel_latency.Observe(slab, 1ms);
  metrics_.sse_malformed.Add(slab, 2);
  metrics_.config_reloads[static_cast<std::size_t>(ReloadResult::kRejected)].Add(control_);
  metrics_.config_last_reload_ok.Set(control_, 1);
  metrics_.buffered_bytes.Add(slab, 4096);
  metrics_.loop.Observe(slab, 20us);
  model.time_to_first_token.Observe(slab, 300ms);
  model.inter_token_latency.Observe(slab, 12ms);
  endpoint.attempts[static_cast<std::size_t>(AttemptOutcome::kThrottled)].Add(slab);
  endpoint.inflight.Add(slab, 3);
  endpoint.connections[static_cast<std::size_t>(ConnectionState::kIdle)].Add(slab, 4);
  endpoint.connect.Observe(slab, 200us);
  endpoint.healthy.Set(control_, 1);
  const std::pair<const char*, const char*> rows[] = {
      {R"(penstock_overhead_seconds_bucket{le="0.0001"})", "1"},
      {"penstock_inflight_requests", "1"},
      {R"(penstock_retries_total{reason="timeout"})", "1"},
      {R"(penstock_cancel_latency_seconds_bucket{le="0.001"})", "1"},
      {"penstock_sse_malformed_total", "2"},
      {R"(penstock_config_reloads_total{result="rejected"})", "1"},
      {R"(penstock_config_reloads_total{result="ok"})", "0"},
      {"penstock_config_last_reload_ok", "1"},
      {"penstock_buffered_bytes", "4096"},
      {"penstock_loop_seconds_count", "1"},
      {R"(penstock_time_to_first_token_seconds_bucket{model="llama",le="0.3"})", "1"},
      {R"(penstock_inter_token_latency_seconds_bucket{model="llama",le="0.015"})", "1"},
      {R"(penstock_upstream_attempts_total{cluster="gpu",endpoint="gpu-1",outcome="throttled"})", "1"},
      {R"(penstock_upstream_attempts_total{cluster="gpu",endpoint="gpu-1",outcome="ok"})", "0"},
      {R"(penstock_upstream_inflight{endpoint="gpu-1"})", "3"},
      {R"(penstock_upstream_connections{endpoint="gpu-1",state="idle"})", "4"},
      {R"(penstock_upstream_connect_seconds_count{endpoint="gpu-1"})", "1"},
      {R"(penstock_endpoint_healthy{endpoint="gpu-1"})", "1"},
  };
  for (const auto& [series, value] : rows) EXPECT_EQ(Value(series), value) << series;
}

TEST_F(Gateway, ARemovedEndpointsSeriesGo) {
  {
    const EndpointMetrics endpoint(registry_, "gpu", "gpu-1");
    endpoint.inflight.Add(worker_.slab, 3);
    EXPECT_NE(RenderMetrics(registry_).find("gpu-1"), std::string::npos);
  }
  EXPECT_EQ(RenderMetrics(registry_).find("gpu-1"), std::string::npos);
  const EndpointMetrics back(registry_, "gpu", "gpu-1");
  EXPECT_EQ(Value(R"(penstock_upstream_inflight{endpoint="gpu-1"})"), "0");
}

TEST_F(Gateway, ProcessFiguresArePlausible) {
  EXPECT_GT(std::stod(Value("process_resident_memory_bytes")), 1e6);
  EXPECT_GT(std::stod(Value("process_virtual_memory_bytes")), std::stod(Value("process_resident_memory_bytes")));
  EXPECT_GT(std::stod(Value("process_start_time_seconds")), 1.6e9);
  const double before = std::stod(Value("process_open_fds"));
  std::FILE* const file = std::fopen("/dev/null", "r");
  EXPECT_EQ(std::stod(Value("process_open_fds")), before + 1);
  std::fclose(file);
  EXPECT_GE(std::stod(Value("process_max_fds")), before);
}

TEST_F(Gateway, RatiosAreKeptInPartsAndShownAsTheyAre) {
  const OverloadMetrics& overload = metrics_.overload;
  overload.pressure[0].Set(control_, 8'125);
  overload.loop_lag.Set(control_, 2'500);
  EXPECT_EQ(Value("penstock_overload_pressure_ratio{resource=\"memory\"}"), "0.8125");
  EXPECT_EQ(Value("penstock_loop_lag_seconds"), "0.0025");
}

TEST(StatusLabel, KnownCodesAndClasses) {
  const std::pair<std::uint16_t, const char*> rows[] = {
      {200, "200"}, {299, "2xx"}, {418, "4xx"}, {429, "429"},  {499, "499"},   {503, "503"},    {529, "529"},
      {599, "5xx"}, {100, "1xx"}, {0, "other"}, {99, "other"}, {600, "other"}, {65535, "other"}};
  for (const auto& [status, text] : rows) EXPECT_EQ(StatusLabelText(StatusLabelIndex(status)), text);
  std::set<std::string_view> texts;
  for (std::size_t i = 0; i < kStatusLabels; ++i) texts.insert(StatusLabelText(i));
  EXPECT_EQ(texts.size(), kStatusLabels);
}

TEST_F(Gateway, PromtoolFindsNothingToSay) {
  if (std::system("command -v promtool >/dev/null 2>&1") != 0) GTEST_SKIP() << "promtool is not installed";
  LogSinkOptions options;
  options.access = "off";
  const auto sink = LogSink::Open(options);
  AddLogSource(registry_, **sink);
  const ModelMetrics model(registry_, "a \"quoted\" \\ model");
  const EndpointMetrics endpoint(registry_, "gpu", "gpu-1");
  const ModelMetrics cheaper(registry_, "cheaper");
  const VariantMetrics variant(registry_, model.label.id(), cheaper.label.id());
  const QueueMetrics queue(registry_, "gpu");
  worker_.CountRequest(0, model.label.id(), metrics_.anonymous(), 200, 1ms);
  worker_.CountTokens(model.label.id(), metrics_.anonymous(), 1, 1);
  worker_.CountProtocolReject(Protocol::kHttp1, "bad_request");
  worker_.CountConnectionKilled("slow_reader");
  worker_.CountStreamInterruption("stall");
  const std::string text = RenderMetrics(registry_);
  for (const MetricFamily& family : GatewayFamilies()) {
    EXPECT_NE(text.find("# TYPE " + std::string(family.name) + " "), std::string::npos)
        << family.name << " is not shown";
  }
  const std::string path = testing::TempDir() + "/penstock_metrics." + std::to_string(getpid());
  std::ofstream(path) << text;
  std::FILE* const promtool = popen(("promtool check metrics < " + path + " 2>&1").c_str(), "r");
  ASSERT_NE(promtool, nullptr);
  std::string said;
  char line[512];
  while (std::fgets(line, sizeof line, promtool) != nullptr) said += line;
  EXPECT_EQ(pclose(promtool), 0);
  EXPECT_EQ(said, "");
  std::remove(path.c_str());
}

}  // namespace
}  // namespace penstock::telemetry
