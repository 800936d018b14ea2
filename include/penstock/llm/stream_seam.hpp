#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "penstock/llm/family.hpp"
#include "penstock/llm/json_parser.hpp"

namespace penstock::llm {

/// Owned by one Worker. What the client of a stream (chat or completions, one choice) has of its answer, so that
/// another answer can take over where the first one broke, and the client reads one stream:
///   id, created   stay those of the first answer; model, usage and all else are what the second one wrote
///   role          is said once
///   text          what the client has is taken off the second answer, or was never in it
/// Texts are compared decoded, so that servers may escape them differently and cut them into other pieces.
///
/// Only text and reasoning can be joined: a tool call's id, log probabilities, audio and what we do not know belong to
/// the answer that they came with.
class StreamSeam {
 public:
  /// What becomes of an event of the answer that took over.
  enum class Joint : std::uint8_t {
    kPass,  ///< goes to the client, as `out` says it
    kDrop,  ///< says nothing that the client does not have
    kTorn,  ///< the answers are two different ones, or this one has what cannot be joined: nothing more can
  };
  /// Where in the client's text the answer that takes over begins.
  enum class From : std::uint8_t { kStart, kEnd };

  /// `text_bytes_max` bounds what is held: a longer answer cannot be joined.
  StreamSeam(Family family, std::size_t text_bytes_max) noexcept : family_(family), text_bytes_max_(text_bytes_max) {}

  /// An event that goes to the client as it is; one that StreamTap found to be neither malformed, nor an error.
  void Note(std::string_view data, JsonParser& parser);

  /// Another answer begins. After joinable().
  void Join(From from) noexcept;
  /// One of its events, as for Note. Appends the event that stands for it to `out`, with its blank line.
  Joint Rewrite(std::string_view data, JsonParser& parser, std::string& out);
  /// The answer that took over has said all that the client has, so that it may end.
  bool caught_up() const noexcept;

  bool joinable() const noexcept { return joinable_; }
  /// The client has something that no other answer can follow, or there is no room for the text.
  void GiveUp() noexcept;
  std::size_t held() const noexcept { return texts_[0].size() + texts_[1].size() + texts_[2].size(); }  ///< bytes
  /// The answer's text, decoded; without reasoning.
  const std::string& text() const noexcept { return texts_[0]; }
  bool has_reasoning() const noexcept { return !texts_[1].empty() || !texts_[2].empty(); }
  /// Events that brought text: as many tokens at least, where a server sends one event for each.
  std::uint32_t pieces() const noexcept { return pieces_; }

 private:
  friend class SeamReader;
  static constexpr std::size_t kVoices = 3;  ///< content (or text), reasoning, reasoning_content

  Family family_;
  std::size_t text_bytes_max_;
  std::string id_;       ///< raw JSON
  std::string created_;  ///< raw JSON
  std::array<std::string, kVoices> texts_;
  std::array<std::size_t, kVoices> at_{};  ///< how much of them the answer that took over has said
  std::uint32_t pieces_ = 0;
  bool joinable_ = true;
};

}  // namespace penstock::llm
