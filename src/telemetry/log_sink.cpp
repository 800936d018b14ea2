#include "penstock/telemetry/log_sink.hpp"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spdlog/details/log_msg.h>

#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "telemetry/descriptor_sink.hpp"

namespace penstock::telemetry {

namespace {

/// How often a reader of stderr that took nothing is tried again when no new lines come.
constexpr int kHeldBackMs = 1000;

}  // namespace

struct LogSink::State {
  LogSinkOptions options;
  LogDoorbell bell;
  std::atomic<bool> stopping{false};
  std::atomic<bool> reopen{false};
  std::unique_ptr<DescriptorSink> daemon;
  std::unique_ptr<DescriptorSink> file;   // the access log when it is a file
  spdlog::sinks::sink* access = nullptr;  // file, daemon, or null = off
  std::thread thread;

  mutable std::mutex mutex;  // channels, rounds
  std::condition_variable round_done;
  std::vector<std::unique_ptr<LogChannel>> channels;
  std::uint64_t flush_wanted = 0;
  std::uint64_t flush_done = 0;

  // The log thread's.
  std::vector<std::pair<LogChannel*, std::uint64_t>> work;  // channel, head at the start of the round
  char line[kLogLineMax];

  void Run();
  bool Round();
  void Write(LogTarget target, std::string_view text);
};

/// One look at all channels; false when there was nothing to do.
bool LogSink::State::Round() {
  std::uint64_t flushing;
  work.clear();
  {
    const std::lock_guard lock(mutex);
    flushing = flush_wanted;
    for (const auto& channel : channels) work.emplace_back(channel.get(), channel->head());
  }
  // After the heads: who asked for the reopening before he pushed finds his line in the new file.
  if (reopen.exchange(false, std::memory_order_seq_cst) && file) file->Reopen();
  bool any = false;
  for (const auto& [channel, head] : work) {
    while (channel->tail() < head) {
      LogTarget target;
      const std::string_view text = channel->Pop(line, target);
      Write(target, text);
      any = true;
    }
  }
  daemon->flush();
  if (file) file->flush();
  const std::lock_guard lock(mutex);
  if (flush_done != flushing) {
    flush_done = flushing;
    round_done.notify_all();
  }
  return any;
}

void LogSink::State::Write(LogTarget target, std::string_view text) {
  spdlog::sinks::sink* const sink = target == LogTarget::kAccess ? access : daemon.get();
  if (sink == nullptr) return;
  // The time is in the line already; the constructor that asks the clock would cost more than the copy.
  sink->log(spdlog::details::log_msg({}, {}, {}, spdlog::level::info, {text.data(), text.size()}));
}

void LogSink::State::Run() {
  for (;;) {
    const bool last = stopping.load(std::memory_order_acquire);
    bell.GetUp();
    const bool any = Round();
    if (last) return;
    int wait_ms = kGatherMs;
    if (!any) {
      // Nothing for a whole gathering time: sleep until rung for. The round after lying down closes the gap.
      bell.LieDown();
      if (Round()) continue;
      wait_ms = daemon->holds_back() ? kHeldBackMs : -1;
    }
    pollfd bell_rang{bell.fd(), POLLIN, 0};
    poll(&bell_rang, 1, wait_ms);
  }
}

Result<std::unique_ptr<LogSink>> LogSink::Open(const LogSinkOptions& options) {
  auto state = std::make_unique<State>();
  state->options = options;
  const bool shared = options.access == "stderr";
  const auto blocked = shared ? DescriptorSink::Blocked::kWait : DescriptorSink::Blocked::kHoldBack;
  state->daemon = std::make_unique<DescriptorSink>(options.stderr_fd, blocked, state->bell, state->stopping);
  if (shared) {
    state->access = state->daemon.get();
  } else if (options.access != "off") {
    state->file = DescriptorSink::OpenFile(options.access, state->bell, state->stopping);
    if (!state->file) return InternalError(ErrorCode::kInternal, "the access log cannot be opened");
    state->access = state->file.get();
  }
  // Signals belong to the main thread; and SIGPIPE must not end us when stderr's reader has gone.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  state->thread = std::thread([raw = state.get()] { raw->Run(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_setname_np(state->thread.native_handle(), "log");
  return std::unique_ptr<LogSink>(new LogSink(std::move(state)));
}

LogSink::LogSink(std::unique_ptr<State> state) : state_(std::move(state)) {}

LogSink::~LogSink() {
  state_->stopping.store(true, std::memory_order_release);
  state_->bell.Ring();
  state_->thread.join();
}

LogChannel& LogSink::OpenChannel() {
  const std::size_t bytes = state_->options.ring_bytes / std::max<std::size_t>(state_->options.channels, 1);
  const std::lock_guard lock(state_->mutex);
  return *state_->channels.emplace_back(std::make_unique<LogChannel>(state_->bell, bytes));
}

bool LogSink::access_enabled() const noexcept { return state_->access != nullptr; }

void LogSink::Reopen() noexcept {
  state_->reopen.store(true, std::memory_order_seq_cst);
  state_->bell.Ring();
}

bool LogSink::Flush(Duration limit) {
  std::unique_lock lock(state_->mutex);
  const std::uint64_t ticket = ++state_->flush_wanted;
  state_->bell.Ring();
  return state_->round_done.wait_for(lock, limit, [&] { return state_->flush_done >= ticket; });
}

std::uint64_t LogSink::dropped() const {
  std::uint64_t dropped = state_->daemon->lost() + (state_->file ? state_->file->lost() : 0);
  const std::lock_guard lock(state_->mutex);
  for (const auto& channel : state_->channels) dropped += channel->dropped();
  return dropped;
}

}  // namespace penstock::telemetry
