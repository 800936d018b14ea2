#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "penstock/base/result.hpp"

namespace penstock::config {

/// A place in the file, from 1; columns count bytes.
struct Mark {
  std::uint32_t line = 1;
  std::uint32_t column = 1;
};

struct YamlError {
  Mark mark;
  std::string message;
};

[[noreturn]] inline void throw_exception_from_error(const YamlError& error, const boost::source_location& where) {
  (void)error;
  (void)where;
  __builtin_trap();
}

/// One YAML document as read: order, duplicates and places kept, nothing interpreted. Immutable once parsed.
class YamlTree {
 public:
  using Index = std::uint32_t;

  struct Entry {
    std::string key;  ///< empty in a list
    Mark key_mark;
    Index value = 0;
  };

  struct Node {
    enum class Kind : std::uint8_t { kNull, kScalar, kMap, kList };
    Kind kind = Kind::kNull;
    bool quoted = false;  ///< a scalar in quotes or a block scalar
    Mark mark;
    std::string text;            ///< of a scalar
    std::vector<Entry> entries;  ///< of a map or a list
    std::uint32_t nodes = 1;     ///< of the subtree, every alias counted in full
    std::uint32_t depth = 0;     ///< levels of collections below and including this node
  };

  /// Parses exactly one document within the bounds of load.hpp. Anchors and aliases are taken (an alias
  /// shares its node); tags, further documents, complex keys and control bytes are refused.
  static Result<YamlTree, YamlError> Parse(std::string_view text);

  const Node& root() const { return nodes_[root_]; }
  const Node& at(Index index) const { return nodes_[index]; }

  /// The place of `clusters[0].endpoints[1].url`, or of the nearest value above it that the file has.
  Mark Locate(std::string_view path) const;

 private:
  friend class TreeBuilder;
  std::vector<Node> nodes_;
  Index root_ = 0;
};

}  // namespace penstock::config
