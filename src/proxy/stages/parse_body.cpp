#include "penstock/grpc/translation.hpp"
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
  const grpc::Method* method;  ///< null: the body is JSON
  std::string body;

  struct Parsed {
    Result<llm::RequestView> view;
    std::string body;
    grpc::ReplyFacts facts;
  };
  Parsed operator()() {
    Parsed parsed{Error{}, std::move(body), {}};
    if (method != nullptr) {
      std::string json;
      if (const auto error = grpc::TranslateRequest(*method, parsed.body, json, parsed.facts)) {
        parsed.view = *error;
        return parsed;
      }
      parsed.body = std::move(json);
    }
    llm::JsonParser parser(seed, depth_max);
    parsed.view = llm::ParseRequest(family, parsed.body, parser);
    return parsed;
  }
};

/// A gRPC message becomes the JSON body that it stands for.
std::optional<Error> Translate(RequestContext& context) {
  std::string& json = context.worker.grpc_message;
  GrpcPart& grpc = *context.grpc;
  const std::optional<Error> error = grpc::TranslateRequest(*grpc.method, context.body, json, grpc.facts);
  if (!error.has_value()) context.body.swap(json);
  return error;
}

}  // namespace

rt::Task<std::optional<Error>> ParseBody(RequestContext& context) {
  const llm::Family family = context.route->family;
  const std::uint32_t depth_max = context.snapshot().config.server.limits.json_depth;
  if (context.body.size() <= kParseHereMax) {
    if (context.grpc != nullptr) {
      const std::optional<Error> error = Translate(context);
      if (error.has_value()) co_return error;
    }
    context.worker.json.set_depth_max(depth_max);
    const Result<llm::RequestView> view = llm::ParseRequest(family, context.body, context.worker.json);
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
