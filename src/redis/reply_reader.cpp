#include "penstock/redis/reply_reader.hpp"

#include <hiredis/read.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <utility>

#include "penstock/base/assert.hpp"

namespace penstock::redis {

namespace {

/// Kept between replies; what is larger goes back after the reply.
constexpr std::size_t kTextKept = 64 * 1024;
constexpr std::size_t kNodesKept = 256;

}  // namespace

/// hiredis' way to make values: each becomes a node, and texts are copied once, because hiredis moves its buffer before
/// it hands a reply out. A null result makes it refuse.
struct ReplyReader::Functions {
  static void* Done(ReplyReader& self, bool added) { return added ? &self : nullptr; }
  static ReplyReader& Self(const redisReadTask* task) { return *static_cast<ReplyReader*>(task->privdata); }

  static void* String(const redisReadTask* task, char* text, std::size_t size) {
    const ReplyType type = task->type == REDIS_REPLY_ERROR    ? ReplyType::kError
                           : task->type == REDIS_REPLY_STATUS ? ReplyType::kStatus
                                                              : ReplyType::kBulk;
    ReplyReader& self = Self(task);
    return Done(self, self.AddText(type, task->parent != nullptr, {text, size}));
  }
  static void* Array(const redisReadTask* task, int elements) {
    ReplyReader& self = Self(task);
    return Done(self, self.Add({ReplyType::kArray, 0, static_cast<std::size_t>(elements), 0}));
  }
  static void* Integer(const redisReadTask* task, long long value) {
    ReplyReader& self = Self(task);
    return Done(self, self.Add({ReplyType::kInteger, 0, 0, value}));
  }
  static void* Nil(const redisReadTask* task) {
    ReplyReader& self = Self(task);
    return Done(self, self.Add({}));
  }
  static void Drop(void*) {}
};

void ReplyReader::Free::operator()(redisReader* reader) const noexcept { redisReaderFree(reader); }

ReplyReader::ReplyReader(std::size_t bulk_max) : bulk_max_(std::min(bulk_max, kBulkMax)) {
  static redisReplyObjectFunctions functions{&Functions::String, &Functions::Array, &Functions::Integer,
                                             &Functions::Nil, &Functions::Drop};
  reader_.reset(redisReaderCreateWithFunctions(&functions));
  PENSTOCK_ASSERT(reader_ != nullptr);
  reader_->maxbuf = kTextKept;
  reader_->privdata = this;
}

ReplyReader::~ReplyReader() = default;

bool ReplyReader::Feed(std::string_view bytes) {
  if (refusal_ != nullptr || !Scan(bytes)) return false;
  if (redisReaderFeed(reader_.get(), bytes.data(), bytes.size()) != REDIS_OK) return Refuse("not RESP");
  return true;
}

ReplyReader::Step ReplyReader::Next(Reply& reply) {
  if (refusal_ != nullptr) return Step::kRefused;
  if (std::exchange(complete_, false)) {
    nodes_.clear();
    text_.clear();
    if (text_.capacity() > kTextKept) std::string().swap(text_);  // an assignment would keep the space
    if (nodes_.capacity() > kNodesKept) nodes_ = std::vector<ReplyNode>();
  }
  void* made = nullptr;
  if (redisReaderGetReply(reader_.get(), &made) != REDIS_OK) {
    Refuse("not RESP");
    return Step::kRefused;
  }
  if (made == nullptr) return Step::kMore;
  complete_ = true;
  reply = Reply(nodes_.data(), text_.data());
  return Step::kReply;
}

bool ReplyReader::idle() const noexcept {
  return line_.empty() && skip_ == 0 && reader_->pos == reader_->len && (nodes_.empty() || complete_) &&
         refusal_ == nullptr;
}

std::size_t ReplyReader::held() const noexcept { return reader_->len + text_.capacity() + line_.capacity(); }

bool ReplyReader::Scan(std::string_view bytes) {
  while (!bytes.empty()) {
    if (skip_ > 0) {
      // hiredis skips the two bytes behind a bulk unseen; anything but CR LF there means that the peer counts otherwise.
      while (skip_ <= 2 && skip_ > 0 && !bytes.empty()) {
        if (bytes.front() != (skip_ == 2 ? '\r' : '\n')) return Refuse("a bulk is longer than it says");
        bytes.remove_prefix(1);
        --skip_;
      }
      const std::size_t n = skip_ > 2 ? std::min(skip_ - 2, bytes.size()) : 0;
      bytes.remove_prefix(n);
      skip_ -= n;
      continue;
    }
    const std::size_t end = std::min(bytes.find('\n'), bytes.size());
    if (line_.size() + end > kLineMax + 1) return Refuse("a line is too long");
    line_.append(bytes.substr(0, end));
    if (end == bytes.size()) return true;
    bytes.remove_prefix(end + 1);
    if (!ScanLine()) return false;
    line_.clear();
  }
  return true;
}

bool ReplyReader::ScanLine() {
  // hiredis ends a line at the first CR LF: so must every LF be one, or the two of us would count differently.
  if (!line_.ends_with('\r')) return Refuse("a line does not end in CR LF");
  const std::string_view line(line_.data(), line_.size() - 1);
  if (line.empty()) return Refuse("an empty line");
  if (line.front() != '$' && line.front() != '*') return true;
  const std::string_view digits = line.substr(1);
  if (digits == "-1") return true;  // nil
  std::size_t count = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), count);
  if (error != std::errc{} || end != digits.data() + digits.size()) return Refuse("a length is no number");
  if (line.front() == '*') return count <= kElementsMax || Refuse("an array is too long");
  if (count > bulk_max_) return Refuse("a bulk is too long");
  skip_ = count + 2;
  return true;
}

bool ReplyReader::Refuse(const char* why) noexcept {
  if (refusal_ == nullptr) refusal_ = why;
  return false;
}

bool ReplyReader::AddText(ReplyType type, bool nested, std::string_view text) {
  if (nested && text_.size() + text.size() > kArrayTextMax) return Refuse("an array is too large");
  const std::size_t begin = text_.size();
  if (!nested) text_.reserve(text.size());  // to the byte: growing by doubling could pass the limit
  text_.append(text);
  return Add({type, begin, text.size(), 0});
}

bool ReplyReader::Add(const ReplyNode& node) {
  if (nodes_.size() >= kElementsMax) return Refuse("a reply has too many elements");
  nodes_.push_back(node);
  return true;
}

}  // namespace penstock::redis
