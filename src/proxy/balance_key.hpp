#pragma once

#include "penstock/policy/balancer.hpp"
#include "proxy/request_context.hpp"

namespace penstock::proxy {

/// Units of load that the request is: by the size of its prompt, or of its body where the family's prompt is not known.
std::uint32_t UnitsOf(const RequestContext& context) noexcept;

/// What the balancer of `context.cluster` may know of the request, as of now. The hash is the same in every gateway and
/// on every machine.
policy::PickContext PickFor(const RequestContext& context);

}  // namespace penstock::proxy
