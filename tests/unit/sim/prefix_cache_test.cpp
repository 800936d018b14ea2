#include "sim/prefix_cache.hpp"

#include <gtest/gtest.h>

#include <string>

namespace penstock::sim {
namespace {

constexpr std::size_t kBlock = PrefixCache::kTokenBytes * PrefixCache::kBlockTokens;

std::string Text(std::size_t blocks, char letter) { return std::string(blocks * kBlock, letter); }

TEST(PrefixCache, KnowsFullBlocksOfASharedBeginningOnly) {
  PrefixCache cache(100);
  EXPECT_EQ(cache.Visit(Text(3, 'a') + "tail", 1), 0u);
  EXPECT_EQ(cache.Visit(Text(3, 'a') + Text(1, 'b'), 1), 3 * PrefixCache::kBlockTokens);
  EXPECT_EQ(cache.Visit(Text(1, 'b') + Text(3, 'a'), 1), 0u)
      << "the same blocks behind another beginning are other blocks";
  EXPECT_EQ(cache.Visit(Text(3, 'a'), 2), 0u) << "another model";
}

TEST(PrefixCache, ShorterThanABlockIsNeverCached) {
  PrefixCache cache(100);
  const std::string prompt(kBlock - 1, 'a');
  cache.Visit(prompt, 1);
  EXPECT_EQ(cache.Visit(prompt, 1), 0u);
  EXPECT_EQ(cache.size(), 0u);
}

TEST(PrefixCache, DropsTheLeastRecentlyUsed) {
  PrefixCache cache(4);
  cache.Visit(Text(2, 'a'), 1);
  cache.Visit(Text(2, 'b'), 1);
  cache.Visit(Text(2, 'a'), 1);
  cache.Visit(Text(2, 'c'), 1);  // b goes
  EXPECT_EQ(cache.size(), 4u);
  EXPECT_EQ(cache.Visit(Text(2, 'a'), 1), 2 * PrefixCache::kBlockTokens);
  EXPECT_EQ(cache.Visit(Text(2, 'b'), 1), 0u);
}

TEST(PrefixCache, CountsTokensAskedForAndFound) {
  PrefixCache cache(100);
  cache.Visit(Text(2, 'a'), 1);
  cache.Visit(Text(2, 'a'), 1);
  EXPECT_EQ(cache.queries(), 4 * PrefixCache::kBlockTokens);
  EXPECT_EQ(cache.hits(), 2 * PrefixCache::kBlockTokens);
  cache.Clear();
  EXPECT_EQ(cache.hits(), 0u);
  EXPECT_EQ(cache.Visit(Text(2, 'a'), 1), 0u);
}

}  // namespace
}  // namespace penstock::sim
