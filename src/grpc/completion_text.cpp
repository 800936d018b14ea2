#include "grpc/completion_text.hpp"

#include <boost/json/monotonic_resource.hpp>
#include <boost/json/parse.hpp>
#include <limits>

namespace penstock::grpc {
namespace {

namespace json = boost::json;

std::string TextOf(const json::object& object, std::string_view name) {
  const json::value* const member = object.if_contains({name.data(), name.size()});
  const json::string* const text = member == nullptr ? nullptr : member->if_string();
  return text == nullptr ? std::string() : std::string(text->data(), text->size());
}

}  // namespace

std::optional<std::vector<CompletionChoice>> ReadCompletion(std::string_view text, llm::JsonParser&) {
  unsigned char memory[4096];
  json::monotonic_resource resource(memory);
  json::parse_options options;
  options.max_depth = llm::kJsonDepthDefault;
  options.allow_invalid_utf8 = true;
  json::error_code error;
  const json::value document = json::parse({text.data(), text.size()}, error, &resource, options);
  const json::object* const object = document.if_object();
  if (error || object == nullptr) return std::nullopt;

  std::vector<CompletionChoice> choices;
  const json::value* const member = object->if_contains("choices");
  const json::array* const array = member == nullptr ? nullptr : member->if_array();
  if (array == nullptr) return choices;
  for (const json::value& element : *array) {
    const json::object* const choice = element.if_object();
    if (choice == nullptr) continue;
    CompletionChoice& read = choices.emplace_back();
    read.index = static_cast<std::uint32_t>(choices.size() - 1);
    if (const json::value* index = choice->if_contains("index"); index != nullptr && index->is_int64()) {
      const std::int64_t value = index->get_int64();
      if (value >= 0 && value <= std::numeric_limits<std::uint32_t>::max()) {
        read.index = static_cast<std::uint32_t>(value);
      }
    }
    read.text = TextOf(*choice, "text");
    read.finish_reason = TextOf(*choice, "finish_reason");
  }
  return choices;
}

}  // namespace penstock::grpc
