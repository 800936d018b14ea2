#include "penstock/grpc/test_service.hpp"

#include <grpc/testing/empty.pb.h>
#include <grpc/testing/messages.pb.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

#include "grpc/parse_message.hpp"
#include "penstock/grpc/metadata.hpp"

namespace penstock::grpc {
namespace {

namespace testing = ::grpc::testing;

constexpr std::string_view kEchoInitial = "x-grpc-test-echo-initial";
constexpr std::string_view kEchoTrailing = "x-grpc-test-echo-trailing-bin";
constexpr int kStatusCodeMax = 16;

Status Malformed() { return {StatusCode::kInternal, "the message is none of this method's", "bad_request"}; }

/// "Compressed" means flagged so on the wire, not merely sent in a call whose grpc-encoding says gzip.
std::optional<Status> CheckCompressed(bool has_wish, const testing::BoolValue& wish, bool compressed) {
  if (!has_wish || wish.value() == compressed) return std::nullopt;
  return Status{StatusCode::kInvalidArgument,
                compressed ? "the message is compressed" : "the message is not compressed"};
}

std::optional<Status> Asked(const testing::EchoStatus& echo) {
  if (echo.code() == 0) return std::nullopt;
  if (echo.code() < 0 || echo.code() > kStatusCodeMax)
    return Status{StatusCode::kInvalidArgument, "response_status has no code of gRPC's"};
  return Status{static_cast<StatusCode>(echo.code()), echo.message()};
}

template <class Message>
void WritePayload(std::int32_t size, std::string& out) {
  Message message;
  message.mutable_payload()->mutable_body()->resize(static_cast<std::size_t>(size));
  message.SerializeToString(&out);
}

}  // namespace

std::optional<Status> TestService::Begin(std::string_view path) {
  constexpr std::string_view kService = "/grpc.testing.TestService/";
  static constexpr std::array<std::pair<std::string_view, Method>, 6> kMethods = {{
      {"EmptyCall", Method::kEmptyCall},
      {"UnaryCall", Method::kUnaryCall},
      {"StreamingOutputCall", Method::kStreamingOutputCall},
      {"StreamingInputCall", Method::kStreamingInputCall},
      {"FullDuplexCall", Method::kFullDuplexCall},
      {"HalfDuplexCall", Method::kHalfDuplexCall},
  }};
  const Status unknown{StatusCode::kUnimplemented, "no such method"};
  if (!path.starts_with(kService)) return unknown;
  path.remove_prefix(kService.size());
  const auto* const found = std::ranges::find(kMethods, path, &std::pair<std::string_view, Method>::first);
  if (found == kMethods.end()) return unknown;
  method_ = found->second;
  return std::nullopt;
}

bool TestService::streams() const noexcept {
  return method_ == Method::kStreamingInputCall || method_ == Method::kFullDuplexCall ||
         method_ == Method::kHalfDuplexCall;
}

std::optional<Status> TestService::OnMessage(std::string_view message, bool compressed) {
  if (++messages_ > 1 && !streams()) return Status{StatusCode::kUnimplemented, "this method takes one message"};
  switch (method_) {
    case Method::kEmptyCall: {
      testing::Empty request;
      if (!ParseMessage(message, request)) return Malformed();
      return Promise(0, {}, false);
    }
    case Method::kUnaryCall: return OnSimple(message, compressed);
    case Method::kStreamingInputCall: return OnInput(message, compressed);
    case Method::kStreamingOutputCall:
    case Method::kFullDuplexCall:
    case Method::kHalfDuplexCall: return OnOutput(message);
  }
  return std::nullopt;
}

std::optional<Status> TestService::OnSimple(std::string_view message, bool compressed) {
  testing::SimpleRequest request;
  if (!ParseMessage(message, request)) return Malformed();
  if (auto status = CheckCompressed(request.has_expect_compressed(), request.expect_compressed(), compressed))
    return status;
  if (auto status = Asked(request.response_status())) return status;
  return Promise(request.response_size(), {}, request.response_compressed().value());
}

std::optional<Status> TestService::OnInput(std::string_view message, bool compressed) {
  testing::StreamingInputCallRequest request;
  if (!ParseMessage(message, request)) return Malformed();
  bytes_in_ += static_cast<std::int64_t>(request.payload().body().size());
  return CheckCompressed(request.has_expect_compressed(), request.expect_compressed(), compressed);
}

std::optional<Status> TestService::OnOutput(std::string_view message) {
  testing::StreamingOutputCallRequest request;
  if (!ParseMessage(message, request)) return Malformed();
  if (auto status = Asked(request.response_status())) return status;
  for (const testing::ResponseParameters& wish : request.response_parameters()) {
    const auto delay = std::chrono::microseconds(std::max(wish.interval_us(), 0));
    if (auto status = Promise(wish.size(), delay, wish.compressed().value())) return status;
  }
  return std::nullopt;
}

std::optional<Status> TestService::Promise(std::int64_t size, Duration delay, bool compressed) {
  if (size < 0 || size > kTestPayloadMax) return Status{StatusCode::kInvalidArgument, "no answer has this size"};
  if (replies_.size() == kTestRepliesMax) return Status{StatusCode::kResourceExhausted, "too many answers to come"};
  replies_.push_back({delay, static_cast<std::int32_t>(size), compressed});
  return std::nullopt;
}

std::optional<Status> TestService::OnEnd() {
  ended_ = true;
  if (method_ == Method::kStreamingInputCall) {
    replies_.push_back({});
  } else if (messages_ == 0 && !streams()) {
    return Status{StatusCode::kInternal, "the request has no message"};
  }
  return std::nullopt;
}

const TestService::Reply* TestService::next() const noexcept {
  if (replies_.empty() || (!ended_ && method_ != Method::kFullDuplexCall)) return nullptr;
  return &replies_.front();
}

void TestService::Take(std::string& out) {
  const Reply reply = replies_.front();
  replies_.pop_front();
  switch (method_) {
    case Method::kEmptyCall: out.clear(); return;
    case Method::kUnaryCall: WritePayload<testing::SimpleResponse>(reply.size, out); return;
    case Method::kStreamingInputCall: {
      testing::StreamingInputCallResponse response;
      response.set_aggregated_payload_size(static_cast<std::int32_t>(bytes_in_));
      response.SerializeToString(&out);
      return;
    }
    case Method::kStreamingOutputCall:
    case Method::kFullDuplexCall:
    case Method::kHalfDuplexCall: WritePayload<testing::StreamingOutputCallResponse>(reply.size, out); return;
  }
}

std::optional<Status> EchoMetadata(const http::Head& request, http::Head& initial, http::Head& trailing) {
  for (std::size_t i = 0; i < request.size(); ++i) {
    const http::Head::Field field = request.field(i);
    if (field.name == kEchoInitial) initial.Add(kEchoInitial, field.value);
    if (field.name != kEchoTrailing) continue;
    std::string_view rest = field.value;
    for (bool more = true; more;) {
      const std::size_t comma = rest.find(',');
      more = comma != std::string_view::npos;
      std::string_view value = rest.substr(0, comma);
      while (value.starts_with(' ')) value.remove_prefix(1);
      const std::optional<std::string> bytes = DecodeBinary(value);
      if (!bytes.has_value()) return Status{StatusCode::kInternal, "a binary field of the metadata is no base64"};
      std::string text;
      AppendBinary(text, *bytes);
      trailing.Add(kEchoTrailing, text);
      if (more) rest.remove_prefix(comma + 1);
    }
  }
  return std::nullopt;
}

}  // namespace penstock::grpc
