#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "grpc/wire.hpp"
#include "penstock/grpc/method.hpp"

namespace penstock::grpc {

/// What a field's value is.
enum class Kind : std::uint8_t {
  kBool,
  kInt32,
  kInt64,
  kUint32,
  kUint64,
  kSint32,
  kSint64,
  kFixed32,
  kFixed64,
  kSfixed32,
  kSfixed64,
  kFloat,
  kDouble,
  kEnum,
  kNull,  ///< google.protobuf.NullValue
  kString,
  kBytes,
  kMessage,
  kMap,     ///< with string keys; `child` is the entry
  kTag,     ///< no field: the member that names the oneof's field
  kStream,  ///< no field: "stream":true
};

struct MessagePlan;

/// Immutable. Words of an enum by number; zero has none.
using EnumPlan = std::vector<std::pair<std::int32_t, std::string>>;

/// Immutable. One field, or a member that JSON has without one.
struct FieldPlan {
  static constexpr std::size_t kKeyMax = 32;

  std::array<char, kKeyMax> key{};  ///< `,"name":`
  std::uint8_t key_size = 0;
  Kind kind = Kind::kBool;
  Wire wire = Wire::kVarint;  ///< of one value
  bool repeated = false;
  bool packs = false;     ///< a repeated scalar
  bool presence = false;  ///< set to its default is set all the same
  bool merge = false;     ///< a Struct of members beside the message's own
  std::uint8_t tag_size = 0;
  std::array<char, kTagMax> tag{};  ///< as written: of the packed form where there is one
  std::uint32_t number = 0;
  std::uint64_t bit = 0;        ///< of its place in MessagePlan::fields
  std::uint64_t oneof = 0;      ///< the other fields of its oneof
  std::uint64_t namesakes = 0;  ///< other fields of its name in JSON
  const MessagePlan* child = nullptr;
  const EnumPlan* words = nullptr;
  std::string name;  ///< in JSON
};

/// Immutable. A message's fields by their names in JSON, made once of its descriptor.
struct MessagePlan {
  static constexpr std::size_t kFieldsMax = 64;   ///< a set of fields is a word
  static constexpr std::size_t kNumberMax = 128;  ///< field numbers are below it
  static constexpr std::size_t kNamesMax = 128;   ///< slots, at least twice the fields
  static constexpr std::uint8_t kNone = 0xFF;

  bool stands_for_field = false;  ///< is no object: the value of the field that is set
  std::vector<FieldPlan> fields;  ///< sorted by name, then by number
  std::uint64_t tagged = 0;       ///< fields of the oneof that the tag names
  std::uint64_t tag = 0;          ///< the bit of the tag
  std::uint64_t stream = 0;       ///< the bit of "stream"
  std::uint64_t merge = 0;        ///< the bit of `extra`
  std::array<std::uint8_t, kNumberMax> by_number{};
  std::array<std::uint8_t, kNamesMax> by_name{};

  const FieldPlan* Find(std::uint32_t number) const noexcept {
    if (number >= kNumberMax || by_number[number] == kNone) return nullptr;
    return &fields[by_number[number]];
  }
  /// The first one of its name; its namesakes follow it.
  const FieldPlan* Find(std::string_view name) const noexcept {
    for (std::size_t slot = Slot(name);; slot = (slot + 1) % kNamesMax) {
      if (by_name[slot] == kNone) return nullptr;
      if (const FieldPlan& field = fields[by_name[slot]]; field.name == name) return &field;
    }
  }
  static std::size_t Slot(std::string_view name) noexcept {
    if (name.empty()) return 0;
    const auto first = static_cast<unsigned char>(name.front());
    const auto last = static_cast<unsigned char>(name.back());
    return (name.size() * 29 + first * 7u + last) % kNamesMax;
  }
};

/// The plans of a method of penstock.v1.Inference; null for any other.
struct MethodPlan {
  const MessagePlan* request = nullptr;
  const MessagePlan* answer = nullptr;
};

/// Plans are made when this is called first; any thread. `method`: a row of Methods().
const MethodPlan& PlanOf(const Method& method);

}  // namespace penstock::grpc
