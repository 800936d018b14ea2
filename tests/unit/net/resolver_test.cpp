#include "penstock/net/resolver.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

#include "support/manual_loop.hpp"

namespace penstock::net {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// A name server in the test's hands: answers by table, may hold a name's look-ups back, counts.
class FakeNames {
 public:
  Result<Resolver::Addresses> Look(const std::string& host) {
    std::unique_lock lock(mutex_);
    const bool known = answers_.contains(host);
    const Resolver::Addresses answer = known ? answers_[host] : Resolver::Addresses{};
    ++calls_[host];
    ++running_;
    most_running_ = std::max(most_running_, running_);
    changed_.notify_all();
    changed_.wait(lock, [&] { return !silent_[host]; });
    --running_;
    if (!known) return UpstreamError(ErrorCode::kUpstreamDns, Retry::kIfUnprocessed, "NXDOMAIN");
    return answer;
  }
  void Answer(const std::string& host, const std::vector<std::string>& ips) {
    Resolver::Addresses addresses;
    for (const std::string& ip : ips) addresses.push_back(*rt::Address::FromIp(ip, 0));
    const std::lock_guard lock(mutex_);
    answers_[host] = addresses;
  }
  void Fail(const std::string& host) {
    const std::lock_guard lock(mutex_);
    answers_.erase(host);
  }
  void Silence(const std::string& host, bool silent) {
    const std::lock_guard lock(mutex_);
    silent_[host] = silent;
    changed_.notify_all();
  }
  int calls(const std::string& host) {
    const std::lock_guard lock(mutex_);
    return calls_[host];
  }
  /// Until the n-th look-up of the name has begun.
  void WaitForCall(const std::string& host, int n) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return calls_[host] >= n; });
  }
  int most_running() {
    const std::lock_guard lock(mutex_);
    return most_running_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, Resolver::Addresses> answers_;
  std::map<std::string, bool> silent_;
  std::map<std::string, int> calls_;
  int running_ = 0;
  int most_running_ = 0;
};

struct TestWorker {
  explicit TestWorker(unsigned index)
      : loop(new test::ManualLoop(TimePoint{1'000'000'000})),
        worker(index, std::unique_ptr<rt::EventLoop>(loop), index) {}
  void Advance(Duration by) {
    loop->Advance(by);
    worker.RunTurn();
  }
  /// The next letter, delivered.
  void Receive() {
    loop->WaitForWake();
    worker.RunTurn();
  }
  test::ManualLoop* loop;
  rt::Worker worker;
};

struct ResolverTest : testing::Test {
  ~ResolverTest() override {
    for (const char* host :
         {"a.test", "b.test", "c.test", "silent1.test", "silent2.test", "silent3.test", "silent4.test"})
      names->Silence(host, false);
  }
  std::unique_ptr<Subscription> Watch(const std::string& host, std::uint16_t port = 80) {
    return resolver->Watch(host, port, one.worker, [this] { ++changes; });
  }
  /// Time for the threads to begin what was asked for before: others behind it in the queue have begun.
  void LetThreadsWork() {
    for (int i = 0; i < 4; ++i) {
      const std::string host = "other" + std::to_string(others++) + ".test";
      const auto other = resolver->Watch(host, 80, two.worker, [] {});
      names->WaitForCall(host, 1);
    }
  }
  /// Lets periods go by until the next look-up of `host` has begun. (The one before may still be on its way back: no
  /// letter tells of an answer that changes nothing.)
  void NextLookup(const std::string& host) {
    const int before = names->calls(host);
    while (names->calls(host) == before) {
      one.Advance(seconds(34));
      std::this_thread::yield();
    }
  }
  static std::vector<std::string> Texts(const Subscription& subscription) {
    std::vector<std::string> texts;
    for (const rt::Address& address : subscription.addresses()) texts.push_back(address.ToString());
    return texts;
  }
  using Strings = std::vector<std::string>;

  std::shared_ptr<FakeNames> names = std::make_shared<FakeNames>();
  std::unique_ptr<Resolver> resolver =
      std::make_unique<Resolver>([fake = names](const std::string& host) { return fake->Look(host); });
  TestWorker one{1}, two{2};
  int changes = 0;
  int others = 0;
};

TEST_F(ResolverTest, AddressesAreThereAtOnceWithoutALookup) {
  const auto v4 = Watch("127.0.0.1", 8080), v6 = Watch("[::1]", 443), bare = Watch("::1", 443);
  EXPECT_EQ(Texts(*v4), Strings{"127.0.0.1:8080"});
  EXPECT_EQ(Texts(*v6), Strings{"[::1]:443"});
  EXPECT_EQ(Texts(*bare), Strings{"[::1]:443"});
  v4->RefreshSoon();
  one.Advance(seconds(100));
  EXPECT_EQ(names->calls("127.0.0.1"), 0);
  EXPECT_EQ(changes, 0);
  EXPECT_EQ(resolver->names(), 0u);
}

TEST_F(ResolverTest, ANameIsLookedUpOnAThreadAndTheAnswerComesAsALetter) {
  names->Answer("a.test", {"10.0.0.1", "10.0.0.2", "fd00::1"});
  const auto a = Watch("a.test", 9000);
  EXPECT_TRUE(a->addresses().empty());
  EXPECT_FALSE(a->error());
  one.Receive();
  EXPECT_EQ(changes, 1);
  EXPECT_EQ(Texts(*a), (Strings{"10.0.0.1:9000", "10.0.0.2:9000", "[fd00::1]:9000"}));
}

TEST_F(ResolverTest, U_27_AChangedSetIsToldAndAReorderedOneIsNot) {
  names->Answer("a.test", {"10.0.0.1", "10.0.0.2"});
  const auto a = Watch("a.test");
  one.Receive();
  names->Answer("a.test", {"10.0.0.2", "10.0.0.1"});
  NextLookup("a.test");
  names->Answer("a.test", {"10.0.0.3"});
  NextLookup("a.test");
  one.Receive();
  EXPECT_EQ(changes, 2) << "the first and the third answer";
  EXPECT_EQ(Texts(*a), Strings{"10.0.0.3:80"});
}

TEST_F(ResolverTest, U_27_AFailureKeepsTheLastGoodSet) {
  names->Answer("a.test", {"10.0.0.1"});
  const auto a = Watch("a.test");
  one.Receive();
  names->Fail("a.test");
  for (int i = 0; i < 3; ++i) NextLookup("a.test");
  names->Answer("a.test", {});  // NOERROR without addresses is a failure too
  NextLookup("a.test");
  NextLookup("a.test");
  EXPECT_EQ(Texts(*a), Strings{"10.0.0.1:80"});
  EXPECT_FALSE(a->error());
  EXPECT_EQ(changes, 1);
}

TEST_F(ResolverTest, U_27_AFailureWithoutAGoodSetIsToldAndTriedAgainWithBackOff) {
  const auto a = Watch("a.test");
  one.Receive();
  ASSERT_TRUE(a->error());
  EXPECT_EQ(a->error()->code, ErrorCode::kUpstreamDns);
  EXPECT_EQ(a->error()->retry, Retry::kIfUnprocessed);
  EXPECT_STREQ(a->error()->context, "NXDOMAIN");
  int lookups = 1;
  for (const int wait : {1, 2, 4, 8, 16, 30, 30}) {
    one.Advance(seconds(wait) - milliseconds(10));
    LetThreadsWork();
    EXPECT_EQ(names->calls("a.test"), lookups) << "not before " << wait << " s";
    one.Advance(milliseconds(20 + 100 * wait));
    names->WaitForCall("a.test", ++lookups);
    one.Receive();
  }
  names->Answer("a.test", {"10.0.0.9"});
  one.Advance(seconds(34));
  one.Receive();
  EXPECT_EQ(Texts(*a), Strings{"10.0.0.9:80"});
  EXPECT_FALSE(a->error());
}

TEST_F(ResolverTest, U_27_ASilentNameStopsNobodyAndIsReportedAfterItsTime) {
  names->Silence("silent1.test", true);
  names->Answer("silent1.test", {"10.0.0.2"});
  names->Answer("a.test", {"10.0.0.1"});
  const auto silent = Watch("silent1.test");
  names->WaitForCall("silent1.test", 1);
  const auto a = Watch("a.test");
  one.Receive();
  EXPECT_EQ(Texts(*a), Strings{"10.0.0.1:80"});
  changes = 0;
  one.Advance(seconds(9));
  EXPECT_FALSE(silent->error());
  one.Advance(seconds(3));
  ASSERT_TRUE(silent->error());
  EXPECT_STREQ(silent->error()->context, "the resolver does not answer");
  EXPECT_EQ(changes, 1);
  one.Advance(seconds(30));
  EXPECT_EQ(names->calls("silent1.test"), 1) << "never twice at once";
  names->Silence("silent1.test", false);
  one.Receive();
  EXPECT_EQ(Texts(*silent), Strings{"10.0.0.2:80"}) << "late is better than never";
}

TEST_F(ResolverTest, U_27_NamesThatFailedLeaveAThreadForTheOthers) {
  std::vector<std::unique_ptr<Subscription>> watched;
  const Strings hosts{"silent1.test", "silent2.test", "silent3.test", "silent4.test"};
  for (const std::string& host : hosts) {
    watched.push_back(Watch(host));
    names->WaitForCall(host, 1);
    one.Receive();
    names->Silence(host, true);
  }
  one.Advance(seconds(2));  // all four are tried again; one has to wait
  for (int begun = 0; begun < 3;) {
    begun = 0;
    for (const std::string& host : hosts) begun += names->calls(host) == 2 ? 1 : 0;
  }
  names->Answer("a.test", {"10.0.0.1"});
  const auto a = Watch("a.test");
  one.Receive();
  EXPECT_EQ(Texts(*a), Strings{"10.0.0.1:80"});
  EXPECT_LE(names->most_running(), static_cast<int>(Resolver::kThreadsMax));
}

TEST_F(ResolverTest, U_27_WorkersShareLookupsAndNobodyAsksTwiceASecond) {
  names->Answer("a.test", {"10.0.0.1"});
  const auto first = Watch("a.test", 80);
  int other_changes = 0;
  const auto second = resolver->Watch("a.test", 81, two.worker, [&] { ++other_changes; });
  one.Receive();
  if (second->addresses().empty()) two.Receive();
  EXPECT_EQ(Texts(*second), Strings{"10.0.0.1:81"});
  const auto third = Watch("a.test", 82);
  EXPECT_EQ(Texts(*third), Strings{"10.0.0.1:82"}) << "known: there at once";
  for (int i = 0; i < 50; ++i) {
    first->RefreshSoon();
    second->RefreshSoon();
    one.Advance(milliseconds(19));
    two.Advance(milliseconds(19));
    LetThreadsWork();
  }
  EXPECT_EQ(names->calls("a.test"), 1) << "less than a second";
  one.Advance(milliseconds(60));
  first->RefreshSoon();
  names->WaitForCall("a.test", 2);
  // Half an hour of two workers' timers: one look-up per period.
  int lookups = 2;
  for (int i = 0; i < 1800; ++i) {
    one.Advance(seconds(1));
    two.Advance(seconds(1));
    lookups = std::max(lookups, names->calls("a.test"));
  }
  EXPECT_LE(names->calls("a.test"), 1800 / 22 + 3);
  EXPECT_EQ(changes + other_changes, 1 + (other_changes > 0 ? 1 : 0));
}

TEST_F(ResolverTest, U_27_AHundredAddressesAreKeptAndNoMore) {
  Strings many;
  for (int i = 0; i < 300; ++i) many.push_back("10.1." + std::to_string(i / 250) + "." + std::to_string(i % 250));
  many.insert(many.begin(), many.front());
  names->Answer("a.test", many);
  const auto a = Watch("a.test");
  one.Receive();
  ASSERT_EQ(a->addresses().size(), Resolver::kAddressesMax);
  EXPECT_EQ(a->addresses()[1].ToString(), "10.1.0.1:80") << "duplicates dropped, order kept";
}

TEST_F(ResolverTest, NobodyIsToldAfterUnsubscribingAndTheNameIsForgotten) {
  names->Answer("a.test", {"10.0.0.1"});
  names->Silence("a.test", true);
  auto a = Watch("a.test");
  names->WaitForCall("a.test", 1);
  a.reset();
  EXPECT_EQ(resolver->names(), 1u) << "its look-up runs";
  names->Silence("a.test", false);
  auto b = Watch("b.test");
  one.Receive();
  EXPECT_EQ(changes, 1) << "b alone";
  auto c = Watch("b.test");
  c.reset();
  b.reset();
  for (int i = 0; resolver->names() > 0 && i < 1'000'000; ++i) std::this_thread::yield();
  EXPECT_EQ(resolver->names(), 0u);
}

TEST_F(ResolverTest, ALetterOnItsWayToADeadSubscriptionIsDropped) {
  names->Answer("a.test", {"10.0.0.1"});
  auto a = Watch("a.test");
  one.loop->WaitForWake();  // posted, not delivered
  a.reset();
  one.worker.RunTurn();
  EXPECT_EQ(changes, 0);
}

TEST_F(ResolverTest, TheResolverMayGoWhileALookupHangsAndSubscriptionsLive) {
  names->Silence("a.test", true);
  auto a = Watch("a.test");
  names->WaitForCall("a.test", 1);
  resolver.reset();
  a->RefreshSoon();
  one.Advance(seconds(60));
  names->Silence("a.test", false);
}

TEST(SystemLookup, KnowsLocalhostAndTellsWhatIsWrongWithAnImpossibleOne) {
  const auto local = Resolver::SystemLookup("localhost");
  ASSERT_TRUE(local.has_value());
  EXPECT_TRUE(local->front().is_loopback());
  const auto bad = Resolver::SystemLookup(std::string(64, 'a') + ".test");
  ASSERT_FALSE(bad.has_value());
  EXPECT_EQ(bad.error().code, ErrorCode::kUpstreamDns);
}

}  // namespace
}  // namespace penstock::net
