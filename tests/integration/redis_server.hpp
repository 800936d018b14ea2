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
  explicit RedisServer(std::vector<std::string> options = {}) : options_(std::move(options)), port_(FreePort()) {
    Start();
  }
  ~RedisServer() { Kill(); }
  RedisServer(const RedisServer&) = delete;
  RedisServer& operator=(const RedisServer&) = delete;

  void Start() {
    std::vector<std::string> words = {"redis-server", "--port",    std::to_string(port_), "--bind",     "127.0.0.1",
                                      "--save",       "",          "--appendonly",        "no",         "--daemonize",
                                      "no",           "--logfile", "/dev/null",           "--loglevel", "warning"};
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
  std::string place() const { return "127.0.0.1:" + std::to_string(port_); }

 private:
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

  std::vector<std::string> options_;
  std::uint16_t port_;
  pid_t process_ = -1;
};

}  // namespace penstock::test
