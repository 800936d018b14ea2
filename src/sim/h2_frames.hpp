#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace penstock::sim {

/// Frame types and flags of RFC 9113 6, for frames that no codec would send.
enum class FrameType : std::uint8_t {
  kHeaders = 1,
  kPriority = 2,
  kReset = 3,
  kSettings = 4,
  kPushPromise = 5,
  kPing = 6,
  kGoaway = 7,
  kWindowUpdate = 8,
  kContinuation = 9,
  kUnknown = 0xf0,
  kBody = 0,
};
inline constexpr std::uint8_t kEndStream = 1;
inline constexpr std::uint8_t kEndHeaders = 4;

void AppendUint32(std::string& out, std::uint32_t value);
void AppendFrame(std::string& out, FrameType type, std::uint8_t flags, std::int32_t stream, std::string_view payload);
/// A header field as HPACK literal without indexing and without Huffman (RFC 7541 6.2.2): leaves the peer's table alone.
void AppendLiteral(std::string& block, std::string_view name, std::string_view value);
/// HEADERS and as many CONTINUATIONs as `block` needs.
void AppendHeaders(std::string& out, std::int32_t stream, std::string_view block, bool end_stream);

}  // namespace penstock::sim
