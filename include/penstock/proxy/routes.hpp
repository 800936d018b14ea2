#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "penstock/base/result.hpp"
#include "penstock/http/head.hpp"
#include "penstock/llm/family.hpp"

namespace penstock::proxy {

/// What serves a route.
enum class RouteKind : std::uint8_t {
  kInference,  ///< forwarded to a cluster by the body's model
  kModels,     ///< the configured models
  kModel,      ///< one of them; the path's rest is its name
  kHealth,     ///< for load balancers
  kGrpcLocal,  ///< what the gateway knows itself, for gRPC clients
  kGrpcWatch,  ///< its health, and every change of it
};

/// Immutable. A row of the public API; the tests' cancel and truncation matrices are generated from this table.
struct Route {
  http::Method method;
  std::string_view path;  ///< exact; a trailing "/" takes the rest as an argument
  std::string_view name;  ///< label `route` of the metrics, field of the access log
  RouteKind kind;
  llm::Family family;            ///< for kInference; shapes the errors of all
  bool grpc = false;             ///< taken from gRPC clients only
  std::string_view target = {};  ///< of the upstream request, where it is another than `path`
  bool open = false;             ///< for probes: no key is asked for
};

/// Does a request's body mean anything there?
constexpr bool TakesBody(const Route& route) noexcept { return route.kind == RouteKind::kInference || route.grpc; }

std::span<const Route> Routes() noexcept;

/// The row's index, or not_found, method_not_allowed, or bad_request for a path that tries to be clever (dot segments,
/// encoded slashes, "//", ";": FAULTS A-10). `argument`: the rest behind a trailing "/".
Result<std::size_t> FindRoute(http::Method method, std::string_view target, std::string_view& argument) noexcept;

/// Whose errors a request hears that matches no row, by its path alone: it may be refused before its method is known.
llm::Family FamilyOfPath(std::string_view target) noexcept;

/// For the Allow field of a 405 (RFC 9110 15.5.6); empty for a path that is not served.
std::string_view AllowedMethods(std::string_view target) noexcept;

/// The index under which requests are counted that match no row; one past the last row.
inline constexpr std::string_view kNoRouteName = "none";

}  // namespace penstock::proxy
