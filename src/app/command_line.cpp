#include "penstock/app/command_line.hpp"

#include <CLI/CLI.hpp>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>

#include "app/cache_setup.hpp"
#include "app/daemon.hpp"
#include "app/key_command.hpp"
#include "app/log_setup.hpp"
#include "app/version.hpp"
#include "penstock/config/config.hpp"
#include "penstock/config/load.hpp"
#include "penstock/control/snapshot_builder.hpp"
#include "penstock/mem/memory_reserve.hpp"
#include "penstock/telemetry/gateway_metrics.hpp"

namespace penstock::app {
namespace {

constexpr int kDone = 0;
constexpr int kFailed = 1;
constexpr int kUsage = 2;

void Print(std::FILE* to, const std::string& text) { std::fputs(text.c_str(), to); }

/// What a full disk did not take must not look like the whole of it.
int Printed() {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return kDone;
  Print(stderr, std::string("penstock: cannot write to standard output: ") + std::strerror(errno) + "\n");
  return kFailed;
}

/// The configuration; its errors are on stderr.
config::LoadResult Load(const std::string& file) {
  config::LoadResult loaded = config::LoadFile(file);
  for (const config::Problem& warning : loaded.warnings) Print(stderr, "warning: " + warning.ToString() + "\n");
  for (const config::Problem& error : loaded.errors) Print(stderr, error.ToString() + "\n");
  return loaded;
}

/// The file itself, then everything that it names.
int Check(const std::string& file) {
  const config::LoadResult loaded = Load(file);
  if (!loaded.ok()) return kFailed;
  const config::Config& config = *loaded.config;
  telemetry::MetricRegistry registry(telemetry::GatewayFamilies());
  cache::Epochs epochs;
  const control::BuildResult built = control::BuildSnapshot(config, nullptr, registry, epochs);
  for (const control::BuildError& error : built.errors)
    Print(stderr, loaded.problem_at(error.path, error.message).ToString() + "\n");
  bool good = built.snapshot != nullptr;
  const telemetry::LogSinkOptions log = LogSinkOptionsOf(config.log, 1);
  if (!telemetry::LogSink::Open(log).has_value()) {
    Print(stderr, loaded.problem_at("log.access", log.access + ": " + AccessLogProblem(errno)).ToString() + "\n");
    good = false;
  }
  cache::RedisOptions redis;
  if (const auto error = RedisOptionsOf(config.cache, redis)) {
    Print(stderr, loaded.problem_at("cache.redis.urls", *error).ToString() + "\n");
    good = false;
  }
  if (const std::string problem = config::DiskPathProblem(config.cache.disk.path); !problem.empty()) {
    Print(stderr, loaded.problem_at("cache.disk.path", problem).ToString() + "\n");
    good = false;
  }
  return good ? kDone : kFailed;
}

int Dump(const std::string& file) {
  const config::LoadResult loaded = Load(file);
  if (!loaded.ok()) return kFailed;
  Print(stdout, config::Dump(*loaded.config));
  return Printed();
}

int Serve(const std::string& file, bool grpc_tests) {
  const config::LoadResult loaded = Load(file);
  if (!loaded.ok()) return kFailed;
  return RunDaemon(file, loaded, grpc_tests);
}

}  // namespace

int RunCommandLine(int argc, char** argv) {
  MemoryReserve::Install();
  CLI::App app("Penstock, an LLM inference gateway");
  app.name("penstock");
  app.require_subcommand(0, 1);  // none at all is told below: CLI11 would speak of it before it names a mistyped one
  app.set_version_flag("--version", VersionText());
  std::string file;
  const auto with_config = [&](const char* name, const char* help) {
    CLI::App* command = app.add_subcommand(name, help);
    command->add_option("--config", file, "the YAML file")->required()->type_name("FILE");
    return command;
  };
  CLI::App* serve = with_config("serve", "run the gateway in the foreground, log to stderr");
  bool grpc_tests = false;
  serve->add_flag("--grpc-test-service", grpc_tests)->group("");  // in no group: not in the help
  CLI::App* check = with_config(
      "check",
      "check a configuration and everything it names; exit 1 with every error as FILE:LINE:COL: path: message");
  CLI::App* dump = with_config("dump", "print the effective configuration, secrets as ***");
  CLI::App* schema = app.add_subcommand("schema", "print the JSON Schema of the configuration");
  CLI::App* key = app.add_subcommand("key", "API keys");
  key->require_subcommand(0, 1);
  CLI::App* key_new = key->add_subcommand("new", "make a key and print it with its entry for auth.keys");
  CLI::App* key_hash = key->add_subcommand("hash", "print the SHA-256 of the key on standard input");
  CLI::App* version =
      app.add_subcommand("version", "print version, commit, build flags and the event loops available here");
  try {
    app.parse(argc, argv);
    if (app.get_subcommands().empty()) throw CLI::RequiredError::Subcommand(1);
    if (key->parsed() && key->get_subcommands().empty()) throw CLI::RequiredError::Subcommand(1);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kDone : kUsage;
  }
  if (serve->parsed()) return Serve(file, grpc_tests);
  if (check->parsed()) return Check(file);
  if (dump->parsed()) return Dump(file);
  if (key_new->parsed()) return NewKey() == kDone ? Printed() : kFailed;
  if (key_hash->parsed()) return HashKey() == kDone ? Printed() : kFailed;
  if (schema->parsed()) {
    Print(stdout, config::JsonSchema());
  } else if (version->parsed()) {
    Print(stdout, VersionText() + "\n");
  }
  return Printed();
}

}  // namespace penstock::app
