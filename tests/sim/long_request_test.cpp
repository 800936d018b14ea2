// What a handler may ask of its stream beyond a plain exchange: fields behind the answer, a request that stops coming
// for a while, one that has no end. Real sessions, both protocols.
#include <gtest/gtest.h>

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

/// A request's handler that does nothing by itself.
struct Call final : RequestHandler {
  explicit Call(ResponseStream& s) : stream(s) {}
  void Answer(std::string_view bytes) {
    http::Head head;
    head.status = 200;
    stream.SendHead(head, false);
    stream.body().Append(bytes);
    stream.BodyReady();
  }
  void End() {
    http::Head trailers;
    trailers.Add("grpc-status", "^^^^");  // longer in Huffman's code: it goes as it is
    stream.EndWith(trailers);
  }
  void OnBody(std::string_view bytes) override {
    body.append(bytes);
    if (pauses) stream.PauseBody(true);
  }
  void OnEnd() override { ended = true; }
  void OnRequestFailed(const Error& error) override { failed = error.code; }
  void OnSent() override {}
  void OnFinished() override { finished = true; }
  void OnGone(Departure how) override { gone = how; }

  ResponseStream& stream;
  std::string body;
  bool pauses = false;  ///< with the first bytes of the body
  bool ended = false;
  bool finished = false;
  std::optional<ErrorCode> failed;
  std::optional<Departure> gone;
};

struct Sink final : RequestSink {
  RequestHandler& OnRequest(ResponseStream& stream, http::HeadPtr, bool, bool, const Error*) override {
    calls.push_back(std::make_unique<Call>(stream));
    if (begin != nullptr) begin(stream);
    return *calls.back();
  }
  void OnProtocolReject(Protocol, const char* reason) override { rejects.emplace_back(reason); }
  void OnConnectionKilled(const char* reason) override { rejects.emplace_back(reason); }
  void (*begin)(ResponseStream&) = nullptr;
  std::vector<std::unique_ptr<Call>> calls;
  std::vector<std::string> rejects;
};

struct Client final : net::TransportHandler {
  explicit Client(rt::Worker& worker) : transport(worker, *this) {}
  void OnOpen() override { open = true; }
  void OnData(std::string_view bytes) override { received.append(bytes); }
  void OnEnd() override { transport.Close(); }
  void OnRoom() override { transport.Flush(); }
  void OnFailed(const Error&) override {}
  void Say(std::string_view bytes) {
    transport.out().Append(bytes);
    transport.Flush();
  }
  std::string received;
  bool open = false;
  net::Transport transport;
};

struct LongRequests : testing::TestWithParam<Protocol> {
  LongRequests() {
    options->body_timeout = seconds(60);
    network.SetLink(address, {.latency = milliseconds(1), .window_bytes = 256 * 1024});
    OnTick();
  }
  /// The clock stands still where nobody waits for it.
  void OnTick() { client_worker.Arm(tick, seconds(1)); }
  bool http2() const { return GetParam() == Protocol::kHttp2; }
  /// A request with a body, of which nothing has come yet.
  Call& Open() {
    server.emplace(server_worker, sink, count, options);
    server->Listen(network.OpenListener(address), false, nullptr);
    client.transport.Connect(address, {}, nullptr, "");
    Run([&] { return client.open; });
    if (http2()) {
      client.Say(test::ClientPreface());
      Run([&] { return !client.received.empty(); });
      client.Say(test::SettingsAck() + test::HeadersFrame(1, test::RequestBlock(), false));
    } else {
      client.Say("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n");
    }
    Run([&] { return !sink.calls.empty(); });
    return *sink.calls.at(0);
  }
  void SayBody(std::string_view bytes, bool end = false) {
    if (http2()) return client.Say(test::DataFrame(1, bytes, end));
    std::string chunks;
    char size[32];
    std::snprintf(size, sizeof size, "%zx\r\n", bytes.size());
    if (!bytes.empty()) chunks = size + std::string(bytes) + "\r\n";
    if (end) chunks += "0\r\n\r\n";
    client.Say(chunks);
  }
  template <class Condition>
  bool Run(Condition done, Duration limit = seconds(1)) {
    return test::RunWorkers(network, workers, done, limit);
  }
  void Wait(Duration time) {
    Run([] { return false; }, time);
  }
  std::vector<test::ParsedFrame> Frames() const { return test::ParseFrames(client.received); }
  /// What the client was given back of its stream's window.
  std::uint64_t Credited() const {
    std::uint64_t sum = 0;
    for (const auto& frame : test::OfType(Frames(), test::h2::kWindowUpdate)) {
      if (frame.stream == 1) sum += test::Number(frame.payload);
    }
    return sum;
  }

  test::SimNetwork network{7};
  rt::Worker client_worker{0, std::make_unique<test::SimLoop>(network), 1};
  rt::Worker server_worker{1, std::make_unique<test::SimLoop>(network), 2};
  const std::array<rt::Worker*, 2> workers{&client_worker, &server_worker};
  const rt::Address address = *rt::Address::Parse("10.2.0.1:80");
  Sink sink;
  ConnectionCount count;
  std::shared_ptr<Options> options = std::make_shared<Options>();
  std::optional<Server> server;
  Client client{client_worker};
  rt::Timer tick{this, [](void* self) { static_cast<LongRequests*>(self)->OnTick(); }};
};

INSTANTIATE_TEST_SUITE_P(Protocols, LongRequests, testing::Values(Protocol::kHttp1, Protocol::kHttp2),
                         [](const auto& one) { return one.param == Protocol::kHttp1 ? "Http1" : "Http2"; });

TEST_P(LongRequests, AnAnswerEndsWithItsTrailers) {
  for (const bool body_left : {false, true}) {
    client.received.clear();
    if (body_left && !http2()) return;  // HTTP/1.1 has one request at a time, and this client ends with it
    Call* call = body_left ? nullptr : &Open();
    if (body_left) {
      client.Say(test::HeadersFrame(3, test::RequestBlock(), false));
      ASSERT_TRUE(Run([&] { return sink.calls.size() == 2; }));
      call = sink.calls[1].get();
    }
    const std::uint32_t id = body_left ? 3 : 1;
    if (http2()) {
      client.Say(test::DataFrame(id, "q", true));
    } else {
      SayBody("q", true);
    }
    ASSERT_TRUE(Run([&] { return call->ended; }));
    call->Answer("hello");
    if (body_left) {
      ASSERT_TRUE(Run([&] { return !test::OfType(Frames(), test::h2::kData).empty(); }));
    }
    call->End();
    ASSERT_TRUE(Run([&] { return call->finished; }));
    Wait(milliseconds(10));
    if (!body_left) {  // the second time it is a reference into HPACK's table
      EXPECT_EQ(client.received.find("^^^^") != std::string::npos, http2());
    }
    if (!http2()) {
      EXPECT_TRUE(client.received.ends_with("5\r\nhello\r\n0\r\n\r\n")) << client.received;
      continue;
    }
    const auto last = Frames().back();
    EXPECT_EQ(last.type, test::h2::kHeaders);
    EXPECT_EQ(last.stream, id);
    EXPECT_NE(last.flags & test::h2::kEndStream, 0);
  }
  EXPECT_TRUE(sink.rejects.empty());
}

TEST_P(LongRequests, TrailersThatWaitAreFreedWithTheirStream) {
  if (!http2()) return;
  Call& call = Open();
  call.Answer(std::string(100'000, 'b'));  // more than the client's window
  call.End();
  Wait(seconds(1));
  EXPECT_FALSE(call.finished);
  EXPECT_NE(call.stream.unsent(), 0u);
  client.Say(test::RstFrame(1, 8));
  ASSERT_TRUE(Run([&] { return call.gone.has_value(); }));
  EXPECT_EQ(call.gone, Departure::kClosed);

  client.Say(test::HeadersFrame(3, test::RequestBlock(), false));
  ASSERT_TRUE(Run([&] { return sink.calls.size() == 2; }));
  Call& dropped = *sink.calls[1];
  dropped.Answer(std::string(100'000, 'b'));
  dropped.End();
  Wait(seconds(1));
  dropped.stream.Drop();
  EXPECT_EQ(dropped.gone, Departure::kDropped);
  Wait(milliseconds(10));
  EXPECT_EQ(client.received.find("^^^^"), std::string::npos);
}

TEST_P(LongRequests, APausedBodyStopsTheClientAndItsClock) {
  Call& call = Open();
  call.stream.PauseBody(true);
  const std::size_t window = http2() ? options->h2.stream_window : 200;
  SayBody(std::string(window, 'a'));
  Wait(seconds(100));
  EXPECT_FALSE(call.failed.has_value());
  if (http2()) {
    EXPECT_EQ(call.body.size(), window) << "what the window allows is delivered";
    EXPECT_EQ(Credited(), 0u);
  } else {
    EXPECT_TRUE(call.body.empty()) << "nothing is read";
  }
  call.stream.PauseBody(false);
  const TimePoint resumed = network.now();
  ASSERT_TRUE(Run([&] { return call.body.size() == window; }));
  Wait(milliseconds(10));
  if (http2()) {
    EXPECT_EQ(Credited(), window);
  }
  EXPECT_TRUE(Run([&] { return call.failed.has_value(); }, seconds(25)));
  EXPECT_GE(network.now() - resumed, seconds(5)) << "the clock goes on where it stood";
  EXPECT_EQ(sink.rejects, std::vector<std::string>{"body_timeout"});
}

TEST_P(LongRequests, ABodyThatEndsWhilePausedEndsThePause) {
  Call& call = Open();
  call.pauses = true;
  SayBody("a", true);
  ASSERT_TRUE(Run([&] { return call.ended; })) << "the end came with what was delivered";
  call.stream.PauseBody(true);  // too late to mean anything
  call.Answer("b");
  call.End();
  ASSERT_TRUE(Run([&] { return call.finished; }));
  if (http2()) return;
  client.Say("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n");
  EXPECT_TRUE(Run([&] { return sink.calls.size() == 2; }));
}

TEST_P(LongRequests, ARequestWithoutEndHasNoClock) {
  sink.begin = [](ResponseStream& stream) { stream.ExpectNoEnd(); };
  Call& call = Open();
  for (int i = 0; i < 3; ++i) {
    SayBody("message");
    Wait(seconds(500));
  }
  EXPECT_EQ(call.body, "messagemessagemessage");
  EXPECT_FALSE(call.failed.has_value());
  call.Answer("b");  // before the request ends
  Wait(seconds(500));
  EXPECT_FALSE(call.gone.has_value());
  SayBody("", true);
  ASSERT_TRUE(Run([&] { return call.ended; }));
  call.End();
  ASSERT_TRUE(Run([&] { return call.finished; }));
  EXPECT_TRUE(sink.rejects.empty());
}

}  // namespace
}  // namespace penstock::server
