#pragma once

#include <string>

#include "config/type.hpp"

namespace penstock::config {

/// `text` as a JSON string, which is also a YAML double-quoted one.
std::string QuoteText(std::string_view text);

/// A scalar as YAML.
std::string SpellYaml(const Spelling& spelling);

/// Any scalar or list of scalars on one line: `[a, b]`.
std::string SpellInline(const Type& type, const void* value);

/// Writes a section as block YAML, every key in the order of its table. Owned by one Worker.
class YamlWriter {
 public:
  /// `annotate`: put each key's explanation behind it.
  explicit YamlWriter(bool annotate) : annotate_(annotate) {}

  std::string Write(const SectionType& section, const void* value);

 private:
  void WriteSection(const SectionType& section, const void* value, std::size_t indent, bool in_list_element);
  void WriteField(const Field& field, const void* value, std::size_t indent);
  void EndLine(std::size_t line_start, const Field& field);

  const bool annotate_;
  std::string out_;
};

}  // namespace penstock::config
