#include "app/memory_limit.hpp"

#include <gtest/gtest.h>

#include <filesystem>

#include "support/temporary_folder.hpp"

namespace penstock::app {
namespace {

constexpr std::uint64_t kInstalled = 1000;

/// A hierarchy of control groups as the kernel shows it.
struct Groups : testing::Test {
  void Limit(const std::string& group, const std::string& file, const std::string& value) {
    std::filesystem::create_directories(folder.Path(group));
    folder.Write(group + "/" + file, value + "\n");
  }
  std::uint64_t Usable(const std::string& groups) const { return UsableMemory(groups, folder.Path("cg"), kInstalled); }
  test::TemporaryFolder folder;
};

TEST_F(Groups, WithoutAnyTheMachineDecides) {
  EXPECT_EQ(Usable(""), kInstalled);
  EXPECT_EQ(Usable("0::/\n"), kInstalled);
  EXPECT_EQ(Usable("nonsense\n"), kInstalled);
}

TEST_F(Groups, TheSmallestOfVersion2OnTheWayUpDecides) {
  Limit("cg/a", "memory.max", "300");
  Limit("cg/a/b", "memory.max", "max");
  Limit("cg/a/b/c", "memory.max", "600");
  EXPECT_EQ(Usable("0::/a/b/c\n"), 300u);
  EXPECT_EQ(Usable("0::/other\n"), kInstalled);
}

TEST_F(Groups, AContainerSeesItsOwnGroupAsTheRoot) {
  Limit("cg", "memory.max", "200");
  EXPECT_EQ(Usable("0::/\n"), 200u);
}

TEST_F(Groups, Version1HasAHierarchyOfItsOwn) {
  Limit("cg/memory/a", "memory.limit_in_bytes", "400");
  EXPECT_EQ(Usable("5:cpu,cpuacct:/a\n4:hugetlb,memory:/a\n"), 400u);
  EXPECT_EQ(Usable("5:cpu:/a\n"), kInstalled);
}

TEST_F(Groups, ALimitAboveTheMachineIsNone) {
  Limit("cg/a", "memory.max", "9223372036854771712");
  EXPECT_EQ(Usable("0::/a\n"), kInstalled);
}

}  // namespace
}  // namespace penstock::app
