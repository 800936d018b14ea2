#include "penstock/proxy/gateway.hpp"

#include <algorithm>

#include "penstock/base/xxh64.hpp"
#include "proxy/cache_sample.hpp"
#include "proxy/exchange.hpp"
#include "proxy/grpc/call.hpp"
#include "proxy/grpc/test_call.hpp"

namespace penstock::proxy {
namespace {

constexpr std::size_t kFreeExchangesMax = 1024;

bool IsGrpcCall(const server::ResponseStream& stream, const http::Head& head) noexcept {
  return stream.protocol() == server::Protocol::kHttp2 && head.method == http::Method::kPost &&
         grpc::ContentTypeOf(head.Find(http::HeaderId::kContentType)) != grpc::ContentType::kNone;
}

/// How far `zone` is: its place among the gateway's `zones`, or behind all of them.
std::uint32_t ZoneRank(const std::vector<std::string>& zones, const std::string& zone) {
  return static_cast<std::uint32_t>(std::find(zones.begin(), zones.end(), zone) - zones.begin());
}

policy::EndpointView ViewOf(const upstream::Endpoint& endpoint, const config::Balancer& balancer,
                            const std::vector<std::string>& zones) {
  policy::EndpointView view;
  view.load = &endpoint.load;
  view.weight = endpoint.spec().weight;
  view.zone_rank = ZoneRank(zones, endpoint.spec().zone);
  view.slow_start = balancer.slow_start;
  view.id = Xxh64(endpoint.name() + ' ' + endpoint.spec().url.ToString(), 0);
  return view;
}

}  // namespace

const ModelRoute* Snapshot::FindModel(std::string_view name) const noexcept {
  const auto found = by_name.find(name);
  return found == by_name.end() ? nullptr : &models[found->second];
}

Gateway::Gateway(rt::Worker& worker, rt::OffloadThreads& offload, net::Resolver& resolver,
                 telemetry::WorkerMetrics& metrics, telemetry::AccessLog& access_log, server::ConnectionCount& count,
                 cache::SharedCache& cache, cache::RedisEvents* redis_events, std::shared_ptr<const Snapshot> snapshot)
    : context_(std::make_unique<WorkerContext>(
          worker, offload, resolver, metrics, access_log, cache,
          cache.redis.urls.empty()
              ? nullptr
              : std::make_unique<cache::RedisTier>(worker, resolver, cache.redis, cache.redis_purges, *redis_events))) {
  if (context_->redis != nullptr && worker.index() == 0) {
    context_->redis_listener =
        std::make_unique<cache::RedisListener>(worker, resolver, cache.redis, cache.redis_purges, *redis_events);
  }
  server_ = std::make_unique<server::Server>(worker, *this, count, snapshot->server_options);
  Apply(std::move(snapshot));
}

Gateway::~Gateway() {
  server_.reset();  // connections first: they end the exchanges, all but those that others followed
  for (const std::vector<Exchange*> rest = context_->live; Exchange * exchange : rest) exchange->Abandon();
  context_->purges.clear();
  context_->redis_listener.reset();
  context_->redis.reset();  // nobody looks anything up any more
  context_->view.reset();
  context_->pools.clear();
  context_->worker.EmptyGraves();  // HTTP/2 sessions among them give their memory back to the context
}

void Gateway::Apply(std::shared_ptr<const Snapshot> snapshot) {
  ViewPtr view(new View);
  std::unordered_map<const upstream::Endpoint*, EndpointPoolPtr> pools;
  for (const ClusterRoute& route : snapshot->clusters) {
    ClusterView& cluster = view->clusters.emplace_back();
    cluster.route = &route;
    std::vector<policy::EndpointView> endpoints;
    for (std::size_t i = 0; i < route.endpoints.size(); ++i) {
      const std::shared_ptr<upstream::Endpoint>& endpoint = route.endpoints[i];
      const auto known = context_->pools.find(endpoint.get());
      EndpointPoolPtr pool = known != context_->pools.end()
                                 ? known->second
                                 : EndpointPoolPtr(new EndpointPool(*context_, endpoint, route.pools[i]));
      pools.emplace(endpoint.get(), pool);
      cluster.pools.push_back(std::move(pool));
      endpoints.push_back(ViewOf(*endpoint, route.config->balancer, snapshot->config.server.zones));
    }
    cluster.balancer = policy::MakeZoned(*route.balancer, endpoints, context_->worker.prng());
  }
  for (auto& [endpoint, pool] : context_->pools) {
    if (!pools.contains(endpoint)) pool->Retire();
  }
  context_->pools = std::move(pools);
  server_->SetOptions(snapshot->server_options);
  context_->workers = snapshot->config.server.workers.value_or(rt::UsableCores());
  context_->buffered_bytes_max = snapshot->config.server.limits.buffered_bytes / context_->workers;
  view->snapshot = std::move(snapshot);
  context_->view = std::move(view);
  context_->metrics.ForgetSeries();
}

Exchange& Gateway::Take() {
  if (context_->free_exchanges.empty())
    context_->free_exchanges.push_back(std::make_unique<Exchange>(*this, *context_));
  auto& live = static_cast<Exchange&>(*context_->free_exchanges.back().release());
  context_->free_exchanges.pop_back();
  live.place = context_->live.size();
  context_->live.push_back(&live);
  return live;
}

server::RequestHandler& Gateway::OnRequest(server::ResponseStream& stream, http::HeadPtr head, bool body_follows,
                                           bool expect_continue, const Error* reject) {
  if (IsGrpcCall(stream, *head)) return BeginCall(stream, std::move(head), body_follows, reject);
  Exchange& exchange = Take();
  exchange.Begin(stream, std::move(head), body_follows, expect_continue, reject);
  return exchange;
}

server::RequestHandler& Gateway::BeginCall(server::ResponseStream& stream, http::HeadPtr head, bool body_follows,
                                           const Error* reject) {
  if (context_->grpc_tests && reject == nullptr && head->target().starts_with(grpc::kTestServicePrefix)) {
    auto& call = *std::make_unique<TestCall>(*context_, stream).release();
    call.Begin(*head, body_follows);
    return call;
  }
  if (context_->free_calls.empty()) context_->free_calls.push_back(std::make_unique<GrpcCall>(*this, *context_));
  auto& call = static_cast<GrpcCall&>(*context_->free_calls.back().release());
  context_->free_calls.pop_back();
  call.Begin(stream, std::move(head), body_follows, reject);
  return call;
}

void Gateway::Recycle(GrpcCall& call) {
  std::unique_ptr<rt::Mortal> owned(&call);
  if (context_->free_calls.size() < kFreeExchangesMax) {
    context_->free_calls.push_back(std::move(owned));
  } else {
    context_->worker.Bury(std::move(owned));
  }
}

void Gateway::Recycle(Exchange& exchange) {
  std::vector<Exchange*>& live = context_->live;
  live[exchange.place] = live.back();
  live[exchange.place]->place = exchange.place;
  live.pop_back();
  std::unique_ptr<rt::Mortal> owned(&exchange);
  if (context_->free_exchanges.size() < kFreeExchangesMax) {
    context_->free_exchanges.push_back(std::move(owned));
  } else {
    context_->worker.Bury(std::move(owned));
  }
}

std::size_t Gateway::exchanges() const noexcept { return context_->live.size() - context_->watchers.size(); }

void Gateway::Sample() {
  telemetry::WorkerMetrics& metrics = context_->metrics;
  metrics.gateway.buffered_bytes.Set(metrics.slab, static_cast<std::int64_t>(context_->buffered_bytes()));
  for (const auto& [endpoint, pool] : context_->pools) pool->Sample();
  SampleCache(*context_);
}

namespace {

rt::Task<void> Tell(rt::Task<bool> telling, std::function<void(bool)> told) { told(co_await std::move(telling)); }

/// Keeps the task until it ends; those that have ended go when the next one comes.
void Keep(std::vector<rt::Task<void>>& tasks, rt::Task<void> task) {
  std::erase_if(tasks, [](const rt::Task<void>& each) { return each.done(); });
  tasks.push_back(std::move(task));
  tasks.back().Start();
}

}  // namespace

void Gateway::PublishEpoch(std::string name, std::uint64_t value, std::function<void(bool)> told) {
  if (context_->redis == nullptr) return told(false);
  Keep(context_->purges, Tell(context_->redis->PublishEpoch(std::move(name), value), std::move(told)));
}

void Gateway::PublishPurgedKey(const Digest& key, std::function<void(bool)> told) {
  if (context_->redis == nullptr) return told(false);
  Keep(context_->purges, Tell(context_->redis->PurgeKey(key), std::move(told)));
}

void Gateway::SetOverload(policy::OverloadActions actions) {
  using policy::OverloadAction;
  context_->overload = actions;
  server_->SetPressure(!actions.Has(OverloadAction::kDisableKeepalive), !actions.Has(OverloadAction::kStopAccepting));
}

void Gateway::ResetLargest() {
  Exchange* largest = nullptr;
  std::size_t most = 0;
  for (Exchange* exchange : context_->live) {
    const std::size_t held = exchange->MayShed() ? exchange->held_bytes() : 0;
    if (held > most) {
      most = held;
      largest = exchange;
    }
  }
  if (largest == nullptr) return;
  context_->metrics.gateway.overload.reset.Add(context_->metrics.slab);
  largest->Shed();
}

namespace {

/// Each looks at the worker's state again; one that ends takes itself off the list.
void WakeWatchers(WorkerContext& worker) {
  for (const std::vector<rt::Signal*> watchers = worker.watchers; rt::Signal * watcher : watchers) watcher->Set();
}

}  // namespace

void Gateway::EndWatches() {
  context_->leaving = true;
  WakeWatchers(*context_);
}

void Gateway::ServeGrpcTests() { context_->grpc_tests = true; }

void Gateway::BeginDrain() {
  context_->draining = true;
  WakeWatchers(*context_);
  server_->BeginDrain();
}

void Gateway::EndAll() {
  const std::vector<Exchange*>& live = context_->live;
  for (Exchange* exchange : std::vector(live)) {
    const bool lives = exchange->place < live.size() && live[exchange->place] == exchange;  // it may end with another's
    if (lives) exchange->End();
  }
}

void Gateway::OnProtocolReject(server::Protocol protocol, const char* reason) {
  context_->metrics.CountProtocolReject(LabelOf(protocol), reason);
}

void Gateway::OnConnectionKilled(const char* reason) { context_->metrics.CountConnectionKilled(reason); }

}  // namespace penstock::proxy
