// The wire format: what is no protobuf is refused, what is unknown is ignored, what comes in pieces is merged.

#include <gtest/gtest.h>
#include <penstock/v1/inference.pb.h>

#include "unit/grpc/translated.hpp"

namespace penstock::grpc {
namespace {

using test::FromText;
using test::JsonOf;
using namespace std::string_literals;

std::string Varint(std::uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  return out + static_cast<char>(value);
}
std::string Tag(std::uint32_t number, std::uint32_t wire) { return Varint(number << 3 | wire); }
std::string Length(std::uint32_t number, const std::string& payload) {
  return Tag(number, 2) + Varint(payload.size()) + payload;
}

const std::string kModel = Length(1, "m");
constexpr const char* kOnlyModel = R"({"model":"m"})";
constexpr const char* kBounds = "bad_request: a protobuf value that does not end within its message";
constexpr const char* kType = "bad_request: a protobuf field of another type than its own";
constexpr const char* kTag = "bad_request: a protobuf tag that is none";
constexpr const char* kUtf8 = "bad_request: a protobuf string that is no UTF-8";
constexpr const char* kDepth = "bad_request: protobuf messages nested beyond 100 levels";

struct Case {
  const char* name;
  std::string wire;
  std::string json;
};
void PrintTo(const Case& row, std::ostream* out) { *out << row.name; }

/// google.protobuf.Struct `levels` deep in `extra`: each level is a Struct, its entry and its Value.
std::string Nested(int levels) {
  std::string value = Tag(4, 0) + Varint(1);
  for (int i = 0; i < levels; ++i) {
    std::string fields = Length(1, Length(1, "a") + Length(2, value));
    value = i + 1 == levels ? fields : Length(5, fields);
  }
  return Length(100, value);
}

std::string NestedJson(int levels) {
  std::string json = "true";
  for (int i = 0; i < levels; ++i) json = "{\"a\":" + json + "}";
  return json;
}

std::string Groups(int levels) {
  std::string wire;
  for (int i = 0; i < levels; ++i) wire += Tag(90, 3);
  for (int i = 0; i < levels; ++i) wire += Tag(90, 4);
  return wire;
}

class GrpcFaults : public testing::TestWithParam<Case> {};

TEST_P(GrpcFaults, Q_27) {
  EXPECT_EQ(JsonOf("Chat", GetParam().wire), GetParam().json);
  // libprotobuf takes a field of another type for an unknown one; in all else it says the same.
  if (std::string_view(GetParam().name).find("WrongType") != std::string_view::npos) return;
  EXPECT_EQ(v1::ChatRequest().ParseFromString(GetParam().wire), GetParam().json.front() == '{');
}

const Case kFaults[] = {
    {"Q_27_UnknownFieldsAreIgnored",
     Tag(90, 0) + Varint(~0ull) + Tag(91, 1) + "12345678" + Length(92, "\xFF") + Tag(93, 5) + "1234" + kModel +
         Tag(20'000'000, 0) + "x" + Groups(3),
     kOnlyModel},
    {"Q_27_WrongTypeVarintForString", kModel + Tag(1, 0) + "x", kType},
    {"Q_27_WrongTypeStringForVarint", kModel + Length(5, "x"), kType},
    {"Q_27_WrongTypeFixed32ForDouble", kModel + Tag(3, 5) + "1234", kType},
    {"Q_27_WrongTypeVarintForMessage", kModel + Tag(2, 0) + "x", kType},
    {"Q_27_WrongTypeGroupForMessage", kModel + Tag(2, 3) + Tag(2, 4), kType},
    {"Q_27_WrongTypeWithin", Length(2, Tag(2, 0) + "x"), kType},
    {"Q_27_DepthWithin", Nested(33), NestedJson(33)},
    {"Q_27_DepthBeyond", Nested(34), kDepth},
    {"Q_27_Depth10000", Nested(10'000), kDepth},
    {"Q_27_UnknownGroups100", kModel + Groups(100), kOnlyModel},
    {"Q_27_UnknownGroups101", kModel + Groups(101), kBounds},
    {"Q_27_UnknownGroups10000", kModel + Groups(10'000), kBounds},
    {"Q_27_NoUtf8", Length(1, "\xC3("), kUtf8},
    {"Q_27_NoUtf8Surrogate", Length(1, "\xED\xA0\x80"), kUtf8},
    {"Q_27_NoUtf8Overlong", Length(1, "\xC0\xAF"), kUtf8},
    {"Q_27_NoUtf8CutShort", Length(1, std::string(40, 'a') + "\xE2\x82"), kUtf8},
    {"Q_27_NoUtf8InAKey", Length(24, Length(1, "\xFF") + Length(2, "x")), kUtf8},
    {"Q_27_NoUtf8InExtra", Length(100, Length(1, Length(1, "k") + Length(2, Length(3, "\xFF")))), kUtf8},
    {"Q_27_Length2To31", kModel + Tag(1, 2) + Varint(1ull << 31), kBounds},
    {"Q_27_Length2To63", kModel + Tag(1, 2) + Varint(1ull << 63), kBounds},
    {"Q_27_LengthAllOnes", kModel + Tag(1, 2) + Varint(~0ull), kBounds},
    {"Q_27_LengthOneTooMany", Tag(1, 2) + Varint(2) + "m", kBounds},
    {"Q_27_LengthOfUnknown", kModel + Tag(90, 2) + Varint(1), kBounds},
    {"Q_27_LengthWithin", Length(2, Tag(2, 2) + Varint(5) + "abcd"), kBounds},
    {"Q_27_FieldZero", kModel + Tag(0, 0) + "x", kTag},
    {"Q_27_TagCutShort", kModel + "\x80", kTag},
    {"Q_27_TagOfSixBytes", kModel + "\x88\x80\x80\x80\x80\x00"s, kTag},
    {"Q_27_TagBeyond32Bits", kModel + "\x88\x80\x80\x80\x10"s, kTag},
    {"Q_27_WireType6", kModel + Tag(90, 6), kBounds},
    {"Q_27_WireType7", kModel + Tag(90, 7), kBounds},
    {"Q_27_GroupWithoutEnd", kModel + Tag(90, 3) + Tag(91, 0) + "x", kBounds},
    {"Q_27_GroupOfAnotherEnd", kModel + Tag(90, 3) + Tag(91, 4), kBounds},
    {"Q_27_GroupEndAlone", kModel + Tag(90, 4), kBounds},
    {"Q_27_VarintCutShort", kModel + Tag(5, 0) + "\x80", kBounds},
    {"Q_27_VarintOf11Bytes", kModel + Tag(5, 0) + std::string(10, '\x80') + "\x01", kBounds},
    {"Q_27_FixedCutShort", kModel + Tag(3, 1) + "1234567", kBounds},
    {"Q_27_ValueMissing", kModel + Tag(5, 0), kBounds},
};
INSTANTIATE_TEST_SUITE_P(Wire, GrpcFaults, testing::ValuesIn(kFaults),
                         [](const auto& row) { return std::string(row.param.name); });

std::string Fixed64(double value) {
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &value, 8);
  return bytes;
}

TEST(GrpcRequestWire, Pieces) {
  const Case rows[] = {
      {"LastScalarWins", Length(1, "a") + Length(1, "b"), R"({"model":"b"})"},
      {"LastScalarWinsWithItsDefault", Length(1, "a") + Length(1, ""), "{}"},
      {"MessagesMerge",
       Length(21, Tag(1, 0) + "\x01") + kModel + Length(21, Tag(2, 0) + "\x01") + Length(21, Tag(1, 0) + "\x00"s),
       R"({"model":"m","stream_options":{"include_obfuscation":true,"include_usage":false}})"},
      {"ListsInMergedMessages",
       Length(18, Length(3, Length(2, Length(1, Length(1, "a"))))) +
           Length(18, Length(3, Length(1, "auto") + Length(2, Length(1, Length(1, "b"))))) + Length(18, ""),
       R"({"tool_choice":{"allowed_tools":{"mode":"auto","tools":[{"function":{"name":"a"},"type":"function"},)"
       R"({"function":{"name":"b"},"type":"function"}]},"type":"allowed_tools"}})"},
      {"ListsInterleave",
       Length(8, "a") + Length(27, "x") + Length(8, "b") + Length(27, "y") + Length(90, "") + Length(8, "c"),
       R"({"modalities":["x","y"],"stop":["a","b","c"]})"},
      {"OneofLastWins", Length(17, "auto") + Length(18, Length(1, Length(1, "f"))),
       R"({"tool_choice":{"function":{"name":"f"},"type":"function"}})"},
      {"OneofLastWinsBack", Length(18, Length(1, Length(1, "f"))) + Length(17, "auto"), R"({"tool_choice":"auto"})"},
      {"OneofForgets", Length(18, Length(1, Length(1, "f"))) + Length(17, "") + Length(18, Length(2, Length(1, "g"))),
       R"({"tool_choice":{"custom":{"name":"g"},"type":"custom"}})"},
      {"ExtraMerges",
       Length(100, Length(1, Length(1, "b") + Length(2, Tag(4, 0) + "\x01"))) +
           Length(100, Length(1, Length(1, "a") + Length(2, Tag(1, 0) + "\x00"s))),
       R"({"a":null,"b":true})"},
      {"EntryInAnyOrder", Length(15, Tag(2, 1) + Fixed64(2) + Length(1, "k")), R"({"logit_bias":{"k":2}})"},
      {"EntryDefaults", Length(15, ""), R"({"logit_bias":{"":0}})"},
      {"OverlongTag", "\x8A\x00\x01m"s, kOnlyModel},
      {"OverlongLength", "\x0A\x81\x00m"s, kOnlyModel},
      {"NegativeInt32In10Bytes", Tag(5, 0) + Varint(~0ull), R"({"n":-1})"},
      {"BoolOfAnyNumber", Tag(13, 0) + Varint(7), R"({"logprobs":true})"},
  };
  for (const Case& row : rows) EXPECT_EQ(JsonOf("Chat", row.wire), row.json) << row.name;
}

TEST(GrpcRequestWire, PackedAndNot) {
  const auto prompt = [](const std::string& ids) { return JsonOf("Complete", Length(4, ids)); };
  EXPECT_EQ(prompt(Length(1, "\x01\x02")), R"({"prompt":[1,2]})");
  EXPECT_EQ(prompt(Tag(1, 0) + "\x01" + Tag(1, 0) + "\x02"), R"({"prompt":[1,2]})");
  EXPECT_EQ(prompt(Tag(1, 0) + "\x01" + Length(1, "") + Length(1, "\x02\x03") + Tag(1, 0) + "\x04"),
            R"({"prompt":[1,2,3,4]})");
  EXPECT_EQ(prompt(Length(1, "")), R"({"prompt":[]})");
  EXPECT_EQ(prompt("\x0A\x80\x00"s), R"({"prompt":[]})");
  EXPECT_EQ(prompt(Length(1, "\x01\x80")), "bad_request: a protobuf number that does not end within its list");
}

/// A map of more entries than lie in the frame, with each key twice.
TEST(GrpcRequestWire, LargeMaps) {
  std::string wire;
  std::string json;
  for (const char* round : {"x", "y"}) {
    for (int i = 99; i >= 10; --i) wire += Length(24, Length(1, std::to_string(i)) + Length(2, round));
  }
  for (int i = 10; i < 100; ++i) json += (json.empty() ? "\"" : ",\"") + std::to_string(i) + "\":\"y\"";
  EXPECT_EQ(JsonOf("Chat", wire), "{\"metadata\":{" + json + "}}");
}

TEST(GrpcRequestWire, TooManyPieces) {
  std::string wire;
  for (int i = 0; i < 4096; ++i) wire += Length(21, "");
  EXPECT_EQ(JsonOf("Chat", wire), R"({"stream_options":{}})");
  EXPECT_EQ(JsonOf("Chat", wire + Length(21, "")), "bad_request: a protobuf message in too many pieces");
}

}  // namespace
}  // namespace penstock::grpc
