#include "telemetry/descriptor_sink.hpp"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <spdlog/details/log_msg.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace penstock::telemetry {

namespace {

/// What a reader that takes nothing may cost an exit.
constexpr int kStopWaitMs = 500;

/// Without O_NONBLOCK open() waits for a FIFO's reader; with it there is ENXIO where none is (POSIX). Writes wait in
/// poll() and may block then.
int OpenForAppend(const std::string& path) {
  const int fd = open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
  if (fd >= 0) fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
  return fd;
}

bool IsRegular(int fd) {
  struct stat status {};
  return fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

}  // namespace

DescriptorSink::DescriptorSink(int fd, bool owned, std::string path, Blocked blocked, LogDoorbell& bell,
                               const std::atomic<bool>& stopping)
    : bell_(bell),
      stopping_(stopping),
      path_(std::move(path)),
      fd_(fd),
      owned_(owned),
      blocked_(blocked),
      regular_(IsRegular(fd)) {
  batch_.reserve(kBatchMax + kLogLineMax + 2);
}

DescriptorSink::DescriptorSink(int fd, Blocked blocked, LogDoorbell& bell, const std::atomic<bool>& stopping)
    : DescriptorSink(fd, false, {}, blocked, bell, stopping) {}

std::unique_ptr<DescriptorSink> DescriptorSink::OpenFile(std::string path, LogDoorbell& bell,
                                                         const std::atomic<bool>& stopping) {
  const int fd = OpenForAppend(path);
  if (fd < 0) return nullptr;
  return std::unique_ptr<DescriptorSink>(new DescriptorSink(fd, true, std::move(path), Blocked::kWait, bell, stopping));
}

DescriptorSink::~DescriptorSink() {
  if (owned_) close(fd_);
}

bool DescriptorSink::Reopen() {
  if (!owned_) return true;
  flush();
  const int fd = OpenForAppend(path_);
  if (fd < 0) return false;
  close(std::exchange(fd_, fd));
  regular_ = IsRegular(fd_);
  torn_ = false;
  return true;
}

void DescriptorSink::log(const spdlog::details::log_msg& message) {
  if (batch_.size() >= kBatchMax) flush();
  if (batch_.size() >= kBatchMax) {
    lost_.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  batch_.append(message.payload.data(), message.payload.size());
  batch_.push_back('\n');
}

void DescriptorSink::flush() {
  if (batch_.empty()) return;
  if (torn_) {
    const Ready ready = WaitWritable();
    if (ready == Ready::kLater) return;
    if (ready == Ready::kNever || write(fd_, "\n", 1) != 1) return Lose(0);
    torn_ = false;
  }
  std::size_t done = 0;
  while (done < batch_.size()) {
    const Ready ready = WaitWritable();
    if (ready == Ready::kLater) {
      batch_.erase(0, done);
      return;
    }
    if (ready == Ready::kNever) break;
    const std::size_t left = batch_.size() - done;
    // poll() on a pipe promises room for PIPE_BUF bytes; a larger write could block in the kernel.
    const ssize_t wrote = write(fd_, batch_.data() + done, regular_ ? left : std::min<std::size_t>(left, PIPE_BUF));
    if (wrote > 0) {
      done += static_cast<std::size_t>(wrote);
    } else if (wrote == 0 || (errno != EINTR && errno != EAGAIN)) {
      break;  // disk full, reader gone: the batch is lost, the next one tries again
    }
  }
  torn_ = done > 0 && batch_[done - 1] != '\n';
  Lose(done);
}

void DescriptorSink::Lose(std::size_t from) {
  const auto unwritten = batch_.begin() + static_cast<std::ptrdiff_t>(from);
  lost_.fetch_add(static_cast<std::uint64_t>(std::count(unwritten, batch_.end(), '\n')), std::memory_order_relaxed);
  batch_.clear();
}

DescriptorSink::Ready DescriptorSink::WaitWritable() {
  if (regular_) return Ready::kNow;
  if (given_up_) return Ready::kNever;
  for (;;) {
    const bool stopping = stopping_.load(std::memory_order_acquire);
    pollfd waits[2] = {{fd_, POLLOUT, 0}, {bell_.fd(), POLLIN, 0}};
    // Stopping, the bell has rung for the last time: only the reader counts.
    const bool alone = stopping || blocked_ == Blocked::kHoldBack;
    const int ready = poll(waits, alone ? 1 : 2, stopping ? kStopWaitMs : alone ? 0 : -1);
    if (ready < 0 && errno != EINTR) return Ready::kNever;
    if (ready > 0 && waits[0].revents != 0) return Ready::kNow;
    if (ready == 0 && !stopping) return Ready::kLater;
    if (ready == 0) {
      given_up_ = true;  // once for all: an exit waits for this reader kStopWaitMs, not that long per batch
      return Ready::kNever;
    }
    if (ready > 0) bell_.GetUp();
  }
}

}  // namespace penstock::telemetry
