#pragma once

#include <string>

#include "penstock/llm/error_shapes.hpp"
#include "proxy/request_context.hpp"

namespace penstock::proxy {

/// An upstream's 4xx or 5xx as this client hears it.
struct UpstreamRefusal {
  std::string body;  ///< in the shape of the client's family
  llm::Refusal refusal = llm::Refusal::kOther;

  /// It is about the request: nobody else would take it either.
  bool hopeless() const noexcept { return refusal != llm::Refusal::kOther; }
};

/// `sent`: the body as the upstream wrote it.
UpstreamRefusal ReadRefusal(RequestContext& context, std::uint16_t status, const std::string& sent);

}  // namespace penstock::proxy
