#include "proxy/pipeline.hpp"

#include "proxy/answer.hpp"
#include "proxy/grpc/local.hpp"
#include "proxy/local_answers.hpp"
#include "proxy/stages/stages.hpp"

namespace penstock::proxy {

// The order is the product. ChooseRoute, CheckAuthority, Authenticate, CheckHead and CheckOverload ran when the head
// came, before the body was asked for, the last one also with each piece of the body; here the request is whole. What
// stands between two lines and why:
//   ParseBody      before anything may depend on what the body says; one walk, every byte checked
//   ChooseCluster  the model decides where; unknown models and those that the key may not use end here, and never reach
//                  a cache or a backend
//   LookUp         the memory tier: most of what is known is there, and nothing waits but for the key of a large body
//   Follow         an equal request is on its way: its answer is this one's too. Else this one leads
//   LookBelow      Redis and disk, for one of all who ask the same
//   Forward        attempts at endpoints; until the first content commits, everything may begin anew elsewhere
//   Keep           a complete answer goes into the tiers; who followed learns how it ended
// Whatever comes out, exactly one answer goes to the client, and Exchange accounts for it once, on every exit.
rt::Task<void> RunPipeline(RequestContext& context, Answer& answer, Attempt& attempt) {
  if (context.route->kind == RouteKind::kGrpcWatch) {
    co_await WatchHealth(context, answer);
    co_return;
  }
  if (context.route->kind != RouteKind::kInference) {
    AnswerLocally(context, answer);
    co_return;
  }
  std::optional<Error> error = co_await ParseBody(context);
  if (!error) error = ChooseCluster(context);
  if (!error) {
    if (co_await LookUp(context, answer)) co_return;
    if (co_await Follow(context, answer)) co_return;
    if (co_await LookBelow(context, answer)) co_return;
    error = co_await Forward(context, answer, attempt);
    Keep(context, attempt, error);
    // Its client left it to others: no session says that it is over.
    if (context.client == nullptr) context.worker.worker.Arm(*context.deadline_timer, Duration::zero());
  }
  if (error) AnswerError(context, answer, *error);
}

}  // namespace penstock::proxy
