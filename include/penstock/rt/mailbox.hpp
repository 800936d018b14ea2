#pragma once

#include <functional>
#include <mutex>
#include <vector>

namespace penstock::rt {

/// Shared: a mutex around a short push. Work handed to a worker from other threads (snapshots, resolved names,
/// commands): rare by design, so a plain list under a lock is enough.
class Mailbox {
 public:
  using Letter = std::function<void()>;

  /// True when the mailbox was empty before: the caller must wake the worker.
  bool Post(Letter letter) {
    const std::lock_guard lock(mutex_);
    letters_.push_back(std::move(letter));
    return letters_.size() == 1;
  }

  /// Runs what has come, in order. By the owner only.
  void Deliver() {
    {
      const std::lock_guard lock(mutex_);
      delivering_.swap(letters_);
    }
    for (Letter& letter : delivering_) letter();
    delivering_.clear();
  }

 private:
  std::mutex mutex_;
  std::vector<Letter> letters_;
  std::vector<Letter> delivering_;
};

}  // namespace penstock::rt
