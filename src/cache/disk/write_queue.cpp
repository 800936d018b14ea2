#include "cache/disk/write_queue.hpp"

namespace penstock::cache::disk {

bool WriteQueue::Push(Command& command) {
  const bool store = command.kind == Command::Kind::kStore;
  const std::uint64_t bytes = command.entry.bytes.size();
  {
    const std::lock_guard lock(mutex_);
    if (closed_ || commands_.size() >= DiskTier::kWriteQueueMax + (store ? 0 : kControlReserve)) return false;
    if (bytes_ + bytes > DiskTier::kWriteQueueBytesMax) return false;
    bytes_ += bytes;
    command.sequence = ++sequence_;
    if (store) {
      pending_.insert_or_assign(command.key, Pending{command.sequence, command.entry});
    } else if (command.kind == Command::Kind::kRemove) {
      pending_.insert_or_assign(command.key, Pending{command.sequence, std::nullopt});
    }
    commands_.push_back(std::move(command));
  }
  wake_.notify_one();
  return true;
}

bool WriteQueue::Knows(const Digest& key, std::optional<Entry>& entry) const {
  const std::lock_guard lock(mutex_);
  const auto found = pending_.find(key);
  if (found == pending_.end()) return false;
  entry = found->second.entry;
  return true;
}

void WriteQueue::Touch(const Digest& key, std::int64_t used_s) {
  const std::lock_guard lock(mutex_);
  if (touched_.size() < DiskTier::kTouchedMax) touched_.emplace_back(key, used_s);
}

std::vector<std::pair<Digest, std::int64_t>> WriteQueue::TakeTouched() {
  const std::lock_guard lock(mutex_);
  return std::exchange(touched_, {});
}

void WriteQueue::MarkBroken() {
  {
    const std::lock_guard lock(mutex_);
    broken_ = true;
  }
  wake_.notify_one();
}

bool WriteQueue::TakeBroken() {
  const std::lock_guard lock(mutex_);
  return std::exchange(broken_, false);
}

void WriteQueue::Close() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  wake_.notify_one();
}

void WriteQueue::Drain() {
  std::unique_lock lock(mutex_);
  const std::uint64_t ticket = ++tickets_;
  wake_.notify_one();
  drained_.wait(lock, [&] { return ended_ || served_ >= ticket; });
}

WriteQueue::Work WriteQueue::Take(std::uint64_t batch_bytes) {
  Work work;
  std::unique_lock lock(mutex_);
  wake_.wait_for(lock, DiskTier::kTendEvery,
                 [this] { return closed_ || broken_ || !commands_.empty() || served_ < tickets_; });
  std::uint64_t bytes = 0;
  while (!commands_.empty() && work.batch.size() < kBatchMax && bytes <= batch_bytes) {
    const bool clear = commands_.front().kind == Command::Kind::kClear;
    if (clear && !work.batch.empty()) break;
    bytes += commands_.front().entry.bytes.size();
    work.batch.push_back(std::move(commands_.front()));
    commands_.pop_front();
    if (clear) break;
  }
  work.broken = std::exchange(broken_, false);
  work.closed = closed_;
  work.ticket = tickets_;
  work.asked = commands_.empty() && served_ < tickets_;
  return work;
}

void WriteQueue::Settle(const Work& work, bool tended) {
  const std::lock_guard lock(mutex_);
  for (const Command& command : work.batch) {
    bytes_ -= command.entry.bytes.size();
    const auto found = pending_.find(command.key);
    if (found != pending_.end() && found->second.sequence == command.sequence) pending_.erase(found);
  }
  if (tended && work.asked) {
    served_ = work.ticket;
    drained_.notify_all();
  }
}

void WriteQueue::End() {
  const std::lock_guard lock(mutex_);
  ended_ = true;
  pending_.clear();
  drained_.notify_all();
}

}  // namespace penstock::cache::disk
