#pragma once

#include <span>
#include <string_view>

#include "config/type.hpp"

namespace penstock::config {

/// The key of the section that `key` was probably meant to be, or empty.
std::string_view NearestKey(std::string_view key, std::span<const Field> fields);

}  // namespace penstock::config
