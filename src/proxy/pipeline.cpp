#include "proxy/pipeline.hpp"

#include "proxy/answer.hpp"
#include "proxy/local_answers.hpp"
#include "proxy/stages/stages.hpp"

namespace penstock::proxy {

// The order is the product. ChooseRoute, CheckAuthority, Authenticate and CheckHead ran when the head came, before the
// body was asked for; here the request is whole. What stands between two lines and why:
//   ParseBody      before anything may depend on what the body says; one walk, every byte checked
//   ChooseCluster  the model decides where; unknown models end here, and never reach a backend
//   Forward        attempts at endpoints; until the first content commits, everything may begin anew elsewhere
// Whatever comes out, exactly one answer goes to the client, and Exchange accounts for it once, on every exit.
rt::Task<void> RunPipeline(RequestContext& context, Answer& answer, Attempt& attempt) {
  if (context.route->kind != RouteKind::kInference) {
    AnswerLocally(context, answer);
    co_return;
  }
  std::optional<Error> error = co_await ParseBody(context);
  if (!error) error = ChooseCluster(context);
  if (!error) error = co_await Forward(context, answer, attempt);
  if (error) AnswerError(context, answer, *error);
}

}  // namespace penstock::proxy
