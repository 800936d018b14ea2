#include "control/memory_gauge.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "support/temporary_folder.hpp"

namespace penstock::control {
namespace {

using namespace std::chrono_literals;

constexpr TimePoint kStart{5'000'000'000};
constexpr double kAlarm = 0.8;
constexpr std::optional<std::uint64_t> kNoLimit;

/// Files as the kernel shows them. The process has 1,000 pages, the machine 10,000.
struct MemoryGaugeTest : testing::Test {
  MemoryGaugeTest() {
    Write("proc/self/statm", "5000 1000 300 10 0 900 0\n");
    Write("proc/meminfo", "MemTotal: " + std::to_string(10'000 * page / 1024) + " kB\n");
  }
  void Write(const std::string& path, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(folder.Path(path)).parent_path());
    folder.Write(path, text);
  }
  /// In pages.
  void Group(std::uint64_t limit, std::uint64_t used, std::uint64_t files_of_it) {
    Write("proc/self/cgroup", "0::/a\n");
    Write("sys/fs/cgroup/a/memory.max", std::to_string(limit * page) + "\n");
    Use(used, files_of_it);
  }
  void Use(std::uint64_t used, std::uint64_t files_of_it) {
    Write("sys/fs/cgroup/a/memory.current", std::to_string(used * page) + "\n");
    Write("sys/fs/cgroup/a/memory.stat", "inactive_file " + std::to_string(files_of_it * page) + "\n");
  }
  double Pressure(Duration passed, std::optional<std::uint64_t> limit = kNoLimit) {
    return gauge.Pressure(kStart + passed, limit, kAlarm).value();
  }

  const std::uint64_t page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  test::TemporaryFolder folder;
  ResourceFiles files{folder.Path("")};
  MemoryGauge gauge{files};
};

TEST_F(MemoryGaugeTest, P_08_TheMachineDecidesWhereNobodyElseDoes) { EXPECT_DOUBLE_EQ(Pressure(0s), 0.1); }

TEST_F(MemoryGaugeTest, P_08_AnOwnLimitGoesBeforeAGroups) {
  Group(2'000, 1'900, 0);
  EXPECT_DOUBLE_EQ(Pressure(0s, 4'000 * page), 0.25);
}

TEST_F(MemoryGaugeTest, P_08_AGroupCountsWithWhatElseIsInIt) {
  Group(4'000, 3'500, 500);
  EXPECT_DOUBLE_EQ(Pressure(0s), 0.75);
  Use(900, 0);
  EXPECT_DOUBLE_EQ(Pressure(1s), 0.25) << "never less than the process itself";
}

TEST_F(MemoryGaugeTest, P_08_AGroupLargerThanTheMachineIsNone) {
  Group(20'000, 19'000, 0);
  EXPECT_DOUBLE_EQ(Pressure(0s), 0.1);
}

TEST_F(MemoryGaugeTest, P_08_FilePagesAreReadOnceASecondBelowTheAlarm) {
  Group(10'000 - 1, 3'000, 1'000);
  const double limit = 10'000 - 1;
  EXPECT_DOUBLE_EQ(Pressure(0s), 2'000 / limit);
  Use(4'000, 2'000);
  EXPECT_DOUBLE_EQ(Pressure(900ms), 3'000 / limit) << "what the files have now is not known yet";
  EXPECT_DOUBLE_EQ(Pressure(1s), 2'000 / limit);
}

TEST_F(MemoryGaugeTest, P_08_NoAlarmIsRaisedByFilePages) {
  Group(5'000, 2'000, 500);
  EXPECT_DOUBLE_EQ(Pressure(0s), 0.3);
  Use(4'900, 3'000);
  EXPECT_DOUBLE_EQ(Pressure(100ms), 0.38) << "a file was read";
}

TEST_F(MemoryGaugeTest, P_08_LimitsAreReadAgainAfterTenSeconds) {
  EXPECT_DOUBLE_EQ(Pressure(0s), 0.1);
  Group(2'000, 1'000, 0);
  EXPECT_DOUBLE_EQ(Pressure(9s), 0.1);
  EXPECT_DOUBLE_EQ(Pressure(10s), 0.5);
}

TEST_F(MemoryGaugeTest, WhatTheKernelDoesNotSayIsNoPressure) {
  std::filesystem::remove(folder.Path("proc/self/statm"));
  EXPECT_FALSE(gauge.Pressure(kStart, kNoLimit, kAlarm).has_value());
}

}  // namespace
}  // namespace penstock::control
