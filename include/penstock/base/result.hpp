#pragma once

#include <boost/system/result.hpp>

#include "penstock/base/error.hpp"

namespace penstock {

/// A value or an Error. `has_value()`, `value()`, `error()`, operator*; never throws on the data plane because
/// value() is only called after a check (an unchecked call is a programmer's error and terminates).
template <class T, class E = Error>
using Result = boost::system::result<T, E>;

[[noreturn]] inline void throw_exception_from_error(const Error& error, const boost::source_location& where) {
  (void)error;
  (void)where;
  __builtin_trap();
}

}  // namespace penstock

/// TRY(lhs, expression): assigns the value or returns the error to the caller.
#define PENSTOCK_CONCAT_INNER(a, b) a##b
#define PENSTOCK_CONCAT(a, b) PENSTOCK_CONCAT_INNER(a, b)
#define TRY(lhs, expression) TRY_INNER(PENSTOCK_CONCAT(try_, __LINE__), lhs, expression)
#define TRY_INNER(temporary, lhs, expression)               \
  auto&& temporary = (expression);                          \
  if (!(temporary).has_value()) return (temporary).error(); \
  lhs = std::move(*(temporary))
