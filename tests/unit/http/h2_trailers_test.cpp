// Fields behind an answer's body: their place among the frames, and what becomes of them when the stream ends otherwise.
#include <gtest/gtest.h>

#include "support/h2_recorder.hpp"

namespace penstock::http {
namespace {

using test::H2End;
using test::ParsedFrame;
using test::PostHead;
using test::RecordedStream;
using test::Settle;

constexpr std::size_t kWindow = 16 * 1024;

/// One call. Its trailers' value is longer in Huffman's code, so that it stands in the frame as it is.
struct Call {
  explicit Call(bool client_ends = true) {
    trailers.Add("grpc-status", "^^^^");
    Settle(client, server);
    server.sent.clear();
    RecordedStream& call = client.Request(PostHead(), client_ends ? "" : "q");
    call.last = BodyState::kMore;
    id = call.id;
    Settle(client, server);
  }
  RecordedStream& seen() { return *client.streams.at(id); }
  RecordedStream& serving() { return *server.streams.at(id); }
  void SendHead() {
    Head head;
    head.status = 200;
    serving().last = BodyState::kMore;
    server.codec->SubmitResponse(id, head, false);
  }
  /// "H" and "D" with an "e" for END_STREAM, "R" for a reset, of the server's frames on the stream.
  std::string Sent() const {
    std::string text;
    for (const ParsedFrame& frame : server.SentFrames()) {
      if (frame.stream == 0 || frame.type == test::h2::kWindowUpdate) continue;
      text += frame.type == test::h2::kHeaders ? 'H' : frame.type == test::h2::kData ? 'D' : 'R';
      if (frame.type != test::h2::kRst && (frame.flags & test::h2::kEndStream) != 0) text += 'e';
    }
    return text;
  }

  Head trailers;
  H2End server{H2Codec::Side::kServer};
  H2End client{H2Codec::Side::kClient, [] {
                 H2Limits limits = H2Limits::ForClient();
                 limits.stream_window = kWindow;
                 return limits;
               }()};
  std::int32_t id = 0;
};

TEST(H2Trailers, FollowABodyWithoutAFrameBetween) {
  Call call;
  call.SendHead();
  call.serving().to_send = "hello";
  call.serving().trailers = &call.trailers;
  Settle(call.client, call.server);
  EXPECT_EQ(call.Sent(), "HDHe");
  EXPECT_NE(call.server.SentFrames().back().payload.find("^^^^"), std::string::npos);
  EXPECT_EQ(call.seen().body, "hello");
  EXPECT_TRUE(call.seen().ended);
  EXPECT_EQ(call.seen().closed, H2Error::kNoError);
  EXPECT_EQ(call.serving().closed, H2Error::kNoError);
  EXPECT_EQ(call.server.codec->open_streams(), 0u);
}

TEST(H2Trailers, NeedNoBody) {
  Call call;
  call.SendHead();
  call.server.codec->SubmitTrailers(call.id, call.trailers);
  Settle(call.client, call.server);
  EXPECT_EQ(call.Sent(), "HHe");
  EXPECT_EQ(call.serving().pulls, 0);
  EXPECT_EQ(call.serving().closed, H2Error::kNoError);
}

TEST(H2Trailers, FollowABodyThatLeftLongAgo) {
  Call call;
  call.SendHead();
  call.serving().to_send = "hello";
  Settle(call.client, call.server);
  EXPECT_EQ(call.Sent(), "HD");
  call.server.codec->SubmitTrailers(call.id, call.trailers);
  EXPECT_TRUE(call.server.codec->wants_write());
  Settle(call.client, call.server);
  EXPECT_EQ(call.Sent(), "HDHe");
  EXPECT_EQ(call.serving().closed, H2Error::kNoError);
}

TEST(H2Trailers, WaitForTheirBodyButForNoWindow) {
  Call call;
  call.seen().credit = false;
  call.SendHead();
  call.serving().to_send.assign(kWindow + 1, 'b');
  call.serving().trailers = &call.trailers;
  Settle(call.client, call.server);
  EXPECT_EQ(call.seen().body.size(), kWindow);
  EXPECT_FALSE(call.seen().ended) << "one byte of the body is still here";
  call.client.codec->Consumed(call.id, kWindow);
  Settle(call.client, call.server);
  EXPECT_EQ(call.seen().body.size(), kWindow + 1);
  EXPECT_TRUE(call.seen().ended);

  Call full;
  full.seen().credit = false;
  full.SendHead();
  full.serving().to_send.assign(kWindow, 'b');
  Settle(full.client, full.server);
  full.server.codec->SubmitTrailers(full.id, full.trailers);
  Settle(full.client, full.server);
  EXPECT_TRUE(full.seen().ended);
  EXPECT_EQ(full.serving().closed, H2Error::kNoError);
}

TEST(H2Trailers, Q_21_ResetsARequestThatIsNotOverYet) {
  for (const bool body : {false, true}) {
    Call call(false);
    call.SendHead();
    if (body) {
      call.serving().to_send = "hello";
      call.serving().trailers = &call.trailers;
    } else {
      call.server.codec->SubmitTrailers(call.id, call.trailers);
    }
    Settle(call.client, call.server);
    EXPECT_EQ(call.Sent(), body ? "HDHeR" : "HHeR");
    EXPECT_EQ(call.server.SentReset(static_cast<std::uint32_t>(call.id)), 0) << "NO_ERROR";
    EXPECT_TRUE(call.seen().ended);
    EXPECT_EQ(call.serving().closed, H2Error::kNoError);
  }
}

TEST(H2Trailers, DieWithTheirStream) {
  Call call;
  call.SendHead();
  call.serving().to_send.assign(2 * kWindow, 'b');
  call.serving().trailers = &call.trailers;
  call.seen().credit = false;
  Settle(call.client, call.server);
  call.client.codec->Reset(call.id, H2Error::kCancel);
  Settle(call.client, call.server);
  EXPECT_EQ(call.serving().closed, H2Error::kCancel);
  call.server.codec->SubmitTrailers(call.id, call.trailers);  // nobody is there
  Settle(call.client, call.server);
  EXPECT_EQ(call.Sent(), "HD");
  EXPECT_EQ(call.server.codec->killed_reason(), nullptr);

  Call own;
  own.SendHead();
  own.server.codec->Reset(own.id, H2Error::kInternalError);
  own.server.codec->SubmitTrailers(own.id, own.trailers);
  Settle(own.client, own.server);
  EXPECT_EQ(own.server.SentReset(static_cast<std::uint32_t>(own.id)), 2);
  EXPECT_EQ(own.serving().closed, H2Error::kInternalError);
}

TEST(H2Trailers, AreSaidOnce) {
  Call call;
  call.SendHead();
  call.server.codec->SubmitTrailers(call.id, call.trailers);
  call.server.codec->SubmitTrailers(call.id, call.trailers);
  call.server.codec->ResumeBody(call.id);
  Settle(call.client, call.server);
  EXPECT_EQ(call.Sent(), "HHe");
}

TEST(H2Trailers, MoreFieldsThanFitResetTheStream) {
  Call call;
  call.SendHead();
  for (std::size_t i = 0; i < H2Codec::kFieldsMax + 8; ++i) call.trailers.Add("x", "y");
  call.server.codec->SubmitTrailers(call.id, call.trailers);
  Settle(call.client, call.server);
  EXPECT_EQ(call.server.SentReset(static_cast<std::uint32_t>(call.id)), 2);
}

}  // namespace
}  // namespace penstock::http
