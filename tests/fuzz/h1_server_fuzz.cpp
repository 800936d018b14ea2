// The request parser: no input crashes it, the events do not depend on how the bytes arrive, and what we
// would send on for an accepted head parses to that head again.

#include "fuzz/pieces.hpp"
#include "support/h1_recorder.hpp"

namespace {

using namespace penstock;
using namespace penstock::http;

std::string Serve(std::string_view text, std::size_t most, const H1Limits& limits) {
  H1ServerRun run(limits);
  fuzz::InPieces(text, most, [&](std::string_view piece) { run.Feed(piece); });
  return run.Done() + (run.code == ErrorCode::kNone ? std::to_string(run.untaken) : "");
}

void RequireSameFields(const Head& sent, const Head& received) {
  std::string before(sent.method_text());
  std::string after(received.method_text());
  const auto list = [](const Head& head, std::string& out) {
    out.append(head.target()).append(" ").append(head.authority()).append("\n");
    for (std::size_t i = 0; i < head.size(); ++i) {
      const Head::Field field = head.field(i);
      switch (field.id) {
        case HeaderId::kConnection:
        case HeaderId::kContentLength:
        case HeaderId::kExpect:
        case HeaderId::kHost:
        case HeaderId::kKeepAlive:
        case HeaderId::kProxyConnection:
        case HeaderId::kTe:
        case HeaderId::kTrailer:
        case HeaderId::kTransferEncoding:
        case HeaderId::kUpgrade: continue;
        default: out.append(field.name).append(": ").append(field.value).append("\n");
      }
    }
  };
  list(sent, before);
  list(received, after);
  fuzz::RequireEqual(before, after, "a head and its copy written and parsed");
}

void RewriteAndParse(const Head& head) {
  if (head.authority().empty()) return;  // HTTP/1.0 without Host: the proxy sets the upstream's
  ChunkPool pool;
  Chain chain(pool);
  if (!WriteH1RequestHead(chain, head)) std::abort();
  std::string text(chain.size(), '\0');
  chain.Read(text.data(), text.size());
  H1Limits roomy;
  roomy.header_bytes *= 2;  // the writer's own fields
  roomy.header_count += 3;
  roomy.body = UINT64_MAX;
  H1ServerRun run(roomy);
  run.Feed(text);
  if (run.requests.size() != 1) {
    std::fprintf(stderr, "not accepted: %s\n%s", run.Done().c_str(), text.c_str());
    std::abort();
  }
  RequireSameFields(head, *run.requests[0]);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  H1Limits tight;
  tight.uri = 48;
  tight.header_bytes = 256;
  tight.header_count = 8;
  tight.body = 64;
  tight.chunk_extension = 8;
  tight.chunk_extensions = 16;
  tight.trailer_count = 3;
  tight.trailer_bytes = 64;
  for (const H1Limits& limits : {H1Limits{}, tight}) {
    H1ServerRun run(limits);
    run.Feed(text);
    const std::string whole = run.Done() + (run.code == ErrorCode::kNone ? std::to_string(run.untaken) : "");
    fuzz::RequireEqual(whole, Serve(text, 1, limits), "whole and byte by byte");
    fuzz::RequireEqual(whole, Serve(text, 40, limits), "whole and in pieces");
    for (const HeadPtr& head : run.requests) RewriteAndParse(*head);
  }
  return 0;
}
