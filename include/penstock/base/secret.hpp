#pragma once

#include <ostream>
#include <string>
#include <string_view>
#include <utility>

namespace penstock {

/// Immutable. A credential. It prints as `***` wherever a value can be printed by accident; only reveal()
/// gives the text, so that `grep reveal` lists every place a credential can leave by.
class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string text) : text_(std::move(text)) {}

  bool empty() const noexcept { return text_.empty(); }
  std::string_view reveal() const noexcept { return text_; }

  /// Compares without telling by its duration where the first difference is (it does tell the length).
  bool Matches(std::string_view offered) const noexcept {
    if (offered.size() != text_.size()) return false;
    unsigned char difference = 0;
    for (std::size_t i = 0; i < text_.size(); ++i) difference |= static_cast<unsigned char>(text_[i] ^ offered[i]);
    return difference == 0;
  }

  friend bool operator==(const Secret& a, const Secret& b) noexcept { return a.Matches(b.text_); }
  friend std::ostream& operator<<(std::ostream& out, const Secret& secret) {
    return out << (secret.empty() ? "" : "***");
  }

 private:
  std::string text_;
};

}  // namespace penstock
