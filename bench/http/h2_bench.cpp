// What the HTTP/2 codec costs. The server's share is measured alone: a client codec's bytes are recorded once, as a
// steady state of its HPACK table, and replayed with rising stream ids to a server codec.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "penstock/http/h2_codec.hpp"
#include "penstock/http/h2_memory.hpp"

namespace penstock::http {
namespace {

constexpr std::size_t kRequestBytes = 600;
constexpr std::size_t kResponseBytes = 1024;

/// A stream that offers `left` bytes of body and counts what it gets.
class CountingStream final : public H2StreamHandler {
 public:
  void OnResponse(HeadPtr head, bool) override { received += head->size(); }
  void OnBody(std::string_view bytes) override {
    received += bytes.size();
    unconsumed += bytes.size();
  }
  void OnEnd() override { ended = true; }
  void OnClosed(H2Error, H2Fate) override { closed = true; }
  BodyPiece PullBody(char* to, std::size_t capacity) override {
    const std::size_t bytes = std::min(capacity, left);
    std::memcpy(to, source, bytes);
    left -= bytes;
    return {bytes, left == 0 ? last : BodyState::kMore};
  }

  const char* source = nullptr;
  std::size_t left = 0;
  BodyState last = BodyState::kEnd;
  std::size_t received = 0;
  std::size_t unconsumed = 0;
  bool ended = false;
  bool closed = false;
};

struct Worker {
  ChunkPool chunks;
  HeadPool heads;
  H2Memory memory;
};

/// Answers every request with 200 and kResponseBytes once it has ended.
class Server final : public H2ConnectionHandler {
 public:
  explicit Server(Worker& worker) : worker_(worker) {
    response_.status = 200;
    response_.Add("content-type", "application/json");
    response_.Add("content-length", "1024");
    response_.Add("date", "Tue, 04 Mar 2025 10:00:00 GMT");
    response_.Add("server", "penstock");
    response_.Add("x-request-id", "0194f0c2-1111-7000-8000-000000000000");
    H2Limits limits;
    codec = std::make_unique<H2Codec>(H2Codec::Side::kServer, worker.memory, worker.heads, limits, *this);
  }
  H2StreamHandler* OnRequest(std::int32_t id, HeadPtr head, bool end) override {
    checksum += head->list_bytes();
    CountingStream& stream = streams_[static_cast<std::size_t>(id / 2) % std::size(streams_)];
    stream = CountingStream{};
    static const std::string kBody(64 * 1024, 'r');
    stream.source = kBody.data();
    stream.left = kResponseBytes;
    last = id;
    if (end || answer_at_once) codec->SubmitResponse(id, response_, false);
    return &stream;
  }
  H2StreamHandler* OnReject(std::int32_t, HeadPtr, bool, const Error&, const char*) override { std::abort(); }
  void OnGoaway(H2Error) override {}
  void OnSettings() override {}
  void OnPingAck() override {}

  void StreamLast() {
    Head head;
    head.status = 200;
    head.Add("content-type", "text/event-stream");
    codec->SubmitResponse(last, head, false);
  }
  void AnswerLast() { codec->SubmitResponse(last, response_, false); }
  CountingStream& stream(std::int32_t id) { return streams_[static_cast<std::size_t>(id / 2) % std::size(streams_)]; }
  Chain Pull() {
    Chain out(worker_.chunks);
    codec->Pull(out, 256 * 1024);
    return out;
  }

  std::unique_ptr<H2Codec> codec;
  std::uint64_t checksum = 0;
  std::int32_t last = 0;
  bool answer_at_once = false;

 private:
  Worker& worker_;
  Head response_;
  CountingStream streams_[128];
};

class Client final : public H2ConnectionHandler {
 public:
  explicit Client(Worker& worker) : worker_(worker) {
    head_.method = Method::kPost;
    head_.set_method_text("POST");
    head_.set_scheme("https");
    head_.set_authority("gateway.example");
    head_.set_target("/v1/chat/completions");
    head_.Add("content-type", "application/json");
    head_.Add("accept", "application/json");
    head_.Add("authorization", "Bearer sk-0123456789abcdef0123456789abcdef");
    head_.Add("user-agent", "OpenAI/Python 1.99.0");
    head_.Add("content-length", "600");
    codec =
        std::make_unique<H2Codec>(H2Codec::Side::kClient, worker.memory, worker.heads, H2Limits::ForClient(), *this);
  }
  H2StreamHandler* OnRequest(std::int32_t, HeadPtr, bool) override { std::abort(); }
  H2StreamHandler* OnReject(std::int32_t, HeadPtr, bool, const Error&, const char*) override { std::abort(); }
  void OnGoaway(H2Error) override {}
  void OnSettings() override {}
  void OnPingAck() override {}

  std::int32_t Request(CountingStream& stream) {
    static const std::string kBody(kRequestBytes, 'q');
    stream = CountingStream{};
    stream.source = kBody.data();
    stream.left = kRequestBytes;
    return codec->SubmitRequest(head_, false, stream);
  }
  std::string Take() {
    Chain out(worker_.chunks);
    codec->Pull(out, 256 * 1024);
    std::string bytes(out.size(), '\0');
    out.Read(bytes.data(), bytes.size());
    return bytes;
  }

  std::unique_ptr<H2Codec> codec;

 private:
  Worker& worker_;
  Head head_;
};

void Feed(H2Codec& codec, Chain bytes, TimePoint now) {
  while (!bytes.empty()) {
    const std::string_view front = bytes.Front();
    codec.Feed(front, now);
    bytes.Consume(front.size());
  }
}

std::string Read(Chain bytes) {
  std::string text(bytes.size(), '\0');
  bytes.Read(text.data(), text.size());
  return text;
}

void Connect(Client& client, Server& server, TimePoint now) {
  for (int i = 0; i < 3; ++i) {
    server.codec->Feed(client.Take(), now);
    client.codec->Feed(Read(server.Pull()), now);
  }
}

/// Sets the stream id of every frame that carries one.
void Renumber(std::string& frames, std::int32_t id) {
  for (std::size_t at = 0; at + 9 <= frames.size();) {
    const auto byte = [&](std::size_t i) {
      return static_cast<std::size_t>(static_cast<unsigned char>(frames[at + i]));
    };
    for (int i = 0; i < 4; ++i) frames[at + 5 + static_cast<std::size_t>(i)] = static_cast<char>(id >> (24 - 8 * i));
    at += 9 + (byte(0) << 16 | byte(1) << 8 | byte(2));
  }
}

/// A WINDOW_UPDATE frame for the connection.
std::string WindowUpdate(std::uint32_t increment) {
  std::string frame("\0\0\4\10\0\0\0\0\0", 9);
  for (int shift = 24; shift >= 0; shift -= 8) frame.push_back(static_cast<char>(increment >> shift));
  return frame;
}

/// `streams` requests per read, all answered in one write: the server's codec alone.
void H2ServerRequest(benchmark::State& bench) {
  const int streams = static_cast<int>(bench.range(0));
  Worker worker;
  Server server(worker);
  Client client(worker);
  TimePoint now{1'000'000'000};
  Connect(client, server, now);
  CountingStream call;
  std::string request;
  for (int i = 0; i < 3; ++i) {  // the third request's fields are all in the client's HPACK table
    client.Request(call);
    request = client.Take();
    server.codec->Feed(request, now);
    server.AnswerLast();
    client.codec->Feed(Read(server.Pull()), now);
  }
  std::int32_t id = server.last;
  std::string requests;
  std::uint64_t bytes = 0;
  std::size_t uncredited = 0;
  const std::uint64_t allocations = worker.memory.system_allocations();
  for (auto _ : bench) {
    requests.clear();
    for (int i = 0; i < streams; ++i) {
      Renumber(request, id += 2);
      requests += request;
    }
    server.answer_at_once = true;
    now = now + std::chrono::microseconds(10);
    server.codec->Feed(requests, now);
    for (int i = 0; i < streams; ++i) server.codec->Consumed(id - 2 * i, kRequestBytes);
    Chain out = server.Pull();
    bytes += out.size();
    benchmark::DoNotOptimize(out.Front().data());
    if ((uncredited += out.size()) > 32 * 1024) {
      server.codec->Feed(WindowUpdate(static_cast<std::uint32_t>(std::exchange(uncredited, 0))), now);
    }
    if (id > 2'000'000'000) bench.SkipWithError("stream ids used up");
  }
  if (server.codec->killed_reason() != nullptr) bench.SkipWithError(server.codec->killed_reason());
  bench.SetItemsProcessed(bench.iterations() * streams);
  bench.counters["bytes_out"] = static_cast<double>(bytes) / static_cast<double>(bench.iterations() * streams);
  bench.counters["mallocs"] = static_cast<double>(worker.memory.system_allocations() - allocations) /
                              static_cast<double>(bench.iterations() * streams);
}
BENCHMARK(H2ServerRequest)->Arg(1)->Arg(10);

/// Both ends: a client codec asks, the server codec answers.
void H2RoundTrip(benchmark::State& bench) {
  Worker worker;
  Server server(worker);
  Client client(worker);
  TimePoint now{1'000'000'000};
  Connect(client, server, now);
  CountingStream call;
  for (auto _ : bench) {
    now = now + std::chrono::microseconds(20);
    client.Request(call);
    Chain request(worker.chunks);
    client.codec->Pull(request, 256 * 1024);
    Feed(*server.codec, std::move(request), now);
    server.codec->Consumed(server.last, kRequestBytes);
    server.AnswerLast();
    Feed(*client.codec, server.Pull(), now);
    if (!call.closed) bench.SkipWithError("not answered");
  }
  bench.SetItemsProcessed(bench.iterations());
}
BENCHMARK(H2RoundTrip);

/// One SSE event: the client codec receives a DATA frame, the server codec relays it (100 bytes each).
void H2RelayEvent(benchmark::State& bench) {
  constexpr std::size_t kEventBytes = 100;
  Worker worker;
  Server server(worker);
  Client client(worker);
  TimePoint now{1'000'000'000};
  Connect(client, server, now);
  CountingStream call;
  client.Request(call);
  server.codec->Feed(client.Take(), now);
  const std::int32_t id = server.last;
  CountingStream& serving = server.stream(id);
  serving.last = BodyState::kMore;
  serving.left = 0;
  server.StreamLast();
  client.codec->Feed(Read(server.Pull()), now);
  std::int64_t events = 0;
  for (auto _ : bench) {
    serving.left = kEventBytes;
    server.codec->ResumeBody(id);
    Feed(*client.codec, server.Pull(), now);
    client.codec->Consumed(id, std::exchange(call.unconsumed, 0));
    if (++events % 64 == 0) {
      const std::string credit = client.Take();
      if (!credit.empty()) server.codec->Feed(credit, now);
    }
  }
  if (server.codec->killed_reason() != nullptr) bench.SkipWithError(server.codec->killed_reason());
  if (call.received < static_cast<std::size_t>(events) * kEventBytes) bench.SkipWithError("events were lost");
  bench.SetItemsProcessed(bench.iterations());
}
BENCHMARK(H2RelayEvent);

std::string Frame(std::uint8_t type, std::uint8_t flags, std::uint32_t stream, std::string_view payload) {
  std::string frame;
  for (int shift = 16; shift >= 0; shift -= 8) frame.push_back(static_cast<char>(payload.size() >> shift));
  frame.push_back(static_cast<char>(type));
  frame.push_back(static_cast<char>(flags));
  for (int shift = 24; shift >= 0; shift -= 8) frame.push_back(static_cast<char>(stream >> shift));
  return frame.append(payload);
}

/// Row H2-25: 16,000 one-byte references to a field of 4,000 bytes, per block. The limit is 0.03 s of CPU per MB of
/// attack; without the cut-off nghttp2 takes 1.2.
void H2HpackBomb(benchmark::State& bench) {
  const std::string pseudo(
      "\x83\x87\x84\x41\x01"
      "a",
      6);  // POST, https, "/", and a literal :authority
  std::string field("\x40\x06x-bomb\x7f", 9);
  field += "\xbd\x1e";  // 127 + 3901
  field.append(4028, 'b');
  const std::string bomb = pseudo + std::string(16'000, '\xbf');
  std::size_t bytes = 0;
  for (auto _ : bench) {
    bench.PauseTiming();
    auto worker = std::make_unique<Worker>();
    auto server = std::make_unique<Server>(*worker);
    const TimePoint now{1'000'000'000};
    server->codec->Feed("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + Frame(4, 0, 0, "") + Frame(1, 5, 1, pseudo + field), now);
    if (server->last != 1) bench.SkipWithError("the table was not primed");
    bench.ResumeTiming();
    std::uint32_t id = 1;
    for (bool alive = true; alive && id < 1001;) {
      const std::string block = Frame(1, 5, id += 2, bomb);
      bytes += block.size();
      alive = server->codec->Feed(block, now);
      Chain out = server->Pull();
    }
    bench.PauseTiming();
    if (server->codec->killed_reason() == nullptr) bench.SkipWithError("not killed");
    server.reset();
    worker.reset();
    bench.ResumeTiming();
  }
  bench.counters["cpu_s_per_mb"] =
      benchmark::Counter(static_cast<double>(bytes) / 1e6, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
BENCHMARK(H2HpackBomb)->Unit(benchmark::kMillisecond);

std::size_t ResidentBytes() {
  std::size_t total = 0;
  std::size_t resident = 0;
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  if (file == nullptr || std::fscanf(file, "%zu %zu", &total, &resident) != 2) resident = 0;
  if (file != nullptr) std::fclose(file);
  return resident * 4096;
}

/// What an idle server connection holds after one request and response: in nghttp2's blocks, and of real memory.
void H2IdleConnection(benchmark::State& bench) {
  constexpr std::size_t kConnections = 1000;
  Worker client_worker;
  for (auto _ : bench) {
    Worker worker;
    std::vector<std::unique_ptr<Server>> servers;
    servers.reserve(kConnections);
    const std::size_t before = ResidentBytes();
    for (std::size_t i = 0; i < kConnections; ++i) {
      Server& server = *servers.emplace_back(std::make_unique<Server>(worker));
      Client client(client_worker);
      const TimePoint now{1'000'000'000};
      Connect(client, server, now);
      CountingStream call;
      client.Request(call);
      server.codec->Feed(client.Take(), now);
      server.AnswerLast();
      client.codec->Feed(Read(server.Pull()), now);
      if (!call.closed) bench.SkipWithError("not answered");
    }
    // The bench's own server object is no part of the codec.
    bench.counters["resident"] = static_cast<double>(ResidentBytes() - before) / kConnections - sizeof(Server);
    bench.counters["nghttp2_blocks"] = static_cast<double>(worker.memory.used_bytes()) / kConnections;
  }
}
BENCHMARK(H2IdleConnection)->Unit(benchmark::kMillisecond)->Iterations(1);

}  // namespace
}  // namespace penstock::http
