// What claims to be a Redis server's replies: however the bytes are cut, the values are the same and memory stays
// within the limits (FAULTS R-05).

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "fuzz/pieces.hpp"
#include "penstock/redis/reply_reader.hpp"

namespace {

using namespace penstock::redis;

constexpr std::size_t kBulkMax = 512;  // small, so that the limit is met

std::string Print(const Reply& reply) {
  std::string text(1, "+-$:_*"[static_cast<int>(reply.type())]);
  text += std::to_string(reply.integer()) + ' ' + std::to_string(static_cast<int>(reply.error()));
  text += reply.text();
  if (const auto redirect = Redirect::Parse(reply.text())) text += redirect->host;
  Reply element = reply.elements() > 0 ? reply.First() : Reply();
  for (std::size_t i = 0; i < reply.elements(); ++i) {
    if (i > 0) element = element.Next();
    text += Print(element);
  }
  return text + '\n';
}

/// Replies up to the first refusal. A reader that is fed at once may refuse before it has said what came in front.
std::string Read(std::string_view bytes, std::size_t most, bool& refused) {
  ReplyReader reader(kBulkMax);
  std::string said;
  penstock::fuzz::InPieces(bytes, most, [&](std::string_view piece) {
    if (refused) return;
    Reply reply;
    ReplyReader::Step step = ReplyReader::Step::kRefused;
    if (reader.Feed(piece)) {
      while ((step = reader.Next(reply)) == ReplyReader::Step::kReply) said += Print(reply);
    }
    refused = step == ReplyReader::Step::kRefused;
    if (reader.held() > 4 * ReplyReader::kArrayTextMax) std::abort();
  });
  return said;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  bool refused = false;
  const std::string by_byte = Read(text, 1, refused);
  for (const std::size_t most : {7u, 100u}) {
    bool also = false;
    const std::string split = Read(text, most, also);
    if (also != refused || !by_byte.starts_with(split) || (!refused && split != by_byte)) {
      penstock::fuzz::RequireEqual(by_byte + (refused ? "refused" : ""), split + (also ? "refused" : ""), "replies");
    }
  }
  return 0;
}
