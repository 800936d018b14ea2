#pragma once

#include <string>

#include "config/problems.hpp"
#include "config/type.hpp"
#include "config/yaml_tree.hpp"

namespace penstock::config {

/// Walks a tree and a table together and fills the struct; every departure is a problem, none stops the walk.
/// Owned by one Worker.
class Reader {
 public:
  Reader(const YamlTree& tree, Problems& problems, const LoadOptions& options);

  void Read(const SectionType& section, void* value);

 private:
  using Node = YamlTree::Node;

  void ReadValue(const Node& node, const Field& field, const Type& type, void* value);
  void ReadScalar(const Node& node, const Field& field, const ScalarType& type, void* value);
  void ReadList(const Node& node, const Field& field, const ListType& type, void* value);
  void ReadSection(const Node& node, const SectionType& section, void* value);
  void ReadEntry(const YamlTree::Entry& entry, const SectionType& section, std::vector<Mark>& seen, void* value);
  void UnknownKey(const YamlTree::Entry& entry, const SectionType& section);
  void Report(Mark mark, std::string message) {
    problems_.Error(mark, path_.empty() ? "(file)" : path_, std::move(message));
  }

  const YamlTree& tree_;
  Problems& problems_;
  const char* (*environment_)(const char* name);
  std::string path_;  ///< of the value being read
};

}  // namespace penstock::config
