#include "penstock/control/resource_files.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "support/temporary_folder.hpp"

namespace penstock::control {
namespace {

/// Files as the kernel shows them, under a root of their own.
struct ResourceFilesTest : testing::Test {
  void Write(const std::string& path, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(folder.Path(path)).parent_path());
    folder.Write(path, text);
  }
  test::TemporaryFolder folder;
  ResourceFiles files{folder.Path("")};
};

TEST_F(ResourceFilesTest, WhatIsNotThereSaysNothing) {
  EXPECT_EQ(files.ResidentBytes(), std::nullopt);
  EXPECT_EQ(files.InstalledBytes(), std::nullopt);
  EXPECT_FALSE(files.TightestGroup().has_value());
  EXPECT_EQ(files.CpuTime(), std::nullopt);
  EXPECT_EQ(files.CpuQuota(), std::nullopt);
  EXPECT_EQ(files.OpenFiles(), std::nullopt);
  EXPECT_FALSE(files.Traced());
}

TEST_F(ResourceFilesTest, TheProcess) {
  Write("proc/self/statm", "5000 1200 300 10 0 900 0\n");
  EXPECT_EQ(files.ResidentBytes(), 1200u * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)));
  Write("proc/meminfo", "MemFree: 7 kB\nMemTotal:       16384 kB\nMemAvailable: 9 kB\n");
  EXPECT_EQ(files.InstalledBytes(), 16384u * 1024);
  Write("proc/self/stat", "42 (a) b) S 1 42 42 0 -1 4194560 1 2 3 4 250 50 6 7 20 0 3 0 100 200 300\n");
  EXPECT_EQ(files.CpuTime(), std::chrono::milliseconds(300 * 1000 / ::sysconf(_SC_CLK_TCK)));
  for (const char* const name : {"0", "1", "17"}) Write(std::string("proc/self/fd/") + name, "");
  EXPECT_EQ(files.OpenFiles(), 3u);
  Write("proc/self/status", "Name:\tx\nTracerPid:\t0\n");
  EXPECT_FALSE(files.Traced());
  Write("proc/self/status", "Name:\tx\nTracerPid:\t71\n");
  EXPECT_TRUE(files.Traced());
}

TEST_F(ResourceFilesTest, P_08_Version2TheTightestGroupOnTheWayUp) {
  Write("proc/self/cgroup", "0::/a/b\n");
  const std::string top = "sys/fs/cgroup";
  Write(top + "/a/b/memory.max", "max\n");
  Write(top + "/a/b/memory.current", "111\n");
  Write(top + "/a/memory.max", "1000\n");
  Write(top + "/a/memory.current", "700\n");
  Write(top + "/a/memory.stat", "anon 5\ntotal_inactive_file 9\ninactive_file 150\nactive_file 33\n");
  auto group = files.TightestGroup();
  ASSERT_TRUE(group.has_value());
  EXPECT_EQ(group->limit, 1000u);
  EXPECT_EQ(files.UsedBytes(*group), 700u);
  EXPECT_EQ(files.FileBytes(*group), 150u);
  Write(top + "/memory.max", "900\n");
  Write(top + "/memory.current", "20\n");
  Write(top + "/memory.stat", "inactive_file 50\n");
  group = files.TightestGroup();
  EXPECT_EQ(group->limit, 900u);
  EXPECT_EQ(files.UsedBytes(*group), 20u);
}

TEST_F(ResourceFilesTest, P_08_AGroupThatIsNotMountedHereIsTheRootsAffair) {
  Write("proc/self/cgroup", "0::/docker/0123\n");
  Write("sys/fs/cgroup/memory.max", "500\n");
  Write("sys/fs/cgroup/memory.current", "100\n");
  EXPECT_EQ(files.TightestGroup()->limit, 500u);
}

TEST_F(ResourceFilesTest, P_08_Version1) {
  Write("proc/self/cgroup", "9:cpuset:/x\n4:cpu,cpuacct:/job\n3:memory:/job\n0::/init\n");
  Write("sys/fs/cgroup/memory/job/memory.limit_in_bytes", "2000\n");
  Write("sys/fs/cgroup/memory/job/memory.usage_in_bytes", "1500\n");
  Write("sys/fs/cgroup/memory/job/memory.stat", "inactive_file 1\ntotal_inactive_file 500\n");
  Write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  const auto group = files.TightestGroup();
  ASSERT_TRUE(group.has_value());
  EXPECT_EQ(group->limit, 2000u);
  EXPECT_EQ(files.UsedBytes(*group), 1500u);
  EXPECT_EQ(files.FileBytes(*group), 500u);
  EXPECT_EQ(files.CpuQuota(), std::nullopt);
  Write("sys/fs/cgroup/cpu/job/cpu.cfs_quota_us", "-1\n");
  Write("sys/fs/cgroup/cpu/job/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(files.CpuQuota(), std::nullopt);
  Write("sys/fs/cgroup/cpu/job/cpu.cfs_quota_us", "150000\n");
  EXPECT_EQ(files.CpuQuota(), 1.5);
}

TEST_F(ResourceFilesTest, WhatMayBeUsedIsTheMachinesOrTheGroups) {
  EXPECT_EQ(files.UsableBytes(), 0u);
  Write("proc/meminfo", "MemTotal:       1 kB\n");
  EXPECT_EQ(files.UsableBytes(), 1024u);
  for (const char* const nonsense : {"nonsense\n", "0::/\n", "5:cpu:/a\n"}) {
    Write("proc/self/cgroup", nonsense);
    EXPECT_EQ(files.UsableBytes(), 1024u) << nonsense;
  }
  Write("proc/self/cgroup", "0::/a\n");
  Write("sys/fs/cgroup/a/memory.max", "9223372036854771712\n");
  EXPECT_EQ(files.UsableBytes(), 1024u) << "a limit above the machine is none";
  Write("sys/fs/cgroup/a/memory.max", "300\n");
  EXPECT_EQ(files.UsableBytes(), 300u);
  Write("proc/self/cgroup", "4:hugetlb,memory:/b\n0::/a\n");
  Write("sys/fs/cgroup/memory/b/memory.limit_in_bytes", "400\n");
  EXPECT_EQ(files.UsableBytes(), 400u) << "memory is in one hierarchy only";
}

TEST_F(ResourceFilesTest, CpuQuotaOfVersion2) {
  Write("proc/self/cgroup", "0::/a\n");
  Write("sys/fs/cgroup/a/cpu.max", "max 100000\n");
  EXPECT_EQ(files.CpuQuota(), std::nullopt);
  Write("sys/fs/cgroup/cpu.max", "400000 100000\n");
  EXPECT_EQ(files.CpuQuota(), 4.0);
  Write("sys/fs/cgroup/a/cpu.max", "50000 100000\n");
  EXPECT_EQ(files.CpuQuota(), 0.5);
}

TEST(ResourceFilesHere, TheKernelsOwnFilesAreUnderstood) {
  const ResourceFiles files;
  EXPECT_GT(files.ResidentBytes().value_or(0), 1u << 20);
  EXPECT_GT(files.InstalledBytes().value_or(0), files.ResidentBytes().value_or(0));
  EXPECT_TRUE(files.CpuTime().has_value());
  EXPECT_GE(files.OpenFiles().value_or(0), 3u);
}

}  // namespace
}  // namespace penstock::control
