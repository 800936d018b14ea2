#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "penstock/base/time.hpp"
#include "penstock/policy/placed_heap.hpp"
#include "penstock/policy/priority.hpp"

/// In which order those are admitted for whom there is no room yet.
namespace penstock::policy {

/// Bytes of request bodies that may wait before one queue.
inline constexpr std::size_t kQueueBytesMax = 64 * 1024 * 1024;

struct QueueFlow;

/// Owned by whoever waits; in one AdmissionQueue at a time, which it must leave before it goes.
struct QueueEntry {
  // Set by the owner before Push().
  Priority priority = Priority::kDefault;
  bool retry = false;                     ///< has been admitted once, and came back: ahead of its class
  std::uint64_t tenant = 0;               ///< between whom a class is fair
  TimePoint deadline = TimePoint::Max();  ///< the earlier one of a tenant goes first
  std::size_t bytes = 0;

  bool queued() const noexcept { return state_ != State::kOutside; }
  bool taken() const noexcept { return state_ == State::kTaken; }

 private:
  friend class AdmissionQueue;
  friend struct QueueFlow;
  enum class State : std::uint8_t { kOutside, kWaiting, kTaken };
  struct Earlier {
    bool operator()(const QueueEntry& a, const QueueEntry& b) const noexcept {
      return a.deadline != b.deadline ? a.deadline < b.deadline : a.arrival_ < b.arrival_;
    }
  };
  State state_ = State::kOutside;
  std::size_t place_ = 0;
  std::uint64_t arrival_ = 0;
  std::uint64_t start_ = 0;        ///< its tenant's tag when it was taken
  std::uint64_t since_ = 0;        ///< likewise
  std::uint32_t passed_over_ = 0;  ///< its class's count when it was taken
};

/// Owned by its queue. What one tenant has waiting in one class.
struct QueueFlow {
  std::uint64_t tenant = 0;
  std::uint64_t start = 0;  ///< virtual time at which its next entry is served
  std::uint64_t since = 0;  ///< arrival of the entry that made it active: breaks ties
  std::size_t place = 0;
  PlacedHeap<QueueEntry, &QueueEntry::place_, QueueEntry::Earlier> entries;

  struct Sooner {
    bool operator()(const QueueFlow& a, const QueueFlow& b) const noexcept {
      return a.start != b.start ? a.start < b.start : a.since < b.since;
    }
  };
};

/// Owned by one Worker. Or by a mutex's holder. A bounded queue of pointers, without a clock.
///
/// * The higher class first. So that no class starves, one that was passed over kPassedOverMax times in a row goes
/// next:
///   the lowest gets a ninth of the departures at least while it waits. (Linux's mq-deadline scheduler bounds how often
///   writes are passed over by reads in the same way: `writes_starved`.)
/// * Within a class, those who come back for another attempt first; then fair between tenants, each entry costing one,
/// by
///   start-time fair queueing (Goyal, Vin and Cheng, "Start-time Fair Queueing", SIGCOMM 1996): a tenant's tag is the
///   larger of the virtual time and its last tag + 1, the smallest tag is served and becomes the virtual time. A tenant
///   that was away gets no credit for it.
/// * Within a tenant the earliest deadline first, then first come.
/// * When it is full, a newcomer drives out an entry of a lower class, or one of its own class whose tenant has at
///   least two more waiting there than the newcomer's (the longest queue drop of fair queueing routers: McKenney,
///   "Stochastic Fairness Queueing", 1990). Of that tenant the one whose deadline is the latest goes.
///
/// Push, Take, Return and Leave cost O(log n); Push into a full queue O(n).
class AdmissionQueue {
 public:
  static constexpr std::uint32_t kPassedOverMax = 8;

  struct Limits {
    std::size_t entries = 1000;
    std::size_t bytes = kQueueBytesMax;
  };

  /// False: there is no room for it, and nobody had to go. Else it waits, and `driven_out` (cleared first) are no
  /// longer in the queue.
  bool Push(QueueEntry& entry, const Limits& limits, std::vector<QueueEntry*>& driven_out);

  /// The next one, which keeps its room until it leaves; null: nobody waits.
  QueueEntry* Take();
  /// A taken one did not get in: back to its old place.
  void Return(QueueEntry& entry);
  /// From wherever it is, for good.
  void Leave(QueueEntry& entry) noexcept;

  std::size_t size() const noexcept { return size_; }        ///< the taken ones included
  std::size_t waiting() const noexcept { return waiting_; }  ///< without them
  std::size_t bytes() const noexcept { return bytes_; }
  std::size_t size(Priority priority) const noexcept { return ClassOf(priority).size; }

 private:
  /// One order of tenants.
  struct Lane {
    std::uint64_t virtual_time = 0;
    std::unordered_map<std::uint64_t, std::unique_ptr<QueueFlow>> flows;  // those of a busy period, waiting or not
    PlacedHeap<QueueFlow, &QueueFlow::place, QueueFlow::Sooner> active;
    std::size_t waiting = 0;
    std::size_t taken = 0;
  };
  struct Class {
    std::array<Lane, 2> lanes;  ///< who comes back, who is new
    std::size_t size = 0;
    std::size_t bytes = 0;
    std::uint32_t passed_over = 0;  ///< departures of higher ones since its own last one
    std::size_t waiting() const noexcept { return lanes[0].waiting + lanes[1].waiting; }
  };

  static std::size_t Index(Priority priority) noexcept { return static_cast<std::size_t>(priority); }
  Class& ClassOf(Priority priority) noexcept { return classes_[Index(priority)]; }
  const Class& ClassOf(Priority priority) const noexcept { return classes_[Index(priority)]; }
  Lane& LaneOf(const QueueEntry& entry) noexcept { return ClassOf(entry.priority).lanes[entry.retry ? 0 : 1]; }

  QueueFlow& FlowOf(Lane& lane, std::uint64_t tenant);
  void Wait(Lane& lane, QueueFlow& flow, QueueEntry& entry);
  void Unwait(Lane& lane, QueueFlow& flow, QueueEntry& entry) noexcept;
  void Settle(Lane& lane) noexcept;
  Class* NextClass() noexcept;
  bool Fits(const QueueEntry& entry, const Limits& limits) const noexcept;
  QueueEntry* Victim(const QueueEntry& newcomer) noexcept;
  static QueueFlow* Longest(const Lane& lane) noexcept;

  std::array<Class, kPriorities> classes_;
  std::size_t size_ = 0;
  std::size_t waiting_ = 0;
  std::size_t bytes_ = 0;
  std::uint64_t arrivals_ = 0;
};

}  // namespace penstock::policy
