#include <cstdio>

#include "sim/wire.hpp"
#include "sim/wire_body.hpp"

namespace penstock::sim {
namespace {

using Then = WireStep::Then;
using Steps = std::vector<WireStep>;

constexpr std::uint32_t kBombFields = 1000;  // FAULTS U-35
constexpr std::uint64_t kBombBytes = 1024 * 1024;
constexpr std::uint64_t kTrailerBytes = 5 * 1024 * 1024;
constexpr std::uint32_t kInterim = 10'000;  // FAULTS H1-36
constexpr std::uint32_t kSlowMs = 100;

/// One scripted answer in the making: what the request and the program ask for.
struct Scene {
  const Program& program;
  std::string_view body;
  std::string_view type;

  std::string Length(std::size_t size) const { return "content-length: " + std::to_string(size) + "\r\n"; }
  std::string Head(std::string_view fields, std::string_view status_line = "HTTP/1.1 200 OK") const {
    return std::string(status_line) + "\r\ncontent-type: " + std::string(type) + "\r\n" + std::string(fields) + "\r\n";
  }
  std::string Whole() const { return Head(Length(body.size())) + std::string(body); }
  std::string Chunk(std::string_view bytes) const {
    char size[20];
    std::snprintf(size, sizeof size, "%zx\r\n", bytes.size());
    return size + std::string(bytes) + "\r\n";
  }
  /// `count` fields of `bytes` bytes together.
  std::string Fields(std::uint32_t default_count, std::uint64_t default_bytes) const {
    const std::uint32_t count = program.count != 0 ? program.count : default_count;
    const std::uint64_t bytes = program.bytes != 0 ? program.bytes : default_bytes;
    std::string fields;
    for (std::uint32_t i = 0; i < count; ++i) {
      const std::string name = "x-bomb-" + std::to_string(i) + ": ";
      const std::size_t room = bytes / count;
      fields += name + std::string(room > name.size() + 2 ? room - name.size() - 2 : 1, 'b') + "\r\n";
    }
    return fields;
  }
};

Steps One(std::string bytes, Then then = Then::kDone) {
  Steps steps;
  steps.push_back({Duration{0}, std::move(bytes), then, false});
  return steps;
}

Steps TwoLengths(const Scene& s) {
  return One(s.Head(s.Length(s.body.size()) + s.Length(s.body.size() + 1)) + std::string(s.body));
}

Steps LengthAndChunked(const Scene& s) {
  return One(s.Head(s.Length(s.body.size()) + "transfer-encoding: chunked\r\n") + s.Chunk(s.body) + "0\r\n\r\n");
}

Steps UnknownCoding(const Scene& s) {
  return One(s.Head("transfer-encoding: xchunked\r\n") + s.Chunk(s.body) + "0\r\n\r\n");
}

Steps ChunkedIn10(const Scene& s) {
  return One(s.Head("transfer-encoding: chunked\r\n", "HTTP/1.0 200 OK") + s.Chunk(s.body) + "0\r\n\r\n", Then::kClose);
}

Steps BareLf(const Scene& s) {
  return One("HTTP/1.1 200 OK\ncontent-type: " + std::string(s.type) +
             "\ncontent-length: " + std::to_string(s.body.size()) + "\n\n" + std::string(s.body));
}

Steps HeadBomb(const Scene& s) {
  return One(s.Head(s.Fields(kBombFields, kBombBytes) + s.Length(s.body.size())) + std::string(s.body));
}

Steps BadField(const Scene& s) {
  using namespace std::string_literals;
  std::string field = "x-bad: a\rb\r\n";
  if (s.program.which == "nul") field = "x-bad: a\0b\r\n"s;
  if (s.program.which == "space") field = "x-bad : a\r\n";
  if (s.program.which == "empty") field = ": a\r\n";
  if (s.program.which == "fold") field = "x-bad: a\r\n b\r\n";
  return One(s.Head(field + s.Length(s.body.size())) + std::string(s.body));
}

Steps Interim(const Scene& s) {
  const std::uint32_t count = s.program.count != 0 ? s.program.count : kInterim;
  std::string bytes;
  for (std::uint32_t i = 0; i < count; ++i) bytes += "HTTP/1.1 103 Early Hints\r\n\r\n";
  return One(bytes + s.Whole());
}

Steps Switching(const Scene&) {
  return One(
      "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n" + std::string(kSmuggled),
      Then::kNext);
}

Steps BodyAfter204(const Scene&) { return One("HTTP/1.1 204 No Content\r\n\r\n" + std::string(kSmuggled)); }

Steps Extra(const Scene& s) {
  Steps steps;
  steps.push_back({Duration{0}, s.Whole(), Then::kNext, true});
  const std::string second = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n" + s.Length(kSmuggled.size()) +
                             "\r\n" + std::string(kSmuggled);
  steps.push_back({std::chrono::milliseconds(s.program.ms), second, Then::kDone, true});
  return steps;
}

Steps LengthLong(const Scene& s) {
  return One(s.Head(s.Length(s.body.size() + 10)) + std::string(s.body), Then::kClose);
}
Steps LengthShort(const Scene& s) { return One(s.Head(s.Length(s.body.size() - 10)) + std::string(s.body)); }

Steps BadChunk(const Scene& s) {
  const std::string head = s.Head("transfer-encoding: chunked\r\n");
  const std::string body(s.body);
  const std::string good = s.Chunk(body);
  const std::string size = good.substr(0, good.find('\r'));
  if (s.program.which == "long") return One(head + "f" + size + "\r\n" + body, Then::kClose);
  if (s.program.which == "short") return One(head + "1\r\n" + body + "\r\n0\r\n\r\n");
  if (s.program.which == "ending") return One(head + size + "\r\n" + body + "XX0\r\n\r\n");
  if (s.program.which == "half") return One(head + good.substr(0, good.size() / 2), Then::kClose);
  return One(head + "zz\r\n" + body + "\r\n0\r\n\r\n");
}

Steps HalfHead(const Scene& s) { return One(s.Head("").substr(0, 20), Then::kClose); }

Steps SlowHead(const Scene& s) {
  Steps steps;
  const Duration gap = std::chrono::milliseconds(s.program.ms != 0 ? s.program.ms : kSlowMs);
  for (const char c : s.Head(s.Length(s.body.size()))) steps.push_back({gap, std::string(1, c), Then::kNext, false});
  steps.push_back({Duration{0}, std::string(s.body), Then::kDone, true});
  return steps;
}

Steps Plain(const Scene&) { return One("SSH-2.0-OpenSSH_9.2p1\r\nthis is no HTTP at all\r\n", Then::kClose); }

Steps Trailers(const Scene& s) {
  return One(s.Head("transfer-encoding: chunked\r\n") + s.Chunk(s.body) + "0\r\n" +
             s.Fields(kBombFields, kTrailerBytes) + "\r\n");
}

Steps Refuse(const Scene&) { return One("", Then::kAbort); }

constexpr struct {
  std::string_view name;
  Steps (*make)(const Scene&);
} kScripts[] = {
    {"refuse", Refuse},
    {"two-lengths", TwoLengths},
    {"length-and-chunked", LengthAndChunked},
    {"unknown-coding", UnknownCoding},
    {"chunked-in-10", ChunkedIn10},
    {"bare-lf", BareLf},
    {"head-bomb", HeadBomb},
    {"bad-field", BadField},
    {"interim", Interim},
    {"switching", Switching},
    {"body-after-204", BodyAfter204},
    {"extra", Extra},
    {"length-long", LengthLong},
    {"length-short", LengthShort},
    {"bad-chunk", BadChunk},
    {"half-head", HalfHead},
    {"slow-head", SlowHead},
    {"plain", Plain},
    {"trailers", Trailers},
};

}  // namespace

std::vector<WireStep> MakeH1Script(const Program& program, bool stream) {
  const Scene scene{program, WireBody(stream), WireType(stream)};
  for (const auto& script : kScripts) {
    if (script.name == program.script) return script.make(scene);
  }
  return {};
}

}  // namespace penstock::sim
