#pragma once

#include "penstock/http/h1_server_codec.hpp"

namespace penstock::http {

/// What H1ClientCodec tells its connection. Calls come only from inside Feed() and OnEof().
class H1ClientHandler {
 public:
  virtual void OnResponse(HeadPtr head) = 0;        ///< the final head; 1xx were skipped (at most 10, 101 is an error)
  virtual void OnBody(std::string_view bytes) = 0;  ///< borrowed
  virtual void OnEnd() = 0;                         ///< the message is complete and properly delimited
  virtual void OnError(const Error& error, const char* reason) = 0;  ///< upstream_protocol or upstream_reset; close the connection

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

  /// A request of `method` was sent: one response is due. Not allowed while one is due already.
  void Expect(Method method);
  /// Parses bytes; returns how many were taken. Bytes while nothing is due, or behind the end of the message, are
  /// not taken: the caller must discard the connection (H1-37).
  std::size_t Feed(std::string_view bytes, H1ClientHandler& handler);
  /// The peer closed: ends a close-delimited body well, anything else that is due is an upstream_reset error.
  void OnEof(H1ClientHandler& handler);

  bool due() const noexcept;              ///< a response, or the rest of one, is still expected
  bool head_seen() const noexcept;        ///< of the response that is due
  bool any_byte_seen() const noexcept;    ///< of the response that is due
  /// May the connection carry another request? False after Connection: close, HTTP/1.0 without keep-alive, close-delimited, errors.
  bool reusable() const noexcept;
};

}  // namespace penstock::http
