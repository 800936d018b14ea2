// Statuses: the contract's table, their text on the wire, their details.
#include "penstock/grpc/status.hpp"

#include <google/rpc/error_details.pb.h>
#include <google/rpc/status.pb.h>
#include <gtest/gtest.h>

#include <string>

#include "penstock/base/percent.hpp"

namespace penstock::grpc {
namespace {

TEST(GrpcStatus, FollowsTheContractsTable) {
  struct Row {
    ErrorCode code;
    int status;
  };
  for (const Row& row : {Row{ErrorCode::kNone, 0},
                         Row{ErrorCode::kBadRequest, 13},
                         Row{ErrorCode::kHttpVersion, 12},
                         Row{ErrorCode::kTransferCoding, 12},
                         Row{ErrorCode::kExpectationFailed, 12},
                         Row{ErrorCode::kMisdirectedRequest, 14},
                         Row{ErrorCode::kInvalidJson, 3},
                         Row{ErrorCode::kInvalidParam, 3},
                         Row{ErrorCode::kDuplicateKey, 3},
                         Row{ErrorCode::kInvalidApiKey, 16},
                         Row{ErrorCode::kModelForbidden, 7},
                         Row{ErrorCode::kModelNotFound, 5},
                         Row{ErrorCode::kNotFound, 12},
                         Row{ErrorCode::kMethodNotAllowed, 12},
                         Row{ErrorCode::kRequestTimeout, 4},
                         Row{ErrorCode::kBodyTooLarge, 8},
                         Row{ErrorCode::kHeadersTooLarge, 8},
                         Row{ErrorCode::kUriTooLong, 8},
                         Row{ErrorCode::kUnsupportedMedia, 12},
                         Row{ErrorCode::kRequestsExceeded, 8},
                         Row{ErrorCode::kTokensExceeded, 8},
                         Row{ErrorCode::kConcurrencyExceeded, 8},
                         Row{ErrorCode::kQueueFull, 14},
                         Row{ErrorCode::kQueueTimeout, 14},
                         Row{ErrorCode::kOverloaded, 14},
                         Row{ErrorCode::kDraining, 14},
                         Row{ErrorCode::kNoHealthyUpstream, 14},
                         Row{ErrorCode::kUpstreamConnect, 14},
                         Row{ErrorCode::kUpstreamTls, 14},
                         Row{ErrorCode::kUpstreamDns, 14},
                         Row{ErrorCode::kUpstreamReset, 14},
                         Row{ErrorCode::kUpstreamProtocol, 13},
                         Row{ErrorCode::kUpstreamTimeout, 4},
                         Row{ErrorCode::kDeadlineExceeded, 4},
                         Row{ErrorCode::kUpstreamStatus, 2},
                         Row{ErrorCode::kStreamInterrupted, 14},
                         Row{ErrorCode::kClientGone, 1},
                         Row{ErrorCode::kInternal, 13}}) {
    EXPECT_EQ(static_cast<int>(StatusOf(row.code)), row.status) << CodeName(row.code);
  }
}

TEST(GrpcStatus, Q_19_OfHttpAnswers) {
  struct Row {
    std::uint16_t http;
    const char* code;
    int status;
  };
  for (const Row& row :
       {// our own answers: the code decides
        Row{400, "invalid_json", 3}, Row{400, "bad_request", 13}, Row{404, "model_not_found", 5},
        Row{404, "not_found", 12}, Row{502, "upstream_protocol", 13}, Row{502, "upstream_reset", 14},
        Row{504, "deadline_exceeded", 4}, Row{503, "draining", 14}, Row{429, "tokens_exceeded", 8},
        // an upstream's: the status does
        Row{429, "upstream_status", 8}, Row{400, "context_length_exceeded", 3}, Row{200, "", 0}, Row{206, "", 0},
        Row{400, "", 3}, Row{401, "", 16}, Row{402, "", 7}, Row{403, "", 7}, Row{404, "", 5}, Row{405, "", 12},
        Row{406, "", 12}, Row{408, "", 4}, Row{409, "", 10}, Row{410, "", 5}, Row{412, "", 9}, Row{413, "", 8},
        Row{414, "", 8}, Row{415, "", 12}, Row{416, "", 11}, Row{417, "", 12}, Row{418, "", 3}, Row{421, "", 14},
        Row{422, "", 3}, Row{429, "", 8}, Row{431, "", 8}, Row{499, "", 1}, Row{500, "", 13}, Row{501, "", 12},
        Row{502, "", 14}, Row{503, "", 14}, Row{504, "", 4}, Row{505, "", 12}, Row{507, "", 13}, Row{529, "", 14},
        Row{100, "", 2}, Row{304, "", 2}, Row{600, "", 2}, Row{0, "", 2}}) {
    EXPECT_EQ(static_cast<int>(StatusOf(row.http, row.code)), row.status) << row.http << ' ' << row.code;
  }
}

TEST(GrpcStatus, Q_08_MessagesArriveAsTheyWere) {
  struct Row {
    std::string text;
    std::string encoded;
  };
  for (const Row& row :
       {Row{"", ""}, Row{"plain text, ~!\"#$", "plain text, ~!\"#$"}, Row{"100%", "100%25"},
        Row{"\t\ntest with whitespace\r\nand Unicode BMP \u263a and non-BMP \U0001f608\t\n",
            "%09%0Atest with whitespace%0D%0Aand Unicode BMP %E2%98%BA and non-BMP %F0%9F%98%88%09%0A"},
        Row{std::string("\0\x7f\xff", 3), "%00%7F%FF"}}) {
    std::string encoded;
    AppendPercentEncoded(encoded, row.text);
    EXPECT_EQ(encoded, row.encoded);
    EXPECT_EQ(DecodePercent(encoded), row.text);
  }
}

TEST(GrpcStatus, ALongMessageIsCutBetweenTwoCharacters) {
  EXPECT_EQ(CutMessage("short"), "short");
  EXPECT_EQ(CutMessage(std::string(kStatusMessageMax, 'm')).size(), kStatusMessageMax);
  EXPECT_EQ(CutMessage(std::string(kStatusMessageMax + 1, 'm')).size(), kStatusMessageMax);
  const std::string split = std::string(kStatusMessageMax - 2, 'm') + "\u263a";
  EXPECT_EQ(CutMessage(split), std::string(kStatusMessageMax - 2, 'm'));
}

TEST(GrpcStatus, DetailsSayTheContractsCode) {
  Status status;
  status.code = StatusCode::kUnavailable;
  status.message = "the queue is full";
  status.reason = "queue_full";
  status.type = "service_unavailable";
  status.param = "model";
  status.retry_after = std::chrono::milliseconds(1500);
  google::rpc::Status details;
  ASSERT_TRUE(details.ParseFromString(StatusDetails(status)));
  EXPECT_EQ(details.code(), 14);
  EXPECT_EQ(details.message(), "the queue is full");
  ASSERT_EQ(details.details_size(), 2);
  google::rpc::ErrorInfo reason;
  ASSERT_TRUE(details.details(0).UnpackTo(&reason));
  EXPECT_EQ(details.details(0).type_url(), "type.googleapis.com/google.rpc.ErrorInfo");
  EXPECT_EQ(reason.reason(), "QUEUE_FULL");
  EXPECT_EQ(reason.domain(), "penstock");
  ASSERT_EQ(reason.metadata_size(), 2);
  EXPECT_EQ(reason.metadata().at("type"), "service_unavailable");
  EXPECT_EQ(reason.metadata().at("param"), "model");
  google::rpc::RetryInfo retry;
  ASSERT_TRUE(details.details(1).UnpackTo(&retry));
  EXPECT_EQ(retry.retry_delay().seconds(), 1);
  EXPECT_EQ(retry.retry_delay().nanos(), 500'000'000);
}

TEST(GrpcStatus, DetailsHoldOnlyWhatIsKnown) {
  Status status;
  status.code = StatusCode::kInternal;
  status.message = "m";
  EXPECT_TRUE(StatusDetails(status).empty()) << "no reason";
  status.reason = "Odd reason-of an upstream" + std::string(100, 'x');
  status.param = std::string(257, 'p');
  google::rpc::Status details;
  ASSERT_TRUE(details.ParseFromString(StatusDetails(status)));
  ASSERT_EQ(details.details_size(), 1);
  google::rpc::ErrorInfo reason;
  ASSERT_TRUE(details.details(0).UnpackTo(&reason));
  EXPECT_EQ(reason.reason(), "ODD_REASON_OF_AN_UPSTREAM" + std::string(38, 'X'));
  EXPECT_EQ(reason.metadata_size(), 0) << "too long to be a field's name";
}

}  // namespace
}  // namespace penstock::grpc
