#include "sim/plain_answer.hpp"

#include <cstdio>
#include <cstring>
#include <vector>

#include "sim/token_text.hpp"

namespace penstock::sim {
namespace {

std::string Base64(std::string_view bytes) {
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      group = (group << 8) | (i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0u);
    }
    for (std::size_t k = 0; k < 4; ++k) {
      out += i + k > bytes.size() ? '=' : kAlphabet[(group >> (18 - 6 * k)) & 63];
    }
  }
  return out;
}

/// In [-1, 1), the same for the same place of the same input.
float Component(std::uint64_t seed, std::uint32_t input, std::uint32_t dimension) noexcept {
  const std::uint64_t bits = Mix(seed + (static_cast<std::uint64_t>(input) << 32) + dimension);
  return static_cast<float>(static_cast<std::int32_t>(bits >> 32)) / 2147483648.0f;
}

std::string Embedding(std::uint64_t seed, std::uint32_t input, std::uint32_t dimensions, bool base64) {
  std::string out;
  if (base64) {
    std::string bytes;
    for (std::uint32_t d = 0; d < dimensions; ++d) {
      const float value = Component(seed, input, d);
      char little_endian[sizeof value];
      std::memcpy(little_endian, &value, sizeof value);
      bytes.append(little_endian, sizeof value);
    }
    return "\"" + Base64(bytes) + "\"";
  }
  for (std::uint32_t d = 0; d < dimensions; ++d) {
    char number[32];
    const int size = std::snprintf(number, sizeof number, "%s%.8g", d == 0 ? "" : ",",
                                   static_cast<double>(Component(seed, input, d)));
    out.append(number, static_cast<std::size_t>(size));
  }
  return "[" + out + "]";
}

std::string PromptUsage(const AnswerFacts& facts) {
  const std::string tokens = std::to_string(facts.prompt_tokens);
  return R"("usage":{"prompt_tokens":)" + tokens + R"(,"total_tokens":)" + tokens + "}";
}

std::string Embeddings(const AnswerFacts& facts, const RequestFields& fields, std::uint32_t dimensions) {
  std::string out = R"({"object":"list","data":[)";
  for (std::uint32_t i = 0; i < CountInputs(fields.inputs); ++i) {
    out += (i == 0 ? R"({"object":"embedding","index":)" : R"(,{"object":"embedding","index":)") + std::to_string(i) +
           R"(,"embedding":)" + Embedding(facts.text_seed, i, dimensions, fields.base64) + "}";
  }
  return out + R"(],"model":")" + facts.model + "\"," + PromptUsage(facts) + "}";
}

std::string Scores(const AnswerFacts& facts, const RequestFields& fields, std::string_view list,
                   std::string_view value) {
  std::string out = R"({"id":"score-)" + facts.id + R"(","object":"list","model":")" + facts.model + "\",\"" +
                    std::string(list) + "\":[";
  for (std::uint32_t i = 0; i < CountInputs(fields.inputs); ++i) {
    char number[32];
    std::snprintf(number, sizeof number, "%.6f", 0.5 + 0.5 * static_cast<double>(Component(facts.text_seed, i, 0)));
    out += (i == 0 ? "{\"index\":" : ",{\"index\":") + std::to_string(i) + ",\"" + std::string(value) + "\":" + number +
           "}";
  }
  return out + "]," + PromptUsage(facts) + "}";
}

std::string Tokens(const AnswerFacts& facts) {
  std::string list;
  for (std::uint32_t i = 0; i < facts.prompt_tokens; ++i) {
    list += (i == 0 ? "" : ",") + std::to_string(Mix(facts.text_seed + i) % 50'000);
  }
  if (facts.kind == Kind::kLlamacpp) return R"({"tokens":[)" + list + "]}";
  return R"({"count":)" + std::to_string(facts.prompt_tokens) + R"(,"max_model_len":131072,"tokens":[)" + list + "]}";
}

}  // namespace

bool Generates(Family family) noexcept {
  return family == Family::kChat || family == Family::kCompletions || family == Family::kResponses ||
         family == Family::kMessages;
}

std::string PlainAnswer(const AnswerFacts& facts, const RequestFields& fields, std::uint32_t embedding_dimensions) {
  switch (facts.family) {
    case Family::kEmbeddings: return Embeddings(facts, fields, embedding_dimensions);
    case Family::kRerank: return Scores(facts, fields, "results", "relevance_score");
    case Family::kScore: return Scores(facts, fields, "data", "score");
    case Family::kTokenize: return Tokens(facts);
    case Family::kCountTokens: return R"({"input_tokens":)" + std::to_string(facts.prompt_tokens) + "}";
    case Family::kDetokenize: {
      std::string text;
      AppendText(text, facts.text_seed, CountInputs(fields.inputs));
      return (facts.kind == Kind::kLlamacpp ? R"({"content":")" : R"({"prompt":")") + text + "\"}";
    }
    default: return "{}";
  }
}

std::string ConstantAnswer(std::string_view model, bool stream, std::uint64_t bytes) {
  const std::string name(model);
  std::string before, after;
  if (stream) {
    before = R"(data: {"id":"chatcmpl-constant","object":"chat.completion.chunk","created":0,"model":")" + name +
             R"(","choices":[{"index":0,"delta":{"role":"assistant","content":")";
    after = R"("},"logprobs":null,"finish_reason":"stop"}]})"
            "\n\ndata: [DONE]\n\n";
  } else {
    before = R"({"id":"chatcmpl-constant","object":"chat.completion","created":0,"model":")" + name +
             R"(","choices":[{"index":0,"message":{"role":"assistant","content":")";
    after =
        R"("},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":16,"completion_tokens":16,"total_tokens":32}})";
  }
  const std::uint64_t frame = before.size() + after.size();
  if (bytes > frame) before.append(bytes - frame, 'x');
  return before + after;
}

}  // namespace penstock::sim
