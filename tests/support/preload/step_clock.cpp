// LD_PRELOAD: the wall clock as the file named by PENSTOCK_TEST_CLOCK wants it, eight bytes of seconds ahead of the
// real one that may change at any time. The monotonic clock is untouched, as it is by whoever sets the time of a
// machine (FAULTS P-14).
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <ctime>

namespace {

const std::atomic<std::int64_t>* ahead_s = nullptr;

__attribute__((constructor)) void Map() {
  const char* const path = std::getenv("PENSTOCK_TEST_CLOCK");
  if (path == nullptr) return;
  const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
  void* const page = ::mmap(nullptr, sizeof *ahead_s, PROT_READ, MAP_SHARED, fd, 0);
  if (page == MAP_FAILED) std::abort();
  ::close(fd);
  ahead_s = static_cast<const std::atomic<std::int64_t>*>(page);
}

}  // namespace

extern "C" {

int clock_gettime(clockid_t clock, timespec* to) noexcept {
  const long result = ::syscall(SYS_clock_gettime, clock, to);
  const bool wall = clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE;
  if (result == 0 && wall && ahead_s != nullptr) to->tv_sec += ahead_s->load(std::memory_order_relaxed);
  return static_cast<int>(result);
}

int gettimeofday(timeval* to, void*) noexcept {
  timespec now;
  if (clock_gettime(CLOCK_REALTIME, &now) != 0) return -1;
  *to = {now.tv_sec, now.tv_nsec / 1000};
  return 0;
}

time_t time(time_t* to) noexcept {
  timespec now;
  if (clock_gettime(CLOCK_REALTIME, &now) != 0) return -1;
  if (to != nullptr) *to = now.tv_sec;
  return now.tv_sec;
}
}
