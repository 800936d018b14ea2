// The canonical form of any body that is accepted: it must be JSON with the same members, sorted, whatever the body's
// order and white space, and be its own canonical form.

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "penstock/llm/canonical_json.hpp"
#include "unit/llm/exact_copy.hpp"
#include "unit/llm/reference_json.hpp"

namespace {

using namespace penstock;
using namespace penstock::llm;

void Require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

std::string Canonical(const RequestView& view, JsonParser& parser) {
  std::string text;
  Require(WriteCanonicalBody(view, parser, [&](std::string_view piece) { text += piece; }), "no index");
  return text;
}

bool Aside(std::string_view key) {
  return key == "model" || key == "stream" || key == "stream_options" || key == "user";
}

/// Sorts every object's members and, at the top, leaves out what the canonical form does.
void Sort(test::Value& value, bool top) {
  if (top) std::erase_if(value.members, [](const auto& member) { return Aside(member.first); });
  std::sort(value.members.begin(), value.members.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  for (auto& [name, member] : value.members) Sort(member, false);
  for (test::Value& item : value.items) Sort(item, false);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  static JsonParser parser(42);
  static JsonParser other(43);
  const test::ExactCopy body({reinterpret_cast<const char*>(bytes), size});
  const auto view = ParseRequest(Family::kTokenize, body.view(), parser);
  if (view.has_error()) return 0;
  const std::string text = Canonical(*view, parser);
  Require(text == Canonical(*view, other), "an index made anew gives another form");
  auto expected = test::ReferenceParser::Parse(body.view());
  Sort(expected.value, true);
  const auto actual = test::ReferenceParser::Parse(text);
  Require(actual.json && !actual.duplicate_key, "the canonical form is not JSON");
  Require(actual.value == expected.value, "the canonical form says something else, or in another order");
  const test::ExactCopy again(text);
  const auto second = ParseRequest(Family::kTokenize, again.view(), parser);
  Require(second.has_value() && Canonical(*second, parser) == text, "the canonical form's own is another");
  return 0;
}
