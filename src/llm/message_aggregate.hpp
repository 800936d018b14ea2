#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "llm/merged_members.hpp"
#include "penstock/llm/json_parser.hpp"

namespace penstock::llm {

/// Owned by one Worker. Rebuilds Anthropic's message from the events of its stream.
class MessageAggregate {
 public:
  explicit MessageAggregate(std::size_t bytes_max) : bytes_max_(bytes_max) {}

  /// One event's data. False: it is not understood, does not fit to what came before, or there is too much.
  bool Add(std::string_view data, JsonParser& parser);
  /// Appends the message. False: it has not begun, or the input of a tool is no JSON object; `out` holds part of it.
  bool Write(std::string& out, JsonParser& parser) const;

 private:
  static constexpr std::size_t kBlocksMax = 4096;

  struct Block {
    MergedMembers members;
    std::string input;  ///< the inside of a JSON string: the pieces of a tool's input
  };

  bool TakeEvent(json::Cursor event);
  bool TakeStart(json::Cursor message);
  bool TakeBlock(json::Cursor block, std::uint32_t index);
  bool TakeDelta(json::Cursor delta, std::uint32_t index);
  bool TakeInput(json::Cursor delta, Block& block);
  bool TakeEnd(json::Cursor event);
  bool TakeUsage(json::Cursor usage);
  bool WriteBlock(std::string& out, const Block& block, JsonParser& parser) const;

  std::size_t bytes_max_;
  std::size_t held_ = 0;
  MergedMembers members_;  ///< of the message; `content` and `usage` are marks
  MergedMembers usage_;
  std::vector<Block> blocks_;
};

}  // namespace penstock::llm
