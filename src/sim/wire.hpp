#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "penstock/base/time.hpp"
#include "sim/program.hpp"

namespace penstock::sim {

/// What an answer on the wire port can do beyond server::ResponseStream: break the protocol. All of it takes effect at
/// the end of the turn, behind what the stream's body() holds then.
class Wire {
 public:
  virtual bool http2() const noexcept = 0;
  virtual std::int32_t stream_id() const noexcept = 0;  ///< 0 on HTTP/1.1
  /// These bytes go out on the connection as they are (HTTP/2: between two frames).
  virtual void Raw(std::string_view bytes) = 0;
  /// HTTP/2: RST_STREAM with this code. HTTP/1.1: the TCP connection is reset. The handler's OnFinished follows.
  virtual void Reset(std::uint32_t code) = 0;
  /// The connection is closed by FIN. OnFinished follows.
  virtual void CloseConnection() = 0;
  /// The connection is closed by a TCP reset. OnFinished follows.
  virtual void AbortConnection() = 0;
  /// Raw() made a complete answer: the connection takes the next request. OnFinished follows.
  virtual void Done() = 0;

 protected:
  ~Wire() = default;
};

/// Immutable. A piece of a scripted answer: wait, send, go on or end.
struct WireStep {
  enum class Then : std::uint8_t { kNext, kDone, kClose, kAbort, kReset };
  Duration delay{0};
  std::string bytes;
  Then then = Then::kNext;
  bool answered = false;  ///< with these bytes the client has a whole answer
};

/// The answer of a kScript fault, byte for byte; empty when the protocol has no such fault.
/// `stream`: the request asked for events.
std::vector<WireStep> MakeH1Script(const Program& program, bool stream);
std::vector<WireStep> MakeH2Script(const Program& program, bool stream, std::int32_t stream_id);
/// The frames of kFlood, kGoaway and kMaxStreams (HTTP/2 only).
std::string MakeFlood(const Program& program, std::int32_t stream_id);
std::string MakeGoaway(std::int64_t last_stream, std::uint32_t code);
std::string MakeMaxStreams(std::uint32_t streams);

}  // namespace penstock::sim
