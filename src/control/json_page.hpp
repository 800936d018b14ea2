#pragma once

#include <array>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

#include "penstock/llm/splice.hpp"
#include "penstock/telemetry/metric_registry.hpp"

namespace penstock::control {

/// Owned by one Worker. Writes JSON members one after the other; names are literals.
class Members {
 public:
  explicit Members(std::string& out) : out_(out) { out_ += '{'; }
  std::string& Name(std::string_view name) {
    if (!first_) out_ += ',';
    first_ = false;
    out_ += '"';
    out_ += name;
    out_ += "\":";
    return out_;
  }
  void Text(std::string_view name, std::string_view value) { Name(name) += llm::QuoteJson(value); }
  void Number(std::string_view name, std::uint64_t value) { Name(name) += std::to_string(value); }
  void Ratio(std::string_view name, double value) {
    std::array<char, 32> text;
    Name(name).append(text.data(), static_cast<std::size_t>(std::snprintf(text.data(), text.size(), "%.4f", value)));
  }
  void Flag(std::string_view name, bool value) { Name(name) += value ? "true" : "false"; }
  void End() { out_ += '}'; }

 private:
  std::string& out_;
  bool first_ = true;
};

template <class List, class Write>
void WriteList(std::string& out, const List& list, Write write) {
  out += '[';
  bool first = true;
  for (const auto& each : list) {
    if (!first) out += ',';
    first = false;
    write(each);
  }
  out += ']';
}

/// What all workers counted together.
inline std::uint64_t Sum(const telemetry::MetricsReading& reading, telemetry::Gauge gauge) {
  return gauge.slot < reading.sums.size() ? reading.sums[gauge.slot] : 0;
}

}  // namespace penstock::control
