#include "penstock/http/h1_server_codec.hpp"

#include <algorithm>
#include <array>

#include "http/h1_head_reader.hpp"
#include "penstock/base/assert.hpp"

namespace penstock::http {
namespace {

constexpr std::size_t kRequestLineExtra = 64;  // method, version, blanks and line end around the target

}  // namespace

H1ServerCodec::H1ServerCodec(HeadPool& heads, const H1Limits& limits) : limits_(&limits), reader_(heads) {
  static_assert(sizeof(H1ServerCodec) <= 200, "idle connections are many");
}

std::size_t H1ServerCodec::Feed(std::string_view bytes, H1ServerHandler& handler) {
  std::size_t taken = 0;
  while (taken < bytes.size()) {
    switch (state_) {
      case State::kIdle: taken += SkipBlankLine(bytes[taken], handler); break;
      case State::kHead: taken += FeedHead(bytes.substr(taken), handler); break;
      case State::kBody: taken += FeedBody(bytes.substr(taken), handler); break;
      case State::kComplete:
      case State::kRejected: return taken;
    }
  }
  return taken;
}

void H1ServerCodec::NextMessage() {
  PENSTOCK_ASSERT(state_ == State::kComplete);
  state_ = State::kIdle;
  blank_ = BlankLine::kNone;
}

/// The first byte decides: it begins a request line, or the one empty line allowed, or what is no HTTP.
std::size_t H1ServerCodec::SkipBlankLine(char first, H1ServerHandler& handler) {
  if (blank_ != BlankLine::kCr && first >= 'A' && first <= 'Z') {
    reader_.Begin({limits_->uri + kRequestLineExtra, limits_->header_bytes, limits_->header_count});
    facts_ = H1Facts{};
    absolute_ = false;
    keep_alive_ = true;
    state_ = State::kHead;
    return 0;
  }
  if (blank_ == BlankLine::kNone && first == '\r') {
    blank_ = BlankLine::kCr;
    return 1;
  }
  if (blank_ == BlankLine::kCr && first == '\n') {
    blank_ = BlankLine::kWhole;
    return 1;
  }
  const bool ending = blank_ == BlankLine::kCr || first == '\r' || first == '\n';
  Reject(ending ? verdict::kLineEnding : verdict::kMethod, handler);
  return 0;
}

std::size_t H1ServerCodec::FeedHead(std::string_view bytes, H1ServerHandler& handler) {
  std::size_t taken = 0;
  const H1Verdict* wrong = nullptr;
  const H1HeadReader::Got got = reader_.Read(
      bytes, taken, wrong, verdict::kUriLength,
      [this](char* line, std::size_t size) { return TakeRequestLine(line, size); },
      [this](const H1HeadReader::Field& field) -> const H1Verdict* {
        if (H1Facts::Matters(field.id)) {
          if (const H1Verdict* bad = facts_.Note(field.id, field.value); bad != nullptr) return bad;
          if (field.id == HeaderId::kHost && !absolute_) reader_.KeepAuthority(field.value);
        }
        if (!field.unclean || IsCredential(field.id)) reader_.Keep(field);
        return nullptr;
      });
  if (got == H1HeadReader::Got::kEnd) wrong = DecideFraming();
  if (wrong != nullptr) {
    Reject(*wrong, handler);
  } else if (got == H1HeadReader::Got::kEnd) {
    FinishHead(handler);
  }
  return taken;
}

const H1Verdict* H1ServerCodec::TakeRequestLine(char* line, std::size_t size) {
  H1RequestLine parsed;
  const H1Verdict* wrong = parsed.Parse(line, size, limits_->uri);
  Head& head = reader_.head();
  head.version = parsed.version;
  head.method = parsed.method;
  if (!parsed.method_text.empty()) reader_.KeepMethod(parsed.method_text);
  if (wrong != nullptr) return wrong;
  reader_.KeepTarget(parsed.target);
  if (!parsed.scheme.empty()) reader_.KeepScheme(parsed.scheme);
  absolute_ = !parsed.authority.empty();
  if (absolute_) reader_.KeepAuthority(parsed.authority);
  return nullptr;
}

const H1Verdict* H1ServerCodec::DecideFraming() {
  Head& head = reader_.head();
  const bool http10 = head.version == Version::kHttp10;
  if (!facts_.has_host && !http10) return &verdict::kHost;
  if (facts_.coding != H1Facts::Coding::kNone && (facts_.has_length || http10)) return &verdict::kFraming;
  if (facts_.coding == H1Facts::Coding::kMalformed) return &verdict::kTransferEncoding;
  if (facts_.coding == H1Facts::Coding::kUnknown) return &verdict::kTransferCoding;
  if (head.method == Method::kConnect || head.method == Method::kTrace) return &verdict::kMethodRefused;
  if (facts_.expectation == H1Facts::Expectation::kUnknown && !http10) return &verdict::kExpectation;
  if (facts_.has_length && facts_.length > limits_->body) return &verdict::kBodyLength;

  framing_ = facts_.coding == H1Facts::Coding::kChunked ? Framing::kChunked
             : facts_.has_length                        ? Framing::kLength
                                                        : Framing::kNone;
  head.framing = framing_;
  if (facts_.has_length) head.content_length = facts_.length;
  keep_alive_ = facts_.Persistent(head.version);
  return nullptr;
}

void H1ServerCodec::FinishHead(H1ServerHandler& handler) {
  const bool body = framing_ == Framing::kChunked || (framing_ == Framing::kLength && facts_.length > 0);
  const bool expect_continue =
      body && facts_.expectation == H1Facts::Expectation::kContinue && reader_.head().version == Version::kHttp11;
  length_left_ = facts_.length;
  chunks_.Begin();
  state_ = State::kBody;
  handler.OnRequest(reader_.TakeHead(), expect_continue);
  if (!body) Finish(handler);
}

std::size_t H1ServerCodec::FeedBody(std::string_view bytes, H1ServerHandler& handler) {
  if (framing_ == Framing::kLength) {
    const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(length_left_, bytes.size()));
    length_left_ -= n;
    handler.OnBody(bytes.substr(0, n));
    if (length_left_ == 0) Finish(handler);
    return n;
  }
  std::string_view rest = bytes;
  std::string_view piece;
  const H1Verdict* wrong = nullptr;
  switch (chunks_.Next(rest, piece, *limits_, limits_->body, reader_, wrong)) {
    case H1ChunkedBody::Got::kMore: break;
    case H1ChunkedBody::Got::kBytes: handler.OnBody(piece); break;
    case H1ChunkedBody::Got::kEnd: Finish(handler); break;
    case H1ChunkedBody::Got::kRefused: Reject(*wrong, handler); break;
  }
  return bytes.size() - rest.size();
}

void H1ServerCodec::Finish(H1ServerHandler& handler) {
  state_ = State::kComplete;
  handler.OnEnd();
}

void H1ServerCodec::Reject(const H1Verdict& wrong, H1ServerHandler& handler) {
  state_ = State::kRejected;
  keep_alive_ = false;
  HeadPtr head = reader_.active() ? reader_.TakeHead() : reader_.heads().Take();
  handler.OnReject(std::move(head), DownstreamError(wrong.code, wrong.context), wrong.reason);
}

std::span<const char* const> H1Reasons() noexcept {
  static constexpr const H1Verdict* kAll[] = {
      &verdict::kMethod,        &verdict::kRequestLine,      &verdict::kVersion,        &verdict::kTarget,
      &verdict::kUriLength,     &verdict::kMethodRefused,    &verdict::kStatusLine,     &verdict::kLineEnding,
      &verdict::kControlByte,   &verdict::kObsFold,          &verdict::kFieldName,      &verdict::kHost,
      &verdict::kContentLength, &verdict::kTransferEncoding, &verdict::kTransferCoding, &verdict::kFraming,
      &verdict::kExpectation,   &verdict::kHeaderBytes,      &verdict::kHeaderCount,    &verdict::kBodyLength,
      &verdict::kChunkSize,     &verdict::kChunkExtension,   &verdict::kChunkEnd,       &verdict::kTrailer,
      &verdict::kInterim,       &verdict::kUnexpectedBody};
  static constexpr auto kReasons = [] {
    std::array<const char*, std::size(kAll)> reasons{};
    for (std::size_t i = 0; i < reasons.size(); ++i) reasons[i] = kAll[i]->reason;
    return reasons;
  }();
  return kReasons;
}

}  // namespace penstock::http
