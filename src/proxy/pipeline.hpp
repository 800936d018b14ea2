#pragma once

#include "penstock/rt/task.hpp"

namespace penstock::proxy {

struct RequestContext;
class Answer;
class Attempt;

/// A request's way, from a complete body to its answer.
rt::Task<void> RunPipeline(RequestContext& context, Answer& answer, Attempt& attempt);

}  // namespace penstock::proxy
