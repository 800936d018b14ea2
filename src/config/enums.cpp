#include "config/enums.hpp"

namespace penstock::config {
namespace {

template <class E>
std::string_view NameOf(E value) noexcept {
  for (const auto& row : EnumRows<E>::kRows) {
    if (row.value == value) return row.name;
  }
  return {};
}

}  // namespace

std::string_view Name(EventLoop loop) noexcept { return NameOf(loop); }
std::string_view Name(LogLevel level) noexcept { return NameOf(level); }
std::string_view Name(LogFormat format) noexcept { return NameOf(format); }
std::string_view Name(EndpointKind kind) noexcept { return NameOf(kind); }
std::string_view Name(UpstreamProtocol protocol) noexcept { return NameOf(protocol); }
std::string_view Name(StreamUpstream mode) noexcept { return NameOf(mode); }
std::string_view Name(Rescue rescue) noexcept { return NameOf(rescue); }
std::string_view Name(BalancerPolicy policy) noexcept { return NameOf(policy); }
std::string_view Name(WarmupApi api) noexcept { return NameOf(api); }
std::string_view Name(Priority priority) noexcept { return NameOf(priority); }
std::string_view Name(CachePartition partition) noexcept { return NameOf(partition); }
std::string_view Name(CacheStore store) noexcept { return NameOf(store); }
std::string_view Name(CacheEviction policy) noexcept { return NameOf(policy); }
std::string_view Name(RedisMode mode) noexcept { return NameOf(mode); }

}  // namespace penstock::config
