#include "penstock/telemetry/log_sink.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <limits.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "penstock/telemetry/access_log.hpp"
#include "penstock/telemetry/log.hpp"

namespace penstock::telemetry {
namespace {

using namespace std::chrono_literals;

constexpr Duration kLongEnough = 20s;

/// A pipe whose reader is the test.
class Pipe {
 public:
  Pipe() { EXPECT_EQ(pipe2(ends_, O_CLOEXEC), 0); }
  ~Pipe() {
    CloseReader();
    close(ends_[1]);
  }
  int writer() const { return ends_[1]; }
  void CloseReader() {
    if (ends_[0] >= 0) close(std::exchange(ends_[0], -1));
  }
  /// Until nobody can write another byte; returns how many went in.
  std::size_t Fill() {
    std::size_t filled = 0;
    fcntl(ends_[1], F_SETFL, O_NONBLOCK);
    while (write(ends_[1], "#", 1) == 1) ++filled;
    fcntl(ends_[1], F_SETFL, 0);
    return filled;
  }
  std::string ReadExactly(std::size_t size) {
    std::string text(size, '\0');
    std::size_t got = 0;
    while (got < size) {
      const ssize_t n = read(ends_[0], text.data() + got, size - got);
      if (n <= 0) break;
      got += static_cast<std::size_t>(n);
    }
    text.resize(got);
    return text;
  }
  bool Writable() const {
    pollfd room{ends_[1], POLLOUT, 0};
    return poll(&room, 1, 0) == 1;
  }
  std::string ReadAvailable() {
    std::string text;
    char chunk[4096];
    for (pollfd ready{ends_[0], POLLIN, 0}; poll(&ready, 1, 0) == 1 && (ready.revents & POLLIN) != 0;) {
      const ssize_t n = read(ends_[0], chunk, sizeof chunk);
      if (n <= 0) break;
      text.append(chunk, static_cast<std::size_t>(n));
    }
    return text;
  }

 private:
  int ends_[2] = {-1, -1};
};

class TempFile {
 public:
  TempFile()
      : path_(testing::TempDir() + "penstock_log." + std::to_string(getpid()) + "." +
              testing::UnitTest::GetInstance()->current_test_info()->name()) {
    std::filesystem::remove_all(path_);
  }
  ~TempFile() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }
  static std::string Contents(const std::string& path) {
    std::ifstream file(path);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
  }

 private:
  std::string path_;
};

std::unique_ptr<LogSink> Open(const LogSinkOptions& options) {
  auto sink = LogSink::Open(options);
  EXPECT_TRUE(sink.has_value());
  return sink.has_value() ? std::move(*sink) : nullptr;
}

std::size_t Lines(const std::string& text) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

TEST(LogSink, BothKindsGoToStderrInOrder) {
  Pipe out;
  const auto sink = Open({.stderr_fd = out.writer()});
  EXPECT_TRUE(sink->access_enabled());
  LogChannel& channel = sink->OpenChannel();
  std::string expected;
  for (int i = 0; i < 100; ++i) {
    const std::string line = "line " + std::to_string(i);
    ASSERT_TRUE(channel.Push(i % 2 == 0 ? LogTarget::kDaemon : LogTarget::kAccess, line));
    expected += line + '\n';
  }
  ASSERT_TRUE(sink->Flush(kLongEnough));
  EXPECT_EQ(out.ReadAvailable(), expected);
  EXPECT_EQ(sink->dropped(), 0u);
}

TEST(LogSink, TheRingWrapsAtEveryPlace) {
  TempFile file;
  const auto sink = Open({.access = file.path(), .ring_bytes = 1});
  LogChannel& channel = sink->OpenChannel();
  std::string expected;
  for (std::size_t i = 0; i < 3'000; ++i) {
    const std::string line(i * 7 % 301, static_cast<char>('a' + i % 26));
    ASSERT_TRUE(channel.Push(LogTarget::kAccess, line));
    expected += line + '\n';
    if (i % 20 == 19) {
      ASSERT_TRUE(sink->Flush(kLongEnough));
    }
  }
  ASSERT_TRUE(sink->Flush(kLongEnough));
  EXPECT_EQ(TempFile::Contents(file.path()), expected);
}

TEST(LogSink, P_10_ABlockedPipeDropsAndCountsButNeverBlocks) {
  Pipe out;
  const std::size_t filled = out.Fill();
  const auto sink = Open({.ring_bytes = 1, .stderr_fd = out.writer()});
  LogChannel& channel = sink->OpenChannel();
  const std::string line(1000, 'x');
  // Ring and batch together hold some hundred kibibytes: the loop ends because a push is refused, not because
  // time passes.
  std::size_t accepted = 0;
  std::size_t refused = 0;
  while (refused < 100 && accepted < 10'000) (channel.Push(LogTarget::kAccess, line) ? accepted : refused) += 1;
  EXPECT_EQ(refused, 100u);
  EXPECT_EQ(channel.dropped(), 100u);
  EXPECT_EQ(sink->dropped(), 100u);
  // The reader comes back: everything accepted arrives, whole.
  EXPECT_EQ(out.ReadExactly(filled), std::string(filled, '#'));
  const std::string arrived = out.ReadExactly(accepted * (line.size() + 1));
  EXPECT_EQ(Lines(arrived), accepted);
  EXPECT_EQ(arrived.substr(0, 1001), line + '\n');
  EXPECT_EQ(sink->dropped(), 100u);
}

TEST(LogSink, P_10_AnEndBehindABlockedPipeDoesNotHang) {
  Pipe out;
  out.Fill();
  auto sink = Open({.stderr_fd = out.writer()});
  LogChannel& channel = sink->OpenChannel();
  for (int i = 0; i < 10; ++i) channel.Push(LogTarget::kDaemon, "never read");
  sink.reset();
}

// Room for one page, then none: a write larger than poll() promised would hang in the kernel, out of reach.
TEST(LogSink, P_10_AnEndBehindAPipeThatFillsUpDoesNotHang) {
  Pipe out;
  out.Fill();
  auto sink = Open({.stderr_fd = out.writer()});
  LogChannel& channel = sink->OpenChannel();
  for (int i = 0; i < 50; ++i) channel.Push(LogTarget::kDaemon, std::string(1000, 'x'));
  out.ReadExactly(2 * PIPE_BUF);
  while (out.Writable()) std::this_thread::yield();
  sink.reset();
}

TEST(LogSink, P_10_ABlockedStderrDoesNotHoldUpTheAccessFile) {
  Pipe out;
  const std::size_t filled = out.Fill();
  TempFile file;
  const auto sink = Open({.access = file.path(), .stderr_fd = out.writer()});
  LogChannel& channel = sink->OpenChannel();
  const std::string noise(1000, 'd');
  for (int i = 0; i < 200; ++i) {
    ASSERT_TRUE(channel.Push(LogTarget::kDaemon, noise));
    ASSERT_TRUE(channel.Push(LogTarget::kAccess, "request " + std::to_string(i)));
  }
  ASSERT_TRUE(sink->Flush(kLongEnough));
  EXPECT_EQ(Lines(TempFile::Contents(file.path())), 200u);
  const std::uint64_t dropped = sink->dropped();
  EXPECT_GT(dropped, 100u);
  EXPECT_LT(dropped, 200u);
  out.ReadExactly(filled);
  EXPECT_EQ(Lines(out.ReadExactly((200 - dropped) * 1001)), 200 - dropped) << "what was held back arrives";
}

TEST(LogSink, P_10_TheReaderHasGone) {
  Pipe out;
  out.CloseReader();
  const auto sink = Open({.stderr_fd = out.writer()});
  LogChannel& channel = sink->OpenChannel();
  for (int i = 0; i < 5; ++i) channel.Push(LogTarget::kAccess, "x");
  ASSERT_TRUE(sink->Flush(kLongEnough)) << "and no SIGPIPE";
  EXPECT_EQ(sink->dropped(), 5u);
}

TEST(LogSink, P_10_DiskFullIsCounted) {
  const auto sink = Open({.access = "/dev/full"});
  LogChannel& channel = sink->OpenChannel();
  for (int i = 0; i < 7; ++i) channel.Push(LogTarget::kAccess, "x");
  ASSERT_TRUE(sink->Flush(kLongEnough));
  EXPECT_EQ(sink->dropped(), 7u);
}

// A disk that fills up in the middle of a line: that line is lost and cut, the next one stands on its own.
TEST(LogSink, P_10_ATornLineDoesNotSpoilTheNext) {
  TempFile file;
  const auto sink = Open({.access = file.path()});
  LogChannel& channel = sink->OpenChannel();
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  rlimit full = before;
  full.rlim_cur = 25;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &full), 0);
  for (int i = 0; i < 3; ++i) channel.Push(LogTarget::kAccess, "0123456789");
  const bool written = sink->Flush(kLongEnough);
  channel.Push(LogTarget::kAccess, "while full");
  const bool refused = sink->Flush(kLongEnough);
  setrlimit(RLIMIT_FSIZE, &before);
  ASSERT_TRUE(written && refused);
  channel.Push(LogTarget::kAccess, "room again");
  ASSERT_TRUE(sink->Flush(kLongEnough));
  EXPECT_EQ(TempFile::Contents(file.path()), "0123456789\n0123456789\n012\nroom again\n");
  EXPECT_EQ(sink->dropped(), 2u);
}

TEST(LogSink, P_10_ReopenedAfterRotation) {
  TempFile file;
  const std::string rotated = file.path() + ".1";
  const auto sink = Open({.access = file.path()});
  LogChannel& channel = sink->OpenChannel();
  for (int round = 0; round < 20; ++round) {
    std::filesystem::remove(rotated);
    channel.Push(LogTarget::kAccess, "before");
    ASSERT_TRUE(sink->Flush(kLongEnough));
    std::filesystem::rename(file.path(), rotated);
    channel.Push(LogTarget::kAccess, "after the renaming");
    ASSERT_TRUE(sink->Flush(kLongEnough));
    sink->Reopen();
    channel.Push(LogTarget::kAccess, "after the reopening");
    ASSERT_TRUE(sink->Flush(kLongEnough));
    EXPECT_EQ(TempFile::Contents(rotated), "before\nafter the renaming\n");
    EXPECT_EQ(TempFile::Contents(file.path()), "after the reopening\n");
    std::filesystem::remove(file.path());
    sink->Reopen();
  }
  std::filesystem::remove(rotated);
}

TEST(LogSink, P_10_AFailedReopenKeepsTheOldFile) {
  TempFile directory;
  std::filesystem::create_directory(directory.path());
  const std::string path = directory.path() + "/access.log";
  const std::string moved = directory.path() + ".moved";
  const auto sink = Open({.access = path});
  LogChannel& channel = sink->OpenChannel();
  std::filesystem::rename(directory.path(), moved);
  sink->Reopen();
  channel.Push(LogTarget::kAccess, "kept");
  ASSERT_TRUE(sink->Flush(kLongEnough));
  EXPECT_EQ(TempFile::Contents(moved + "/access.log"), "kept\n");
  std::filesystem::remove_all(moved);
}

TEST(LogSink, OffTakesNoAccessLines) {
  Pipe out;
  const auto sink = Open({.access = "off", .stderr_fd = out.writer()});
  EXPECT_FALSE(sink->access_enabled());
  LogChannel& channel = sink->OpenChannel();
  channel.Push(LogTarget::kDaemon, "daemon");
  ASSERT_TRUE(sink->Flush(kLongEnough));
  EXPECT_EQ(out.ReadAvailable(), "daemon\n");
}

TEST(LogSink, P_13_AnAccessLogThatCannotBeOpenedIsAnError) {
  EXPECT_FALSE(LogSink::Open({.access = "/nonexistent/access.log"}).has_value());
}

TEST(LogSink, P_13_AFifoIsOpenedWithoutWaitingForItsReader) {
  TempFile file;
  ASSERT_EQ(mkfifo(file.path().c_str(), 0600), 0);
  alarm(10);  // ends the test where open() waits
  errno = 0;
  EXPECT_FALSE(LogSink::Open({.access = file.path()}).has_value());
  EXPECT_EQ(errno, ENXIO);
  const int reader = open(file.path().c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  ASSERT_GE(reader, 0);
  const auto sink = Open({.access = file.path()});
  alarm(0);
  sink->OpenChannel().Push(LogTarget::kAccess, "to the reader");
  ASSERT_TRUE(sink->Flush(kLongEnough));
  char line[32] = {};
  EXPECT_EQ(read(reader, line, sizeof line), 14);
  EXPECT_STREQ(line, "to the reader\n");
  close(reader);
}

TEST(LogSink, TheEndWritesWhatWasPushed) {
  TempFile file;
  auto sink = Open({.access = file.path()});
  LogChannel& channel = sink->OpenChannel();
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(channel.Push(LogTarget::kAccess, "last words"));
  sink.reset();
  EXPECT_EQ(Lines(TempFile::Contents(file.path())), 1000u);
}

TEST(LogSink, ManyThreadsLoseNothingAndTearNothing) {
  constexpr int kThreads = 4;
  constexpr int kLines = 5'000;
  TempFile file;
  const auto sink = Open({.access = file.path(), .channels = kThreads});
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      LogChannel& channel = sink->OpenChannel();
      const std::string line(40, static_cast<char>('a' + t));
      for (int i = 0; i < kLines; ++i) EXPECT_TRUE(channel.Push(LogTarget::kAccess, line));
    });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_TRUE(sink->Flush(kLongEnough));
  std::ifstream written(file.path());
  std::vector<int> counts(kThreads);
  for (std::string line; std::getline(written, line);) {
    ASSERT_EQ(line, std::string(40, line[0]));
    ++counts[static_cast<std::size_t>(line[0] - 'a')];
  }
  EXPECT_EQ(counts, std::vector<int>(kThreads, kLines));
}

TEST(AccessLog, ALineReachesTheFile) {
  TempFile file;
  const auto sink = Open({.access = file.path()});
  AccessLog log(&sink->OpenChannel());
  ASSERT_TRUE(log.enabled());
  AccessRecord record;
  record.request_id = "one";
  log.Write(record);
  record.request_id = "two";
  log.Write(record);
  ASSERT_TRUE(sink->Flush(kLongEnough));
  const std::string text = TempFile::Contents(file.path());
  EXPECT_EQ(Lines(text), 2u);
  EXPECT_LT(text.find("\"one\""), text.find("\"two\""));
}

class DaemonLog : public testing::Test {
 protected:
  std::string Written(LogFormat format, const std::function<void(Logger&)>& act) {
    Pipe out;
    const auto sink = Open({.stderr_fd = out.writer()});
    Logger log(sink->OpenChannel(), LogLevel::kInfo, format);
    act(log);
    EXPECT_TRUE(sink->Flush(kLongEnough));
    return out.ReadAvailable();
  }
  static constexpr WallTime kNow{1'789'389'296'789'000};
};

TEST_F(DaemonLog, Json) {
  const std::string text = Written(LogFormat::kJson, [](Logger& log) {
    log.Debug(kNow, "not shown");
    log.Warn(kNow, "endpoint is unhealthy", {{"endpoint", "gpu-1"}, {"after", 3}, {"load", 0.5}, {"last", true}});
    log.Error(kNow, "line\nbreak", {{"peer", "\"\x1b"}, {"bytes", std::uint64_t{1} << 63}});
  });
  EXPECT_EQ(
      text,
      R"({"ts":"2026-09-14T12:34:56.789Z","level":"warn","msg":"endpoint is unhealthy","endpoint":"gpu-1","after":3,"load":0.5,"last":true})"
      "\n"
      R"({"ts":"2026-09-14T12:34:56.789Z","level":"error","msg":"line\nbreak","peer":"\"\u001b","bytes":9223372036854775808})"
      "\n");
}

TEST_F(DaemonLog, Text) {
  const std::string text = Written(LogFormat::kText, [](Logger& log) {
    log.Info(kNow, "listening", {{"address", "127.0.0.1:8080"}, {"workers", 2u}});
    log.Error(kNow, "bad\nthing", {{"why", "x\ny"}});
  });
  EXPECT_EQ(text,
            "2026-09-14T12:34:56.789Z info  listening address=\"127.0.0.1:8080\" workers=2\n"
            "2026-09-14T12:34:56.789Z error bad\\nthing why=\"x\\ny\"\n");
}

TEST_F(DaemonLog, A_09_TooManyFieldsStillGiveAValidLine) {
  const std::string big(5000, 'v');
  const std::string text = Written(LogFormat::kJson, [&](Logger& log) {
    log.Info(kNow, big,
             {{"a", big},
              {"b", big},
              {"c", big},
              {"d", big},
              {"e", big},
              {"f", big},
              {"g", big},
              {"h", big},
              {"i", big},
              {"j", big},
              {"k", big},
              {"l", big},
              {"m", big},
              {"n", big},
              {"o", big},
              {"p", big}});
  });
  EXPECT_EQ(Lines(text), 1u);
  EXPECT_TRUE(text.ends_with("vv\"}\n"));
  EXPECT_LE(text.size(), kLogLineMax + 1);
}

TEST_F(DaemonLog, LevelsCanBeParsedAndChanged) {
  EXPECT_EQ(ParseLogLevel("debug"), LogLevel::kDebug);
  EXPECT_EQ(ParseLogLevel("error"), LogLevel::kError);
  EXPECT_EQ(ParseLogLevel("Info"), std::nullopt);
  const std::string text = Written(LogFormat::kJson, [](Logger& log) {
    log.set_level(LogLevel::kError);
    EXPECT_FALSE(log.Enabled(LogLevel::kWarn));
    log.Warn(kNow, "no");
    log.set_level(LogLevel::kDebug);
    log.Debug(kNow, "yes");
  });
  EXPECT_EQ(Lines(text), 1u);
  EXPECT_NE(text.find("yes"), std::string::npos);
}

TEST(LogLimit, OncePerSecondWithACount) {
  LogLimit limit;
  const TimePoint start{0};
  EXPECT_EQ(limit.Allow(start), 0u);
  for (int i = 1; i < 100; ++i) EXPECT_EQ(limit.Allow(start + std::chrono::milliseconds(i)), std::nullopt);
  EXPECT_EQ(limit.Allow(start + 1s - 1ns), std::nullopt);
  EXPECT_EQ(limit.Allow(start + 1s), 100u);
  EXPECT_EQ(limit.Allow(start + 5s), 0u);
}

}  // namespace
}  // namespace penstock::telemetry
