#pragma once

#include <cstddef>

#include "penstock/mem/shared_bytes.hpp"

namespace penstock::cache {

/// Larger entries stay as they are: a hit on a cold one may not take longer than about a millisecond.
inline constexpr std::size_t kCompressMax = 1024 * 1024;

/// The bytes as one zstd frame, or nothing when they do not become an eighth smaller. Uses a context and a buffer of
/// the calling thread, about 2 MiB once it has compressed the largest.
SharedBytes Compress(const SharedBytes& bytes);

/// The bytes again; nothing when `packed` is no frame of Compress.
SharedBytes Decompress(const SharedBytes& packed);

}  // namespace penstock::cache
