#include "config/reader.hpp"

#include <cstdlib>

#include "config/nearest.hpp"

namespace penstock::config {
namespace {

constexpr std::size_t kQuoteBytesMax = 64;

const char* ProcessEnvironment(const char* name) { return std::getenv(name); }

/// A text of the file for a message: short and on one line, whatever it holds.
std::string Quote(std::string_view text, char mark) {
  const auto control = [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 0x7f; };
  std::string quoted(1, mark);
  for (const char c : text.substr(0, kQuoteBytesMax)) quoted.push_back(control(c) ? '?' : c);
  if (text.size() > kQuoteBytesMax) quoted += "...";
  quoted.push_back(mark);
  return quoted;
}

/// An unknown key in a path: as it is when it looks like a key.
std::string PathOf(std::string_view key) {
  constexpr std::string_view kKeyBytes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
  const bool plain =
      !key.empty() && key.size() <= kQuoteBytesMax && key.find_first_not_of(kKeyBytes) == std::string_view::npos;
  return plain ? std::string(key) : Quote(key, '`');
}

const char* Describe(YamlTree::Node::Kind kind) {
  switch (kind) {
    case YamlTree::Node::Kind::kNull: return "nothing";
    case YamlTree::Node::Kind::kScalar: return "a single value";
    case YamlTree::Node::Kind::kMap: return "a mapping";
    case YamlTree::Node::Kind::kList: return "a list";
  }
  return "";
}

/// Appends to a path for the time of a scope. Owned by one Worker.
class PathStep {
 public:
  PathStep(std::string& path, std::string_view key) : path_(path), size_(path.size()) {
    if (!path.empty()) path.push_back('.');
    path.append(key);
  }
  PathStep(std::string& path, std::size_t index) : path_(path), size_(path.size()) {
    path.append("[").append(std::to_string(index)).append("]");
  }
  ~PathStep() { path_.resize(size_); }
  PathStep(const PathStep&) = delete;
  PathStep& operator=(const PathStep&) = delete;

 private:
  std::string& path_;
  std::size_t size_;
};

}  // namespace

Reader::Reader(const YamlTree& tree, Problems& problems, const LoadOptions& options)
    : tree_(tree),
      problems_(problems),
      environment_(options.environment != nullptr ? options.environment : ProcessEnvironment) {}

void Reader::Read(const SectionType& section, void* value) {
  if (tree_.root().kind == Node::Kind::kNull) return Report({}, "the file holds no configuration");
  ReadSection(tree_.root(), section, value);
}

void Reader::ReadValue(const Node& node, const Field& field, const Type& type, void* value) {
  if (node.kind == Node::Kind::kNull) return Report(node.mark, "has no value; give it one or remove the key");
  if (type.scalar != nullptr) return ReadScalar(node, field, *type.scalar, value);
  if (type.list != nullptr) return ReadList(node, field, *type.list, value);
  ReadSection(node, *type.section, value);
}

void Reader::ReadScalar(const Node& node, const Field& field, const ScalarType& type, void* value) {
  if (node.kind != Node::Kind::kScalar)
    return Report(node.mark, std::string("must be a single value, not ") + Describe(node.kind));
  std::vector<std::string> warnings;
  std::string problem = type.read({node.text, node.quoted}, field.rules, {environment_, warnings}, value);
  for (std::string& warning : warnings) problems_.Warning(node.mark, path_, std::move(warning));
  if (problem.empty()) return;
  if (!type.facts().confidential) problem += ", got " + Quote(node.text, '"');
  Report(node.mark, std::move(problem));
}

void Reader::ReadList(const Node& node, const Field& field, const ListType& type, void* value) {
  if (node.kind != Node::Kind::kList)
    return Report(node.mark, std::string("must be a list, not ") + Describe(node.kind));
  type.clear(value);
  const std::size_t count = node.entries.size();
  if (count < field.rules.count_min)
    Report(node.mark, "needs at least " + std::to_string(field.rules.count_min) + " element");
  if (count > field.rules.count_max) {
    return Report(node.mark, "has " + std::to_string(count) + " elements; at most " +
                                 std::to_string(field.rules.count_max) + " are taken");
  }
  for (std::size_t i = 0; i < count; ++i) {
    const PathStep step(path_, i);
    ReadValue(tree_.at(node.entries[i].value), field, type.element, type.append(value));
  }
}

void Reader::ReadSection(const Node& node, const SectionType& section, void* value) {
  if (node.kind != Node::Kind::kMap)
    return Report(node.mark, std::string("must be a mapping of keys to values, not ") + Describe(node.kind));
  std::vector<Mark> seen(section.fields.size(), Mark{0, 0});
  for (const YamlTree::Entry& entry : node.entries) ReadEntry(entry, section, seen, value);
  for (std::size_t i = 0; i < section.fields.size(); ++i) {
    const Field& field = section.fields[i];
    if (!field.rules.required || seen[i].line != 0) continue;
    const PathStep step(path_, field.name);
    Report(node.mark, "is required");
  }
}

void Reader::ReadEntry(const YamlTree::Entry& entry, const SectionType& section, std::vector<Mark>& seen, void* value) {
  for (std::size_t i = 0; i < section.fields.size(); ++i) {
    const Field& field = section.fields[i];
    if (field.name != entry.key) continue;
    const PathStep step(path_, field.name);
    if (seen[i].line != 0)
      return Report(entry.key_mark, "is a duplicate key; the first is on line " + std::to_string(seen[i].line));
    seen[i] = entry.key_mark;
    return ReadValue(tree_.at(entry.value), field, field.type, field.member(value));
  }
  UnknownKey(entry, section);
}

void Reader::UnknownKey(const YamlTree::Entry& entry, const SectionType& section) {
  std::string message = "unknown key";
  if (!problems_.full()) {
    const std::string_view nearest = NearestKey(entry.key, section.fields);
    if (!nearest.empty()) message.append("; did you mean `").append(nearest).append("`?");
  }
  const PathStep step(path_, PathOf(entry.key));
  Report(entry.key_mark, std::move(message));
}

}  // namespace penstock::config
