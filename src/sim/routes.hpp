#pragma once

namespace penstock::sim {

class Exchange;

/// Finds who answers this request by method and path, and lets him.
void Route(Exchange& exchange);

}  // namespace penstock::sim
