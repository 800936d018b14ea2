#include "grpc/message_to_json.hpp"

#include <bit>
#include <cmath>
#include <cstring>
#include <span>
#include <utility>
#include <vector>

#include "grpc/byte_writer.hpp"
#include "grpc/json_text.hpp"
#include "grpc/map_entries.hpp"
#include "penstock/grpc/translation.hpp"

namespace penstock::grpc {
namespace {

/// A message's bytes. More than one piece where a field that is no list occurs more than once: protobuf merges them,
/// which is to read them one after another.
using Pieces = std::span<const Piece>;

/// Where a field's values lie.
struct Slot {
  const char* first;  ///< the tag of the first one
  const char* last;   ///< the last one itself
};

/// Sets of fields, by FieldPlan::bit.
struct Found {
  std::uint64_t present = 0;
  std::uint64_t many = 0;  ///< those of more than one value
};

constexpr const char* kExclusive = "two fields that exclude each other are set";
constexpr const char* kSetAlready = "has a member that is set already";
constexpr const char* kTooDeep = "protobuf messages nested beyond 100 levels";
constexpr const char* kNoUtf8 = "a protobuf string that is no UTF-8";
constexpr std::size_t kFewFields = 8;  // of messages that hold their own kind: their frames are deep

/// The first field of a set.
std::size_t PlaceOf(std::uint64_t bits) noexcept { return static_cast<std::size_t>(std::countr_zero(bits)); }

/// Owned by one Worker. One request's writing.
class RequestWriter {
 public:
  RequestWriter(std::string_view message, std::string& json, llm::TokenNotes& notes)
      : end_(message.data() + message.size()),
        out_(json, message.size() + message.size() / 4 + kExpectedKeys),
        notes_(notes) {}

  bool Write(const MessagePlan& plan, Pieces pieces, std::uint32_t depth, bool stream = false);
  const Error& error() const noexcept { return error_; }

 private:
  static constexpr std::size_t kExpectedKeys = 256;  // bytes; a guess

  bool Malformed(const char* context) { return Fail(ErrorCode::kBadRequest, context); }
  bool Invalid(const char* context) { return Fail(ErrorCode::kInvalidParam, context); }
  bool Fail(ErrorCode code, const char* context) {
    error_ = DownstreamError(code, context);
    return false;
  }

  /// Names the request's own field at fault, whatever is wrong inside it. Always false.
  bool Blame(const char* name, std::uint32_t depth, bool) {
    if (depth == 0 && error_.code == ErrorCode::kInvalidParam) error_.param = name;
    return false;
  }

  bool Scan(const MessagePlan& plan, Pieces pieces, std::uint32_t depth, Slot* slots, Found& found);
  bool WriteObject(const MessagePlan& plan, Pieces pieces, std::uint32_t depth, bool stream);
  [[gnu::noinline]] bool WriteWithExtra(const MessagePlan& plan, const Slot* slots, Found found, Pieces pieces,
                                        std::uint32_t depth);
  bool WriteMembers(const MessagePlan& plan, const Slot* slots, Found found, Pieces pieces, std::uint32_t depth,
                    std::span<const MapEntries::Entry> extra);
  bool WriteStandIn(const MessagePlan& plan, Pieces pieces, std::uint32_t depth);
  bool WriteField(const FieldPlan& field, const Slot& slot, bool many, Pieces pieces, std::uint32_t depth);
  bool WriteMessageField(const FieldPlan& field, const Slot& slot, bool many, Pieces pieces, std::uint32_t depth);
  bool WriteArray(const FieldPlan& field, const Slot& slot, Pieces pieces, std::uint32_t depth);
  bool WriteMap(const FieldPlan& field, const Slot& slot, Pieces pieces, std::uint32_t depth);
  bool CollectExtra(const FieldPlan& field, const Slot& slot, bool many, Pieces pieces, std::uint32_t depth,
                    MapEntries& entries);
  bool Collect(const FieldPlan& map, const Slot& slot, Pieces pieces, std::uint32_t depth, MapEntries& entries);
  bool WriteExtra(const MessagePlan& plan, const MapEntries::Entry& entry, bool first, std::uint32_t depth);
  bool WriteEntry(const MessagePlan& plan, const MapEntries::Entry& entry, bool first, std::uint32_t depth);
  bool WriteDefault(const FieldPlan& field, std::uint32_t depth);
  const char* WriteScalar(const FieldPlan& field, const char* at, const char* end);
  bool WriteVarintValue(const FieldPlan& field, std::uint64_t raw);
  bool WriteFixedValue(const FieldPlan& field, const char* at);
  bool WriteWord(const FieldPlan& field, std::int32_t number);
  template <class Real>
  bool WriteFinite(Real value);
  bool IsDefault(const FieldPlan& field, const char* at) const noexcept;
  bool Gather(const FieldPlan& field, const Slot& slot, Pieces pieces, std::vector<Piece>& gathered);
  /// Calls on_value(begin, end, wire) for each value of the field, in order, until it says false.
  template <class OnValue>
  bool EachValue(const FieldPlan& field, const Slot& slot, Pieces pieces, OnValue&& on_value);

  void Open(char bracket) { notes_.Open(out_.offset()), out_.Put(bracket); }
  void Close(char bracket) { notes_.Close(out_.offset()), out_.Put(bracket); }
  /// A comma or a colon.
  void Mark(char mark) { notes_.Add(out_.offset()), out_.Put(mark); }
  bool WriteString(std::string_view text) { return notes_.Add(out_.offset()), WriteQuoted(out_, text); }
  void WriteKey(const FieldPlan& field, bool first) {
    const std::size_t begin = out_.offset();
    if (!first) notes_.Add(begin);
    notes_.Add(begin + (first ? 0 : 1));
    notes_.Add(begin + field.key_size - (first ? 2u : 1u));
    // A fixed size makes the copy one of registers; what it copies too much is written over.
    std::memcpy(out_.Room(FieldPlan::kKeyMax), field.key.data() + (first ? 1 : 0), FieldPlan::kKeyMax - 1);
    out_.Advance(field.key_size - (first ? 1u : 0u));
  }

  const char* const end_;  ///< of the whole message
  ByteWriter out_;
  llm::TokenNotes& notes_;
  Error error_;
};

bool RequestWriter::Write(const MessagePlan& plan, Pieces pieces, std::uint32_t depth, bool stream) {
  if (depth > kMessageDepthMax) return Malformed(kTooDeep);
  return plan.stands_for_field ? WriteStandIn(plan, pieces, depth) : WriteObject(plan, pieces, depth, stream);
}

bool RequestWriter::Scan(const MessagePlan& plan, Pieces pieces, std::uint32_t depth, Slot* slots, Found& found) {
  for (const Piece& piece : pieces) {
    for (const char* at = piece.begin; at != piece.end;) {
      const char* const begin = at;
      std::uint32_t tag = 0;
      at = ReadTag(at, piece.end, tag);
      if (at == nullptr || tag >> 3 == 0) return Malformed("a protobuf tag that is none");
      const char* const value = at;
      at = SkipValue(at, piece.end, tag, kMessageDepthMax - depth);
      if (at == nullptr) return Malformed("a protobuf value that does not end within its message");
      const FieldPlan* const field = plan.Find(tag >> 3);
      if (field == nullptr) continue;
      const auto wire = static_cast<Wire>(tag & 7);
      if (wire != field->wire) {
        if (wire != Wire::kLength || !field->packs) return Malformed("a protobuf field of another type than its own");
        if (ReadLength(value, at).size() == 0) continue;  // no elements
      }
      Slot& slot = slots[field - plan.fields.data()];
      if ((found.present & field->bit) == 0) slot.first = begin;
      slot.last = value;
      found.many = (found.many | (found.present & field->bit)) & ~field->oneof;
      found.present = (found.present | field->bit) & ~field->oneof;
    }
  }
  return true;
}

template <class OnValue>
bool RequestWriter::EachValue(const FieldPlan& field, const Slot& slot, Pieces pieces, OnValue&& on_value) {
  const Piece* piece = pieces.data();
  while (slot.first < piece->begin || slot.first >= piece->end) ++piece;
  const char* at = slot.first;
  for (;;) {
    std::uint32_t tag = 0;
    const char* const value = ReadTag(at, piece->end, tag);
    at = SkipValue(value, piece->end, tag, kMessageDepthMax);
    if (tag >> 3 == field.number) {
      if (!on_value(value, at, static_cast<Wire>(tag & 7))) return false;
      if (value == slot.last) return true;
    }
    while (at == piece->end) at = (++piece)->begin;
  }
}

bool RequestWriter::Gather(const FieldPlan& field, const Slot& slot, Pieces pieces, std::vector<Piece>& gathered) {
  return EachValue(field, slot, pieces, [&](const char* value, const char* end, Wire) {
    if (gathered.size() == kPiecesMax) return Malformed("a protobuf message in too many pieces");
    gathered.push_back(ReadLength(value, end));
    return true;
  });
}

bool RequestWriter::WriteObject(const MessagePlan& plan, Pieces pieces, std::uint32_t depth, bool stream) {
  Slot slots[MessagePlan::kFieldsMax];  // NOLINT: only those of found.present are read
  Found found;
  if (!Scan(plan, pieces, depth, slots, found)) return false;
  if ((found.present & plan.tagged) != 0) found.present |= plan.tag;
  if (stream) found.present |= plan.stream;
  if ((found.present & plan.merge) != 0) return WriteWithExtra(plan, slots, found, pieces, depth);
  return WriteMembers(plan, slots, found, pieces, depth, {});
}

/// Apart, for few messages have `extra` and its entries take much of a frame.
bool RequestWriter::WriteWithExtra(const MessagePlan& plan, const Slot* slots, Found found, Pieces pieces,
                                   std::uint32_t depth) {
  MapEntries extra;
  const std::size_t place = PlaceOf(plan.merge);
  const bool many = (found.many & plan.merge) != 0;
  if (!CollectExtra(plan.fields[place], slots[place], many, pieces, depth + 1, extra)) return false;
  found.present &= ~plan.merge;
  return WriteMembers(plan, slots, found, pieces, depth, {extra.begin(), extra.size()});
}

/// Two sorted lists become one: the fields that are set, and the members of `extra`.
bool RequestWriter::WriteMembers(const MessagePlan& plan, const Slot* slots, Found found, Pieces pieces,
                                 std::uint32_t depth, std::span<const MapEntries::Entry> extra) {
  const MapEntries::Entry* entry = extra.data();
  const MapEntries::Entry* const end = entry + extra.size();
  bool first = true;
  Open('{');
  for (std::uint64_t left = found.present; left != 0; left &= left - 1) {
    const std::size_t place = PlaceOf(left);
    const FieldPlan& field = plan.fields[place];
    if (field.number != 0 && IsDefault(field, slots[place].last)) continue;
    for (; entry != end && entry->key < field.name; ++entry, first = false) {
      if (!WriteExtra(plan, *entry, first, depth)) return false;
    }
    if (entry != end && entry->key == field.name) return Blame("extra", depth, Invalid(kSetAlready));
    if ((field.namesakes & found.present) != 0) return Blame(field.name.c_str(), depth, Invalid(kExclusive));
    WriteKey(field, first);
    first = false;
    if (field.kind == Kind::kStream) {
      notes_.Add(out_.offset());
      out_.Put("true");
    } else if (field.kind == Kind::kTag) {
      WriteString(plan.fields[PlaceOf(found.present & plan.tagged)].name);
    } else if (!WriteField(field, slots[place], (found.many & field.bit) != 0, pieces, depth)) {
      return Blame(field.name.c_str(), depth, false);
    }
  }
  for (; entry != end; ++entry, first = false) {
    if (!WriteExtra(plan, *entry, first, depth)) return false;
  }
  Close('}');
  return true;
}

/// `depth`: of the message that has `extra`.
bool RequestWriter::WriteExtra(const MessagePlan& plan, const MapEntries::Entry& entry, bool first,
                               std::uint32_t depth) {
  if (plan.stream != 0 && entry.key == "stream")
    return Blame("extra", depth, Invalid("the method says whether it streams"));
  const MessagePlan& extra = *plan.fields[PlaceOf(plan.merge)].child;
  return WriteEntry(*extra.fields.front().child, entry, first, depth + 2) || Blame("extra", depth, false);
}

bool RequestWriter::WriteStandIn(const MessagePlan& plan, Pieces pieces, std::uint32_t depth) {
  Slot slots[kFewFields];  // NOLINT: only those of found.present are read
  Found found;
  if (!Scan(plan, pieces, depth, slots, found)) return false;
  if (found.present == 0) {
    const FieldPlan& field = plan.fields.front();
    if (field.kind == Kind::kMap) return Open('{'), Close('}'), true;
    if (field.repeated) return Open('['), Close(']'), true;
    return Invalid("a google.protobuf.Value without a value");
  }
  const std::size_t place = PlaceOf(found.present);
  return WriteField(plan.fields[place], slots[place], (found.many & plan.fields[place].bit) != 0, pieces, depth);
}

bool RequestWriter::WriteField(const FieldPlan& field, const Slot& slot, bool many, Pieces pieces,
                               std::uint32_t depth) {
  if (field.repeated) return WriteArray(field, slot, pieces, depth);
  if (field.kind == Kind::kMap) return WriteMap(field, slot, pieces, depth);
  if (field.kind == Kind::kMessage) return WriteMessageField(field, slot, many, pieces, depth);
  return WriteScalar(field, slot.last, end_) != nullptr;
}

bool RequestWriter::WriteMessageField(const FieldPlan& field, const Slot& slot, bool many, Pieces pieces,
                                      std::uint32_t depth) {
  if (!many) {
    const Piece piece = ReadLength(slot.last, end_);
    return Write(*field.child, {&piece, 1}, depth + 1);
  }
  std::vector<Piece> gathered;
  return Gather(field, slot, pieces, gathered) && Write(*field.child, gathered, depth + 1);
}

bool RequestWriter::WriteArray(const FieldPlan& field, const Slot& slot, Pieces pieces, std::uint32_t depth) {
  bool first = true;
  Open('[');
  const auto next = [&] {
    if (!std::exchange(first, false)) Mark(',');
  };
  const bool written = EachValue(field, slot, pieces, [&](const char* at, const char* end, Wire wire) {
    if (field.kind == Kind::kMessage) {
      const Piece piece = ReadLength(at, end);
      return next(), Write(*field.child, {&piece, 1}, depth + 1);
    }
    if (wire == field.wire) return next(), WriteScalar(field, at, end) != nullptr;
    for (Piece packed = ReadLength(at, end); packed.begin != packed.end;) {
      next();
      packed.begin = WriteScalar(field, packed.begin, packed.end);
      if (packed.begin == nullptr) return false;
    }
    return true;
  });
  Close(']');
  return written;
}

bool RequestWriter::WriteMap(const FieldPlan& field, const Slot& slot, Pieces pieces, std::uint32_t depth) {
  MapEntries entries;
  if (!Collect(field, slot, pieces, depth + 1, entries)) return false;
  bool first = true;
  Open('{');
  for (const MapEntries::Entry& entry : entries) {
    if (!WriteEntry(*field.child, entry, first, depth + 1)) return false;
    first = false;
  }
  Close('}');
  return true;
}

/// `depth`: of the Struct.
bool RequestWriter::CollectExtra(const FieldPlan& field, const Slot& slot, bool many, Pieces pieces,
                                 std::uint32_t depth, MapEntries& entries) {
  if (depth > kMessageDepthMax) return Malformed(kTooDeep);
  std::vector<Piece> gathered;
  const Piece last = ReadLength(slot.last, end_);
  Pieces of_struct{&last, 1};
  if (many) {
    if (!Gather(field, slot, pieces, gathered)) return false;
    of_struct = gathered;
  }
  Slot inner[kFewFields];  // NOLINT: only those of found.present are read
  Found found;
  if (!Scan(*field.child, of_struct, depth, inner, found)) return false;
  return found.present == 0 || Collect(field.child->fields.front(), inner[0], of_struct, depth + 1, entries);
}

/// `depth`: of the entries.
bool RequestWriter::Collect(const FieldPlan& map, const Slot& slot, Pieces pieces, std::uint32_t depth,
                            MapEntries& entries) {
  if (depth > kMessageDepthMax) return Malformed(kTooDeep);
  const FieldPlan& key = *map.child->Find(1u);
  const bool collected = EachValue(map, slot, pieces, [&](const char* at, const char* end, Wire) {
    const Piece piece = ReadLength(at, end);
    Slot inner[kFewFields];  // NOLINT: only those of found.present are read
    Found found;
    if (!Scan(*map.child, {&piece, 1}, depth, inner, found)) return false;
    if (entries.size() == kEntriesMax) return Malformed("a protobuf map of too many entries");
    std::string_view text;
    if ((found.present & key.bit) != 0) {
      const Piece bytes = ReadLength(inner[&key - map.child->fields.data()].last, end);
      text = {bytes.begin, bytes.size()};
    }
    entries.Add({text, piece});
    return true;
  });
  if (collected) entries.Sort();
  return collected;
}

/// `depth`: of the entry.
bool RequestWriter::WriteEntry(const MessagePlan& plan, const MapEntries::Entry& entry, bool first,
                               std::uint32_t depth) {
  Slot slots[kFewFields];  // NOLINT: only those of found.present are read
  Found found;
  if (!Scan(plan, {&entry.entry, 1}, depth, slots, found)) return false;
  if (!first) Mark(',');
  if (!WriteString(entry.key)) return Malformed(kNoUtf8);
  Mark(':');
  const FieldPlan& value = *plan.Find(2u);
  if ((found.present & value.bit) == 0) return WriteDefault(value, depth);
  return WriteField(value, slots[&value - plan.fields.data()], (found.many & value.bit) != 0, {&entry.entry, 1}, depth);
}

bool RequestWriter::WriteDefault(const FieldPlan& field, std::uint32_t depth) {
  if (field.kind == Kind::kMessage) return Write(*field.child, {}, depth + 1);
  constexpr char kZero[8] = {};  // a varint, a length and fixed values
  return WriteScalar(field, kZero, kZero + sizeof kZero) != nullptr;
}

const char* RequestWriter::WriteScalar(const FieldPlan& field, const char* at, const char* end) {
  notes_.Add(out_.offset());
  if (field.wire == Wire::kVarint) {
    std::uint64_t raw = 0;
    at = ReadVarint(at, end, raw);
    if (at == nullptr) Malformed("a protobuf number that does not end within its list");
    return at != nullptr && WriteVarintValue(field, raw) ? at : nullptr;
  }
  if (field.wire == Wire::kLength) {
    const Piece bytes = ReadLength(at, end);
    const std::string_view text(bytes.begin, bytes.size());
    if (field.kind == Kind::kBytes) return WriteBytes(out_, text), bytes.end;
    if (!WriteQuoted(out_, text)) return Malformed(kNoUtf8), nullptr;
    return bytes.end;
  }
  const std::ptrdiff_t size = field.wire == Wire::kFixed32 ? 4 : 8;
  if (end - at < size) return Malformed("a protobuf number that does not end within its list"), nullptr;
  return WriteFixedValue(field, at) ? at + size : nullptr;
}

bool RequestWriter::WriteVarintValue(const FieldPlan& field, std::uint64_t raw) {
  switch (field.kind) {
    case Kind::kBool: return out_.Put(raw != 0 ? "true" : "false"), true;
    case Kind::kInt32: return WriteInteger(out_, static_cast<std::int32_t>(raw)), true;
    case Kind::kInt64: return WriteInteger(out_, static_cast<std::int64_t>(raw)), true;
    case Kind::kUint32: return WriteUnsigned(out_, static_cast<std::uint32_t>(raw)), true;
    case Kind::kUint64: return WriteUnsigned(out_, raw), true;
    case Kind::kSint32: return WriteInteger(out_, UnZigZag(static_cast<std::uint32_t>(raw))), true;
    case Kind::kSint64: return WriteInteger(out_, UnZigZag(raw)), true;
    case Kind::kNull: return out_.Put("null"), true;
    default: return WriteWord(field, static_cast<std::int32_t>(raw));
  }
}

bool RequestWriter::WriteWord(const FieldPlan& field, std::int32_t number) {
  for (const auto& [value, word] : *field.words) {
    if (value == number) return WriteQuoted(out_, word);
  }
  return Invalid("an enum value that is not known");
}

bool RequestWriter::WriteFixedValue(const FieldPlan& field, const char* at) {
  std::uint64_t raw = 0;
  std::memcpy(&raw, at, field.wire == Wire::kFixed32 ? 4 : 8);
  switch (field.kind) {
    case Kind::kFloat: return WriteFinite(std::bit_cast<float>(static_cast<std::uint32_t>(raw)));
    case Kind::kDouble: return WriteFinite(std::bit_cast<double>(raw));
    case Kind::kSfixed32: return WriteInteger(out_, static_cast<std::int32_t>(raw)), true;
    case Kind::kSfixed64: return WriteInteger(out_, static_cast<std::int64_t>(raw)), true;
    default: return WriteUnsigned(out_, raw), true;
  }
}

template <class Real>
bool RequestWriter::WriteFinite(Real value) {
  if (!std::isfinite(value)) return Invalid("must be a finite number");
  WriteReal(out_, value);
  return true;
}

bool RequestWriter::IsDefault(const FieldPlan& field, const char* at) const noexcept {
  if (field.presence || field.repeated || field.kind == Kind::kMap) return false;
  std::uint64_t raw = 0;
  if (field.wire == Wire::kFixed32 || field.wire == Wire::kFixed64) {
    std::memcpy(&raw, at, field.wire == Wire::kFixed32 ? 4 : 8);
    return raw == 0;
  }
  ReadVarint(at, end_, raw);  // of a string: its size
  const bool narrow = field.kind == Kind::kInt32 || field.kind == Kind::kUint32 || field.kind == Kind::kSint32 ||
                      field.kind == Kind::kEnum;
  return narrow ? static_cast<std::uint32_t>(raw) == 0 : raw == 0;
}

}  // namespace

std::optional<Error> WriteJson(const MessagePlan& plan, std::string_view message, bool stream, std::string& json,
                               llm::TokenNotes& notes) {
  json.clear();
  const Piece whole{message.data(), message.data() + message.size()};
  Error error;
  {
    RequestWriter writer(message, json, notes);
    if (writer.Write(plan, {&whole, 1}, 0, stream)) return std::nullopt;
    error = writer.error();
  }
  json.clear();
  return error;
}

}  // namespace penstock::grpc
