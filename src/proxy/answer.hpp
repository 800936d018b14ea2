#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "penstock/cache/flight.hpp"
#include "penstock/mem/chain.hpp"
#include "proxy/request_context.hpp"
#include "proxy/text.hpp"

namespace penstock::proxy {

/// Sent after commit while the upstream is silent (`sse_keepalive`).
inline constexpr std::string_view kKeepaliveComment = ": keep-alive\n\n";

/// Where a committed answer breaks.
enum class BreakPoint : std::uint8_t {
  kBody,  ///< in one that is no stream: nothing more can be said
  kBetweenEvents,
  kAnywhere,  ///< in a stream that was passed on by pieces: half an event may be out
};

/// Owned by one Worker. The client's side of an exchange: holds an upstream's answer back until it is committed, then
/// lets it through. Until then nothing was sent and everything may begin anew.
class Answer {
 public:
  explicit Answer(RequestContext& context);

  // An upstream's answer.
  void Hold(http::HeadPtr upstream_head) {
    upstream_framing_ = upstream_head->framing;
    upstream_head_ = std::move(upstream_head);
  }
  void Append(std::string_view bytes);
  std::size_t held() const noexcept { return held_.size(); }
  /// What is held, in one piece; `scratch` is used when it is not.
  std::string_view HeldBytes(std::string& scratch) const { return InOnePiece(held_, scratch); }
  /// From here on the status and what was held are the client's. `content_length`: when the whole body is known.
  void Commit(std::optional<std::uint64_t> content_length);
  /// Another body in place of what the upstream sent.
  void CommitWhole(std::string_view content_type, std::string_view body);
  bool committed() const noexcept { return committed_; }
  void End();
  /// The committed answer cannot be completed: a stream says so with an error event, then its framing is broken.
  void Break(BreakPoint at, const Error& error);
  /// The attempt came to nothing: as if it had not been.
  void Discard();

  // An answer that no upstream gave to this request: from the cache, or from another request's call.
  /// `head` without the fields that every answer carries.
  void CommitOwn(http::Head& head);
  /// `piece` of `bytes`, by reference.
  void Append(const SharedBytes& bytes, std::string_view piece);
  /// What `follower` has not had yet, at most about `bytes_max`; returns how many bytes that were.
  std::size_t AppendFrom(cache::Follower& follower, std::size_t bytes_max);
  /// The client was told how it ends for it; the upstream's answer, `committed` or not, goes on for others.
  void Detach(bool committed) noexcept;

  // An answer of our own. `retry_after` > 0 goes into retry-after and retry-after-ms.
  void Reply(std::uint16_t status, std::string_view content_type, std::string_view body, Duration retry_after = {});
  /// A refused request's answer, as the upstream gave it. `pause` > 0: what to tell of when to come again, in place of
  /// what this upstream said.
  void ReplyUpstream(const http::Head& upstream_head, std::string_view content_type, std::string_view body,
                     Duration pause = {});

  /// Bytes on their way to the client that have not left.
  std::size_t backlog() const noexcept;
  const http::Head* upstream_head() const noexcept { return upstream_head_.get(); }
  http::Framing upstream_framing() const noexcept { return upstream_framing_; }  ///< also when the head is gone
  void Reset();

 private:
  void AddOwnFields(http::Head& head);
  void Send(http::Head& head, bool end);

  RequestContext& context_;
  http::HeadPtr upstream_head_;
  http::Framing upstream_framing_ = http::Framing::kNone;
  Chain held_;
  bool committed_ = false;
};

}  // namespace penstock::proxy
