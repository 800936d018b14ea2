#pragma once

#include <cstddef>
#include <string_view>

#include "penstock/base/error.hpp"
#include "penstock/http/h2_codec.hpp"
#include "penstock/http/head.hpp"

namespace penstock::http {

/// "host", "host:port" or "[v6]:port" as a request may name it: no user, no list, a port between 1 and 65535.
/// The character set is checked by nghttp2 before.
bool ValidAuthority(std::string_view authority) noexcept;

/// Owned by one Worker. Collects the fields of one header block into a Head, and decides the soft rules that nghttp2
/// has no opinion on. One per connection: header blocks never interleave (RFC 9113 4.3).
class H2HeadBuilder {
 public:
  enum class Kind : std::uint8_t {
    kRequest,
    kResponse,
    kIgnored,  ///< trailers and refused streams: only counted
  };
  enum class Step : std::uint8_t { kContinue, kTooLarge };

  explicit H2HeadBuilder(const H2Limits& limits) noexcept
      : header_bytes_(limits.header_bytes), header_count_(limits.header_count), uri_(limits.uri) {}

  void Begin(Kind kind, HeadPool& heads);
  /// One decoded field, valid by nghttp2's rules. kTooLarge: the hard limit, no further field is wanted.
  Step Add(std::string_view name, std::string_view value);
  /// The block is complete. The head; null for kIgnored.
  HeadPtr Finish(bool end_stream);
  void Abandon() noexcept { head_.reset(); }

  /// The soft rule that the block broke: the error, and its label; null when none.
  const char* reject_reason() const noexcept { return reason_; }
  const Error& reject_error() const noexcept { return error_; }

 private:
  void AddPseudo(std::string_view name, std::string_view value);
  void AddRequestField(std::string_view name, std::string_view value);
  void AddExpect(std::string_view name, std::string_view value);
  void Reject(ErrorCode code, const char* reason, const char* context) noexcept;

  std::size_t header_bytes_;
  std::size_t header_count_;
  std::size_t uri_;
  Kind kind_ = Kind::kIgnored;
  HeadPtr head_;
  std::size_t bytes_ = 0;
  std::size_t count_ = 0;
  const char* reason_ = nullptr;
  Error error_;
};

}  // namespace penstock::http
