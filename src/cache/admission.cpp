#include "penstock/cache/admission.hpp"

#include <algorithm>

namespace penstock::cache {
namespace {

/// `word` is in lower case.
bool EqualsWord(std::string_view text, std::string_view word) noexcept {
  return std::equal(text.begin(), text.end(), word.begin(), word.end(), [](char a, char b) {
    return (a >= 'A' && a <= 'Z' ? static_cast<char>(a + ('a' - 'A')) : a) == b;
  });
}

std::string_view Trimmed(std::string_view text) noexcept {
  constexpr std::string_view kBlanks = " \t";
  const std::size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) + 1 - begin);
}

/// The end of the list's first element: its comma outside quotes, or size.
std::size_t ElementEnd(std::string_view list) noexcept {
  bool quoted = false;
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (list[i] == '"') quoted = !quoted;
    if (list[i] == ',' && !quoted) return i;
    if (list[i] == '\\' && quoted) ++i;
  }
  return list.size();
}

bool IsGeneration(llm::Family family) noexcept { return llm::CanStream(family); }

}  // namespace

CacheMode ParseCacheMode(std::string_view value) noexcept {
  value = Trimmed(value);
  if (value.empty()) return CacheMode::kUnset;
  if (EqualsWord(value, "use")) return CacheMode::kUse;
  if (EqualsWord(value, "refresh")) return CacheMode::kRefresh;
  return CacheMode::kBypass;
}

CacheControl ParseCacheControl(std::string_view value) noexcept {
  CacheControl control;
  while (!value.empty()) {
    const std::size_t end = ElementEnd(value);
    const std::string_view element = value.substr(0, end);
    const std::string_view name = Trimmed(element.substr(0, element.find('=')));
    if (EqualsWord(name, "no-store")) control.no_store = true;
    if (EqualsWord(name, "no-cache")) control.no_cache = true;
    value.remove_prefix(std::min(end + 1, value.size()));
  }
  return control;
}

bool IsDeterministic(const llm::RequestView& request) noexcept {
  switch (request.family) {
    case llm::Family::kChat:
    case llm::Family::kCompletions:
    case llm::Family::kResponses:
    case llm::Family::kMessages: return request.has_seed || request.temperature == 0.0;
    case llm::Family::kEmbeddings:
    case llm::Family::kRerank:
    case llm::Family::kScore:
    case llm::Family::kTokenize:
    case llm::Family::kDetokenize: return true;
    case llm::Family::kCountTokens: return false;  // not in the contract's list
  }
  return false;
}

Admission Admit(const llm::RequestView& request, StorePolicy policy, CacheMode mode, CacheControl control) noexcept {
  const bool deterministic = IsDeterministic(request);
  const bool named = mode == CacheMode::kUse || mode == CacheMode::kRefresh;
  const bool wanted =
      named || policy == StorePolicy::kAlways || (policy == StorePolicy::kDeterministic && deterministic);
  Admission admission;
  if (wanted && mode != CacheMode::kBypass) {
    admission.lookup = mode != CacheMode::kRefresh && !control.no_cache;
    admission.store = !control.no_store;
  }
  admission.coalesce = admission.lookup && admission.store && deterministic;
  admission.refresh = admission.store && !admission.lookup;
  admission.bypass = !admission.store && !admission.lookup;
  return admission;
}

Verdict Judge(llm::Family family, const Outcome& outcome, std::uint64_t entry_bytes_max) noexcept {
  if (outcome.status != 200) return Verdict::kStatus;
  if (outcome.error) return Verdict::kError;
  if (!outcome.complete) return Verdict::kIncomplete;
  // No reason at all: an answer without choices.
  if (IsGeneration(family) && outcome.finish_reasons == 0) return Verdict::kFinish;
  if ((outcome.finish_reasons & ~llm::kProperFinishes) != 0) return Verdict::kFinish;
  if (outcome.mixed) return Verdict::kMixed;
  if (outcome.control.no_store) return Verdict::kNoStore;
  if (outcome.bytes > entry_bytes_max) return Verdict::kTooLarge;
  return Verdict::kStore;
}

}  // namespace penstock::cache
