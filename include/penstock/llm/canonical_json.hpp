#pragma once

#include <memory>
#include <string_view>
#include <type_traits>

#include "penstock/llm/request_view.hpp"

namespace penstock::llm {

/// Where bytes go, piece by piece; borrowed for the length of a call.
struct ByteSink {
  void* context;
  void (*write)(void* context, std::string_view bytes);
};

/// Writes the canonical form of a request's body, from which the cache's key is made: the members of every object
/// sorted by their decoded keys as bytes, no white space between tokens, and without the top-level members `model`
/// (the key names the model that answers) and `stream`, `stream_options`, `user` (they do not change the answer).
/// Every token is as sent: `1.0` and `1` differ, and so do "\u0041" and "A", in a key's spelling too. So two bodies
/// have one canonical form exactly when they differ in the order of members, white space and those four only.
///
/// No second document is built and nothing is allocated after warm-up: when `request` is the last text that `parser`
/// read, its index is used again, else the body is indexed (not validated) anew. Time is linear in the body, apart
/// from sorting. False: no memory for the index of a body beyond 1 MiB; then nothing was written.
[[nodiscard]] bool WriteCanonicalBody(const RequestView& request, JsonParser& parser, ByteSink sink);

/// The same for anything that can be called with a std::string_view.
template <class Sink>
requires std::is_invocable_v<Sink&, std::string_view>
[[nodiscard]] bool WriteCanonicalBody(const RequestView& request, JsonParser& parser, Sink&& sink) {
  using Callee = std::remove_reference_t<Sink>;
  return WriteCanonicalBody(
      request, parser,
      ByteSink{const_cast<void*>(static_cast<const void*>(std::addressof(sink))),
               [](void* context, std::string_view bytes) { (*static_cast<Callee*>(context))(bytes); }});
}

}  // namespace penstock::llm
