// connect_flood PORT SOURCE SECONDS HELD: connects to 127.0.0.1:PORT from the address SOURCE without sending a byte, as
// fast as one core can; the oldest connection beyond HELD is reset. Prints how many were begun and how many got
// through, per second (FAULTS P-15).
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <vector>

namespace {

constexpr int kLookEvery = 64;  // connections between two looks at the clock

double Seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

sockaddr_in At(const char* address, int port) {
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(static_cast<std::uint16_t>(port));
  ::inet_pton(AF_INET, address, &at.sin_addr);
  return at;
}

const sockaddr* Plain(const sockaddr_in& address) { return reinterpret_cast<const sockaddr*>(&address); }

/// A socket on its way, or -1.
int Begin(const sockaddr_in& from, const sockaddr_in& to) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const linger reset{1, 0};
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  ::setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  const bool begun =
      ::bind(fd, Plain(from), sizeof from) == 0 && (::connect(fd, Plain(to), sizeof to) == 0 || errno == EINPROGRESS);
  if (begun) return fd;
  ::close(fd);
  return -1;
}

/// Whether the other side has taken it.
bool Settled(int fd) {
  sockaddr_in peer{};
  socklen_t size = sizeof peer;
  return ::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) == 0;
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 5) return 2;
  const sockaddr_in to = At("127.0.0.1", std::atoi(arguments[1])), from = At(arguments[2], 0);
  const double seconds = std::atof(arguments[3]);
  std::vector<int> held(static_cast<std::size_t>(std::atoi(arguments[4])), -1);
  std::size_t at = 0;
  long begun = 0, settled = 0, failed = 0;
  const double began = Seconds();
  while (Seconds() - began < seconds) {
    for (int i = 0; i < kLookEvery; ++i) {
      int& place = held[at++ % held.size()];
      if (place >= 0) {
        settled += Settled(place) ? 1 : 0;
        ::close(place);
      }
      place = Begin(from, to);
      ++(place >= 0 ? begun : failed);
    }
  }
  const double took = Seconds() - began;
  std::printf("%.0f %.0f %ld\n", static_cast<double>(begun) / took, static_cast<double>(settled) / took, failed);
  return 0;
}
