#pragma once

#include <optional>
#include <string>
#include <variant>

#include "penstock/llm/aggregate.hpp"
#include "penstock/llm/document_end.hpp"
#include "penstock/llm/sse_decoder.hpp"
#include "penstock/llm/stream_seam.hpp"
#include "penstock/llm/stream_tap.hpp"
#include "proxy/answer.hpp"

namespace penstock::proxy {

/// What a relay makes of an upstream's bytes.
struct RelayStep {
  enum class Kind : std::uint8_t {
    kGoOn,
    kComplete,  ///< the answer was delivered to its end; what may still come is of no interest
    kFailed,    ///< the answer is no good: `error`
    kRefused,   ///< an error came inside the stream before any content: it stands for `status`
  };
  Kind kind = Kind::kGoOn;
  bool progress = false;  ///< an event came: the upstream lives
  bool content = false;   ///< the answer itself has begun: from here on `idle` counts, not `first_token`
  Error error{};
  std::uint16_t status = 0;
};

/// Owned by one Worker. An answer that is no event stream: held until complete or `response_hold`, then passed on.
class PlainRelay {
 public:
  PlainRelay(RequestContext& context, Answer& answer);
  RelayStep OnBytes(std::string_view bytes);
  RelayStep OnEnd();

 private:
  bool Truncated() const noexcept;
  void KeepTail(std::string_view bytes);

  RequestContext& context_;
  Answer& answer_;
  llm::DocumentEnd document_;  ///< followed only where the framing does not say where the body ends
  std::uint64_t received_ = 0;
  std::string tail_;  ///< the last bytes of an answer that was committed before its end
};

/// How a stream joins what the client has, for `rescue`.
struct StreamJoin {
  llm::StreamSeam* seam = nullptr;  ///< null: nothing is noted, nothing can be joined
  bool takes_over = false;          ///< of a committed answer that broke
};

/// Owned by one Worker. An event stream: each event is looked at and passed on as it came; the first content commits,
/// or as many tokens as the model's `hold` says.
class StreamRelay {
 public:
  StreamRelay(RequestContext& context, Answer& answer, StreamJoin join);
  RelayStep OnBytes(std::string_view bytes);
  RelayStep OnEnd();
  const llm::Usage& usage() const noexcept { return tap_.usage(); }
  /// The body of an error that came inside the stream.
  const std::string& refusal() const noexcept { return refusal_; }
  /// The stream's last event was passed on.
  bool whole() const noexcept {
    const bool joined = !join_.takes_over || join_.seam->caught_up();
    return joined && tap_.ended() && (tap_.done_seen() || !llm::HasDone(context_.family()));
  }

 private:
  RelayStep Take(const llm::SseEvent& event, bool unfinished = false);
  RelayStep Pass(const llm::SseEvent& event, const llm::Sighting& sighting, bool unfinished);
  RelayStep Join(const llm::SseEvent& event, const llm::Sighting& sighting);
  bool MayCommit(const llm::Sighting& sighting) const noexcept;
  void NoteContent();

  RequestContext& context_;
  Answer& answer_;
  StreamJoin join_;
  llm::SseDecoder decoder_;
  llm::StreamTap tap_;
  std::string refusal_;
  std::string joint_;  ///< an event that was made to fit
  TimePoint last_content_{};
  std::uint32_t contents_ = 0;  ///< events with content
  bool begun_ = false;          ///< the answer itself has
};

/// Owned by one Worker. An event stream for a client that did not ask for one (`stream_upstream`): the answer is
/// rebuilt and sent when it is whole, so nothing commits before.
class AggregateRelay {
 public:
  AggregateRelay(RequestContext& context, Answer& answer);
  RelayStep OnBytes(std::string_view bytes);
  RelayStep OnEnd();
  const std::string& refusal() const noexcept { return refusal_; }

 private:
  RelayStep Take(const llm::SseEvent& event);

  RequestContext& context_;
  Answer& answer_;
  llm::SseDecoder decoder_;
  llm::StreamTap tap_;
  llm::Aggregator aggregator_;
  std::string refusal_;
};

/// Owned by one Worker. An error status: its body is gathered (bounded) for whoever decides what becomes of it.
class RefusalRelay {
 public:
  RelayStep OnBytes(std::string_view bytes);
  const std::string& body() const noexcept { return body_; }

 private:
  std::string body_;
};

}  // namespace penstock::proxy
