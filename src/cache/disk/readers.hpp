#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "cache/disk/counters.hpp"
#include "cache/disk/database.hpp"
#include "penstock/cache/disk_tier.hpp"

namespace penstock::cache::disk {

/// What a reader tells about a key in passing. Called from the readers' threads.
class ReadNotes {
 public:
  virtual void OnUsed(const Digest& key, std::int64_t used_s) = 0;
  virtual void OnDamaged(const Digest& key, std::int64_t checksum) = 0;  ///< the entry's checksum is wrong
  virtual void OnBroken() = 0;                                           ///< the database itself is
  virtual void OnReadFailed(const char* why) = 0;                        ///< neither: it cannot be opened or read

 protected:
  ~ReadNotes() = default;
};

/// Shared: a mutex around the queue, one around each thread's connection. The threads that read.
class Readers {
 public:
  struct Question {
    Digest key;
    Scope scope;
    WallTime now;
    rt::Worker* worker;
    DiskTier::Found found;
  };

  Readers(std::string database, Counters& counters) : database_(std::move(database)), counters_(counters) {}
  ~Readers() { Stop(); }
  Readers(const Readers&) = delete;
  Readers& operator=(const Readers&) = delete;

  void Start(unsigned threads, ReadNotes& notes);
  void Stop();  ///< what waits is a miss
  /// False when the queue is full, or after Stop().
  bool Ask(Question question);

  /// While this lives no reader has a connection or makes one. Between the writer's closing and opening the database.
  class Aside {
   public:
    explicit Aside(Readers& readers);

   private:
    std::vector<std::unique_lock<std::mutex>> locks_;
  };

  static void Answer(const Question& question, std::optional<Entry> entry);

 private:
  struct Reader {
    std::mutex mutex;  // held while the connection is in use
    Database database;
    Statement find;
    std::thread thread;
  };
  void Run(Reader& reader);
  std::optional<Entry> Find(Reader& reader, const Question& question);
  void CountFailure(const Reader& reader, Verdict verdict);
  void Close(Reader& reader) noexcept;

  const std::string database_;
  Counters& counters_;
  ReadNotes* notes_ = nullptr;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Question> questions_;
  bool stop_ = false;
  std::vector<std::unique_ptr<Reader>> readers_;
};

}  // namespace penstock::cache::disk
