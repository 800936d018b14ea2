#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

#include "penstock/base/time.hpp"
#include "penstock/rt/address.hpp"

namespace penstock::rt {

/// The rules of the loop
/// 1. One loop per Worker, one thread. Only Wake() may be called from another thread.
/// 2. Bytes in are borrowed: OnRead's view belongs to the loop and is valid during the call.
/// 3. Bytes out are offered: Write takes what the kernel takes now. What it did not take stays the caller's, at the
///    same place and unchanged, until OnWritable, then it is offered again (under io_uring the kernel may still read
///    it).
/// 4. A handler may close or destroy any socket, its own included, from inside any call.
/// 5. Nothing blocks. One read takes at most kReadBytesMax; a socket with more comes again after the others.

/// What a socket tells its owner.
class SocketHandler {
 public:
  virtual void OnConnected() = 0;                   ///< outgoing sockets: the connection stands
  virtual void OnRead(std::string_view bytes) = 0;  ///< borrowed
  virtual void OnEnd() = 0;                         ///< the peer sends no more (FIN)
  virtual void OnWritable() = 0;                    ///< there is room again after a short Write
  virtual void OnError(int error) = 0;  ///< errno: connect failed, reset, timed out; the socket is closed. Also while
                                        ///< paused and after OnEnd

 protected:
  ~SocketHandler() = default;
};

/// Owned by one Worker. One connected (or connecting) stream socket in a loop. Destroying it closes it.
class Socket {
 public:
  virtual ~Socket() = default;

  /// Begins delivering events. Accepted sockets deliver nothing before.
  virtual void Start(SocketHandler& handler) = 0;
  /// Takes as many bytes as can be taken now; a short count means OnWritable will come. Errors come as OnError later,
  /// after what the peer had sent. Not before OnConnected, not after ShutdownWrite.
  virtual std::size_t Write(std::span<const iovec> parts) = 0;
  virtual void PauseRead() = 0;
  virtual void ResumeRead() = 0;
  virtual void ShutdownWrite() = 0;  ///< FIN after what was taken
  virtual void Close() = 0;          ///< no event after this; the fd is gone
  virtual void Abort() = 0;          ///< Close with a reset: the peer must not take what it got for a whole
  virtual bool open() const noexcept = 0;
  virtual const Address& peer() const noexcept = 0;
};

/// What a listening socket tells its owner.
class AcceptHandler {
 public:
  virtual void OnAccept(std::unique_ptr<Socket> socket) = 0;
  /// accept failed: EMFILE, ENFILE, ENOMEM (the acceptor rests for 100 ms by itself) or ECONNABORTED (ignored).
  virtual void OnAcceptError(int error) = 0;

 protected:
  ~AcceptHandler() = default;
};

/// Owned by one Worker. A listening socket in a loop; closing the shared descriptor is the opener's.
class Acceptor {
 public:
  virtual ~Acceptor() = default;
  virtual void Pause() = 0;
  virtual void Resume() = 0;
  /// Accepts everything that waits now, up to `budget`: used before closing, so that nobody who was accepted by the
  /// kernel is reset.
  virtual void DrainBacklog(std::size_t budget) = 0;
  /// From here on the kernel refuses connections on the descriptor, for everybody who serves it. What had come is
  /// accepted still where the descriptor is a Unix socket, reset on TCP: DrainBacklog first.
  virtual void Refuse() = 0;
};

class FlushList;

/// Owned by one Worker. A connection that has something to write at the end of the turn. Dying removes it from its list.
class Flushable {
 public:
  virtual ~Flushable();
  virtual void Flush() = 0;

 private:
  friend class FlushList;
  FlushList* list_ = nullptr;
  Flushable* next_ = nullptr;
};

/// Owned by one Worker. Connections made dirty in this turn, each once: everything a turn produced for a connection
/// leaves in one write.
class FlushList {
 public:
  void Add(Flushable& flushable) noexcept;
  void Remove(Flushable& flushable) noexcept;
  void Run();  ///< flushes until nobody is dirty
  bool empty() const noexcept { return head_ == nullptr; }

 private:
  Flushable* head_ = nullptr;
  Flushable* tail_ = nullptr;
};

struct ConnectOptions {
  bool no_delay = true;
  Duration dead_link_timeout =
      std::chrono::seconds(15);  ///< TCP_USER_TIMEOUT and keep-alive probes (FAULTS U-25); 0 = system default
};

/// Owned by one Worker. The loop: epoll today, io_uring beside it later, simulated in tests. Everything above sees this
/// face only.
class EventLoop {
 public:
  static constexpr std::size_t kReadBytesMax = 64 * 1024;

  virtual ~EventLoop() = default;

  /// Begins connecting; OnConnected or OnError follows, never from inside this call. The handler is started already.
  virtual std::unique_ptr<Socket> Connect(const Address& address, const ConnectOptions& options,
                                          SocketHandler& handler) = 0;
  /// Serves a listening descriptor. `shared`: other workers serve the same descriptor (EPOLLEXCLUSIVE).
  virtual std::unique_ptr<Acceptor> Listen(int fd, bool shared, AcceptHandler& handler) = 0;

  /// Waits until something happens or `deadline` comes, and delivers it. Reads the clock once.
  virtual void Poll(TimePoint deadline) = 0;
  /// The time of the current turn.
  virtual TimePoint Now() const noexcept = 0;
  /// The clock itself; simulated where the loop is.
  virtual TimePoint ReadClock() const noexcept = 0;
  /// Ends a wait in Poll. From any thread.
  virtual void Wake() noexcept = 0;
  virtual std::string_view name() const noexcept = 0;
};

/// The epoll implementation: edge-triggered, one registration for a socket's whole life. Throws nothing; aborts when
/// the kernel refuses the two descriptors it needs.
std::unique_ptr<EventLoop> MakeEpollLoop();

}  // namespace penstock::rt
