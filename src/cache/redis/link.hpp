#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "penstock/cache/redis_options.hpp"
#include "penstock/net/transport.hpp"
#include "penstock/redis/reply_reader.hpp"
#include "penstock/rt/worker.hpp"

namespace penstock::cache {

/// Who waits for a reply. Told once, one of the two. (Who takes pushes: each, then that it is lost.)
class RedisWaiter {
 public:
  virtual void OnReply(const redis::Reply& reply) = 0;  ///< borrowed
  virtual void OnLost() = 0;                            ///< the connection went before the reply came

 protected:
  ~RedisWaiter() = default;
};

/// What a connection tells its owner. Not from inside Connect().
class RedisLinkEvents {
 public:
  virtual void OnLinkReady() = 0;
  virtual void OnLinkGone(RedisTrouble trouble) = 0;  ///< closed already, waiters told after this

 protected:
  ~RedisLinkEvents() = default;
};

/// Owned by one Worker. One connection to a Redis server or sentinel: connects, logs in, selects, pings, then sends
/// commands in order and gives each reply to the waiter whose turn it is. The first late reply, and the first byte that
/// is no reply, ends it. Leaves its owner by Drop() or OnLinkGone(), and dies by Bury.
class RedisLink final : public rt::Mortal, public rt::Flushable, private net::TransportHandler {
 public:
  /// `database` is selected when it is not 0.
  RedisLink(rt::Worker& worker, const RedisOptions& options, const redis::Url& login, std::uint32_t database,
            RedisLinkEvents& events);
  ~RedisLink() override;

  void Connect(const rt::Address& address, std::string_view server_name);
  bool ready() const noexcept { return state_ == State::kReady; }
  bool full() const noexcept { return in_flight() >= options_.in_flight_max; }
  std::size_t in_flight() const noexcept { return static_cast<std::size_t>(next_ - first_); }
  std::size_t unsent() const noexcept { return transport_.out().size(); }

  /// Where a command goes; Expect() must follow for each.
  Chain& out() noexcept { return transport_.out(); }
  /// A command was appended; its reply is `waiter`'s, or nobody's. Returns its number, for Forget().
  std::uint64_t Expect(RedisWaiter* waiter);
  /// From now on what comes is `pushes`', once the replies that are due have come. A command may be appended without
  /// Expect(), then Send(): its reply is a push as well. Nothing tells when none comes.
  void Listen(RedisWaiter& pushes) noexcept { pushes_ = &pushes; }
  void Send() { worker_.FlushLater(*this); }
  /// The waiter goes: its reply will be nobody's.
  void Forget(std::uint64_t number) noexcept;

  /// Closes, tells the waiters, and goes to the grave; the owner is not told.
  void Drop();

  void Flush() override;

 private:
  enum class State : std::uint8_t { kConnecting, kGreeting, kReady, kGone };
  struct Call {
    RedisWaiter* waiter = nullptr;
    TimePoint deadline{};
  };
  /// Replies to AUTH, SELECT and PING.
  struct Greeting final : RedisWaiter {
    explicit Greeting(RedisLink& owner) noexcept : link(owner) {}
    void OnReply(const redis::Reply& reply) override { link.OnGreeting(reply); }
    void OnLost() override {}
    RedisLink& link;
  };

  void OnOpen() override;
  void OnData(std::string_view bytes) override;
  void OnEnd() override;
  void OnRoom() override;
  void OnFailed(const Error& error) override;
  void OnTimer();
  void OnGreeting(const redis::Reply& reply);
  void Grow();
  Call& At(std::uint64_t number) noexcept { return calls_[number & (calls_.size() - 1)]; }
  /// Closes and tells the owner, then the waiters.
  void Fail(RedisTrouble trouble);
  void Close();
  void TellWaiters();

  rt::Worker& worker_;
  const RedisOptions& options_;
  const redis::Url& login_;
  const std::uint32_t database_;
  RedisLinkEvents* events_;
  net::Transport transport_;
  redis::ReplyReader reader_;
  Greeting greeting_;
  RedisWaiter* pushes_ = nullptr;
  rt::Timer timer_;
  State state_ = State::kConnecting;
  std::vector<Call> calls_;  ///< a ring, its size a power of two; command number n is at n modulo the size
  std::uint64_t first_ = 0;  ///< the number of the oldest command without a reply
  std::uint64_t next_ = 0;
};

}  // namespace penstock::cache
