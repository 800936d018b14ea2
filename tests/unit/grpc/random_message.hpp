#pragma once

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <string>

#include "penstock/base/prng.hpp"

namespace penstock::grpc::test {

/// Fills messages at random by libprotobuf's reflection.
class RandomMessage {
 public:
  using Message = google::protobuf::Message;
  using Field = google::protobuf::FieldDescriptor;

  /// `structs`: google.protobuf.Struct too.
  RandomMessage(Prng& prng, bool structs) : prng_(prng), structs_(structs) {}

  void Fill(Message& message, int depth = 4) {
    const auto& type = *message.GetDescriptor();
    const bool sparse = prng_.Below(2) == 0;
    for (int i = 0; i < type.field_count(); ++i) {
      const Field& field = *type.field(i);
      if (prng_.Below(sparse ? 8 : 2) != 0) continue;
      if (field.message_type() != nullptr && depth == 0) continue;
      if (!structs_ && field.message_type() != nullptr &&
          field.message_type()->full_name() == "google.protobuf.Struct") {
        continue;
      }
      for (std::uint64_t n = field.is_repeated() ? prng_.Below(field.is_map() ? 25 : 4) : 1; n != 0; --n) {
        Set(message, field, depth);
      }
    }
  }

  std::string Text() {
    static constexpr const char* kPieces[] = {
        "a",
        "model",
        "word ",
        "\n",
        "\t",
        "\x01",
        "\x1F",
        "\x7F",
        "\"",
        "\\",
        "/",
        "\xC3\xA9",
        "\xE2\x82\xAC",
        "\xF0\x9F\x98\x80",
        "a run of text that is longer than a block of sixteen bytes, and longer again ",
        "content",
        "type",
        "z"};
    std::string text;
    for (std::uint64_t n = prng_.Below(5); n != 0; --n) text += kPieces[prng_.Below(std::size(kPieces))];
    return text;
  }

 private:
  double Real() {
    static constexpr double kReals[] = {0,         -0.0,
                                        1,         0.7,
                                        0.1 + 0.2, 1e-5,
                                        0.0005,    1e15,
                                        1e16,      9007199254740993.0,
                                        1e18,      1e19,
                                        1e20,      1e300,
                                        -2.5,      1e22,
                                        4.9e-324,  123456789012345680000.0,
                                        100000};
    return kReals[prng_.Below(std::size(kReals))];
  }

  void Set(Message& message, const Field& field, int depth) {
    const auto& set = *message.GetReflection();
    const bool many = field.is_repeated();
    const auto number = static_cast<std::int64_t>(prng_.Below(3) == 0 ? prng_.Next() : prng_.Below(300));
    switch (field.cpp_type()) {
      case Field::CPPTYPE_BOOL:
        return many ? set.AddBool(&message, &field, number & 1) : set.SetBool(&message, &field, number & 1);
      case Field::CPPTYPE_INT32: {
        const auto value = static_cast<std::int32_t>(number);
        return many ? set.AddInt32(&message, &field, value) : set.SetInt32(&message, &field, value);
      }
      case Field::CPPTYPE_INT64: {
        const std::int64_t value = number >> 11;  // within 2^53: what JSON's readers keep
        return many ? set.AddInt64(&message, &field, value) : set.SetInt64(&message, &field, value);
      }
      case Field::CPPTYPE_DOUBLE:
        return many ? set.AddDouble(&message, &field, Real()) : set.SetDouble(&message, &field, Real());
      case Field::CPPTYPE_FLOAT: {
        const auto value = static_cast<float>(prng_.Below(1000)) / 7;
        return many ? set.AddFloat(&message, &field, value) : set.SetFloat(&message, &field, value);
      }
      case Field::CPPTYPE_ENUM: {
        const auto& words = *field.enum_type();
        const int value =
            words.value(static_cast<int>(prng_.Below(static_cast<std::uint64_t>(words.value_count()))))->number();
        return many ? set.AddEnumValue(&message, &field, value) : set.SetEnumValue(&message, &field, value);
      }
      case Field::CPPTYPE_STRING:
        return many ? set.AddString(&message, &field, Text()) : set.SetString(&message, &field, Text());
      case Field::CPPTYPE_MESSAGE:
        return Fill(many ? *set.AddMessage(&message, &field) : *set.MutableMessage(&message, &field), depth - 1);
      default: return;
    }
  }

  Prng& prng_;
  const bool structs_;
};

}  // namespace penstock::grpc::test
