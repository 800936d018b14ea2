#pragma once

#include <string_view>

#include "penstock/upstream/stream.hpp"

namespace penstock::upstream {

/// Owned by one Worker. One protocol's way of using an upstream connection, chosen once when it stands.
class ClientSession {
 public:
  virtual ~ClientSession() = default;

  virtual std::size_t room() const noexcept = 0;  ///< streams that may start now
  virtual bool idle() const noexcept = 0;         ///< no stream runs
  virtual void Start(Stream& stream) = 0;         ///< only while room() > 0
  virtual void Cancel(Stream& stream) = 0;
  virtual void SetPaused(Stream& stream, bool paused) = 0;

  virtual void Retire() = 0;  ///< takes no new stream; closes when the last one is done

  virtual void OnData(std::string_view bytes) = 0;
  virtual void OnFin() = 0;
  virtual void OnLost(const Error& error) = 0;  ///< the transport is closed: every stream fails with this
  virtual void OnTimer() = 0;
  virtual void Flush() = 0;
  virtual void OnIdle() = 0;  ///< the pool keeps it for later: arm the idle timer
};

}  // namespace penstock::upstream
