#include "penstock/telemetry/log.hpp"

#include <array>

#include "telemetry/line_writer.hpp"

namespace penstock::telemetry {

namespace {

constexpr std::array<std::string_view, 4> kLevels = {"debug", "info", "warn", "error"};

std::string_view LevelName(LogLevel level) noexcept { return kLevels[static_cast<std::size_t>(level)]; }

void WriteValue(LineWriter& line, const LogField& field) {
  struct Visitor {
    LineWriter& line;
    std::size_t bytes_max;
    void operator()(std::string_view v) const { line.Quoted(v, bytes_max); }
    void operator()(std::int64_t v) const { line.Signed(v); }
    void operator()(std::uint64_t v) const { line.Unsigned(v); }
    void operator()(double v) const { line.Real(v); }
    void operator()(bool v) const { line.Raw(v ? "true" : "false"); }
  };
  std::visit(Visitor{line, field.bytes_max}, field.value);
}

/// The most a field can take: its separators, its name (a literal, short) and its value.
std::size_t FieldMax(const LogField& field) noexcept { return field.name.size() + field.bytes_max + 8; }

void WriteJson(LineWriter& line, LogLevel level, std::string_view timestamp, std::string_view message,
               Logger::Fields fields) {
  line.Raw(R"({"ts":")");
  line.Raw(timestamp);
  line.Raw(R"(","level":")");
  line.Raw(LevelName(level));
  line.Raw(R"(","msg":)");
  line.Quoted(message);
  for (const LogField& field : fields) {
    if (line.room() < FieldMax(field)) continue;
    line.Raw(R"(,")");
    line.Raw(field.name);
    line.Raw(R"(":)");
    WriteValue(line, field);
  }
  line.Raw("}");
}

void WriteText(LineWriter& line, LogLevel level, std::string_view timestamp, std::string_view message,
               Logger::Fields fields) {
  line.Raw(timestamp);
  line.Raw(" ");
  line.Raw(LevelName(level));
  line.Raw(level == LogLevel::kInfo || level == LogLevel::kWarn ? "  " : " ");
  line.Escaped(message);
  for (const LogField& field : fields) {
    if (line.room() < FieldMax(field)) continue;
    line.Raw(" ");
    line.Raw(field.name);
    line.Raw("=");
    WriteValue(line, field);
  }
}

}  // namespace

std::optional<LogLevel> ParseLogLevel(std::string_view text) noexcept {
  for (std::size_t i = 0; i < kLevels.size(); ++i) {
    if (kLevels[i] == text) return static_cast<LogLevel>(i);
  }
  return std::nullopt;
}

void Logger::Write(LogLevel level, WallTime now, std::string_view message, Fields fields) {
  if (!Enabled(level)) return;
  char buffer[kLogLineMax];
  LineWriter line(buffer, sizeof buffer);
  TimestampText timestamp;
  if (format_ == LogFormat::kJson) {
    WriteJson(line, level, timestamp.Format(now), message, fields);
  } else {
    WriteText(line, level, timestamp.Format(now), message, fields);
  }
  channel_.Push(LogTarget::kDaemon, line.text());
}

}  // namespace penstock::telemetry
