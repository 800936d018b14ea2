#pragma once

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <penstock/v1/options.pb.h>

#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace penstock::grpc::test {

/// A message's JSON as the plainest writer makes it of libprotobuf's reflection: what production's is compared with.
/// Nothing where the message has no JSON (two fields of one name, a number that is not finite ...).
class ReflectionJson {
 public:
  using Message = google::protobuf::Message;
  using Field = google::protobuf::FieldDescriptor;

  static std::optional<std::string> Of(const Message& message, bool stream = false) {
    ReflectionJson writer;
    std::string text = writer.Value(message, stream);
    if (!writer.sound_) return std::nullopt;
    return text;
  }

  static std::string Quoted(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
      const auto byte = static_cast<unsigned char>(c);
      static constexpr std::string_view kFrom = "\"\\\b\f\n\r\t";
      static constexpr std::string_view kTo = "\"\\bfnrt";
      if (const std::size_t at = kFrom.find(c); at != kFrom.npos) {
        out += '\\';
        out += kTo[at];
      } else if (byte < 0x20) {
        char hex[8];
        std::snprintf(hex, sizeof hex, "\\u%04x", byte);
        out += hex;
      } else {
        out += c;
      }
    }
    return out + "\"";
  }

 private:
  using Members = std::map<std::string, std::string>;

  static std::string NameOf(const Field& field) {
    const auto& json = field.options().GetExtension(v1::json);
    return json.name().empty() ? field.name() : json.name();
  }

  std::string Real(double value) {
    if (!std::isfinite(value)) return sound_ = false, "";
    char text[64];
    if (std::fabs(value) < 0x1p53 && value == std::trunc(value) && !(value == 0 && std::signbit(value))) {
      return std::to_string(static_cast<long long>(value));
    }
    const bool huge = std::fabs(value) >= 0x1p63;
    const auto end = huge ? std::to_chars(text, text + sizeof text, value, std::chars_format::scientific)
                          : std::to_chars(text, text + sizeof text, value);
    return {text, end.ptr};
  }

  static std::string Word(const google::protobuf::EnumValueDescriptor& value) {
    std::string word = value.name();
    const std::string last = value.type()->value(0)->name();  // X_UNSPECIFIED
    word = word.substr(last.size() - std::string_view("UNSPECIFIED").size());
    for (char& c : word) c = static_cast<char>(std::tolower(c));
    return word;
  }

  static std::string Base64(const std::string& bytes) {
    static constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string bits;
    for (const char c : bytes) {
      for (int i = 7; i >= 0; --i) bits += (static_cast<unsigned char>(c) >> i & 1) != 0 ? '1' : '0';
    }
    while (bits.size() % 6 != 0) bits += '0';
    std::string out;
    for (std::size_t i = 0; i < bits.size(); i += 6) out += kDigits[std::stoul(bits.substr(i, 6), nullptr, 2)];
    while (out.size() % 4 != 0) out += '=';
    return "\"" + out + "\"";
  }

  /// `index` < 0: a field that is no list.
  std::string Scalar(const Message& message, const Field& field, int index) {
    const auto& get = *message.GetReflection();
    const bool one = index < 0;
    switch (field.cpp_type()) {
      case Field::CPPTYPE_BOOL:
        return (one ? get.GetBool(message, &field) : get.GetRepeatedBool(message, &field, index)) ? "true" : "false";
      case Field::CPPTYPE_INT32:
        return std::to_string(one ? get.GetInt32(message, &field) : get.GetRepeatedInt32(message, &field, index));
      case Field::CPPTYPE_INT64:
        return std::to_string(one ? get.GetInt64(message, &field) : get.GetRepeatedInt64(message, &field, index));
      case Field::CPPTYPE_UINT32:
        return std::to_string(one ? get.GetUInt32(message, &field) : get.GetRepeatedUInt32(message, &field, index));
      case Field::CPPTYPE_UINT64:
        return std::to_string(one ? get.GetUInt64(message, &field) : get.GetRepeatedUInt64(message, &field, index));
      case Field::CPPTYPE_DOUBLE:
        return Real(one ? get.GetDouble(message, &field) : get.GetRepeatedDouble(message, &field, index));
      case Field::CPPTYPE_FLOAT:
        return Real(one ? get.GetFloat(message, &field) : get.GetRepeatedFloat(message, &field, index));
      case Field::CPPTYPE_ENUM: {
        if (field.enum_type()->full_name() == "google.protobuf.NullValue") return "null";
        const int number = one ? get.GetEnumValue(message, &field) : get.GetRepeatedEnumValue(message, &field, index);
        const auto* const value = field.enum_type()->FindValueByNumber(number);
        if (value == nullptr || number == 0) return sound_ = false, "";
        return Quoted(Word(*value));
      }
      case Field::CPPTYPE_STRING: {
        const std::string text = one ? get.GetString(message, &field) : get.GetRepeatedString(message, &field, index);
        return field.type() == Field::TYPE_BYTES ? Base64(text) : Quoted(text);
      }
      case Field::CPPTYPE_MESSAGE:
        return Value(one ? get.GetMessage(message, &field) : get.GetRepeatedMessage(message, &field, index));
    }
    return "";
  }

  std::string FieldValue(const Message& message, const Field& field) {
    const auto& get = *message.GetReflection();
    if (field.is_map()) return Object(MapMembers(message, field));
    if (!field.is_repeated()) return Scalar(message, field, -1);
    std::string text;
    for (int i = 0; i < get.FieldSize(message, &field); ++i) {
      text += (i == 0 ? "" : ",") + Scalar(message, field, i);
    }
    return "[" + text + "]";
  }

  Members MapMembers(const Message& message, const Field& field) {
    const auto& get = *message.GetReflection();
    Members members;
    for (int i = 0; i < get.FieldSize(message, &field); ++i) {
      const Message& entry = get.GetRepeatedMessage(message, &field, i);
      const auto* const type = entry.GetDescriptor();
      members[entry.GetReflection()->GetString(entry, type->map_key())] = Scalar(entry, *type->map_value(), -1);
    }
    return members;
  }

  static std::string Object(const Members& members) {
    std::string text;
    for (const auto& [name, value] : members) text += (text.empty() ? "" : ",") + Quoted(name) + ":" + value;
    return "{" + text + "}";
  }

  void Add(Members& members, const std::string& name, std::string value) {
    if (!members.emplace(name, std::move(value)).second) sound_ = false;
  }

  std::string Value(const Message& message, bool stream = false) {
    const auto& get = *message.GetReflection();
    const auto& type = *message.GetDescriptor();
    const auto& json = type.options().GetExtension(v1::json_message);
    std::vector<const Field*> set;
    get.ListFields(message, &set);
    const bool well_known = type.file()->name() == "google/protobuf/struct.proto";
    if (json.stands_for_field() || well_known) {
      if (type.name() == "Value" && set.empty()) return sound_ = false, "";
      return FieldValue(message, set.empty() ? *type.field(0) : *set.front());
    }
    Members members;
    if (stream) members["stream"] = "true";
    for (const Field* const field : set) {
      if (field->options().GetExtension(v1::json).merge()) {
        const Message& extra = get.GetMessage(message, field);
        for (const auto& [name, value] : MapMembers(extra, *extra.GetDescriptor()->field(0))) Add(members, name, value);
        continue;
      }
      Add(members, NameOf(*field), FieldValue(message, *field));
      const bool tags = !json.tag().empty() && field->real_containing_oneof() != nullptr;
      if (tags) Add(members, json.tag(), Quoted(NameOf(*field)));
    }
    return Object(members);
  }

  bool sound_ = true;
};

}  // namespace penstock::grpc::test
