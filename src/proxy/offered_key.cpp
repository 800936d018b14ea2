#include "penstock/proxy/offered_key.hpp"

#include "proxy/text.hpp"

namespace penstock::proxy {
namespace {

constexpr std::string_view kNobodys = "\n";  // no field can hold it

}  // namespace

std::string_view OfferedKey(const http::Head& head) noexcept {
  const std::string_view authorization = head.Find(http::HeaderId::kAuthorization);
  if (authorization.empty()) return head.Find(http::HeaderId::kXApiKey);
  const std::size_t space = authorization.find(' ');
  if (space == authorization.npos || !EqualsLower(authorization.substr(0, space), "bearer")) return kNobodys;
  const std::size_t begin = authorization.find_first_not_of(' ', space);
  return begin == authorization.npos ? std::string_view{} : authorization.substr(begin);
}

}  // namespace penstock::proxy
