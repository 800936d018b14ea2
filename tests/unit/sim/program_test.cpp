#include "sim/program.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

namespace penstock::sim {
namespace {

TEST(Program, PlausiblePace) {
  const auto program = ParseProgram("sim");
  ASSERT_TRUE(program.has_value());
  EXPECT_EQ(program->ttft_ms, 30u);
  EXPECT_EQ(program->tokens, 40u);
  EXPECT_EQ(program->itl_us, 20'000u);
  EXPECT_TRUE(program->prefill);
  EXPECT_EQ(program->fault, Fault::kNone);
}

TEST(Program, OwnPaceIsExact) {
  const auto program = ParseProgram("sim:7:100:250:usage=none:delta=refusal:finish=content_filter:timings=1");
  ASSERT_TRUE(program.has_value());
  EXPECT_EQ(program->ttft_ms, 7u);
  EXPECT_EQ(program->tokens, 100u);
  EXPECT_EQ(program->itl_us, 250u);
  EXPECT_FALSE(program->prefill);
  EXPECT_EQ(program->usage, UsageStyle::kNone);
  EXPECT_EQ(program->delta, "refusal");
  EXPECT_EQ(program->finish, "content_filter");
  EXPECT_TRUE(program->timings);
}

TEST(Program, FaultTakesVariantAndKeys) {
  const auto program = ParseProgram("fault:status:503:retry-after=2:times=1:every=3");
  ASSERT_TRUE(program.has_value());
  EXPECT_EQ(program->fault, Fault::kStatus);
  EXPECT_EQ(program->status, 503);
  EXPECT_EQ(program->retry_after, "2");
  EXPECT_EQ(program->times, 1u);
  EXPECT_EQ(program->every, 3u);
  EXPECT_FALSE(program->wire);
}

TEST(Program, AfterHasNames) {
  const std::pair<const char*, std::int32_t> places[] = {
      {"start", kBeforeHead}, {"head", kAfterHead}, {"role", kAfterRole}, {"0", 0}, {"5", 5}, {"end", kAtEnd}};
  for (const auto& [name, place] : places) {
    const auto program = ParseProgram(std::string("fault:cut:after=") + name);
    ASSERT_TRUE(program.has_value()) << name;
    EXPECT_EQ(program->after, place) << name;
  }
}

TEST(Program, AnswersMadeWholeKnowNoPlace) {
  EXPECT_EQ(ParseProgram("fault:status:500:after=3")->after, kBeforeHead);
  EXPECT_EQ(ParseProgram("fault:two-lengths:after=3")->after, kBeforeHead);
}

TEST(Program, RefusesWhatItDoesNotKnow) {
  for (const char* model : {"",
                            "nope",
                            "fault",
                            "fault:",
                            "fault:nope",
                            "fault:status:99",
                            "fault:status:600",
                            "fault:status:abc",
                            "fault:cut:3",
                            "fault:malformed:nope",
                            "fault:cut:after=later",
                            "fault:cut:after=-1",
                            "fault:cut:nokey=1",
                            "sim:x",
                            "sim:1:2:3:4",
                            "sim:1:99999999999:0",
                            "sim::",
                            "sim-bytes",
                            "sim-bytes:0",
                            "sim-bytes:9999999999999",
                            "sim-bytes:10:20",
                            "sim:0:1:0:usage=often",
                            "fault:stall:every=0"}) {
    EXPECT_FALSE(ParseProgram(model).has_value()) << model;
  }
}

TEST(Program, EveryFaultParsesByItsNameAlone) {
  for (const FaultName& fault : FaultNames()) {
    const auto program = ParseProgram("fault:" + std::string(fault.name));
    ASSERT_TRUE(program.has_value()) << fault.name;
    EXPECT_EQ(program->fault, fault.fault) << fault.name;
    EXPECT_EQ(program->wire, fault.wire) << fault.name;
  }
}

/// The grammar's documentation names every fault and every variant of it.
TEST(Program, DocumentationIsComplete) {
  const char* source = std::getenv("PENSTOCK_SOURCE");
  ASSERT_NE(source, nullptr) << "run by ctest, or set PENSTOCK_SOURCE to the source folder";
  std::ifstream file(std::string(source) + "/docs/simulator.md");
  ASSERT_TRUE(file.is_open());
  std::stringstream text;
  text << file.rdbuf();
  const std::string document = text.str();
  for (const FaultName& fault : FaultNames()) {
    EXPECT_NE(document.find("`fault:" + std::string(fault.name)), std::string::npos) << fault.name;
    if (fault.which == "*") continue;
    std::stringstream variants{std::string(fault.which)};
    for (std::string variant; std::getline(variants, variant, ',');) {
      EXPECT_NE(document.find(variant.empty() ? "" : "`" + variant + "`"), std::string::npos)
          << fault.name << ":" << variant;
    }
  }
}

}  // namespace
}  // namespace penstock::sim
