#include "control/admin_exchange.hpp"

#include <algorithm>

#include "control/admin_pages.hpp"
#include "control/sampler.hpp"
#include "penstock/proxy/error_reply.hpp"
#include "penstock/proxy/offered_key.hpp"
#include "penstock/telemetry/exposition.hpp"

namespace penstock::control {
namespace {

constexpr std::string_view kJson = "application/json";
constexpr std::string_view kYaml = "application/yaml";

enum class Door : std::uint8_t { kOpen, kKey };

}  // namespace

/// Immutable. A row of the admin API.
struct AdminRoute {
  http::Method method;
  std::string_view allow;
  std::string_view path;
  Door door;
  bool sampled;  ///< wants the workers' gauges fresh
  void (AdminExchange::*serve)();

  static std::span<const AdminRoute> All() {
    using http::Method;
    using X = AdminExchange;
    static constexpr AdminRoute kRows[] = {
        {Method::kGet, "GET, HEAD", "/metrics", Door::kOpen, true, &X::Metrics},
        {Method::kGet, "GET, HEAD", "/healthz", Door::kOpen, false, &X::Healthz},
        {Method::kGet, "GET, HEAD", "/readyz", Door::kOpen, false, &X::Readyz},
        {Method::kGet, "GET, HEAD", "/version", Door::kKey, false, &X::Version},
        {Method::kGet, "GET, HEAD", "/admin/config", Door::kKey, false, &X::ShowConfig},
        {Method::kGet, "GET, HEAD", "/admin/backends", Door::kKey, true, &X::Backends},
        {Method::kGet, "GET, HEAD", "/admin/cache", Door::kKey, true, &X::Cache},
        {Method::kPost, "POST", "/admin/cache/purge", Door::kKey, false, &X::PurgeCache},
        {Method::kPost, "POST", "/admin/reload", Door::kKey, false, &X::Reload},
        {Method::kPost, "POST", "/admin/drain", Door::kKey, false, &X::BeginDrain},
    };
    return kRows;
  }
};

void AdminExchange::Begin(server::ResponseStream& stream, const http::Head& head, bool body_follows,
                          bool expect_continue, const Error* reject) {
  stream_ = &stream;
  if (reject != nullptr) {
    Fail(*reject);
    return;
  }
  Choose(head);
  if (answered_) return;
  if (!body_follows) {
    Serve();
  } else if (expect_continue) {
    stream.SendContinue();
  }
}

/// The route, or the answer why there is none.
void AdminExchange::Choose(const http::Head& head) {
  const std::string_view target = head.target();
  const std::string_view path = target.substr(0, target.find('?'));
  const auto rows = AdminRoute::All();
  const auto row = std::find_if(rows.begin(), rows.end(), [path](const AdminRoute& each) { return each.path == path; });
  const bool open = row != rows.end() && row->door == Door::kOpen;
  if (!open && !MayEnter(head)) {
    Fail(DownstreamError(ErrorCode::kInvalidApiKey,
                         "the admin API wants its key, as Authorization: Bearer or x-api-key"));
  } else if (row == rows.end()) {
    Fail(DownstreamError(ErrorCode::kNotFound, "the admin API has no such path"));
  } else if (row->method != head.method && !(row->method == http::Method::kGet && head.method == http::Method::kHead)) {
    const Error error = DownstreamError(ErrorCode::kMethodNotAllowed, "the path is not served with this method");
    Reply(proxy::RowOf(error).status, kJson, proxy::ErrorBody(llm::Family::kChat, error, {}), row->allow);
  } else {
    route_ = &*row;
  }
}

bool AdminExchange::MayEnter(const http::Head& head) const {
  const Secret& key = control_.running().config.admin.key;
  return key.empty() || key.Matches(proxy::OfferedKey(head));
}

/// Small by the listener's limit; of most requests nobody reads it.
void AdminExchange::OnBody(std::string_view bytes) {
  if (!answered_) body_ += bytes;
}

void AdminExchange::OnEnd() {
  if (!answered_) Serve();
}

void AdminExchange::Serve() {
  if (route_->sampled && !control_.sampler().Ask(*this)) return;
  (this->*route_->serve)();
}

void AdminExchange::OnSampled() { (this->*route_->serve)(); }

void AdminExchange::Metrics() { Reply(200, telemetry::kMetricsContentType, control_.sampler().MetricsText()); }

void AdminExchange::Healthz() { Reply(200, kJson, R"({"status":"ok"})"); }

void AdminExchange::Readyz() {
  if (control_.draining()) {
    Reply(503, kJson, R"({"status":"draining"})");
  } else if (!control_.ready()) {
    Reply(503, kJson, R"({"status":"no healthy endpoint"})");
  } else {
    Reply(200, kJson, R"({"status":"ok"})");
  }
}

void AdminExchange::Version() { Reply(200, kJson, VersionPage(control_.build())); }

void AdminExchange::ShowConfig() { Reply(200, kYaml, config::Dump(control_.running().config)); }

void AdminExchange::Backends() {
  Reply(200, kJson,
        BackendsPage(control_.running(), control_.sampler().registry(), control_.draining(), control_.worker().Now()));
}

void AdminExchange::Cache() { Reply(200, kJson, CachePage(control_.running(), control_.cache(), control_.metrics())); }

void AdminExchange::PurgeCache() {
  const char* why = nullptr;
  const std::optional<PurgeOrder> order = ParsePurge(body_, why);
  if (!order.has_value()) {
    Fail(DownstreamError(ErrorCode::kInvalidParam, why));
    return;
  }
  const proxy::Snapshot& running = control_.running();
  if (order->model.has_value() && !running.by_name.contains(*order->model)) {
    Fail(DownstreamError(ErrorCode::kModelNotFound, "no model of that name is configured"));
  } else if (order->tenant.has_value() && running.config.cache.partition == config::CachePartition::kNone) {
    Fail(DownstreamError(ErrorCode::kInvalidParam, "answers belong to no tenant: cache.partition is none"));
  } else if (order->tenant.has_value() && !running.tenants->Knows(*order->tenant)) {
    Fail(DownstreamError(ErrorCode::kNotFound, "no key of that name is configured"));
  } else {
    purge_ = RunPurge(*order);
    purge_.Start();
  }
}

rt::Task<void> AdminExchange::RunPurge(PurgeOrder order) {
  // By an alias is meant the model that it stands for.
  const proxy::ModelRoute* model = order.model.has_value() ? control_.running().FindModel(*order.model) : nullptr;
  if (model != nullptr) order.model = model->name;
  const std::string page = co_await Purge(control_.worker(), control_.workers(), control_.cache(), std::move(order));
  Reply(200, kJson, page);
}

void AdminExchange::Reload() {
  if (control_.draining()) {
    Fail(InternalError(ErrorCode::kDraining, "no reload while draining"));
    return;
  }
  const ReloadOutcome outcome = control_.Reload("admin");
  Reply(outcome.ok() ? 200 : 400, kJson, ReloadPage(outcome, control_.running().generation));
}

void AdminExchange::BeginDrain() {
  control_.BeginDrain("admin");
  Reply(202, kJson, R"({"status":"draining"})");
}

void AdminExchange::Fail(const Error& error) {
  if (!answered_) Reply(proxy::RowOf(error).status, kJson, proxy::ErrorBody(llm::Family::kChat, error, {}));
}

void AdminExchange::Reply(std::uint16_t status, std::string_view content_type, std::string_view body,
                          std::string_view allow) {
  answered_ = true;
  http::HeadPtr head = control_.heads().Take();
  head->status = status;
  head->Add("content-type", content_type, http::HeaderId::kContentType);
  head->content_length = body.size();
  head->Add("content-length", std::to_string(body.size()), http::HeaderId::kContentLength);
  head->Add("cache-control", "no-store", http::HeaderId::kCacheControl);
  if (!allow.empty()) head->Add("allow", allow);
  stream_->SendHead(*head, false);
  stream_->body().Append(body);
  stream_->EndBody();
}

void AdminExchange::OnFinished() {
  control_.sampler().Forget(*this);
  purge_.Destroy();
  control_.worker().Bury(std::unique_ptr<rt::Mortal>(this));
}

void AdminExchange::OnGone(server::Departure) { OnFinished(); }

}  // namespace penstock::control
