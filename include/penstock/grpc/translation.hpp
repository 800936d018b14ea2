#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "penstock/base/error.hpp"
#include "penstock/grpc/method.hpp"
#include "penstock/llm/json_parser.hpp"

namespace penstock::grpc {

/// Nesting of protobuf messages and of Struct values (protobuf's own default; FAULTS Q-27).
inline constexpr std::uint32_t kMessageDepthMax = 100;

/// What the answer to a request message needs to know of it.
struct ReplyFacts {
  bool stream = false;         ///< the JSON body asks for a stream of events
  bool empty_final = false;    ///< KServe: an empty message ends the answers (`triton_enable_empty_final_response`)
  std::string id;              ///< KServe: the request's, echoed
  std::string model;           ///< KServe: as asked for
  std::string version;         ///< KServe: as asked for
  std::uint32_t choices = 1;   ///< KServe: how many texts answer it
  bool text_output = true;     ///< KServe: whether the output of this name is told
  bool finish_reason = false;  ///< KServe: likewise
};

/// Writes the JSON body of the HTTP request that `message` stands for, compact, its members in canonical order (see
/// llm/canonical_json.hpp): sorted by name; `stream` is set from the method. Replaces what `json` and `facts` held.
/// `notes`, empty ones, get the body's tokens, so that it can be viewed without being read; those of KServe stay empty.
/// Errors are the client's: kInvalidParam where a field's value cannot be, kBadRequest where `message` is no protobuf
/// of its type (FAULTS Q-27). Pure; any thread. Time is linear in the message.
std::optional<Error> TranslateRequest(const Method& method, std::string_view message, std::string& json,
                                      ReplyFacts& facts, llm::TokenNotes& notes);

/// Owned by one Worker. Makes protobuf messages of one request's answer: of a whole JSON document, or of a stream's
/// events. Unknown members are left out; what is missing is absent.
class AnswerTranslator {
 public:
  /// `facts` must outlive the answer.
  void Begin(const Method& method, const ReplyFacts& facts) noexcept;
  /// Of a whole answer: one message is appended to `out`. False: it is no JSON object.
  bool Whole(std::string_view json, llm::JsonParser& parser, std::string& out);
  /// Of one event's data: appends a message and says true, or appends nothing: the event ("[DONE]" is one) has nothing
  /// that this service tells. An event that is no JSON object is left out, as HTTP clients would skip it.
  bool Event(std::string_view data, llm::JsonParser& parser, std::string& out);
  /// The stream ended well: a last message, where the service has one. True: appended.
  bool Finish(std::string& out);
  /// A failed request among several on one stream (ModelStreamInfer says it in a message). True: appended; false: the
  /// call itself fails.
  bool Failure(std::string_view text, std::string& out);

 private:
  const Method* method_ = nullptr;
  const ReplyFacts* facts_ = nullptr;
};

/// An answer's error object, OpenAI's shape ({"error":{"message","type","code","param"}}, or the value of `error`
/// alone as a string). Nothing: the document is none.
struct ErrorObject {
  std::string message;
  std::string type;
  std::string code;
  std::string param;
};
std::optional<ErrorObject> ReadErrorObject(std::string_view json, llm::JsonParser& parser);

}  // namespace penstock::grpc
