#pragma once

#include <string_view>

#include "control/purge.hpp"
#include "penstock/control/control.hpp"

namespace penstock::control {

struct AdminRoute;

/// Owned by one Worker. On the control thread. One request of the admin API, from its head to the end of its answer.
class AdminExchange final : public rt::Mortal, public server::RequestHandler {
 public:
  explicit AdminExchange(Control& control) : control_(control) {}

  void Begin(server::ResponseStream& stream, const http::Head& head, bool body_follows, bool expect_continue,
             const Error* reject);
  /// The gauges are fresh.
  void OnSampled();

 private:
  friend struct AdminRoute;
  void OnBody(std::string_view bytes) override;
  void OnEnd() override;
  void OnRequestFailed(const Error& error) override { Fail(error); }
  void OnSent() override {}
  void OnFinished() override;
  void OnGone(server::Departure) override;

  void Choose(const http::Head& head);
  bool MayEnter(const http::Head& head) const;
  void Serve();
  void Reply(std::uint16_t status, std::string_view content_type, std::string_view body, std::string_view allow = {});
  void Fail(const Error& error);

  void Metrics();
  void Healthz();
  void Readyz();
  void Version();
  void ShowConfig();
  void Backends();
  void Cache();
  void PurgeCache();
  rt::Task<void> RunPurge(PurgeOrder order);
  void Reload();
  void BeginDrain();

  Control& control_;
  server::ResponseStream* stream_ = nullptr;
  const AdminRoute* route_ = nullptr;
  std::string body_;
  rt::Task<void> purge_;
  bool answered_ = false;
};

}  // namespace penstock::control
