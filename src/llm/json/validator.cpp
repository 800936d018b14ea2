#include "llm/json/validator.hpp"

#include <cstring>

#include "llm/json/number.hpp"
#include "penstock/base/assert.hpp"

namespace penstock::llm::json {
namespace {

std::uint32_t FindBackslash(const Document& document, std::uint32_t from) noexcept {
  if (from >= document.size) return document.size;
  const void* found = std::memchr(document.bytes + from, '\\', document.size - from);
  return found == nullptr ? document.size
                          : static_cast<std::uint32_t>(static_cast<const char*>(found) - document.bytes);
}

}  // namespace

Fault Validator::Check(const Document& document, const Strictness& strictness) {
  PENSTOCK_ASSERT(strictness.depth_max <= kDepthMax);
  document_ = document;
  strictness_ = strictness;
  token_ = document.tokens;
  end_ = token_ + document.count;
  next_backslash_ = FindBackslash(document, 0);
  fault_ = {};
  depth_ = 0;
  ledger_.Reset(document.bytes, document.size);
  if (Walk() && token_ != end_) Refuse("bytes behind the end of the JSON text");
  return fault_;
}

void Validator::Trim() { ledger_.Trim(); }

bool Validator::Refuse(ErrorCode code, const char* context, std::uint32_t offset) noexcept {
  fault_ = {code, context, offset};
  return false;
}

bool Validator::Walk() {
  for (;;) {
    const char first = Peek();
    if (first == '{') {
      if (!Enter(true)) return false;
      if (Peek() != '}') {
        if (!Key()) return false;
        continue;
      }
    } else if (first == '[') {
      if (!Enter(false)) return false;
      if (Peek() != ']') continue;
    } else {
      if (!Scalar(first)) return false;
      if (depth_ == 0) return true;
    }
    // A value or an opening bracket is behind us: close what closes here, then go on with the next member.
    for (;;) {
      const bool object = frames_[depth_ - 1].object;
      const char next = Peek();
      if (next == ',') {
        ++token_;
        if (object && !Key()) return false;
        break;
      }
      if (next != (object ? '}' : ']')) return Refuse(object ? "expected , or }" : "expected , or ]");
      if (!Leave()) return false;
      if (depth_ == 0) return true;
    }
  }
}

bool Validator::Enter(bool object) {
  if (depth_ >= strictness_.depth_max) return Refuse(kTooDeep);
  frames_[depth_++] = {ledger_.Open(), object};
  ++token_;
  return true;
}

bool Validator::Leave() {
  const Frame& frame = frames_[depth_ - 1];
  if (frame.object && strictness_.unique_keys) {
    if (const auto repeated = ledger_.Close(frame.scope)) {
      return Refuse(ErrorCode::kDuplicateKey, "an object has the same key twice", *repeated);
    }
  }
  --depth_;
  ++token_;
  return true;
}

bool Validator::Key() {
  if (Peek() != '"') return Refuse("expected a string as key");
  const std::uint32_t offset = *token_;
  std::string_view raw;
  bool escaped = false;
  if (!String(raw, escaped)) return false;
  if (Peek() != ':') return Refuse("expected : after a key");
  ++token_;
  if (!strictness_.unique_keys || ledger_.Add(frames_[depth_ - 1].scope, raw, escaped)) return true;
  return Refuse(ErrorCode::kDuplicateKey, "an object has the same key twice", offset);
}

std::string_view Validator::Token() const noexcept {
  const char* const begin = document_.bytes + *token_;
  const char* end = document_.bytes + token_[1];
  while (end - begin > 1 && IsSpace(end[-1])) --end;
  return {begin, static_cast<std::size_t>(end - begin)};
}

bool Validator::String(std::string_view& raw, bool& escaped) {
  const std::string_view token = Token();
  if (token.size() < 2 || token.back() != '"') return Refuse("a string without its closing quote");
  raw = token.substr(1, token.size() - 2);
  const auto begin = static_cast<std::uint32_t>(raw.data() - document_.bytes);
  const auto end = begin + static_cast<std::uint32_t>(raw.size());
  if (next_backslash_ < begin) next_backslash_ = FindBackslash(document_, begin);
  escaped = next_backslash_ < end;
  if (escaped) {
    const std::size_t bad = FindBadEscape(raw, next_backslash_ - begin, strictness_.escapes);
    if (bad != std::string_view::npos) {
      return Refuse(ErrorCode::kInvalidJson, "a wrong escape in a string", begin + static_cast<std::uint32_t>(bad));
    }
  }
  ++token_;
  return true;
}

bool Validator::Literal(std::string_view literal) {
  if (Token() != literal) return Refuse("expected a value");
  ++token_;
  return true;
}

bool Validator::Scalar(char first) {
  switch (first) {
    case '"': {
      std::string_view raw;
      bool escaped = false;
      return String(raw, escaped);
    }
    case 't': return Literal("true");
    case 'f': return Literal("false");
    case 'n': return Literal("null");
    case '-':
    case '0':
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '6':
    case '7':
    case '8':
    case '9': break;
    default: return Refuse("expected a value");
  }
  const std::string_view token = Token();
  if (token.size() == 1 && first != '-') {  // an index or a flag, mostly
    ++token_;
    return true;
  }
  const NumberFault fault = CheckNumber(token);
  if (fault == NumberFault::kSyntax) return Refuse("not a JSON number");
  if (fault == NumberFault::kRange && strictness_.finite_numbers) return Refuse("a number out of range");
  ++token_;
  return true;
}

}  // namespace penstock::llm::json
