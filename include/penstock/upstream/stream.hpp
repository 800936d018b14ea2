#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "penstock/base/error.hpp"
#include "penstock/http/h2_codec.hpp"
#include "penstock/http/head.hpp"

namespace penstock::upstream {

class ConnectionPool;
class ClientSession;

/// What an upstream exchange tells its owner. OnEnd or OnFailed is the last call. From inside any call the owner may
/// cancel or destroy the Stream.
class StreamHandler {
 public:
  virtual void OnRequestSent() = 0;  ///< the last byte of the request left: the upstream's time runs
  virtual void OnHead(http::HeadPtr head) = 0;
  virtual void OnBody(std::string_view bytes) = 0;  ///< borrowed
  virtual void OnEnd() = 0;                         ///< complete and properly delimited
  virtual void OnFailed(const Error& error) = 0;
  /// Time went by since Submit: the request waited for a connection, or the one it was on was dead. False: it is not
  /// sent, and OnFailed says so.
  virtual bool MayBeSentNow() { return true; }

 protected:
  ~StreamHandler() = default;
};

/// What is to be sent; borrowed until the stream ended or was cancelled.
struct Request {
  const http::Head* head = nullptr;  ///< method, authority, target, content_length and fields
  std::span<const std::string_view> body = {};
  std::size_t body_size = 0;
};

/// Owned by one Worker. One exchange with an upstream, embedded in whoever makes it; costs no allocation. Waits in its
/// pool for a connection, then runs on it. A pooled connection that turns out to be dead before it said a byte is
/// replaced once, silently (FAULTS U-05), unless its owner does not want that any more.
class Stream final : public http::H2StreamHandler {
 public:
  explicit Stream(StreamHandler& handler) noexcept : handler_(&handler) {}
  ~Stream() { Cancel(); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  /// Gives it up in whatever phase: unlinked from the queue, its connection closed or its stream reset at once. No call
  /// follows.
  void Cancel();
  /// From here on `handler` is told; also from inside a call of the one before.
  void HandOver(StreamHandler& handler) noexcept { handler_ = &handler; }
  /// Backpressure: no more body until resumed than window(); over HTTP/1.1 than one read.
  void SetPaused(bool paused);
  /// HTTP/2: bytes that the upstream may send beyond what was taken from it unpaused; at first
  /// PoolOptions::stream_window. 0 over HTTP/1.1.
  std::size_t window() const noexcept { return window_; }
  void GrowWindow(std::size_t bytes);  ///< HTTP/1.1: nothing
  bool active() const noexcept { return pool_ != nullptr; }
  bool on_connection() const noexcept { return session_ != nullptr; }
  /// Whether a byte of the request may have reached the upstream.
  bool begun() const noexcept { return begun_; }
  /// Whether a dead connection was replaced under it: the upstream may have had the request twice.
  bool replaced() const noexcept { return replaced_; }

 private:
  friend class ConnectionPool;
  friend class H1ClientSession;
  friend class H2ClientSession;

  // http::H2StreamHandler, while it runs on an HTTP/2 connection.
  void OnResponse(http::HeadPtr head, bool end) override;
  void OnBody(std::string_view bytes) override;
  void OnEnd() override;
  void OnClosed(http::H2Error code, http::H2Fate fate) override;
  http::BodyPiece PullBody(char* to, std::size_t capacity) override;

  void Rewind() noexcept;
  /// Copies the next request body bytes; true when that was the last of them.
  bool TakeBody(char* to, std::size_t capacity, std::size_t& size) noexcept;
  /// No session, no pool: the owner's call that follows is the last.
  void Detach() noexcept;

  StreamHandler* handler_;
  ConnectionPool* pool_ = nullptr;
  ClientSession* session_ = nullptr;
  Request request_;
  std::size_t part_ = 0;  ///< cursor in the request body
  std::size_t offset_ = 0;
  std::int32_t id_ = 0;           ///< HTTP/2
  std::uint32_t slot_ = 0;        ///< HTTP/2: place in the session's list
  std::uint32_t window_ = 0;      ///< HTTP/2: of the running stream
  std::uint32_t uncredited_ = 0;  ///< HTTP/2: received while paused
  bool paused_ = false;
  bool begun_ = false;
  bool replaced_ = false;   ///< a stale connection was replaced already
  bool ended_ = false;      ///< the response is complete
  Stream* next_ = nullptr;  ///< the pool's queue
  Stream* previous_ = nullptr;
};

}  // namespace penstock::upstream
