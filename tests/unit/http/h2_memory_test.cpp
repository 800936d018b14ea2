#include "penstock/http/h2_memory.hpp"

#include <gtest/gtest.h>

#include <cstring>

#include "penstock/base/prng.hpp"
#include "support/h2_recorder.hpp"

namespace penstock::http {
namespace {

TEST(H2Memory, GivesWholeAlignedBlocksAndKeepsTheirBytes) {
  H2Memory memory;
  Prng prng(7);
  struct Block {
    char* bytes;
    std::size_t size;
    char fill;
  };
  std::vector<Block> blocks;
  for (int i = 0; i < 3000; ++i) {
    if (blocks.size() > 100 || (!blocks.empty() && prng.Below(3) == 0)) {
      const std::size_t at = prng.Below(blocks.size());
      Block block = blocks[at];
      for (std::size_t n = 0; n < block.size; ++n) ASSERT_EQ(block.bytes[n], block.fill);
      if (prng.Below(2) == 0) {
        memory.Free(block.bytes);
        blocks[at] = blocks.back();
        blocks.pop_back();
        continue;
      }
      const std::size_t size = prng.Below(40'000);
      block.bytes = static_cast<char*>(memory.Reallocate(block.bytes, size));
      for (std::size_t n = 0; n < std::min(size, block.size); ++n) ASSERT_EQ(block.bytes[n], block.fill);
      std::memset(block.bytes, block.fill, size);
      blocks[at] = {block.bytes, size, block.fill};
      continue;
    }
    const std::size_t size = prng.Below(4) == 0 ? prng.Below(100'000) : prng.Below(600);
    auto* bytes = static_cast<char*>(memory.Allocate(size));
    ASSERT_EQ(reinterpret_cast<std::uintptr_t>(bytes) % 16, 0u);
    const char fill = static_cast<char>(prng.Below(256));
    std::memset(bytes, fill, size);
    blocks.push_back({bytes, size, fill});
  }
  for (const Block& block : blocks) memory.Free(block.bytes);
  EXPECT_EQ(memory.used_bytes(), 0u);
}

TEST(H2Memory, AsksTheSystemOnlyOnce) {
  H2Memory memory;
  for (const std::size_t size :
       {1u, 32u, 33u, 152u, 224u, 512u, 513u, 576u, 577u, 1024u, 2928u, 4096u, 16394u, 65536u, 65600u}) {
    void* first = memory.Allocate(size);
    memory.Free(first);
    const std::uint64_t before = memory.system_allocations();
    EXPECT_EQ(memory.Allocate(size), first) << size;
    EXPECT_EQ(memory.system_allocations(), before) << size;
    memory.Free(first);
  }
}

TEST(H2Memory, KeepsNoMoreThanItIsAllowedAndRefusesTheAbsurd) {
  H2Memory memory(1000);
  void* blocks[20];
  for (void*& block : blocks) block = memory.Allocate(100);
  for (void* block : blocks) memory.Free(block);
  const std::uint64_t before = memory.system_allocations();
  for (void*& block : blocks) block = memory.Allocate(100);
  EXPECT_EQ(memory.system_allocations(), before + 13) << "seven blocks of 128 were kept";
  for (void* block : blocks) memory.Free(block);
  EXPECT_EQ(memory.Allocate(H2Memory::kBlockMax + 1), nullptr);
}

TEST(H2Memory, AnIdleConnectionIsSmallAndAStreamCostsNoMalloc) {
  test::H2End server(H2Codec::Side::kServer, {}, 1 << 20);
  server.respond = true;
  server.response_body = "{}";
  ASSERT_TRUE(server.Exchange(test::ClientPreface()));
  ASSERT_TRUE(server.Exchange(test::SettingsAck()));
  std::uint32_t id = 1;
  for (; id < 20; id += 2) ASSERT_TRUE(server.Exchange(test::HeadersFrame(id, test::RequestBlock())));
  // The session, its two HPACK tables and its stream table; of the 16 KiB frame buffer only the first page is ever
  // touched, because bodies do not pass through it (bench H2IdleConnection shows the real memory).
  EXPECT_LT(server.memory.used_bytes(), 30u * 1024);
  const std::uint64_t before = server.memory.system_allocations();
  for (; id < 2000; id += 2) ASSERT_TRUE(server.Exchange(test::HeadersFrame(id, test::RequestBlock())));
  EXPECT_EQ(server.memory.system_allocations(), before);
}

struct Outcome {
  bool killed = false;
  std::uint64_t allocations = 0;  ///< of the end that made more
};

/// A conversation with bodies, a reset and a graceful end; every step may run out of memory, on both sides.
Outcome Converse(std::uint64_t fail_at) {
  test::H2End server(H2Codec::Side::kServer);
  test::H2End client(H2Codec::Side::kClient, H2Limits::ForClient());
  server.memory.FailAt(fail_at);
  client.memory.FailAt(fail_at);
  server.respond = true;
  server.response_body.assign(40'000, 'r');
  test::Settle(client, server);
  client.Request(test::PostHead(), std::string(40'000, 'q'));
  test::RecordedStream& cancelled = client.Request(test::PostHead(), "x");
  cancelled.last = BodyState::kMore;
  test::Settle(client, server);
  client.codec->Reset(cancelled.id, H2Error::kCancel);
  client.codec->SubmitPing();
  server.codec->GrowWindow(1, 64 * 1024);
  test::Settle(client, server);
  Head trailers;
  trailers.Add("grpc-status", "0");
  server.response_trailers = &trailers;
  client.Request(test::PostHead());
  test::Settle(client, server);
  server.codec->BeginGoaway();
  test::Settle(client, server);
  Outcome outcome;
  for (const auto* end : {&server, &client}) {
    outcome.allocations = std::max(outcome.allocations, end->memory.system_allocations());
    if (end->codec->killed_reason() == nullptr) continue;
    outcome.killed = true;
    EXPECT_EQ(end->codec->open_streams(), 0u) << fail_at;
    EXPECT_FALSE(end->codec->wants_write()) << fail_at;
  }
  server.codec->ConnectionLost();
  client.codec->ConnectionLost();
  for (const auto* end : {&server, &client}) {
    for (const auto& [id, stream] : end->streams) EXPECT_EQ(stream->closed_times, id > 0 ? 1 : 0) << fail_at;
  }
  return outcome;
}

TEST(H2Memory, EveryAllocationMayFail) {
  const Outcome whole = Converse(0);
  EXPECT_FALSE(whole.killed);
  std::uint64_t kills = 0;
  for (std::uint64_t nth = 1; nth <= whole.allocations; ++nth) kills += Converse(nth).killed ? 1 : 0;
  EXPECT_GT(kills, whole.allocations / 2) << "of " << whole.allocations;  // the sessions' own come before FailAt
}

TEST(H2Memory, ASessionThatCannotBeMadeIsDeadFromTheStart) {
  class Nobody final : public H2ConnectionHandler {
    H2StreamHandler* OnRequest(std::int32_t, HeadPtr, bool) override { return nullptr; }
    H2StreamHandler* OnReject(std::int32_t, HeadPtr, bool, const Error&, const char*) override { return nullptr; }
    void OnGoaway(H2Error) override {}
    void OnSettings() override {}
    void OnPingAck() override {}
  } nobody;
  int dead = 0;
  for (std::uint64_t nth = 1; nth < 30; ++nth) {
    H2Memory memory(0);
    memory.FailAt(nth);
    HeadPool heads;
    ChunkPool chunks;
    H2Codec codec(H2Codec::Side::kServer, memory, heads, {}, nobody);
    if (codec.killed_reason() == nullptr) continue;
    ++dead;
    EXPECT_STREQ(codec.killed_reason(), "out_of_memory");
    EXPECT_FALSE(codec.Feed("PRI", TimePoint{1}));
    EXPECT_FALSE(codec.wants_write());
    Chain out(chunks);
    EXPECT_FALSE(codec.Pull(out, 100));
    EXPECT_TRUE(out.empty());
  }
  EXPECT_GT(dead, 5);
}

}  // namespace
}  // namespace penstock::http
