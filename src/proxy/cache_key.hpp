#pragma once

#include <optional>

#include "penstock/cache/admission.hpp"
#include "penstock/cache/key.hpp"
#include "penstock/rt/task.hpp"
#include "proxy/request_context.hpp"

namespace penstock::proxy {

/// What the cache may do for the request, by its own words and the rules of `context.model`.
cache::Admission AdmissionOf(const RequestContext& context);
/// Of all that KeyOf() puts into a key. They only rise: an equal sum means equal epochs.
std::uint64_t SumOfEpochs(const RequestContext& context) noexcept;
/// Under what an answer of `context.model` to the request is kept; nothing: it has more fields that could change the
/// answer than anybody sends in good faith. Made at once, or on another thread where that would hold up the loop.
rt::Task<std::optional<cache::CacheKey>> KeyOf(RequestContext& context);

}  // namespace penstock::proxy
