#pragma once

#include "penstock/http/h1_server_codec.hpp"

namespace penstock::http {

/// What H1ClientCodec tells its connection. Calls come only from inside Feed() and OnEof().
class H1ClientHandler {
 public:
  virtual void OnResponse(HeadPtr head) = 0;        ///< the final head; 1xx were skipped (at most 10, 101 is an error)
  virtual void OnBody(std::string_view bytes) = 0;  ///< borrowed
  virtual void OnEnd() = 0;                         ///< the message is complete and properly delimited
  /// upstream_protocol, or upstream_reset with the reasons "eof_before_head", "eof_in_head", "eof_in_body". Close the
  /// connection. A reset before any byte of the response is Retry::kUnproven like the others: whether the connection
  /// was a reused one, and the request thus safe to repeat, is known to its pool only.
  virtual void OnError(const Error& error, const char* reason) = 0;

 protected:
  ~H1ClientHandler() = default;
};

/// Limits on an upstream's response.
struct H1ResponseLimits {
  std::size_t header_bytes = 64 * 1024;
  std::size_t header_count = 256;
  std::size_t interim_responses = 10;
};

/// Owned by one Worker. A strict HTTP/1.1 response parser (FAULTS H1-36, H1-37, U-33, U-35).
class H1ClientCodec {
 public:
  H1ClientCodec(HeadPool& heads, const H1ResponseLimits& limits);

  /// A request of `method` was sent: one response is due. Only while reusable().
  void Expect(Method method);
  /// Parses bytes; returns how many were taken. Bytes while nothing is due, or behind the end of the message, are
  /// not taken: the caller must discard the connection (H1-37).
  std::size_t Feed(std::string_view bytes, H1ClientHandler& handler);
  /// The peer closed: ends a close-delimited body well, anything else that is due is an upstream_reset error.
  void OnEof(H1ClientHandler& handler);

  bool due() const noexcept {
    return state_ == State::kHead || state_ == State::kBody;
  }                                                               ///< a response, or the rest of one
  bool head_seen() const noexcept { return head_seen_; }          ///< of the response that is, or was last, due
  bool any_byte_seen() const noexcept { return any_byte_seen_; }  ///< likewise
  /// May the connection carry another request? False while a response is due, and after Connection: close, HTTP/1.0
  /// without keep-alive, a close-delimited body, bytes that nobody asked for, errors.
  bool reusable() const noexcept { return state_ == State::kIdle && persistent_; }

 private:
  enum class State : std::uint8_t { kIdle, kHead, kBody, kFailed };

  std::size_t FeedHead(std::string_view bytes, H1ClientHandler& handler);
  std::size_t FeedBody(std::string_view bytes, H1ClientHandler& handler);
  const H1Verdict* TakeStatusLine(std::string_view line);
  const H1Verdict* DecideFraming();
  const H1Verdict* SkipInterim();
  void BeginHead();
  void FinishHead(bool more, H1ClientHandler& handler);
  void Finish(bool more, H1ClientHandler& handler);
  void Fail(const H1Verdict& wrong, H1ClientHandler& handler);

  const H1ResponseLimits* limits_;
  H1HeadReader reader_;
  H1Facts facts_;
  H1ChunkedBody chunks_;
  std::uint64_t length_left_ = 0;  ///< of a body with a length
  std::uint16_t interim_ = 0;      ///< heads skipped
  State state_ = State::kIdle;
  Method method_ = Method::kGet;
  Framing framing_ = Framing::kNone;
  bool head_seen_ = false;
  bool any_byte_seen_ = false;
  bool persistent_ = true;
};

}  // namespace penstock::http
