#include "config/yaml_writer.hpp"

#include <algorithm>

namespace penstock::config {
namespace {

constexpr std::size_t kCommentColumn = 44;

bool IsInline(const Type& type) {
  return type.scalar != nullptr || (type.list != nullptr && type.list->element.scalar != nullptr);
}

std::string Choices(const Facts& facts) {
  std::string out;
  if (facts.words.empty() || facts.open) return out;
  for (std::size_t i = 0; i < facts.words.size(); ++i) out.append(i == 0 ? "" : " | ").append(facts.words[i]);
  return out.append(": ");
}

/// Our own words and keys; YAML 1.1 readers (most other programs) take `on` and `off` for booleans.
std::string SpellWord(std::string_view word) {
  return word == "on" || word == "off" ? QuoteText(word) : std::string(word);
}

}  // namespace

std::string QuoteText(std::string_view text) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      quoted.append({'\\', c});
    } else if (static_cast<unsigned char>(c) < 0x20) {
      quoted.append("\\u00").append({kHex[(c >> 4) & 1], kHex[c & 15]});
    } else {
      quoted.push_back(c);
    }
  }
  return quoted.append("\"");
}

std::string SpellYaml(const Spelling& spelling) {
  if (spelling.style == Spelling::Style::kString) return QuoteText(spelling.text);
  return SpellWord(spelling.text);
}

std::string SpellInline(const Type& type, const void* value) {
  if (type.scalar != nullptr) return SpellYaml(type.scalar->spell(value));
  std::string out = "[";
  const ListType& list = *type.list;
  for (std::size_t i = 0; i < list.size(value); ++i) {
    out.append(i == 0 ? "" : ", ").append(SpellInline(list.element, list.at(value, i)));
  }
  return out.append("]");
}

std::string YamlWriter::Write(const SectionType& section, const void* value) {
  out_.clear();
  WriteSection(section, value, 0, false);
  return std::move(out_);
}

void YamlWriter::WriteSection(const SectionType& section, const void* value, std::size_t indent, bool in_list_element) {
  for (const Field& field : section.fields) {
    if (!in_list_element) out_.append(indent, ' ');
    in_list_element = false;
    WriteField(field, field.Of(value), indent);
  }
}

void YamlWriter::WriteField(const Field& field, const void* value, std::size_t indent) {
  const std::size_t line_start = out_.rfind('\n') + 1;
  out_.append(SpellWord(field.name)).append(":");
  if (IsInline(field.type)) {
    out_.append(" ").append(SpellInline(field.type, value));
    return EndLine(line_start, field);
  }
  if (field.type.section != nullptr) {
    EndLine(line_start, field);
    return WriteSection(*field.type.section, value, indent + 2, false);
  }
  const ListType& list = *field.type.list;
  if (list.size(value) == 0) out_.append(" []");
  EndLine(line_start, field);
  for (std::size_t i = 0; i < list.size(value); ++i) {
    out_.append(indent + 2, ' ').append("- ");
    WriteSection(*list.element.section, list.at(value, i), indent + 4, true);
  }
}

void YamlWriter::EndLine(std::size_t line_start, const Field& field) {
  if (annotate_) {
    const std::size_t used = out_.size() - line_start;
    out_.append(used < kCommentColumn ? kCommentColumn - used : 2, ' ').append("# ");
    if (field.rules.required) out_.append("(required) ");
    if (field.rules.restart) out_.append("(restart) ");
    if (field.type.scalar != nullptr) out_.append(Choices(field.type.scalar->facts()));
    out_.append(field.help);
  }
  out_.push_back('\n');
}

}  // namespace penstock::config
