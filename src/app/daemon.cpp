#include "app/daemon.hpp"

#include <signal.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "app/crash_report.hpp"
#include "app/event_loops.hpp"
#include "app/file_limit.hpp"
#include "app/log_setup.hpp"
#include "app/service_notify.hpp"
#include "app/version.hpp"
#include "penstock/control/snapshot_builder.hpp"
#include "penstock/proxy/routes.hpp"

namespace penstock::app {
namespace {

/// Labels of the metrics: every row of the route table, then the one for requests that match none.
std::vector<std::string_view> RouteNames() {
  std::vector<std::string_view> names;
  for (const proxy::Route& route : proxy::Routes()) names.push_back(route.name);
  names.push_back(proxy::kNoRouteName);
  return names;
}

}  // namespace

Daemon::Daemon(std::string config_file, const config::LoadResult& loaded, bool grpc_tests)
    : config_file_(std::move(config_file)),
      loaded_(loaded),
      config_(*loaded.config),
      worker_count_(config_.server.workers.value_or(rt::UsableCores())),
      grpc_tests_(grpc_tests),
      registry_(telemetry::GatewayFamilies()),
      control_slab_(registry_.OpenSlab()),
      metrics_(registry_, RouteNames(), {PENSTOCK_VERSION, PENSTOCK_COMMIT}, control_slab_),
      redis_reports_(cache_.cache,
                     [this](std::string server, cache::RedisTrouble trouble) {
                       control_.Post([server = std::move(server), trouble](control::Control& control) {
                         control.NoteRedis(server, trouble);
                       });
                     }),
      control_(MakeEventLoop(config_.server.event_loop)) {}

std::optional<std::string> Daemon::Prepare() {
  if (auto error = RaiseFileLimit(config_, worker_count_)) return error;
  if (auto error = BuildSnapshot()) return error;
  if (auto error = OpenLogs()) return error;
  if (auto error = OpenListeners()) return error;
  if (auto error = OpenCache()) return error;
  BuildWorkers();
  BuildControl();
  return std::nullopt;
}

std::optional<std::string> Daemon::BuildSnapshot() {
  control::BuildResult built = control::BuildSnapshot(config_, nullptr, registry_, cache_.cache.epochs);
  snapshot_ = std::move(built.snapshot);
  if (snapshot_ != nullptr) return std::nullopt;
  std::string lines;
  for (const control::BuildError& error : built.errors)
    lines += (lines.empty() ? "" : "\n") + loaded_.problem_at(error.path, error.message).ToString();
  return lines;
}

std::optional<std::string> Daemon::OpenLogs() {
  const telemetry::LogSinkOptions options = LogSinkOptionsOf(config_.log, worker_count_ + 1);
  auto sink = telemetry::LogSink::Open(options);
  if (!sink.has_value()) return "cannot open the access log " + options.access + ": " + AccessLogProblem(errno);
  log_sink_ = std::move(*sink);
  log_.emplace(LoggerOf(config_.log, log_sink_->OpenChannel()));
  telemetry::AddLogSource(registry_, *log_sink_);
  return std::nullopt;
}

/// After the listeners: one process at a time has them, so one has the folder.
std::optional<std::string> Daemon::OpenCache() {
  const auto report = [this](std::string line) {
    control_.Post([line = std::move(line)](control::Control& control) { control.Warn(line); });
  };
  return app::OpenCache(config_.cache, worker_count_, report, cache_);
}

std::optional<std::string> Daemon::OpenListeners() {
  for (const config::Listener& listener : config_.server.listeners) {
    auto opened = OpenAddress::Open(listener.address, worker_count_);
    if (!opened.has_value()) return opened.error();
    listeners_.push_back(std::move(*opened));
  }
  auto opened = OpenAddress::Open(config_.admin.address, 1);
  if (!opened.has_value()) return opened.error();
  admin_ = std::move(*opened);
  return std::nullopt;
}

void Daemon::BuildWorkers() {
  for (unsigned i = 0; i < worker_count_; ++i) {
    workers_.push_back(std::make_unique<WorkerThread>(i, MakeEventLoop(config_.server.event_loop), offload_, resolver_,
                                                      metrics_, log_sink_->OpenChannel(), log_sink_->access_enabled(),
                                                      connections_, cache_.cache, &redis_reports_, snapshot_));
    if (grpc_tests_) workers_[i]->ServeGrpcTests();
    for (std::size_t l = 0; l < listeners_.size(); ++l) {
      workers_[i]->AddListener(listeners_[l].fd(i), listeners_[l].shared(), snapshot_->listener_tls[l]);
    }
  }
}

void Daemon::BuildControl() {
  std::vector<control::PostToGateway> posts;
  for (const auto& worker : workers_) {
    posts.push_back(
        [each = worker.get()](std::function<void(proxy::Gateway&)> letter) { each->Post(std::move(letter)); });
  }
  control_.Build({.config_file = config_file_,
                  .snapshot = std::move(snapshot_),
                  .resolver = resolver_,
                  .registry = registry_,
                  .metrics = metrics_,
                  .cache = cache_.cache,
                  .slab = control_slab_,
                  .log_sink = *log_sink_,
                  .log = *log_,
                  .workers = std::move(posts),
                  .build = BuildOf(workers_.front()->worker().loop().name()),
                  .on_drained = [this] { signals_.Stop(); }},
                 admin_->fd(0));
}

void Daemon::Run() {
  const WallTime now = ReadWallClock();
  log_->Info(now, "starting",
             {{"version", PENSTOCK_VERSION},
              {"commit", PENSTOCK_COMMIT},
              {"config", config_file_},
              {"workers", worker_count_}});
  for (const OpenAddress& listener : listeners_)
    log_->Info(now, "listening on " + listener.text(), {{"address", listener.text()}});
  log_->Info(now, "admin API on " + admin_->text(), {{"admin_address", admin_->text()}});
  for (const auto& worker : workers_) worker->Start(config_.server.pin_workers);
  control_.Start();
  NotifyService("READY=1");
  while (const int signal = signals_.Next()) OnSignal(signal);
  NotifyService("STOPPING=1");
  control_.StopAndJoin();
  for (const auto& worker : workers_) worker->StopAndJoin();
  if (cache_.cache.disk != nullptr) cache_.cache.disk->Stop();
  log_->Info(ReadWallClock(), "stopped");
}

void Daemon::OnSignal(int signal) {
  control_.Post([signal](control::Control& control) {
    switch (signal) {
      case SIGHUP: control.Reload("SIGHUP"); return;
      case SIGUSR1: control.ReopenLogs(); return;
      case SIGTERM: control.DrainOrEnd("SIGTERM"); return;
      case SIGINT: control.DrainOrEnd("SIGINT"); return;
      default: return;
    }
  });
}

int RunDaemon(const std::string& config_file, const config::LoadResult& loaded, bool grpc_tests) {
  if (kCrashReports) InstallCrashReport(PENSTOCK_VERSION " (commit " PENSTOCK_COMMIT ")");
  const CrashStack stack;
  Daemon daemon(config_file, loaded, grpc_tests);
  if (const auto error = daemon.Prepare()) {
    std::fprintf(stderr, "penstock: %s\n", error->c_str());
    return 1;
  }
  daemon.Run();
  return 0;
}

}  // namespace penstock::app
