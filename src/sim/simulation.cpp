#include "sim/simulation.hpp"

#include <algorithm>

namespace penstock::sim {

bool Strikes::Next(const NamedProgram& named) {
  const Program& program = named.program;
  if (program.times == 0 && program.every == 1) return true;
  const std::lock_guard lock(mutex_);
  auto asked = asked_.find(named.name);
  if (asked == asked_.end()) {
    if (asked_.size() >= kNamesMax) return true;
    asked = asked_.emplace(named.name, 0).first;
  }
  const std::uint64_t n = ++asked->second;
  return n % program.every == 0 && (program.times == 0 || n / program.every <= program.times);
}

void Strikes::Clear() {
  const std::lock_guard lock(mutex_);
  asked_.clear();
}

Simulation::Simulation(SimOptions simulated)
    : options(std::move(simulated)), traits(TraitsOf(options.kind)), prefixes(options.cache_blocks) {
  for (unsigned i = 0; i < options.workers; ++i) {
    stats.push_back(std::make_unique<Stats>());
    recorders.push_back(std::make_unique<Recorder>(options.recorded));
  }
  ready = !options.not_ready;
}

std::optional<std::string> Simulation::SetEverything(std::string_view program) {
  if (program.empty()) {
    everything_.store(nullptr, std::memory_order_release);
    return std::nullopt;
  }
  auto parsed = ParseProgram(program);
  if (!parsed) return parsed.error();
  const std::lock_guard lock(mutex_);
  kept_.push_back(std::make_unique<const NamedProgram>(NamedProgram{std::string(program), std::move(*parsed)}));
  everything_.store(kept_.back().get(), std::memory_order_release);
  return std::nullopt;
}

namespace {

Stats::Sum SumOf(Simulation& simulation) {
  Stats::Sum sum;
  for (const auto& each : simulation.stats) each->AddTo(sum);
  return sum;
}

Counters TotalOf(const Stats::Sum& sum) {
  Counters total;
  for (const auto& [model, counters] : sum.models) {
    total.received += counters.received;
    total.completed += counters.completed;
    total.cancelled += counters.cancelled;
    total.prompt_tokens += counters.prompt_tokens;
    total.generated_tokens += counters.generated_tokens;
  }
  return total;
}

std::string CountersJson(const Counters& counters) {
  return "\"received\":" + std::to_string(counters.received) + ",\"completed\":" + std::to_string(counters.completed) +
         ",\"cancelled\":" + std::to_string(counters.cancelled) +
         ",\"prompt_tokens\":" + std::to_string(counters.prompt_tokens) +
         ",\"generated_tokens\":" + std::to_string(counters.generated_tokens);
}

std::string_view DepartureName(server::Departure departure) {
  switch (departure) {
    case server::Departure::kClosed: return "closed";
    case server::Departure::kSlowReader: return "slow_reader";
    case server::Departure::kProtocolError: return "protocol_error";
    case server::Departure::kDropped: return "dropped";
  }
  return "";
}

/// The gauges and counters of a kind's /metrics that load-aware routers read.
struct MetricNames {
  std::string_view running, waiting, prompt_tokens, generated_tokens, requests, cache_queries, cache_hits;
};

MetricNames NamesOf(Kind kind) {
  switch (kind) {
    case Kind::kSglang:
      return {"sglang:num_running_reqs",        "sglang:num_queue_reqs",     "sglang:prompt_tokens_total",
              "sglang:generation_tokens_total", "sglang:num_requests_total", "",
              "sglang:cached_tokens_total"};
    case Kind::kTgi: return {"tgi_batch_current_size", "tgi_queue_size", "", "", "tgi_request_success", "", ""};
    case Kind::kLlamacpp:
      return {"llamacpp:requests_processing",
              "llamacpp:requests_deferred",
              "llamacpp:prompt_tokens_total",
              "llamacpp:tokens_predicted_total",
              "",
              "",
              "llamacpp:prompt_tokens_cached_total"};
    case Kind::kTriton:
      return {"", "nv_inference_pending_request_count", "", "", "nv_inference_request_success", "", ""};
    default:
      return {"vllm:num_requests_running",    "vllm:num_requests_waiting",  "vllm:prompt_tokens_total",
              "vllm:generation_tokens_total", "vllm:request_success_total", "vllm:prefix_cache_queries_total",
              "vllm:prefix_cache_hits_total"};
  }
}

void AppendMetric(std::string& out, std::string_view name, std::string_view type, std::string_view labels,
                  double value) {
  if (name.empty()) return;
  std::string number = std::to_string(value);
  while (number.back() == '0') number.pop_back();
  if (number.back() == '.') number.pop_back();
  out += "# TYPE " + std::string(name) + " " + std::string(type) + "\n" + std::string(name) + std::string(labels) +
         " " + number + "\n";
}

}  // namespace

std::string StatsJson(Simulation& simulation) {
  const Stats::Sum sum = SumOf(simulation);
  std::string out = "{\"name\":\"";
  AppendEscaped(out, simulation.options.name);
  out += "\",\"kind\":\"" + std::string(simulation.traits.name) + "\"," + CountersJson(TotalOf(sum)) +
         ",\"in_flight\":" + std::to_string(sum.in_flight) + ",\"waiting\":" + std::to_string(sum.waiting) +
         ",\"protocol_rejects\":" + std::to_string(sum.protocol_rejects) +
         ",\"connections_killed\":" + std::to_string(sum.connections_killed) +
         ",\"connections\":{\"accepted\":" + std::to_string(simulation.connections.accepted.load()) +
         ",\"open\":" + std::to_string(simulation.connections.open.load()) + "},\"models\":{";
  bool first = true;
  for (const auto& [model, counters] : sum.models) {
    out += first ? "\"" : ",\"";
    AppendBytes(out, model);
    out += "\":{" + CountersJson(counters) + "}";
    first = false;
  }
  out += "},\"cancels\":[";
  std::vector<Stats::Cancel> cancels = sum.cancels;
  std::sort(cancels.begin(), cancels.end(), [](const auto& a, const auto& b) { return a.at_ns < b.at_ns; });
  for (std::size_t i = 0; i < cancels.size(); ++i) {
    out += (i == 0 ? "{\"at_ns\":" : ",{\"at_ns\":") + std::to_string(cancels[i].at_ns) + ",\"phase\":\"" +
           std::string(ProgressName(cancels[i].progress)) + "\",\"departure\":\"" +
           std::string(DepartureName(cancels[i].departure)) + "\",\"model\":\"";
    AppendBytes(out, cancels[i].model);
    out += "\"}";
  }
  return out + "]}";
}

std::string LastRequestsJson(Simulation& simulation) {
  std::vector<std::pair<std::int64_t, std::string>> records;
  for (const auto& recorder : simulation.recorders) recorder->AddTo(records);
  std::stable_sort(records.begin(), records.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::string out = "[";
  for (std::size_t i = 0; i < records.size(); ++i) out += (i == 0 ? "" : ",") + records[i].second;
  return out + "]";
}

std::string MetricsText(Simulation& simulation) {
  const Stats::Sum sum = SumOf(simulation);
  const Counters total = TotalOf(sum);
  const MetricNames names = NamesOf(simulation.options.kind);
  std::string labels = "{model_name=\"";
  AppendEscaped(labels, simulation.options.name);
  labels += "\"}";
  std::string out;
  AppendMetric(out, names.running, "gauge", labels, static_cast<double>(sum.in_flight - sum.waiting));
  AppendMetric(out, names.waiting, "gauge", labels, static_cast<double>(sum.waiting));
  AppendMetric(out, names.prompt_tokens, "counter", labels, static_cast<double>(total.prompt_tokens));
  AppendMetric(out, names.generated_tokens, "counter", labels, static_cast<double>(total.generated_tokens));
  AppendMetric(out, names.requests, "counter", labels, static_cast<double>(total.completed));
  AppendMetric(out, names.cache_queries, "counter", labels, static_cast<double>(simulation.prefixes.queries()));
  AppendMetric(out, names.cache_hits, "counter", labels, static_cast<double>(simulation.prefixes.hits()));
  if (simulation.options.kind == Kind::kVllm) {
    const double blocks = static_cast<double>(simulation.prefixes.size()) / simulation.options.cache_blocks;
    AppendMetric(out, "vllm:kv_cache_usage_perc", "gauge", labels, blocks);
  }
  return out;
}

}  // namespace penstock::sim
