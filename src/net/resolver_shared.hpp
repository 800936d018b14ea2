#pragma once

#include <sched.h>

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "penstock/net/resolver.hpp"

namespace penstock::net {

/// Shared: touched on the worker's thread only, but kept alive by letters in its mailbox: they find out here whether
/// their subscription still lives.
struct Subscription::Link {
  Subscription* subscription;
  rt::Worker* worker;
};

/// Shared: a mutex. Kept alive by the resolver, its subscriptions and its threads.
struct Resolver::Shared : std::enable_shared_from_this<Resolver::Shared> {
  struct Name {
    std::string host;
    std::shared_ptr<const Addresses> addresses;  // the last good set
    std::optional<Error> error;                  // of the last look-up
    std::vector<std::shared_ptr<Subscription::Link>> links;
    TimePoint asked{};
    bool asked_ever = false;
    bool queued = false;
    bool running = false;
  };
  struct Thread {
    std::thread thread;
    bool busy = false;
  };

  /// Queues a look-up unless one is under way or the last began less than `age_min` ago. The mutex is held.
  void Ask(Name& name, TimePoint now, Duration age_min);
  void StartThread();
  void Serve(Thread& self);
  Name* Next();
  void Finish(Name& name, Result<Addresses> answer);
  void Remove(const std::string& host, const Subscription::Link& link);
  void Drop(Name& name);

  Lookup lookup;
  cpu_set_t cores{};  // of the thread that made the resolver: a worker that starts a thread is pinned to one core
  std::mutex mutex;
  std::condition_variable work;
  std::unordered_map<std::string, std::unique_ptr<Name>> names;
  std::deque<Name*> queue;  // each name once
  std::vector<std::unique_ptr<Thread>> threads;
  unsigned idle = 0;
  unsigned doubtful = 0;  // running look-ups of names that failed before
  bool stopping = false;
};

}  // namespace penstock::net
