#pragma once

#include <string_view>

namespace penstock::server {

/// Owned by one Worker. One protocol's way of serving a connection, chosen once by Connection. All calls come from it.
class Session {
 public:
  virtual ~Session() = default;
  virtual void OnData(std::string_view bytes) = 0;
  virtual void OnFin() = 0;                ///< the client sends no more
  virtual void OnLost() = 0;               ///< the transport is gone: tell the handlers
  virtual void OnTimer() = 0;              ///< the connection's one timer, armed by the session
  virtual void Flush() = 0;                ///< end of a turn, or room again: serialise and write
  virtual void Drain() = 0;                ///< finish what runs, take nothing new, then close
  virtual bool idle() const noexcept = 0;  ///< no request in flight, nothing unsent
};

}  // namespace penstock::server
