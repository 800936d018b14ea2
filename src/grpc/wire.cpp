#include "grpc/wire.hpp"

#include <array>

#include "penstock/grpc/translation.hpp"

namespace penstock::grpc {
namespace {

const char* SkipGroup(const char* at, const char* end, std::uint32_t number, std::uint32_t depth) noexcept {
  std::array<std::uint32_t, kMessageDepthMax> open;  // NOLINT: only [0, levels) is read
  if (depth == 0) return nullptr;
  open[0] = number;
  std::uint32_t levels = 1;
  while (levels != 0) {
    std::uint32_t tag = 0;
    at = ReadTag(at, end, tag);
    if (at == nullptr || tag >> 3 == 0) return nullptr;
    const auto wire = static_cast<Wire>(tag & 7);
    if (wire == Wire::kGroup) {
      if (levels == depth || levels == open.size()) return nullptr;
      open[levels++] = tag >> 3;
    } else if (wire == Wire::kGroupEnd) {
      if (open[--levels] != tag >> 3) return nullptr;
    } else if (at = SkipValue(at, end, tag, 0); at == nullptr) {
      return nullptr;
    }
  }
  return at;
}

}  // namespace

const char* SkipValue(const char* at, const char* end, std::uint32_t tag, std::uint32_t depth) noexcept {
  std::uint64_t ignored = 0;
  const auto left = static_cast<std::size_t>(end - at);
  switch (static_cast<Wire>(tag & 7)) {
    case Wire::kVarint: return ReadVarint(at, end, ignored);
    case Wire::kFixed64: return left < 8 ? nullptr : at + 8;
    case Wire::kLength: return ReadLength(at, end).end;
    case Wire::kGroup: return SkipGroup(at, end, tag >> 3, depth);
    case Wire::kFixed32: return left < 4 ? nullptr : at + 4;
    case Wire::kGroupEnd: return nullptr;
  }
  return nullptr;  // 6 and 7 are nothing
}

}  // namespace penstock::grpc
