#include <map>

#include "config/type.hpp"
#include "config/yaml_tree.hpp"
#include "penstock/base/prng.hpp"
#include "support.hpp"

namespace penstock::config {
namespace {

/// Takes the dump of a configuration and spoils one key after the other in every way its row forbids.
class Mutations {
 public:
  Mutations()
      : text_(Dump(*LoadFile(SourcePath("config/examples/llamacpp-local.yaml")).config)),
        tree_(*YamlTree::Parse(text_)) {}

  void Run() { Section(tree_.root(), ConfigSection(), ""); }

  std::map<std::string, int> counts;

 private:
  std::size_t Offset(Mark mark) const {
    std::size_t at = 0;
    for (std::uint32_t line = 1; line < mark.line; ++line) at = text_.find('\n', at) + 1;
    return at + mark.column - 1;
  }

  void Expect(const char* kind, const std::string& mutated, Mark mark, const std::string& path,
              const std::string& message) {
    ++counts[kind];
    const LoadResult result = LoadText(mutated, "f");
    const std::string expected =
        std::to_string(mark.line) + ":" + std::to_string(mark.column) + ": " + path + ": " + message;
    EXPECT_FALSE(result.ok()) << kind << " " << path;
    EXPECT_NE(Errors(result).find(expected), std::string::npos) << kind << "\nexpected " << expected << "\ngot\n"
                                                                << Errors(result);
  }

  void Section(const YamlTree::Node& node, const SectionType& section, const std::string& prefix) {
    for (const Field& field : section.fields) {
      const YamlTree::Entry* entry = nullptr;
      for (const YamlTree::Entry& candidate : node.entries) {
        if (candidate.key == field.name) entry = &candidate;
      }
      ASSERT_NE(entry, nullptr) << field.name << " is missing in the dump";
      Key(node, *entry, field, prefix);
    }
  }

  void Key(const YamlTree::Node& parent, const YamlTree::Entry& entry, const Field& field, const std::string& prefix) {
    const std::string path = prefix + entry.key;
    const YamlTree::Node& value = tree_.at(entry.value);
    // A key in quotes is marked at its quote.
    const std::size_t key_at = Offset(entry.key_mark) + (text_[Offset(entry.key_mark)] == '"' ? 1 : 0);
    Rename(parent, entry, field, path, key_at);

    std::string twice = text_;
    twice.insert(Offset(entry.key_mark), "\"" + entry.key + "\": {}\n" + std::string(entry.key_mark.column - 1, ' '));
    Expect("duplicate", twice, {entry.key_mark.line + 1, entry.key_mark.column}, path,
           "is a duplicate key; the first is on line " + std::to_string(entry.key_mark.line));

    if (field.type.scalar != nullptr) {
      Retype(value, path, "{x: 1}", "must be a single value, not a mapping");
      OutOfRange(value, field, path);
    } else if (field.type.list != nullptr) {
      List(value, *field.type.list, path);
    } else {
      Section(value, *field.type.section, path + ".");
    }
  }

  /// Renamed, a required key is missed too.
  void Rename(const YamlTree::Node& parent, const YamlTree::Entry& entry, const Field& field, const std::string& path,
              std::size_t key_at) {
    std::string renamed = text_;
    renamed.insert(key_at + entry.key.size(), "x");
    Expect("rename", renamed, entry.key_mark, path + "x", "unknown key; did you mean `" + entry.key + "`?");
    if (field.rules.required) Expect("delete", renamed, parent.mark, path, "is required");
  }

  void List(const YamlTree::Node& value, const ListType& list, const std::string& path) {
    if (list.element.section == nullptr) return Retype(value, path, "{x: 1}", "must be a list, not a mapping");
    for (std::size_t i = 0; i < value.entries.size(); ++i) {
      Section(tree_.at(value.entries[i].value), *list.element.section, path + "[" + std::to_string(i) + "].");
    }
  }

  std::string WithValue(const YamlTree::Node& value, const std::string& replacement) const {
    const std::size_t begin = Offset(value.mark);
    return std::string(text_).replace(begin, text_.find('\n', begin) - begin, replacement);
  }

  void Retype(const YamlTree::Node& value, const std::string& path, const std::string& replacement,
              const std::string& message) {
    Expect("retype", WithValue(value, replacement), value.mark, path, message);
    // Without a value, the place is the key's: find the path only.
    const LoadResult result = LoadText(WithValue(value, "~"), "f");
    EXPECT_NE(Errors(result).find(path + ": has no value"), std::string::npos) << path;
    ++counts["no value"];
  }

  void OutOfRange(const YamlTree::Node& value, const Field& field, const std::string& path) {
    const ScalarType& type = *field.type.scalar;
    const Facts facts = type.facts();
    if (!facts.words.empty() && !facts.open) {
      Expect("out of range", WithValue(value, "nonsense"), value.mark, path, "must be one of ");
    } else if (type.bound != nullptr && *type.bound->unit == '\0') {
      if (field.rules.min > 0)
        Expect("out of range", WithValue(value, type.bound->spell(0)), value.mark, path, "must be between ");
      Expect("out of range", WithValue(value, type.bound->spell(field.rules.max + 1'000'000'000)), value.mark, path,
             "");
      Expect("out of range", WithValue(value, "-1"), value.mark, path, "must not be negative");
      Expect("out of range", WithValue(value, ".nan"), value.mark, path, "must be a");
    } else if (type.bound != nullptr && field.rules.max != Rules::kNoMax) {
      const std::string long_text(static_cast<std::size_t>(field.rules.max) + 1, 'a');
      Expect("out of range", WithValue(value, long_text), value.mark, path, "must be between ");
    }
  }

  std::string text_;
  YamlTree tree_;
};

TEST(ConfigFaults, G_01_EveryKeyMutatedIsRefusedWithItsPlace) {
  Mutations mutations;
  mutations.Run();
  int total = 0;
  for (const auto& [kind, count] : mutations.counts) total += count;
  EXPECT_GE(total, 200);
  for (const char* kind : {"delete", "rename", "retype", "out of range", "duplicate", "no value"})
    EXPECT_GT(mutations.counts[kind], 5) << kind;
}

TEST(ConfigFaults, G_01_DamagedBytesNeverCrashAndAlwaysDecide) {
  const std::string whole = ReadText(SourcePath("config/examples/mixed-fleet.yaml"));
  constexpr std::string_view kBytes = "\n\t \"'[]{}:,-#&*!|>%@`?~0aZ\\\x80";
  Prng prng(7);
  int refused = 0;
  for (int round = 0; round < 1000; ++round) {
    std::string text = whole;
    for (std::uint64_t edits = 1 + prng.Below(4); edits > 0; --edits) {
      const std::size_t at = prng.Below(text.size());
      switch (prng.Below(4)) {
        case 0: text[at] = kBytes[prng.Below(kBytes.size())]; break;
        case 1: text.insert(at, 1, kBytes[prng.Below(kBytes.size())]); break;
        case 2: text.erase(at, 1 + prng.Below(20)); break;
        default: text.resize(at + 1); break;
      }
    }
    const LoadResult result = LoadText(text, "f", {.environment = [](const char*) { return "x"; }});
    ASSERT_EQ(result.ok(), result.errors.empty()) << text;
    refused += result.ok() ? 0 : 1;
    for (const Problem& problem : result.errors) ASSERT_FALSE(problem.path.empty() || problem.message.empty()) << text;
  }
  EXPECT_GT(refused, 500);
}

}  // namespace
}  // namespace penstock::config
