#include "sim/stats.hpp"

#include "sim/kind.hpp"

namespace penstock::sim {

std::string_view ProgressName(Progress progress) noexcept {
  switch (progress) {
    case Progress::kReceiving: return "receiving";
    case Progress::kQueued: return "queued";
    case Progress::kWaiting: return "waiting";
    case Progress::kStreaming: return "streaming";
    case Progress::kSilent: return "silent";
  }
  return "";
}

Counters& Stats::Of(std::string_view model) {
  const auto known = own_.models.find(model);
  if (known != own_.models.end()) return known->second;
  return own_.models[own_.models.size() < kModelsMax ? std::string(model) : std::string("other")];
}

void Stats::Received(std::string_view model) {
  const std::lock_guard lock(mutex_);
  ++Of(model).received;
}

void Stats::Completed(std::string_view model, std::uint32_t prompt_tokens, std::uint32_t generated_tokens) {
  const std::lock_guard lock(mutex_);
  Counters& counters = Of(model);
  ++counters.completed;
  counters.prompt_tokens += prompt_tokens;
  counters.generated_tokens += generated_tokens;
}

void Stats::Cancelled(std::string_view model, Progress progress, server::Departure departure, TimePoint now) {
  const std::lock_guard lock(mutex_);
  ++Of(model).cancelled;
  if (own_.cancels.size() >= kCancelsKept) own_.cancels.erase(own_.cancels.begin());
  own_.cancels.push_back({now.ns, progress, departure, std::string(model)});
}

void Stats::ProtocolReject() {
  const std::lock_guard lock(mutex_);
  ++own_.protocol_rejects;
}

void Stats::ConnectionKilled() {
  const std::lock_guard lock(mutex_);
  ++own_.connections_killed;
}

void Stats::Running(int change) {
  const std::lock_guard lock(mutex_);
  own_.in_flight += change;
}

void Stats::Waiting(int change) {
  const std::lock_guard lock(mutex_);
  own_.waiting += change;
}

void Stats::AddTo(Sum& sum) {
  const std::lock_guard lock(mutex_);
  for (const auto& [model, counters] : own_.models) {
    Counters& total = sum.models[model];
    total.received += counters.received;
    total.completed += counters.completed;
    total.cancelled += counters.cancelled;
    total.prompt_tokens += counters.prompt_tokens;
    total.generated_tokens += counters.generated_tokens;
  }
  sum.cancels.insert(sum.cancels.end(), own_.cancels.begin(), own_.cancels.end());
  sum.protocol_rejects += own_.protocol_rejects;
  sum.connections_killed += own_.connections_killed;
  sum.in_flight += own_.in_flight;
  sum.waiting += own_.waiting;
}

void Stats::Reset() {
  const std::lock_guard lock(mutex_);
  own_.models.clear();
  own_.cancels.clear();
  own_.protocol_rejects = own_.connections_killed = 0;
}

void Recorder::Keep(TimePoint now, server::Protocol protocol, bool wire, http::HeadPtr& head, std::string& body) {
  if (ring_.empty()) return;
  const std::lock_guard lock(mutex_);
  Record& record = ring_[next_];
  next_ = (next_ + 1) % ring_.size();
  record.at_ns = now.ns;
  record.protocol = protocol;
  record.wire = wire;
  std::swap(record.head, head);
  std::swap(record.body, body);
}

void Recorder::AddTo(std::vector<std::pair<std::int64_t, std::string>>& records) {
  const std::lock_guard lock(mutex_);
  for (const Record& record : ring_) {
    if (record.at_ns == 0 || record.head == nullptr) continue;
    const http::Head& head = *record.head;
    std::string json = R"({"at_ns":)" + std::to_string(record.at_ns) + R"(,"protocol":")";
    json += record.protocol == server::Protocol::kHttp2 ? "h2" : "http/1.1";
    json += record.wire ? R"(","wire":true,"method":")" : R"(","wire":false,"method":")";
    AppendBytes(json, head.method_text());
    json += R"(","target":")";
    AppendBytes(json, head.target());
    json += R"(","authority":")";
    AppendBytes(json, head.authority());
    json += R"(","headers":[)";
    for (std::size_t i = 0; i < head.size(); ++i) {
      const http::Head::Field field = head.field(i);
      json += i == 0 ? "[\"" : ",[\"";
      AppendBytes(json, field.name);
      json += "\",\"";
      AppendBytes(json, field.value);
      json += "\"]";
    }
    json += R"(],"body":")";
    AppendBytes(json, record.body);
    json += "\"}";
    records.emplace_back(record.at_ns, std::move(json));
  }
}

void Recorder::Clear() {
  const std::lock_guard lock(mutex_);
  for (Record& record : ring_) record.at_ns = 0;
  next_ = 0;
}

void Recorder::ReleaseHeads() {
  const std::lock_guard lock(mutex_);
  for (Record& record : ring_) {
    record.at_ns = 0;
    record.head.reset();
  }
}

}  // namespace penstock::sim
