#include "cache/memory/compression.hpp"

#include <zstd.h>

#include <memory>
#include <vector>

namespace penstock::cache {
namespace {

// The fastest that still finds the repetitions of JSON and of stream events; those shrink to a fifth and less.
constexpr int kLevel = 1;

struct ContextFree {
  void operator()(ZSTD_CCtx* context) const noexcept { ZSTD_freeCCtx(context); }
  void operator()(ZSTD_DCtx* context) const noexcept { ZSTD_freeDCtx(context); }
};

struct Compressor {
  std::unique_ptr<ZSTD_CCtx, ContextFree> context{ZSTD_createCCtx()};
  std::vector<char> frame;
};

}  // namespace

SharedBytes Compress(const SharedBytes& bytes) {
  if (bytes.empty() || bytes.size() > kCompressMax) return {};
  thread_local Compressor compressor;
  const std::size_t worth = bytes.size() - bytes.size() / 8;
  if (compressor.frame.size() < worth) compressor.frame.resize(worth);
  // A frame that does not fit is an error to zstd, and to us bytes that do not compress.
  const std::size_t size = ZSTD_compressCCtx(compressor.context.get(), compressor.frame.data(), worth,
                                             bytes.view().data(), bytes.size(), kLevel);
  if (ZSTD_isError(size) != 0) return {};
  return SharedBytes::Copy({compressor.frame.data(), size});
}

SharedBytes Decompress(const SharedBytes& packed) {
  thread_local const std::unique_ptr<ZSTD_DCtx, ContextFree> context{ZSTD_createDCtx()};
  const std::string_view frame = packed.view();
  const unsigned long long size = ZSTD_getFrameContentSize(frame.data(), frame.size());
  if (size > kCompressMax) return {};  // the error values are the largest numbers
  return SharedBytes::Make(static_cast<std::size_t>(size), [&](char* bytes) {
    return ZSTD_decompressDCtx(context.get(), bytes, size, frame.data(), frame.size()) == size;
  });
}

}  // namespace penstock::cache
