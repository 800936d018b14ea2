#pragma once

#include <string>
#include <vector>

#include "penstock/config/cache.hpp"

namespace penstock::config {

/// A model clients may ask for. Names are 1 to 256 visible ASCII bytes without `"` and `\`, so that they can
/// be put into JSON and header fields as they are.
struct Model {
  std::string name;
  std::vector<std::string> aliases;
  std::string upstream_name;                          ///< Load() fills it with `name` when the file leaves it empty
  std::string cluster;                                ///< names one of Config::clusters
  std::vector<std::string> fallbacks;                 ///< names of models, tried in order when this one cannot answer
  std::vector<std::string> context_window_fallbacks;  ///< tried instead when a request is too long for it
  std::string revision;  ///< part of the cache key: another one, and no earlier answer is served
  ModelCache cache;
};

}  // namespace penstock::config
