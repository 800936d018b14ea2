#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "llm/json/document.hpp"
#include "penstock/llm/canonical_json.hpp"

namespace penstock::llm::json {

/// Owned by one Worker. Writes a validated object with its members sorted at every depth; WriteCanonicalBody says
/// what that is for.
///
/// One pass finds where each container closes, so that an object's members are found without walking what is inside
/// them, and all objects together cost linear time whatever their depth. An object whose members are sorted already is
/// written where it is met, as part of the run of bytes around it; another one puts its members on a stack, and each
/// becomes a run of its own. No recursion: the stacks are kept between texts.
class CanonicalWriter {
 public:
  using LeaveOut = bool (*)(std::string_view decoded_key);

  /// `leave_out` is asked for the root's members.
  void Write(const Document& document, LeaveOut leave_out, ByteSink sink);
  /// Of a text without white space whose members are sorted at every depth, keys in their shortest form: only the
  /// root's are looked at.
  void WriteSorted(const Document& document, LeaveOut leave_out, ByteSink sink);
  /// Gives memory back after an unusually large text.
  void Trim();

 private:
  struct Container {
    std::uint32_t close = 0;  ///< its closing token; while it is open: the container around it
    std::uint32_t next = 0;   ///< the first container behind it
  };
  struct Member {
    std::uint64_t prefix = 0;  ///< the decoded key's first 8 bytes, the first one highest, padded with zeroes
    std::uint32_t key = 0;     ///< its tokens are [key, end)
    std::uint32_t end = 0;
    std::uint32_t container = 0;  ///< the first one that opens inside
    std::uint32_t where = 0;      ///< of the decoded key, in the text or (size's top bit) in decoded_
    std::uint32_t size = 0;
  };
  /// An object being written member by member.
  struct Frame {
    std::uint32_t token = 0;  ///< what is left of the member at hand is [token, end)
    std::uint32_t end = 0;
    std::uint32_t container = 0;  ///< the next one to open
    std::uint32_t close = 0;      ///< the object's closing token
    std::uint32_t member = 0;     ///< the next one, in members_
    std::uint32_t first = 0;
    std::uint32_t last = 0;
    std::uint32_t decoded = 0;  ///< size of decoded_ before the object
  };
  static constexpr std::uint32_t kDecoded = std::uint32_t{1} << 31;

  void IndexContainers();
  /// Puts the members of the object at `token` on the stack; true when they came sorted.
  bool Collect(std::uint32_t token, std::uint32_t container, LeaveOut leave_out);
  void ReadKey(Member& member);
  void Open(std::uint32_t token, std::uint32_t container, std::uint32_t first, std::uint32_t decoded);
  /// At a `{`: true when it is written member by member, by the frame now on top.
  bool Descend(Frame& frame);
  void NextMember(Frame& frame);
  bool Less(const Member& a, const Member& b) const noexcept;
  std::string_view Key(const Member& member) const noexcept;

  char First(std::uint32_t token) const noexcept { return document_.bytes[document_.tokens[token]]; }
  /// Tokens that lie side by side leave as one run.
  void Emit(std::uint32_t token) {
    const std::uint32_t begin = document_.tokens[token];
    std::uint32_t end = document_.tokens[token + 1];
    while (IsSpace(document_.bytes[end - 1])) --end;
    EmitBytes(begin, end);
  }
  void EmitBytes(std::uint32_t begin, std::uint32_t end) {
    if (begin != run_end_) {
      Flush();
      run_begin_ = begin;
    }
    run_end_ = end;
  }
  void Flush() {
    if (run_end_ != run_begin_) sink_.write(sink_.context, {document_.bytes + run_begin_, run_end_ - run_begin_});
    run_begin_ = run_end_;
  }

  Document document_;
  ByteSink sink_{};
  std::uint32_t run_begin_ = 0;  ///< bytes that were emitted and not yet written
  std::uint32_t run_end_ = 0;
  std::vector<Container> containers_;  ///< in the order in which they open
  std::vector<Member> members_;        ///< of the open frames
  std::vector<Frame> frames_;
  std::string decoded_;  ///< their keys that were written with escapes
};

}  // namespace penstock::llm::json
