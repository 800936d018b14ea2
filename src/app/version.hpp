#pragma once

#include <string>

namespace penstock::app {

/// Version, commit, build flags, event loops.
std::string VersionText();

}  // namespace penstock::app
