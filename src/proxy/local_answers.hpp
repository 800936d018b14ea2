#pragma once

#include "proxy/answer.hpp"

namespace penstock::proxy {

/// /v1/models, /v1/models/{id}, /health.
void AnswerLocally(RequestContext& context, Answer& answer);
/// The contract's error in the route's shape; sets the record's term.
void AnswerError(RequestContext& context, Answer& answer, const Error& error);

}  // namespace penstock::proxy
