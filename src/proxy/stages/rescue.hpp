#pragma once

#include "proxy/attempt.hpp"

namespace penstock::proxy {

/// The stream that the client reads has broken, and nothing was said of it yet: `attempt` ended as kBroken. Other
/// endpoints are asked, first the model's own, then its fallbacks', so that the client gets the rest; when nobody has
/// it, the client is told that the stream ends here.
rt::Task<void> Rescue(RequestContext& context, Answer& answer, Attempt& attempt);

}  // namespace penstock::proxy
