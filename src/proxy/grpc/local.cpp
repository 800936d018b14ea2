#include "proxy/grpc/local.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "penstock/grpc/local_services.hpp"
#include "penstock/grpc/message.hpp"
#include "penstock/proxy/error_reply.hpp"
#include "proxy/local_answers.hpp"

namespace penstock::proxy {
namespace {

/// As /readyz has it.
bool SomebodyHealthy(const Snapshot& snapshot) noexcept {
  return std::any_of(snapshot.clusters.begin(), snapshot.clusters.end(), [](const ClusterRoute& cluster) {
    return std::any_of(cluster.endpoints.begin(), cluster.endpoints.end(),
                       [](const auto& endpoint) { return endpoint->usable(); });
  });
}

grpc::GatewayFacts FactsOf(const RequestContext& context) {
  return {!context.worker.draining, SomebodyHealthy(context.snapshot()), PENSTOCK_VERSION};
}

std::vector<std::string_view> ModelsOf(const RequestContext& context) {
  std::vector<std::string_view> names;
  if (context.tenant == nullptr) return names;
  for (const ModelRoute& model : context.snapshot().models) {
    if (context.MayUse(model)) names.push_back(model.name);
  }
  return names;
}

std::string Framed(std::string_view message) {
  std::string framed(grpc::kPrefixBytes, '\0');
  grpc::WritePrefix(framed.data(), false, static_cast<std::uint32_t>(message.size()));
  return framed += message;
}

std::optional<Error> MessageOf(const RequestContext& context, std::string& out) {
  switch (context.grpc->method->service) {
    case grpc::Service::kHealth: return grpc::AnswerHealth(context.body, FactsOf(context), false, out);
    case grpc::Service::kReflection: return grpc::AnswerReflection(context.body, out);
    default:
      return grpc::AnswerKserveFacts(context.grpc->method->path, context.body, FactsOf(context), ModelsOf(context),
                                     out);
  }
}

/// On the worker's list while it lives.
class Watcher {
 public:
  explicit Watcher(WorkerContext& worker) : worker_(worker) { worker.watchers.push_back(&changed); }
  ~Watcher() { std::erase(worker_.watchers, &changed); }
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;

  rt::Signal changed;

 private:
  WorkerContext& worker_;
};

}  // namespace

void AnswerGrpcLocally(RequestContext& context, Answer& answer) {
  std::string message;
  const std::optional<Error> error = MessageOf(context, message);
  if (!error.has_value()) {
    context.grpc->messages = true;
    return answer.Reply(200, kGrpcType, Framed(message));
  }
  // Here it is something that was asked for by name; elsewhere the method itself.
  if (error->code == ErrorCode::kNotFound) {
    context.grpc->status = StatusOf(*error);
    context.grpc->status->code = grpc::StatusCode::kNotFound;
  }
  AnswerError(context, answer, *error);
}

rt::Task<void> WatchHealth(RequestContext& context, Answer& answer) {
  Watcher watcher(context.worker);
  std::string told;
  std::string message;
  while (true) {
    message.clear();
    const std::optional<Error> error = grpc::AnswerHealth(context.body, FactsOf(context), true, message);
    if (error.has_value()) {
      AnswerError(context, answer, *error);
      co_return;
    }
    if (!answer.committed()) {
      http::HeadPtr head = context.worker.heads.Take();
      head->status = 200;
      head->Add("content-type", kGrpcType, http::HeaderId::kContentType);
      context.grpc->messages = true;
      answer.CommitOwn(*head);
      answer.Append(Framed(message));
    } else if (message != told) {
      answer.Append(Framed(message));
    }
    told = message;
    if (context.worker.leaving) break;
    co_await watcher.changed;
  }
  context.record.term = telemetry::Term::kDrain;
  answer.Break(BreakPoint::kBody, InternalError(ErrorCode::kDraining, "the gateway is shutting down"));
}

}  // namespace penstock::proxy
