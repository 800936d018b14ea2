// A request's body of every family: the walker must agree with the plainest parser about what is JSON, and a spliced
// body must be JSON again.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "penstock/llm/answer.hpp"
#include "penstock/llm/error_shapes.hpp"
#include "penstock/llm/request_view.hpp"
#include "penstock/llm/splice.hpp"
#include "unit/llm/exact_copy.hpp"
#include "unit/llm/reference_json.hpp"

namespace {

using namespace penstock;
using namespace penstock::llm;

constexpr Family kFamilies[] = {Family::kChat,     Family::kCompletions, Family::kEmbeddings, Family::kResponses,
                                Family::kMessages, Family::kCountTokens, Family::kRerank,     Family::kScore,
                                Family::kTokenize, Family::kDetokenize};

void Require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

/// Syntax faults come first, then what a family misses.
void CheckVerdict(const Result<RequestView>& view, const test::ReferenceParser::Verdict& expected, std::size_t size) {
  const ErrorCode code = view.has_value() ? ErrorCode::kNone : view.error().code;
  if (view.has_error()) Require(view.error().offset <= size, "an offset beyond the body");
  if (!expected.json) {
    Require(code == ErrorCode::kInvalidJson || code == ErrorCode::kDuplicateKey, "accepted what is not JSON");
  } else if (expected.duplicate_key) {
    Require(code == ErrorCode::kDuplicateKey, "accepted a key twice");
  } else {
    Require(code == ErrorCode::kNone || code == ErrorCode::kInvalidParam, "refused what is JSON");
  }
}

void CheckSplice(const RequestView& view) {
  const SplicedBody spliced(view, {.model_json = "\"other\"", .include_usage = true, .force_stream = true});
  std::string text;
  for (const std::string_view segment : spliced.segments()) text += segment;
  Require(text.size() == spliced.size(), "the size is not that of the pieces");
  const auto verdict = test::ReferenceParser::Parse(text);
  Require(verdict.json && !verdict.duplicate_key, "a spliced body is not JSON");
  const test::Value* const stream = verdict.value.Find("stream");
  Require(stream != nullptr && stream->kind == 't', "stream is not set");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  static JsonParser parser(42);
  const test::ExactCopy body({reinterpret_cast<const char*>(bytes), size});
  const auto expected = test::ReferenceParser::Parse(body.view());
  for (const Family family : kFamilies) {
    const auto view = ParseRequest(family, body.view(), parser);
    CheckVerdict(view, expected, size);
    if (view.has_value() && CanStream(family)) CheckSplice(*view);
    const AnswerSummary summary = ReadAnswer(family, body.view(), parser);
    Require(summary.well_formed || !summary.storable(), "a malformed answer is storable");
    std::string wrapped;
    const UpstreamErrorBody error = NormaliseError(family, 400, body.view(), "r", parser, wrapped);
    Require(error.pass == wrapped.empty(), "an error passes or is wrapped");
    Require(error.pass || ReadAnswer(family, wrapped, parser).error, "a wrapped error is not an error object");
  }
  return 0;
}
