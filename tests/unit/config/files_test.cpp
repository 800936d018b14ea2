#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "support.hpp"

namespace penstock::config {
namespace {

/// A folder that goes with the test.
class ConfigFile : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "penstock-config-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string Path(std::string_view name) const { return folder_ + "/" + std::string(name); }

  std::string Write(std::string_view name, std::string_view text, mode_t mode = 0600) const {
    std::string path = Path(name);
    std::ofstream(path, std::ios::binary) << text;
    chmod(path.c_str(), mode);
    return path;
  }

  std::string folder_;
};

std::string WithKey(std::string_view key) {
  return std::string(kSmallest) + "admin:\n  key: \"" + std::string(key) + "\"\n";
}

LoadOptions TestEnvironment() {
  return {.environment = [](const char* name) -> const char* {
    const std::string_view wanted(name);
    if (wanted == "KEY") return "env-canary";
    if (wanted == "DOLLAR") return "a$";
    if (wanted == "EMPTY") return "";
    if (wanted == "BLANK") return "a b";
    if (wanted == "FILE") return "file:/etc/hostname";
    return nullptr;
  }};
}

TEST_F(ConfigFile, IsReadWithItsNameInErrors) {
  EXPECT_TRUE(LoadFile(Write("ok.yaml", kSmallest)).ok());
  const std::string path = Write("bad.yaml", "x: 1\n");
  const LoadResult result = LoadFile(path);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.errors[0].file, path);
}

TEST_F(ConfigFile, G_08_MissingEmptyFolderAndPipeAreErrors) {
  EXPECT_EQ(Errors(LoadFile(Path("none"))), "1:1: (file): cannot be opened: No such file or directory\n");
  EXPECT_EQ(Errors(LoadFile(Write("empty.yaml", ""))), "1:1: (file): is empty\n");
  EXPECT_EQ(Errors(LoadFile(folder_)), "1:1: (file): is not a regular file\n");
  ASSERT_EQ(mkfifo(Path("pipe").c_str(), 0600), 0);
  EXPECT_EQ(Errors(LoadFile(Path("pipe"))), "1:1: (file): is not a regular file\n");
}

TEST_F(ConfigFile, G_08_EveryCutOfAFileIsRefusedOrWhole) {
  const std::string whole = "# a comment\n" + std::string(kSmallest) + "log:\n  level: debug\n";
  const std::size_t smallest_end = whole.find("log:");
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const LoadResult result = LoadText(std::string_view(whole).substr(0, size), "cut");
    // What may load: a file cut behind its last required value. A cut inside that value cannot be told from a
    // shorter one.
    if (result.ok()) {
      EXPECT_GE(size, smallest_end - sizeof("127.0.0.1:9001\n")) << size;
    }
    EXPECT_EQ(result.ok(), result.errors.empty());
  }
}

TEST_F(ConfigFile, G_11_AGigabyteIsRefusedBySizeAlone) {
  const std::string path = Write("huge.yaml", "a: 1\n");
  ASSERT_EQ(truncate(path.c_str(), 1 << 30), 0);
  EXPECT_EQ(Errors(LoadFile(path)), "1:1: (file): is larger than 16MiB\n");
}

TEST_F(ConfigFile, G_11_TooManyBackendsAreRefusedBeforeTheyCost) {
  std::string text =
      "models: [{name: m, cluster: c}]\nserver: {listeners: [{address: 127.0.0.1:80}]}\nclusters:\n  - name: "
      "c\n    endpoints:\n";
  const std::string head = text;
  for (int i = 0; i < 1025; ++i) text += "      - url: http://h" + std::to_string(i) + "\n";
  EXPECT_EQ(Errors(LoadText(text, "f")), "6:7: clusters[0].endpoints: has 1025 elements; at most 1024 are taken\n");
  for (int i = 1025; i < 300'000; ++i) text += "      - url: http://h" + std::to_string(i) + "\n";
  const LoadResult result = LoadText(text, "f");
  ASSERT_EQ(result.errors.size(), 1u);
  EXPECT_EQ(result.errors[0].message, "more than 500000 values");
  text = head;
  while (text.size() <= kFileBytesMax) text += "      - url: http://h\n";
  EXPECT_EQ(Errors(LoadText(text, "f")), "1:1: (file): is larger than 16MiB\n");
}

TEST_F(ConfigFile, G_11_ErrorsAreBounded) {
  std::string text(kSmallest);
  for (int i = 0; i < 100'000; ++i) text += "unknown" + std::to_string(i) + ": 1\n";
  const LoadResult result = LoadText(text, "f");
  ASSERT_EQ(result.errors.size(), kProblemsMax + 1);
  EXPECT_EQ(result.errors.back().message, "and 99000 more errors");
}

TEST_F(ConfigFile, SecretsComeInlineFromTheEnvironmentAndFromFiles) {
  const auto key = [](const std::string& spelled) {
    const LoadResult result = LoadText(WithKey(spelled), "f", TestEnvironment());
    EXPECT_EQ(Errors(result), "");
    return result.ok() ? std::string(result.config->admin.key.reveal()) : "";
  };
  EXPECT_EQ(key("inline"), "inline");
  EXPECT_EQ(key(""), "");
  EXPECT_EQ(key("${KEY}"), "env-canary");
  EXPECT_EQ(key("a-${KEY}-${KEY}-b"), "a-env-canary-env-canary-b");
  EXPECT_EQ(key("$${KEY}"), "${KEY}");
  EXPECT_EQ(key("${DOLLAR}${KEY}"), "a$env-canary");
  EXPECT_EQ(key("$5"), "$5");
  EXPECT_EQ(key("${FILE}"), "file:/etc/hostname") << "only the configuration itself may ask for a file";
  EXPECT_EQ(key("file:" + Write("a", "from-file\n")), "from-file");
  EXPECT_EQ(key("file:" + Write("b", "from-file\r\n")), "from-file");
  EXPECT_EQ(key("file:" + Write("c", "${KEY}")), "${KEY}") << "a file's text is taken as it is";
  Write("env-canary", "named-by-environment");
  EXPECT_EQ(key("file:" + folder_ + "/${KEY}"), "named-by-environment");
}

TEST_F(ConfigFile, SecretsThatCannotBeReadAreErrors) {
  const auto error = [](const std::string& spelled) {
    const std::string text = Errors(LoadText(WithKey(spelled), "f", TestEnvironment()));
    EXPECT_TRUE(text.starts_with("12:8: admin.key: ")) << text;
    return text.substr(std::min(text.size(), sizeof "12:8: admin.key: " - 1));
  };
  EXPECT_EQ(error("${NOT_SET}"), "needs the environment variable NOT_SET, which is not set\n");
  EXPECT_EQ(error("${EMPTY}"), "needs the environment variable EMPTY, which is empty\n");
  EXPECT_EQ(error("x${KEY"), "has a ${ without its }\n");
  EXPECT_EQ(error("${}"), "has a ${...} that is no environment variable's name\n");
  EXPECT_EQ(error("${BLANK}"), "holds a blank or a byte that is not visible ASCII\n");
  EXPECT_EQ(error("file:" + Path("none")), "names a file that cannot be opened: No such file or directory\n");
  EXPECT_EQ(error("file:" + folder_), "names a file that is not a regular file\n");
  EXPECT_EQ(error("file:" + Write("empty", "\n")), "resolves to nothing\n");
  EXPECT_EQ(error("file:" + Write("large", std::string(kSecretFileBytesMax + 1, 'x'))),
            "names a file that is larger than 64KiB\n");
  EXPECT_EQ(error("file:" + Write("long", std::string(4097, 'x'))), "is longer than 4096 bytes\n");
  EXPECT_EQ(error("file:" + Write("lines", "a\nb\n")), "holds a blank or a byte that is not visible ASCII\n");
}

TEST_F(ConfigFile, G_10_WideSecretFilesAreWarnedOf) {
  for (const mode_t mode : {0600u, 0640u, 0400u, 0440u}) {
    const LoadResult result = LoadText(WithKey("file:" + Write("key", "abc", mode)), "f");
    EXPECT_EQ(Warnings(result), "") << std::oct << mode;
    std::filesystem::remove(Path("key"));
  }
  for (const mode_t mode : {0644u, 0660u, 0604u, 0666u}) {
    const LoadResult result = LoadText(WithKey("file:" + Write("key", "abc", mode)), "f");
    EXPECT_TRUE(result.ok());
    EXPECT_EQ(Warnings(result),
              "12:8: admin.key: the file it names can be used by more than its owner and reading group (mode "
              "wider than 0640)\n")
        << std::oct << mode;
    std::filesystem::remove(Path("key"));
  }
}

TEST_F(ConfigFile, G_10_NoSecretIsEverShown) {
  constexpr std::string_view kCanary = "c4n4ry";
  const auto clean = [&](const std::string& shown) { return shown.find(kCanary) == std::string::npos; };
  std::string good(kSmallest);
  good += "        api_key: sk-c4n4ry-1\nadmin: {key: \"c4n4ry-2\"}\n";
  const LoadResult loaded = LoadText(good, "f");
  ASSERT_TRUE(loaded.ok()) << Errors(loaded);
  EXPECT_EQ(loaded.config->clusters[0].endpoints[0].api_key.reveal(), "sk-c4n4ry-1");
  const std::string dump = Dump(*loaded.config);
  EXPECT_TRUE(clean(dump)) << dump;
  EXPECT_NE(dump.find("key: \"***\""), std::string::npos);
  EXPECT_NE(dump.find("api_key: \"***\""), std::string::npos);
  EXPECT_EQ(testing::PrintToString(loaded.config->admin.key), "***");

  for (const char* value : {"c4n4ry blank", "${c4n4ry", "${c4n4ry-x}", "file:c4n4ry", "[c4n4ry]", "{c4n4ry: c4n4ry}",
                            "|\n    c4n4ry x", "\"c4n4ry\\q\""}) {
    const std::string text = std::string(kSmallest) + "admin:\n  key: " + value + "\n";
    const LoadResult result = LoadText(text, "f");
    EXPECT_FALSE(result.ok()) << text;
    EXPECT_TRUE(clean(Errors(result))) << Errors(result);
  }
  std::string url(kSmallest);
  url.replace(url.find("http://"), 7, "http://user:c4n4ry@");
  EXPECT_TRUE(clean(Errors(LoadText(url, "f")))) << "a password in a URL is a secret too";
  std::string misspelt = std::string(kSmallest) + "admin: {kay: c4n4ry}\n";
  EXPECT_EQ(Errors(LoadText(misspelt, "f")), "11:9: admin.kay: unknown key; did you mean `key`?\n");
}

TEST_F(ConfigFile, OtherWarnings) {
  std::string text(kSmallest);
  text.replace(text.find("http://"), 7, "https://");
  text += "        tls: {verify: false}\n  - {name: spare, endpoints: [{url: http://h}]}\n";
  const LoadResult result = LoadText(text, "f");
  EXPECT_TRUE(result.ok()) << Errors(result);
  EXPECT_EQ(Warnings(result),
            "11:23: clusters[0].endpoints[0].tls.verify: the endpoint's certificate is not checked\n"
            "12:5: clusters[1]: no model uses this cluster\n");
}

TEST_F(ConfigFile, SettingsWithoutEffectAreWarnedOf) {
  const std::string_view smallest = kSmallest;
  const std::size_t clusters = smallest.find("clusters:");
  const auto warnings = [&](std::string_view of_model, std::string_view at_end) {
    const std::string text = std::string(smallest.substr(0, clusters)) + std::string(of_model) +
                             std::string(smallest.substr(clusters)) + std::string(at_end);
    const LoadResult result = LoadText(text, "f");
    EXPECT_TRUE(result.ok()) << Errors(result);
    return Warnings(result);
  };
  const std::string continued =
      "7:13: models[0].rescue: no endpoint of its cluster or of its fallbacks' has assistant_prefill: nothing can be "
      "continued\n";
  EXPECT_EQ(warnings("    rescue: continue\n", ""), continued);
  EXPECT_EQ(warnings("    rescue: restart\n", ""), "");
  EXPECT_EQ(warnings("    rescue: continue\n", "        assistant_prefill: true\n"), "");
  const std::string fallback = "    rescue: continue\n    fallbacks: [n]\n  - name: n\n    cluster: d\n";
  EXPECT_EQ(warnings(fallback, "  - {name: d, endpoints: [{url: http://d}]}\n"), continued);
  EXPECT_EQ(warnings(fallback, "  - {name: d, endpoints: [{url: http://d, assistant_prefill: true}]}\n"), "");
  EXPECT_EQ(
      warnings("    hedge: {after: 100ms}\n", ""),
      "7:12: models[0].hedge: has no effect: its cluster has one endpoint, and a second request goes to another\n");
  EXPECT_EQ(warnings("    hedge: {after: 100ms}\n", "      - url: http://127.0.0.1:9002\n"), "");
  for (const std::string mode : {"cluster", "sentinel, master: m"}) {
    EXPECT_EQ(warnings("", "cache: {redis: {mode: " + mode + "}}\n"),
              "11:23: cache.redis.mode: has no effect without urls: Redis is not used\n");
    EXPECT_EQ(warnings("", "cache: {redis: {mode: " + mode + ", urls: [\"redis://h\"]}}\n"), "");
  }
}

}  // namespace
}  // namespace penstock::config
