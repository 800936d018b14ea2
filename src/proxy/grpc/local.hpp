#pragma once

#include "penstock/rt/task.hpp"
#include "proxy/answer.hpp"

namespace penstock::proxy {

/// Methods that the gateway answers from what it knows: health, reflection, KServe's metadata.
void AnswerGrpcLocally(RequestContext& context, Answer& answer);

/// Health.Watch: the state now, then each change, until the client leaves or the gateway does.
rt::Task<void> WatchHealth(RequestContext& context, Answer& answer);

}  // namespace penstock::proxy
