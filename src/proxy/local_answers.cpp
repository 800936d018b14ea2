#include "proxy/local_answers.hpp"

#include "penstock/base/percent.hpp"
#include "penstock/grpc/translation.hpp"
#include "penstock/proxy/error_reply.hpp"
#include "proxy/grpc/local.hpp"

namespace penstock::proxy {
namespace {

constexpr std::string_view kJson = "application/json";
constexpr Duration kRetryAfterUnavailable = std::chrono::seconds(1);

/// A call's message has nothing to say, but it must be one.
std::optional<Error> CheckMessage(RequestContext& context) {
  WorkerContext& worker = context.worker;
  GrpcPart& grpc = *context.grpc;
  return grpc::TranslateRequest(*grpc.method, context.body, worker.grpc_message, grpc.facts, worker.json.BeginNotes());
}

void AnswerModels(RequestContext& context, Answer& answer) {
  if (context.grpc != nullptr) {
    if (const std::optional<Error> error = CheckMessage(context)) return AnswerError(context, answer, *error);
  }
  if (context.tenant->every_model) {
    answer.Reply(200, kJson, context.snapshot().models_json);
    return;
  }
  std::string body = R"({"object":"list","data":[)";
  const std::size_t empty = body.size();
  for (const ModelRoute& model : context.snapshot().models) {
    if (!context.MayUse(model)) continue;  // what a key may not use does not exist for it
    if (body.size() != empty) body += ',';
    WriteModelJson(body, model.name);
  }
  body += "]}";
  answer.Reply(200, kJson, body);
}

}  // namespace

void AnswerLocally(RequestContext& context, Answer& answer) {
  switch (context.route->kind) {
    case RouteKind::kModels: AnswerModels(context, answer); return;
    case RouteKind::kModel: {
      const ModelRoute* model = context.snapshot().FindModel(DecodePercent(context.argument));
      if (model == nullptr || !context.MayUse(*model)) {
        AnswerError(context, answer, DownstreamError(ErrorCode::kModelNotFound, "the model does not exist"));
        return;
      }
      context.asked = context.model = model;
      std::string body;
      WriteModelJson(body, model->name);
      answer.Reply(200, kJson, body);
      return;
    }
    case RouteKind::kHealth:
      if (context.worker.draining) {
        answer.Reply(503, kJson, R"({"status":"draining"})", kRetryAfterUnavailable);
      } else {
        answer.Reply(200, kJson, R"({"status":"ok"})");
      }
      return;
    case RouteKind::kGrpcLocal: AnswerGrpcLocally(context, answer); return;
    case RouteKind::kGrpcWatch:
    case RouteKind::kInference: return;
  }
}

void AnswerError(RequestContext& context, Answer& answer, const Error& error) {
  const ErrorRow row = RowOf(error);
  if (context.record.term == telemetry::Term::kWell) context.record.term = row.term;
  const bool wait = row.status == 503 || row.status == 429;
  if (context.grpc != nullptr) {
    if (context.client == nullptr) return;  // the turn went with its client
    if (!context.grpc->status.has_value()) context.grpc->status = StatusOf(error);
    answer.Reply(row.status, kJson, {}, wait ? context.record.retry_after : Duration{});
    return;
  }
  answer.Reply(row.status, kJson, ErrorBody(context.family(), error, context.record.id()),
               wait ? context.record.retry_after : Duration{});
}

void WriteModelJson(std::string& out, std::string_view name) {
  // Model names are visible ASCII without quotes and backslashes (config::Model), so nothing needs escaping.
  out += R"({"id":")";
  out += name;
  out += R"(","object":"model","created":0,"owned_by":"penstock"})";
}

}  // namespace penstock::proxy
