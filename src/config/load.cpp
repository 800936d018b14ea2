#include "penstock/config/load.hpp"

#include "config/check.hpp"
#include "config/problems.hpp"
#include "config/read_file.hpp"
#include "config/reader.hpp"
#include "config/yaml_tree.hpp"

namespace penstock::config {

LoadResult LoadText(std::string_view text, std::string_view name, const LoadOptions& options) {
  Problems problems(name);
  LoadResult result;
  Config config;
  if (text.empty()) {
    problems.Error({}, "(file)", "is empty");
  } else if (text.size() > kFileBytesMax) {
    problems.Error({}, "(file)", "is larger than " + PrintSize(kFileBytesMax));
  } else if (auto tree = YamlTree::Parse(text); !tree.has_value()) {
    problems.Error(tree.error().mark, "(syntax)", tree.error().message);
  } else {
    Reader(*tree, problems, options).Read(ConfigSection(), &config);
    Complete(config);
    Check(config, *tree, problems);
    result.problem_at = [file = std::string(name), kept = std::move(*tree)](const std::string& path,
                                                                            std::string message) {
      const Mark mark = kept.Locate(path);
      return Problem{file, mark.line, mark.column, path, std::move(message)};
    };
  }
  if (!problems.any()) result.config = std::move(config);
  problems.MoveTo(result);
  return result;
}

LoadResult LoadFile(const std::string& path, const LoadOptions& options) {
  FileText file;
  const std::string problem = ReadFile(path, kFileBytesMax, file);
  if (problem.empty()) return LoadText(file.text, path, options);
  Problems problems(path);
  problems.Error({}, "(file)", problem);
  LoadResult result;
  problems.MoveTo(result);
  return result;
}

}  // namespace penstock::config
