#include "app/version.hpp"

namespace penstock::app {

std::string VersionText() {
  return std::string("penstock ") + PENSTOCK_VERSION + " (" + PENSTOCK_COMMIT + ", " + PENSTOCK_BUILD + ")\nevent loops: epoll";
}

}  // namespace penstock::app
