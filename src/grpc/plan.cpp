#include "grpc/plan.hpp"

#include <google/protobuf/descriptor.h>
#include <penstock/v1/inference.pb.h>
#include <penstock/v1/options.pb.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "penstock/base/assert.hpp"

namespace penstock::grpc {
namespace {

namespace pb = google::protobuf;
using Type = pb::FieldDescriptor::Type;

struct KindOfType {
  Type type;
  Kind kind;
  Wire wire;
};
constexpr KindOfType kKinds[] = {
    {Type::TYPE_BOOL, Kind::kBool, Wire::kVarint},          {Type::TYPE_INT32, Kind::kInt32, Wire::kVarint},
    {Type::TYPE_INT64, Kind::kInt64, Wire::kVarint},        {Type::TYPE_UINT32, Kind::kUint32, Wire::kVarint},
    {Type::TYPE_UINT64, Kind::kUint64, Wire::kVarint},      {Type::TYPE_SINT32, Kind::kSint32, Wire::kVarint},
    {Type::TYPE_SINT64, Kind::kSint64, Wire::kVarint},      {Type::TYPE_FIXED32, Kind::kFixed32, Wire::kFixed32},
    {Type::TYPE_FIXED64, Kind::kFixed64, Wire::kFixed64},   {Type::TYPE_SFIXED32, Kind::kSfixed32, Wire::kFixed32},
    {Type::TYPE_SFIXED64, Kind::kSfixed64, Wire::kFixed64}, {Type::TYPE_FLOAT, Kind::kFloat, Wire::kFixed32},
    {Type::TYPE_DOUBLE, Kind::kDouble, Wire::kFixed64},     {Type::TYPE_ENUM, Kind::kEnum, Wire::kVarint},
    {Type::TYPE_STRING, Kind::kString, Wire::kLength},      {Type::TYPE_BYTES, Kind::kBytes, Wire::kLength},
    {Type::TYPE_MESSAGE, Kind::kMessage, Wire::kLength},
};

/// ImageUrl.Detail -> "DETAIL_", EncodingFormat -> "ENCODING_FORMAT_".
std::string PrefixOf(const std::string& name) {
  std::string prefix;
  for (const char c : name) {
    const bool upper = c >= 'A' && c <= 'Z';
    if (upper && !prefix.empty()) prefix += '_';
    prefix += upper ? c : static_cast<char>(c - 'a' + 'A');
  }
  return prefix + '_';
}

/// Owned by one Worker. Makes the plans of every message that a method reaches. What it asserts are properties of our
/// own .proto files, which every start proves again.
class PlanBook {
 public:
  PlanBook();

  std::vector<MethodPlan> methods;  ///< as in Methods()

 private:
  const MessagePlan* Plan(const pb::Descriptor& message);
  const EnumPlan* Words(const pb::EnumDescriptor& words);
  FieldPlan Field(const pb::FieldDescriptor& field);
  static FieldPlan Member(std::string name, Kind kind);
  static void Index(MessagePlan& plan, const pb::Descriptor& message);

  std::set<const pb::Descriptor*> streamed_;  ///< requests that may say "stream"
  std::map<const pb::Descriptor*, std::unique_ptr<MessagePlan>> plans_;
  std::map<const pb::EnumDescriptor*, std::unique_ptr<EnumPlan>> words_;
};

PlanBook::PlanBook() {
  const pb::DescriptorPool& pool = *v1::ChatRequest::descriptor()->file()->pool();
  std::vector<const pb::MethodDescriptor*> found;
  for (const Method& method : Methods()) {
    const bool ours = method.service == Service::kCompletions || method.service == Service::kModels;
    std::string name(method.path.substr(1));
    std::replace(name.begin(), name.end(), '/', '.');
    found.push_back(ours ? pool.FindMethodByName(name) : nullptr);
    if (!ours) continue;
    PENSTOCK_ASSERT(found.back() != nullptr);
    if (method.server_streams) streamed_.insert(found.back()->input_type());
  }
  for (const pb::MethodDescriptor* method : found) {
    methods.push_back(method == nullptr ? MethodPlan{}
                                        : MethodPlan{Plan(*method->input_type()), Plan(*method->output_type())});
  }
}

const EnumPlan* PlanBook::Words(const pb::EnumDescriptor& words) {
  std::unique_ptr<EnumPlan>& plan = words_[&words];
  if (plan != nullptr) return plan.get();
  plan = std::make_unique<EnumPlan>();
  const std::string prefix = PrefixOf(words.name());
  for (int i = 0; i < words.value_count(); ++i) {
    const pb::EnumValueDescriptor& value = *words.value(i);
    PENSTOCK_ASSERT(value.name().starts_with(prefix));
    std::string word = value.name().substr(prefix.size());
    for (char& c : word) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    if (value.number() != 0) plan->emplace_back(value.number(), std::move(word));
  }
  return plan.get();
}

FieldPlan PlanBook::Member(std::string name, Kind kind) {
  FieldPlan plan;
  plan.kind = kind;
  const std::string key = ",\"" + name + "\":";
  PENSTOCK_ASSERT(key.size() <= FieldPlan::kKeyMax);
  std::copy(key.begin(), key.end(), plan.key.begin());
  plan.key_size = static_cast<std::uint8_t>(key.size());
  plan.name = std::move(name);
  return plan;
}

FieldPlan PlanBook::Field(const pb::FieldDescriptor& field) {
  const v1::JsonField& json = field.options().GetExtension(v1::json);
  const auto* row = std::find_if(std::begin(kKinds), std::end(kKinds),
                                 [&field](const KindOfType& kind) { return kind.type == field.type(); });
  PENSTOCK_ASSERT(row != std::end(kKinds));
  FieldPlan plan = Member(json.name().empty() ? field.name() : json.name(), row->kind);
  plan.wire = row->wire;
  plan.number = static_cast<std::uint32_t>(field.number());
  plan.merge = json.merge();
  plan.repeated = field.is_repeated() && !field.is_map();
  plan.packs = field.is_packable();
  plan.presence = field.has_presence();
  if (field.is_map()) {
    PENSTOCK_ASSERT(field.message_type()->map_key()->type() == Type::TYPE_STRING);
    plan.kind = Kind::kMap;
  }
  if (field.message_type() != nullptr) plan.child = Plan(*field.message_type());
  if (field.enum_type() != nullptr) {
    if (field.enum_type()->full_name() == "google.protobuf.NullValue") {
      plan.kind = Kind::kNull;
    } else {
      plan.words = Words(*field.enum_type());
    }
  }
  const auto wire = static_cast<std::uint32_t>(plan.packs ? Wire::kLength : plan.wire);
  char* const end = WriteVarint(plan.tag.data(), plan.number << 3 | wire);
  plan.tag_size = static_cast<std::uint8_t>(end - plan.tag.data());
  return plan;
}

const MessagePlan* PlanBook::Plan(const pb::Descriptor& message) {
  std::unique_ptr<MessagePlan>& owned = plans_[&message];
  if (owned != nullptr) return owned.get();
  owned = std::make_unique<MessagePlan>();  // known before its fields are: a message may hold its own kind
  MessagePlan& plan = *owned;
  const v1::JsonMessage& json = message.options().GetExtension(v1::json_message);
  plan.stands_for_field = json.stands_for_field() || message.full_name() == "google.protobuf.Struct" ||
                          message.full_name() == "google.protobuf.Value" ||
                          message.full_name() == "google.protobuf.ListValue";
  for (int i = 0; i < message.field_count(); ++i) plan.fields.push_back(Field(*message.field(i)));
  if (!json.tag().empty()) plan.fields.push_back(Member(json.tag(), Kind::kTag));
  if (streamed_.contains(&message)) plan.fields.push_back(Member("stream", Kind::kStream));
  Index(plan, message);
  return &plan;
}

void PlanBook::Index(MessagePlan& plan, const pb::Descriptor& message) {
  PENSTOCK_ASSERT(plan.fields.size() <= MessagePlan::kFieldsMax);
  std::sort(plan.fields.begin(), plan.fields.end(), [](const FieldPlan& a, const FieldPlan& b) {
    return a.name != b.name ? a.name < b.name : a.number < b.number;
  });
  plan.by_number.fill(MessagePlan::kNone);
  plan.by_name.fill(MessagePlan::kNone);
  for (std::size_t i = 0; i < plan.fields.size(); ++i) {
    FieldPlan& field = plan.fields[i];
    field.bit = std::uint64_t{1} << i;
    if (field.merge) plan.merge = field.bit;
    if (field.kind == Kind::kTag) plan.tag = field.bit;
    if (field.kind == Kind::kStream) plan.stream = field.bit;
    if (field.number == 0) continue;
    PENSTOCK_ASSERT(field.number < MessagePlan::kNumberMax);
    plan.by_number[field.number] = static_cast<std::uint8_t>(i);
    if (field.merge || plan.Find(field.name) != nullptr) continue;
    std::size_t slot = MessagePlan::Slot(field.name);
    while (plan.by_name[slot] != MessagePlan::kNone) slot = (slot + 1) % MessagePlan::kNamesMax;
    plan.by_name[slot] = static_cast<std::uint8_t>(i);
  }
  for (FieldPlan& field : plan.fields) {
    const pb::FieldDescriptor* const own = message.FindFieldByNumber(static_cast<int>(field.number));
    for (const FieldPlan& other : plan.fields) {
      if (other.bit == field.bit) continue;
      if (other.name == field.name) field.namesakes |= other.bit;
      const pb::FieldDescriptor* const its = message.FindFieldByNumber(static_cast<int>(other.number));
      if (own == nullptr || its == nullptr || own->real_containing_oneof() == nullptr) continue;
      if (own->real_containing_oneof() == its->real_containing_oneof()) field.oneof |= other.bit;
    }
    if (plan.tag != 0 && own != nullptr && own->real_containing_oneof() != nullptr) plan.tagged |= field.bit;
  }
}

}  // namespace

const MethodPlan& PlanOf(const Method& method) {
  static const PlanBook book;
  const auto row = static_cast<std::size_t>(&method - Methods().data());
  PENSTOCK_ASSERT(row < book.methods.size());
  return book.methods[row];
}

}  // namespace penstock::grpc
