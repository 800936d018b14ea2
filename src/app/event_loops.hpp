#pragma once

#include <memory>
#include <string>

#include "penstock/config/server.hpp"
#include "penstock/rt/event_loop.hpp"

namespace penstock::app {

/// The loop that `server.event_loop` asks for; `auto` takes the best that runs here.
std::unique_ptr<rt::EventLoop> MakeEventLoop(config::EventLoop choice);
/// The loops available here, for people.
std::string EventLoopNames();

}  // namespace penstock::app
