#pragma once

#include <string>
#include <string_view>

#include "penstock/control/control.hpp"

namespace penstock::app {

/// What was built, and which event loop of this machine runs it.
control::BuildText BuildOf(std::string_view event_loop);
/// Version, commit, build flags, event loops: for the command line.
std::string VersionText();

}  // namespace penstock::app
