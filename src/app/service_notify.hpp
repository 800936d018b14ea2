#pragma once

#include <string_view>

namespace penstock::app {

/// Tells systemd (Type=notify) a state such as "READY=1", as sd_notify(3) does: one datagram to $NOTIFY_SOCKET. Without
/// that variable, or when nobody listens, nothing happens.
void NotifyService(std::string_view state) noexcept;

}  // namespace penstock::app
