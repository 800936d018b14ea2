#pragma once

#include <atomic>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "penstock/cache/disk_tier.hpp"
#include "support/manual_loop.hpp"
#include "support/temporary_folder.hpp"

namespace penstock::cache::test {

inline constexpr std::int64_t kStartUs = 1'700'000'000'000'000;
inline constexpr std::int64_t kSecondUs = 1'000'000;

/// Equal numbers, equal keys, spread like digests.
inline Digest KeyOf(std::uint64_t number) {
  Digest key;
  for (std::uint64_t word = 0, bits = number; word < 4; ++word) {
    bits = (bits ^ (bits >> 30)) * 0xbf58476d1ce4e5b9 + 0x9e3779b97f4a7c15;
    bits ^= bits >> 27;
    std::memcpy(key.bytes.data() + 8 * word, &bits, sizeof bits);
  }
  return key;
}

/// The body that belongs to a key's number: every byte depends on it and on its place.
inline std::string BodyOf(std::uint64_t number, std::size_t size) {
  std::string body(size, '\0');
  std::uint64_t bits = number * 2 + 1;
  for (char& byte : body) {
    bits = bits * 6364136223846793005 + 1442695040888963407;
    byte = static_cast<char>(bits >> 56);
  }
  return body;
}

inline Entry EntryOf(std::uint64_t number, std::size_t size, WallTime now, std::int64_t ttl_us = 3600 * kSecondUs) {
  Entry entry;
  entry.bytes = SharedBytes::Copy(BodyOf(number, size));
  entry.form = number % 2 == 0 ? Form::kWhole : Form::kEvents;
  entry.family = number % 3 == 0 ? llm::Family::kMessages : llm::Family::kChat;
  entry.usage = {static_cast<std::uint32_t>(number), 7};
  entry.scope = {number % 5, number % 7};
  entry.stored_at = now;
  entry.expires_at = {now.us + ttl_us};
  entry.purges_heard = number * 3;
  return entry;
}

/// A folder, clocks that the test sets, a worker that asks.
struct DiskWorld {
  penstock::test::TemporaryFolder folder;
  std::atomic<std::int64_t> now_ns{1'000'000'000};
  std::atomic<std::int64_t> wall_us{kStartUs};
  std::mutex mutex;
  std::vector<std::string> reports;
  rt::Worker worker{0, std::make_unique<penstock::test::ManualLoop>(TimePoint{1}), 1};
  std::unique_ptr<DiskTier> tier;

  WallTime Wall() const { return {wall_us.load()}; }
  std::string Home() const { return folder.Path("cache"); }
  std::string Database() const { return Home() + "/cache.db"; }

  /// The reason when it cannot be opened, "" otherwise.
  std::string Open(std::uint64_t size = 64u << 20) { return OpenAt(Home(), size); }
  std::string OpenAt(const std::string& path, std::uint64_t size = 64u << 20) {
    tier.reset();
    DiskOptions options;
    options.path = path;
    options.size = size;
    options.now = [this] { return TimePoint{now_ns.load()}; };
    options.wall = [this] { return Wall(); };
    options.report = [this](std::string line) {
      const std::lock_guard lock(mutex);
      reports.push_back(std::move(line));
    };
    auto opened = DiskTier::Open(std::move(options));
    if (!opened.has_value()) return opened.error();
    tier = std::move(*opened);
    return "";
  }

  bool Store(std::uint64_t number, std::size_t size, std::int64_t ttl_us = 3600 * kSecondUs) {
    return tier->Store(KeyOf(number), EntryOf(number, size, Wall(), ttl_us));
  }
  std::optional<Entry> Find(std::uint64_t number) { return Find(number, {number % 5, number % 7}, Wall()); }
  std::optional<Entry> Find(std::uint64_t number, Scope scope, WallTime now) {
    bool heard = false;
    std::optional<Entry> answer;
    const bool asked = tier->Find(KeyOf(number), scope, now, worker, [&](std::optional<Entry> entry) {
      heard = true;
      answer = std::move(entry);
    });
    auto& loop = static_cast<penstock::test::ManualLoop&>(worker.loop());
    while (asked && !heard) {
      loop.WaitForWake();
      worker.RunTurn();
    }
    return answer;
  }
  /// Whether what is found is what was stored; nothing found is not wrong.
  bool Right(std::uint64_t number, std::size_t size, const std::optional<Entry>& entry) const {
    if (!entry) return true;
    const Entry stored = EntryOf(number, size, entry->stored_at, entry->expires_at.us - entry->stored_at.us);
    return entry->bytes.view() == stored.bytes.view() && entry->form == stored.form && entry->family == stored.family &&
           entry->scope == stored.scope && entry->usage == stored.usage && entry->purges_heard == stored.purges_heard;
  }
};

}  // namespace penstock::cache::test
