#pragma once

#include "config/problems.hpp"
#include "config/yaml_tree.hpp"
#include "penstock/config/config.hpp"

namespace penstock::config {

/// Fills in what one key takes from another (an endpoint's name, a model's upstream_name).
void Complete(Config& config);

/// What no single key can show: references, uniqueness, keys that need or exclude each other. Values that
/// could not be read are empty here and are not reported again.
void Check(const Config& config, const YamlTree& tree, Problems& problems);

}  // namespace penstock::config
