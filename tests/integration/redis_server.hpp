#pragma once

// A real redis-server on a free port of the loopback, without a disk.

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <string>
#include <vector>

namespace penstock::test {

class RedisServer {
 public:
  /// `port`: the option that is given the port; with "--tls-port" nothing else is listened on.
  explicit RedisServer(std::vector<std::string> options = {}, std::string port = "--port")
      : options_(std::move(options)), port_option_(std::move(port)), port_(FreePort()) {
    Start();
  }
  ~RedisServer() { Kill(); }
  RedisServer(const RedisServer&) = delete;
  RedisServer& operator=(const RedisServer&) = delete;

  void Start() {
    std::vector<std::string> words = {"redis-server", port_option_, std::to_string(port_), "--bind",     "127.0.0.1",
                                      "--save",       "",           "--appendonly",        "no",         "--daemonize",
                                      "no",           "--logfile",  "/dev/null",           "--loglevel", "warning"};
    if (port_option_ != "--port") words.insert(words.end(), {"--port", "0"});
    words.insert(words.end(), options_.begin(), options_.end());
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    process_ = fork();
    ASSERT_GE(process_, 0);
    if (process_ != 0) return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execvp("redis-server", arguments.data());
    _exit(127);
  }
  void Kill() {
    if (process_ <= 0) return;
    kill(process_, SIGKILL);
    waitpid(process_, nullptr, 0);
    process_ = -1;
  }
  void Stop() { kill(process_, SIGSTOP); }
  void Continue() { kill(process_, SIGCONT); }
  /// The reply to one command, words separated by spaces, of a connection of its own; "" when there is none.
  std::string Say(const std::string& command) const {
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port_);
    const timeval patience{5, 0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    char reply[4096] = {};
    if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) {
      const std::string line = command + "\r\n";
      EXPECT_EQ(send(fd, line.data(), line.size(), MSG_NOSIGNAL), static_cast<ssize_t>(line.size()));
      if (recv(fd, reply, sizeof reply - 1, 0) < 0) reply[0] = 0;
    }
    close(fd);
    return reply;
  }
  std::string place() const { return "127.0.0.1:" + std::to_string(port_); }

  static std::uint16_t FreePort() {
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size), 0);
    close(fd);
    return ntohs(address.sin_port);
  }

 private:
  std::vector<std::string> options_;
  std::string port_option_;
  std::uint16_t port_;
  pid_t process_ = -1;
};

}  // namespace penstock::test
