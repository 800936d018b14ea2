#pragma once

#include <string>

#include "penstock/config/admin_log.hpp"
#include "penstock/telemetry/log.hpp"
#include "penstock/telemetry/log_sink.hpp"

namespace penstock::app {

/// `log` of the configuration in telemetry's terms, for `channels` writing threads.
telemetry::LogSinkOptions LogSinkOptionsOf(const config::Log& log, std::size_t channels);
/// Why the access log could not be opened, by errno.
std::string AccessLogProblem(int error_number);
telemetry::Logger LoggerOf(const config::Log& log, telemetry::LogChannel& channel);

}  // namespace penstock::app
