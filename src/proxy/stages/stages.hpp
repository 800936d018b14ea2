#pragma once

#include <optional>

#include "penstock/base/error.hpp"
#include "penstock/rt/task.hpp"
#include "proxy/request_context.hpp"

/// The pipeline's stages: each takes the request's context and either lets it pass or says what is wrong. None calls
/// another.
namespace penstock::proxy {

class Answer;
class Attempt;

/// The path and method name a row of the route table.
std::optional<Error> ChooseRoute(RequestContext& context);
/// 421 for what came over TLS to somebody else (RFC 9110 section 7.4): a connection may serve more hosts than the one
/// it was made for, but only those that our certificate is good for. Proxies that we trust may send any host.
std::optional<Error> CheckAuthority(RequestContext& context);
/// Who asks. Before anything of a body is read, and before every look into a cache.
std::optional<Error> Authenticate(RequestContext& context);
/// At the head, before a body is asked for: media type, announced size.
std::optional<Error> CheckHead(RequestContext& context);
/// When the gateway is overloaded: 503 for what it does not take now, as long as the request is not whole.
std::optional<Error> CheckOverload(RequestContext& context);
/// What clients are told to wait then.
Duration OverloadPause(RequestContext& context);
/// The body becomes a view of what it says; every byte of it is checked. A large one is read on another thread.
rt::Task<std::optional<Error>> ParseBody(RequestContext& context);
/// The model names a cluster; the tenant may use it.
std::optional<Error> ChooseCluster(RequestContext& context);
/// What the cache may do for the request, its key, and a look into memory. True: answered.
rt::Task<bool> LookUp(RequestContext& context, Answer& answer);
/// Joins the call of an equal request that is under way, or becomes the one that makes it. True: answered.
rt::Task<bool> Follow(RequestContext& context, Answer& answer);
/// A look into Redis and onto the disk. True: answered.
rt::Task<bool> LookBelow(RequestContext& context, Answer& answer);
/// The model that was asked for, then those that stand in for it, until one answers. Nothing = the answer is under way
/// or out.
rt::Task<std::optional<Error>> Forward(RequestContext& context, Answer& answer, Attempt& attempt);
/// How the call ended: the cache keeps the answer if it is fit, and those who followed are told.
void Keep(RequestContext& context, const Attempt& attempt, const std::optional<Error>& error);

}  // namespace penstock::proxy
