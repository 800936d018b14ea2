#include "penstock/proxy/routes.hpp"

#include <algorithm>
#include <array>

namespace penstock::proxy {
namespace {

using http::Method;
using llm::Family;

/// A gRPC method that goes upstream, as the family's HTTP request.
constexpr Route Completion(std::string_view path, std::string_view name, Family family) {
  const std::string_view target = family == Family::kChat          ? "/v1/chat/completions"
                                  : family == Family::kCompletions ? "/v1/completions"
                                                                   : "/v1/embeddings";
  return {Method::kPost, path, name, RouteKind::kInference, family, true, target, false};
}
/// One that the gateway answers itself.
constexpr Route Local(std::string_view path, std::string_view name, RouteKind kind) {
  return {Method::kPost, path, name, kind, Family::kChat, true, {}, false};
}
/// Likewise, for whoever asks.
constexpr Route Probe(std::string_view path, std::string_view name, RouteKind kind) {
  return {Method::kPost, path, name, kind, Family::kChat, true, {}, true};
}

constexpr Route kRoutes[] = {
    {Method::kPost, "/v1/chat/completions", "chat_completions", RouteKind::kInference, Family::kChat},
    {Method::kPost, "/v1/completions", "completions", RouteKind::kInference, Family::kCompletions},
    {Method::kPost, "/v1/embeddings", "embeddings", RouteKind::kInference, Family::kEmbeddings},
    {Method::kPost, "/v1/responses", "responses", RouteKind::kInference, Family::kResponses},
    {Method::kPost, "/v1/messages", "messages", RouteKind::kInference, Family::kMessages},
    {Method::kPost, "/v1/messages/count_tokens", "count_tokens", RouteKind::kInference, Family::kCountTokens},
    {Method::kPost, "/v1/rerank", "rerank", RouteKind::kInference, Family::kRerank},
    {Method::kPost, "/v1/score", "score", RouteKind::kInference, Family::kScore},
    {Method::kPost, "/tokenize", "tokenize", RouteKind::kInference, Family::kTokenize},
    {Method::kPost, "/detokenize", "detokenize", RouteKind::kInference, Family::kDetokenize},
    {Method::kGet, "/v1/models", "models", RouteKind::kModels, Family::kChat},
    {Method::kGet, "/v1/models/", "model", RouteKind::kModel, Family::kChat},
    {Method::kGet, "/health", "health", RouteKind::kHealth, Family::kChat, false, {}, true},
    Completion("/penstock.v1.Inference/Chat", "grpc_chat", Family::kChat),
    Completion("/penstock.v1.Inference/ChatStream", "grpc_chat_stream", Family::kChat),
    Completion("/penstock.v1.Inference/Complete", "grpc_complete", Family::kCompletions),
    Completion("/penstock.v1.Inference/CompleteStream", "grpc_complete_stream", Family::kCompletions),
    Completion("/penstock.v1.Inference/Embed", "grpc_embed", Family::kEmbeddings),
    Local("/penstock.v1.Inference/ListModels", "grpc_models", RouteKind::kModels),
    Completion("/inference.GRPCInferenceService/ModelInfer", "kserve_infer", Family::kCompletions),
    Completion("/inference.GRPCInferenceService/ModelStreamInfer", "kserve_stream_infer", Family::kCompletions),
    Probe("/inference.GRPCInferenceService/ServerLive", "kserve_server_live", RouteKind::kGrpcLocal),
    Probe("/inference.GRPCInferenceService/ServerReady", "kserve_server_ready", RouteKind::kGrpcLocal),
    Local("/inference.GRPCInferenceService/ServerMetadata", "kserve_server_metadata", RouteKind::kGrpcLocal),
    Local("/inference.GRPCInferenceService/ModelReady", "kserve_model_ready", RouteKind::kGrpcLocal),
    Local("/inference.GRPCInferenceService/ModelMetadata", "kserve_model_metadata", RouteKind::kGrpcLocal),
    Probe("/grpc.health.v1.Health/Check", "grpc_health", RouteKind::kGrpcLocal),
    Probe("/grpc.health.v1.Health/Watch", "grpc_health_watch", RouteKind::kGrpcWatch),
    Local("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "grpc_reflection", RouteKind::kGrpcLocal),
    Local("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", "grpc_reflection_v1alpha",
          RouteKind::kGrpcLocal),
};

bool Matches(const Route& route, std::string_view path) noexcept {
  if (!route.path.ends_with('/')) return path == route.path;
  return path.size() > route.path.size() && path.starts_with(route.path);
}

/// Path forms on which a proxy and the server behind it may disagree. None of our routes needs them.
bool IsSuspicious(std::string_view path) noexcept {
  if (path.find("//") != path.npos || path.find("/.") != path.npos) return true;
  return path.find_first_of(";\\#") != path.npos || path.find('%') != path.npos;
}

/// Percent escapes are taken only in the argument of /v1/models/{id}, where names may hold any visible character.
bool IsSuspiciousEscape(std::string_view text) noexcept {
  for (std::size_t at = text.find('%'); at != text.npos; at = text.find('%', at + 1)) {
    const std::string_view code = text.substr(at + 1, 2);
    constexpr std::array<std::string_view, 8> kForbidden = {"00", "2e", "2E", "5c", "5C", "25", "3b", "3B"};
    if (code.size() < 2 || std::find(kForbidden.begin(), kForbidden.end(), code) != kForbidden.end()) return true;
  }
  return false;
}

}  // namespace

std::span<const Route> Routes() noexcept { return kRoutes; }

Result<std::size_t> FindRoute(http::Method method, std::string_view target, std::string_view& argument) noexcept {
  for (std::size_t i = 0; i < std::size(kRoutes); ++i) {
    if (kRoutes[i].path != target || kRoutes[i].method != method || target.ends_with('/')) continue;
    argument = {};
    return i;  // nearly always; and no path of ours is suspicious
  }
  const std::string_view path = target.substr(0, target.find('?'));
  if (!path.starts_with('/')) return DownstreamError(ErrorCode::kBadRequest, "the request target is no path");
  const std::string_view models = "/v1/models/";
  const bool named = path.starts_with(models) && path.size() > models.size();
  if (named ? IsSuspiciousEscape(path) || path.find("/.") != path.npos : IsSuspicious(path)) {
    return DownstreamError(ErrorCode::kBadRequest, "the path holds dot segments, empty segments or escapes");
  }
  bool path_known = false;
  for (std::size_t i = 0; i < std::size(kRoutes); ++i) {
    if (!Matches(kRoutes[i], path)) continue;
    path_known = true;
    const bool asked = kRoutes[i].method == method || (kRoutes[i].method == Method::kGet && method == Method::kHead);
    if (!asked) continue;
    argument = kRoutes[i].path.ends_with('/') ? path.substr(kRoutes[i].path.size()) : std::string_view{};
    return i;
  }
  if (path_known) return DownstreamError(ErrorCode::kMethodNotAllowed, "this path has no such method");
  if (method == http::Method::kConnect || method == http::Method::kTrace) {
    return DownstreamError(ErrorCode::kMethodNotAllowed, "CONNECT and TRACE are not served");
  }
  return DownstreamError(ErrorCode::kNotFound, "no such path");
}

llm::Family FamilyOfPath(std::string_view target) noexcept {
  const std::string_view path = target.substr(0, target.find('?'));
  for (const Route& route : kRoutes) {
    if (Matches(route, path)) return route.family;
  }
  return Family::kChat;
}

std::string_view AllowedMethods(std::string_view target) noexcept {
  const std::string_view path = target.substr(0, target.find('?'));
  for (const Route& route : kRoutes) {
    if (Matches(route, path)) return route.method == Method::kGet ? "GET, HEAD" : "POST";  // no path takes both
  }
  return {};
}

}  // namespace penstock::proxy
