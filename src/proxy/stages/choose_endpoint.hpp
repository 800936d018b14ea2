#pragma once

#include "penstock/policy/balancer.hpp"
#include "proxy/call.hpp"

namespace penstock::proxy {

/// Owned by one Worker. A place to go: an endpoint that is usable and has room.
struct Choice {
  Slot slot;  ///< without a pool: there is none
  std::uint32_t index = 0;
  bool someone_usable = false;             ///< none was free, but somebody is alive
  TimePoint rest_ends = TimePoint::Max();  ///< when the first of those that asked for a pause is ready again
};

/// The first of the walk that suits `context.model`. `barred`: those that shall not be asked (again) for this request.
Choice ChooseEndpoint(const RequestContext& context, policy::Candidates& candidates, const policy::EndpointSet& barred);

/// All usable endpoints of `context.model` have asked for a pause: until the first is ready again. Zero: not so.
Duration ShortestPause(const RequestContext& context);

}  // namespace penstock::proxy
