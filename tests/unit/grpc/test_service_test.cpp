// What grpc.testing.TestService answers, message by message, and what it echoes.
#include "penstock/grpc/test_service.hpp"

#include <grpc/testing/messages.pb.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace penstock::grpc {
namespace {

namespace testing = ::grpc::testing;

TestService Begun(const std::string& method) {
  TestService service;
  EXPECT_FALSE(service.Begin("/grpc.testing.TestService/" + method).has_value()) << method;
  return service;
}

/// The sizes of the payloads that are ready.
std::vector<std::size_t> Ready(TestService& service) {
  std::vector<std::size_t> sizes;
  std::string bytes;
  while (service.next() != nullptr) {
    service.Take(bytes);
    testing::StreamingOutputCallResponse response;
    EXPECT_TRUE(response.ParseFromString(bytes));
    sizes.push_back(response.payload().body().size());
  }
  return sizes;
}

std::string Output(std::initializer_list<std::int32_t> sizes) {
  testing::StreamingOutputCallRequest request;
  for (const std::int32_t size : sizes) request.add_response_parameters()->set_size(size);
  return request.SerializeAsString();
}

int CodeOf(const std::optional<Status>& status) { return status.has_value() ? static_cast<int>(status->code) : 0; }

TEST(TestService, Q_07_UnknownMethods) {
  for (const char* path :
       {"/grpc.testing.TestService/UnimplementedCall", "/grpc.testing.TestService/", "/grpc.testing.",
        "/grpc.testing.UnimplementedService/UnimplementedCall", "/grpc.testing.TestServiceX/EmptyCall"}) {
    EXPECT_EQ(CodeOf(TestService().Begin(path)), 12) << path;
  }
}

TEST(TestService, Q_04_WhenEachMethodAnswers) {
  struct Row {
    const char* method;
    std::vector<std::size_t> at_once, at_end;
  };
  for (const Row& row :
       {Row{"StreamingOutputCall", {}, {3, 4}}, Row{"FullDuplexCall", {3, 4}, {}}, Row{"HalfDuplexCall", {}, {3, 4}}}) {
    TestService service = Begun(row.method);
    EXPECT_EQ(CodeOf(service.OnMessage(Output({3, 4}), false)), 0) << row.method;
    EXPECT_EQ(Ready(service), row.at_once) << row.method;
    EXPECT_FALSE(service.over()) << row.method;
    EXPECT_EQ(CodeOf(service.OnEnd()), 0) << row.method;
    EXPECT_EQ(Ready(service), row.at_end) << row.method;
    EXPECT_TRUE(service.over()) << row.method;
  }
}

TEST(TestService, Q_12_HowManyMessages) {
  for (const char* method : {"EmptyCall", "UnaryCall", "StreamingOutputCall"}) {
    TestService twice = Begun(method);
    EXPECT_EQ(CodeOf(twice.OnMessage("", false)), 0) << method;
    EXPECT_EQ(CodeOf(twice.OnMessage("", false)), 12) << method;
    TestService none = Begun(method);
    EXPECT_EQ(CodeOf(none.OnEnd()), 13) << method;
  }
}

TEST(TestService, Q_10_ExpectCompressed) {
  for (const bool wish : {false, true}) {
    for (const bool compressed : {false, true}) {
      testing::SimpleRequest simple;
      simple.mutable_expect_compressed()->set_value(wish);
      testing::StreamingInputCallRequest input;
      input.mutable_expect_compressed()->set_value(wish);
      const int code = wish == compressed ? 0 : 3;
      EXPECT_EQ(CodeOf(Begun("UnaryCall").OnMessage(simple.SerializeAsString(), compressed)), code);
      EXPECT_EQ(CodeOf(Begun("StreamingInputCall").OnMessage(input.SerializeAsString(), compressed)), code);
      EXPECT_EQ(CodeOf(Begun("UnaryCall").OnMessage("", compressed)), 0);
    }
  }
}

TEST(TestService, Bounds) {
  EXPECT_EQ(CodeOf(Begun("FullDuplexCall").OnMessage(Output({-1}), false)), 3);
  EXPECT_EQ(CodeOf(Begun("FullDuplexCall").OnMessage(Output({kTestPayloadMax + 1}), false)), 3);
  TestService service = Begun("HalfDuplexCall");
  for (std::size_t i = 0; i < kTestRepliesMax; ++i) EXPECT_EQ(CodeOf(service.OnMessage(Output({1}), false)), 0);
  EXPECT_EQ(CodeOf(service.OnMessage(Output({1}), false)), 8);
}

std::vector<std::string> Values(const http::Head& head) {
  std::vector<std::string> values;
  for (std::size_t i = 0; i < head.size(); ++i) values.emplace_back(head.field(i).value);
  return values;
}

TEST(TestService, Q_09_Echo) {
  struct Row {
    std::vector<std::string> sent, echoed;
    int code;
  };
  for (const Row& row :
       {Row{{"CgsK"}, {"CgsK"}, 0}, Row{{"CgsKCw=="}, {"CgsKCw"}, 0}, Row{{"CgsKCw"}, {"CgsKCw"}, 0},
        Row{{"AAEC,AwQ=", "BQ"}, {"AAEC", "AwQ", "BQ"}, 0}, Row{{"AAEC, AwQ"}, {"AAEC", "AwQ"}, 0}, Row{{""}, {""}, 0},
        Row{{"A"}, {}, 13}, Row{{"a*b="}, {}, 13}, Row{{"CgsK,!"}, {"CgsK"}, 13}}) {
    http::Head request;
    http::Head initial;
    http::Head trailing;
    request.Add("x-grpc-test-echo-initial", "one");
    for (const std::string& value : row.sent) request.Add("x-grpc-test-echo-trailing-bin", value);
    request.Add("x-grpc-test-echo-initial", "two");
    request.Add("x-other-bin", "!");
    EXPECT_EQ(CodeOf(EchoMetadata(request, initial, trailing)), row.code) << row.sent[0];
    EXPECT_EQ(Values(trailing), row.echoed) << row.sent[0];
    const std::vector<std::string> both = {"one", "two"};
    EXPECT_TRUE(row.code != 0 || Values(initial) == both) << row.sent[0];
  }
}

}  // namespace
}  // namespace penstock::grpc
