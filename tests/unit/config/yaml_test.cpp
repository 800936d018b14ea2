#include "config/yaml_tree.hpp"
#include "support.hpp"

namespace penstock::config {
namespace {

struct Case {
  const char* name;
  std::string yaml;
  std::string error;  ///< the only one
};

class YamlFaults : public testing::TestWithParam<Case> {};

TEST_P(YamlFaults, AreOneErrorWithItsPlace) {
  const LoadResult result = LoadText(GetParam().yaml, "f.yaml");
  EXPECT_FALSE(result.ok());
  EXPECT_EQ(Errors(result), GetParam().error + "\n");
}

std::string CaseName(const testing::TestParamInfo<Case>& info) { return info.param.name; }

std::string Deep(std::size_t levels, char open, char close) {
  return "a: " + std::string(levels, open) + std::string(levels, close);
}

std::string DeepBlock(std::size_t levels) {
  std::string text;
  for (std::size_t i = 0; i < levels; ++i) text += std::string(i, ' ') + "a:\n";
  return text;
}

/// Each level names the one before `fan` times: fan^levels values in a few bytes.
std::string AliasBomb(int levels, int fan) {
  std::string text = "a0: &a0 x\n";
  for (int i = 1; i <= levels; ++i) {
    text += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int j = 0; j < fan; ++j) text += (j ? ", *a" : "*a") + std::to_string(i - 1);
    text += "]\n";
  }
  return text;
}

// clang-format off
INSTANTIATE_TEST_SUITE_P(Text, YamlFaults, testing::Values(
    Case{"G_08_ZeroBytes", "", "1:1: (file): is empty"},
    Case{"G_08_OnlyBlanks", "  \n\n", "1:1: (syntax): the file holds no configuration"},
    Case{"G_08_OnlyComments", "# nothing\n", "1:1: (syntax): the file holds no configuration"},
    Case{"OnlyADocumentStart", "---\n", "1:1: (file): the file holds no configuration"},
    Case{"G_08_CutInAFlowMap", "server: {workers: 1, ", "1:1: (syntax): end of map flow not found"},
    Case{"G_08_CutInAString", "admin:\n  key: \"abc", "2:3: (syntax): a quote that is opened here or behind is never closed"},
    Case{"QuoteLeftOpen", "admin:\n  key: \"abc\n", "2:3: (syntax): a quote that is opened here or behind is never closed"},
    Case{"QuoteLeftOpenAboveOthers", "a: 1\nadmin:\n  key: 'abc\nlog: {}\n\n", "3:3: (syntax): a quote that is opened here or behind is never closed"},
    Case{"QuoteLeftOpenBeforeBlanks", "admin:\n  key: \"abc\n  \t", "2:3: (syntax): a quote that is opened here or behind is never closed"},
    Case{"TabIndentation", "a:\n\tb: 1\n", "2:3: (syntax): illegal map value"},
    Case{"LooseBracket", "a: ]\n", "1:4: (syntax): illegal flow end"},
    Case{"TwoDocuments", "a: 1\n---\nb: 2\n", "2:1: (syntax): a second YAML document; one file holds one configuration"},
    Case{"TextAfterTheDocument", "{a: 1}\nb\n", "2:1: (syntax): a second YAML document; one file holds one configuration"},
    Case{"Tag", "a: !!int 5\n", "1:4: (syntax): YAML tags are not taken"},
    Case{"TagOnAMap", "!thing {a: 5}\n", "1:1: (syntax): YAML tags are not taken"},
    Case{"ListAsKey", "? [a]\n: b\n", "1:3: (syntax): a key must be plain text"},
    Case{"NullAsKey", "a: 1\n: b\n", "2:1: (syntax): a key must be plain text"},
    Case{"AliasOfNothing", "a: *b\n", "1:4: (syntax): the referenced anchor is not defined"},
    Case{"AliasOfItself", "a: &a [*a]\n", "1:8: (syntax): an alias inside the value it stands for"},
    Case{"NotUtf8", "a: \"\xc3\x28\"\n", "1:5: (syntax): a byte that is not UTF-8"},
    Case{"Surrogate", "a: \xed\xa0\x80\n", "1:4: (syntax): a byte that is not UTF-8"},
    Case{"OverlongSlash", "a: \xc0\xaf\n", "1:4: (syntax): a byte that is not UTF-8"},
    Case{"Utf16", std::string("\xff\xfe" "a\0:\0", 6), "1:1: (syntax): a byte that is not UTF-8"},
    Case{"ByteTheParserTakesForTheEnd", "log: {level: info}\n# \x04\ncache: 1\n", "2:3: (syntax): a control byte"},
    Case{"Nul", std::string("a: b\0c\n", 7), "1:5: (syntax): a control byte"},
    Case{"LoneCarriageReturn", "a: 1\rb: 2\n", "1:5: (syntax): a control byte"},
    Case{"RootIsAList", "- a\n", "1:1: (file): must be a mapping of keys to values, not a list"},
    Case{"RootIsText", "hello\n", "1:1: (file): must be a mapping of keys to values, not a single value"}),
    CaseName);

INSTANTIATE_TEST_SUITE_P(Bounds, YamlFaults, testing::Values(
    Case{"G_11_FlowDepth", Deep(64, '[', ']'), "1:67: (syntax): nested deeper than 64 levels"},
    Case{"G_11_FlowDepthOpenOnly", "a: " + std::string(400, '['), "1:36: (syntax): nested deeper than 64 levels"},
    Case{"G_11_BlockDepth", DeepBlock(65), "65:65: (syntax): nested deeper than 64 levels"},
    Case{"G_11_AMillionBrackets", "a: " + std::string(3'000'000, '['), "1:1: (syntax): a flow collection or scalar of more than 1MiB"},
    Case{"G_11_AliasBomb", AliasBomb(9, 9), "7:40: (syntax): more than 500000 values"},
    Case{"G_11_AliasDepth", "a0: &a0 x\n" + [] {
       std::string text;
       for (int i = 1; i <= 70; ++i) text += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [*a" + std::to_string(i - 1) + "]\n";
       return text;
     }(), "65:12: (syntax): nested deeper than 64 levels"},
    Case{"G_11_LongScalar", "a: " + std::string(2 * kMiB, 'x'), "1:1: (syntax): a flow collection or scalar of more than 1MiB"},
    Case{"G_11_LongComment", "#" + std::string(2 * kMiB, 'x'), "1:1: (syntax): a flow collection or scalar of more than 1MiB"},
    Case{"G_11_TooLarge", "a: 1\n" + std::string(kFileBytesMax, '\n'), "1:1: (file): is larger than 16MiB"}),
    CaseName);
// clang-format on

TEST(YamlBounds, AreNotReachedByWhatIsJustBelow) {
  EXPECT_TRUE(YamlTree::Parse(Deep(63, '[', ']')).has_value());
  EXPECT_TRUE(YamlTree::Parse(DeepBlock(64)).has_value());
  EXPECT_TRUE(YamlTree::Parse(AliasBomb(5, 9)).has_value());
}

TEST(YamlText, WindowsLineEndsAndAByteOrderMarkAreTaken) {
  std::string text(kSmallest);
  for (std::size_t at = 0; (at = text.find('\n', at)) != std::string::npos; at += 2) text.replace(at, 1, "\r\n");
  EXPECT_EQ(Errors(LoadText(text, "f")), "");
  EXPECT_EQ(Errors(LoadText("\xef\xbb\xbf" + std::string(kSmallest), "f")), "");
}

TEST(YamlText, QuotesOverSeveralLinesAndTextAtTheEndAreTaken) {
  const struct {
    const char* yaml;
    const char* text;
  } rows[] = {
      {"a: \"b\n  c\"\n", "b c"},  {"a: \"b\"", "b"},     {"a: 'b'\n  ", "b"},       {"a: |\n  b\n", "b\n"},
      {"a: |+\n  b\n\n", "b\n\n"}, {"a: it's\n", "it's"}, {"a: >-\n  \"b\n", "\"b"}, {"a: b # \"c\n", "b"},
  };
  for (const auto& row : rows) {
    const auto tree = YamlTree::Parse(row.yaml);
    ASSERT_TRUE(tree.has_value()) << row.yaml;
    EXPECT_EQ(tree->at(tree->root().entries[0].value).text, row.text) << row.yaml;
  }
}

TEST(YamlTree, LocatesValuesAndTheNearestAbove) {
  const auto tree = YamlTree::Parse("a:\n  - b: 1\n    c: {d: 2}\n");
  ASSERT_TRUE(tree.has_value());
  const auto at = [&](std::string_view path) {
    const Mark mark = tree->Locate(path);
    return std::to_string(mark.line) + ":" + std::to_string(mark.column);
  };
  EXPECT_EQ(at("a[0].c.d"), "3:12");
  EXPECT_EQ(at("a[0].c.missing"), "3:8");
  EXPECT_EQ(at("a[7].c"), "2:3");
  EXPECT_EQ(at("z"), "1:1");
  EXPECT_EQ(at("a.b"), "2:3");
}

}  // namespace
}  // namespace penstock::config
