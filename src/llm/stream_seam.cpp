#include "penstock/llm/stream_seam.hpp"

#include <algorithm>
#include <optional>

#include "llm/answer_fields.hpp"
#include "llm/event_text.hpp"
#include "llm/json/string.hpp"
#include "llm/json/workspace.hpp"

namespace penstock::llm {
namespace {

using json::Cursor;

constexpr std::size_t kNoVoice = 3;

std::string Decoded(std::string_view raw) {
  std::string text(raw.size(), '\0');
  text.resize(json::Unescape(raw, text));
  return text;
}

bool IsBlank(const Cursor& value) { return value.is_null() || value.is_empty(); }

/// Members of a choice that are of no consequence when they are there.
bool IsPlainOfChoice(std::string_view key) {
  return key == "index" || key == "finish_reason" || key == "stop_reason" || key == "matched_stop";
}

}  // namespace

/// Owned by one Worker. Walks one event, notes what is in it, and writes what is left of it when it is told to.
class SeamReader {
 public:
  /// `out` null: the event goes to the client as it is.
  SeamReader(StreamSeam& seam, std::string* out, std::size_t bytes_max) : seam_(seam) {
    if (out != nullptr) writer_.emplace(*out, bytes_max);
  }

  /// False: not to be joined.
  bool Read(Cursor root);
  /// The event has something for the client.
  bool says_something() const noexcept { return says_something_; }

 private:
  bool ReadChoices(Cursor& choices);
  bool ReadChoice(Cursor& choice);
  bool ReadDelta(Cursor& delta);
  bool ReadVoice(std::size_t voice, std::string_view key, const Cursor& value);
  void Copy(std::string_view key, Cursor& value);
  void CopyFirst(std::string_view key, Cursor& value, std::string& first);
  std::size_t VoiceOf(std::string_view key, bool in_delta) const noexcept;

  StreamSeam& seam_;
  std::optional<EventText> writer_;
  bool says_something_ = false;
};

std::size_t SeamReader::VoiceOf(std::string_view key, bool in_delta) const noexcept {
  if (!in_delta) return key == "text" && seam_.family_ == Family::kCompletions ? 0 : kNoVoice;
  if (key == "content") return 0;
  if (key == "reasoning") return 1;
  return key == "reasoning_content" ? 2 : kNoVoice;
}

void SeamReader::Copy(std::string_view key, Cursor& value) {
  if (writer_) writer_->Member(key, value.Take());
}

void SeamReader::CopyFirst(std::string_view key, Cursor& value, std::string& first) {
  if (writer_ && !first.empty()) {
    writer_->Member(key, first);
  } else if (first.empty() && !value.is_null()) {
    Cursor copy = value;
    first = copy.Take();
    Copy(key, value);
  }
}

bool SeamReader::Read(Cursor root) {
  bool joins = root.is_object();
  if (!joins) return false;
  if (writer_) writer_->Open();
  root.EachMember([&](std::string_view key, Cursor& value) {
    if (!joins) return;
    if (key == "id") {
      CopyFirst(key, value, seam_.id_);
    } else if (key == "created") {
      CopyFirst(key, value, seam_.created_);
    } else if (key == "choices" && value.is_array()) {
      if (writer_) writer_->Key(key);
      joins = ReadChoices(value);
    } else {
      says_something_ = says_something_ || ((key == "usage" || key == "timings") && value.is_object());
      Copy(key, value);
    }
  });
  if (writer_) writer_->Close();
  return joins && (!writer_ || writer_->fits());
}

bool SeamReader::ReadChoices(Cursor& choices) {
  if (writer_) writer_->Put("[");
  bool joins = true;
  int count = 0;
  choices.EachElement([&](Cursor& choice) {
    joins = joins && ++count == 1 && choice.is_object();
    if (joins) joins = ReadChoice(choice);
  });
  if (writer_) writer_->Put("]");
  return joins;
}

bool SeamReader::ReadChoice(Cursor& choice) {
  bool joins = true;
  bool finished = false;
  if (writer_) writer_->Put("{");
  choice.EachMember([&](std::string_view key, Cursor& value) {
    if (!joins) return;
    if (key == "index") joins = !value.is_number() || ReadCount(value) == 0;
    if (key == "finish_reason") finished = ReadFinishReason(value) != FinishReason::kNone;
    if (key == "delta" && value.is_object()) {
      if (writer_) writer_->Key(key);
      joins = ReadDelta(value);
    } else if (const std::size_t voice = VoiceOf(key, false); voice != kNoVoice) {
      joins = joins && ReadVoice(voice, key, value);
    } else {
      joins = joins && (IsPlainOfChoice(key) || IsBlank(value));
      Copy(key, value);
    }
  });
  if (writer_) writer_->Put("}");
  says_something_ = says_something_ || finished;
  return joins && (!finished || seam_.caught_up());
}

bool SeamReader::ReadDelta(Cursor& delta) {
  bool joins = true;
  if (writer_) writer_->Put("{");
  delta.EachMember([&](std::string_view key, Cursor& value) {
    if (!joins) return;
    if (key == "role") return;  // the client has it
    const std::size_t voice = VoiceOf(key, true);
    joins = voice != kNoVoice ? ReadVoice(voice, key, value) : IsBlank(value);
  });
  if (writer_) writer_->Put("}");
  return joins;
}

/// Takes off what the client has; what is left is said, and the client has it from now on.
bool SeamReader::ReadVoice(std::size_t voice, std::string_view key, const Cursor& value) {
  if (!value.is_string()) return value.is_null();
  const std::string said = Decoded(value.raw_string());
  std::string& text = seam_.texts_[voice];
  std::size_t& at = seam_.at_[voice];
  const std::size_t known = std::min(text.size() - at, said.size());
  if (text.compare(at, known, said, 0, known) != 0) return false;
  at += said.size();
  const std::string_view rest = std::string_view(said).substr(known);
  if (writer_ && (!rest.empty() || seam_.family_ == Family::kCompletions)) {  // whose SDKs want a text in every event
    writer_->Key(key);
    writer_->Quoted(rest);
  }
  if (rest.empty()) return true;
  text += rest;
  says_something_ = true;
  if (voice == 0) ++seam_.pieces_;
  return seam_.held() <= seam_.text_bytes_max_;
}

void StreamSeam::Note(std::string_view data, JsonParser& parser) {
  if (!joinable_ || data.starts_with("[DONE]")) return;
  Join(From::kEnd);
  const std::optional<Cursor> root = parser.workspace().ParseAnswer(data);
  SeamReader reader(*this, nullptr, 0);
  if (!root || !reader.Read(*root)) GiveUp();
  parser.workspace().Trim();
}

void StreamSeam::GiveUp() noexcept {
  joinable_ = false;
  for (std::string& text : texts_) text = {};
  at_ = {};
}

void StreamSeam::Join(From from) noexcept {
  for (std::size_t i = 0; i < kVoices; ++i) at_[i] = from == From::kEnd ? texts_[i].size() : 0;
}

bool StreamSeam::caught_up() const noexcept {
  for (std::size_t i = 0; i < kVoices; ++i) {
    if (at_[i] < texts_[i].size()) return false;
  }
  return true;
}

StreamSeam::Joint StreamSeam::Rewrite(std::string_view data, JsonParser& parser, std::string& out) {
  const std::size_t before = out.size();
  if (data.starts_with("[DONE]")) {
    if (!caught_up()) return Joint::kTorn;
    out += "data: [DONE]\n\n";
    return Joint::kPass;
  }
  const std::optional<Cursor> root = parser.workspace().ParseAnswer(data);
  // What is rebuilt is hardly longer than what came: the first answer's id, and another way to escape the text.
  SeamReader reader(*this, &out, 6 * data.size() + id_.size() + created_.size() + 16);
  const bool joins = root && reader.Read(*root);
  parser.workspace().Trim();
  if (joins && reader.says_something()) return Joint::kPass;
  out.resize(before);
  if (joins) return Joint::kDrop;
  GiveUp();  // some of the event may have been taken for said
  return Joint::kTorn;
}

}  // namespace penstock::llm
