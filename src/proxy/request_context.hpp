#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "penstock/http/head.hpp"
#include "penstock/llm/request_view.hpp"
#include "penstock/llm/usage.hpp"
#include "penstock/policy/deadline.hpp"
#include "penstock/policy/priority.hpp"
#include "penstock/proxy/routes.hpp"
#include "penstock/server/request_handler.hpp"
#include "penstock/telemetry/term.hpp"
#include "proxy/cache_part.hpp"
#include "proxy/grpc/part.hpp"
#include "proxy/worker_context.hpp"

namespace penstock::proxy {

/// What is told of a request when it is over: metrics and the access line.
struct RequestRecord {
  TimePoint began{};
  WallTime wall{};
  std::array<char, 128> request_id;
  std::uint8_t request_id_size = 0;
  std::uint16_t status = 0;
  telemetry::Term term = telemetry::Term::kWell;
  std::uint32_t attempts = 0;
  bool hopeless = false;                         ///< the upstream's refusal is about the request: nobody would take it
  const upstream::Endpoint* endpoint = nullptr;  ///< of the last attempt; pinned by the exchange's view
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  llm::Usage usage;
  TimePoint forwarded{};     ///< first attempt submitted
  Duration upstream_time{};  ///< waited for upstreams before commit
  Duration queued{};         ///< waited for an endpoint
  std::optional<Duration> ttft;
  Duration retry_after = std::chrono::seconds(1);  ///< told with a 429 or 503 of our own

  std::string_view id() const noexcept { return {request_id.data(), request_id_size}; }
};

inline constexpr std::size_t kToldBytes = 4096;  // of a prompt and of an answer, for `log.prompts`

/// Owned by one Worker. What the pipeline's stages work on.
struct RequestContext {
  explicit RequestContext(WorkerContext& w) : worker(w) {}

  WorkerContext& worker;
  server::ResponseStream* client = nullptr;  ///< null once the client is gone or served
  ViewPtr view;
  http::HeadPtr head;
  std::size_t route_index = 0;
  const Route* route = nullptr;  ///< null: no such route
  std::string_view argument;     ///< of a route that ends with "/"
  std::string body;
  std::optional<llm::RequestView> request;
  const Tenant* tenant = nullptr;     ///< null: not known (yet)
  const ModelRoute* asked = nullptr;  ///< what the client named
  const ModelRoute* model = nullptr;  ///< who answers, or is asked just now: a fallback of it
  const ClusterView* cluster = nullptr;
  CachePart cache;
  GrpcPart* grpc = nullptr;  ///< null: an HTTP request
  policy::Deadline deadline;
  policy::Deadline latest;              ///< what `total` allows: the client may have wished for less
  rt::Timer* deadline_timer = nullptr;  ///< the exchange's; armed when the deadline is known
  RequestRecord record;
  server::Protocol protocol = server::Protocol::kHttp1;
  std::string peer;          ///< for the access line; filled only while that is on
  bool told = false;         ///< `log.prompts`: what was said is written to the log
  std::string answer_start;  ///< of what was told

  /// For the next request; keeps a body buffer of at most `body_keep_max` bytes.
  void Clear(std::size_t body_keep_max);

  /// A model of the snapshot, by the tenant's key.
  bool MayUse(const ModelRoute& other) const noexcept {
    return tenant->MayUse(static_cast<std::size_t>(&other - snapshot().models.data()));
  }
  /// What the client wishes, as far as its key goes. Another word than the three is no wish.
  policy::Priority priority() const noexcept {
    const auto wish = policy::ParsePriority(head->Find(http::HeaderId::kXPenstockPriority));
    return policy::CappedPriority(wish.value_or(policy::Priority::kDefault), tenant->priority);
  }
  void UseModel(const ModelRoute& other) {
    model = &other;
    cluster = &view->clusters[other.cluster];
  }

  void NoteAnswer(std::string_view bytes) { answer_start += bytes.substr(0, kToldBytes - answer_start.size()); }

  const Snapshot& snapshot() const noexcept { return *view->snapshot; }
  llm::Family family() const noexcept { return route == nullptr ? FamilyOfPath(head->target()) : route->family; }
  TimePoint now() const noexcept { return worker.worker.Now(); }
};

}  // namespace penstock::proxy
