#include "app/version.hpp"

#include "app/event_loops.hpp"

namespace penstock::app {

control::BuildText BuildOf(std::string_view event_loop) {
  return {PENSTOCK_VERSION, PENSTOCK_COMMIT, PENSTOCK_BUILD, std::string(event_loop)};
}

std::string VersionText() {
  const control::BuildText build = BuildOf("");
  return "penstock " + build.version + "\ncommit: " + build.commit + "\nbuild: " + build.build +
         "\nevent loops: " + EventLoopNames();
}

}  // namespace penstock::app
