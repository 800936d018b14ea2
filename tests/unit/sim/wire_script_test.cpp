#include <gtest/gtest.h>

#include <string>

#include "sim/h2_frames.hpp"
#include "sim/settings_ack_filter.hpp"
#include "sim/wire.hpp"
#include "sim/wire_body.hpp"

namespace penstock::sim {
namespace {

std::string H1(const std::string& model) {
  std::string bytes;
  for (const WireStep& step : MakeH1Script(*ParseProgram(model), false)) bytes += step.bytes;
  return bytes;
}

std::size_t CountOf(const std::string& text, const std::string& what) {
  std::size_t count = 0;
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++count;
  return count;
}

TEST(WireScript, EveryScriptHasAnHttp1FormOrAnHttp2Form) {
  for (const FaultName& fault : FaultNames()) {
    if (fault.fault != Fault::kScript) continue;
    const Program program = *ParseProgram("fault:" + std::string(fault.name));
    EXPECT_FALSE(MakeH1Script(program, true).empty() && MakeH2Script(program, true, 1).empty()) << fault.name;
  }
}

TEST(WireScript, H1_36_HasTheFaultItIsNamedAfter) {
  EXPECT_EQ(CountOf(H1("fault:two-lengths"), "content-length: "), 2u);
  const std::string both = H1("fault:length-and-chunked");
  EXPECT_EQ(CountOf(both, "content-length: "), 1u);
  EXPECT_EQ(CountOf(both, "transfer-encoding: chunked"), 1u);
  EXPECT_EQ(CountOf(H1("fault:bare-lf"), "\r"), 0u);
  EXPECT_EQ(CountOf(H1("fault:interim"), "HTTP/1.1 103 "), 10'000u);
  EXPECT_EQ(CountOf(H1("fault:chunked-in-10"), "HTTP/1.0 200 OK\r\n"), 1u);
}

TEST(WireScript, H1_36_HeadOf70KiB) {
  const std::string bytes = H1("fault:head-bomb:n=1:bytes=71680");
  EXPECT_EQ(bytes.find("\r\n\r\n") / 1024, 70u);
}

TEST(WireScript, U_35_BombsHaveTheirSizes) {
  const std::string head = H1("fault:head-bomb");
  EXPECT_EQ(CountOf(head, "\r\nx-bomb-"), 1000u);
  EXPECT_NEAR(static_cast<double>(head.size()), 1024.0 * 1024, 2048);
  EXPECT_GT(H1("fault:trailers").size(), 5u * 1024 * 1024 - 2048);
}

TEST(WireScript, U_33_LengthsAreWrongByTen) {
  const std::string body(kWireJson);
  EXPECT_EQ(CountOf(H1("fault:length-long"), "content-length: " + std::to_string(body.size() + 10)), 1u);
  EXPECT_EQ(CountOf(H1("fault:length-short"), "content-length: " + std::to_string(body.size() - 10)), 1u);
}

TEST(WireScript, H1_37_ExtraBytesAreAnAnswerNobodyAskedFor) {
  const auto steps = MakeH1Script(*ParseProgram("fault:extra:ms=30"), false);
  ASSERT_EQ(steps.size(), 2u);
  EXPECT_TRUE(steps[0].answered);
  EXPECT_EQ(steps[1].delay, std::chrono::milliseconds(30));
  EXPECT_NE(steps[1].bytes.find("chatcmpl-smuggled"), std::string::npos);
}

TEST(H2Frames, HeadersAreSplitAtTheFrameSize) {
  std::string out;
  AppendHeaders(out, 3, std::string(16'384 * 2 + 1, 'x'), true);
  EXPECT_EQ(out.size(), 16'384u * 2 + 1 + 3 * 9);
  EXPECT_EQ(out[3], 1);
  EXPECT_EQ(out[4], kEndStream);
  EXPECT_EQ(out[9 + 16'384 + 3], 9);
  EXPECT_EQ(out[2 * (9 + 16'384) + 4], kEndHeaders);
}

TEST(H2Frames, LongLiteralsUseTheIntegerEncodingOfRfc7541) {
  std::string block;
  AppendLiteral(block, "a", std::string(1337 + 127, 'x'));
  // 127 fills the prefix; 1337 follows as 0xb9 0x0a: 57 + 128 * 10.
  EXPECT_EQ(block.substr(0, 6), std::string("\x00\x01"
                                            "a\x7f\xb9\x0a",
                                            6));
}

std::string Filtered(const std::string& bytes, std::size_t piece) {
  SettingsAckFilter filter;
  std::string out;
  for (std::size_t at = 0; at < bytes.size(); at += piece) {
    filter.Feed(std::string_view(bytes).substr(at, piece), [&](std::string_view rest) { out += rest; });
  }
  return out;
}

TEST(SettingsAckFilter, LetsTheFirstAcknowledgementThroughOnly) {
  std::string ack, ping, bytes = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", expected = bytes;
  AppendFrame(ack, FrameType::kSettings, 1, 0, "");
  AppendFrame(ping, FrameType::kPing, 0, 0, "12345678");
  bytes += ack + ping + ack + ping + ack;
  expected += ack + ping + ping;
  for (std::size_t piece = 1; piece <= bytes.size(); ++piece) EXPECT_EQ(Filtered(bytes, piece), expected) << piece;
}

}  // namespace
}  // namespace penstock::sim
