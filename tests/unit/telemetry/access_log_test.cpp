#include "penstock/telemetry/access_log.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "telemetry/access_line.hpp"

namespace penstock::telemetry {
namespace {

using namespace std::chrono_literals;

std::string LineOf(const AccessRecord& record) {
  std::vector<char> buffer(kLogLineMax);
  LineWriter line(buffer.data(), buffer.size());
  TimestampText timestamp;
  WriteAccessLine(line, timestamp, record);
  return std::string(line.text());
}

AccessRecord Usual() {
  AccessRecord record;
  record.ts = WallTime{1'789'389'296'789'000};
  record.request_id = "req-0123456789abcdef";
  record.client = "192.0.2.7:41234";
  record.protocol = Protocol::kHttp2;
  record.method = "POST";
  record.route = "chat_completions";
  record.key = "team-a";
  record.model = "gpt-4o-mini";
  record.model_answered = "llama-3-8b";
  record.endpoint = "gpu-1";
  record.attempts = 2;
  record.status = 200;
  record.bytes_in = 612;
  record.bytes_out = 20480;
  record.tokens_in = 151;
  record.tokens_out = 240;
  record.ttft = 182'345us;
  record.duration = 4'200'001us;
  record.gateway = 87us;
  return record;
}

AccessRecord Refused() {
  AccessRecord record;
  record.ts = WallTime{1'789'389'297'000'000};
  record.client = "[2001:db8::1]:443";
  record.method = "GET";
  record.status = 401;
  record.term = Term::kNotAuthorised;
  record.bytes_out = 120;
  record.duration = 12us;
  record.gateway = 12us;
  return record;
}

AccessRecord Hostile() {
  AccessRecord record = Usual();
  record.request_id = "a\r\n{\"forged\":true}";
  record.method = "\x1b[2J";
  record.model = "m\xe2\x80\xa8\xff\"\\";
  record.status = 499;
  record.term = Term::kClientGone;
  record.cache = "miss";
  record.queue = 3ms;
  record.ttft.reset();
  record.tokens_out.reset();
  return record;
}

TEST(AccessLine, IsTheGoldenOne) {
  std::string actual;
  for (const AccessRecord& record : {Usual(), Refused(), Hostile()}) actual += LineOf(record) + '\n';
  std::ifstream file(PENSTOCK_GOLDEN_DIR "/access_log.txt");
  std::ostringstream golden;
  golden << file.rdbuf();
  EXPECT_EQ(actual, golden.str());
}

TEST(AccessLine, HasTheFieldsOfTheContractInItsOrder) {
  const std::string line = LineOf(Refused());
  std::size_t at = 0;
  for (const char* const name : {"ts",       "request_id", "client",         "protocol",  "method",    "route",
                                 "key",      "model",      "model_answered", "endpoint",  "attempts",  "status",
                                 "term",     "cache",      "bytes_in",       "bytes_out", "tokens_in", "tokens_out",
                                 "queue_ms", "ttft_ms",    "duration_ms",    "gateway_ms"}) {
    const std::size_t next = line.find('"' + std::string(name) + "\":", at);
    ASSERT_NE(next, std::string::npos) << name;
    at = next;
  }
}

TEST(AccessLine, A_09_TheWorstRecordFitsAndIsOneLine) {
  const std::string bomb = std::string(1 << 20, '\n');
  AccessRecord record = Usual();
  record.request_id = record.client = record.method = record.route = record.key = bomb;
  record.model = record.model_answered = record.endpoint = record.cache = bomb;
  record.attempts = UINT32_MAX;
  record.bytes_in = record.bytes_out = UINT64_MAX;
  record.tokens_in = record.tokens_out = UINT64_MAX;
  record.queue = record.ttft = Duration::max();
  record.duration = record.gateway = Duration::max();
  const std::string line = LineOf(record);
  EXPECT_LT(line.size(), kLogLineMax);
  EXPECT_EQ(line.find('\n'), std::string::npos);
  EXPECT_TRUE(line.ends_with(R"("gateway_ms":9223372036854.775})")) << line.substr(line.size() - 60);
}

TEST(Term, EveryEndHasItsOwnLetters) {
  std::set<std::string_view> seen;
  for (std::size_t i = 0; i < kTerms; ++i) seen.insert(TermText(static_cast<Term>(i)));
  EXPECT_EQ(seen, (std::set<std::string_view>{"-",  "UF",  "UC", "UR", "UT", "UPE",  "UO", "UH", "URX", "LR",
                                              "DC", "DPE", "DT", "RL", "OM", "UAEX", "NR", "QT", "DR",  "KC"}));
}

TEST(AccessLog, OffBuildsNothing) {
  AccessLog log(nullptr);
  EXPECT_FALSE(log.enabled());
  log.Write(Usual());
  LogDoorbell bell;
  LogChannel channel(bell, 1);
  AccessLog off(&channel, false);
  EXPECT_FALSE(off.enabled());
  off.Write(Usual());
  EXPECT_EQ(channel.head(), 0u);
  EXPECT_EQ(off.channel(), &channel) << "the thread's other lines have a way";
}

}  // namespace
}  // namespace penstock::telemetry
