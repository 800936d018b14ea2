#include "penstock/grpc/message.hpp"

#include <algorithm>

namespace penstock::grpc {
namespace {

std::uint32_t SizeOf(const char* prefix) noexcept {
  std::uint32_t size = 0;
  for (std::size_t i = 1; i < kPrefixBytes; ++i) size = size << 8 | static_cast<unsigned char>(prefix[i]);
  return size;
}

}  // namespace

void MessageReader::Begin(Coding coding, std::size_t message_max) {
  coding_ = coding;
  message_max_ = message_max;
  rest_ = {};
  prefix_size_ = 0;
  held_.clear();
  parked_.clear();
  failure_.code = StatusCode::kOk;
  failure_.message.clear();
}

void MessageReader::Feed(std::string_view bytes) {
  if (rest_.empty()) {
    rest_ = bytes;
    return;
  }
  Park();
  parked_.append(bytes);
  rest_ = parked_;
}

void MessageReader::Park() {
  parked_.assign(rest_);  // its own end, it may be
  rest_ = parked_;
}

MessageReader::Step MessageReader::Fail(StatusCode code, const char* message) {
  failure_.code = code;
  failure_.message = message;
  rest_ = {};
  held_.clear();
  return Step::kFailed;
}

/// The five bytes are there: kNeedMore means that they are fine.
MessageReader::Step MessageReader::OnPrefix() {
  const auto flag = static_cast<unsigned char>(prefix_[0]);
  if (flag > 1) return Fail(StatusCode::kInternal, "a message's compression flag is neither 0 nor 1");
  if (flag == 1 && coding_ == Coding::kIdentity)
    return Fail(StatusCode::kInternal, "a message is compressed, but grpc-encoding names no coding");
  if (SizeOf(prefix_) > message_max_) return Fail(StatusCode::kResourceExhausted, "a message exceeds the limit");
  return Step::kNeedMore;
}

MessageReader::Step MessageReader::Next(std::string_view& message) {
  if (failure_.code != StatusCode::kOk) return Step::kFailed;
  if (prefix_size_ == 0) held_.clear();  // the last message was asked for
  if (prefix_size_ < kPrefixBytes) {
    const std::size_t n = std::min(kPrefixBytes - prefix_size_, rest_.size());
    rest_.copy(prefix_ + prefix_size_, n);
    prefix_size_ += n;
    rest_.remove_prefix(n);
    if (prefix_size_ < kPrefixBytes) return Step::kNeedMore;
    if (OnPrefix() == Step::kFailed) return Step::kFailed;
  }
  const std::size_t size = SizeOf(prefix_);
  if (held_.empty() && rest_.size() >= size) {
    const std::string_view bytes = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return Whole(bytes, message);
  }
  const std::size_t n = std::min(size - held_.size(), rest_.size());
  held_.append(rest_.substr(0, n));  // grows with what comes, not with what was announced
  rest_.remove_prefix(n);
  return held_.size() == size ? Whole(held_, message) : Step::kNeedMore;
}

MessageReader::Step MessageReader::Whole(std::string_view bytes, std::string_view& message) {
  prefix_size_ = 0;
  if (prefix_[0] == 0) {
    message = bytes;
    return Step::kMessage;
  }
  bool too_large = false;
  if (!Inflate(bytes, message_max_, inflated_, too_large)) {
    return too_large ? Fail(StatusCode::kResourceExhausted, "a message exceeds the limit when decompressed")
                     : Fail(StatusCode::kInternal, "a message is no valid gzip");
  }
  message = inflated_;
  return Step::kMessage;
}

void MessageReader::Shrink(std::size_t keep_max) {
  if (held() <= keep_max) return;
  rest_ = {};
  for (std::string* store : {&held_, &inflated_, &parked_}) std::string().swap(*store);
}

void MessageReader::Reset(std::size_t keep_max) {
  Begin(Coding::kIdentity, 0);
  Shrink(keep_max);
}

void WritePrefix(char* to, bool compressed, std::uint32_t size) noexcept {
  *to++ = compressed ? 1 : 0;
  for (int shift = 24; shift >= 0; shift -= 8) *to++ = static_cast<char>(size >> shift);
}

void AppendMessage(Chain& out, std::string_view message, Coding coding) {
  char prefix[kPrefixBytes];
  std::string packed;
  if (coding == Coding::kGzip) Deflate(message, packed);
  const bool compressed = !packed.empty() && packed.size() < message.size();
  if (compressed) message = packed;
  WritePrefix(prefix, compressed, static_cast<std::uint32_t>(message.size()));
  out.Append({prefix, sizeof prefix});
  out.Append(message);
}

}  // namespace penstock::grpc
