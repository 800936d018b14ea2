#pragma once

#include <memory>
#include <string>

#include "penstock/llm/sse_decoder.hpp"
#include "penstock/llm/stream_tap.hpp"
#include "proxy/call.hpp"

namespace penstock::proxy {

/// What a backup call tells whoever made it, who lets go of it in either.
class BackupListener {
 public:
  virtual void OnBackupContent() = 0;  ///< its answer has begun
  virtual void OnBackupLost() = 0;     ///< refused, broken, or no stream; it was ended

 protected:
  ~BackupListener() = default;
};

/// Owned by one Worker. The second call of a hedged stream: what comes is held back, nobody sees it, until its first
/// content; from there, or when the first call fails, it is somebody else's with Deliver().
class BackupCall final : public rt::Mortal, public upstream::StreamHandler {
 public:
  BackupCall(RequestContext& context, BackupListener& listener);
  void Begin(Slot slot, std::uint32_t number);

  /// What came so far, to be told to another handler in the order in which it came.
  struct Arrived {
    std::unique_ptr<Call> call;
    bool request_sent = false;
    http::HeadPtr head;
    std::string bytes;
    bool ended = false;  ///< the stream came to its end
  };
  /// The call, and all that is to come of it, are the caller's, who sets a handler.
  Arrived Deliver() { return std::move(arrived_); }
  void Cancel() { arrived_.call->Cancel(); }

 private:
  void OnRequestSent() override { arrived_.request_sent = true; }
  void OnHead(http::HeadPtr head) override;
  void OnBody(std::string_view bytes) override;
  void OnEnd() override;
  void OnFailed(const Error& error) override;
  bool MayBeSentNow() override { return arrived_.call->MayBeSentNow(); }

  void Lose(const CallEnd& end);
  bool Look(const llm::SseEvent& event);

  RequestContext& context_;
  BackupListener& listener_;
  llm::SseDecoder decoder_;
  llm::StreamTap tap_;
  Arrived arrived_;
};

}  // namespace penstock::proxy
