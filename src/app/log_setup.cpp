#include "app/log_setup.hpp"

#include <cerrno>
#include <cstring>

namespace penstock::app {

telemetry::LogSinkOptions LogSinkOptionsOf(const config::Log& log, std::size_t channels) {
  telemetry::LogSinkOptions options;
  switch (log.access.kind) {
    case config::AccessLog::Kind::kStderr: options.access = "stderr"; break;
    case config::AccessLog::Kind::kOff: options.access = "off"; break;
    case config::AccessLog::Kind::kFile: options.access = log.access.path; break;
  }
  options.channels = channels;
  return options;
}

std::string AccessLogProblem(int error_number) {
  return error_number == ENXIO ? "is a FIFO that nobody reads, or a device that is not there"
                               : std::strerror(error_number);
}

telemetry::Logger LoggerOf(const config::Log& log, telemetry::LogChannel& channel) {
  return {channel, telemetry::ParseLogLevel(config::Name(log.level)).value_or(telemetry::LogLevel::kInfo),
          log.format == config::LogFormat::kText ? telemetry::LogFormat::kText : telemetry::LogFormat::kJson};
}

}  // namespace penstock::app
