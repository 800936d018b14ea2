#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace penstock::redis {

enum class ReplyType : std::uint8_t { kStatus, kError, kBulk, kInteger, kNil, kArray };

/// What a Redis error asks its receiver to do, by its first word.
enum class ErrorKind : std::uint8_t {
  kNone,
  kOther,
  kMoved,        ///< MOVED: this slot lives elsewhere now; `Redirect` says where
  kAsk,          ///< ASK: ask there once, behind ASKING
  kTryAgain,     ///< TRYAGAIN, CLUSTERDOWN: a cluster that changes or is broken
  kNotServing,   ///< LOADING, MASTERDOWN, BUSY: a server that cannot answer now
  kReadOnly,     ///< READONLY: a replica; reads go on
  kNoWrites,     ///< OOM, MISCONF, NOREPLICAS: reads go on
  kNotAllowed,   ///< NOAUTH, WRONGPASS, NOPERM and the older spellings: the login is wrong
  kNoPassword,   ///< AUTH was sent to a server that asks for no password
  kNoScript,     ///< NOSCRIPT
  kUnsupported,  ///< "ERR unknown command"
};

ErrorKind KindOfError(std::string_view error) noexcept;

/// "MOVED 3999 127.0.0.1:6381", "ASK 3999 ::1:6381"; an empty host means the server that said so.
struct Redirect {
  std::uint16_t slot = 0;
  std::string_view host;
  std::uint16_t port = 0;

  static std::optional<Redirect> Parse(std::string_view error) noexcept;
};

/// One value of a reply, in the order in which they came: an array is followed by its elements.
struct ReplyNode {
  ReplyType type = ReplyType::kNil;
  std::size_t begin = 0;  ///< of the text, in the reply's text
  std::size_t size = 0;   ///< of the text; of an array, its elements
  std::int64_t integer = 0;
};

/// Owned by one Worker. A view of a reply or of a part of one, borrowed from its ReplyReader until that one's Next().
class Reply {
 public:
  Reply() noexcept = default;
  Reply(const ReplyNode* node, const char* text) noexcept : node_(node), text_(text) {}

  ReplyType type() const noexcept { return node_->type; }
  bool is(ReplyType type) const noexcept { return node_->type == type; }
  /// Of a status, an error or a bulk; else "".
  std::string_view text() const noexcept {
    return is(ReplyType::kArray) ? std::string_view{} : std::string_view{text_ + node_->begin, node_->size};
  }
  std::int64_t integer() const noexcept { return node_->integer; }
  ErrorKind error() const noexcept { return is(ReplyType::kError) ? KindOfError(text()) : ErrorKind::kNone; }

  std::size_t elements() const noexcept { return is(ReplyType::kArray) ? node_->size : 0; }
  Reply First() const noexcept { return {node_ + 1, text_}; }  ///< of an array with elements
  Reply Next() const noexcept;                                 ///< the element behind this one, when there is one

 private:
  const ReplyNode* node_ = nullptr;
  const char* text_ = nullptr;
};

}  // namespace penstock::redis
