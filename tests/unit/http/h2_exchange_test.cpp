// The client codec talks to the server codec: what a proper peer sees.
#include <gtest/gtest.h>

#include "support/h2_recorder.hpp"

namespace penstock::http {
namespace {

using test::H2End;
using test::PostHead;
using test::RecordedStream;
using test::Settle;

struct Pair {
  explicit Pair(const H2Limits& server_limits = {}, const H2Limits& client_limits = H2Limits::ForClient())
      : server(H2Codec::Side::kServer, server_limits), client(H2Codec::Side::kClient, client_limits) {
    Settle(client, server);
  }
  H2End server;
  H2End client;
};

TEST(H2Exchange, CarriesARequestAndItsResponse) {
  Pair pair;
  pair.server.respond = true;
  pair.server.response_body = "{\"ok\":true}";
  RecordedStream& call = pair.client.Request(PostHead(), "{\"model\":\"m\"}");
  Settle(pair.client, pair.server);

  RecordedStream& seen = *pair.server.streams.at(1);
  EXPECT_EQ(seen.head->method, Method::kPost);
  EXPECT_EQ(seen.head->method_text(), "POST");
  EXPECT_EQ(seen.head->scheme(), "http");
  EXPECT_EQ(seen.head->authority(), "backend:8000");
  EXPECT_EQ(seen.head->target(), "/v1/chat/completions");
  EXPECT_EQ(seen.head->version, Version::kHttp2);
  EXPECT_EQ(seen.head->framing, Framing::kStream);
  EXPECT_EQ(seen.head->Find(HeaderId::kContentType), "application/json");
  EXPECT_EQ(seen.body, "{\"model\":\"m\"}");
  EXPECT_TRUE(seen.ended);
  EXPECT_EQ(seen.closed, H2Error::kNoError);

  EXPECT_EQ(call.head->status, 200);
  EXPECT_EQ(call.body, "{\"ok\":true}");
  EXPECT_TRUE(call.ended);
  EXPECT_EQ(call.closed, H2Error::kNoError);
  EXPECT_FALSE(call.unprocessed);
  EXPECT_EQ(pair.client.codec->open_streams(), 0u);
  EXPECT_EQ(pair.server.codec->open_streams(), 0u);
}

TEST(H2Exchange, SaysAtOnceWhenAHeadHasNoBody) {
  Pair pair;
  pair.server.respond = true;
  Head head = PostHead();
  head.method = Method::kGet;
  head.set_method_text("GET");
  RecordedStream& call = pair.client.Request(head);
  Settle(pair.client, pair.server);
  EXPECT_EQ(pair.server.streams.at(1)->head->framing, Framing::kNone);
  EXPECT_TRUE(call.ended);
  EXPECT_EQ(call.head->framing, Framing::kNone);
}

TEST(H2Exchange, CarriesLongBodiesBothWaysThroughManyWindowsAndChunks) {
  Pair pair;
  std::string body;
  for (int i = 0; body.size() < 3'000'000; ++i) body += std::to_string(i) + ' ';
  pair.server.respond = true;
  pair.server.response_body = body;
  RecordedStream& call = pair.client.Request(PostHead(), body);
  Settle(pair.client, pair.server);
  EXPECT_EQ(pair.server.streams.at(1)->body, body);
  EXPECT_EQ(call.body, body);
  EXPECT_EQ(call.closed, H2Error::kNoError);
  EXPECT_EQ(pair.client.chunks.in_use(), 0u);
}

TEST(H2Exchange, WritesWholeFramesOfTheLargestSizeForLongBodies) {
  Pair pair;
  pair.server.respond = true;
  pair.server.response_body.assign(60'000, 'x');
  pair.client.Request(PostHead());
  pair.server.sent.clear();
  Settle(pair.client, pair.server);
  const auto data = test::OfType(pair.server.SentFrames(), test::h2::kData);
  ASSERT_GE(data.size(), 4u);
  EXPECT_EQ(data[0].payload.size(), 16384u);
}

TEST(H2Exchange, PullStopsAtItsTarget) {
  Pair pair;
  pair.server.respond = true;
  pair.server.response_body.assign(60'000, 'x');
  pair.client.Request(PostHead());
  pair.server.Feed(pair.client.Drain());
  Chain out(pair.server.chunks);
  ASSERT_TRUE(pair.server.codec->Pull(out, 4000));
  EXPECT_GE(out.size(), 4000u);
  EXPECT_LE(out.size(), 4000u + 16393u);
  EXPECT_TRUE(pair.server.codec->wants_write());
  out.Clear();
}

TEST(H2Exchange, DefersABodyUntilItIsResumed) {
  Pair pair;
  RecordedStream& call = pair.client.Request(PostHead());
  Settle(pair.client, pair.server);
  RecordedStream& serving = *pair.server.streams.at(1);
  serving.last = BodyState::kMore;
  Head head;
  head.status = 200;
  pair.server.codec->SubmitResponse(1, head, false);
  Settle(pair.client, pair.server);
  EXPECT_EQ(call.head->status, 200);
  EXPECT_FALSE(pair.server.codec->wants_write());
  for (int i = 0; i < 3; ++i) {
    const int pulls = serving.pulls;
    serving.to_send = "data: token\n\n";
    pair.server.codec->ResumeBody(1);
    EXPECT_TRUE(pair.server.codec->wants_write());
    Settle(pair.client, pair.server);
    EXPECT_EQ(serving.pulls, pulls + 1) << "a short piece already said that there is no more";
  }
  EXPECT_EQ(call.body.size(), 3 * 13u);
  EXPECT_FALSE(call.ended);
  serving.last = BodyState::kEnd;
  pair.server.codec->ResumeBody(1);
  Settle(pair.client, pair.server);
  EXPECT_TRUE(call.ended);
  EXPECT_EQ(pair.server.chunks.in_use(), 0u);
}

TEST(H2Exchange, AnAbortedBodyIsDeliveredAndThenReset) {
  for (const bool window_closed : {false, true}) {
    Pair pair;
    RecordedStream& call = pair.client.Request(PostHead());
    Settle(pair.client, pair.server);
    RecordedStream& serving = *pair.server.streams.at(1);
    // Exactly the stream's window: the reset must not wait for it to open again.
    serving.to_send.assign(window_closed ? 16 * 1024 : 100, 'e');
    serving.last = BodyState::kAbort;
    call.credit = false;
    Head head;
    head.status = 200;
    pair.server.codec->SubmitResponse(1, head, false);
    Settle(pair.client, pair.server);
    EXPECT_EQ(call.body.size(), window_closed ? 16 * 1024u : 100u);
    EXPECT_FALSE(call.ended);
    EXPECT_EQ(call.closed, H2Error::kInternalError);
    EXPECT_FALSE(call.unprocessed);
    EXPECT_EQ(serving.closed, H2Error::kInternalError);
  }
}

TEST(H2Exchange, AnAbortWithoutBytesResets) {
  Pair pair;
  RecordedStream& call = pair.client.Request(PostHead());
  Settle(pair.client, pair.server);
  pair.server.streams.at(1)->last = BodyState::kAbort;
  Head head;
  head.status = 200;
  pair.server.codec->SubmitResponse(1, head, false);
  Settle(pair.client, pair.server);
  EXPECT_EQ(call.head->status, 200);
  EXPECT_EQ(call.closed, H2Error::kInternalError);
}

TEST(H2Exchange, LeavesOutWhatBelongsToOneHop) {
  Pair pair;
  Head head = PostHead();
  for (const char* name :
       {"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "te", "host"}) {
    head.Add(name, "x");
  }
  head.Add("x-kept", "1");
  pair.client.Request(head);
  Settle(pair.client, pair.server);
  const Head& seen = *pair.server.streams.at(1)->head;
  EXPECT_EQ(seen.size(), 2u);
  EXPECT_EQ(seen.Find("x-kept"), "1");
}

TEST(H2Exchange, CarriesStatusAndFieldsOfAResponse) {
  Pair pair;
  RecordedStream& call = pair.client.Request(PostHead());
  Settle(pair.client, pair.server);
  Head head;
  head.status = 429;
  head.Add("retry-after", "3");
  head.Add("content-length", "0");
  head.Add("x-request-id", "abc");
  pair.server.codec->SubmitResponse(1, head, true);
  Settle(pair.client, pair.server);
  EXPECT_EQ(call.head->status, 429);
  EXPECT_EQ(call.head->Find(HeaderId::kRetryAfter), "3");
  EXPECT_EQ(call.head->Find(HeaderId::kXRequestId), "abc");
  EXPECT_EQ(call.head->content_length, 0u);
}

TEST(H2Exchange, AStatusIsThreeDigits) {
  for (const std::uint16_t status : std::initializer_list<std::uint16_t>{0, 99, 200, 599, 999, 1000}) {
    Pair pair;
    RecordedStream& call = pair.client.Request(PostHead());
    Settle(pair.client, pair.server);
    Head head;
    head.status = status;
    pair.server.codec->SubmitResponse(1, head, true);
    Settle(pair.client, pair.server);
    if (status >= 200 && status <= 999) {
      EXPECT_EQ(call.head->status, status);
    } else {
      EXPECT_EQ(call.closed, H2Error::kInternalError) << status;
    }
  }
}

TEST(H2Exchange, SkipsInterimResponses) {
  Pair pair;
  RecordedStream& call = pair.client.Request(PostHead());
  Settle(pair.client, pair.server);
  Head interim;
  interim.status = 103;
  interim.Add("link", "</x>");
  for (int i = 0; i < 3; ++i) pair.server.codec->SubmitResponse(1, interim, false);
  Settle(pair.client, pair.server);
  EXPECT_EQ(call.head, nullptr);
  Head head;
  head.status = 200;
  pair.server.codec->SubmitResponse(1, head, true);
  Settle(pair.client, pair.server);
  EXPECT_EQ(call.head->status, 200);
  EXPECT_FALSE(call.head->Has(HeaderId::kOther) && call.head->size() != 0);
}

TEST(H2Exchange, AnAnswerBeforeTheEndOfTheQuestionStopsTheQuestion) {
  Pair pair;
  RecordedStream& call = pair.client.Request(PostHead(), "x");
  call.last = BodyState::kMore;  // the upload goes on
  Settle(pair.client, pair.server);
  Head head;
  head.status = 413;
  pair.server.codec->SubmitResponse(1, head, true);
  Settle(pair.client, pair.server);
  EXPECT_EQ(call.head->status, 413);
  EXPECT_TRUE(call.ended);
  EXPECT_EQ(call.closed, H2Error::kNoError);
  EXPECT_EQ(pair.server.SentReset(1), 0);
  EXPECT_EQ(pair.server.codec->open_streams(), 0u);
}

TEST(H2Exchange, ResetReachesTheOtherSide) {
  Pair pair;
  RecordedStream& call = pair.client.Request(PostHead(), "x");
  call.last = BodyState::kMore;
  Settle(pair.client, pair.server);
  pair.client.codec->Reset(call.id, H2Error::kCancel);
  Settle(pair.client, pair.server);
  EXPECT_EQ(pair.server.streams.at(1)->closed, H2Error::kCancel);
  EXPECT_EQ(call.closed, H2Error::kCancel);
}

TEST(H2Exchange, ARefusedStreamIsUnprocessed) {
  Pair pair;
  RecordedStream& call = pair.client.Request(PostHead());
  Settle(pair.client, pair.server);
  pair.server.codec->Reset(1, H2Error::kRefusedStream);
  Settle(pair.client, pair.server);
  EXPECT_EQ(call.closed, H2Error::kRefusedStream);
  EXPECT_TRUE(call.unprocessed);
}

TEST(H2Exchange, ADetachedStreamIsSilentAndItsBodyStillCredited) {
  Pair pair;
  RecordedStream& call = pair.client.Request(PostHead(), std::string(200'000, 'x'));
  pair.server.Feed(pair.client.Drain());
  RecordedStream& serving = *pair.server.streams.at(1);
  pair.server.codec->Detach(1);
  const std::size_t seen = serving.body.size();
  Settle(pair.client, pair.server);
  EXPECT_EQ(serving.body.size(), seen);
  EXPECT_TRUE(call.to_send.empty()) << "nobody reads it, but the peer is not stalled";
  EXPECT_FALSE(serving.ended);
  pair.server.codec->Reset(1, H2Error::kCancel);
  Settle(pair.client, pair.server);
  EXPECT_EQ(serving.closed_times, 0);
  EXPECT_EQ(call.closed, H2Error::kCancel);
}

TEST(H2Exchange, ADetachedBodyIsReset) {
  Pair pair;
  RecordedStream& call = pair.client.Request(PostHead());
  Settle(pair.client, pair.server);
  RecordedStream& serving = *pair.server.streams.at(1);
  serving.to_send = "x";
  Head head;
  head.status = 200;
  pair.server.codec->SubmitResponse(1, head, false);
  pair.server.codec->Detach(1);
  Settle(pair.client, pair.server);
  EXPECT_EQ(call.closed, H2Error::kInternalError);
  EXPECT_EQ(serving.closed_times, 0);
}

TEST(H2Exchange, AStreamsWindowOpensOnlyWhenItsBytesAreConsumed) {
  Pair pair;
  RecordedStream& call = pair.client.Request(PostHead(), std::string(100'000, 'x'));
  pair.server.Feed(pair.client.Drain());
  RecordedStream& serving = *pair.server.streams.at(1);
  serving.credit = false;
  pair.server.codec->Consumed(1, serving.body.size());
  Settle(pair.client, pair.server);
  const std::size_t stalled_at = serving.body.size();
  EXPECT_LE(stalled_at, 3 * 16 * 1024u);
  EXPECT_FALSE(serving.ended);
  pair.server.codec->Consumed(1, 16 * 1024);
  Settle(pair.client, pair.server);
  EXPECT_EQ(serving.body.size(), stalled_at + 16 * 1024);
  pair.server.codec->GrowWindow(1, 64 * 1024);
  Settle(pair.client, pair.server);
  EXPECT_EQ(serving.body.size(), std::min<std::size_t>(stalled_at + 64 * 1024, 100'000));
  EXPECT_EQ(call.closed_times, 0);
}

TEST(H2Exchange, OneStalledStreamDoesNotStallItsNeighbours) {
  Pair pair;
  for (int i = 0; i < 90; ++i) {  // 90 x 16 KiB unread: more than the connection's window of 1 MiB
    pair.client.Request(PostHead("/stalled"), std::string(30'000, 'x'));
    pair.server.Feed(pair.client.Drain());
    for (auto& [id, stream] : pair.server.streams) stream->credit = false;
    Settle(pair.client, pair.server);
  }
  pair.client.Request(PostHead("/quick"), std::string(1000, 'y'));
  Settle(pair.client, pair.server);
  EXPECT_TRUE(pair.server.streams.at(181)->ended);
}

TEST(H2Exchange, TheConnectionsWindowIsNotUpdatedForEveryDataFrame) {
  Pair pair;
  pair.server.sent.clear();
  pair.client.Request(PostHead(), std::string(2'000'000, 'x'));
  Settle(pair.client, pair.server);
  std::size_t updates = 0;
  for (const auto& frame : test::OfType(pair.server.SentFrames(), test::h2::kWindowUpdate))
    updates += frame.stream == 0 ? 1 : 0;
  EXPECT_GE(updates, 2u);
  EXPECT_LE(updates, 4u) << "one per half a MiB";
}

TEST(H2Exchange, LongBodiesShareTheConnection) {
  Pair pair;
  pair.server.respond = true;
  pair.server.response_body.assign(1'000'000, 'x');
  test::RecordedStream& first = pair.client.Request(PostHead());
  test::RecordedStream& second = pair.client.Request(PostHead());
  pair.client.codec->GrowWindow(first.id, 1'000'000);
  pair.client.codec->GrowWindow(second.id, 1'000'000);
  for (int i = 0; i < 4; ++i) {
    pair.server.Feed(pair.client.Drain());
    Chain out(pair.server.chunks);
    pair.server.codec->Pull(out, 100'000);
    std::string bytes(out.size(), '\0');
    out.Read(bytes.data(), bytes.size());
    pair.client.Feed(bytes);
    for (auto* stream : {&first, &second}) pair.client.codec->GrowWindow(stream->id, 1'000'000);
  }
  EXPECT_GT(first.body.size(), 0u);
  EXPECT_GT(second.body.size(), first.body.size() / 3);
}

TEST(H2Exchange, APingComesBack) {
  Pair pair;
  pair.client.codec->SubmitPing();
  pair.server.codec->SubmitPing();
  Settle(pair.client, pair.server);
  EXPECT_EQ(pair.client.ping_acks, 1);
  EXPECT_EQ(pair.server.ping_acks, 1);
}

TEST(H2Exchange, TheClientLearnsTheServersLimit) {
  H2Limits limits;
  limits.max_concurrent_streams = 7;
  Pair pair(limits);
  EXPECT_EQ(pair.client.codec->peer_max_concurrent_streams(), 7u);
  EXPECT_EQ(pair.client.settings, 1);
}

TEST(H2Exchange, ARequestBeyondThePeersLimitWaitsAndCanBeWithdrawn) {
  H2Limits limits;
  limits.max_concurrent_streams = 1;
  Pair pair(limits);
  RecordedStream& first = pair.client.Request(PostHead());
  RecordedStream& waiting = pair.client.Request(PostHead());
  RecordedStream& withdrawn = pair.client.Request(PostHead());
  pair.client.codec->Reset(withdrawn.id, H2Error::kCancel);
  Settle(pair.client, pair.server);
  EXPECT_EQ(pair.server.requests, 1);
  Head head;
  head.status = 200;
  pair.server.codec->SubmitResponse(1, head, true);
  Settle(pair.client, pair.server);
  EXPECT_TRUE(first.ended);
  EXPECT_EQ(pair.server.requests, 2);
  pair.server.codec->SubmitResponse(3, head, true);
  Settle(pair.client, pair.server);
  EXPECT_TRUE(waiting.ended);
  EXPECT_EQ(withdrawn.closed, H2Error::kCancel);
  EXPECT_TRUE(withdrawn.unprocessed);
  EXPECT_EQ(pair.server.requests, 2);
}

TEST(H2Goaway, AGracefulEndServesWhatIsOpenAndThenFinishes) {
  Pair pair;
  RecordedStream& open = pair.client.Request(PostHead());
  Settle(pair.client, pair.server);
  pair.server.codec->BeginGoaway();
  pair.server.sent.clear();
  Settle(pair.client, pair.server);
  const auto goaways = test::OfType(pair.server.SentFrames(), test::h2::kGoaway);
  ASSERT_EQ(goaways.size(), 2u);
  EXPECT_EQ(test::Number(goaways[0].payload.substr(0, 4)), 0x7fffffffu);
  EXPECT_EQ(test::Number(goaways[1].payload.substr(0, 4)), 1u);
  EXPECT_EQ(pair.client.goaway, H2Error::kNoError);
  EXPECT_EQ(pair.server.ping_acks, 0) << "its own PING is nobody's business";
  EXPECT_LT(pair.client.codec->SubmitRequest(PostHead(), true, open), 0);
  Head head;
  head.status = 200;
  pair.server.codec->SubmitResponse(1, head, true);
  Settle(pair.client, pair.server);
  EXPECT_EQ(open.closed, H2Error::kNoError);
  EXPECT_TRUE(open.ended);
  EXPECT_FALSE(pair.server.alive);
  EXPECT_EQ(pair.server.codec->killed_reason(), nullptr);
  EXPECT_FALSE(pair.server.Feed("x"));
}

TEST(H2Goaway, StreamsAboveTheLastIdAreUnprocessed) {
  H2End client(H2Codec::Side::kClient, H2Limits::ForClient());
  RecordedStream& served = client.Request(PostHead());
  RecordedStream& cut = client.Request(PostHead());
  client.Drain();
  client.Feed(test::SettingsFrame() + test::GoawayFrame(1, 0));
  EXPECT_EQ(served.closed_times, 0);
  EXPECT_EQ(cut.closed, H2Error::kRefusedStream);
  EXPECT_TRUE(cut.unprocessed);
  EXPECT_EQ(client.goaways, 1);
  client.codec->ConnectionLost();
  EXPECT_EQ(served.closed, H2Error::kInternalError);
  EXPECT_FALSE(served.unprocessed);
}

TEST(H2Goaway, TerminateTellsThePeerAndClosesEverything) {
  Pair pair;
  RecordedStream& open = pair.client.Request(PostHead());
  Settle(pair.client, pair.server);
  pair.server.codec->Terminate(H2Error::kEnhanceYourCalm);
  EXPECT_TRUE(pair.server.codec->wants_write());
  pair.server.Drain();
  EXPECT_FALSE(pair.server.alive);
  EXPECT_EQ(pair.server.SentGoaway(), 11);
  EXPECT_EQ(pair.server.streams.at(1)->closed, H2Error::kEnhanceYourCalm);
  EXPECT_EQ(pair.server.codec->killed_reason(), nullptr);
  EXPECT_EQ(open.closed_times, 0);
}

TEST(H2Goaway, ConnectionLostClosesEveryStreamOnce) {
  Pair pair;
  RecordedStream& sent = pair.client.Request(PostHead());
  Settle(pair.client, pair.server);
  RecordedStream& unsent = pair.client.Request(PostHead());
  pair.client.codec->ConnectionLost();
  pair.server.codec->ConnectionLost();
  EXPECT_EQ(sent.closed_times, 1);
  EXPECT_FALSE(sent.unprocessed);
  EXPECT_EQ(unsent.closed_times, 1);
  EXPECT_TRUE(unsent.unprocessed);
  EXPECT_EQ(pair.server.streams.at(1)->closed_times, 1);
  EXPECT_FALSE(pair.server.Feed("x"));
  EXPECT_FALSE(pair.client.codec->wants_write());
  EXPECT_LT(pair.client.codec->SubmitRequest(PostHead(), true, sent), 0);
}

TEST(H2Exchange, TooManyFieldsToSendAreAnError) {
  Pair pair;
  Head many = PostHead();
  for (std::size_t i = 0; i < H2Codec::kFieldsMax; ++i) many.Add("x-f", "1");
  RecordedStream handler;
  EXPECT_LT(pair.client.codec->SubmitRequest(many, true, handler), 0);
  RecordedStream& call = pair.client.Request(PostHead());
  Settle(pair.client, pair.server);
  many.status = 200;
  many.Add("x-f", "1");
  pair.server.codec->SubmitResponse(1, many, true);
  Settle(pair.client, pair.server);
  EXPECT_EQ(call.closed, H2Error::kInternalError);
  EXPECT_EQ(handler.closed_times, 0);
}

TEST(H2Exchange, AHeadTooLargeForNghttp2DoesNotHangItsStream) {
  Pair pair;
  RecordedStream& call = pair.client.Request(PostHead());
  Settle(pair.client, pair.server);
  Head head;
  head.status = 200;
  head.Add("x-large", std::string(70'000, 'x'));
  pair.server.codec->SubmitResponse(1, head, true);
  Settle(pair.client, pair.server);
  EXPECT_EQ(call.closed, H2Error::kInternalError);
}

}  // namespace
}  // namespace penstock::http
