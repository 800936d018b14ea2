#include "penstock/mem/chain.hpp"

#include <gtest/gtest.h>

#include <string>

#include "penstock/base/prng.hpp"

namespace penstock {
namespace {

TEST(Chain, ReadsBackWhatWasAppendedWhateverTheSplits) {
  ChunkPool pool;
  Prng prng(1);
  Chain chain(pool);
  std::string written, read;
  for (int step = 0; step < 2000; ++step) {
    const std::string piece(prng.Below(6000), static_cast<char>('a' + prng.Below(26)));
    if (prng.Below(4) == 0) {
      chain.Append(SharedBytes::Copy(piece));
    } else {
      chain.Append(std::string_view(piece));
    }
    written += piece;
    std::string buffer(prng.Below(6500), '\0');
    buffer.resize(chain.Read(buffer.data(), buffer.size()));
    read += buffer;
    ASSERT_EQ(chain.size(), written.size() - read.size());
  }
  std::string rest(chain.size(), '\0');
  chain.Read(rest.data(), rest.size());
  EXPECT_EQ(read + rest, written);
  EXPECT_EQ(pool.in_use(), 0u);
}

TEST(Chain, EmptyChainHoldsNoBlock) {
  ChunkPool pool;
  Chain chain(pool);
  chain.Append("abc");
  EXPECT_EQ(pool.in_use(), 1u);
  chain.Consume(3);
  EXPECT_EQ(pool.in_use(), 0u);
}

TEST(Chain, MovesAnotherChainWithoutCopyUnlessItFitsTheLastBlock) {
  ChunkPool pool;
  Chain a(pool), b(pool);
  a.Append("head ");
  b.Append(std::string(4000, 'b'));
  b.Append(std::string(4000, 'c'));
  const char* place = b.Front().data();
  a.Append(std::move(b));
  iovec parts[4];
  ASSERT_EQ(a.Peek(parts), 3u);
  EXPECT_EQ(parts[1].iov_base, place);
  EXPECT_EQ(a.size(), 8005u);
  EXPECT_TRUE(b.empty());

  Chain c(pool);
  c.Append("tail");
  a.Append(std::move(c));
  EXPECT_EQ(a.Peek(parts), 3u);
  EXPECT_EQ(a.size(), 8009u);
}

}  // namespace
}  // namespace penstock
