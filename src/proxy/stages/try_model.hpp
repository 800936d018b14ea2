#pragma once

#include "penstock/llm/error_shapes.hpp"
#include "penstock/rt/task.hpp"
#include "proxy/attempt.hpp"

namespace penstock::proxy {

/// How the attempts on one model ended.
struct Trial {
  enum class End : std::uint8_t {
    kAnswered,  ///< the client has an answer, or the beginning of one and the word that it broke
    kBroken,    ///< the client has the beginning of one, and nobody told it yet that it broke
    kRefused,   ///< the last attempt's refusal is what there is to tell
    kFailed,    ///< `error` is
  };
  End end = End::kFailed;
  Error error{};
  bool elsewhere = false;  ///< another model may be asked
  llm::Refusal refusal = llm::Refusal::kOther;
  bool committed() const noexcept { return end == End::kAnswered || end == End::kBroken; }
  Duration pause{};  ///< kFailed, because there was nobody to ask: when to come again, where that is known
};

/// The client was told that its answer ends too early.
void NoteInterrupted(RequestContext& context, const Error& error);

/// Attempts at the endpoints of `context.model`, until one delivers, the rules say no, or the deadline comes.
rt::Task<Trial> TryModel(RequestContext& context, Attempt& attempt);

}  // namespace penstock::proxy
