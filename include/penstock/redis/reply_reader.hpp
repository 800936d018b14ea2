#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "penstock/redis/reply.hpp"

struct redisReader;

namespace penstock::redis {

/// Owned by one Worker. Bytes in, replies out: RESP2, by hiredis' reader, behind limits of our own.
///
/// hiredis 0.14 believes every length it reads: it would wait for 2^63 bytes and, by its own functions, allocate arrays
/// before an element came (CVE-2021-32765). So every line is looked at before hiredis sees it: no bulk above
/// `bulk_max`, no array above kElementsMax, no line above kLineMax, and nothing is allocated from a length, only for
/// bytes that have come. What breaks a rule is refused, and the connection must be dropped. RESP3 is never asked for
/// (no HELLO), so its types, pushes included, are refused as well.
class ReplyReader {
 public:
  /// The most that may be passed as bulk_max: with hiredis' spare (1 MiB) and one read no allocation exceeds 16 MiB.
  static constexpr std::size_t kBulkMax = std::size_t{14} << 20;
  static constexpr std::size_t kLineMax = 4096;       ///< status, error, number or length; without its CR LF
  static constexpr std::size_t kElementsMax = 65536;  ///< of one array, and of one reply in all
  static constexpr std::size_t kArrayTextMax = std::size_t{1}
                                               << 20;  ///< all texts in one array; one bulk of bulk_max alone
  static constexpr int kDepthMax = 7;                  ///< arrays in arrays; hiredis' own limit

  enum class Step : std::uint8_t { kReply, kMore, kRefused };

  explicit ReplyReader(std::size_t bulk_max);
  ~ReplyReader();
  ReplyReader(const ReplyReader&) = delete;
  ReplyReader& operator=(const ReplyReader&) = delete;

  /// Takes bytes as they came; false: refused, and so is all that follows.
  bool Feed(std::string_view bytes);
  /// kReply: `reply` is borrowed until the next call of Next() or Feed().
  Step Next(Reply& reply);
  const char* refusal() const noexcept { return refusal_; }  ///< why, a constant text; null when nothing was refused
  /// No part of a reply is held: a FIN cuts nothing.
  bool idle() const noexcept;
  std::size_t held()
      const noexcept;  ///< bytes of texts' room and unread input; hiredis' own spare goes with the next Feed()

 private:
  struct Functions;
  struct Free {
    void operator()(redisReader* reader) const noexcept;
  };
  bool ScanLine();
  bool Scan(std::string_view bytes);
  bool Refuse(const char* why) noexcept;
  bool AddText(ReplyType type, bool nested, std::string_view text);
  bool Add(const ReplyNode& node);

  std::unique_ptr<redisReader, Free> reader_;
  std::size_t bulk_max_;
  std::size_t skip_ = 0;  ///< bytes of a bulk and its CR LF that are still to come
  std::string line_;      ///< the part of a line that has come
  std::vector<ReplyNode> nodes_;
  std::string text_;
  bool complete_ = false;  ///< nodes_ is a reply that was handed out
  const char* refusal_ = nullptr;
};

}  // namespace penstock::redis
