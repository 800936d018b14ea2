#include "config/type.hpp"
#include "config/yaml_writer.hpp"
#include "penstock/config/config.hpp"

namespace penstock::config {
namespace {

constexpr const char* kPreamble =
    "# Every key of Penstock with its default and one line of explanation; docs/configuration.md has the "
    "types and ranges.\n"
    "# Only server.listeners, models and clusters are required: config/quickstart.yaml shows how little is "
    "enough.\n"
    "# A change of a key marked (restart) takes effect at the next start; everything else is reloaded by "
    "SIGHUP.\n"
    "# Unknown and duplicate keys are errors. Durations and sizes carry units: 250ms, 10s, 5m, 1h; 512B, "
    "64KiB, 10MiB, 1GiB.\n"
    "# This file is generated from the tables that read it; edit a copy.\n\n";

/// The defaults, and one of each thing that has none.
Config Sample() {
  Config config;
  Listener listener;
  listener.address = *SocketAddress::Parse("127.0.0.1:8080");
  config.server.listeners.push_back(std::move(listener));
  Model model;
  model.name = "llama-3-8b";
  model.cluster = "gpu";
  config.models.push_back(std::move(model));
  Endpoint endpoint;
  endpoint.url = *Url::Parse("http://127.0.0.1:9001");
  Cluster cluster;
  cluster.name = "gpu";
  cluster.endpoints.push_back(std::move(endpoint));
  config.clusters.push_back(std::move(cluster));
  return config;
}

}  // namespace

std::string Dump(const Config& config) { return YamlWriter(false).Write(ConfigSection(), &config); }

std::string AnnotatedDefaults() {
  const Config sample = Sample();
  return kPreamble + YamlWriter(true).Write(ConfigSection(), &sample);
}

}  // namespace penstock::config
