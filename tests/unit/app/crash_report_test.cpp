#include "app/crash_report.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>

namespace penstock::app {
namespace {

void StoreWhereNobodyMay() {
  char* volatile page = static_cast<char*>(::mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  std::memset(page + 16, 1, 1);
}

[[gnu::noinline]] int Recurse(int depth) {
  volatile char frame[512] = {};
  frame[0] = static_cast<char>(depth);
  return depth < 0 ? 0 : Recurse(depth + 1) + frame[0];
}

void Raise(int signal) { ::raise(signal); }

struct Row {
  const char* name;
  void (*crash)();
  int signal;
  const char* line;
};

const Row kRows[] = {
    {"P_16_BadAddress", StoreWhereNobodyMay, SIGSEGV, "^penstock: SIGSEGV at 0x[0-9a-f]+010 in thread .*"},
    {"P_16_Overflow", [] { Recurse(1); }, SIGSEGV, "^penstock: SIGSEGV at 0x[0-9a-f]+ in thread .*"},
    {"P_16_Abort", [] { std::abort(); }, SIGABRT, "^penstock: SIGABRT sent by process [0-9]+ in thread .*"},
    {"P_16_SIGBUS", [] { Raise(SIGBUS); }, SIGBUS, "^penstock: SIGBUS sent by .*"},
    {"P_16_SIGFPE", [] { Raise(SIGFPE); }, SIGFPE, "^penstock: SIGFPE sent by .*"},
    {"P_16_SIGILL", [] { Raise(SIGILL); }, SIGILL, "^penstock: SIGILL sent by .*"},
    {"P_16_SIGSEGV", [] { Raise(SIGSEGV); }, SIGSEGV, "^penstock: SIGSEGV sent by .*"},
};

class CrashReportFaults : public testing::TestWithParam<Row> {};

// One line, in this form; the process dies of the same signal.
TEST_P(CrashReportFaults, OneLineThenTheDefault) {
#if defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "TSan keeps signals to itself";
#endif
  const Row& row = GetParam();
  const auto crash = [&row] {
    InstallCrashReport("9.9 (commit abc)");
    std::thread([&row] {
      const CrashStack stack;
      row.crash();
    }).join();
  };
  const std::string form = std::string(row.line) +
                           "; 9\\.9 \\(commit abc\\), build id [0-9a-f]{16,}; stack:"
                           "( [A-Za-z0-9_.+-]+\\+0x[0-9a-f]+)+\n$";
  EXPECT_EXIT(crash(), testing::KilledBySignal(row.signal), form);
}

INSTANTIATE_TEST_SUITE_P(Crashes, CrashReportFaults, testing::ValuesIn(kRows),
                         [](const auto& row) { return std::string(row.param.name); });

}  // namespace
}  // namespace penstock::app
