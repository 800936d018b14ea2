#include <algorithm>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "config/type.hpp"
#include "config/yaml_writer.hpp"
#include "penstock/config/config.hpp"

namespace penstock::config {
namespace {

namespace json = boost::json;

json::string_view ToJson(std::string_view text) { return {text.data(), text.size()}; }

json::value DefaultOf(const Type& type, const void* value) {
  if (type.list != nullptr) {
    json::array elements;
    for (std::size_t i = 0; i < type.list->size(value); ++i)
      elements.push_back(DefaultOf(type.list->element, type.list->at(value, i)));
    return elements;
  }
  const Spelling spelling = type.scalar->spell(value);
  if (spelling.style == Spelling::Style::kLiteral) return json::parse(spelling.text);
  return json::value(spelling.text);
}

json::object PlainScalar(const Facts& facts, const Rules& rules) {
  json::object schema;
  const bool numeric = facts.json == Facts::Json::kInteger || facts.json == Facts::Json::kNumber;
  switch (facts.json) {
    case Facts::Json::kString: schema["type"] = "string"; break;
    case Facts::Json::kInteger: schema["type"] = "integer"; break;
    case Facts::Json::kNumber: schema["type"] = "number"; break;
    case Facts::Json::kBoolean: schema["type"] = "boolean"; break;
  }
  const bool text = facts.json == Facts::Json::kString && facts.pattern.empty();
  if (numeric && rules.min != Rules::kNoMin) schema["minimum"] = rules.min;
  if (numeric && rules.max != Rules::kNoMax) schema["maximum"] = rules.max;
  if (text && rules.min != Rules::kNoMin && rules.min > 0) schema["minLength"] = rules.min;
  if (text && rules.max != Rules::kNoMax) schema["maxLength"] = rules.max;
  if (!facts.pattern.empty()) schema["pattern"] = ToJson(facts.pattern);
  if (rules.text != nullptr)
    schema["pattern"] = rules.min > 0 ? std::string(rules.text->pattern) : std::string("^$|") + rules.text->pattern;
  return schema;
}

json::object ScalarSchema(const ScalarType& type, const Rules& rules) {
  const Facts facts = type.facts();
  json::array words(facts.words.size());
  for (std::size_t i = 0; i < words.size(); ++i) words[i] = ToJson(facts.words[i]);
  if (!facts.words.empty() && !facts.open) return {{"enum", std::move(words)}};
  json::object plain = PlainScalar(facts, rules);
  if (!facts.open && !facts.zero_without_unit) return plain;
  json::array choices;
  choices.push_back(std::move(plain));
  if (facts.zero_without_unit && rules.min <= 0) choices.push_back(json::object{{"const", 0}});
  if (facts.open) choices.push_back(json::object{{"enum", std::move(words)}});
  if (choices.size() == 1) return std::move(choices[0].as_object());
  return {{"anyOf", std::move(choices)}};
}

json::object SectionSchema(const SectionType& section, const void* defaults);

/// `value`: where the default is, or null when the key is required.
json::object TypeSchema(const Type& type, const Rules& rules, const void* value) {
  if (type.scalar != nullptr) return ScalarSchema(*type.scalar, rules);
  if (type.section != nullptr) return SectionSchema(*type.section, value);
  const Type& element = type.list->element;
  json::object schema{{"type", "array"}};
  schema["items"] = TypeSchema(element, rules, element.section != nullptr ? element.section->defaults : nullptr);
  if (rules.count_min > 0) schema["minItems"] = rules.count_min;
  schema["maxItems"] = rules.count_max;
  return schema;
}

json::object SectionSchema(const SectionType& section, const void* defaults) {
  json::object properties;
  json::array required;
  for (const Field& field : section.fields) {
    const void* value = field.Of(defaults);
    json::object schema = TypeSchema(field.type, field.rules, value);
    schema["description"] = ToJson(field.help);
    if (!field.rules.required && field.type.section == nullptr) schema["default"] = DefaultOf(field.type, value);
    properties[ToJson(field.name)] = std::move(schema);
    if (field.rules.required) required.push_back(json::value(ToJson(field.name)));
  }
  json::object schema{{"type", "object"}, {"properties", std::move(properties)}, {"additionalProperties", false}};
  if (!required.empty()) schema["required"] = std::move(required);
  return schema;
}

/// JSON indented by two blanks a level, so that a golden file's diff shows the key that changed.
void Print(const json::value& value, std::size_t indent, std::string& out) {
  const auto scalar = [](const json::value& v) { return !v.is_object() && !v.is_array(); };
  const json::object* object = value.if_object();
  const json::array* array = value.if_array();
  if (array != nullptr && std::all_of(array->begin(), array->end(), scalar)) array = nullptr;
  if (object == nullptr && array == nullptr) {
    out += json::serialize(value);
    return;
  }
  out += object != nullptr ? "{" : "[";
  bool first = true;
  const auto begin_element = [&] {
    out.append(first ? "\n" : ",\n").append(indent + 2, ' ');
    first = false;
  };
  if (object != nullptr) {
    for (const auto& [key, member] : *object) {
      begin_element();
      out.append(QuoteText({key.data(), key.size()})).append(": ");
      Print(member, indent + 2, out);
    }
  } else {
    for (const json::value& element : *array) {
      begin_element();
      Print(element, indent + 2, out);
    }
  }
  out.append("\n").append(indent, ' ').append(object != nullptr ? "}" : "]");
}

}  // namespace

std::string JsonSchema() {
  json::object schema{{"$schema", "https://json-schema.org/draft/2020-12/schema"}, {"title", "Penstock configuration"}};
  for (auto& [key, value] : SectionSchema(ConfigSection(), ConfigSection().defaults)) schema[key] = std::move(value);
  std::string out;
  Print(schema, 0, out);
  return out.append("\n");
}

}  // namespace penstock::config
