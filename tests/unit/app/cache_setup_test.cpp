#include "app/cache_setup.hpp"

#include <gtest/gtest.h>

#include "support/temporary_folder.hpp"

namespace penstock::app {
namespace {

// What is purged by an epoch lies on the disk until it is cleared, and a process may be killed before.
TEST(CacheSetup, K_18_EpochsOutlastTheProcess) {
  const test::TemporaryFolder folder;
  config::Cache config;
  config.memory.size = 64 * kMiB;
  config.disk.path = folder.Path("cache");
  config.disk.size = 64 * kMiB;
  const auto report = [](const std::string& line) { ADD_FAILURE() << line; };
  {
    CacheSetup setup;
    ASSERT_EQ(OpenCache(config, 1, report, setup), std::nullopt);
    EXPECT_EQ(setup.cache.epochs.Of("tenant:t").load(), 0u);
    EXPECT_TRUE(setup.cache.epochs.RaiseTo("tenant:t", 3)) << "as heard of others";
  }
  CacheSetup setup;
  ASSERT_EQ(OpenCache(config, 1, report, setup), std::nullopt);
  EXPECT_EQ(setup.cache.epochs.Of("tenant:t").load(), 3u);
}

}  // namespace
}  // namespace penstock::app
