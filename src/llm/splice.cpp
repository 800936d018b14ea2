#include "penstock/llm/splice.hpp"

#include <algorithm>

#include "llm/json/string.hpp"
#include "penstock/base/assert.hpp"

namespace penstock::llm {
namespace {

/// Replace body[begin, begin + size) by `with`; size 0 inserts.
struct Edit {
  std::uint32_t begin = 0;
  std::uint32_t size = 0;
  std::string_view with;
};

constexpr std::string_view kStream = R"(,"stream":true)";
constexpr std::string_view kOptions = R"(,"stream_options":{"include_usage":true})";
constexpr std::string_view kBoth = R"(,"stream":true,"stream_options":{"include_usage":true})";

/// Owned by one Worker. The edits of one body, at most one for each change and one for what is appended.
class Edits {
 public:
  Edits(const RequestView& request, const SpliceRules& rules) noexcept {
    if (!rules.model_json.empty() && request.model_token) Replace(request.model_token, rules.model_json);
    const bool stream = rules.force_stream && !request.stream;
    const bool usage = rules.include_usage && HasDone(request.family) && !request.include_usage;
    if (stream && request.stream_token) Replace(request.stream_token, "true");
    if (usage && request.stream_options) SetIncludeUsage(request);
    const bool append_stream = stream && !request.stream_token;
    const bool append_options = usage && !request.stream_options;
    if (append_stream || append_options) {
      std::string_view text = !append_options ? kStream : append_stream ? kBoth : kOptions;
      if (request.empty) text.remove_prefix(1);
      Add({request.end, 0, text});
    }
    std::sort(edits_.begin(), edits_.begin() + static_cast<std::ptrdiff_t>(count_),
              [](const Edit& a, const Edit& b) { return a.begin < b.begin; });
  }

  std::span<const Edit> list() const noexcept { return {edits_.data(), count_}; }

 private:
  void Add(const Edit& edit) noexcept { edits_[count_++] = edit; }
  void Replace(Span span, std::string_view with) noexcept { Add({span.begin, span.size, with}); }

  void SetIncludeUsage(const RequestView& request) noexcept {
    const std::string_view options = request.stream_options.In(request.body);
    if (options.front() != '{') return Replace(request.stream_options, R"({"include_usage":true})");
    if (request.include_usage_token) return Replace(request.include_usage_token, "true");
    Add({request.stream_options.begin + 1, 0,
         request.stream_options_empty ? R"("include_usage":true)" : R"("include_usage":true,)"});
  }

  std::array<Edit, 4> edits_;
  std::size_t count_ = 0;
};

}  // namespace

SplicedBody::SplicedBody(const RequestView& request, const SpliceRules& rules) noexcept {
  const Edits edits(request, rules);
  std::size_t done = 0;
  for (const Edit& edit : edits.list()) {
    Add(request.body.substr(done, edit.begin - done));
    Add(edit.with);
    done = edit.begin + edit.size;
  }
  Add(request.body.substr(done));
}

void SplicedBody::Add(std::string_view segment) noexcept {
  if (segment.empty()) return;
  PENSTOCK_ASSERT(count_ < kSegmentsMax);
  segments_[count_++] = segment;
  size_ += segment.size();
}

std::string QuoteJson(std::string_view text) {
  std::string quoted;
  json::AppendQuoted(quoted, text);
  return quoted;
}

}  // namespace penstock::llm
