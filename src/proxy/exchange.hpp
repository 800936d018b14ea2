#pragma once

#include "penstock/rt/task.hpp"
#include "proxy/answer.hpp"
#include "proxy/attempt.hpp"
#include "proxy/request_context.hpp"

namespace penstock::proxy {

class Gateway;

/// Owned by one Worker. One request from its head to its last byte: gathers the body, runs the pipeline, keeps the
/// deadline, and accounts for it exactly once, when the session says that it is over. Recycled.
///
/// When the client leaves, or its time is over, while others follow this request's upstream call, the exchange goes on
/// without a client until that call has ended or nobody follows it any more.
class Exchange final : public rt::Mortal, public server::RequestHandler {
 public:
  Exchange(Gateway& gateway, WorkerContext& worker);

  void Begin(server::ResponseStream& client, http::HeadPtr head, bool body_follows, bool expect_continue,
             const Error* reject, GrpcPart* grpc = nullptr);
  /// The drain's time is over: what runs ends now, in-band where it is committed.
  void End();
  /// For want of memory: as End(); an answer that only waits for its client to read is cut.
  void Shed();
  bool MayShed() const noexcept;
  std::size_t held_bytes() const noexcept;
  /// The worker ends, and nobody can be told any more.
  void Abandon();

  /// Its time is over, or the call's of which it is a part.
  void OnDeadline();

  std::size_t place = 0;  ///< in the worker's list of live exchanges

 private:
  void OnBody(std::string_view bytes) override;
  void OnEnd() override;
  void OnRequestFailed(const Error& error) override;
  void OnSent() override;
  void OnFinished() override;
  void OnGone(server::Departure departure) override;

  void ChooseRequestId();
  void Refuse(const Error& error);
  void Run();
  /// Everything that waits ends: `error` to the client, as long as that is free.
  void Expire(const Error& error);
  bool WaitsForReader() const noexcept;
  bool LeaveToFollowers();
  void OnFollowersChanged();
  void FinishHeadless();
  void Detach();
  void NoteDeparture(server::Departure departure);
  void Account();
  void Tell();
  void Recycle();

  Gateway& gateway_;
  RequestContext context_;
  Answer answer_;
  Attempt attempt_;
  rt::Timer deadline_timer_;
  rt::Task<void> pipeline_;
  bool attached_ = false;        ///< the session will say OnFinished or OnGone
  bool headless_ = false;        ///< the client was served or is gone, the call goes on
  bool over_ = false;            ///< headless, and the call has ended: what is left is the session's word
  bool answered_early_ = false;  ///< refused before the body was complete: what still comes of it is dropped
};

}  // namespace penstock::proxy
