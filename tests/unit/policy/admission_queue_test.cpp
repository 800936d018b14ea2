#include "penstock/policy/admission_queue.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <deque>
#include <map>
#include <string>

#include "penstock/base/prng.hpp"

namespace penstock::policy {
namespace {

using std::chrono::milliseconds;

constexpr Priority kHigh = Priority::kInteractive;
constexpr Priority kUsual = Priority::kDefault;
constexpr Priority kLow = Priority::kBatch;

/// A queue and all who ever were in it, each with a letter of its own.
class Queued {
 public:
  struct Named : QueueEntry {
    char name;
  };

  Named& Make(char name, Priority priority, std::uint64_t tenant, Duration deadline = {}, bool retry = false) {
    Named& entry = all_.emplace_back();
    entry.name = name;
    entry.priority = priority;
    entry.tenant = tenant;
    entry.retry = retry;
    entry.bytes = 1;
    if (deadline != Duration{}) entry.deadline = TimePoint{} + deadline;
    return entry;
  }
  bool Push(Named& entry) { return queue.Push(entry, limits, driven_out); }
  Named& Add(char name, Priority priority, std::uint64_t tenant, Duration deadline = {}, bool retry = false) {
    Named& entry = Make(name, priority, tenant, deadline, retry);
    EXPECT_TRUE(Push(entry));
    return entry;
  }
  void AddAll(std::string_view names, Priority priority, std::uint64_t tenant) {
    for (const char name : names) Add(name, priority, tenant);
  }
  char Pop() {
    auto* entry = static_cast<Named*>(queue.Take());
    if (entry == nullptr) return 0;
    queue.Leave(*entry);
    return entry->name;
  }
  std::string PopAll() {
    std::string names;
    while (const char name = Pop()) names += name;
    return names;
  }
  std::string DrivenOut() const {
    std::string names;
    for (const QueueEntry* entry : driven_out) names += static_cast<const Named*>(entry)->name;
    return names;
  }

  AdmissionQueue queue;
  AdmissionQueue::Limits limits{.entries = 1000, .bytes = 1000};
  std::vector<QueueEntry*> driven_out;

 private:
  std::deque<Named> all_;
};

TEST(AdmissionQueue, TheHigherClassFirst) {
  Queued q;
  q.AddAll("xy", kLow, 1);
  q.AddAll("mn", kUsual, 1);
  q.AddAll("ab", kHigh, 1);
  EXPECT_EQ(q.PopAll(), "abmnxy");
}

TEST(AdmissionQueue, FirstComeFirstServedWithinATenant) {
  Queued q;
  q.AddAll("abcdefgh", kUsual, 7);
  EXPECT_EQ(q.PopAll(), "abcdefgh");
}

TEST(AdmissionQueue, TheEarlierDeadlineFirstWithinATenant) {
  Queued q;
  q.Add('c', kUsual, 7, milliseconds(300));
  q.Add('d', kUsual, 7);
  q.Add('a', kUsual, 7, milliseconds(100));
  q.Add('b', kUsual, 7, milliseconds(100));
  EXPECT_EQ(q.PopAll(), "abcd");
}

TEST(AdmissionQueue, TenantsTakeTurns) {
  Queued q;
  q.AddAll("abcdef", kUsual, 1);
  q.AddAll("xy", kUsual, 2);
  EXPECT_EQ(q.PopAll(), "axbycdef");
}

TEST(AdmissionQueue, ADeadlineOvertakesNoOtherTenant) {
  Queued q;
  q.AddAll("abc", kUsual, 1);
  q.Add('x', kUsual, 2, milliseconds(1));
  q.Add('y', kUsual, 2, milliseconds(2));
  EXPECT_EQ(q.PopAll(), "axbyc");
}

TEST(AdmissionQueue, WhoWasAwayHasNoCredit) {
  Queued q;
  q.AddAll("abcdef", kUsual, 1);
  EXPECT_EQ(q.Pop(), 'a');
  EXPECT_EQ(q.Pop(), 'b');
  EXPECT_EQ(q.Pop(), 'c');
  q.AddAll("xyz", kUsual, 2);
  EXPECT_EQ(q.PopAll(), "xdyezf");
}

TEST(AdmissionQueue, WhoComesAndGoesOwesWhatItHad) {
  Queued q;
  q.AddAll("abcd", kUsual, 1);
  q.Add('x', kUsual, 2);
  EXPECT_EQ(q.Pop(), 'a');
  EXPECT_EQ(q.Pop(), 'x');
  q.Add('y', kUsual, 2);  // its first one is just gone: no turn before those of the other
  EXPECT_EQ(q.PopAll(), "bycd");
}

TEST(AdmissionQueue, ARetryIsAheadOfItsClass) {
  Queued q;
  q.AddAll("ab", kHigh, 1);
  q.AddAll("mn", kUsual, 1);
  q.Add('r', kUsual, 1, {}, true);
  EXPECT_EQ(q.PopAll(), "abrmn");
}

TEST(AdmissionQueue, NoClassStarves) {
  Queued q;
  q.Add('z', kLow, 1);
  q.Add('m', kUsual, 1);
  std::string order;
  for (int i = 0; i < 30; ++i) {
    q.Add('a', kHigh, 1);
    order += q.Pop();
  }
  EXPECT_EQ(order, std::string(8, 'a') + "zm" + std::string(20, 'a'));
}

TEST(AdmissionQueue, TheLowestClassHasANinth) {
  Queued q;
  for (int i = 0; i < 200; ++i) {
    q.Add('a', kHigh, 1);
    q.Add('z', kLow, 1);
  }
  std::map<char, int> served;
  for (int i = 0; i < 90; ++i) ++served[q.Pop()];
  EXPECT_EQ(served['z'], 10);
}

TEST(AdmissionQueue, WhoLostARaceKeepsItsPlace) {
  Queued q;
  q.AddAll("abc", kUsual, 1);
  q.AddAll("xyz", kUsual, 2);
  QueueEntry* first = q.queue.Take();
  QueueEntry* second = q.queue.Take();
  EXPECT_EQ(q.queue.size(), 6u);
  EXPECT_EQ(q.queue.waiting(), 4u);
  q.queue.Return(*second);
  q.queue.Return(*first);
  EXPECT_EQ(q.PopAll(), "axbycz");
}

TEST(AdmissionQueue, WhoLostARaceAloneKeepsItsPlace) {
  Queued q;
  q.Add('a', kLow, 1);
  for (int i = 0; i < 8; ++i) {
    q.Add('h', kHigh, 1);
    q.Pop();
  }
  QueueEntry* starving = q.queue.Take();
  q.Add('h', kHigh, 1);
  q.queue.Return(*starving);
  EXPECT_EQ(q.PopAll(), "ah");
}

TEST(AdmissionQueue, AnybodyMayLeave) {
  Queued q;
  std::vector<Queued::Named*> all;
  for (const char name : std::string_view("abcdefgh")) all.push_back(&q.Add(name, kUsual, name % 3));
  QueueEntry* taken = q.queue.Take();
  for (Queued::Named* entry : all) {
    if (entry->name == 'c' || entry->name == 'h' || entry == taken) q.queue.Leave(*entry);
  }
  EXPECT_EQ(q.queue.size(), 5u);
  EXPECT_EQ(q.queue.bytes(), 5u);
  EXPECT_EQ(q.PopAll().size(), 5u);
  EXPECT_EQ(q.queue.bytes(), 0u);
}

TEST(AdmissionQueueBounds, U_28_EntriesAndBytes) {
  Queued q;
  q.limits = {.entries = 3, .bytes = 10};
  q.AddAll("ab", kUsual, 1);
  Queued::Named& large = q.Make('l', kUsual, 1);
  large.bytes = 9;
  EXPECT_FALSE(q.Push(large));
  large.bytes = 8;
  EXPECT_TRUE(q.Push(large));
  EXPECT_FALSE(q.Push(q.Make('c', kUsual, 1)));
  EXPECT_EQ(q.queue.size(), 3u);
  EXPECT_EQ(q.PopAll(), "abl");
  q.limits.entries = 0;
  EXPECT_FALSE(q.Push(q.Make('d', kHigh, 1)));
}

TEST(AdmissionQueueBounds, AHigherClassDrivesOutALowerOne) {
  Queued q;
  q.limits = {.entries = 4, .bytes = 1000};
  q.Add('x', kLow, 1, milliseconds(10));
  q.Add('y', kLow, 1, milliseconds(30));
  q.Add('z', kLow, 1, milliseconds(20));
  q.Add('m', kUsual, 1);
  q.Add('a', kHigh, 1);
  EXPECT_EQ(q.DrivenOut(), "y") << "whose deadline is the latest";
  EXPECT_FALSE(q.Push(q.Make('w', kLow, 1)));
  q.Add('n', kUsual, 1);
  EXPECT_EQ(q.DrivenOut(), "z");
  q.Add('b', kHigh, 1);
  EXPECT_EQ(q.DrivenOut(), "x");
  q.Add('c', kHigh, 1);
  EXPECT_EQ(q.DrivenOut(), "n");
  EXPECT_EQ(q.PopAll(), "abcm");
}

TEST(AdmissionQueueBounds, ATenantThatFloodsDoesNotKeepOthersOut) {
  Queued q;
  q.limits = {.entries = 5, .bytes = 1000};
  q.AddAll("abcde", kUsual, 1);
  EXPECT_FALSE(q.Push(q.Make('f', kUsual, 1)));
  q.Add('x', kUsual, 2);
  EXPECT_EQ(q.DrivenOut(), "e");
  q.Add('y', kUsual, 2);
  EXPECT_EQ(q.DrivenOut(), "d");
  EXPECT_FALSE(q.Push(q.Make('z', kUsual, 2))) << "three and two: as fair as it gets";
  EXPECT_EQ(q.PopAll(), "axbyc");
}

TEST(AdmissionQueueBounds, NobodyIsDrivenOutInVain) {
  Queued q;
  q.limits = {.entries = 10, .bytes = 10};
  q.AddAll("xy", kLow, 1);
  Queued::Named& middle = q.Make('m', kUsual, 1);
  middle.bytes = 8;
  ASSERT_TRUE(q.Push(middle));
  Queued::Named& large = q.Make('n', kUsual, 1);
  large.bytes = 5;
  EXPECT_FALSE(q.Push(large));
  EXPECT_EQ(q.DrivenOut(), "");
  EXPECT_EQ(q.queue.bytes(), 10u);
  EXPECT_EQ(q.PopAll(), "mxy");
}

/// Whatever comes, goes, loses races and leaves: the counts add up, nobody is lost, and between two tenants that both
/// wait all the time the numbers served differ by one at most for each race that was lost.
TEST(AdmissionQueueProperty, FairAndComplete) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    Prng prng(seed);
    AdmissionQueue queue;
    const AdmissionQueue::Limits limits{.entries = 64, .bytes = 4096};
    std::deque<QueueEntry> entries;
    std::vector<QueueEntry*> inside, driven_out;
    std::map<std::uint64_t, int> served;
    std::size_t left = 0, refused = 0;
    const auto push = [&](std::uint64_t tenant, Priority priority) {
      QueueEntry& entry = entries.emplace_back();
      entry.tenant = tenant;
      entry.priority = priority;
      entry.retry = priority != kUsual && prng.Below(8) == 0;
      entry.bytes = prng.Below(64);
      entry.deadline = TimePoint{static_cast<std::int64_t>(prng.Below(1000))};
      if (!queue.Push(entry, limits, driven_out)) {
        ++refused;
        return;
      }
      inside.push_back(&entry);
      for (QueueEntry* out : driven_out) {
        std::erase(inside, out);
        ++left;
      }
    };
    for (int i = 0; i < 20; ++i) push(1 + i % 2, kUsual);
    for (int step = 0; step < 400; ++step) {
      ASSERT_EQ(queue.size(), inside.size());
      std::size_t bytes = 0;
      for (const QueueEntry* entry : inside) bytes += entry->bytes;
      ASSERT_EQ(queue.bytes(), bytes);
      ASSERT_LE(queue.size(), limits.entries);
      ASSERT_LE(queue.bytes(), limits.bytes);
      if (prng.Below(3) == 0) push(3 + prng.Below(3), prng.Below(2) == 0 ? kHigh : kLow);
      if (prng.Below(8) == 0) {
        QueueEntry* gone = inside[prng.Below(inside.size())];
        if (gone->priority != kUsual) {
          queue.Leave(*gone);
          std::erase(inside, gone);
          ++left;
        }
      }
      QueueEntry* entry = queue.Take();
      ASSERT_NE(entry, nullptr);
      ASSERT_TRUE(entry->taken());
      if (prng.Below(4) == 0) {
        queue.Return(*entry);
        const QueueEntry* again = queue.Take();
        ASSERT_EQ(again, entry) << "its old place, seed " << seed << " step " << step;
      }
      queue.Leave(*entry);
      std::erase(inside, entry);
      ++left;
      if (entry->priority == kUsual) {
        ++served[entry->tenant];
        push(entry->tenant, kUsual);
        ASSERT_LE(std::abs(served[1] - served[2]), 1) << "seed " << seed << " step " << step;
      }
    }
    while (QueueEntry* entry = queue.Take()) {
      queue.Leave(*entry);
      ++left;
    }
    ASSERT_EQ(left + refused, entries.size());
    ASSERT_EQ(queue.bytes(), 0u);
    ASSERT_GT(served[1] + served[2], 40) << "a class between others";
  }
}

}  // namespace
}  // namespace penstock::policy
