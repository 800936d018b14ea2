#include "penstock/grpc/translation.hpp"
#include "penstock/rt/offload.hpp"
#include "proxy/stages/stages.hpp"

namespace penstock::proxy {
namespace {

constexpr std::size_t kParseHereMax =
    1024 * 1024;  // about a millisecond; above, the loop would keep its other clients waiting

/// `body`, a gRPC message, becomes the JSON body that it stands for.
Result<llm::RequestView> Translate(const grpc::Method& method, std::string& body, std::string& scratch,
                                   grpc::ReplyFacts& facts, llm::JsonParser& parser) {
  llm::TokenNotes& notes = parser.BeginNotes();
  const std::optional<Error> error = grpc::TranslateRequest(method, body, scratch, facts, notes);
  if (error.has_value()) return *error;
  body.swap(scratch);
  return notes.empty() ? llm::ParseRequest(method.family, body, parser) : llm::ViewRequest(method.family, body, parser);
}

/// A body on its way to another thread and back. The text of a long string stays at its place when the string is moved,
/// so the view that comes back is good for the body that comes back.
struct ParseJob {
  llm::Family family;
  std::uint64_t seed;
  std::uint32_t depth_max;
  const grpc::Method* method;  ///< null: the body is JSON
  std::string body;

  struct Parsed {
    Result<llm::RequestView> view;
    std::string body;
    grpc::ReplyFacts facts;
  };
  Parsed operator()() {
    llm::JsonParser parser(seed, depth_max);
    Parsed parsed{Error{}, std::move(body), {}};
    std::string scratch;
    parsed.view = method == nullptr ? llm::ParseRequest(family, parsed.body, parser)
                                    : Translate(*method, parsed.body, scratch, parsed.facts, parser);
    return parsed;
  }
};

}  // namespace

rt::Task<std::optional<Error>> ParseBody(RequestContext& context) {
  const llm::Family family = context.route->family;
  const std::uint32_t depth_max = context.snapshot().config.server.limits.json_depth;
  if (context.body.size() <= kParseHereMax) {
    WorkerContext& worker = context.worker;
    worker.json.set_depth_max(depth_max);
    const Result<llm::RequestView> view =
        context.grpc == nullptr
            ? llm::ParseRequest(family, context.body, worker.json)
            : Translate(*context.grpc->method, context.body, worker.grpc_message, context.grpc->facts, worker.json);
    if (!view.has_value()) co_return view.error();
    context.request = *view;
    co_return std::nullopt;
  }
  rt::Worker& worker = context.worker.worker;
  ParseJob job{family, worker.prng().Next(), depth_max, context.grpc != nullptr ? context.grpc->method : nullptr,
               std::move(context.body)};
  ParseJob::Parsed parsed = co_await rt::Offload<ParseJob>(context.worker.offload, worker, std::move(job));
  context.body = std::move(parsed.body);
  if (context.grpc != nullptr) context.grpc->facts = std::move(parsed.facts);
  if (!parsed.view.has_value()) co_return parsed.view.error();
  context.request = *parsed.view;
  co_return std::nullopt;
}

}  // namespace penstock::proxy
