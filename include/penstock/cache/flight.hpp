#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "penstock/cache/entry.hpp"
#include "penstock/rt/task.hpp"
#include "penstock/rt/worker.hpp"

namespace penstock::cache {

class Follower;

/// How an upstream call that several requests share has ended.
enum class Landing : std::uint8_t {
  kUnderWay,
  kWhole,    ///< a complete answer; everybody's
  kRefused,  ///< a 4xx that every one of these requests would get
  kFailed,   ///< the call came to nothing or broke: ONE of those who wait begins anew
  kLeft,     ///< nobody wanted it any more, or its worker ended: as kFailed
  kAlone,    ///< an answer that may not be shared: each asks for itself
};

/// What became of a wish to follow a call.
enum class Boarding : std::uint8_t {
  kAboard,
  kFull,  ///< it has kFollowersMax
  kOver,  ///< it landed meanwhile, with nothing to be had; another one can be joined
};

/// What an upstream said when it refused: status and body, as they came. Each follower words it for its own client.
struct SharedRefusal {
  std::uint16_t status = 0;
  std::string body;
};

/// Shared: one mutex, held while bytes are appended or copied out, never across a call. One upstream call and the
/// answer that grows from it. The leader's worker writes; followers of any worker read what the leader has committed,
/// each at its own pace, and are woken through their workers' mailboxes, once per worker and burst.
class Flight : public std::enable_shared_from_this<Flight> {
 public:
  /// CONTRACT 6: at most so many wait for one call; who comes later asks for itself.
  static constexpr std::size_t kFollowersMax = 1000;

  /// `held` outlives the flight: what all flights hold, in bytes of memory.
  explicit Flight(std::atomic<std::size_t>& held) noexcept : held_(held) {}
  ~Flight();
  Flight(const Flight&) = delete;
  Flight& operator=(const Flight&) = delete;

  /// Any thread; exact only on the leader's, where it may fall but not rise unseen.
  std::size_t followers() const noexcept { return followers_.load(std::memory_order_relaxed); }

  /// The answer is not to be kept: its key was purged. Any thread.
  void Forbid() noexcept { forbidden_.store(true, std::memory_order_release); }
  bool forbidden() const noexcept { return forbidden_.load(std::memory_order_acquire); }

  // The leader's side; class Lead.
  void Restart();
  std::size_t Append(std::string_view bytes, llm::UsageEvent usage);  ///< the size so far
  /// Too much is held for nobody: the flight lands so and gives the bytes' memory back. False: somebody follows. After
  /// its removal from the table.
  bool GiveUpIfAlone(Landing landing);
  void Open(Form form, std::optional<std::uint64_t> length);
  /// Another model than the one asked for is asked now, or was last. Before Open().
  void SetAnsweredBy(std::string_view model);
  /// The bytes; by the leader, who alone changes them.
  std::string_view bytes() const noexcept { return bytes_; }
  void Land(Landing landing, std::optional<Entry> entry, SharedRefusal refusal);
  /// On the leader's thread, where `changed` is called after the first follower has come and after the last has left.
  /// Null: no longer.
  void Watch(rt::Worker* worker, std::function<void()> changed);

 private:
  friend class Follower;
  /// The followers of one worker.
  struct Side {
    rt::Worker* worker = nullptr;
    Follower* first = nullptr;
    Follower* last = nullptr;
    bool mailed = false;
    std::uint64_t round = 0;
  };

  Boarding Board(Follower& follower);
  void Leave(Follower& follower);
  Side& SideOf(rt::Worker& worker);  // the mutex is held
  static void Link(Side& side, Follower& follower) noexcept;
  static void Unlink(Side& side, Follower& follower) noexcept;
  void Wake();        // the mutex is held
  void TellLeader();  // the mutex is held
  void Deliver(rt::Worker& worker);
  void CountHeld() noexcept;  // the mutex is held

  std::atomic<std::size_t>& held_;
  std::size_t counted_ = 0;  // of held_, this one's part
  mutable std::mutex mutex_;
  std::string bytes_;
  llm::UsageEvent usage_{};
  std::string answered_by_;
  Form form_ = Form::kWhole;
  std::optional<std::uint64_t> length_;
  bool open_ = false;
  Landing landing_ = Landing::kUnderWay;
  std::optional<Entry> entry_;
  std::array<std::optional<Entry>, 2> rebuilt_;  // without, with the usage event
  SharedRefusal refusal_;
  std::vector<Side> sides_;
  std::atomic<std::size_t> followers_{0};
  std::atomic<bool> forbidden_{false};
  rt::Worker* leader_worker_ = nullptr;
  std::function<void()> changed_;  // the leader's thread only
};

/// Owned by one Worker. One request that waits for, or follows, another's call. Leaves it when it is destroyed.
class Follower {
 public:
  explicit Follower(rt::Worker& worker) noexcept : worker_(worker) {}
  ~Follower() { Leave(); }
  Follower(const Follower&) = delete;
  Follower& operator=(const Follower&) = delete;

  Boarding Board(std::shared_ptr<Flight> flight);
  void Leave();

  /// Set when something of State has changed or bytes have come, and by Wake().
  rt::Signal& Changed() noexcept { return changed_; }
  void Wake() { changed_.Set(); }

  struct State {
    Landing landing = Landing::kUnderWay;
    bool open = false;  ///< committed: what there is may be sent on
    Form form = Form::kWhole;
    std::optional<std::uint64_t> length{};  ///< of the whole answer, when it is known
    /// Once it is open or landed: the model, if not the one asked for. As long as the follower is aboard.
    std::string_view answered_by{};
  };
  State Look() const;
  /// Appends what it has not had yet to `to`, at most about `bytes_max`; without the usage event unless `with_usage`.
  /// Returns how many bytes; 0: there is no more for now.
  std::size_t Take(Chain& to, std::size_t bytes_max, bool with_usage);
  /// After kWhole; absent when nobody made one.
  std::optional<Entry> entry() const;
  /// The entry in its other form, as another follower has made and shared it: many may want it at once.
  std::optional<Entry> rebuilt(bool with_usage) const;
  void ShareRebuilt(bool with_usage, Entry entry);
  /// After kRefused.
  const SharedRefusal& refusal() const noexcept { return flight_->refusal_; }

 private:
  friend class Flight;
  rt::Worker& worker_;
  std::shared_ptr<Flight> flight_;
  std::size_t taken_ = 0;
  rt::Signal changed_;
  Follower* next_ = nullptr;
  Follower* previous_ = nullptr;
  std::uint64_t round_ = 0;
};

}  // namespace penstock::cache
