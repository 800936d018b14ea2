#pragma once

#include "config/type.hpp"

namespace penstock::config {

/// Visible ASCII without `"` and `\`: goes into JSON strings, metric labels and header fields as it is.
extern const TextRule kNameRule;
/// The same with blanks inside, for names that backends choose (file paths).
extern const TextRule kUpstreamNameRule;
extern const TextRule kHostNameRule;
/// "/path?query" as a request line carries it.
extern const TextRule kRequestTargetRule;
/// A request header that may be passed on: a token, and not one the gateway makes, hops over, or keeps to
/// itself.
extern const TextRule kForwardableHeaderRule;

/// RFC 9110 section 5.6.2; not empty.
bool IsToken(std::string_view text);

}  // namespace penstock::config
