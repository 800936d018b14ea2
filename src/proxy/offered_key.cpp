#include "penstock/proxy/offered_key.hpp"

namespace penstock::proxy {
namespace {

bool IsBearer(std::string_view scheme) noexcept {
  constexpr std::string_view kBearer = "bearer";
  if (scheme.size() != kBearer.size()) return false;
  for (std::size_t i = 0; i < scheme.size(); ++i) {
    if ((scheme[i] | 0x20) != kBearer[i]) return false;
  }
  return true;
}

}  // namespace

std::string_view OfferedKey(const http::Head& head) noexcept {
  const std::string_view authorization = head.Find(http::HeaderId::kAuthorization);
  if (authorization.empty()) return head.Find(http::HeaderId::kXApiKey);
  const std::size_t space = authorization.find(' ');
  if (space == authorization.npos || !IsBearer(authorization.substr(0, space))) return authorization;  // fits no key
  const std::size_t begin = authorization.find_first_not_of(' ', space);
  return begin == authorization.npos ? std::string_view{} : authorization.substr(begin);
}

}  // namespace penstock::proxy
