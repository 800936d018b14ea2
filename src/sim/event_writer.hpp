#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>

#include "penstock/mem/chain.hpp"
#include "sim/kind.hpp"
#include "sim/program.hpp"

namespace penstock::sim {

/// Immutable once an answer began. Everything its JSON depends on.
struct AnswerFacts {
  Kind kind = Kind::kVllm;
  Family family = Family::kChat;
  std::string id;     ///< without the family's prefix
  std::string model;  ///< escaped
  std::int64_t created_s = 0;
  std::uint64_t text_seed = 0;
  std::uint32_t first_token = 0;  ///< where the text goes on that the request began
  std::uint32_t tokens = 0;       ///< per choice
  std::uint32_t prompt_tokens = 0;
  std::uint32_t cached_tokens = 0;
  std::uint32_t choices = 1;
  bool logprobs = false;
  bool include_usage = false;
  bool timings = false;
  UsageStyle usage = UsageStyle::kAsked;
  std::string_view delta = "content";
  std::string_view finish = "stop";
  bool with_finish = true;  ///< false: no finish reason anywhere
  bool with_done = true;    ///< false: the stream's last event is left out
};

/// Owned by one Worker. Writes one answer's events, or its whole body, as the kind and the endpoint family have it.
class EventWriter {
 public:
  virtual ~EventWriter() = default;
  virtual void Begin(Chain& out) = 0;                       ///< role or lifecycle events, before any content
  virtual void Token(Chain& out, std::uint32_t index) = 0;  ///< one content event per choice
  virtual void Finish(Chain& out) = 0;                      ///< finish reason, usage, terminal event
  virtual void Error(Chain& out, std::uint16_t status,
                     std::string_view message) = 0;  ///< in-band, with what the kind sends behind it
  virtual void Whole(Chain& out) = 0;                ///< the body of a request that did not ask for a stream

  /// `facts` outlive the writer.
  static std::unique_ptr<EventWriter> Make(const AnswerFacts& facts);
};

std::unique_ptr<EventWriter> MakeChatWriter(const AnswerFacts& facts);  ///< and completions
std::unique_ptr<EventWriter> MakeResponsesWriter(const AnswerFacts& facts);
std::unique_ptr<EventWriter> MakeMessagesWriter(const AnswerFacts& facts);

void Put(Chain& out, std::initializer_list<std::string_view> parts);
/// The kind's in-band error object.
std::string ErrorEvent(const AnswerFacts& facts, std::uint16_t status, std::string_view message);

}  // namespace penstock::sim
