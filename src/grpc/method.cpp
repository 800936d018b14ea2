#include "penstock/grpc/method.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

namespace penstock::grpc {
namespace {

using llm::Family;

constexpr Method kMethods[] = {
    {"/penstock.v1.Inference/Chat", Service::kCompletions, Family::kChat, false, false},
    {"/penstock.v1.Inference/ChatStream", Service::kCompletions, Family::kChat, false, true},
    {"/penstock.v1.Inference/Complete", Service::kCompletions, Family::kCompletions, false, false},
    {"/penstock.v1.Inference/CompleteStream", Service::kCompletions, Family::kCompletions, false, true},
    {"/penstock.v1.Inference/Embed", Service::kCompletions, Family::kEmbeddings, false, false},
    {"/penstock.v1.Inference/ListModels", Service::kModels, Family::kChat, false, false},
    {"/inference.GRPCInferenceService/ServerLive", Service::kKserveFacts, Family::kCompletions, false, false},
    {"/inference.GRPCInferenceService/ServerReady", Service::kKserveFacts, Family::kCompletions, false, false},
    {"/inference.GRPCInferenceService/ServerMetadata", Service::kKserveFacts, Family::kCompletions, false, false},
    {"/inference.GRPCInferenceService/ModelReady", Service::kKserveFacts, Family::kCompletions, false, false},
    {"/inference.GRPCInferenceService/ModelMetadata", Service::kKserveFacts, Family::kCompletions, false, false},
    {"/inference.GRPCInferenceService/ModelInfer", Service::kKserve, Family::kCompletions, false, false},
    {"/inference.GRPCInferenceService/ModelStreamInfer", Service::kKserve, Family::kCompletions, true, true},
    {"/grpc.health.v1.Health/Check", Service::kHealth, Family::kChat, false, false},
    {"/grpc.health.v1.Health/Watch", Service::kHealth, Family::kChat, false, true},
    {"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", Service::kReflection, Family::kChat, true, true},
    {"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", Service::kReflection, Family::kChat, true, true},
};

constexpr std::size_t kSlots = 64;  // nearly four for each method
constexpr std::uint8_t kEmpty = 0xFF;

/// Of the size and the last bytes, by FNV-1a's step (http://www.isthe.com/chongo/tech/comp/fnv/): methods differ in
/// their ends. The table is fixed, so nobody can make it collide.
constexpr std::size_t SlotOf(std::string_view path) noexcept {
  constexpr std::size_t kHashed = 8;
  std::uint32_t hash = 2166136261u ^ static_cast<std::uint32_t>(path.size());
  for (const char c : path.substr(path.size() - std::min(path.size(), kHashed))) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 16777619u;
  }
  return (hash ^ hash >> 16) % kSlots;
}

constexpr std::array<std::uint8_t, kSlots> kTable = [] {
  std::array<std::uint8_t, kSlots> table{};
  table.fill(kEmpty);
  for (std::size_t i = 0; i < std::size(kMethods); ++i) {
    std::size_t slot = SlotOf(kMethods[i].path);
    while (table[slot] != kEmpty) slot = (slot + 1) % kSlots;
    table[slot] = static_cast<std::uint8_t>(i);
  }
  return table;
}();

constexpr std::size_t kPathMax = [] {
  std::size_t longest = 0;
  for (const Method& method : kMethods) longest = method.path.size() > longest ? method.path.size() : longest;
  return longest;
}();

}  // namespace

std::span<const Method> Methods() noexcept { return kMethods; }

const Method* FindMethod(std::string_view path) noexcept {
  if (path.size() > kPathMax) return nullptr;
  for (std::size_t slot = SlotOf(path); kTable[slot] != kEmpty; slot = (slot + 1) % kSlots) {
    if (const Method& method = kMethods[kTable[slot]]; method.path == path) return &method;
  }
  return nullptr;
}

}  // namespace penstock::grpc
