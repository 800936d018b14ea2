#include "proxy/client_address.hpp"

#include <algorithm>

namespace penstock::proxy {
namespace {

constexpr int kHopsMax = 16;

bool IsTrusted(std::string_view ip, const config::Server& server) {
  const auto address = IpAddress::Parse(ip);
  if (!address) return false;
  return std::any_of(server.trusted_proxies.begin(), server.trusted_proxies.end(),
                     [&](const IpPrefix& prefix) { return prefix.Contains(*address); });
}

std::string_view Trim(std::string_view text) {
  while (text.starts_with(' ') || text.starts_with('\t')) text.remove_prefix(1);
  while (text.ends_with(' ') || text.ends_with('\t')) text.remove_suffix(1);
  return text;
}

}  // namespace

bool IsTrustedProxy(const rt::Address& peer, const config::Server& server) {
  return !server.trusted_proxies.empty() && !peer.is_unix() && IsTrusted(peer.ip(), server);
}

std::string ClientAddress(const rt::Address& peer, const http::Head& head, const config::Server& server) {
  const std::string_view forwarded = head.Find(http::HeaderId::kXForwardedFor);
  if (forwarded.empty() || !IsTrustedProxy(peer, server)) return peer.ToString();
  std::string_view rest = forwarded;
  std::string_view nearest;
  for (int hop = 0; hop < kHopsMax && !rest.empty(); ++hop) {
    const std::size_t comma = rest.rfind(',');
    const std::string_view last = Trim(comma == rest.npos ? rest : rest.substr(comma + 1));
    if (!IpAddress::Parse(last)) break;  // a port, a name or rubbish: nothing behind it can be believed
    nearest = last;
    if (!IsTrusted(last, server)) break;
    rest = comma == rest.npos ? std::string_view{} : rest.substr(0, comma);
  }
  return nearest.empty() ? peer.ToString() : std::string(nearest);
}

}  // namespace penstock::proxy
