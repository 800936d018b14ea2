// The response parser: no input crashes it, and the events do not depend on how the bytes arrive.

#include "fuzz/pieces.hpp"
#include "support/h1_recorder.hpp"

namespace {

using namespace penstock;
using namespace penstock::http;

struct Outcome {
  std::string transcript;
  bool excess = false;  ///< bytes nobody asked for
};

Outcome Ask(std::string_view text, std::size_t most, Method method) {
  H1ClientRun run({method});
  if (most == 0) {
    run.Feed(text);
  } else {
    fuzz::InPieces(text, most, [&](std::string_view piece) { run.Feed(piece); });
  }
  const bool excess = run.untaken != 0 && run.error.code == ErrorCode::kNone;
  if (excess && run.codec().reusable()) std::abort();
  if (run.ends > 1 || (run.ends == 1 && run.error.code != ErrorCode::kNone)) std::abort();
  run.Eof();
  if (run.codec().due() || run.codec().reusable()) std::abort();
  return {run.Done(), excess};
}

/// Bytes behind a bodiless head are an error when they are there in time, and not taken when they come later.
void RequireSame(const Outcome& whole, const Outcome& split) {
  if (whole.transcript.find("error upstream_protocol unexpected_body") != std::string::npos && split.excess) return;
  fuzz::RequireEqual(whole.transcript, split.transcript, "whole and in pieces");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  for (const Method method : {Method::kGet, Method::kHead}) {
    const Outcome whole = Ask(text, 0, method);
    RequireSame(whole, Ask(text, 1, method));
    RequireSame(whole, Ask(text, 40, method));
  }
  return 0;
}
