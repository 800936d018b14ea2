#pragma once

#include <string>
#include <vector>

#include "penstock/config/admin_log.hpp"
#include "penstock/config/auth.hpp"
#include "penstock/config/cache.hpp"
#include "penstock/config/clusters.hpp"
#include "penstock/config/models.hpp"
#include "penstock/config/overload.hpp"
#include "penstock/config/server.hpp"

namespace penstock::config {

/// The whole configuration, checked and with every default filled in. A plain value: constructors receive
/// their own part.
struct Config {
  Server server;
  Admin admin;
  Log log;
  std::vector<Model> models;
  std::vector<Cluster> clusters;
  Cache cache;
  Auth auth;
  Overload overload;
};

/// The keys whose values differ and that only take effect at a start, as `server.workers` or
/// `server.listeners[1].address`. A reload that changes one of them is refused as a whole.
std::vector<std::string> RestartKeys(const Config& running, const Config& wanted);

/// The effective configuration as YAML, every key in the table's order; secrets (of a Redis URL: the password) are
/// `***`, everything else loads back.
std::string Dump(const Config& config);

/// config/penstock.yaml: every key with its default and one line of explanation.
std::string AnnotatedDefaults();

/// The JSON Schema (2020-12) of the YAML.
std::string JsonSchema();

/// docs/configuration.md: every key with its type, default and explanation.
std::string ReferencePage();

}  // namespace penstock::config
