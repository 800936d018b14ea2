#include "grpc/json_to_message.hpp"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>

#include "grpc/byte_writer.hpp"
#include "grpc/json_text.hpp"

namespace penstock::grpc {
namespace {

using llm::json::Cursor;

/// A varint or fixed value as it is written.
struct Raw {
  std::uint64_t bits = 0;
  bool is_default = false;
};

/// Owned by one Worker. One answer's writing.
///
/// A message's length stands in front of it and is known behind it: one byte is left for it, and a message of 128 bytes
/// and more moves to make room. Messages are not deep here, so that is a few copies of the answer at most.
class AnswerWriter {
 public:
  explicit AnswerWriter(std::string& out) : out_(out, kExpected) {}

  void WriteObject(const MessagePlan& plan, Cursor& object);

 private:
  static constexpr std::size_t kExpected = 512;  // bytes; a guess

  bool WriteField(const FieldPlan& field, Cursor& value);
  bool WriteList(const FieldPlan& field, Cursor& value);
  void WriteElement(const FieldPlan& field, Cursor& value);
  void WritePacked(const FieldPlan& field, Cursor& value);
  bool WriteFloatBytes(const FieldPlan& field, const Cursor& value);
  bool WriteMap(const FieldPlan& field, Cursor& value);
  bool WriteMessageField(const FieldPlan& field, Cursor& value);
  bool WriteScalar(const FieldPlan& field, Cursor& value);
  void WriteText(const FieldPlan& field, std::string_view raw);
  bool WriteBytes(const FieldPlan& field, Cursor& value);
  void WriteRaw(const FieldPlan& field, Raw raw);

  void WriteTag(const FieldPlan& field) {
    std::memcpy(out_.Room(kTagMax), field.tag.data(), kTagMax);
    out_.Advance(field.tag_size);
  }
  /// The tag and a byte for the length; returns where the content begins.
  std::size_t Open(const FieldPlan& field) {
    WriteTag(field);
    out_.Put('\0');
    return out_.offset();
  }
  void Close(std::size_t begin) {
    const std::size_t size = out_.offset() - begin;
    const std::size_t more = VarintSize(size) - 1;
    if (more != 0) {
      out_.Room(more);
      std::memmove(out_.From(begin + more), out_.From(begin), size);
      out_.Advance(more);
    }
    WriteVarint(out_.From(begin - 1), size);
  }

  ByteWriter out_;
};

std::optional<Raw> IntegerOf(const FieldPlan& field, const Cursor& value) {
  if (!value.is_number()) return std::nullopt;
  const std::optional<std::int64_t> number = llm::json::IntegerValue(value.scalar());
  if (!number) return std::nullopt;
  const auto within = [&number]<class Integer>(Integer) {
    return *number >= static_cast<std::int64_t>(std::numeric_limits<Integer>::min()) &&
           *number <= static_cast<std::int64_t>(std::numeric_limits<Integer>::max());
  };
  const auto bits = static_cast<std::uint64_t>(*number);
  switch (field.kind) {
    case Kind::kInt32:
    case Kind::kSfixed32:
      if (!within(std::int32_t{})) return std::nullopt;
      return Raw{bits, bits == 0};
    case Kind::kSint32:
      if (!within(std::int32_t{})) return std::nullopt;
      return Raw{ZigZag(*number), bits == 0};
    case Kind::kUint32:
    case Kind::kFixed32:
      if (!within(std::uint32_t{})) return std::nullopt;
      return Raw{bits, bits == 0};
    case Kind::kUint64:
    case Kind::kFixed64:
      if (*number < 0) return std::nullopt;
      return Raw{bits, bits == 0};
    case Kind::kSint64: return Raw{ZigZag(*number), bits == 0};
    default: return Raw{bits, bits == 0};
  }
}

Raw RealOf(Kind kind, double number) {
  const std::uint64_t bits = kind == Kind::kDouble ? std::bit_cast<std::uint64_t>(number)
                                                   : std::bit_cast<std::uint32_t>(static_cast<float>(number));
  return {bits, bits == 0};
}

/// Of a number, a bool or a word; nothing: the value is of another type or beyond the field's range.
std::optional<Raw> RawOf(const FieldPlan& field, const Cursor& value) {
  if (field.kind == Kind::kBool) {
    if (!value.is_bool()) return std::nullopt;
    return Raw{value.is_true() ? 1u : 0u, !value.is_true()};
  }
  if (field.kind == Kind::kEnum) {
    if (!value.is_string()) return std::nullopt;
    for (const auto& [number, word] : *field.words) {
      if (word == value.raw_string()) return Raw{static_cast<std::uint64_t>(std::int64_t{number}), false};
    }
    return std::nullopt;
  }
  if (field.kind != Kind::kFloat && field.kind != Kind::kDouble) return IntegerOf(field, value);
  if (!value.is_number()) return std::nullopt;
  const double number = llm::json::NumberValue(value.scalar());
  const double max =
      field.kind == Kind::kFloat ? std::numeric_limits<float>::max() : std::numeric_limits<double>::max();
  if (!(std::fabs(number) <= max)) return std::nullopt;
  return RealOf(field.kind, number);
}

bool IsReal(const FieldPlan& field) { return field.kind == Kind::kFloat || field.kind == Kind::kDouble; }

void AnswerWriter::WriteObject(const MessagePlan& plan, Cursor& object) {
  object.EachMember([&](std::string_view name, Cursor& value) {
    const FieldPlan* field = plan.Find(name);
    if (field == nullptr || value.is_null()) return;
    const FieldPlan* const end = plan.fields.data() + plan.fields.size();
    while (!WriteField(*field, value) && ++field != end && field->name == name) {}
  });
}

bool AnswerWriter::WriteField(const FieldPlan& field, Cursor& value) {
  if (field.repeated) return WriteList(field, value);
  if (field.kind == Kind::kMap) return WriteMap(field, value);
  if (field.kind == Kind::kMessage) return WriteMessageField(field, value);
  return WriteScalar(field, value);
}

bool AnswerWriter::WriteMessageField(const FieldPlan& field, Cursor& value) {
  const bool stands = field.child->stands_for_field;
  if (!stands && !value.is_object()) return false;
  const std::size_t tag = out_.offset();
  const std::size_t begin = Open(field);
  if (!stands) {
    WriteObject(*field.child, value);
  } else if (!WriteField(field.child->fields.front(), value)) {
    out_.Rewind(tag);
    return false;
  }
  Close(begin);
  return true;
}

bool AnswerWriter::WriteList(const FieldPlan& field, Cursor& value) {
  if (field.kind == Kind::kFloat && value.is_string()) return WriteFloatBytes(field, value);
  if (!value.is_array()) return false;
  if (field.packs) {
    WritePacked(field, value);
  } else {
    value.EachElement([&](Cursor& element) { WriteElement(field, element); });
  }
  return true;
}

void AnswerWriter::WriteElement(const FieldPlan& field, Cursor& value) {
  if (field.kind != Kind::kMessage) {
    WriteScalar(field, value);
  } else if (value.is_null()) {
    Close(Open(field));
  } else {
    WriteMessageField(field, value);
  }
}

void AnswerWriter::WritePacked(const FieldPlan& field, Cursor& value) {
  const std::size_t tag = out_.offset();
  const std::size_t begin = Open(field);
  value.EachElement([&](Cursor& element) {
    if (const std::optional<Raw> raw = RawOf(field, element)) return WriteRaw(field, *raw);
    if (element.is_null() && IsReal(field)) {
      WriteRaw(field, RealOf(field.kind, std::numeric_limits<double>::quiet_NaN()));
    }
  });
  if (out_.offset() == begin) return out_.Rewind(tag);
  Close(begin);
}

/// The base64 of floats as protobuf packs them.
bool AnswerWriter::WriteFloatBytes(const FieldPlan& field, const Cursor& value) {
  const std::string_view text = value.raw_string();
  const std::size_t tag = out_.offset();
  const std::size_t begin = Open(field);
  char* const to = out_.Room(text.size());
  char* const end = ReadBytes(text, to);
  if (end == nullptr || end == to || (end - to) % static_cast<std::ptrdiff_t>(sizeof(float)) != 0) {
    out_.Rewind(tag);
    return false;
  }
  out_.AdvanceTo(end);
  Close(begin);
  return true;
}

bool AnswerWriter::WriteMap(const FieldPlan& field, Cursor& value) {
  if (!value.is_object()) return false;
  const FieldPlan& key = *field.child->Find(1u);
  const FieldPlan& mapped = *field.child->Find(2u);
  value.EachMember([&](std::string_view name, Cursor& member) {
    const std::size_t tag = out_.offset();
    const std::size_t begin = Open(field);
    WriteText(key, name);
    if (!WriteField(mapped, member)) return out_.Rewind(tag);
    Close(begin);
  });
  return true;
}

bool AnswerWriter::WriteScalar(const FieldPlan& field, Cursor& value) {
  if (field.kind == Kind::kBytes) return WriteBytes(field, value);
  if (field.kind == Kind::kString) {
    if (!value.is_string()) return false;
    if (field.presence || field.repeated || !value.is_empty()) WriteText(field, value.raw_string());
    return true;
  }
  const std::optional<Raw> raw = RawOf(field, value);
  if (!raw) return false;
  if (raw->is_default && !field.presence) return true;
  WriteTag(field);
  WriteRaw(field, *raw);
  return true;
}

void AnswerWriter::WriteText(const FieldPlan& field, std::string_view raw) {
  WriteTag(field);
  char* const length = out_.Room(raw.size() + kVarintMax);
  char* const text = WriteVarint(length, raw.size());
  if (raw.empty()) return out_.AdvanceTo(text);
  if (std::memchr(raw.data(), '\\', raw.size()) == nullptr) {
    std::memcpy(text, raw.data(), raw.size());
    return out_.AdvanceTo(text + raw.size());
  }
  const std::size_t size = llm::json::Unescape(raw, {text, raw.size()});
  char* const begin = WriteVarint(length, size);
  if (begin != text) std::memmove(begin, text, size);
  out_.AdvanceTo(begin + size);
}

/// base64, or an array of the bytes' values.
bool AnswerWriter::WriteBytes(const FieldPlan& field, Cursor& value) {
  if (!value.is_string() && !value.is_array()) return false;
  const std::size_t tag = out_.offset();
  const std::size_t begin = Open(field);
  bool sound = true;
  if (value.is_string()) {
    char* const end = ReadBytes(value.raw_string(), out_.Room(value.raw_string().size()));
    sound = end != nullptr;
    if (sound) out_.AdvanceTo(end);
  } else {
    value.EachElement([&](const Cursor& element) {
      const auto byte = element.is_number() ? llm::json::IntegerValue(element.scalar()) : std::nullopt;
      sound = sound && byte && *byte >= 0 && *byte <= UINT8_MAX;
      if (sound) out_.Put(static_cast<char>(*byte));
    });
  }
  if (!sound || (out_.offset() == begin && !field.presence && !field.repeated)) {
    out_.Rewind(tag);
  } else {
    Close(begin);
  }
  return sound;
}

void AnswerWriter::WriteRaw(const FieldPlan& field, Raw raw) {
  if (field.wire == Wire::kVarint) return out_.AdvanceTo(WriteVarint(out_.Room(kVarintMax), raw.bits));
  const std::size_t size = field.wire == Wire::kFixed32 ? 4 : 8;
  std::memcpy(out_.Room(size), &raw.bits, size);
  out_.Advance(size);
}

}  // namespace

void WriteMessage(const MessagePlan& plan, Cursor root, std::string& out) { AnswerWriter(out).WriteObject(plan, root); }

}  // namespace penstock::grpc
