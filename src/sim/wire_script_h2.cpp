#include "sim/h2_frames.hpp"
#include "sim/wire.hpp"
#include "sim/wire_body.hpp"

namespace penstock::sim {
namespace {

using Then = WireStep::Then;
using Steps = std::vector<WireStep>;

constexpr std::uint32_t kBombFields = 1000;
constexpr std::uint64_t kBombBytes = 1024 * 1024;
constexpr std::uint64_t kTrailerBytes = 5 * 1024 * 1024;
constexpr std::uint32_t kInterim = 10'000;
constexpr std::uint32_t kSlowMs = 100;
constexpr std::uint32_t kFlood = 100'000;
constexpr std::size_t kFrameTooLarge = 16'385;

/// One scripted answer in the making.
struct Scene {
  const Program& program;
  std::string_view body;
  std::string_view type;
  std::int32_t stream;

  std::string Block(std::string_view status = "200") const {
    std::string block;
    AppendLiteral(block, ":status", status);
    AppendLiteral(block, "content-type", type);
    return block;
  }
  std::string Headers(std::string_view block, bool end) const {
    std::string out;
    AppendHeaders(out, stream, block, end);
    return out;
  }
  std::string Body(std::string_view bytes, bool end) const {
    std::string out;
    AppendFrame(out, FrameType::kBody, end ? kEndStream : 0, stream, bytes);
    return out;
  }
  std::string Whole() const { return Headers(Block(), false) + Body(body, true); }
  void AppendBomb(std::string& block, std::uint64_t default_bytes) const {
    const std::uint32_t count = program.count != 0 ? program.count : kBombFields;
    const std::uint64_t bytes = program.bytes != 0 ? program.bytes : default_bytes;
    for (std::uint32_t i = 0; i < count; ++i) {
      AppendLiteral(block, "x-bomb-" + std::to_string(i), std::string(bytes / count, 'b'));
    }
  }
};

Steps One(std::string bytes, Then then = Then::kDone) {
  Steps steps;
  steps.push_back({Duration{0}, std::move(bytes), then, false});
  return steps;
}

Steps WithField(const Scene& s, std::string_view name, std::string_view value) {
  std::string block = s.Block();
  AppendLiteral(block, name, value);
  return One(s.Headers(block, false) + s.Body(s.body, true));
}

Steps TwoLengths(const Scene& s) {
  std::string block = s.Block();
  AppendLiteral(block, "content-length", std::to_string(s.body.size()));
  AppendLiteral(block, "content-length", std::to_string(s.body.size() + 1));
  return One(s.Headers(block, false) + s.Body(s.body, true));
}

Steps LengthAndChunked(const Scene& s) { return WithField(s, "transfer-encoding", "chunked"); }
Steps LengthLong(const Scene& s) { return WithField(s, "content-length", std::to_string(s.body.size() + 10)); }
Steps LengthShort(const Scene& s) { return WithField(s, "content-length", std::to_string(s.body.size() - 10)); }

Steps BadField(const Scene& s) {
  using namespace std::string_view_literals;
  if (s.program.which == "nul") return WithField(s, "x-bad", "a\0b"sv);
  if (s.program.which == "space") return WithField(s, "x-bad ", "a");
  if (s.program.which == "empty") return WithField(s, "", "a");
  if (s.program.which == "fold") return WithField(s, "x-bad", "a\r\n b");
  return WithField(s, "x-bad", "a\rb");
}

Steps HeadBomb(const Scene& s) {
  std::string block = s.Block();
  s.AppendBomb(block, kBombBytes);
  return One(s.Headers(block, false) + s.Body(s.body, true));
}

Steps Interim(const Scene& s) {
  std::string block;
  AppendLiteral(block, ":status", "103");
  const std::string headers = s.Headers(block, false);
  std::string out;
  for (std::uint32_t i = 0; i < (s.program.count != 0 ? s.program.count : kInterim); ++i) out += headers;
  return One(out + s.Whole());
}

Steps Switching(const Scene& s) {
  return One(s.Headers(s.Block("101"), false) + s.Body(kSmuggled, false), Then::kNext);
}
Steps BodyAfter204(const Scene& s) { return One(s.Headers(s.Block("204"), false) + s.Body(kSmuggled, true)); }

Steps Extra(const Scene& s) {
  Steps steps;
  steps.push_back({Duration{0}, s.Whole(), Then::kNext, true});
  steps.push_back({std::chrono::milliseconds(s.program.ms), s.Body(kSmuggled, false), Then::kNext, true});
  return steps;
}

Steps HalfHead(const Scene& s) {
  std::string out;
  AppendFrame(out, FrameType::kHeaders, 0, s.stream, s.Block());
  return One(out, Then::kClose);
}

Steps SlowHead(const Scene& s) {
  Steps steps;
  const Duration gap = std::chrono::milliseconds(s.program.ms != 0 ? s.program.ms : kSlowMs);
  for (const char c : s.Headers(s.Block(), false)) steps.push_back({gap, std::string(1, c), Then::kNext, false});
  steps.push_back({Duration{0}, s.Body(s.body, true), Then::kDone, true});
  return steps;
}

Steps Plain(const Scene&) { return One("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nplain", Then::kClose); }

Steps Trailers(const Scene& s) {
  std::string block;
  s.AppendBomb(block, kTrailerBytes);
  return One(s.Headers(s.Block(), false) + s.Body(s.body, false) + s.Headers(block, true));
}

Steps Refuse(const Scene&) { return One("", Then::kAbort); }

/// Frames that end any connection.
Steps Frame(const Scene& s) {
  using namespace std::string_view_literals;
  std::string out;
  const std::string_view which = s.program.which;
  if (which == "push") {
    std::string payload;
    AppendUint32(payload, 2);
    AppendLiteral(payload, ":path", "/pushed");
    AppendFrame(out, FrameType::kPushPromise, kEndHeaders, s.stream, payload);
  } else if (which == "too-large") {
    out = s.Headers(s.Block(), false) + s.Body(std::string(kFrameTooLarge, 'x'), false);
  } else if (which == "idle-data") {
    AppendFrame(out, FrameType::kBody, 0, s.stream + 1000, "x");
  } else if (which == "bad-settings") {
    AppendFrame(out, FrameType::kSettings, 0, 0, "12345"sv);
  } else if (which == "bad-hpack") {
    AppendFrame(out, FrameType::kHeaders, kEndHeaders, s.stream, "\xff\xff\xff\xff\xff\xff\xff\xff\x01"sv);
  } else {
    std::string payload;
    AppendUint32(payload, 0x7fffffff);
    for (int i = 0; i < 2; ++i) AppendFrame(out, FrameType::kWindowUpdate, 0, 0, payload);
  }
  return One(out, Then::kNext);
}

constexpr struct {
  std::string_view name;
  Steps (*make)(const Scene&);
} kScripts[] = {
    {"refuse", Refuse},
    {"two-lengths", TwoLengths},
    {"length-and-chunked", LengthAndChunked},
    {"unknown-coding", LengthAndChunked},
    {"head-bomb", HeadBomb},
    {"bad-field", BadField},
    {"interim", Interim},
    {"switching", Switching},
    {"body-after-204", BodyAfter204},
    {"extra", Extra},
    {"length-long", LengthLong},
    {"length-short", LengthShort},
    {"half-head", HalfHead},
    {"slow-head", SlowHead},
    {"plain", Plain},
    {"trailers", Trailers},
    {"frame", Frame},
};

}  // namespace

std::vector<WireStep> MakeH2Script(const Program& program, bool stream, std::int32_t stream_id) {
  const Scene scene{program, WireBody(stream), WireType(stream), stream_id};
  for (const auto& script : kScripts) {
    if (script.name == program.script) return script.make(scene);
  }
  return {};
}

std::string MakeFlood(const Program& program, std::int32_t stream_id) {
  const std::string_view which = program.which;
  std::string frame;
  if (which == "settings") {
    AppendFrame(frame, FrameType::kSettings, 0, 0, "");
  } else if (which == "window") {
    std::string payload;
    AppendUint32(payload, 1);
    AppendFrame(frame, FrameType::kWindowUpdate, 0, 0, payload);
  } else if (which == "empty-data") {
    AppendFrame(frame, FrameType::kBody, 0, stream_id, "");
  } else if (which == "priority") {
    std::string payload;
    AppendUint32(payload, 0);
    payload += '\x10';
    AppendFrame(frame, FrameType::kPriority, 0, stream_id, payload);
  } else if (which == "unknown") {
    AppendFrame(frame, FrameType::kUnknown, 0, 0, std::string(64, 'u'));
  } else {
    AppendFrame(frame, FrameType::kPing, 0, 0, "floodflo");
  }
  const std::uint32_t count = program.count != 0 ? program.count : kFlood;
  std::string out;
  out.reserve(frame.size() * count);
  for (std::uint32_t i = 0; i < count; ++i) out += frame;
  return out;
}

std::string MakeGoaway(std::int64_t last_stream, std::uint32_t code) {
  std::string payload, out;
  AppendUint32(payload, static_cast<std::uint32_t>(last_stream) & 0x7fffffff);
  AppendUint32(payload, code);
  AppendFrame(out, FrameType::kGoaway, 0, 0, payload);
  return out;
}

std::string MakeMaxStreams(std::uint32_t streams) {
  std::string payload("\x00\x03", 2);  // SETTINGS_MAX_CONCURRENT_STREAMS
  std::string out;
  AppendUint32(payload, streams);
  AppendFrame(out, FrameType::kSettings, 0, 0, payload);
  return out;
}

}  // namespace penstock::sim
