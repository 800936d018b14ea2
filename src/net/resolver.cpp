#include "penstock/net/resolver.hpp"

#include <netdb.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>

#include "net/resolver_shared.hpp"

namespace penstock::net {
namespace {

// A refresh asked for by one worker serves all: the others' timers, up to a jitter away, find the name fresh.
constexpr Duration kFreshFor = Resolver::kRefresh * 3 / 4;

rt::Address WithPort(const rt::Address& address, std::uint16_t port) {
  sockaddr_storage storage{};
  std::memcpy(&storage, address.get(), address.size());
  if (storage.ss_family == AF_INET) reinterpret_cast<sockaddr_in*>(&storage)->sin_port = htons(port);
  if (storage.ss_family == AF_INET6) reinterpret_cast<sockaddr_in6*>(&storage)->sin6_port = htons(port);
  return {reinterpret_cast<const sockaddr*>(&storage), address.size()};
}

/// Name servers rotate their answers: the order is no change.
bool SameSet(const Resolver::Addresses& a, const Resolver::Addresses& b) {
  return a.size() == b.size() && std::all_of(a.begin(), a.end(), [&](const rt::Address& address) {
           return std::find(b.begin(), b.end(), address) != b.end();
         });
}

/// The first kAddressesMax different ones, in the order given (RFC 6724 preference).
void Prune(Resolver::Addresses& addresses) {
  Resolver::Addresses kept;
  for (const rt::Address& address : addresses) {
    if (kept.size() == Resolver::kAddressesMax) break;
    if (std::find(kept.begin(), kept.end(), address) == kept.end()) kept.push_back(address);
  }
  addresses = std::move(kept);
}

Error DnsError(const char* reason) { return UpstreamError(ErrorCode::kUpstreamDns, Retry::kIfUnprocessed, reason); }

}  // namespace

Result<Resolver::Addresses> Resolver::SystemLookup(const std::string& host) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG;
  addrinfo* list = nullptr;
  const int code = ::getaddrinfo(host.c_str(), nullptr, &hints, &list);
  if (code != 0) return DnsError(::gai_strerror(code));
  Addresses addresses;
  for (const addrinfo* entry = list; entry != nullptr; entry = entry->ai_next)
    addresses.emplace_back(entry->ai_addr, entry->ai_addrlen);
  ::freeaddrinfo(list);
  return addresses;
}

Resolver::Resolver(Lookup lookup) : shared_(std::make_shared<Shared>()) {
  shared_->lookup = std::move(lookup);
  CPU_ZERO(&shared_->cores);
  ::sched_getaffinity(0, sizeof shared_->cores, &shared_->cores);
}

Resolver::~Resolver() {
  std::vector<std::unique_ptr<Shared::Thread>> ending;
  {
    const std::lock_guard lock(shared_->mutex);
    shared_->stopping = true;
    for (auto& thread : shared_->threads) {
      // One inside getaddrinfo may stay there for many seconds; it owns what it touches.
      if (thread->busy) {
        thread->thread.detach();
      } else {
        ending.push_back(std::move(thread));
      }
    }
  }
  shared_->work.notify_all();
  for (auto& thread : ending) thread->thread.join();
}

std::size_t Resolver::names() const {
  const std::lock_guard lock(shared_->mutex);
  return shared_->names.size();
}

std::unique_ptr<Subscription> Resolver::Watch(std::string_view host, std::uint16_t port, rt::Worker& worker,
                                              std::function<void()> changed) {
  std::string_view ip = host;
  if (ip.starts_with('[') && ip.ends_with(']')) ip = ip.substr(1, ip.size() - 2);
  const auto numeric = rt::Address::FromIp(ip, port);
  std::unique_ptr<Subscription> subscription(
      new Subscription(numeric ? nullptr : shared_, std::string(host), port, worker, std::move(changed)));
  if (numeric) subscription->addresses_ = {*numeric};
  return subscription;
}

Subscription::Subscription(std::shared_ptr<Resolver::Shared> shared, std::string host, std::uint16_t port,
                           rt::Worker& worker, std::function<void()> changed)
    : shared_(std::move(shared)),
      host_(std::move(host)),
      port_(port),
      worker_(worker),
      changed_(std::move(changed)),
      timer_(this, [](void* self) { static_cast<Subscription*>(self)->OnTimer(); }) {
  if (shared_ == nullptr) return;
  link_ = std::make_shared<Link>(Link{this, &worker_});
  const std::lock_guard lock(shared_->mutex);
  auto& name = shared_->names[host_];
  if (name == nullptr) {
    name = std::make_unique<Resolver::Shared::Name>();
    name->host = host_;
  }
  name->links.push_back(link_);
  if (name->addresses != nullptr) {
    Adopt(*name->addresses);
  } else {
    error_ = name->error;
  }
  shared_->Ask(*name, worker_.Now(), addresses_.empty() ? Resolver::kLookupInterval : kFreshFor);
  ArmIn(!addresses_.empty() ? Resolver::kRefresh : error_ ? Resolver::kLookupInterval : Resolver::kPatience);
}

Subscription::~Subscription() {
  if (shared_ == nullptr) return;
  link_->subscription = nullptr;
  shared_->Remove(host_, *link_);
}

void Subscription::RefreshSoon() {
  if (shared_ == nullptr) return;
  const std::lock_guard lock(shared_->mutex);
  shared_->Ask(*shared_->names.at(host_), worker_.Now(), Resolver::kLookupInterval);
}

void Subscription::Adopt(const Resolver::Addresses& addresses) {
  addresses_.clear();
  for (const rt::Address& address : addresses) addresses_.push_back(WithPort(address, port_));
  error_.reset();
}

void Subscription::Deliver(const Resolver::Addresses* addresses, const std::optional<Error>& error) {
  if (addresses != nullptr) {
    retry_ = Resolver::kLookupInterval;
    Adopt(*addresses);
    ArmIn(Resolver::kRefresh);
  } else {
    ArmIn(retry_);
    retry_ = std::min(retry_ * 2, Resolver::kRefresh);
    error_ = error;
  }
  if (changed_) changed_();
}

void Subscription::OnTimer() {
  bool silent = false;
  {
    const std::lock_guard lock(shared_->mutex);
    auto& name = *shared_->names.at(host_);
    shared_->Ask(name, worker_.Now(), addresses_.empty() ? Resolver::kLookupInterval : kFreshFor);
    silent = addresses_.empty() && worker_.Now() - name.asked >= Resolver::kPatience;
  }
  ArmIn(addresses_.empty() ? Resolver::kPatience : Resolver::kRefresh);
  if (silent && !error_) {
    error_ = DnsError("the resolver does not answer");
    if (changed_) changed_();
  }
}

/// Up to a tenth later, so that workers and names do not ask in step.
void Subscription::ArmIn(Duration delay) {
  worker_.Arm(timer_, delay + Duration(static_cast<std::int64_t>(
                                  worker_.prng().Below(static_cast<std::uint64_t>(delay.count() / 10)))));
}

void Resolver::Shared::Ask(Name& name, TimePoint now, Duration age_min) {
  if (stopping || name.queued || name.running) return;
  if (name.asked_ever && now - name.asked < age_min) return;
  name.asked = now;
  name.asked_ever = true;
  name.queued = true;
  queue.push_back(&name);
  if (idle < queue.size() && threads.size() < kThreadsMax) StartThread();
  work.notify_one();
}

void Resolver::Shared::StartThread() {
  auto& self = *threads.emplace_back(std::make_unique<Thread>());
  self.thread = std::thread([shared = shared_from_this(), &self] {
    ::sched_setaffinity(0, sizeof shared->cores, &shared->cores);
    shared->Serve(self);
  });
}

/// The first name that may run; doubtful ones leave one thread to the others.
Resolver::Shared::Name* Resolver::Shared::Next() {
  for (auto entry = queue.begin(); entry != queue.end(); ++entry) {
    Name* name = *entry;
    if (name->error && doubtful + 1 >= kThreadsMax) continue;
    queue.erase(entry);
    return name;
  }
  return nullptr;
}

void Resolver::Shared::Serve(Thread& self) {
  std::unique_lock lock(mutex);
  while (!stopping) {
    Name* name = Next();
    if (name == nullptr) {
      ++idle;
      work.wait(lock);
      --idle;
      continue;
    }
    name->queued = false;
    name->running = self.busy = true;
    const bool was_doubtful = name->error.has_value();
    if (was_doubtful) ++doubtful;
    const std::string host = name->host;
    lock.unlock();
    Result<Addresses> answer = lookup(host);
    lock.lock();
    if (was_doubtful && doubtful-- == kThreadsMax - 1) work.notify_one();
    self.busy = name->running = false;
    Finish(*name, std::move(answer));
  }
}

void Resolver::Shared::Finish(Name& name, Result<Addresses> answer) {
  if (name.links.empty()) {
    Drop(name);
    return;
  }
  bool tell = false;
  if (answer.has_value() && !answer->empty()) {
    Prune(*answer);
    tell = name.addresses == nullptr || !SameSet(*name.addresses, *answer);
    if (tell) name.addresses = std::make_shared<const Addresses>(std::move(*answer));
    name.error.reset();
  } else {
    name.error = answer.has_value() ? DnsError("the name has no address") : answer.error();
    tell = name.addresses == nullptr;
  }
  if (!tell) return;
  for (const auto& link : name.links) {
    link->worker->Post([link, addresses = name.addresses, error = name.error] {
      if (link->subscription != nullptr) link->subscription->Deliver(addresses.get(), error);
    });
  }
}

void Resolver::Shared::Remove(const std::string& host, const Subscription::Link& link) {
  const std::lock_guard lock(mutex);
  Name& name = *names.at(host);
  std::erase_if(name.links, [&](const auto& other) { return other.get() == &link; });
  if (!name.links.empty() || name.running) return;
  if (name.queued) std::erase(queue, &name);
  Drop(name);
}

void Resolver::Shared::Drop(Name& name) { names.erase(std::string(name.host)); }

}  // namespace penstock::net
