// Clients that take their answers too slowly, or not at all (FAULTS C-07, H2-22), against the real sessions: HTTP/1.1,
// and HTTP/2 both over a full connection and over a stream's window that hardly opens.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "penstock/net/transport.hpp"
#include "penstock/server/server.hpp"
#include "support/h2_frames.hpp"
#include "support/sim_loop.hpp"

namespace penstock::server {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::size_t kHeld = 64 * 1024;  // of the answer, at most

/// Answers with as many bytes as were asked for, never more than kHeld of them at once.
struct Answer final : RequestHandler {
  Answer(ResponseStream& s, std::size_t b) : stream(s), bytes(b) {}
  void Begin() {
    http::Head head;
    head.status = 200;
    stream.SendHead(head, false);
    Fill();
  }
  void Fill() {
    const std::size_t room = kHeld - std::min(kHeld, stream.unsent());
    const std::size_t now = std::min(room, bytes);
    if (ended || now == 0) return;
    stream.body().Append(std::string(now, 'a'));
    bytes -= now;
    stream.BodyReady();
    if (bytes == 0) {
      ended = true;
      stream.EndBody();
    }
  }
  void OnBody(std::string_view) override {}
  void OnEnd() override {}
  void OnRequestFailed(const Error&) override {}
  void OnSent() override {
    ++times_sent;
    Fill();
  }
  void OnFinished() override { finished = true; }
  void OnGone(Departure how) override { gone = how; }

  ResponseStream& stream;
  std::size_t bytes;
  int times_sent = 0;
  bool ended = false;
  bool finished = false;
  std::optional<Departure> gone;
};

struct Sink final : RequestSink {
  RequestHandler& OnRequest(ResponseStream& stream, http::HeadPtr, bool, bool, const Error*) override {
    answers.push_back(std::make_unique<Answer>(stream, bytes));
    answers.back()->Begin();
    return *answers.back();
  }
  void OnProtocolReject(Protocol, const char* reason) override { ADD_FAILURE() << reason; }
  void OnConnectionKilled(const char* reason) override { killed.emplace_back(reason); }
  std::size_t bytes = 0;
  std::vector<std::unique_ptr<Answer>> answers;
  std::vector<std::string> killed;
};

/// Takes what the link's window holds once a second, and says something each time.
struct Client final : net::TransportHandler {
  Client(rt::Worker& w, std::string h, std::string e) : worker(w), hello(std::move(h)), every_second(std::move(e)) {}
  void OnOpen() override {
    Say(hello);
    transport.PauseRead();
    worker.Arm(tick, seconds(1));
  }
  void OnTick() {
    if (!transport.open()) return;
    if (takes) transport.ResumeRead();
    Say(every_second);
    worker.Arm(tick, seconds(1));
  }
  void OnData(std::string_view bytes) override {
    received.append(bytes);
    if (!greedy) transport.PauseRead();
  }
  void OnEnd() override { transport.Close(); }
  void OnRoom() override {}
  void OnFailed(const Error& error) override { failed = error; }
  void Say(const std::string& bytes) {
    transport.out().Append(bytes);
    transport.Flush();
  }

  rt::Worker& worker;
  std::string hello, every_second, received;
  bool takes = true;
  bool greedy = false;  ///< reads whatever comes at once: its stream's window alone is slow
  std::optional<Error> failed;
  rt::Timer tick{this, [](void* self) { static_cast<Client*>(self)->OnTick(); }};
  net::Transport transport{worker, *this};
};

enum class Way { kH1, kH2Connection, kH2Stream };

struct Reader {
  std::string name;
  Way way;
  std::size_t bytes_per_second;
  std::size_t answer;     ///< bytes
  Duration cut_after{};   ///< it is cut then, up to two seconds later; zero: never
  bool answered = false;  ///< the handler had handed over everything before the cut
};

struct SlowReaders : testing::TestWithParam<Reader> {
  static std::string Hello(Way way) {
    if (way == Way::kH1) return "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
    const std::uint32_t window = way == Way::kH2Stream ? 0 : 1 << 30;
    return test::ClientMagic() + test::SettingsFrame({{test::h2::kInitialWindowSize, window}}) +
           test::WindowUpdateFrame(0, 1 << 30) + test::HeadersFrame(1, test::RequestBlock("GET", "/"));
  }
};

TEST_P(SlowReaders, C_07) {
  const Reader& reader = GetParam();
  test::SimNetwork network(7);
  rt::Worker client_worker(0, std::make_unique<test::SimLoop>(network), 1);
  rt::Worker server_worker(1, std::make_unique<test::SimLoop>(network), 2);
  const std::array<rt::Worker*, 2> workers{&client_worker, &server_worker};
  const rt::Address address = *rt::Address::Parse("10.2.0.1:80");
  const bool by_window = reader.way == Way::kH2Stream;
  network.SetLink(address,
                  {.latency = milliseconds(1),
                   .window_bytes = by_window ? 256 * 1024 : std::max<std::size_t>(reader.bytes_per_second, 1)});
  Sink sink;
  sink.bytes = reader.answer;
  ConnectionCount count;
  auto options = std::make_shared<Options>();
  options->slow_reader_timeout = seconds(30);
  Server server(server_worker, sink, count, options);
  server.Listen(network.OpenListener(address), false, nullptr);
  const bool opens = by_window && reader.bytes_per_second > 0;
  Client client(client_worker, SlowReaders::Hello(reader.way),
                opens ? test::WindowUpdateFrame(1, static_cast<std::uint32_t>(reader.bytes_per_second)) : "");
  client.takes = reader.bytes_per_second > 0 || by_window;
  client.greedy = by_window;
  client.transport.Connect(address, {}, nullptr, "");

  const TimePoint began = network.now();
  const auto over = [&] { return !sink.killed.empty(); };
  const bool cut = test::RunWorkers(network, workers, over, seconds(300));
  const Duration took = network.now() - began;
  ASSERT_EQ(sink.answers.size(), 1u);
  const Answer& answer = *sink.answers[0];
  if (reader.cut_after == Duration::zero()) {
    EXPECT_FALSE(cut) << "after " << took / seconds(1) << " s";
    EXPECT_FALSE(answer.gone.has_value());
    EXPECT_FALSE(client.failed.has_value());
    return;
  }
  ASSERT_TRUE(cut);
  EXPECT_EQ(sink.killed, std::vector<std::string>{"slow_reader"});
  EXPECT_GE(took, reader.cut_after);
  EXPECT_LE(took, reader.cut_after + seconds(3));
  EXPECT_EQ(answer.finished, reader.answered);
  const auto settled = [&] { return answer.finished || answer.gone.has_value(); };
  EXPECT_TRUE(test::RunWorkers(network, workers, settled, seconds(1)));
  if (!reader.answered) {
    EXPECT_EQ(answer.gone, Departure::kSlowReader);
  }
  if (by_window) {
    EXPECT_LE(answer.times_sent, took / seconds(1) + 1) << "once for each time that the window opened";
    const auto told = [&] { return !test::OfType(test::ParseFrames(client.received), test::h2::kRst).empty(); };
    EXPECT_TRUE(test::RunWorkers(network, workers, told, seconds(1))) << "RST_STREAM";
    EXPECT_EQ(server.connections(), 1u) << "its neighbours go on";
  } else {
    EXPECT_EQ(server.connections(), 0u);
  }
}

constexpr std::size_t kEndless = std::size_t{1} << 40;

INSTANTIATE_TEST_SUITE_P(Rates, SlowReaders,
                         testing::Values(Reader{"H1Silent", Way::kH1, 0, kEndless, seconds(30)},
                                         Reader{"H1Slow", Way::kH1, 512, kEndless, seconds(60)},
                                         Reader{"H1SlowAtTheEnd", Way::kH1, 64, 10'000, seconds(60)},
                                         Reader{"H1FastEnough", Way::kH1, 1100, kEndless},
                                         Reader{"H2ConnectionSilent", Way::kH2Connection, 0, kEndless, seconds(30)},
                                         Reader{"H2ConnectionSlow", Way::kH2Connection, 512, kEndless, seconds(60)},
                                         Reader{"H2ConnectionSlowAtTheEnd", Way::kH2Connection, 64, 10'000, seconds(60),
                                                true},
                                         Reader{"H2ConnectionFastEnough", Way::kH2Connection, 1100, kEndless},
                                         Reader{"H2StreamSilent", Way::kH2Stream, 0, kEndless, seconds(30)},
                                         Reader{"H2_22_H2StreamByByte", Way::kH2Stream, 1, kEndless, seconds(60)},
                                         Reader{"H2StreamSlow", Way::kH2Stream, 512, kEndless, seconds(60)},
                                         Reader{"H2StreamFastEnough", Way::kH2Stream, 1100, kEndless}),
                         [](const auto& one) { return one.param.name; });

}  // namespace
}  // namespace penstock::server
