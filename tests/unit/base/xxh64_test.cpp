#include "penstock/base/xxh64.hpp"

#include <gtest/gtest.h>

#include <string>

namespace penstock {
namespace {

// Every gateway must agree for ever: what the reference implementation says.
TEST(Xxh64, AsItsReferenceHasIt) {
  EXPECT_EQ(Xxh64("", 0), 0xef46db3751d8e999u);
  EXPECT_EQ(Xxh64("a", 0), 0xd24ec4f1a98c6e5bu);
  EXPECT_EQ(Xxh64("abc", 0), 0x44bc2cf5ad770999u);
  EXPECT_EQ(Xxh64("Nobody inspects the spammish repetition", 0), 0xfbcea83c8a378bf1u);
}

TEST(Xxh64, EveryByteAndTheSeedCount) {
  for (const std::size_t size : {1, 4, 7, 8, 31, 32, 33, 100}) {
    const std::string bytes(size, 'x');
    const std::uint64_t hash = Xxh64(bytes, 1);
    EXPECT_NE(hash, Xxh64(bytes, 2)) << size;
    for (std::size_t i = 0; i < size; ++i) {
      std::string other = bytes;
      other[i] = 'y';
      EXPECT_NE(Xxh64(other, 1), hash) << size << ", " << i;
    }
  }
}

}  // namespace
}  // namespace penstock
