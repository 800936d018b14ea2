#include "penstock/base/standard_descriptors.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <initializer_list>

namespace penstock {
namespace {

bool IsNull(int fd) {
  struct stat status {};
  return ::fstat(fd, &status) == 0 && S_ISCHR(status.st_mode) && status.st_rdev == makedev(1, 3);
}

/// What a process that begins with these closed has after the call: the first descriptor that is free, or -1 when one
/// of the closed is not /dev/null.
int FirstFreeAfter(std::initializer_list<int> closed) {
  const pid_t child = ::fork();
  if (child == 0) {
    for (int fd = 3; fd < 100; ++fd) ::close(fd);
    for (const int fd : closed) ::close(fd);
    OpenStandardDescriptors();
    for (const int fd : closed) {
      if (!IsNull(fd)) ::_exit(255);
    }
    ::_exit(::dup(0));
  }
  int status = 0;
  if (child < 0 || ::waitpid(child, &status, 0) != child || !WIFEXITED(status)) return -2;
  return WEXITSTATUS(status) == 255 ? -1 : WEXITSTATUS(status);
}

TEST(StandardDescriptors, AreNeverReusedForOthers) {
  EXPECT_EQ(FirstFreeAfter({}), 3);
  EXPECT_EQ(FirstFreeAfter({0}), 3);
  EXPECT_EQ(FirstFreeAfter({2}), 3);
  EXPECT_EQ(FirstFreeAfter({0, 2}), 3);
  EXPECT_EQ(FirstFreeAfter({0, 1, 2}), 3);
}

}  // namespace
}  // namespace penstock
