#pragma once

#include <memory>
#include <string>

#include "penstock/http/head.hpp"
#include "penstock/rt/worker.hpp"
#include "penstock/server/request_handler.hpp"
#include "sim/playback.hpp"
#include "sim/request_fields.hpp"
#include "sim/simulation.hpp"
#include "sim/slots.hpp"

namespace penstock::sim {

class SimWorker;
struct ReadyProgram;

/// Owned by one Worker. One request from its head to the end of its answer. Recycled by SimWorker.
class Exchange final : public server::RequestHandler, private SlotWaiter {
 public:
  explicit Exchange(SimWorker& worker);
  ~Exchange();

  /// `wire` is null on an ordinary port. The last call that the exchange makes is SimWorker::Recycle.
  void Open(server::ResponseStream& stream, Wire* wire, http::HeadPtr head, bool body_follows, bool expect_continue,
            const Error* reject);

  void OnBody(std::string_view bytes) override;
  void OnEnd() override;
  void OnRequestFailed(const Error& error) override;
  void OnSent() override;
  void OnFinished() override;
  void OnGone(server::Departure departure) override;

  // For the routes.
  Simulation& simulation() noexcept;
  const http::Head& head() const noexcept { return *head_; }
  std::string_view body() const noexcept { return body_; }
  SimWorker& worker() noexcept { return worker_; }
  void Reply(std::uint16_t status, std::string_view type, std::string_view body);
  void Fail(std::uint16_t status, std::string_view message, std::string_view code);
  void ReplyLater(std::uint32_t ms, std::uint16_t status, std::string_view body);
  void Ask(Family family);  ///< a POST to a model

 private:
  enum class Phase : std::uint8_t { kReceiving, kReplying, kDelayed, kQueued, kPlaying, kOrphan };

  void Handle();
  bool WantsEarly() const;
  bool FindProgram();
  void FillFacts(Family family);
  std::uint32_t Begin(const Program& program);
  bool TooLarge(Family family);
  void Keep();
  void Admit();
  bool Overloaded();
  void OnSlot() override;
  void Play();
  void HoldSlot(Duration time);
  void OnTimer();
  void Leave();

  SimWorker& worker_;
  server::ResponseStream* stream_ = nullptr;
  Wire* wire_ = nullptr;
  http::HeadPtr head_;
  std::string body_;
  RequestFields fields_;
  const ReadyProgram* ready_ = nullptr;
  std::unique_ptr<ReadyProgram> own_ready_;  ///< of a model that the worker's cache had no room for
  std::string model_;                        ///< as asked for
  std::string plain_;                        ///< the answer of a family that generates no tokens
  AnswerFacts facts_;
  Playback playback_;
  rt::Timer timer_;
  Phase phase_ = Phase::kReceiving;
  bool asked_ = false;    ///< the request is for a model and was understood
  bool running_ = false;  ///< as in flight
  bool has_slot_ = false;
  bool strikes_ = false;
  std::uint16_t delayed_status_ = 0;
  std::string delayed_body_;
  Duration prefill_{0};
};

}  // namespace penstock::sim
