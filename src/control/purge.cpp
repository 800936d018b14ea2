#include "control/purge.hpp"

#include <boost/json.hpp>

#include "control/json_page.hpp"

namespace penstock::control {
namespace {

/// Owned by one Worker. What is heard of a purge, also after whoever waited for it has gone.
struct Heard {
  rt::Signal changed;
  std::optional<bool> redis;  ///< Redis was told
  std::optional<bool> disk;   ///< it is on the disk
};

using HeardPtr = std::shared_ptr<Heard>;

/// The disk tier answers on its own thread.
cache::DiskTier::Done WhenOnDisk(rt::Worker& worker, const HeardPtr& heard) {
  return [&worker, heard](std::optional<std::uint64_t> value) {
    worker.Post([heard, done = value.has_value()] {
      heard->disk = done;
      heard->changed.Set();
    });
  };
}

/// A worker answers on its thread.
std::function<void(bool)> WhenInRedis(rt::Worker& worker, const HeardPtr& heard) {
  return [&worker, heard](bool reached) {
    worker.Post([heard, reached] {
      heard->redis = reached;
      heard->changed.Set();
    });
  };
}

void PurgeKey(rt::Worker& worker, Workers& workers, cache::SharedCache& cache, const Digest& key, const HeardPtr& heard,
              Members& members) {
  cache.key_purges.fetch_add(1);
  cache.flights.Forbid(key);
  const bool removed = cache.memory != nullptr && cache.memory->Erase(key);
  members.Text("key", HexString(key));
  members.Number("removed_from_memory", removed ? 1 : 0);
  if (cache.disk != nullptr) cache.disk->Remove(key, WhenOnDisk(worker, heard));
  workers.TellOne(
      0, [key, done = WhenInRedis(worker, heard)](proxy::Gateway& gateway) { gateway.PublishPurgedKey(key, done); });
}

void PurgeEpoch(rt::Worker& worker, Workers& workers, cache::SharedCache& cache, const std::string& name,
                const cache::PurgeScope& scope, const HeardPtr& heard, Members& members) {
  const std::uint64_t epoch = cache.epochs.Raise(name);
  members.Text("raised", name);
  members.Number("epoch", epoch);
  members.Number("removed_from_memory", cache.memory == nullptr ? 0 : cache.memory->Clear(scope));
  if (cache.disk != nullptr) {
    cache.disk->RaiseEpoch(name, epoch, WhenOnDisk(worker, heard));
    cache.disk->Clear(scope.tenant, scope.model, [](std::optional<std::uint64_t>) {});
  }
  workers.TellOne(0, [name, epoch, done = WhenInRedis(worker, heard)](proxy::Gateway& gateway) {
    gateway.PublishEpoch(name, epoch, done);
  });
}

}  // namespace

std::optional<PurgeOrder> ParsePurge(std::string_view body, const char*& why) {
  why = R"(the body must be one of {"key":DIGEST}, {"model":NAME}, {"tenant":NAME} and {"all":true})";
  boost::system::error_code error;
  const boost::json::value value = boost::json::parse(body, error);
  const boost::json::object* object = error ? nullptr : value.if_object();
  if (object == nullptr || object->size() != 1) return std::nullopt;
  const auto& [name, wanted] = *object->begin();
  const boost::json::string* text = wanted.if_string();
  PurgeOrder order;
  if (name == "all" && wanted.is_bool() && wanted.get_bool()) {
    order.all = true;
  } else if (name == "model" && text != nullptr) {
    order.model.emplace(*text);
  } else if (name == "tenant" && text != nullptr) {
    order.tenant.emplace(*text);
  } else if (name == "key" && text != nullptr) {
    const auto digest = ParseDigest(std::string_view(*text));
    if (!digest.has_value()) {
      why = "a key is 64 hexadecimal digits";
      return std::nullopt;
    }
    order.key = *digest;
  } else {
    return std::nullopt;
  }
  return order;
}

rt::Task<std::string> Purge(rt::Worker& worker, Workers& workers, cache::SharedCache& cache, PurgeOrder order) {
  const auto heard = std::make_shared<Heard>();
  std::string page;
  Members members(page);
  if (order.key.has_value()) {
    PurgeKey(worker, workers, cache, *order.key, heard, members);
  } else {
    cache::PurgeScope scope;
    std::string name(cache::Epochs::kAll);
    if (order.model.has_value()) {
      name = cache::Epochs::NameOfModel(*order.model);
      scope.model = cache::ModelIdentity(*order.model, {}, {}).id();
    } else if (order.tenant.has_value()) {
      name = cache::Epochs::NameOfTenant(*order.tenant);
      scope.tenant = (*order.tenant == config::kAnonymous ? cache::TenantScope::Anonymous()
                                                          : cache::TenantScope::OfKey(*order.tenant))
                         .id();
    }
    PurgeEpoch(worker, workers, cache, name, scope, heard, members);
  }
  const bool redis = !cache.redis.urls.empty();
  const bool disk = cache.disk != nullptr;
  rt::Timer patience(heard.get(), [](void* waiting) {
    auto& of = *static_cast<Heard*>(waiting);
    if (!of.redis.has_value()) of.redis = false;
    if (!of.disk.has_value()) of.disk = false;
    of.changed.Set();
  });
  worker.Arm(patience, kPurgePatience);
  while ((redis && !heard->redis.has_value()) || (disk && !heard->disk.has_value())) co_await heard->changed;
  members.Text("redis", !redis ? "off" : *heard->redis ? "published" : "unreachable");
  members.Text("disk", !disk ? "off" : *heard->disk ? "written" : "failed");
  members.End();
  co_return page;
}

}  // namespace penstock::control
