#pragma once

#include "penstock/cache/entry.hpp"
#include "proxy/answer.hpp"

namespace penstock::proxy {

/// The form that the client asked for.
inline cache::Form WantedForm(const RequestContext& context) noexcept {
  return context.request->stream ? cache::Form::kEvents : cache::Form::kWhole;
}

/// `entry` in the form that the client asked for, made from the other one; nothing: it cannot be said so.
std::optional<cache::Entry> Rebuilt(RequestContext& context, const cache::Entry& entry);
/// Whether `entry` has to be rebuilt for this client.
bool HasOtherForm(const RequestContext& context, const cache::Entry& entry) noexcept;
/// Answers with `entry`, in the form that the client asked for: as it was received, without a copy, or rebuilt from the
/// other form. False, and nothing was sent, when it cannot be rebuilt: the caller takes that as a miss.
bool AnswerFromEntry(RequestContext& context, Answer& answer, const cache::Entry& entry, CacheStatus status);
/// The same with what the memory tier has under the request's key. False: nothing of use.
bool AnswerFromMemory(RequestContext& context, Answer& answer);
/// Not older than the model's answers may be now, which a reload may have shortened since it was stored; and the epochs
/// are those that the request's key was made of: no purge came since.
bool MayServe(const RequestContext& context, const cache::Entry& entry);

/// The status of an answer whose bytes follow, of another's call. `length`: of the body, when it is known.
void CommitShared(RequestContext& context, Answer& answer, cache::Form form, std::optional<std::uint64_t> length);

}  // namespace penstock::proxy
