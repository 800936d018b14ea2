#include <zlib.h>

#include <algorithm>

#include "penstock/grpc/message.hpp"

namespace penstock::grpc {
namespace {

constexpr int kGzipWindow = 15 + 16;         // the largest window, in gzip's wrapping
constexpr std::size_t kFirstBytes = 4096;    // of output, at least
constexpr std::size_t kUsualRatio = 4;       // of JSON and protobuf text
constexpr std::size_t kPieceMax = 1u << 30;  // zlib counts in unsigned int

Bytef* Bytes(std::string_view text) noexcept {
  return reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));  // zlib only reads
}

}  // namespace

bool Inflate(std::string_view bytes, std::size_t size_max, std::string& out, bool& too_large) {
  too_large = false;
  out.clear();
  if (bytes.size() > kPieceMax) return false;
  z_stream stream{};
  if (inflateInit2(&stream, kGzipWindow) != Z_OK) return false;
  stream.next_in = Bytes(bytes);
  stream.avail_in = static_cast<uInt>(bytes.size());
  const std::size_t room_max = std::min(size_max, kPieceMax) + 1;  // one more than allowed shows a bomb
  std::size_t made = 0;
  int step = Z_OK;
  while (step == Z_OK && made < room_max) {
    if (made == out.size()) {
      const std::size_t more = std::max({kFirstBytes, bytes.size() * kUsualRatio, out.size() * 2});
      out.resize(std::min(more, room_max));
    }
    stream.next_out = reinterpret_cast<Bytef*>(out.data() + made);
    stream.avail_out = static_cast<uInt>(out.size() - made);
    step = inflate(&stream, Z_NO_FLUSH);
    made = out.size() - stream.avail_out;
    if (step == Z_BUF_ERROR && stream.avail_out == 0) step = Z_OK;
    if (step == Z_OK && stream.avail_in == 0 && stream.avail_out != 0) break;  // cut short
  }
  const bool ended = step == Z_STREAM_END && stream.avail_in == 0;
  inflateEnd(&stream);
  too_large = made > size_max;
  out.resize(std::min(made, size_max));
  return ended && !too_large;
}

void Deflate(std::string_view bytes, std::string& out) {
  out.clear();
  z_stream stream{};
  // Answers are sent once: the fastest level already takes most of what text has to give.
  if (bytes.size() > kPieceMax ||
      deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, kGzipWindow, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
    return;
  }
  out.resize(deflateBound(&stream, static_cast<uLong>(bytes.size())));
  stream.next_in = Bytes(bytes);
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const bool whole = deflate(&stream, Z_FINISH) == Z_STREAM_END;
  out.resize(whole ? out.size() - stream.avail_out : 0);
  deflateEnd(&stream);
}

}  // namespace penstock::grpc
