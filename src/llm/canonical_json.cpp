#include "penstock/llm/canonical_json.hpp"

#include "llm/json/workspace.hpp"

namespace penstock::llm {
namespace {

bool IsAside(std::string_view key) noexcept {
  switch (key.size()) {
    case 4: return key == "user";
    case 5: return key == "model";
    case 6: return key == "stream";
    case 14: return key == "stream_options";
    default: return false;
  }
}

}  // namespace

bool WriteCanonicalBody(const RequestView& request, JsonParser& parser, ByteSink sink) {
  JsonParser::Workspace& workspace = parser.workspace();
  if (request.parser_ != &workspace || request.text_ != workspace.text) {
    if (!workspace.Index(request.body)) return false;
  }
  if (workspace.sorted()) {
    workspace.canonical.WriteSorted(workspace.document, IsAside, sink);
  } else {
    workspace.canonical.Write(workspace.document, IsAside, sink);
  }
  workspace.Trim();
  return true;
}

}  // namespace penstock::llm
