#pragma once

#include <array>
#include <memory>
#include <string>

#include "penstock/policy/health_state.hpp"
#include "penstock/upstream/health_checker.hpp"
#include "penstock/upstream/stream.hpp"
#include "upstream/metrics_page.hpp"

namespace penstock::upstream {

/// Owned by one Worker. The checks of one endpoint. A round is one health request and, while the kind of an `auto`
/// endpoint is not settled, the questions about it before; where it is about to join and a warm-up is asked for, that
/// behind it, and behind a good check of who is in use, if asked for, a look at its metrics page. Then the connection
/// is closed and the next round waits.
class EndpointProbe final : private StreamHandler, private PoolEvents {
 public:
  EndpointProbe(HealthChecker& owner, HealthWatch watch);
  ~EndpointProbe();

  /// The first round, now.
  void Begin();
  /// Whether this probe does what `watch` asks for.
  bool Matches(const HealthWatch& watch) const noexcept;
  bool asked() const noexcept { return asked_; }  ///< a round has ended

 private:
  enum class Step : std::uint8_t { kWaiting, kKind, kHealth, kWarmup, kMetrics };

  void OnRequestSent() override {}
  void OnHead(http::HeadPtr head) override;
  void OnBody(std::string_view bytes) override;
  void OnEnd() override;
  void OnFailed(const Error& error) override;
  void OnConnected(Duration) override {}
  void OnConnectFailed(const Error&) override;

  void OnTimer();
  void Round();
  void Ask(http::Method method, std::string_view path, std::string_view body, Duration timeout);
  void AskKind();
  void AskHealth();
  void KindAnswered();
  /// All questions were asked, or one found no answer: what is known now is the kind, or it is asked again.
  void KindUnanswered(bool conclusive);
  void SetKind(config::EndpointKind kind);
  bool IsAlive() const noexcept;
  void Conclude(policy::ProbeResult result, std::string_view reason);
  void AskWarmup();
  void ConcludeWarmup(std::string_view failure);
  bool AskMetrics();
  void ConcludeMetrics();
  void EndRound();
  void SetUsable(bool usable, std::string_view reason);
  void SetWarming(bool warming);
  std::string_view StatusText();
  void WaitForNext();

  HealthChecker& owner_;
  HealthWatch watch_;
  policy::HealthState state_;
  ConnectionPool connections_;
  std::unique_ptr<net::Subscription> name_;
  Stream stream_;  // after connections_: it is cancelled first
  rt::Timer timer_;
  http::HeadPtr request_;
  std::string body_;
  MetricsPage page_;
  std::string_view sent_;  ///< the request's body: of watch_
  std::array<char, 16> status_text_;
  TimePoint round_began_{};
  TimePoint request_began_{};
  std::size_t question_ = 0;
  std::uint32_t kind_rounds_ = 0;  ///< without a conclusion
  std::uint16_t status_ = 0;
  Step step_ = Step::kWaiting;
  bool kind_settled_;
  bool doubtful_ = false;  ///< an answer in this round said nothing about the kind
  bool asked_ = false;
};

}  // namespace penstock::upstream
