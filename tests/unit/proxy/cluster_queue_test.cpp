#include "penstock/proxy/cluster_queue.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "support/sim_loop.hpp"

namespace penstock::proxy {
namespace {

using policy::Priority;

/// Endpoints with a place each, and the queue before them.
struct Fleet {
  static constexpr std::uint32_t kLimit = 1;
  telemetry::MetricRegistry registry{telemetry::GatewayFamilies()};
  std::shared_ptr<ClusterQueue> queue = std::make_shared<ClusterQueue>(registry, "cluster");
  std::deque<policy::EndpointLoad> loads;
  policy::AdmissionQueue::Limits limits{.entries = 100};

  explicit Fleet(std::size_t endpoints) {
    for (std::size_t i = 0; i < endpoints; ++i) loads.emplace_back().set_watch(queue.get());
  }
  bool RoomLeft() const {
    return std::any_of(loads.begin(), loads.end(), [](const auto& load) { return load.HasRoom(kLimit); });
  }
};

/// Owned by one Worker. As a request does it (proxy/stages/admit.cpp), and keeps its place until told.
class Client {
 public:
  /// `wants`: the endpoint that it may go to.
  Client(Fleet& fleet, rt::Worker& worker, char name, std::string& order, std::size_t wants = 0)
      : fleet_(fleet), worker_(worker), waiter_(std::in_place, worker), name_(name), order_(order), wants_(wants) {}
  ~Client() { Go(); }

  void Begin(Priority priority = Priority::kDefault, std::uint64_t tenant = 1) {
    waiter_->priority = priority;
    waiter_->tenant = tenant;
    task_ = Run();
    task_.Start();
  }
  /// Gives up whatever it has or waits for.
  void Go() {
    task_.Destroy();
    if (waiter_.has_value()) fleet_.queue->Leave(*waiter_);
    waiter_.reset();
    lease_.reset();
  }
  void Again(Priority priority = Priority::kDefault) {
    waiter_.emplace(worker_);
    Begin(priority);
  }
  bool has_place() const { return lease_.has_value(); }
  bool driven_out() const { return driven_out_; }
  int turns() const { return turns_; }

 private:
  bool TryPlace() {
    lease_ = fleet_.loads[wants_].TryLease(Fleet::kLimit);
    if (lease_.has_value()) order_ += name_;
    return lease_.has_value();
  }
  rt::Task<void> Run() {
    if (fleet_.queue->MayPass(waiter_->priority, false) && TryPlace()) co_return;
    if (!fleet_.queue->Enter(*waiter_, fleet_.limits, worker_.Now())) {
      driven_out_ = true;
      co_return;
    }
    if (fleet_.RoomLeft()) fleet_.queue->OnRoomSeen();
    while (true) {
      co_await waiter_->signal;
      if (fleet_.queue->Hear(*waiter_) == QueueWaiter::Word::kDrivenOut) {
        driven_out_ = true;
        co_return;
      }
      ++turns_;
      if (TryPlace()) {
        fleet_.queue->Admitted(*waiter_, worker_.Now());
        if (fleet_.RoomLeft() && fleet_.queue->waited_for()) fleet_.queue->OnRoom();
        co_return;
      }
      fleet_.queue->GiveBack(*waiter_, fleet_.RoomLeft());
    }
  }

  Fleet& fleet_;
  rt::Worker& worker_;
  std::optional<QueueWaiter> waiter_;
  std::optional<policy::LoadLease> lease_;
  rt::Task<void> task_;
  char name_;
  std::string& order_;
  std::size_t wants_;
  bool driven_out_ = false;
  int turns_ = 0;
};

class Queue : public testing::Test {
 protected:
  Client& Make(char name, int worker = 0, std::size_t wants = 0) {
    return clients_.emplace_back(fleet_, *workers_[static_cast<std::size_t>(worker)], name, order_, wants);
  }
  void Turns() {
    for (int i = 0; i < 20; ++i) {
      for (auto& worker : workers_) worker->RunTurn();
    }
  }

  Fleet fleet_{2};  // before the workers, whose letters keep the queue
  test::SimNetwork network_{1};
  std::vector<std::unique_ptr<rt::Worker>> workers_ = [this] {
    std::vector<std::unique_ptr<rt::Worker>> made;
    for (unsigned i = 0; i < 2; ++i)
      made.push_back(std::make_unique<rt::Worker>(i, std::make_unique<test::SimLoop>(network_), i + 1));
    return made;
  }();
  std::string order_;
  std::deque<Client> clients_;
};

TEST_F(Queue, OnePlaceWakesOne) {
  Client& first = Make('a');
  first.Begin();
  EXPECT_TRUE(first.has_place());
  const auto blocked = fleet_.loads[1].TryLease(1);  // nothing there for anybody
  for (const char name : {'b', 'c', 'd'}) Make(name, name % 2).Begin();
  Turns();
  EXPECT_EQ(order_, "a");
  first.Go();
  Turns();
  EXPECT_EQ(order_, "ab");
  EXPECT_EQ(clients_[2].turns() + clients_[3].turns(), 0) << "and nobody else";
  clients_[1].Go();
  Turns();
  EXPECT_EQ(order_, "abc");
  EXPECT_EQ(fleet_.queue->depth(), 1u);
}

TEST_F(Queue, AHigherClassGoesFirstButNotBeforeWhoWasWoken) {
  const auto blocked = fleet_.loads[1].TryLease(1);
  auto held = fleet_.loads[0].TryLease(1);
  Client& first = Make('a');
  first.Begin();
  Client& late = Make('b', 1);
  late.Begin(Priority::kBatch);
  held.reset();  // the word is on its way to the first, and the place is free
  Client& urgent = Make('c', 1);
  urgent.Begin(Priority::kInteractive);
  EXPECT_FALSE(urgent.has_place());
  workers_[1]->RunTurn();  // the newcomer's worker is quicker than that of the first
  workers_[1]->RunTurn();
  EXPECT_EQ(order_, "");
  Turns();
  EXPECT_EQ(order_, "a");
  first.Go();
  Turns();
  EXPECT_EQ(order_, "ac");
}

TEST_F(Queue, AHigherClassDoesNotWaitForWhoWaitsBelow) {
  auto blocked = fleet_.loads[1].TryLease(1);
  const auto held = fleet_.loads[0].TryLease(1);
  for (const char name : {'a', 'b'}) Make(name, 0, 0).Begin(Priority::kBatch);
  fleet_.loads[1].set_watch(nullptr);  // as an endpoint that comes back: nobody is told
  blocked.reset();
  Client& urgent = Make('c', 1, 1);
  urgent.Begin(Priority::kInteractive);
  EXPECT_TRUE(urgent.has_place());
}

/// One place, and a request of the highest class at each moment at which it comes free, before anybody who waits has
/// heard of that: none of them ever waits, so the queue's order alone would not see that they pass the others over.
TEST_F(Queue, U_28_NewcomersOfAHigherClassDoNotStarveTheLowest) {
  const auto blocked = fleet_.loads[1].TryLease(1);
  Client& steady = Make('i', 1);
  steady.Begin(Priority::kInteractive);
  std::deque<Client> low;
  for (int i = 0; i < 100; ++i) low.emplace_back(fleet_, *workers_[0], 'b', order_).Begin(Priority::kBatch);
  for (int round = 0; round < 180; ++round) {
    for (Client& client : low) {
      if (client.has_place()) client.Go();
    }
    if (steady.has_place()) {
      steady.Go();
      steady.Again(Priority::kInteractive);
    }
    Turns();
  }
  EXPECT_GE(std::count(order_.begin(), order_.end(), 'b'), 20) << "a ninth";
  EXPECT_GE(std::count(order_.begin(), order_.end(), 'i'), 80) << "and they are not held up by all who wait below";
}

TEST_F(Queue, C_04_WhoLeavesWithItsTurnPassesItOn) {
  const auto blocked = fleet_.loads[1].TryLease(1);
  auto held = fleet_.loads[0].TryLease(1);
  Client& leaves = Make('a', 0);
  leaves.Begin();
  Make('b', 1).Begin();
  held.reset();
  leaves.Go();
  Turns();
  EXPECT_EQ(order_, "b");
  EXPECT_EQ(fleet_.queue->depth(), 0u);
}

TEST_F(Queue, WhoCannotUseARoomStandsAside) {
  auto held = fleet_.loads[0].TryLease(1);
  auto other = fleet_.loads[1].TryLease(1);
  for (const char name : {'a', 'b', 'c'}) Make(name, name % 2, 0).Begin();
  Make('x', 0, 1).Begin();
  Make('y', 1, 1).Begin();
  other.reset();
  Turns();
  EXPECT_EQ(order_, "x") << "behind three who want the other one";
  clients_[3].Go();
  Turns();
  EXPECT_EQ(order_, "xy");
  EXPECT_EQ(fleet_.queue->depth(), 3u);
  held.reset();
  Turns();
  EXPECT_EQ(order_, "xya") << "and is back when something changes";
}

TEST_F(Queue, RoomThatComesWhileTheOnlyOneLooksIsNotLost) {
  QueueWaiter waiter(*workers_[0]);
  ASSERT_TRUE(fleet_.queue->Enter(waiter, fleet_.limits, TimePoint{1}));
  fleet_.queue->OnRoom();
  Turns();
  ASSERT_EQ(fleet_.queue->Hear(waiter), QueueWaiter::Word::kTurn);
  fleet_.queue->OnRoom();  // it has looked already, and was too early
  fleet_.queue->GiveBack(waiter, false);
  Turns();
  EXPECT_EQ(fleet_.queue->Hear(waiter), QueueWaiter::Word::kTurn);
  fleet_.queue->Leave(waiter);
}

TEST_F(Queue, WhatComesBackIsUsedToTheLast) {
  auto first = fleet_.loads[0].TryLease(1);
  auto second = fleet_.loads[1].TryLease(1);
  Make('a', 0, 0).Begin();
  Make('b', 1, 1).Begin();
  for (auto& load : fleet_.loads) load.set_watch(nullptr);  // as endpoints that come back: nobody is told
  first.reset();
  second.reset();
  Turns();
  EXPECT_EQ(order_, "");
  fleet_.queue->Look(TimePoint{1'000'000'000});
  Turns();
  EXPECT_EQ(order_, "ab") << "the first one wakes the second";
}

TEST_F(Queue, U_28_DrivenOutHearsOfIt) {
  fleet_.limits.entries = 1;
  const auto held = fleet_.loads[0].TryLease(1);
  const auto other = fleet_.loads[1].TryLease(1);
  Client& low = Make('a', 1);
  low.Begin(Priority::kBatch);
  Client& same = Make('b', 0);
  same.Begin(Priority::kBatch);
  EXPECT_TRUE(same.driven_out());
  Make('c', 0).Begin(Priority::kInteractive);
  Turns();
  EXPECT_TRUE(low.driven_out());
  EXPECT_EQ(fleet_.queue->depth(Priority::kInteractive), 1u);
  EXPECT_EQ(fleet_.queue->depth(Priority::kBatch), 0u);
}

/// Four workers, one place, every client wants it fifty times. Nobody looks on time's account, so a wake-up that is
/// lost is a test that hangs.
TEST(QueueAmongThreads, NoWakeUpIsLost) {
  constexpr int kWorkers = 4, kClients = 8, kRounds = 50;
  Fleet fleet(1);
  fleet.limits.entries = 1000;
  std::vector<std::thread> threads;
  for (unsigned w = 0; w < kWorkers; ++w) {
    threads.emplace_back([&, w] {
      rt::Worker worker(w, rt::MakeEpollLoop(), w + 1);
      std::string order;
      std::deque<Client> clients;
      std::array<int, kClients> rounds{};
      for (int c = 0; c < kClients; ++c) clients.emplace_back(fleet, worker, 'x', order).Begin();
      int left = kClients * kRounds;
      while (left != 0) {
        bool acted = false;
        for (int c = 0; c < kClients; ++c) {
          if (!clients[static_cast<std::size_t>(c)].has_place()) continue;
          acted = true;
          --left;
          clients[static_cast<std::size_t>(c)].Go();
          if (++rounds[static_cast<std::size_t>(c)] < kRounds) clients[static_cast<std::size_t>(c)].Again();
        }
        if (left != 0 && !acted) worker.RunTurn();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(fleet.queue->depth(), 0u);
  EXPECT_EQ(fleet.loads[0].in_flight(), 0u);
  EXPECT_GE(fleet.loads[0].started(), static_cast<std::uint64_t>(kWorkers * kClients * kRounds));
}

}  // namespace
}  // namespace penstock::proxy
