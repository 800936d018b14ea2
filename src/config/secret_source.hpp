#pragma once

#include <string>
#include <string_view>

#include "config/type.hpp"
#include "penstock/base/secret.hpp"

namespace penstock::config {

/// Resolves a secret as the file spells it: inline, with `${NAME}` from the environment (`$${` is a literal
/// `${`), or `file:PATH` (one trailing line end is cut; a mode wider than 0640 is warned of). Empty text is
/// an empty secret; one that resolves to nothing is refused, as it would switch a check off. Returns the
/// problem, which never repeats the text.
std::string ReadSecret(std::string_view text, const ReadContext& context, Secret& value);

}  // namespace penstock::config
