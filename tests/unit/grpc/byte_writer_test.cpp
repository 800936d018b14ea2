#include "grpc/byte_writer.hpp"

#include <gtest/gtest.h>

#include "grpc/json_text.hpp"

namespace penstock::grpc {
namespace {

/// The byte at `offset` of the string's room, which may be behind its end.
char RoomAt(const std::string& text, std::size_t offset) { return text.data()[offset]; }

TEST(ByteWriter, ALittleBehindMuchTouchesALittle) {
  constexpr std::size_t kMuch = 1 << 16;
  std::string text(2 * kMuch, '#');
  text.resize(kMuch);
  for (int i = 0; i < 10; ++i) {
    ByteWriter writer(text, 102);
    WriteQuoted(writer, std::string(100, 'x'));
  }
  EXPECT_EQ(text.size(), kMuch + 10 * 102);
  EXPECT_EQ(RoomAt(text, kMuch + 10 * 102 + 512), '#');
}

TEST(ByteWriter, GrowsByHalvesOfWhatItWrote) {
  std::string text = "before ";
  {
    ByteWriter writer(text, 0);
    for (int i = 0; i < 10'000; ++i) writer.Put("0123456789");
    writer.Rewind(7 + 50'000);
    writer.Put('!');
  }
  EXPECT_EQ(text.size(), 7u + 50'001);
  EXPECT_EQ(text.substr(0, 17), "before 0123456789");
  EXPECT_EQ(text.back(), '!');
}

}  // namespace
}  // namespace penstock::grpc
