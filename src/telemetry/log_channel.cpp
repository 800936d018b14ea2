#include "penstock/telemetry/log_channel.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "penstock/base/assert.hpp"

namespace penstock::telemetry {

namespace {

/// In front of every line.
struct RecordHead {
  std::uint32_t size;
  LogTarget target;
};

}  // namespace

LogDoorbell::LogDoorbell() noexcept : fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) { PENSTOCK_ASSERT(fd_ >= 0); }
LogDoorbell::~LogDoorbell() { close(fd_); }

void LogDoorbell::Ring() noexcept {
  if (rung_.exchange(true, std::memory_order_seq_cst)) return;
  const std::uint64_t one = 1;
  (void)!write(fd_, &one, sizeof one);
}

void LogDoorbell::GetUp() noexcept {
  asleep_.store(false, std::memory_order_seq_cst);
  std::uint64_t rings;
  (void)!read(fd_, &rings, sizeof rings);
  // In this order: who rings between the two is not heard, but what he rang for is seen by the look at the
  // rings that follows. The other way round his ring would be swallowed while the next ones are still held
  // back.
  rung_.store(false, std::memory_order_seq_cst);
}

LogChannel::LogChannel(LogDoorbell& bell, std::size_t bytes)
    : bell_(bell),
      capacity_(std::bit_ceil(std::max(bytes, 2 * kLogLineMax))),
      ring_(std::make_unique_for_overwrite<char[]>(capacity_)) {}

bool LogChannel::Push(LogTarget target, std::string_view line) noexcept {
  PENSTOCK_ASSERT(line.size() <= kLogLineMax);
  const std::uint64_t head = head_.load(std::memory_order_relaxed);
  const std::size_t size = sizeof(RecordHead) + line.size();
  if (head + size - tail_seen_ > capacity_ / 2) {
    tail_seen_ = tail_.load(std::memory_order_acquire);
    if (head + size - tail_seen_ > capacity_) {
      dropped_.store(dropped_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
      return false;
    }
    if (head + size - tail_seen_ > capacity_ / 2) bell_.Ring();
  }
  RecordHead record{};
  record.size = static_cast<std::uint32_t>(line.size());
  record.target = target;
  CopyIn(head, &record, sizeof record);
  CopyIn(head + sizeof record, line.data(), line.size());
  head_.store(head + size, std::memory_order_seq_cst);
  bell_.RingIfAsleep();
  return true;
}

std::string_view LogChannel::Pop(char* buffer, LogTarget& target) noexcept {
  const std::uint64_t tail = tail_.load(std::memory_order_relaxed);
  RecordHead record;
  CopyOut(tail, &record, sizeof record);
  CopyOut(tail + sizeof record, buffer, record.size);
  target = record.target;
  tail_.store(tail + sizeof record + record.size, std::memory_order_release);
  return {buffer, record.size};
}

void LogChannel::CopyIn(std::uint64_t at, const void* bytes, std::size_t size) noexcept {
  const std::size_t begin = at & (capacity_ - 1);
  const std::size_t first = std::min(size, capacity_ - begin);
  std::memcpy(ring_.get() + begin, bytes, first);
  std::memcpy(ring_.get(), static_cast<const char*>(bytes) + first, size - first);
}

void LogChannel::CopyOut(std::uint64_t at, void* bytes, std::size_t size) const noexcept {
  const std::size_t begin = at & (capacity_ - 1);
  const std::size_t first = std::min(size, capacity_ - begin);
  std::memcpy(bytes, ring_.get() + begin, first);
  std::memcpy(static_cast<char*>(bytes) + first, ring_.get(), size - first);
}

}  // namespace penstock::telemetry
