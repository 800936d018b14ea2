// A gRPC request's body: however its bytes are cut, and whether or not they are parked between, the messages are the
// same, and what is held stays within the limit (FAULTS ). The first byte chooses the coding.

#include <cstdint>
#include <string>
#include <string_view>

#include "fuzz/pieces.hpp"
#include "penstock/grpc/message.hpp"

namespace {

using namespace penstock::grpc;

constexpr std::size_t kMessageMax = 512;  // small, so that the limit is met
constexpr std::size_t kHeldMax = 16 * 1024;

std::string Read(std::string_view bytes, std::size_t most, Coding coding, bool park) {
  MessageReader reader;
  reader.Begin(coding, kMessageMax);
  std::string said;
  bool failed = false;
  penstock::fuzz::InPieces(bytes, most, [&](std::string_view piece) {
    if (failed) return;
    reader.Feed(piece);
    std::string_view message;
    MessageReader::Step step;
    while ((step = reader.Next(message)) == MessageReader::Step::kMessage) {
      said += std::to_string(message.size()) + ':';
      said += message;
      if (park) reader.Park();
    }
    if (message.size() > kMessageMax || reader.held() > kHeldMax + bytes.size()) std::abort();
    failed = step == MessageReader::Step::kFailed;
  });
  if (failed) return said + "failed " + reader.failure().message;
  return said + (reader.Finish() ? "whole" : "torn");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  if (size == 0) return 0;
  const Coding coding = (bytes[0] & 1) != 0 ? Coding::kGzip : Coding::kIdentity;
  const std::string_view text(reinterpret_cast<const char*>(bytes) + 1, size - 1);
  const std::string whole = Read(text, text.size() + 1, coding, false);
  for (const std::size_t most : {1u, 7u, 100u}) {
    penstock::fuzz::RequireEqual(whole, Read(text, most, coding, false), "messages");
    penstock::fuzz::RequireEqual(whole, Read(text, most, coding, true), "messages, parked");
  }
  // What a client made of bytes is what they were.
  std::string packed;
  std::string back;
  bool too_large = false;
  Deflate(text, packed);
  if (!Inflate(packed, text.size(), back, too_large) || back != text) std::abort();
  return 0;
}
