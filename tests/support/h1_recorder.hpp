#pragma once

#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "penstock/http/h1_client_codec.hpp"
#include "penstock/http/h1_server_codec.hpp"

namespace penstock::http {

/// Owned by one Worker. Runs the HTTP/1.1 codecs over given pieces of bytes, as a session and a pool would,
/// and writes down all events as text, adjacent body pieces joined: two runs agree when their transcripts are
/// equal.
class H1Transcript {
 public:
  std::string text;

 protected:
  void Line(std::string_view line) {
    FlushBody();
    text.append(line).push_back('\n');
  }
  void Body(std::string_view bytes) {
    if (bytes.empty()) Line("EMPTY BODY PIECE");  // a codec must not make these
    body_.append(bytes);
  }
  void FlushBody() {
    if (!body_.empty()) text.append("body ").append(body_).push_back('\n');
    body_.clear();
  }
  static std::string Describe(const Head& head) {
    constexpr const char* kFramings[] = {"none", "length", "chunked", "until_close", "stream"};
    constexpr const char* kVersions[] = {"1.0", "1.1", "2"};
    std::string out(kFramings[static_cast<std::size_t>(head.framing)]);
    out.append(" ").append(kVersions[static_cast<std::size_t>(head.version)]);
    if (head.content_length) out.append(" length=").append(std::to_string(*head.content_length));
    for (std::size_t i = 0; i < head.size(); ++i) {
      const Head::Field field = head.field(i);
      out.append("\n  ").append(field.name).append(": ").append(field.value);
      if (field.id != LookupHeader(field.name)) out.append(" WRONG ID");
    }
    return out;
  }

  HeadPool heads_;  ///< here, so that it outlives the heads kept below

 private:
  std::string body_;
};

/// Owned by one Worker. The server's codec, message after message until it closes.
class H1ServerRun final : public H1Transcript, private H1ServerHandler {
 public:
  explicit H1ServerRun(const H1Limits& limits = {}) : limits_(limits), codec_(heads_, limits_) {}

  H1ServerRun& Feed(std::string_view bytes) {
    while (!bytes.empty() && !over_) {
      const std::size_t taken = codec_.Feed(bytes, *this);
      if (taken > bytes.size()) std::abort();
      bytes.remove_prefix(taken);
      if (codec_.state() == H1ServerCodec::State::kComplete && codec_.keep_alive()) {
        codec_.NextMessage();
      } else if (codec_.state() == H1ServerCodec::State::kComplete ||
                 codec_.state() == H1ServerCodec::State::kRejected) {
        over_ = true;
        if (!bytes.empty() && codec_.Feed(bytes, *this) != 0) Line("TOOK BYTES AFTER THE END");
      } else if (!bytes.empty()) {
        Line("STUCK");
        over_ = true;
      }
    }
    untaken += bytes.size();
    return *this;
  }
  std::string Done() {
    FlushBody();
    return text;
  }
  H1ServerCodec& codec() { return codec_; }

  ErrorCode code = ErrorCode::kNone;  ///< of the rejection
  std::string reason;
  std::string rejected_target;
  std::vector<HeadPtr> requests;
  std::vector<std::string> bodies;
  bool expect_continue = false;
  std::size_t ends = 0;
  std::size_t untaken = 0;  ///< bytes behind the end

 private:
  void OnRequest(HeadPtr head, bool expect) override {
    Line("request " + std::string(head->method_text()) + " " + std::string(head->target()) + " " +
         std::string(head->authority()) + " " + std::string(head->scheme()) + " " + Describe(*head) +
         (expect ? " expect" : ""));
    if (LookupMethod(head->method_text()) != head->method) Line("WRONG METHOD");
    expect_continue = expect;
    requests.push_back(std::move(head));
    bodies.emplace_back();
  }
  void OnBody(std::string_view bytes) override {
    Body(bytes);
    bodies.back().append(bytes);
  }
  void OnEnd() override {
    ++ends;
    Line(codec_.keep_alive() ? "end keep-alive" : "end close");
  }
  void OnReject(HeadPtr head, const Error& error, const char* why) override {
    if (head == nullptr) std::abort();
    code = error.code;
    reason = why;
    rejected_target = head->target();
    Line("reject " + std::string(CodeName(error.code)) + " " + why + " " + std::string(head->target()));
  }

  H1Limits limits_;
  H1ServerCodec codec_;
  bool over_ = false;
};

/// Owned by one Worker. The client's codec: `methods` were sent one after the other.
class H1ClientRun final : public H1Transcript, private H1ClientHandler {
 public:
  explicit H1ClientRun(std::vector<Method> methods = {Method::kGet}, const H1ResponseLimits& limits = {})
      : methods_(std::move(methods)), limits_(limits), codec_(heads_, limits_) {
    Next();
  }

  H1ClientRun& Feed(std::string_view bytes) {
    while (!bytes.empty()) {
      const bool due = codec_.due();
      const std::size_t taken = codec_.Feed(bytes, *this);
      if (taken > bytes.size() || (!due && taken != 0)) std::abort();
      bytes.remove_prefix(taken);
      if (!codec_.due()) break;
    }
    untaken += bytes.size();
    if (bytes.empty()) Next();
    return *this;
  }
  H1ClientRun& Eof() {
    codec_.OnEof(*this);
    return *this;
  }
  std::string Done() {
    FlushBody();
    return text;
  }
  H1ClientCodec& codec() { return codec_; }

  Error error{ErrorCode::kNone, Origin::kInternal, Retry::kNever};
  std::string reason;
  std::vector<HeadPtr> responses;
  std::vector<std::string> bodies;
  std::size_t ends = 0;
  std::size_t untaken = 0;
  bool reusable_at_end = false;  ///< what the handler saw in OnEnd

 private:
  void Next() {
    if (codec_.reusable() && asked_ < methods_.size()) codec_.Expect(methods_[asked_++]);
  }
  void OnResponse(HeadPtr head) override {
    Line("response " + std::to_string(head->status) + " " + Describe(*head));
    responses.push_back(std::move(head));
    bodies.emplace_back();
  }
  void OnBody(std::string_view bytes) override {
    Body(bytes);
    bodies.back().append(bytes);
  }
  void OnEnd() override {
    ++ends;
    reusable_at_end = codec_.reusable();
    Line("end");
  }
  void OnError(const Error& wrong, const char* why) override {
    error = wrong;
    reason = why;
    Line("error " + std::string(CodeName(wrong.code)) + " " + why);
  }

  std::vector<Method> methods_;
  std::size_t asked_ = 0;
  H1ResponseLimits limits_;
  H1ClientCodec codec_;
};

}  // namespace penstock::http
