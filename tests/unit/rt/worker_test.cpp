#include "penstock/rt/worker.hpp"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "support/turns.hpp"

namespace penstock::rt {
namespace {

struct Workers : testing::Test {
  Worker worker{0, MakeEpollLoop(), 1};
};

TEST_F(Workers, LettersFromManyThreadsArriveOnceEachInTheirSendersOrder) {
  constexpr int kThreads = 4, kLetters = 5000;
  std::vector<std::vector<int>> got(kThreads);
  int total = 0;
  std::thread::id served;
  std::vector<std::thread> senders;
  for (int t = 0; t < kThreads; ++t) {
    senders.emplace_back([&, t] {
      for (int i = 0; i < kLetters; ++i) {
        worker.Post([&, t, i] {
          got[static_cast<std::size_t>(t)].push_back(i);
          served = std::this_thread::get_id();
          if (++total == kThreads * kLetters) worker.Stop();
        });
      }
    });
  }
  worker.Run();
  for (std::thread& sender : senders) sender.join();
  EXPECT_EQ(served, std::this_thread::get_id());
  for (const auto& letters : got) {
    ASSERT_EQ(letters.size(), static_cast<std::size_t>(kLetters));
    EXPECT_TRUE(std::is_sorted(letters.begin(), letters.end()));
  }
}

TEST_F(Workers, ALetterWakesAWorkerThatWaitsForNothing) {
  std::thread other([this] { worker.Run(); });  // no timer, no socket: only the letter ends the wait
  worker.Post([this] { worker.Stop(); });
  other.join();
  EXPECT_TRUE(worker.stopped());
}

TEST_F(Workers, StopFromAnotherThreadEndsRun) {
  std::thread other([this] { worker.Run(); });
  worker.Stop();
  other.join();
}

TEST_F(Workers, ALetterMayPostALetter) {
  int depth = 0;
  std::function<void()> more = [&] {
    if (++depth < 10) worker.Post(more);
  };
  worker.Post(more);
  EXPECT_TRUE(test::RunUntil(
      worker, [&] { return depth == 10; }, 20));
}

struct Step final : Flushable {
  Step(std::vector<std::string>& l, std::string n) : log(l), name(std::move(n)) {}
  void Flush() override {
    log.push_back(name);
    if (then) then();
  }
  std::vector<std::string>& log;
  std::string name;
  std::function<void()> then;
};

TEST_F(Workers, TheDirtyAreFlushedOnceATurnInOrderAndTheDyingNotAtAll) {
  std::vector<std::string> log;
  Step a(log, "a"), b(log, "b"), d(log, "d");
  auto c = std::make_unique<Step>(log, "c");
  worker.FlushLater(a);
  worker.FlushLater(*c);
  worker.FlushLater(b);
  worker.FlushLater(a);
  c.reset();
  b.then = [&] { worker.FlushLater(d); };
  worker.RunTurn();
  EXPECT_EQ(log, (std::vector<std::string>{"a", "b", "d"}));
  worker.Post([] {});
  worker.RunTurn();
  EXPECT_EQ(log.size(), 3u);
}

struct Corpse final : Mortal {
  Corpse(Worker& w, std::vector<std::string>& l, int h) : worker(w), log(l), heirs(h) {}
  ~Corpse() override {
    log.push_back("buried");
    if (heirs > 0) worker.Bury(std::make_unique<Corpse>(worker, log, heirs - 1));
  }
  Worker& worker;
  std::vector<std::string>& log;
  int heirs;
};

TEST_F(Workers, TheDeadAreBuriedAfterTheFlushAndMayBuryOthers) {
  std::vector<std::string> log;
  Step step(log, "flush");
  worker.Bury(std::make_unique<Corpse>(worker, log, 1));
  worker.FlushLater(step);
  worker.RunTurn();
  EXPECT_EQ(log, (std::vector<std::string>{"flush", "buried"}));
  worker.RunTurn();  // comes back at once: somebody waits to be buried
  EXPECT_EQ(log.size(), 3u);
}

TEST(WorkerEnd, LettersAndGravesLeftOverAreServedWhenTheWorkerDies) {
  std::vector<std::string> log;
  {
    Worker worker(0, MakeEpollLoop(), 1);
    worker.Bury(std::make_unique<Corpse>(worker, log, 2));
    worker.Post([&] { worker.Bury(std::make_unique<Corpse>(worker, log, 0)); });
  }
  EXPECT_EQ(log.size(), 4u);
}

TEST_F(Workers, TimersFireFromTheTurn) {
  struct Alarm {
    int fired = 0;
    Timer timer{this, [](void* self) { ++static_cast<Alarm*>(self)->fired; }};
  } soon, never;
  worker.Arm(soon.timer, std::chrono::milliseconds(2));
  worker.timers().Arm(never.timer, TimePoint::Max());
  const TimePoint start = worker.Now();
  while (soon.fired == 0) worker.RunTurn();
  EXPECT_GE(worker.Now() - start, std::chrono::milliseconds(2));
  EXPECT_EQ(never.fired, 0);
}

TEST(Cores, AtLeastOneAndAThreadMayBePinned) {
  EXPECT_GE(UsableCores(), 1u);
  std::thread([] { EXPECT_TRUE(PinThread(1'000'001)); }).join();
}

}  // namespace
}  // namespace penstock::rt
