#include "penstock/rt/offload.hpp"
#include "proxy/stages/stages.hpp"

namespace penstock::proxy {
namespace {

constexpr std::size_t kParseHereMax =
    1024 * 1024;  // about a millisecond; above, the loop would keep its other clients waiting

/// A body on its way to another thread and back. The text of a long string stays at its place when the string is moved,
/// so the view that comes back is good for the body that comes back.
struct ParseJob {
  llm::Family family;
  std::uint64_t seed;
  std::uint32_t depth_max;
  std::string body;

  struct Parsed {
    Result<llm::RequestView> view;
    std::string body;
  };
  Parsed operator()() {
    llm::JsonParser parser(seed, depth_max);
    Result<llm::RequestView> view = llm::ParseRequest(family, body, parser);
    return {view, std::move(body)};
  }
};

}  // namespace

rt::Task<std::optional<Error>> ParseBody(RequestContext& context) {
  const llm::Family family = context.route->family;
  const std::uint32_t depth_max = context.snapshot().config.server.limits.json_depth;
  if (context.body.size() <= kParseHereMax) {
    context.worker.json.set_depth_max(depth_max);
    const Result<llm::RequestView> view = llm::ParseRequest(family, context.body, context.worker.json);
    if (!view.has_value()) co_return view.error();
    context.request = *view;
    co_return std::nullopt;
  }
  rt::Worker& worker = context.worker.worker;
  ParseJob job{family, worker.prng().Next(), depth_max, std::move(context.body)};
  ParseJob::Parsed parsed = co_await rt::Offload<ParseJob>(context.worker.offload, worker, std::move(job));
  context.body = std::move(parsed.body);
  if (!parsed.view.has_value()) co_return parsed.view.error();
  context.request = *parsed.view;
  co_return std::nullopt;
}

}  // namespace penstock::proxy
