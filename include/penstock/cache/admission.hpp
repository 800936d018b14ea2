#pragma once

#include <cstdint>
#include <string_view>

#include "penstock/llm/request_view.hpp"
#include "penstock/llm/usage.hpp"

namespace penstock::cache {

/// `cache.store`: whose answers are worth keeping when the client does not say.
enum class StorePolicy : std::uint8_t {
  kDeterministic,  ///< those that another call would repeat
  kAlways,
  kOptIn,  ///< those of requests that name the cache
};

/// `x-penstock-cache` of a request. kUse and kRefresh name the cache: that is the opt-in, of sampled requests too.
enum class CacheMode : std::uint8_t {
  kUnset,
  kUse,
  kBypass,
  kRefresh,  ///< do not look, but store what comes
};
/// The field's value; empty: absent. What is none of the three words asks for something else than the cache does by
/// itself, so it is kBypass: the upstream's own answer is never wrong.
CacheMode ParseCacheMode(std::string_view value) noexcept;

/// What the gateway obeys of a Cache-Control field (RFC 9111 5.2), of requests and of upstreams' answers.
struct CacheControl {
  bool no_cache = false;  ///< a request: do not look. Upstreams put it on every stream, where it says nothing
  bool no_store = false;

  /// A further field of the same name (RFC 9110 5.3).
  CacheControl& operator|=(CacheControl other) noexcept {
    no_cache = no_cache || other.no_cache;
    no_store = no_store || other.no_store;
    return *this;
  }
  friend bool operator==(const CacheControl&, const CacheControl&) = default;
};
/// Other directives, quoted arguments and what is malformed are passed over.
CacheControl ParseCacheControl(std::string_view value) noexcept;

/// Would another call give the same answer? Generation with temperature 0 or a seed; embeddings, rerank, score,
/// tokenize and detokenize always.
bool IsDeterministic(const llm::RequestView& request) noexcept;

/// What the cache may do for a request.
struct Admission {
  bool lookup = false;
  bool store = false;     ///< if the answer is fit, see Judge
  bool coalesce = false;  ///< may share an upstream call with its equals
  bool refresh = false;   ///< an entry that is there is passed by and replaced
  bool bypass = false;    ///< neither lookup nor store: the cache has no part in it

  friend bool operator==(const Admission&, const Admission&) = default;
};
Admission Admit(const llm::RequestView& request, StorePolicy policy, CacheMode mode, CacheControl control) noexcept;

/// How an answer ended.
struct Outcome {
  std::uint16_t status = 0;
  bool complete = false;  ///< a stream with its terminal event, or a whole body that says how every choice ended
  bool error = false;     ///< an error object or event behind a 200, or one that the gateway made
  bool mixed = false;     ///< spliced from several calls, or one of several variants
  std::uint8_t finish_reasons = 0;  ///< a set of llm::Bit(FinishReason)
  CacheControl control;             ///< the upstream's
  std::uint64_t bytes = 0;          ///< as they would be stored
};

/// kStore, or the first reason why not.
enum class Verdict : std::uint8_t { kStore, kStatus, kError, kIncomplete, kFinish, kMixed, kNoStore, kTooLarge };
/// `entry_bytes_max`: `cache.max_entry`. For requests whose Admission says store.
Verdict Judge(llm::Family family, const Outcome& outcome, std::uint64_t entry_bytes_max) noexcept;

}  // namespace penstock::cache
