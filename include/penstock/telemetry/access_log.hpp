#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "penstock/base/time.hpp"
#include "penstock/telemetry/gateway_metrics.hpp"
#include "penstock/telemetry/log_channel.hpp"
#include "penstock/telemetry/term.hpp"

namespace penstock::telemetry {

/// One request, as the access log tells it. Views are borrowed for the call; an empty one is written as null,
/// as is a number that is not known. The text may be a peer's: it is escaped and cut at 1 KiB per field.
struct AccessRecord {
  WallTime ts;  ///< when the request began
  std::string_view request_id;
  std::string_view client;  ///< address and port
  Protocol protocol = Protocol::kHttp1;
  std::string_view method;
  std::string_view route;  ///< the name of a row of the route table, never a path
  std::string_view key;    ///< the name of an API key, never the key
  std::string_view model;  ///< what was asked for
  std::string_view model_answered;
  std::string_view endpoint;
  std::uint32_t attempts = 0;
  std::uint16_t status = 0;  ///< 499 when the client left
  Term term = Term::kWell;
  std::string_view cache;  ///< the value of x-penstock-cache
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  std::optional<std::uint64_t> tokens_in;
  std::optional<std::uint64_t> tokens_out;
  std::optional<Duration> queue;
  std::optional<Duration> ttft;
  Duration duration{};
  Duration gateway{};
};

/// Owned by one Worker. Writes access lines into its thread's channel. A line has its fields in the
/// contract's order, all of them always, so that a reader can rely on columns and a test can compare bytes.
class AccessLog {
 public:
  /// `on` false: the access log is off. `channel` nullptr: nothing at all is logged.
  explicit AccessLog(LogChannel* channel, bool on = true);
  ~AccessLog();

  /// False: do not even fill a record in.
  bool enabled() const noexcept { return scratch_ != nullptr; }
  /// The thread's way to the log, for its other lines: also while the access log is off. May be null.
  LogChannel* channel() const noexcept { return channel_; }
  void Write(const AccessRecord& record) noexcept;

 private:
  struct Scratch;
  LogChannel* channel_;
  std::unique_ptr<Scratch> scratch_;
};

}  // namespace penstock::telemetry
