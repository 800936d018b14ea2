#include "config/yaml_tree.hpp"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <charconv>
#include <istream>
#include <optional>
#include <streambuf>
#include <utility>

#include "config/yaml_text.hpp"
#include "penstock/base/assert.hpp"
#include "penstock/config/load.hpp"

namespace penstock::config {
namespace {

Mark ToMark(const YAML::Mark& mark) {
  return {static_cast<std::uint32_t>(std::max(mark.line, 0)) + 1,
          static_cast<std::uint32_t>(std::max(mark.column, 0)) + 1};
}

/// Feeds the parser and stops it when it reads on and on without an event: its scanner queues every token of
/// a flow collection until it knows whether the collection is a key, at some hundred bytes a token. Owned by
/// one Worker.
class BoundedSource : public std::streambuf {
 public:
  explicit BoundedSource(std::string_view text) : rest_(text), end_(EndOf(text)) {}

  void Progress() { pending_ = 0; }

 protected:
  int_type underflow() override {
    if (rest_.empty()) rest_ = std::exchange(end_, {});
    if (rest_.empty()) return traits_type::eof();
    const std::size_t size = std::min(rest_.size(), sizeof block_);
    pending_ += size;
    if (pending_ > kPendingBytesMax) throw YamlError{{}, "a flow collection or scalar of more than 1MiB"};
    rest_.copy(block_, size);
    rest_.remove_prefix(size);
    setg(block_, block_, block_ + size);
    return traits_type::to_int_type(block_[0]);
  }

 private:
  /// The scanner takes the end of the file for a closing quote where it comes behind a line end or blanks, not within
  /// a line. So the last line always has something: a comment, except where it is inside quotes.
  static std::string_view EndOf(std::string_view text) {
    const std::size_t last = text.find_last_not_of(" \t");
    if (last == std::string_view::npos || text[last] != '\n') return {};
    return last + 1 == text.size() ? "#" : "\n#";
  }

  std::string_view rest_;
  std::string_view end_;
  std::size_t pending_ = 0;
  char block_[2048];
};

}  // namespace

/// Turns the parser's events into a YamlTree; throws YamlError, caught in Parse(). Owned by one Worker.
class TreeBuilder : public YAML::EventHandler {
 public:
  explicit TreeBuilder(BoundedSource& source) : source_(source) {}

  /// Where the last value that was read begins.
  const Mark& last() const noexcept { return last_; }

  YamlTree Take() {
    PENSTOCK_ASSERT(open_.empty() && !tree_.nodes_.empty());
    return std::move(tree_);
  }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (documents_++ > 0) throw YamlError{ToMark(mark), "a second YAML document; one file holds one configuration"};
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const Index index = NewNode(Node::Kind::kNull, mark);
    Remember(anchor, index);
    Place(index);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    CheckTag(mark, tag);
    const Index index = NewNode(Node::Kind::kScalar, mark);
    tree_.nodes_[index].text = value;
    tree_.nodes_[index].quoted = tag == "!";
    Remember(anchor, index);
    Place(index);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    source_.Progress();
    const std::optional<Index> target = anchor < anchors_.size() ? anchors_[anchor] : std::nullopt;
    if (!target) throw YamlError{ToMark(mark), "an alias inside the value it stands for"};
    const Node& node = tree_.nodes_[*target];
    Charge(mark, node.nodes);
    if (open_.size() + node.depth > kDepthMax) throw TooDeep(mark);
    Place(*target);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Open(Node::Kind::kList, mark, tag, anchor);
  }
  void OnSequenceEnd() override { Close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    Open(Node::Kind::kMap, mark, tag, anchor);
  }
  void OnMapEnd() override { Close(); }

 private:
  using Node = YamlTree::Node;
  using Index = YamlTree::Index;

  struct OpenCollection {
    Index index;
    YAML::anchor_t anchor;
    bool has_key = false;  ///< a map's key was read, its value is next
  };

  static YamlError TooDeep(const YAML::Mark& mark) {
    return {ToMark(mark), "nested deeper than " + std::to_string(kDepthMax) + " levels"};
  }

  static void CheckTag(const YAML::Mark& mark, const std::string& tag) {
    if (tag != "?" && tag != "!" && !tag.empty()) throw YamlError{ToMark(mark), "YAML tags are not taken"};
  }

  void Charge(const YAML::Mark& mark, std::uint32_t nodes) {
    charged_ += nodes;
    if (charged_ > kNodesMax) throw YamlError{ToMark(mark), "more than " + std::to_string(kNodesMax) + " values"};
  }

  Index NewNode(Node::Kind kind, const YAML::Mark& mark) {
    source_.Progress();
    Charge(mark, 1);
    Node node;
    node.kind = kind;
    node.mark = last_ = ToMark(mark);
    tree_.nodes_.push_back(std::move(node));
    return static_cast<Index>(tree_.nodes_.size() - 1);
  }

  void Remember(YAML::anchor_t anchor, Index index) {
    if (anchor == 0) return;
    if (anchor >= anchors_.size()) anchors_.resize(anchor + 1);
    anchors_[anchor] = index;
  }

  void Open(Node::Kind kind, const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    CheckTag(mark, tag);
    if (open_.size() == kDepthMax) throw TooDeep(mark);
    open_.push_back({NewNode(kind, mark), anchor});
  }

  void Close() {
    const OpenCollection closed = open_.back();
    open_.pop_back();
    Node& node = tree_.nodes_[closed.index];
    for (const YamlTree::Entry& entry : node.entries) {
      const Node& child = tree_.nodes_[entry.value];
      node.nodes += child.nodes;
      node.depth = std::max(node.depth, child.depth);
    }
    ++node.depth;
    Remember(closed.anchor, closed.index);
    Place(closed.index);
  }

  /// Hangs a finished node into the innermost open collection.
  void Place(Index index) {
    if (open_.empty()) {
      tree_.root_ = index;
      return;
    }
    OpenCollection& top = open_.back();
    std::vector<YamlTree::Entry>& entries = tree_.nodes_[top.index].entries;
    Node& node = tree_.nodes_[index];
    if (tree_.nodes_[top.index].kind == Node::Kind::kList) {
      entries.push_back({{}, node.mark, index});
    } else if (!top.has_key) {
      if (node.kind != Node::Kind::kScalar) throw YamlError{node.mark, "a key must be plain text"};
      entries.push_back({node.text, node.mark, 0});
      top.has_key = true;
    } else {
      // The parser places a missing value at the token after it, often on the next line: its key is where to
      // look.
      if (node.kind == Node::Kind::kNull) node.mark = entries.back().key_mark;
      entries.back().value = index;
      top.has_key = false;
    }
  }

  BoundedSource& source_;
  Mark last_;
  YamlTree tree_;
  std::vector<OpenCollection> open_;
  std::vector<std::optional<Index>> anchors_;  ///< by the parser's number; empty while the anchored value is open
  std::uint64_t charged_ = 0;
  int documents_ = 0;
};

Result<YamlTree, YamlError> YamlTree::Parse(std::string_view text) {
  if (auto problem = CheckYamlText(text)) return *std::move(problem);
  BoundedSource source(text);
  std::istream in(&source);
  TreeBuilder builder(source);
  try {
    YAML::Parser parser(in);
    if (!parser.HandleNextDocument(builder)) return YamlError{{}, "the file holds no configuration"};
    parser.HandleNextDocument(builder);
    return builder.Take();
  } catch (const YamlError& problem) {
    return problem;
  } catch (const YAML::Exception& problem) {
    if (problem.msg == YAML::ErrorMsg::EOF_IN_SCALAR)
      return YamlError{builder.last(), "a quote that is opened here or behind is never closed"};
    return YamlError{ToMark(problem.mark), problem.msg};
  } catch (const std::exception&) {
    return YamlError{{}, "the YAML parser gave up"};
  }
}

Mark YamlTree::Locate(std::string_view path) const {
  const Node* node = &root();
  Mark mark = node->mark;
  while (!path.empty()) {
    const Entry* found = nullptr;
    if (path.front() == '[') {
      std::size_t index = 0;
      std::from_chars(path.data() + 1, path.data() + path.size(), index);
      if (node->kind == Node::Kind::kList && index < node->entries.size()) found = &node->entries[index];
      path.remove_prefix(path.find(']') + 1);
    } else {
      if (path.front() == '.') path.remove_prefix(1);
      const std::string_view key = path.substr(0, path.find_first_of(".["));
      for (const Entry& entry : node->entries) {
        if (node->kind == Node::Kind::kMap && entry.key == key) found = &entry;
      }
      path.remove_prefix(key.size());
    }
    if (found == nullptr) return mark;
    node = &at(found->value);
    mark = node->mark;
  }
  return mark;
}

}  // namespace penstock::config
