#include "penstock/http/h1_client_codec.hpp"

#include <algorithm>

#include "http/h1_head_reader.hpp"
#include "penstock/base/assert.hpp"

namespace penstock::http {
namespace {

constexpr std::size_t kStatusLineMax = 4096;
constexpr H1Limits kChunkLimits{};  // extensions and trailers are bounded as a client's are

bool HasNoBody(Method method, std::uint16_t status) noexcept {
  return method == Method::kHead || status / 100 == 1 || status == 204 || status == 304;
}

}  // namespace

H1ClientCodec::H1ClientCodec(HeadPool& heads, const H1ResponseLimits& limits) : limits_(&limits), reader_(heads) {
  static_assert(sizeof(H1ClientCodec) <= 200, "idle connections are many");
}

void H1ClientCodec::Expect(Method method) {
  PENSTOCK_ASSERT(reusable());
  method_ = method;
  state_ = State::kHead;
  head_seen_ = any_byte_seen_ = false;
  interim_ = 0;
}

std::size_t H1ClientCodec::Feed(std::string_view bytes, H1ClientHandler& handler) {
  std::size_t taken = 0;
  while (taken < bytes.size()) {
    switch (state_) {
      case State::kHead:
        any_byte_seen_ = true;
        if (!reader_.active()) BeginHead();
        taken += FeedHead(bytes.substr(taken), handler);
        break;
      case State::kBody: taken += FeedBody(bytes.substr(taken), handler); break;
      case State::kIdle:
      case State::kFailed: persistent_ = false; return taken;
    }
  }
  return taken;
}

void H1ClientCodec::OnEof(H1ClientHandler& handler) {
  persistent_ = false;
  if (state_ == State::kBody && framing_ == Framing::kUntilClose) return Finish(false, handler);
  if (!due()) return;
  const char* reason = head_seen_ ? "eof_in_body" : any_byte_seen_ ? "eof_in_head" : "eof_before_head";
  state_ = State::kFailed;
  if (reader_.active()) reader_.TakeHead();
  handler.OnError(UpstreamError(ErrorCode::kUpstreamReset, Retry::kUnproven, "upstream closed the connection"), reason);
}

void H1ClientCodec::BeginHead() {
  reader_.Begin({kStatusLineMax, limits_->header_bytes, limits_->header_count});
  facts_ = H1Facts{};
}

std::size_t H1ClientCodec::FeedHead(std::string_view bytes, H1ClientHandler& handler) {
  std::size_t taken = 0;
  const H1Verdict* wrong = nullptr;
  const H1HeadReader::Got got = reader_.Read(
      bytes, taken, wrong, verdict::kStatusLine,
      [this](char* line, std::size_t size) {
        return TakeStatusLine({line, size});
      },
      [this](const H1HeadReader::Field& field) -> const H1Verdict* {
        if (H1Facts::Matters(field.id) && field.id != HeaderId::kHost &&
            field.id != HeaderId::kExpect) {  // requests' only
          if (const H1Verdict* bad = facts_.Note(field.id, field.value); bad != nullptr) return bad;
        }
        if (!field.unclean) reader_.Keep(field);
        return nullptr;
      });
  if (got == H1HeadReader::Got::kEnd) wrong = DecideFraming();
  const bool more = taken < bytes.size();
  if (wrong == nullptr && got == H1HeadReader::Got::kEnd) {
    const std::uint16_t status = reader_.head().status;
    if (status < 200) {
      wrong = SkipInterim();
    } else if (more && HasNoBody(method_, status)) {
      wrong = &verdict::kUnexpectedBody;
    } else {
      FinishHead(more, handler);
    }
  }
  if (wrong != nullptr) Fail(*wrong, handler);
  return taken;
}

/// "HTTP/1.x ddd reason"; the blank before an empty reason may be absent, as many servers have it.
const H1Verdict* H1ClientCodec::TakeStatusLine(std::string_view line) {
  constexpr std::size_t kLeast = 12;
  const std::string_view version = line.substr(0, 9);
  if (line.size() < kLeast || (version != "HTTP/1.1 " && version != "HTTP/1.0 ")) return &verdict::kStatusLine;
  if (line.size() > kLeast && line[kLeast] != ' ') return &verdict::kStatusLine;
  if (line[9] < '1' || line[9] > '5' || !scan::IsDigit(line[10]) || !scan::IsDigit(line[11]))
    return &verdict::kStatusLine;
  Head& head = reader_.head();
  head.version = line[7] == '1' ? Version::kHttp11 : Version::kHttp10;
  head.status = static_cast<std::uint16_t>((line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0'));
  return nullptr;
}

/// RFC 9112 6.3, without its leniency: a response that says two things about its length is refused.
const H1Verdict* H1ClientCodec::DecideFraming() {
  Head& head = reader_.head();
  const bool coded = facts_.coding != H1Facts::Coding::kNone;
  if (coded && (facts_.has_length || head.version == Version::kHttp10)) return &verdict::kFraming;
  if (coded && facts_.coding != H1Facts::Coding::kChunked) return &verdict::kTransferCoding;
  const bool never_body = head.status < 200 || head.status == 204;
  if (never_body && (coded || facts_.length > 0)) return &verdict::kUnexpectedBody;

  framing_ = HasNoBody(method_, head.status) ? Framing::kNone
             : coded                         ? Framing::kChunked
             : facts_.has_length             ? Framing::kLength
                                             : Framing::kUntilClose;
  head.framing = framing_;
  if (facts_.has_length) head.content_length = facts_.length;
  return nullptr;
}

const H1Verdict* H1ClientCodec::SkipInterim() {
  if (reader_.head().status == 101 || ++interim_ > limits_->interim_responses) return &verdict::kInterim;
  BeginHead();
  return nullptr;
}

void H1ClientCodec::FinishHead(bool more, H1ClientHandler& handler) {
  const bool body = framing_ == Framing::kChunked || framing_ == Framing::kUntilClose ||
                    (framing_ == Framing::kLength && facts_.length > 0);
  persistent_ = facts_.Persistent(reader_.head().version) && framing_ != Framing::kUntilClose;
  length_left_ = facts_.length;
  chunks_.Begin();
  head_seen_ = true;
  state_ = State::kBody;
  handler.OnResponse(reader_.TakeHead());
  if (!body) Finish(more, handler);
}

std::size_t H1ClientCodec::FeedBody(std::string_view bytes, H1ClientHandler& handler) {
  if (framing_ == Framing::kUntilClose) {
    handler.OnBody(bytes);
    return bytes.size();
  }
  if (framing_ == Framing::kLength) {
    const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(length_left_, bytes.size()));
    length_left_ -= n;
    handler.OnBody(bytes.substr(0, n));
    if (length_left_ == 0) Finish(n < bytes.size(), handler);
    return n;
  }
  std::string_view rest = bytes;
  std::string_view piece;
  const H1Verdict* wrong = nullptr;
  switch (chunks_.Next(rest, piece, kChunkLimits, UINT64_MAX, reader_, wrong)) {
    case H1ChunkedBody::Got::kMore: break;
    case H1ChunkedBody::Got::kBytes: handler.OnBody(piece); break;
    case H1ChunkedBody::Got::kEnd: Finish(!rest.empty(), handler); break;
    case H1ChunkedBody::Got::kRefused: Fail(*wrong, handler); break;
  }
  return bytes.size() - rest.size();
}

/// `more`: bytes that nobody asked for follow. The handler must already find the connection unfit for reuse.
void H1ClientCodec::Finish(bool more, H1ClientHandler& handler) {
  persistent_ &= !more;
  state_ = State::kIdle;
  handler.OnEnd();
}

void H1ClientCodec::Fail(const H1Verdict& wrong, H1ClientHandler& handler) {
  state_ = State::kFailed;
  persistent_ = false;
  if (reader_.active()) reader_.TakeHead();
  handler.OnError(UpstreamError(ErrorCode::kUpstreamProtocol, Retry::kNever, wrong.context), wrong.reason);
}

}  // namespace penstock::http
