#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "cache/redis/node.hpp"
#include "penstock/redis/key_slot.hpp"

namespace penstock::cache {

/// What a topology tells who uses it.
class RedisTopologyEvents {
 public:
  /// A data server was connected or lost, or other servers have the keys.
  virtual void OnServersChanged() = 0;

 protected:
  ~RedisTopologyEvents() = default;
};

/// Whom of a cluster to connect: all whose keys are wanted, or only the configured nodes, as any of them will do.
enum class RedisReach : std::uint8_t { kEveryKey, kAnyServer };

/// Owned by one Worker. Which server has which key: one server, the master that sentinels name, or the slots of a
/// cluster.
class RedisTopology final : private RedisNodeEvents {
 public:
  static constexpr std::size_t kNodesMax = 256;  ///< of a cluster; keys of further ones are misses

  /// Tells nothing from inside the constructor.
  RedisTopology(const RedisContext& context, RedisReach reach, RedisTopologyEvents& events);
  ~RedisTopology();
  RedisTopology(const RedisTopology&) = delete;
  RedisTopology& operator=(const RedisTopology&) = delete;

  /// Who has `key`, as far as is known; null when nobody can be asked.
  RedisNode* NodeFor(std::string_view key) noexcept;
  /// Where `from` sent us by MOVED or ASK, which is remembered for MOVED. Null: not in a cluster, or not to be had.
  RedisNode* Follow(const redis::Reply& error, RedisNode& from);

  /// Retires every server, for good. Waiters are told from inside this call.
  void Close();
  /// The events are told of every connected data server that it is used.
  void TellUsed();
  /// The sentinels may know a newer master, the cluster newer owners of slots.
  void Doubt();

  /// A connected data server, or null.
  RedisNode* AnyServer() noexcept;
  bool redirects() const noexcept { return !slots_.empty(); }  ///< MOVED and ASK are to be expected
  bool ready() noexcept { return AnyServer() != nullptr; }
  std::size_t in_flight() const noexcept;
  RedisStats& stats() noexcept { return context_.stats; }
  const RedisOptions& options() const noexcept { return context_.options; }
  rt::Worker& worker() noexcept { return context_.worker; }

 private:
  /// Waits for CLUSTER SLOTS or SENTINEL get-master-addr-by-name from one server.
  struct Question final : RedisWaiter {
    explicit Question(RedisTopology& asker) noexcept : owner(asker) {}
    void OnReply(const redis::Reply& reply) override { owner.OnAnswer(reply); }
    void OnLost() override { owner.asked_ = nullptr; }
    RedisTopology& owner;
  };

  void OnNodeReady(RedisNode& node) override;
  void OnNodeDown(RedisNode& node) override;
  void OnWriteError(RedisNode& node, const redis::Reply& error) override;
  bool IsSentinel(const RedisNode& node) const noexcept;
  RedisNode& Add(std::string_view host, std::uint16_t port, std::uint32_t database);
  RedisNode* FindOrAdd(std::string_view host, std::uint16_t port);
  /// Asks a ready server, unless a question is under way or there is nothing to ask.
  void Ask();
  /// While the master is known, only a distrusted sentinel: whether it is of use by now. Null: nobody can be asked.
  RedisNode* WhomToAsk() noexcept;
  void OnAnswer(const redis::Reply& reply);
  bool ReadSlots(const redis::Reply& reply, RedisNode& from);
  bool ReadSlotRange(const redis::Reply& range, RedisNode& from);
  void ReadMaster(const redis::Reply& reply, RedisNode& from);
  /// The sentinel named no master: says so, and asks others first from now on.
  void Distrust(RedisNode& sentinel, const redis::Reply& reply);
  void TellSentinels();  ///< that those which are connected, and have not answered badly, are used
  /// Else the cluster may be about to put another in the place of the one that does not.
  bool EveryOwnerServes() const noexcept;
  void RetireUnused();

  const RedisContext context_;
  RedisTopologyEvents& events_;
  const bool asks_;                ///< which servers there are
  std::vector<RedisNode*> nodes_;  ///< data nodes; each buries itself when retired
  std::vector<RedisNode*> sentinels_;
  std::size_t seeds_ = 0;          ///< the first so many nodes are configured: never retired
  std::vector<RedisNode*> slots_;  ///< by slot; null = unknown. Empty outside a cluster
  Question question_{*this};
  RedisNode* asked_ = nullptr;
  bool known_ = false;  ///< slots or master have been told since the last doubt
  rt::Timer timer_;
};

}  // namespace penstock::cache
