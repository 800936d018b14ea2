// What the health checks believe of each kind of server, asked of the simulator that imitates it.
#include <gtest/gtest.h>

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "penstock/upstream/health_checker.hpp"
#include "penstock/upstream/kind_quirks.hpp"
#include "support/raw_socket.hpp"
#include "support/turns.hpp"

namespace penstock::upstream {
namespace {

using config::EndpointKind;

/// A penstock-sim of its own on a port of the kernel's choice.
class Simulator {
 public:
  explicit Simulator(const std::string& kind) {
    const char* folder = std::getenv("PENSTOCK_BIN");
    const std::string program = std::string(folder == nullptr ? "bin" : folder) + "/penstock-sim";
    std::string words[] = {program, "--kind", kind, "--listen", "127.0.0.1:0"};
    char* arguments[] = {words[0].data(), words[1].data(), words[2].data(), words[3].data(), words[4].data(), nullptr};
    int out[2];
    EXPECT_EQ(::pipe(out), 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    posix_spawn_file_actions_addclose(&actions, out[0]);
    EXPECT_EQ(::posix_spawn(&pid_, program.c_str(), &actions, nullptr, arguments, environ), 0) << program;
    posix_spawn_file_actions_destroy(&actions);
    ::close(out[1]);
    std::FILE* lines = ::fdopen(out[0], "r");
    char line[256] = "";
    EXPECT_NE(std::fgets(line, sizeof line, lines), nullptr);
    std::fclose(lines);
    const std::string text(line);
    address_ = text.substr(text.rfind(' ') + 1);
    address_.pop_back();
  }
  ~Simulator() {
    if (pid_ > 0) {
      ::kill(pid_, SIGTERM);
      ::waitpid(pid_, nullptr, 0);
    }
  }

  const std::string& address() const { return address_; }
  /// POST /sim/set with this query.
  void Set(const std::string& query) const {
    const test::RawSocket socket = test::RawSocket::Connect(*rt::Address::Parse(address_));
    const std::string request =
        "POST /sim/set?" + query + " HTTP/1.1\r\nhost: sim\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    std::size_t sent = 0;
    while (sent < request.size()) sent += socket.Send(std::string_view(request).substr(sent));
    test::RawSocket& reader = const_cast<test::RawSocket&>(socket);
    while (!reader.ended() && reader.error() == 0) reader.Receive();
  }

 private:
  pid_t pid_ = -1;
  std::string address_;
};

struct KindRow {
  const char* name;
  EndpointKind detected;  ///< by `auto`
  EndpointKind configured;
};

class ServerKinds : public testing::TestWithParam<KindRow>, private HealthEvents {
 public:
  /// A first round against it, as `kind`.
  std::shared_ptr<Endpoint> Check(EndpointKind kind) {
    config::Endpoint spec;
    spec.url = *Url::Parse("http://" + simulator.address());
    spec.name = "a";
    spec.kind = kind;
    auto endpoint = std::make_shared<Endpoint>("cluster", spec, registry);
    config::HealthCheck check;
    check.unhealthy_after = 1;
    check.timeout = std::chrono::seconds(20);
    checker.SetEndpoints({{endpoint, check, {}}});
    EXPECT_TRUE(test::RunUntil(
        worker, [&] { return checker.settled(); }, 20'000));
    return endpoint;
  }
  void OnHealthChanged(const Endpoint&, bool, std::string_view) override {}
  void OnChecked(const Endpoint&, std::uint32_t) override {}
  void OnWarmupBegan(const Endpoint&) override {}
  void OnWarmupFailed(const Endpoint&, std::string_view) override {}
  void OnKindDetected(const Endpoint&) override {}

  Simulator simulator{GetParam().name};
  rt::Worker worker{0, rt::MakeEpollLoop(), 1};
  telemetry::MetricRegistry registry{telemetry::GatewayFamilies()};
  net::Resolver resolver;
  HealthChecker checker{worker, resolver, registry.OpenSlab(), *this};
};

TEST_P(ServerKinds, AutoFindsIt) {
  const auto endpoint = Check(EndpointKind::kAuto);
  EXPECT_EQ(endpoint->kind(), GetParam().detected);
  EXPECT_TRUE(endpoint->usable());
}

TEST_P(ServerKinds, HealthPathSaysReady) { EXPECT_TRUE(Check(GetParam().configured)->usable()); }

TEST_P(ServerKinds, HealthPathSaysNotReady) {
  simulator.Set("ready=0");
  const bool says_nothing = GetParam().configured == EndpointKind::kOllama;  // its / is there from the beginning
  EXPECT_EQ(Check(GetParam().configured)->usable(), says_nothing);
}

INSTANTIATE_TEST_SUITE_P(Rows, ServerKinds,
                         testing::Values(KindRow{"vllm", EndpointKind::kVllm, EndpointKind::kVllm},
                                         KindRow{"sglang", EndpointKind::kSglang, EndpointKind::kSglang},
                                         KindRow{"tgi", EndpointKind::kTgi, EndpointKind::kTgi},
                                         KindRow{"llamacpp", EndpointKind::kLlamacpp, EndpointKind::kLlamacpp},
                                         KindRow{"triton", EndpointKind::kOpenai, EndpointKind::kTriton},
                                         KindRow{"ollama", EndpointKind::kOllama, EndpointKind::kOllama},
                                         KindRow{"openai", EndpointKind::kOpenai, EndpointKind::kOpenai}),
                         [](const auto& row) { return row.param.name; });

}  // namespace
}  // namespace penstock::upstream
