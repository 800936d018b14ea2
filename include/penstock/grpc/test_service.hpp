#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "penstock/base/time.hpp"
#include "penstock/grpc/status.hpp"
#include "penstock/http/head.hpp"

namespace penstock::grpc {

/// The paths of grpc.testing's services, served only where a gateway was started for it.
inline constexpr std::string_view kTestServicePrefix = "/grpc.testing.";
inline constexpr std::int32_t kTestPayloadMax = 16 * 1024 * 1024;  ///< bytes that an answer may be asked to have
inline constexpr std::size_t kTestRepliesMax = 4096;               ///< of a call, asked for and not yet sent

/// Owned by one Worker. What grpc.testing.TestService answers to one call: request messages in, replies out, no time of
/// its own (gRPC's interoperability test descriptions). Where the client sends one message, its replies come with the
/// request's end; so a second message is refused before anything was sent.
class TestService {
 public:
  struct Reply {
    Duration delay{};  ///< from the reply before
    std::int32_t size = 0;
    bool compressed = false;
  };

  /// A status here and below: the call ends so, at once.
  std::optional<Status> Begin(std::string_view path);
  /// May this call's client send more than one message?
  bool streams() const noexcept;
  /// `compressed`: the message was, on its way here.
  std::optional<Status> OnMessage(std::string_view message, bool compressed);
  std::optional<Status> OnEnd();

  /// What is to be sent next; null: nothing yet.
  const Reply* next() const noexcept;
  /// Writes its message to `out` and forgets it. There is a next().
  void Take(std::string& out);
  /// The request has ended and every reply was taken: the call ended well.
  bool over() const noexcept { return ended_ && replies_.empty(); }

 private:
  enum class Method : std::uint8_t {
    kEmptyCall,
    kUnaryCall,
    kStreamingOutputCall,
    kStreamingInputCall,
    kFullDuplexCall,
    kHalfDuplexCall,
  };

  std::optional<Status> OnSimple(std::string_view message, bool compressed);
  std::optional<Status> OnInput(std::string_view message, bool compressed);
  std::optional<Status> OnOutput(std::string_view message);
  std::optional<Status> Promise(std::int64_t size, Duration delay, bool compressed);

  Method method_ = Method::kEmptyCall;
  std::size_t messages_ = 0;
  std::int64_t bytes_in_ = 0;  ///< of StreamingInputCall's payloads
  std::deque<Reply> replies_;
  bool ended_ = false;
};

/// x-grpc-test-echo-initial goes back in the head, x-grpc-test-echo-trailing-bin in the trailers: each value in a field
/// of its own, in the order in which they came, also those that came joined by commas. A binary value goes back without
/// padding. A status: a binary value is no base64.
std::optional<Status> EchoMetadata(const http::Head& request, http::Head& initial, http::Head& trailing);

}  // namespace penstock::grpc
