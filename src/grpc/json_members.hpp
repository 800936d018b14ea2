#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace penstock::grpc::kserve {

/// Owned by one Worker. The members of a JSON object that is being put together, sorted by name.
class JsonMembers {
 public:
  enum class Fault : std::uint8_t { kNone, kSyntax, kDuplicate };

  /// `value` is a JSON text. False: there is a member of this name.
  bool Put(std::string_view name, std::string value) {
    return members_.emplace(std::string(name), std::move(value)).second;
  }
  /// Null: no such member.
  const std::string* Find(std::string_view name) const;
  /// Appends the object, compact, to `out`.
  void Write(std::string& out) const;

  auto begin() const { return members_.begin(); }
  auto end() const { return members_.end(); }

 private:
  std::map<std::string, std::string, std::less<>> members_;
};

/// Adds the members of `json`, which must be one object and strict JSON (RFC 8259, UTF-8, nested at most
/// kMessageDepthMax deep); values become compact, their numbers stay as written and so does the order of what they
/// contain. On a fault `into` holds some of them. Linear, apart from sorting.
JsonMembers::Fault ReadMembers(std::string_view json, JsonMembers& into);

/// WriteQuoted() of text that is UTF-8, without a writer.
void AppendQuoted(std::string& out, std::string_view text);
/// RFC 8259's number.
bool IsNumber(std::string_view text) noexcept;
/// A number without fraction and exponent.
bool IsInteger(std::string_view text) noexcept;

}  // namespace penstock::grpc::kserve
