#pragma once

#include <string>

#include "penstock/config/config.hpp"

namespace penstock::app {

/// Runs until a signal ends it; returns the exit code. A failed start prints one line on stderr.
int RunDaemon(const std::string& config_file, const config::Config& config);

}  // namespace penstock::app
