#pragma once

#include <string>
#include <string_view>

#include "penstock/base/error.hpp"
#include "penstock/grpc/status.hpp"
#include "penstock/llm/family.hpp"
#include "penstock/telemetry/term.hpp"

namespace penstock::proxy {

/// How an error looks from outside: a row of the contract's table (section 5).
struct ErrorRow {
  std::uint16_t status;
  std::string_view type;
  telemetry::Term term;
};

/// The one place that translates errors; exhaustive.
ErrorRow RowOf(const Error& error) noexcept;

/// What a gRPC client hears of it.
grpc::Status StatusOf(const Error& error);

/// The reply's body in the family's shape.
std::string ErrorBody(llm::Family family, const Error& error, std::string_view request_id);
/// The event that ends a committed stream which cannot be completed.
std::string ErrorEvent(llm::Family family, const Error& error, std::string_view request_id);

}  // namespace penstock::proxy
