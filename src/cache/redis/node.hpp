#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "cache/redis/breaker.hpp"
#include "cache/redis/link.hpp"
#include "penstock/cache/redis_tier.hpp"
#include "penstock/net/resolver.hpp"

namespace penstock::cache {

/// What every server of a tier shares. Outlives them.
struct RedisContext {
  rt::Worker& worker;
  net::Resolver& resolver;
  const RedisOptions& options;
  RedisEvents& events;
  RedisStats& stats;
};

class RedisNode;

/// What a server tells the one who knows them all.
class RedisNodeEvents {
 public:
  virtual void OnNodeReady(RedisNode& node) = 0;
  virtual void OnNodeDown(RedisNode& node) = 0;
  virtual void OnWriteError(RedisNode& node, const redis::Reply& error) = 0;

 protected:
  ~RedisNodeEvents() = default;
};

/// Owned by one Worker. One server: its addresses, its connection and its breaker. Tries to be connected at all times.
class RedisNode final : public rt::Mortal, private RedisLinkEvents {
 public:
  /// `login` gives user, password and TLS, `database` what to select.
  RedisNode(const RedisContext& context, const redis::Url& login, std::uint32_t database, std::string_view host,
            std::uint16_t port, RedisNodeEvents& events);
  ~RedisNode() override;

  /// Begins to connect; never tells anything from inside this call.
  void Begin();
  /// Closes, tells the waiters and goes to the grave.
  void Retire();

  /// Null while nothing may be sent.
  RedisLink* link() noexcept { return ready_ ? link_ : nullptr; }
  std::size_t in_flight() const noexcept { return link_ == nullptr ? 0 : link_->in_flight(); }
  std::string_view name() const noexcept { return name_; }
  std::string_view host() const noexcept { return host_; }
  bool Is(std::string_view host, std::uint16_t port) const noexcept { return port == port_ && host == host_; }

  /// Takes the replies to commands whose value nobody waits for: counts errors, obeys them.
  RedisWaiter& write_sink() noexcept { return write_sink_; }
  void OnWriteReply(const redis::Reply& reply);
  /// What an error reply to a command of ours means for this server; may end its connection.
  void OnErrorReply(redis::ErrorKind kind);
  /// Ends the connection, because of what came or did not come on it.
  void Drop(RedisTrouble trouble);

  /// Tells the events that this server is used, unless that is what they were told last, or it is distrusted.
  void TellUsed();
  /// It is connected and answers, but not what we need: TellUsed() has no effect until it is trusted again.
  void Distrust(RedisTrouble trouble);
  void Trust() noexcept { trusted_ = true; }
  bool trusted() const noexcept { return trusted_; }
  /// Another number for each connection of any server of this tier; 0 while link() is null.
  std::uint64_t session() const noexcept { return ready_ ? session_ : 0; }

 private:
  struct WriteSink final : RedisWaiter {
    explicit WriteSink(RedisNode& owner) noexcept : node(owner) {}
    void OnReply(const redis::Reply& reply) override { node.OnWriteReply(reply); }
    void OnLost() override {}
    RedisNode& node;
  };

  void OnLinkReady() override;
  void OnLinkGone(RedisTrouble trouble) override;
  void Connect();
  void Rest(RedisTrouble trouble);
  void Leave(RedisTrouble trouble);
  void Tell(RedisTrouble trouble);

  const RedisContext& context_;
  const redis::Url& login_;
  const std::uint32_t database_;
  const std::string host_;
  const std::uint16_t port_;
  const std::string name_;
  RedisNodeEvents& events_;
  std::unique_ptr<net::Subscription> addresses_;
  std::size_t next_address_ = 0;
  std::uint64_t session_ = 0;
  RedisLink* link_ = nullptr;  ///< buries itself
  RedisBreaker breaker_;
  WriteSink write_sink_{*this};
  rt::Timer timer_;
  RedisTrouble told_ = RedisTrouble::kNone;  ///< as the events know it, once ever_told_
  bool ready_ = false;
  bool ever_told_ = false;
  bool trusted_ = true;
};

}  // namespace penstock::cache
