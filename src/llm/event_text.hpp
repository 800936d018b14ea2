#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace penstock::llm {

/// Owned by one Worker. Writes events of JSON objects behind what a string holds, never more than a limit: beyond it
/// nothing is written any more, and `fits` says so.
class EventText {
 public:
  EventText(std::string& out, std::size_t bytes_max) : out_(out), begin_(out.size()), bytes_max_(bytes_max) {}

  /// An event begins: `data: {`, behind `event: NAME` when there is a name.
  void Open(std::string_view name = {});
  void Close() { Put("}\n\n"); }

  /// `"key":`, with a comma before it unless it is the first.
  void Key(std::string_view key);
  void Member(std::string_view key, std::string_view value) {
    Key(key);
    Value(value);
  }
  void Count(std::string_view key, std::size_t value);
  /// Raw JSON without its line breaks.
  void Value(std::string_view value);
  /// Text as a JSON string.
  void Quoted(std::string_view text);
  /// Bytes as they are.
  void Put(std::string_view bytes);

  bool fits() const noexcept { return fits_; }

 private:
  std::string& out_;
  std::size_t begin_;
  std::size_t bytes_max_;
  bool fits_ = true;
};

}  // namespace penstock::llm
