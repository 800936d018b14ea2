#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "cache/redis/call.hpp"
#include "penstock/cache/redis_purges.hpp"

namespace penstock::cache {

/// Owned by one Worker. Keeps a tier's Redis and this process agreed about what was purged, and closes the tier while
/// they may not be: until the process hears purges and, since it does and since the servers of the two keys were
/// connected, both were read and Redis was told what it did not know. A server that is lost closes nothing: nobody can
/// purge through it either.
class RedisLedger final : public RedisTopologyEvents {
 public:
  /// While not agreed, and while agreed: how often to look whether something is to be done.
  static constexpr Duration kTickClosed = std::chrono::milliseconds(100);
  static constexpr Duration kTickOpen = std::chrono::seconds(1);
  static constexpr std::size_t kPage = 1000;         ///< purged keys, and about so many epochs, per command
  static constexpr std::size_t kPagesMax = 1000;     ///< of epochs: a hash beyond is none of ours
  static constexpr std::size_t kRaisedAtOnce = 100;  ///< epochs per script

  RedisLedger(RedisTopology& topology, RedisPurges& purges, RedisEvents& events);

  bool agreed() const noexcept { return agreed_at_ != 0 && agreed_at_ == purges_.hearing(); }
  /// To be asked before each use of Redis.
  bool Usable() {
    if (agreed()) return true;
    if (agreed_at_ != 0) Check();  // the listener was deaf in between
    return false;
  }
  void Stop();

  rt::Task<bool> TellEpoch(std::string name, std::uint64_t value);
  /// Deletes the entry and publishes the key.
  rt::Task<bool> TellKey(RedisPurges::OwedKey owed);

 private:
  using Values = std::map<std::string, std::uint64_t>;
  using Words = std::vector<std::string_view>;
  enum class Verdict : std::uint8_t { kDone, kNotNow, kNotStored };

  void OnServersChanged() override { Check(); }
  void OnTimer();
  void Arm();
  void Check();
  void Begin();
  std::uint64_t Session(std::string_view key) noexcept;
  bool SameServers() noexcept;
  rt::Task<void> Run();
  rt::Task<bool> ReadPurged();
  rt::Task<bool> AgreeOnEpochs();
  rt::Task<bool> ReadEpochs(Values& there);
  rt::Task<Verdict> RaiseLower(const Values& there);
  rt::Task<void> TellOwedKeys();
  bool TakePurged(const redis::Reply& reply, std::size_t& count, std::uint64_t& newest);
  Verdict Judge(RedisQuestion& question, const redis::Reply* reply);

  RedisTopology& topology_;
  RedisPurges& purges_;
  RedisEvents& events_;
  std::uint64_t agreed_at_ = 0;       ///< purges_.hearing() as it was; 0 = not agreed
  std::uint64_t epochs_session_ = 0;  ///< on which kEpochsKey was read; see RedisNode::session()
  std::uint64_t purged_session_ = 0;
  std::uint64_t since_ = 0;  ///< the score of the newest purged key that this process obeyed
  bool running_ = false;
  bool untold_ = false;  ///< Redis takes no writes: its epochs are lower than ours
  rt::Task<void> task_;
  rt::Timer timer_;
};

}  // namespace penstock::cache
