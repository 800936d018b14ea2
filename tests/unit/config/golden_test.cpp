#include <filesystem>

#include "support.hpp"

namespace penstock::config {
namespace {

TEST(ConfigGolden, AnnotatedDefaultsAreTheFileInConfig) { ExpectGolden("config/penstock.yaml", AnnotatedDefaults()); }
TEST(ConfigGolden, ReferencePageIsTheFileInDocs) { ExpectGolden("docs/configuration.md", ReferencePage()); }
TEST(ConfigGolden, SchemaNamesEveryKey) { ExpectGolden("tests/golden/config_schema.json", JsonSchema()); }

TEST(ConfigGolden, DumpOfTheSmallestConfigShowsEveryDefault) {
  const LoadResult result = LoadText(kSmallest, "smallest.yaml");
  ASSERT_TRUE(result.ok()) << Errors(result);
  ExpectGolden("tests/golden/config_dump.yaml", Dump(*result.config));
}

TEST(ConfigFiles, EveryFileInConfigLoadsWithoutWarning) {
  const LoadOptions options{.environment = [](const char*) { return "from-the-environment"; }};
  int files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(SourcePath("config"))) {
    if (entry.path().extension() != ".yaml") continue;
    SCOPED_TRACE(entry.path());
    const LoadResult result = LoadFile(entry.path(), options);
    EXPECT_TRUE(result.ok()) << Errors(result);
    EXPECT_EQ(Warnings(result), "");
    ++files;
  }
  EXPECT_GE(files, 6);
}

}  // namespace
}  // namespace penstock::config
