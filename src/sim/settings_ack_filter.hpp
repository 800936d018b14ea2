#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace penstock::sim {

/// Owned by one Worker. Takes the SETTINGS acknowledgements after the first out of a client's frames: the later ones
/// answer SETTINGS that went out raw, of which the codec knows nothing and which it would take for a protocol error.
class SettingsAckFilter {
 public:
  /// Calls `pass` with what remains, piece by piece.
  template <class Pass>
  void Feed(std::string_view bytes, Pass pass) {
    while (!bytes.empty()) {
      if (skip_ != 0) {
        const std::string_view piece = bytes.substr(0, skip_);
        skip_ -= piece.size();
        bytes.remove_prefix(piece.size());
        pass(piece);
        continue;
      }
      const std::size_t n = std::min(bytes.size(), sizeof header_ - held_);
      std::memcpy(header_ + held_, bytes.data(), n);
      held_ += n;
      bytes.remove_prefix(n);
      if (held_ < sizeof header_) return;
      held_ = 0;
      skip_ = static_cast<std::size_t>(Byte(0) << 16 | Byte(1) << 8 | Byte(2));
      const bool ack = Byte(3) == kSettings && (Byte(4) & kAck) != 0 && skip_ == 0;
      if (!ack || acks_++ == 0) pass(std::string_view(header_, sizeof header_));
    }
  }

 private:
  static constexpr unsigned kSettings = 4;
  static constexpr unsigned kAck = 1;
  static constexpr std::size_t kPrefaceBytes = 24;

  unsigned Byte(std::size_t i) const noexcept { return static_cast<unsigned char>(header_[i]); }

  char header_[9] = {};
  std::size_t held_ = 0;
  std::size_t skip_ = kPrefaceBytes;  ///< bytes until the next frame's header
  std::uint64_t acks_ = 0;
};

}  // namespace penstock::sim
