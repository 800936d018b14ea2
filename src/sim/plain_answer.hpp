#pragma once

#include <string>

#include "sim/event_writer.hpp"
#include "sim/request_fields.hpp"

namespace penstock::sim {

/// The body for a family that has no streams: embeddings, rerank, score, tokenize, detokenize, count_tokens.
std::string PlainAnswer(const AnswerFacts& facts, const RequestFields& fields, std::uint32_t embedding_dimensions);
/// Does the family generate tokens?
bool Generates(Family family) noexcept;

/// A body of exactly `bytes` bytes where the family's frame fits in (some 300 bytes; else the frame with an empty text).
std::string ConstantAnswer(std::string_view model, bool stream, std::uint64_t bytes);

}  // namespace penstock::sim
