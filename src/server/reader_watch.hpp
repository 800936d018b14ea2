#pragma once

#include <cstdint>

#include "penstock/base/time.hpp"

namespace penstock::server {

/// Owned by one Worker. Judges, window by window, how fast a client takes its answer while some of it waits. A window
/// lasts slow_reader_timeout. Too slow is who takes nothing in one window, or too little in two running: the second is
/// for those who take a byte now and then to keep what is held for them. nghttpx does it by read and write rates.
class ReaderWatch {
 public:
  static constexpr std::uint64_t kMinRate = 1024;  ///< bytes per second

  void Begin() noexcept { slow_windows_ = 0; }
  /// At a window's end: `taken` bytes went in it.
  bool TooSlow(std::uint64_t taken, Duration window) noexcept {
    const auto enough = static_cast<std::uint64_t>(static_cast<double>(kMinRate) * ToSeconds(window));
    slow_windows_ = taken < enough ? static_cast<std::uint8_t>(slow_windows_ + 1) : 0;
    return taken == 0 || slow_windows_ >= kSlowWindows;
  }

 private:
  static constexpr std::uint8_t kSlowWindows = 2;
  std::uint8_t slow_windows_ = 0;
};

}  // namespace penstock::server
