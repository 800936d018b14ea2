#pragma once

#include "penstock/proxy/snapshot.hpp"

namespace penstock::proxy {

/// What a cluster's usable endpoints have in flight, as a share of what they take at a time; infinite when none is
/// usable. Relaxed reads of the endpoints' own counts, all workers included.
double LoadOf(const ClusterRoute& cluster) noexcept;

/// Where a new request for `asked` goes: a variant, or null for the model itself. The first variant is for when the
/// model's cluster is busy, the second for when the first one's is, and so on; one that `tenant` may not use ends the
/// list for it. Throws the switches on the way. `tenant` null: anybody.
const VariantRoute* ChooseVariant(const Snapshot& snapshot, const ModelRoute& asked, const Tenant* tenant) noexcept;

/// `model` is a variant of `asked`.
bool IsVariant(const ModelRoute& asked, const Snapshot& snapshot, const ModelRoute& model) noexcept;

}  // namespace penstock::proxy
