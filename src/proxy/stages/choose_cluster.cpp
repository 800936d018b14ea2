#include "proxy/stages/stages.hpp"

namespace penstock::proxy {

std::optional<Error> ChooseCluster(RequestContext& context) {
  const Snapshot& snapshot = context.snapshot();
  const std::string_view name = context.request->model();
  if (context.request->model_token) {
    context.asked = snapshot.FindModel(name);
  } else if (snapshot.models.size() == 1) {
    context.asked = &snapshot.models.front();  // /tokenize and its like may leave the model out
  }
  if (context.asked == nullptr) {
    Error error = DownstreamError(ErrorCode::kModelNotFound, "the model does not exist");
    error.param = "model";
    return error;
  }
  context.UseModel(*context.asked);
  if (!context.MayUse(*context.asked)) {
    Error error = DownstreamError(ErrorCode::kModelForbidden, "the key may not use this model");
    error.param = "model";
    return error;
  }

  const Duration total = context.cluster->route->config->timeouts.total;
  const auto wish = policy::ParseTimeoutMs(context.head->Find(http::HeaderId::kXPenstockTimeoutMs));
  context.latest = policy::Deadline::After(context.record.began, total);
  context.deadline = policy::RequestDeadline(context.record.began, total, wish);
  if (!context.deadline.never()) context.worker.worker.timers().Arm(*context.deadline_timer, context.deadline.at);
  return std::nullopt;
}

}  // namespace penstock::proxy
