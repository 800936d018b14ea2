// Header fields of gRPC: what clients may write, and what they may not.
#include "penstock/grpc/metadata.hpp"

#include <google/rpc/status.pb.h>
#include <gtest/gtest.h>

#include <string>

namespace penstock::grpc {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;

TEST(GrpcMetadata, Q_15_ContentTypes) {
  struct Row {
    const char* value;
    ContentType type;
  };
  for (const Row& row :
       {Row{"application/grpc", ContentType::kProto}, Row{"application/grpc+proto", ContentType::kProto},
        Row{"Application/GRPC+Proto", ContentType::kProto}, Row{"application/grpc; charset=utf-8", ContentType::kProto},
        Row{"application/grpc;a=b", ContentType::kProto}, Row{"application/grpc+proto ;a=b", ContentType::kProto},
        Row{"application/grpc+json", ContentType::kOther}, Row{"application/grpc+", ContentType::kOther},
        Row{"application/grpc+protox", ContentType::kOther}, Row{"application/grpc-web", ContentType::kNone},
        Row{"application/grpc-web+proto", ContentType::kNone}, Row{"application/grpcx", ContentType::kNone},
        Row{"text/html", ContentType::kNone}, Row{"application/json", ContentType::kNone}, Row{"", ContentType::kNone},
        Row{"application/grp", ContentType::kNone}, Row{"x; application/grpc", ContentType::kNone}}) {
    EXPECT_EQ(ContentTypeOf(row.value), row.type) << row.value;
  }
}

TEST(GrpcMetadata, Q_17_Timeouts) {
  struct Row {
    const char* value;
    Duration timeout;
  };
  for (const Row& row :
       {Row{"1S", std::chrono::seconds(1)}, Row{"100m", milliseconds(100)}, Row{"0n", nanoseconds(0)},
        Row{"7u", std::chrono::microseconds(7)}, Row{"3M", std::chrono::minutes(3)}, Row{"2H", hours(2)},
        Row{"00000001S", std::chrono::seconds(1)}, Row{"99999999m", milliseconds(99'999'999)},
        Row{"99999999n", nanoseconds(99'999'999)}, Row{"99999999H", Duration::max()}, Row{"2562047H", hours(2'562'047)},
        Row{"2562048H", Duration::max()}}) {
    const auto timeout = ParseTimeout(row.value);
    ASSERT_TRUE(timeout.has_value()) << row.value;
    EXPECT_EQ(*timeout, row.timeout) << row.value;
  }
  for (const char* value : {"123456789m", "1X", "-1S", "+1S", "", "S", "1", "1 S", " 1S", "1S ", "1.5S", "0x1S", "1s",
                            "1h", "99999999999999999999S"}) {
    EXPECT_FALSE(ParseTimeout(value).has_value()) << value;
  }
  EXPECT_FALSE(ParseTimeout(std::string_view("1\0S", 3)).has_value());
}

TEST(GrpcMetadata, Q_09_BinaryWithAndWithoutPadding) {
  struct Row {
    const char* text;
    std::string bytes;
  };
  for (const Row& row : {Row{"", ""}, Row{"Zg==", "f"}, Row{"Zg", "f"}, Row{"Zm8=", "fo"}, Row{"Zm8", "fo"},
                         Row{"Zm9v", "foo"}, Row{"Zm9vYmFy", "foobar"},
                         Row{"AAEC//79", std::string("\0\1\2\xff\xfe\xfd", 6)}, Row{"q6ur", "\xab\xab\xab"}}) {
    const auto bytes = DecodeBinary(row.text);
    ASSERT_TRUE(bytes.has_value()) << row.text;
    EXPECT_EQ(*bytes, row.bytes) << row.text;
    std::string text;
    AppendBinary(text, row.bytes);
    EXPECT_EQ(text, std::string_view(row.text).substr(0, std::string_view(row.text).find('='))) << "without padding";
  }
}

TEST(GrpcMetadata, Q_09_InvalidBinaryIsNothing) {
  for (const char* text : {"=", "==", "===", "====", "Z", "Zg=", "Zg===", "Z===", "Zm9vY", "Zm=v",
                           "Zg==Zg==", "Zm9v,Zm9v", "Zm 9", "Zm9v\n", "Zm-_", "Zm8!", "\xff\xff\xff\xff"}) {
    EXPECT_FALSE(DecodeBinary(text).has_value()) << text;
  }
}

TEST(GrpcMetadata, AnyBytesComeBack) {
  std::string bytes;
  for (int i = 0; i < 600; ++i) {
    std::string text;
    AppendBinary(text, bytes);
    ASSERT_EQ(DecodeBinary(text), bytes) << i;
    bytes.push_back(static_cast<char>(i * 151 + i / 7));
  }
}

TEST(GrpcMetadata, Q_22_ReservedNames) {
  for (const char* name : {"grpc-timeout", "grpc-", "grpc-x", "te", "content-type", "user-agent", ":path"})
    EXPECT_TRUE(IsReserved(name)) << name;
  for (const char* name : {"grpc", "x-grpc-test", "tea", "content-types", "authorization", "x-trace-bin"})
    EXPECT_FALSE(IsReserved(name)) << name;
}

TEST(GrpcMetadata, Q_10_Codings) {
  EXPECT_EQ(ParseCoding(""), Coding::kIdentity);
  EXPECT_EQ(ParseCoding("identity"), Coding::kIdentity);
  EXPECT_EQ(ParseCoding("gzip"), Coding::kGzip);
  for (const char* value : {"deflate", "snappy", "zstd", "gzip,identity", "GZIP", " gzip"})
    EXPECT_FALSE(ParseCoding(value).has_value()) << value;
  for (const char* list : {"gzip", "identity,gzip", "deflate, gzip ,br", "identity,\tgzip", ",gzip"})
    EXPECT_TRUE(Accepts(list, Coding::kGzip)) << list;
  for (const char* list : {"", "identity", "gzipx", "xgzip", "deflate,br", ","})
    EXPECT_FALSE(Accepts(list, Coding::kGzip)) << list;
  EXPECT_TRUE(Accepts("", Coding::kIdentity));
  EXPECT_TRUE(Accepts("gzip", Coding::kIdentity));
}

TEST(GrpcMetadata, AStatusBecomesFields) {
  http::Head plain;
  AddStatus(plain, {});
  ASSERT_EQ(plain.size(), 1u);
  EXPECT_EQ(plain.Find("grpc-status"), "0");

  Status status;
  status.code = StatusCode::kUnauthenticated;
  status.message = "no key \u263a";
  http::Head said;
  AddStatus(said, status);
  ASSERT_EQ(said.size(), 2u);
  EXPECT_EQ(said.Find("grpc-status"), "16");
  EXPECT_EQ(said.Find("grpc-message"), "no key %E2%98%BA");

  status.reason = "invalid_api_key";
  status.message.assign(100'000, '\n');  // the worst: three characters each
  http::Head detailed;
  AddStatus(detailed, status);
  ASSERT_EQ(detailed.size(), 3u);
  EXPECT_LT(detailed.list_bytes(), 8u * 1024);
  EXPECT_EQ(detailed.Find("grpc-message").size(), 3 * kStatusMessageMax);
  const auto bytes = DecodeBinary(detailed.Find("grpc-status-details-bin"));
  ASSERT_TRUE(bytes.has_value());
  google::rpc::Status details;
  ASSERT_TRUE(details.ParseFromString(*bytes));
  EXPECT_EQ(details.code(), 16);
  EXPECT_EQ(details.message().size(), kStatusMessageMax);
}

}  // namespace
}  // namespace penstock::grpc
