#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "penstock/grpc/metadata.hpp"
#include "penstock/grpc/status.hpp"
#include "penstock/mem/chain.hpp"

namespace penstock::grpc {

inline constexpr std::size_t kPrefixBytes = 5;  ///< a flag and four bytes of length, most significant first

/// Owned by one Worker. Cuts a request's body into its length-prefixed messages (gRPC over HTTP/2,
/// "Length-Prefixed-Message"), over any split of the bytes, and decompresses them. A message that is larger than
/// `message_max`, compressed or not, is refused when its prefix is complete, before any of it is held (FAULTS Q-13).
///
/// A reader holds at most one message beyond what was fed; a message that lies whole within the fed bytes is returned
/// as a view of them.
class MessageReader {
 public:
  enum class Step : std::uint8_t { kNeedMore, kMessage, kFailed };

  void Begin(Coding coding, std::size_t message_max);
  /// `bytes` are borrowed until Next() returned kNeedMore or kFailed, or until Park().
  /// What was fed before and not asked for comes first.
  void Feed(std::string_view bytes);
  /// The next message; valid until the next call of any kind.
  Step Next(std::string_view& message);
  /// Was that message compressed on the wire?
  bool compressed() const noexcept { return prefix_[0] != 0; }
  /// Keeps what was fed and not yet asked for: a later Next() goes on with it. Bounded by what was fed: a stream's
  /// window, when its handler pauses it (server::ResponseStream::PauseBody).
  void Park();
  /// The body is over. False: in the middle of a message (13).
  bool Finish() const noexcept { return rest_.empty() && prefix_size_ == 0; }
  /// Why kFailed: 13 for a bad flag, compression without a coding, or a broken gzip stream; 8 for too large.
  const Status& failure() const noexcept { return failure_; }
  std::size_t held() const noexcept { return held_.capacity() + inflated_.capacity() + parked_.capacity(); }
  /// Between two messages (Finish() says true): gives its memory back, if it is more than `keep_max`.
  void Shrink(std::size_t keep_max);
  /// Forgets everything, as Shrink() does.
  void Reset(std::size_t keep_max);

 private:
  Step Fail(StatusCode code, const char* message);
  Step OnPrefix();
  Step Whole(std::string_view bytes, std::string_view& message);

  Coding coding_ = Coding::kIdentity;
  std::size_t message_max_ = 0;
  std::string_view rest_;
  char prefix_[kPrefixBytes] = {};
  std::size_t prefix_size_ = 0;
  std::string held_;      ///< a message that came in pieces
  std::string inflated_;  ///< a compressed one
  std::string parked_;    ///< what Park() kept; rest_ is its end
  Status failure_;
};

/// The five bytes in front of a message of `size` bytes.
void WritePrefix(char* to, bool compressed, std::uint32_t size) noexcept;
/// Appends one message; compressed when `coding` says so and that makes it smaller.
void AppendMessage(Chain& out, std::string_view message, Coding coding);

/// gzip (RFC 1952), the whole of `bytes`. False: broken, trailing bytes, or more than `size_max` come out of it;
/// `too_large` tells.
bool Inflate(std::string_view bytes, std::size_t size_max, std::string& out, bool& too_large);
void Deflate(std::string_view bytes, std::string& out);

}  // namespace penstock::grpc
