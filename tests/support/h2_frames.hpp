#pragma once

// Raw HTTP/2 frames and HPACK literals, written and read without a library: for what a well-behaved one refuses to send.

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace penstock::test {

namespace h2 {
enum Type : std::uint8_t {
  kData = 0,
  kHeaders = 1,
  kPriority = 2,
  kRst = 3,
  kSettings = 4,
  kPushPromise = 5,
  kPing = 6,
  kGoaway = 7,
  kWindowUpdate = 8,
  kContinuation = 9,
};
enum Flag : std::uint8_t { kNone = 0, kAck = 1, kEndStream = 1, kEndHeaders = 4, kPadded = 8, kHasPriority = 0x20 };
enum Setting : std::uint16_t {
  kHeaderTableSize = 1,
  kEnablePush = 2,
  kMaxConcurrentStreams = 3,
  kInitialWindowSize = 4,
  kMaxFrameSize = 5,
  kMaxHeaderListSize = 6,
};
}  // namespace h2

inline std::string BigEndian(std::uint64_t value, int bytes) {
  std::string out;
  for (int shift = (bytes - 1) * 8; shift >= 0; shift -= 8) out.push_back(static_cast<char>(value >> shift));
  return out;
}

inline std::string Frame(std::uint8_t type, std::uint8_t flags, std::uint32_t stream, std::string_view payload = {}) {
  std::string out = BigEndian(payload.size(), 3) + BigEndian(type, 1) + BigEndian(flags, 1) + BigEndian(stream, 4);
  return out.append(payload);
}

inline std::string SettingsFrame(const std::vector<std::pair<std::uint16_t, std::uint32_t>>& entries = {}) {
  std::string payload;
  for (const auto& [id, value] : entries) payload += BigEndian(id, 2) + BigEndian(value, 4);
  return Frame(h2::kSettings, 0, 0, payload);
}
inline std::string SettingsAck() { return Frame(h2::kSettings, h2::kAck, 0); }
inline std::string ClientMagic() { return "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"; }
inline std::string ClientPreface() { return ClientMagic() + SettingsFrame(); }
inline std::string DataFrame(std::uint32_t stream, std::string_view body, bool end) {
  return Frame(h2::kData, end ? h2::kEndStream : h2::kNone, stream, body);
}
inline std::string HeadersFrame(std::uint32_t stream, std::string_view block, bool end = true) {
  return Frame(h2::kHeaders, static_cast<std::uint8_t>(h2::kEndHeaders | (end ? h2::kEndStream : 0)), stream, block);
}
inline std::string ContinuationFrame(std::uint32_t stream, std::string_view block, bool end_headers) {
  return Frame(h2::kContinuation, end_headers ? h2::kEndHeaders : h2::kNone, stream, block);
}
inline std::string RstFrame(std::uint32_t stream, std::uint32_t code) {
  return Frame(h2::kRst, 0, stream, BigEndian(code, 4));
}
inline std::string PingFrame(bool ack = false) {
  return Frame(h2::kPing, ack ? h2::kAck : h2::kNone, 0, std::string(8, 'p'));
}
inline std::string WindowUpdateFrame(std::uint32_t stream, std::uint32_t increment) {
  return Frame(h2::kWindowUpdate, 0, stream, BigEndian(increment, 4));
}
inline std::string PriorityFrame(std::uint32_t stream, std::uint32_t depends_on) {
  return Frame(h2::kPriority, 0, stream, BigEndian(depends_on, 4) + '\x10');
}
inline std::string GoawayFrame(std::uint32_t last_stream, std::uint32_t code) {
  return Frame(h2::kGoaway, 0, 0, BigEndian(last_stream, 4) + BigEndian(code, 4));
}

/// HPACK (RFC 7541 5.1): an integer with an n-bit prefix; `first` holds the bits before it.
inline std::string HpackInteger(std::uint8_t first, int prefix_bits, std::uint64_t value) {
  const std::uint64_t full = (1u << prefix_bits) - 1;
  if (value < full) return std::string(1, static_cast<char>(first | value));
  std::string out(1, static_cast<char>(first | full));
  for (value -= full; value >= 128; value /= 128) out.push_back(static_cast<char>(0x80 | (value & 0x7f)));
  out.push_back(static_cast<char>(value));
  return out;
}
inline std::string HpackString(std::string_view text) { return HpackInteger(0, 7, text.size()).append(text); }
/// A literal that enters no table: any bytes, however wrong.
inline std::string Literal(std::string_view name, std::string_view value) {
  return std::string(1, '\0') + HpackString(name) + HpackString(value);
}
inline std::string IndexedLiteral(std::string_view name, std::string_view value) {
  return std::string(1, '\x40') + HpackString(name) + HpackString(value);
}
inline std::string Indexed(std::uint64_t index) { return HpackInteger(0x80, 7, index); }

/// The four pseudo parts of a proper request, to which a test appends what it is about.
inline std::string RequestBlock(std::string_view method = "POST", std::string_view path = "/v1/chat/completions",
                                std::string_view authority = "gateway.example") {
  return Literal(":method", method) + Literal(":scheme", "https") + Literal(":authority", authority) +
         Literal(":path", path);
}

struct ParsedFrame {
  std::uint8_t type;
  std::uint8_t flags;
  std::uint32_t stream;
  std::string payload;
};

inline std::uint32_t Number(std::string_view bytes) {
  std::uint32_t value = 0;
  for (const char c : bytes) value = value << 8 | static_cast<unsigned char>(c);
  return value;
}

/// Whole frames only; a client's magic in front is skipped. The rest of a torn frame comes back as type 0xff.
inline std::vector<ParsedFrame> ParseFrames(std::string_view bytes) {
  if (bytes.starts_with(ClientMagic())) bytes.remove_prefix(ClientMagic().size());
  std::vector<ParsedFrame> frames;
  while (!bytes.empty()) {
    const std::size_t length = bytes.size() < 9 ? bytes.size() : Number(bytes.substr(0, 3));
    if (bytes.size() < 9 + length) {
      frames.push_back({0xff, 0, 0, std::string(bytes)});
      break;
    }
    frames.push_back({static_cast<std::uint8_t>(bytes[3]), static_cast<std::uint8_t>(bytes[4]),
                      Number(bytes.substr(5, 4)), std::string(bytes.substr(9, length))});
    bytes.remove_prefix(9 + length);
  }
  return frames;
}

inline std::vector<ParsedFrame> OfType(const std::vector<ParsedFrame>& frames, std::uint8_t type) {
  std::vector<ParsedFrame> found;
  for (const ParsedFrame& frame : frames) {
    if (frame.type == type) found.push_back(frame);
  }
  return found;
}

}  // namespace penstock::test
