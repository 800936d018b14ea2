#pragma once

#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "penstock/rt/task.hpp"
#include "proxy/backup_call.hpp"
#include "proxy/relay.hpp"
#include "proxy/upstream_refusal.hpp"

namespace penstock::proxy {

/// How an attempt ended, for the loop around it.
struct AttemptResult {
  enum class Kind : std::uint8_t {
    kDelivered,    ///< the whole answer went to the client
    kRefused,      ///< the upstream said no, with `status`; nothing was committed
    kFailed,       ///< `error`; nothing was committed
    kInterrupted,  ///< `error` after commit; the client was told in-band
    kBroken,       ///< `error` after commit; the client waits, for another answer may take over
  };
  Kind kind = Kind::kFailed;
  Error error{};
  std::uint16_t status = 0;
};

/// A try that goes on with a committed stream that broke.
struct Takeover {
  const llm::RequestView* request = nullptr;  ///< what to ask; outlives the try
  llm::StreamSeam::From from{};               ///< where in the client's text the answer to that begins
};

/// Owned by one Worker. One try at one endpoint: makes the call, runs the timeout ladder (headers, first token, idle;
/// the deadline is the exchange's), feeds the answer to a relay. Reused for the next try.
///
/// A try may be hedged: a second endpoint is asked as well, and from the first content that comes, or when the first
/// call fails, there is only one call again.
class Attempt final : public upstream::StreamHandler, public BackupListener {
 public:
  Attempt(RequestContext& context, Answer& answer);

  /// Begins. The result comes through Done().
  void Begin(Slot slot, const Takeover* takeover = nullptr);
  /// A stream was asked for, of which nothing came yet, at one endpoint.
  bool MayBeHedged() const noexcept;
  /// Asks a second endpoint as well.
  void Hedge(Slot slot);
  /// The result is the second endpoint's.
  bool took_backup() const noexcept { return took_backup_; }
  /// ... and the first was silent, or may have had the request twice: it is not asked again.
  bool first_is_out() const noexcept { return first_is_out_; }
  rt::Signal& Done() noexcept { return done_; }
  const AttemptResult& result() const noexcept { return result_; }
  /// What the client has of the stream; null: it was not noted.
  const llm::StreamSeam* seam() const noexcept { return seam_.has_value() ? &*seam_ : nullptr; }
  const EndpointPool& pool() const noexcept { return call_->pool(); }
  bool asked_twice() const noexcept { return call_->stream().replaced(); }
  /// It failed while it waited for a connection, because its endpoint is to be left alone.
  bool never_sent() const noexcept { return call_->withdrawn() && !asked_twice(); }
  /// A refused attempt's answer, and its body as the upstream sent it.
  const http::Head& refusal_head() const noexcept { return *refusal_head_; }
  const UpstreamRefusal& refusal() const noexcept { return refusal_; }
  const std::string& refusal_as_sent() const noexcept;

  /// The client is gone, or the deadline came: at once, without a result.
  void Cancel();
  /// The deadline came (or a drain's end): as if the upstream had failed with `error`.
  void Expire(const Error& error);
  /// The client took bytes.
  void OnSent();
  /// Others want the answer too, at their own pace.
  void OnFollowed();
  bool running() const noexcept { return call_->running(); }
  /// Forgets the last try: before the exchange goes back to its pool.
  void Reset();

 private:
  void OnRequestSent() override;
  void OnHead(http::HeadPtr head) override;
  void OnBody(std::string_view bytes) override;
  void OnEnd() override;
  void OnFailed(const Error& error) override;
  bool MayBeSentNow() override { return call_->MayBeSentNow(); }
  void OnBackupContent() override;
  void OnBackupLost() override;

  void Start();
  bool BackupStandsIn() const noexcept;
  void TakeBackup();
  void DropBackup();
  void BuryBackup(bool answered);
  void NoteFirstToken();
  void PrepareSeam(const Takeover* takeover);
  void Handle(const RelayStep& step);
  void Refuse(std::uint16_t status);
  void Fail(const Error& error);
  bool MayBeRescued(const Error& error) const noexcept;
  void Finish(AttemptResult::Kind kind, const Error& error);
  void Await(Duration limit, const char* what);
  void Progress(const RelayStep& step);
  void AwaitSilence();
  void OnTimer();
  std::size_t PauseAt() const noexcept;
  void Backpressure();
  void Resume();
  std::size_t HeldMax() const noexcept;
  CallEnd EndOf(const AttemptResult& result) const;
  void EndCall(const CallEnd& end);

  RequestContext& context_;
  Answer& answer_;
  rt::Timer timer_;
  rt::Signal done_;
  std::unique_ptr<Call> call_;
  std::unique_ptr<BackupCall> backup_;  ///< while two endpoints are asked
  std::variant<std::monostate, PlainRelay, StreamRelay, AggregateRelay, RefusalRelay> relay_;
  std::optional<llm::StreamSeam> seam_;
  http::HeadPtr refusal_head_;
  UpstreamRefusal refusal_;
  AttemptResult result_;
  TimePoint due_ = TimePoint::Max();  ///< when the current wait is over; the timer may fire earlier and look again
  const char* awaited_ = "";
  TimePoint keepalive_due_ = TimePoint::Max();
  std::size_t watermark_ = 0;  ///< what this answer may hold here, doubled for readers that keep up
  std::size_t received_ = 0;   ///< since the watermark was set
  bool content_seen_ = false;
  bool paused_ = false;
  bool takes_over_ = false;
  bool took_backup_ = false;
  bool first_is_out_ = false;
  bool resting_ = false;     ///< refused with a word on when to come again
  std::uint32_t round_ = 0;  ///< calls that were made or taken over: what a callback began with may be gone
};

}  // namespace penstock::proxy
