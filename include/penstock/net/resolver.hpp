#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "penstock/base/error.hpp"
#include "penstock/base/result.hpp"
#include "penstock/rt/worker.hpp"

namespace penstock::net {

class Subscription;

/// Shared: a mutex around a map of names. Turns host names into addresses by the system's resolver (getaddrinfo: hosts
/// file, search domains, both families), which blocks: so on a few threads of its own, started when first needed, never
/// on a worker.
///
/// Every worker that uses a name subscribes to it. The name is looked up once for all of them, again every kRefresh
/// while anybody is subscribed (getaddrinfo hides TTLs), and never twice within kLookupInterval. A failure keeps the
/// last good set. One thread is always left for names that do not fail, so a silent name server of some zone does not
/// stop the others.
class Resolver {
 public:
  static constexpr unsigned kThreadsMax = 4;
  static constexpr std::size_t kAddressesMax = 100;  ///< of one name; what comes after is left out
  static constexpr Duration kRefresh = std::chrono::seconds(30);
  static constexpr Duration kLookupInterval = std::chrono::seconds(1);
  static constexpr Duration kPatience =
      std::chrono::seconds(10);  ///< then a name without addresses is reported as failed

  using Addresses = std::vector<rt::Address>;
  /// Blocks. Ports do not matter. An empty list is a failure too.
  using Lookup = std::function<Result<Addresses>(const std::string& host)>;
  static Result<Addresses> SystemLookup(const std::string& host);

  explicit Resolver(Lookup lookup = &SystemLookup);
  /// Does not wait for look-ups under way: their threads end by themselves.
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  /// Follows `host` for `worker`; to be called and destroyed on its thread. An IP address, in brackets or not, and a
  /// name that is known already are there at once. `changed` is called on the worker's thread, never from inside this
  /// call, when addresses() or error() have become different.
  std::unique_ptr<Subscription> Watch(std::string_view host, std::uint16_t port, rt::Worker& worker,
                                      std::function<void()> changed);

  std::size_t names() const;  ///< followed by somebody now

 private:
  friend class Subscription;
  struct Shared;
  std::shared_ptr<Shared> shared_;
};

/// Owned by one Worker. One worker's view of one name.
class Subscription {
 public:
  ~Subscription();
  Subscription(const Subscription&) = delete;
  Subscription& operator=(const Subscription&) = delete;

  /// The last good set, with the port; empty until the first answer.
  const Resolver::Addresses& addresses() const noexcept { return addresses_; }
  /// Why there are no addresses (kUpstreamDns, Retry::kIfUnprocessed); empty while the first look-up is under way.
  const std::optional<Error>& error() const noexcept { return error_; }
  /// A connect failed: the set may be stale. Looks the name up, unless that was done within Resolver::kLookupInterval.
  void RefreshSoon();

 private:
  friend class Resolver;
  struct Link;
  Subscription(std::shared_ptr<Resolver::Shared> shared, std::string host, std::uint16_t port, rt::Worker& worker,
               std::function<void()> changed);
  void Deliver(const Resolver::Addresses* addresses, const std::optional<Error>& error);
  void Adopt(const Resolver::Addresses& addresses);
  void OnTimer();
  void ArmIn(Duration delay);

  std::shared_ptr<Resolver::Shared> shared_;  // null for an IP address
  std::shared_ptr<Link> link_;
  std::string host_;
  std::uint16_t port_;
  rt::Worker& worker_;
  std::function<void()> changed_;
  Resolver::Addresses addresses_;
  std::optional<Error> error_;
  Duration retry_ = Resolver::kLookupInterval;
  rt::Timer timer_;
};

}  // namespace penstock::net
