#pragma once

#include <memory>
#include <string>
#include <vector>

#include "penstock/http/head.hpp"
#include "penstock/mem/chain.hpp"
#include "penstock/rt/worker.hpp"
#include "penstock/server/request_handler.hpp"
#include "sim/event_writer.hpp"
#include "sim/program.hpp"
#include "sim/stats.hpp"
#include "sim/wire.hpp"

namespace penstock::sim {

/// What Playback plays, and where to. Everything outlives the playback or its Stop().
struct Performance {
  server::ResponseStream* stream = nullptr;
  Wire* wire = nullptr;  ///< null on an ordinary port
  const Program* program = nullptr;
  const AnswerFacts* facts = nullptr;
  bool strikes = false;   ///< the program's fault happens this time
  bool streamed = false;  ///< the request asked for events
  std::string plain;      ///< the whole body where the family generates no tokens
  SharedBytes constant;   ///< sim-bytes: the whole body
  Duration prefill{0};
  std::uint32_t comment_ms = 0;
};

/// Owned by one Worker. Plays one answer at its pace: head, events, end, and the program's fault at its place.
class Playback {
 public:
  static constexpr std::size_t kUnsentHigh =
      256 * 1024;  ///< no more is produced while the client has not taken this much
  static constexpr std::size_t kEndlessPiece = 16 * 1024;

  Playback(rt::Worker& worker, http::HeadPool& heads);

  void Start(Performance performance);
  void OnSent();  ///< the stream has less unsent than before
  void Stop();    ///< no call to the stream any more

  Progress progress() const noexcept;
  bool answered() const noexcept { return answered_; }  ///< the client holds a whole answer whatever comes
  std::uint32_t tokens_played() const noexcept { return next_; }
  TimePoint last_due() const noexcept;  ///< when the last token is due

 private:
  enum class Stage : std::uint8_t {
    kIdle,
    kStart,
    kHead,
    kTokens,
    kEnding,
    kWhole,
    kDrip,
    kEndless,
    kScript,
    kSilent,
    kOver
  };

  void Play();
  bool PlayStart();  // each: false = wait, or over
  bool PlayHead();
  bool PlayTokens();
  bool PlayEnding();
  bool PlayWhole();
  bool PlayDrip();
  bool PlayEndless();
  bool PlayScript();

  bool Reached(std::int32_t place) const noexcept;
  bool Strike();
  bool StrikeWire();
  bool StrikeGoaway();
  bool Split();
  bool FailInBand();
  bool BeginDrip();
  void InsertMalformed();

  void SendHead();
  void EnsureHead();
  void RenderWhole();
  void Refuse(std::uint16_t status, std::string_view message);
  bool Due(TimePoint when);
  bool Room();
  bool Pause(std::uint32_t ms);
  bool Silent();
  bool End();
  bool Cut();
  Chain& body() { return performance_.stream->body(); }
  TimePoint DueOf(std::uint32_t token) const noexcept;
  void Comment();

  rt::Worker& worker_;
  http::HeadPool& heads_;
  rt::Timer timer_;
  rt::Timer comment_timer_;
  Performance performance_;
  std::unique_ptr<EventWriter> writer_;
  std::vector<WireStep> script_;
  Chain whole_;  ///< a rendered body, or what still drips
  Stage stage_ = Stage::kIdle;
  bool armed_ = false;  ///< the fault has not struck yet
  bool streamed_ = false;
  bool blocked_ = false;
  bool head_sent_ = false;
  bool answered_ = false;
  std::int32_t after_ = kBeforeHead;  ///< where the fault strikes
  std::uint8_t goaway_step_ = 0;
  std::uint32_t next_ = 0;      ///< token, or step of the script
  std::uint64_t produced_ = 0;  ///< bytes of an endless line
  TimePoint first_due_{};
  TimePoint pause_until_{};
  TimePoint last_write_{};
};

/// A whole answer at once. `fields`: pairs of name and value.
void SendReply(http::HeadPool& heads, server::ResponseStream& stream, const KindTraits& traits, std::uint16_t status,
               std::string_view type, SharedBytes body,
               std::initializer_list<std::pair<std::string_view, std::string_view>> fields = {});

}  // namespace penstock::sim
