#pragma once

#include <cstdint>
#include <string_view>

#include "penstock/llm/family.hpp"
#include "penstock/llm/json_parser.hpp"
#include "penstock/llm/usage.hpp"

namespace penstock::llm {

/// What a complete answer that was not streamed says about itself.
struct AnswerSummary {
  bool well_formed = false;  ///< a JSON object; everything below is empty otherwise
  bool error = false;        ///< an error object behind a 200
  bool complete = false;     ///< every choice has a finish reason; for families without them: well_formed
  std::uint32_t choices = 0;
  std::uint8_t finish_reasons = 0;  ///< a set of Bit(FinishReason)
  Usage usage;

  /// Fit for the cache.
  bool storable() const noexcept { return complete && !error && (finish_reasons & ~kProperFinishes) == 0; }
};

/// Tolerant: malformed, huge or ill-typed bodies (J-18) give an empty summary, never an error.
AnswerSummary ReadAnswer(Family family, std::string_view body, JsonParser& parser);

/// The `usage` of an answer that was too large to keep, from its last bytes: servers write it behind the choices. A
/// text inside the answer cannot pass for one, because its quotes are escaped. Unknown when it is not there.
Usage ReadUsageAtEnd(std::string_view tail, JsonParser& parser);

}  // namespace penstock::llm
