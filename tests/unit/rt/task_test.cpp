#include "penstock/rt/task.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace penstock::rt {
namespace {

using Log = std::vector<std::string>;

struct Scope {
  Scope(Log& l, std::string n) : log(l), name(std::move(n)) {}
  ~Scope() { log.push_back("~" + name); }
  Log& log;
  std::string name;
};

Task<int> Answer(Log& log) {
  log.push_back("answer");
  co_return 42;
}

TEST(Task, IsLazyAndResumesItsAwaiterWithTheValue) {
  Log log;
  int got = 0;
  auto outer = [](Log& l, int& g) -> Task<void> {
    Task<int> answer = Answer(l);
    l.push_back("before");
    g = co_await answer;
    l.push_back("after");
  }(log, got);
  EXPECT_TRUE(log.empty());
  EXPECT_FALSE(outer.done());
  outer.Start();
  EXPECT_TRUE(outer.done());
  EXPECT_EQ(got, 42);
  EXPECT_EQ(log, (Log{"before", "answer", "after"}));
}

TEST(Task, CarriesMoveOnlyValues) {
  auto make = []() -> Task<std::unique_ptr<int>> { co_return std::make_unique<int>(7); };
  std::unique_ptr<int> got;
  auto outer = [](auto& m, std::unique_ptr<int>& g) -> Task<void> { g = co_await m(); }(make, got);
  outer.Start();
  ASSERT_NE(got, nullptr);
  EXPECT_EQ(*got, 7);
}

TEST(Task, AMillionAwaitsInALoopNeedNoStack) {
  std::size_t sum = 0;
  auto one = []() -> Task<int> { co_return 1; };
  auto outer = [](auto& o, std::size_t& s) -> Task<void> {
    for (int i = 0; i < 1'000'000; ++i) s += static_cast<std::size_t>(co_await o());
  }(one, sum);
  outer.Start();
  EXPECT_EQ(sum, 1'000'000u);
}

Task<void> Waits(Log& log, Signal& signal, const char* name) {
  Scope scope(log, name);
  co_await signal;
  log.push_back(std::string(name) + " woke");
}

Task<void> WaitsForInner(Log& log, Signal& signal) {
  Scope scope(log, "outer");
  co_await Waits(log, signal, "inner");
  log.push_back("outer woke");
}

TEST(Signal, SettingResumesTheWaiterInsideTheCall) {
  Log log;
  Signal signal;
  Task<void> task = WaitsForInner(log, signal);
  task.Start();
  EXPECT_TRUE(signal.waiting());
  EXPECT_TRUE(log.empty());
  signal.Set();
  EXPECT_TRUE(task.done());
  EXPECT_EQ(log, (Log{"inner woke", "~inner", "outer woke", "~outer"}));
}

TEST(Signal, SettingFirstIsRememberedAndForgottenByWaking) {
  Log log;
  Signal signal;
  signal.Set();
  Task<void> first = Waits(log, signal, "first");
  first.Start();
  EXPECT_TRUE(first.done());
  Task<void> second = Waits(log, signal, "second");
  second.Start();
  EXPECT_FALSE(second.done());
  second.Destroy();
  signal.Set();
  signal.Reset();
  Task<void> third = Waits(log, signal, "third");
  third.Start();
  EXPECT_FALSE(third.done());
}

TEST(Signal, CancellingRunsDestructorsInnermostFirstAndALaterSetTouchesNothing) {
  Log log;
  Signal signal;
  Task<void> task = WaitsForInner(log, signal);
  task.Start();
  task.Destroy();
  EXPECT_EQ(log, (Log{"~inner", "~outer"}));
  EXPECT_FALSE(signal.waiting());
  signal.Set();
  EXPECT_EQ(log.size(), 2u);
}

TEST(Signal, MayGoBeforeItsWaiter) {
  Log log;
  auto signal = std::make_unique<Signal>();
  Task<void> task = Waits(log, *signal, "waiter");
  task.Start();
  signal.reset();
  task.Destroy();
  EXPECT_EQ(log, (Log{"~waiter"}));
}

TEST(FramePool, ReusesFramesAndServesAllSizes) {
  void* small = AllocateFrame(100);
  FreeFrame(small, 100);
  EXPECT_EQ(AllocateFrame(128), small) << "the same class";
  FreeFrame(small, 128);
  for (const std::size_t size : {1u, 128u, 129u, 8192u, 8193u, 100'000u}) {
    void* frame = AllocateFrame(size);
    std::fill_n(static_cast<char*>(frame), size, 'x');
    FreeFrame(frame, size);
  }
}

}  // namespace
}  // namespace penstock::rt
