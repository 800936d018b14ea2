#include "penstock/cache/flight.hpp"

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <vector>

#include "penstock/cache/flight_table.hpp"
#include "penstock/cache/lead.hpp"
#include "support/manual_loop.hpp"

namespace penstock::cache {
namespace {

Digest DigestOf(std::string_view text) { return Sha256::Of(text); }

/// Two workers on the test's thread, and followers that note what they had.
class Flights : public testing::Test {
 protected:
  static constexpr Lead::Limits kLimits{.entry_bytes_max = 100, .answer_bytes_max = 1000};

  struct Reader {
    explicit Reader(rt::Worker& worker) : chain(worker.chunks()), follower(worker) {}
    /// All there is; `with_usage` as this reader's client asked.
    std::string Read(bool with_usage = true, std::size_t bytes_max = 1 << 20) {
      while (follower.Take(chain, bytes_max, with_usage) > 0) {}
      std::string text;
      chain.ForEach([&text](std::string_view piece) { text += piece; });
      return text;
    }
    Chain chain;
    Follower follower;
  };

  std::unique_ptr<Lead> Begin(std::string_view what = "q") {
    const FlightTable::Joined joined = table.Join(DigestOf(what));
    EXPECT_TRUE(joined.leader);
    CacheKey key;
    key.digest = DigestOf(what);
    return std::make_unique<Lead>(table, joined.flight, key, llm::Family::kChat, kLimits);
  }
  std::unique_ptr<Reader> Join(rt::Worker& worker, std::string_view what = "q") {
    const FlightTable::Joined joined = table.Join(DigestOf(what));
    EXPECT_FALSE(joined.leader);
    auto reader = std::make_unique<Reader>(worker);
    EXPECT_EQ(reader->follower.Board(joined.flight), Boarding::kAboard);
    return reader;
  }
  void Turn() {
    for (rt::Worker* worker : {&one, &two}) worker->RunTurn();
  }

  rt::Worker one{0, std::make_unique<test::ManualLoop>(TimePoint{}), 1};
  rt::Worker two{1, std::make_unique<test::ManualLoop>(TimePoint{}), 2};
  FlightTable table;
};

rt::Task<void> CountWakes(Follower& follower, int& wakes) {
  while (true) {
    co_await follower.Changed();
    ++wakes;
  }
}

TEST_F(Flights, K_13_OneLeadsAllOthersFollow) {
  const auto lead = Begin();
  std::vector<std::unique_ptr<Reader>> readers;
  for (int i = 0; i < 100; ++i) readers.push_back(Join(i % 2 == 0 ? one : two));
  EXPECT_EQ(lead->flight().followers(), 100u);
  lead->OnAttempt();
  lead->OnHead(Form::kWhole, {});
  lead->OnBytes("{}");
  EXPECT_EQ(readers[0]->follower.Look().open, false);
  lead->Commit(2);
  lead->OnComplete(true, 0);
  lead->Land(Landing::kWhole, lead->MakeEntry({}, std::chrono::seconds(1)));
  for (const auto& reader : readers) {
    EXPECT_EQ(reader->Read(), "{}");
    EXPECT_EQ(reader->follower.Look().landing, Landing::kWhole);
    EXPECT_EQ(reader->follower.entry()->bytes.view(), "{}");
  }
  EXPECT_TRUE(table.Join(DigestOf("q")).leader) << "it has landed: the next one begins anew";
}

TEST_F(Flights, NothingIsReadBeforeItIsCommitted) {
  const auto lead = Begin();
  const auto reader = Join(two);
  lead->OnAttempt();
  lead->OnHead(Form::kWhole, {});
  lead->OnBytes("of an attempt that fails");
  EXPECT_FALSE(reader->follower.Look().open);
  lead->OnAttempt();
  lead->OnHead(Form::kWhole, {});
  lead->OnBytes("of the next");
  lead->Commit(std::nullopt);
  EXPECT_TRUE(reader->follower.Look().open);
  EXPECT_EQ(reader->Read(), "of the next");
}

TEST_F(Flights, ALateJoinerHasThePrefixThenFollows) {
  const auto lead = Begin();
  lead->OnAttempt();
  lead->OnHead(Form::kEvents, {});
  lead->OnBytes("first ");
  lead->Commit(std::nullopt);
  const auto reader = Join(one);
  EXPECT_EQ(reader->Read(), "first ");
  lead->OnBytes("second");
  EXPECT_EQ(reader->Read(true, 3), "first second");
}

TEST_F(Flights, WorkersAreWokenOncePerBurst) {
  const auto lead = Begin();
  const auto reader = Join(two);
  int wakes = 0;
  rt::Task<void> task = CountWakes(reader->follower, wakes);
  task.Start();
  lead->OnAttempt();
  lead->OnHead(Form::kEvents, {});
  lead->OnBytes("unseen");
  Turn();
  EXPECT_EQ(wakes, 0);
  lead->Commit(std::nullopt);
  for (int i = 0; i < 10; ++i) lead->OnBytes("more");
  Turn();
  EXPECT_EQ(wakes, 1);
  lead->OnBytes("and more");
  Turn();
  EXPECT_EQ(wakes, 2);
}

/// What one does when it is woken may take others away, and those must not be touched.
TEST_F(Flights, AFollowerThatWakesMayTakeOthersAlong) {
  const auto lead = Begin();
  std::array<std::unique_ptr<Reader>, 3> readers = {Join(two), Join(two), Join(two)};
  auto clear = [](std::array<std::unique_ptr<Reader>, 3>& all, Follower& follower) -> rt::Task<void> {
    co_await follower.Changed();
    for (std::size_t i = 1; i < all.size(); ++i) all[i].reset();
  };
  rt::Task<void> task = clear(readers, readers[0]->follower);
  task.Start();
  lead->Land(Landing::kFailed);
  Turn();
  EXPECT_EQ(lead->flight().followers(), 1u);
}

TEST_F(Flights, K_14_ALeaderThatGoesIsToldAsThat) {
  auto lead = Begin();
  const auto reader = Join(one);
  lead.reset();
  EXPECT_EQ(reader->follower.Look().landing, Landing::kLeft);
  EXPECT_TRUE(table.Join(DigestOf("q")).leader);
  EXPECT_FALSE(table.Join(DigestOf("q")).leader) << "ONE new leader";
}

TEST_F(Flights, K_14_TheLeaderHearsOfTheFirstToComeAndTheLastToLeave) {
  const auto lead = Begin();
  int told = 0;
  lead->flight().Watch(&one, [&told] { ++told; });
  auto first = Join(two);
  Turn();
  EXPECT_EQ(told, 1);
  auto second = Join(one);
  first.reset();
  Turn();
  EXPECT_EQ(told, 1);
  EXPECT_TRUE(lead->followed());
  second.reset();
  Turn();
  EXPECT_EQ(told, 2);
  EXPECT_FALSE(lead->followed());
  lead->Land(Landing::kWhole);
  Turn();
  EXPECT_EQ(told, 2);
}

TEST_F(Flights, WhatTheyHoldIsCountedUntilTheLastReaderIsDone) {
  auto lead = Begin();
  lead->OnAttempt();
  EXPECT_EQ(table.held_bytes(), 0u);
  lead->OnBytes(std::string(90, 'x'));
  EXPECT_GE(table.held_bytes(), 90u);
  auto reader = Join(one);
  lead->Land(Landing::kWhole);
  lead.reset();
  EXPECT_GE(table.held_bytes(), 90u);
  reader.reset();
  Turn();  // the letter that would have woken it
  EXPECT_EQ(table.held_bytes(), 0u);
}

TEST_F(Flights, TheOtherFormIsMadeOnceForAllWhoWantIt) {
  const auto lead = Begin();
  const auto first = Join(one);
  const auto second = Join(two);
  EXPECT_FALSE(first->follower.rebuilt(true).has_value());
  Entry entry;
  entry.form = Form::kEvents;
  entry.bytes = SharedBytes::Copy("data: {}");
  first->follower.ShareRebuilt(true, entry);
  ASSERT_TRUE(second->follower.rebuilt(true).has_value());
  EXPECT_EQ(second->follower.rebuilt(true)->bytes.view().data(), entry.bytes.view().data());
  EXPECT_FALSE(second->follower.rebuilt(false).has_value()) << "who did not ask for the usage event has another";
}

TEST_F(Flights, K_15_AThousandFollowAtMost) {
  const auto lead = Begin();
  std::vector<std::unique_ptr<Reader>> readers;
  for (std::size_t i = 0; i < Flight::kFollowersMax; ++i) readers.push_back(Join(one));
  Reader late(one);
  EXPECT_EQ(late.follower.Board(table.Join(DigestOf("q")).flight), Boarding::kFull);
  readers.pop_back();
  EXPECT_EQ(late.follower.Board(table.Join(DigestOf("q")).flight), Boarding::kAboard);
}

TEST_F(Flights, K_10_WhatGrowsTooLargeIsHeldForNobody) {
  const auto lead = Begin();
  lead->OnAttempt();
  lead->OnHead(Form::kWhole, {});
  lead->Commit(std::nullopt);
  lead->OnBytes(std::string(kLimits.entry_bytes_max, 'x'));
  EXPECT_EQ(lead->Taken()->size(), kLimits.entry_bytes_max);
  lead->OnBytes("x");
  EXPECT_FALSE(lead->Taken().has_value());
  EXPECT_TRUE(lead->flight().bytes().empty());
  EXPECT_LE(table.held_bytes(), sizeof(std::string)) << "its memory is free";
  EXPECT_TRUE(table.Join(DigestOf("q")).leader) << "nobody joins a call whose beginning is gone";
  lead->OnComplete(true, llm::Bit(llm::FinishReason::kStop));
  EXPECT_EQ(lead->Judged(), Verdict::kTooLarge);
}

TEST_F(Flights, K_14_WhoComesTooLateForACallThatFailedJoinsAnother) {
  auto lead = Begin();
  const std::shared_ptr<Flight> flight = lead->flight().shared_from_this();
  lead->Land(Landing::kFailed);
  Reader late(one);
  EXPECT_EQ(late.follower.Board(flight), Boarding::kOver);
  EXPECT_TRUE(table.Join(DigestOf("q")).leader);
}

TEST_F(Flights, ASlowFollowerStopsBehindAnEvent) {
  const auto lead = Begin();
  const auto reader = Join(two);
  lead->OnAttempt();
  lead->OnHead(Form::kEvents, {});
  lead->OnBytes("data: one\n\ndata: two\n\n");
  lead->Commit(std::nullopt);
  EXPECT_EQ(reader->follower.Take(reader->chain, 15, true), 11u);
  EXPECT_EQ(reader->follower.Take(reader->chain, 15, true), 11u);
  EXPECT_EQ(reader->follower.Take(reader->chain, 15, true), 0u);
}

TEST_F(Flights, K_07_K_08_OnlyWhatIsCompleteAndFitsIsKept) {
  const struct {
    bool ended, fit;
    int usage_events;
    Verdict verdict;
  } rows[] = {{true, true, 0, Verdict::kStore},
              {true, true, 1, Verdict::kStore},
              {true, false, 0, Verdict::kIncomplete},
              {false, false, 0, Verdict::kIncomplete},
              {true, true, 2, Verdict::kIncomplete}};  // in two places: it could not be left out (FAULTS K-06)
  for (const auto& row : rows) {
    const auto lead = Begin();
    lead->OnAttempt();
    lead->OnHead(Form::kEvents, {});
    llm::SseEvent event;
    event.has_data = true;
    for (int i = 0; i < row.usage_events; ++i) {
      event.raw = "usage;";
      llm::Sighting usage;
      usage.usage_only = true;
      lead->OnEvent(event, usage);
      event.raw = "content;";
      lead->OnEvent(event, {});
    }
    if (row.ended) lead->OnComplete(row.fit, llm::Bit(llm::FinishReason::kStop));
    EXPECT_EQ(lead->Judged(), row.verdict) << &row - rows;
    lead->OnAttempt();
    EXPECT_EQ(lead->Judged(), Verdict::kIncomplete) << "what an earlier attempt was says nothing";
  }
}

TEST_F(Flights, K_10_WhoFollowsAlreadyGetsAllOfALargeAnswer) {
  const auto lead = Begin();
  const auto reader = Join(two);
  lead->OnAttempt();
  lead->OnHead(Form::kWhole, {});
  lead->Commit(std::nullopt);
  const std::string large(5 * kLimits.entry_bytes_max, 'x');
  lead->OnBytes(large);
  lead->OnComplete(true, 0);
  lead->Land(Landing::kWhole);
  EXPECT_EQ(reader->Read(), large);
  EXPECT_FALSE(reader->follower.entry().has_value());
}

TEST_F(Flights, K_14_AnAnswerThatMayNotBeStoredIsNotShared) {
  const auto lead = Begin();
  const auto reader = Join(two);
  lead->OnAttempt();
  lead->OnHead(Form::kWhole, {.no_store = true});
  lead->OnBytes("{}");
  lead->Commit(2);
  EXPECT_EQ(reader->follower.Look().landing, Landing::kAlone);
  lead->OnComplete(true, llm::Bit(llm::FinishReason::kStop));
  EXPECT_EQ(lead->Judged(), Verdict::kNoStore);
}

TEST_F(Flights, K_14_AnErrorWith200IsTheLeadersAlone) {
  const auto lead = Begin();
  const auto reader = Join(two);
  lead->OnAttempt();
  lead->OnHead(Form::kWhole, {});
  lead->OnBytes(R"({"error":{}})");
  lead->OnComplete(false, 0, false);
  lead->Commit(12);
  EXPECT_EQ(reader->follower.Look().landing, Landing::kFailed);
  EXPECT_FALSE(reader->follower.Look().open);
  EXPECT_TRUE(table.Join(DigestOf("q")).leader);
}

TEST_F(Flights, K_18_WhatIsUnderWayWhenItsKeyIsPurgedIsNotKept) {
  const auto lead = Begin();
  table.Forbid(DigestOf("q"));
  EXPECT_TRUE(table.Join(DigestOf("q")).leader);
  lead->OnAttempt();
  lead->OnHead(Form::kWhole, {});
  lead->OnBytes("{}");
  lead->OnComplete(true, llm::Bit(llm::FinishReason::kStop));
  EXPECT_EQ(lead->Judged(), Verdict::kNoStore);
}

TEST_F(Flights, TheUsageEventIsForThoseWhoAskedForIt) {
  const auto lead = Begin();
  const auto asked = Join(one);
  const auto not_asked = Join(two);
  lead->OnAttempt();
  lead->OnHead(Form::kEvents, {});
  llm::SseEvent event;
  event.has_data = true;
  event.raw = "content;";
  lead->OnEvent(event, {});
  lead->Commit(std::nullopt);
  event.raw = "usage;";
  llm::Sighting usage;
  usage.usage_only = true;
  lead->OnEvent(event, usage);
  EXPECT_EQ(not_asked->Read(false), "content;");
  event.raw = "done;";
  lead->OnEvent(event, {});
  EXPECT_EQ(asked->Read(true), "content;usage;done;");
  EXPECT_EQ(not_asked->Read(false), "content;done;");
  EXPECT_EQ(lead->MakeEntry({}, {}).usage, (llm::UsageEvent{8, 6}));
}

}  // namespace
}  // namespace penstock::cache
