#include <algorithm>

#include "config/type.hpp"
#include "penstock/config/config.hpp"

namespace penstock::config {
namespace {

bool NeedsRestart(const Field& field) {
  if (field.rules.restart) return true;
  const SectionType* section = field.type.section;
  if (field.type.list != nullptr) section = field.type.list->element.section;
  return section != nullptr && std::any_of(section->fields.begin(), section->fields.end(), NeedsRestart);
}

bool Equal(const Type& type, const void* a, const void* b) {
  if (type.scalar != nullptr) return type.scalar->equal(a, b);
  const ListType& list = *type.list;
  bool equal = list.size(a) == list.size(b);
  for (std::size_t i = 0; equal && i < list.size(a); ++i) equal = Equal(list.element, list.at(a, i), list.at(b, i));
  return equal;
}

void Compare(const SectionType& section, const void* a, const void* b, const std::string& prefix,
             std::vector<std::string>& changed) {
  for (const Field& field : section.fields) {
    if (!NeedsRestart(field)) continue;
    const std::string path = prefix + std::string(field.name);
    const void* in_a = field.Of(a);
    const void* in_b = field.Of(b);
    if (field.type.section != nullptr) {
      Compare(*field.type.section, in_a, in_b, path + ".", changed);
    } else if (field.type.list != nullptr && field.type.list->element.section != nullptr) {
      const ListType& list = *field.type.list;
      if (list.size(in_a) != list.size(in_b)) {
        changed.push_back(path);
        continue;
      }
      for (std::size_t i = 0; i < list.size(in_a); ++i) {
        const std::string element = path + "[" + std::to_string(i) + "].";
        Compare(*list.element.section, list.at(in_a, i), list.at(in_b, i), element, changed);
      }
    } else if (!Equal(field.type, in_a, in_b)) {
      changed.push_back(path);
    }
  }
}

}  // namespace

std::vector<std::string> RestartKeys(const Config& running, const Config& wanted) {
  std::vector<std::string> changed;
  Compare(ConfigSection(), &running, &wanted, "", changed);
  return changed;
}

}  // namespace penstock::config
