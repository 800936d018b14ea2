#pragma once

#include <cstdint>
#include <string_view>

namespace penstock::telemetry {

/// How a request ended: the access log's `term`, in Envoy's letters where it has some. API.
enum class Term : std::uint8_t {
  kWell,              ///< -
  kConnectFailed,     ///< UF
  kUpstreamCut,       ///< UC: the upstream's connection ended
  kUpstreamReset,     ///< UR
  kUpstreamTimeout,   ///< UT
  kUpstreamProtocol,  ///< UPE
  kOverflow,          ///< UO: queue full
  kNobodyHealthy,     ///< UH
  kRetriesUsed,       ///< URX
  kLocalReset,        ///< LR
  kClientGone,        ///< DC
  kClientProtocol,    ///< DPE
  kClientSlow,        ///< DT: too slow, or the deadline
  kLimit,             ///< RL
  kOverload,          ///< OM
  kNotAuthorised,     ///< UAEX
  kNoSuchModel,       ///< NR
  kQueueTimeout,      ///< QT
  kDrain,             ///< DR
  kConnectionKilled,  ///< KC
};
inline constexpr std::size_t kTerms = static_cast<std::size_t>(Term::kConnectionKilled) + 1;

constexpr std::string_view TermText(Term term) noexcept {
  switch (term) {
    case Term::kWell: return "-";
    case Term::kConnectFailed: return "UF";
    case Term::kUpstreamCut: return "UC";
    case Term::kUpstreamReset: return "UR";
    case Term::kUpstreamTimeout: return "UT";
    case Term::kUpstreamProtocol: return "UPE";
    case Term::kOverflow: return "UO";
    case Term::kNobodyHealthy: return "UH";
    case Term::kRetriesUsed: return "URX";
    case Term::kLocalReset: return "LR";
    case Term::kClientGone: return "DC";
    case Term::kClientProtocol: return "DPE";
    case Term::kClientSlow: return "DT";
    case Term::kLimit: return "RL";
    case Term::kOverload: return "OM";
    case Term::kNotAuthorised: return "UAEX";
    case Term::kNoSuchModel: return "NR";
    case Term::kQueueTimeout: return "QT";
    case Term::kDrain: return "DR";
    case Term::kConnectionKilled: return "KC";
  }
  return "-";
}

}  // namespace penstock::telemetry
