#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string_view>
#include <utility>
#include <variant>

#include "penstock/base/time.hpp"
#include "penstock/telemetry/log_channel.hpp"

namespace penstock::telemetry {

enum class LogLevel : std::uint8_t { kDebug, kInfo, kWarn, kError };
enum class LogFormat : std::uint8_t { kJson, kText };

/// "debug", "info", "warn", "error", as `log.level` spells them; none for anything else.
std::optional<LogLevel> ParseLogLevel(std::string_view text) noexcept;

/// One named value of a line. The name is a literal; the value may come from a peer.
struct LogField {
  using Value = std::variant<std::string_view, std::int64_t, std::uint64_t, double, bool>;

  LogField(std::string_view n, std::string_view v) : name(n), value(v) {}
  LogField(std::string_view n, const char* v) : name(n), value(std::string_view(v)) {}
  LogField(std::string_view n, bool v) : name(n), value(v) {}
  LogField(std::string_view n, double v) : name(n), value(v) {}
  template <std::signed_integral T>
  LogField(std::string_view n, T v) : name(n), value(static_cast<std::int64_t>(v)) {}
  template <std::unsigned_integral T>
  requires(!std::same_as<T, bool>) LogField(std::string_view n, T v) : name(n), value(static_cast<std::uint64_t>(v)) {}

  /// A text of more than the usual 1 KiB: up to kLogTextMax of it, escaped. Not more than two in a line.
  static LogField Long(std::string_view name, std::string_view text) {
    LogField field(name, text);
    field.bytes_max = kLogTextMax;
    return field;
  }

  std::string_view name;
  Value value;
  std::size_t bytes_max = kLogFieldMax;  ///< of a text, escapes included
};

/// Owned by one Worker. Or by the control thread: the one that pushes into its channel. The daemon's own log:
///   log.Warn(now, "endpoint is unhealthy", {{"endpoint", name}, {"after", 3}});
/// JSON: {"ts":"...","level":"warn","msg":"endpoint is unhealthy","endpoint":"gpu-1","after":3}
/// text: 2026-09-14T12:34:56.789Z warn  endpoint is unhealthy endpoint="gpu-1" after=3
/// Values are escaped as in the access log and cut at 1 KiB; fields beyond the line's 16 KiB are left out.
class Logger {
 public:
  Logger(LogChannel& channel, LogLevel level, LogFormat format) : channel_(channel), level_(level), format_(format) {}

  using Fields = std::initializer_list<LogField>;
  void Debug(WallTime now, std::string_view message, Fields fields = {}) {
    Write(LogLevel::kDebug, now, message, fields);
  }
  void Info(WallTime now, std::string_view message, Fields fields = {}) {
    Write(LogLevel::kInfo, now, message, fields);
  }
  void Warn(WallTime now, std::string_view message, Fields fields = {}) {
    Write(LogLevel::kWarn, now, message, fields);
  }
  void Error(WallTime now, std::string_view message, Fields fields = {}) {
    Write(LogLevel::kError, now, message, fields);
  }

  bool Enabled(LogLevel level) const noexcept { return level >= level_; }
  void set_level(LogLevel level) noexcept { level_ = level; }
  void set_format(LogFormat format) noexcept { format_ = format; }

 private:
  void Write(LogLevel level, WallTime now, std::string_view message, Fields fields);

  LogChannel& channel_;
  LogLevel level_;
  LogFormat format_;
};

/// Owned by one Worker. Lets a reason be logged once a second; keep one per reason:
///   if (const auto held_back = limit_.Allow(now)) log.Warn(wall, "...", {{"held_back", *held_back}});
class LogLimit {
 public:
  /// How many were held back since the last one; none = hold this one back too.
  std::optional<std::uint64_t> Allow(TimePoint now) noexcept {
    if (now < next_) {
      ++held_back_;
      return std::nullopt;
    }
    next_ = now + std::chrono::seconds(1);
    return std::exchange(held_back_, 0);
  }

 private:
  TimePoint next_{INT64_MIN};
  std::uint64_t held_back_ = 0;
};

}  // namespace penstock::telemetry
