#include "sim/h2_frames.hpp"

#include <algorithm>

namespace penstock::sim {
namespace {

constexpr std::size_t kFramePayloadMax = 16'384;  // SETTINGS_MAX_FRAME_SIZE's initial value

void AppendHpackString(std::string& block, std::string_view text) {
  // A 7-bit prefix integer (RFC 7541 5.1), the Huffman bit clear.
  std::size_t size = text.size();
  if (size < 127) {
    block += static_cast<char>(size);
  } else {
    block += '\x7f';
    for (size -= 127; size >= 128; size >>= 7) block += static_cast<char>(0x80 | (size & 0x7f));
    block += static_cast<char>(size);
  }
  block += text;
}

}  // namespace

void AppendUint32(std::string& out, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>((value >> shift) & 0xff);
}

void AppendFrame(std::string& out, FrameType type, std::uint8_t flags, std::int32_t stream, std::string_view payload) {
  const std::size_t size = payload.size();
  out += static_cast<char>((size >> 16) & 0xff);
  out += static_cast<char>((size >> 8) & 0xff);
  out += static_cast<char>(size & 0xff);
  out += static_cast<char>(type);
  out += static_cast<char>(flags);
  AppendUint32(out, static_cast<std::uint32_t>(stream));
  out += payload;
}

void AppendLiteral(std::string& block, std::string_view name, std::string_view value) {
  block += '\0';
  AppendHpackString(block, name);
  AppendHpackString(block, value);
}

void AppendHeaders(std::string& out, std::int32_t stream, std::string_view block, bool end_stream) {
  bool first = true;
  do {
    const std::string_view piece = block.substr(0, std::min(block.size(), kFramePayloadMax));
    block.remove_prefix(piece.size());
    const std::uint8_t flags =
        static_cast<std::uint8_t>((first && end_stream ? kEndStream : 0) | (block.empty() ? kEndHeaders : 0));
    AppendFrame(out, first ? FrameType::kHeaders : FrameType::kContinuation, flags, stream, piece);
    first = false;
  } while (!block.empty());
}

}  // namespace penstock::sim
