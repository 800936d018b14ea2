#pragma once

#include <optional>
#include <string_view>

#include "config/yaml_tree.hpp"

namespace penstock::config {

/// Refuses what the YAML parser would misread: bytes that are not UTF-8, and control bytes other than tab and
/// line ends (the parser takes 0x04 for the end of the file, and counts no line at a lone carriage return).
std::optional<YamlError> CheckYamlText(std::string_view text);

}  // namespace penstock::config
