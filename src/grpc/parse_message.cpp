#include "grpc/parse_message.hpp"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/reflection.h>
#include <google/protobuf/stubs/logging.h>
#include <google/protobuf/unknown_field_set.h>

#include <limits>
#include <vector>

#include "grpc/wire.hpp"
#include "penstock/grpc/translation.hpp"

namespace penstock::grpc {
namespace {

namespace pb = google::protobuf;

/// No deeper than the types themselves, of which none served contains itself but Struct's, whose depth the reader
/// bounded.
bool HasForeignWireType(const pb::Message& message) {
  const pb::Reflection& reflection = *message.GetReflection();
  const pb::UnknownFieldSet& unknown = reflection.GetUnknownFields(message);
  for (int i = 0; i < unknown.field_count(); ++i) {
    if (message.GetDescriptor()->FindFieldByNumber(unknown.field(i).number()) != nullptr) return true;
  }
  std::vector<const pb::FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  for (const pb::FieldDescriptor* field : fields) {
    if (field->cpp_type() != pb::FieldDescriptor::CPPTYPE_MESSAGE) continue;
    if (!field->is_repeated()) {
      if (HasForeignWireType(reflection.GetMessage(message, field))) return true;
      continue;
    }
    const auto elements = reflection.GetRepeatedFieldRef<pb::Message>(message, field);
    for (const pb::Message& element : elements) {
      if (HasForeignWireType(element)) return true;
    }
  }
  return false;
}

/// Takes what `bytes` have from `left`; false: more than that. What is malformed is the parser's to say.
bool Count(Piece bytes, unsigned depth, std::size_t& left) {
  constexpr unsigned kDepthMax = 3;
  for (const char* at = bytes.begin; at != bytes.end;) {
    if (left-- == 0) return false;
    std::uint32_t tag = 0;
    const char* const value = ReadTag(at, bytes.end, tag);
    at = value == nullptr ? nullptr : SkipValue(value, bytes.end, tag, kDepthMax);
    if (at == nullptr) return true;
    const std::uint32_t number = tag >> 3;
    const bool nested = static_cast<Wire>(tag & 7) == Wire::kLength && (number == 2 || number == 4 || number == 5);
    if (nested && depth < kDepthMax && !Count(ReadLength(value, at), depth + 1, left)) return false;
  }
  return true;
}

}  // namespace

bool HasFewParts(std::string_view bytes) {
  std::size_t left = kPartsMax;
  return Count({bytes.data(), bytes.data() + bytes.size()}, 0, left);
}

bool ParseMessage(std::string_view bytes, pb::Message& into) {
  if (bytes.size() > static_cast<std::size_t>(std::numeric_limits<int>::max())) return false;
  const pb::LogSilencer quiet;  // a string that is no UTF-8 would be told on stderr
  pb::io::CodedInputStream stream(reinterpret_cast<const std::uint8_t*>(bytes.data()), static_cast<int>(bytes.size()));
  stream.SetRecursionLimit(static_cast<int>(kMessageDepthMax));
  return into.ParseFromCodedStream(&stream) && stream.ConsumedEntireMessage() && !HasForeignWireType(into);
}

}  // namespace penstock::grpc
