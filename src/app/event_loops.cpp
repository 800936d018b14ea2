#include "app/event_loops.hpp"

namespace penstock::app {

std::unique_ptr<rt::EventLoop> MakeEventLoop(config::EventLoop choice) {
  switch (choice) {
    case config::EventLoop::kAuto:
    case config::EventLoop::kEpoll: break;
  }
  return rt::MakeEpollLoop();
}

std::string EventLoopNames() { return "epoll"; }

}  // namespace penstock::app
