#include "penstock/upstream/health_checker.hpp"

#include <algorithm>
#include <map>

#include "penstock/upstream/kind_quirks.hpp"
#include "support/manual_loop.hpp"
#include "world.hpp"

namespace penstock::upstream {
namespace {

using config::EndpointKind;
using std::chrono::milliseconds;
using std::chrono::seconds;

std::string Reply(int status, std::string_view body = {}) {
  return "HTTP/1.1 " + std::to_string(status) + " X\r\ncontent-length: " + std::to_string(body.size()) + "\r\n\r\n" +
         std::string(body);
}

/// Answers by path; what is not listed is a 404, what is listed as "" gets no answer. Requests with a body come in one
/// piece with it.
struct FakeServer {
  FakeServer(test::SimNetwork& network, rt::Worker& worker, const rt::Address& address)
      : peer(network, worker, address) {
    peer.on_read = [this](PeerConnection& connection) {
      while (true) {
        const std::size_t end = connection.received.find("\r\n\r\n");
        if (end == std::string::npos) return;
        const std::string head = connection.received.substr(0, end);
        const bool posted = head.starts_with("POST");
        bodies.push_back(posted ? connection.received.substr(end + 4) : "");
        connection.received.erase(0, posted ? std::string::npos : end + 4);
        const std::string path = head.substr(head.find(' ') + 1, head.find(' ', 5) - head.find(' ') - 1);
        heads.push_back(head);
        asked.push_back(path);
        const auto answer = answers.find(path);
        const std::string text = answer == answers.end() ? Reply(404) : answer->second;
        if (!text.empty()) connection.Send(text);
      }
    };
  }
  std::size_t Asked(const std::string& path) const {
    return static_cast<std::size_t>(std::count(asked.begin(), asked.end(), path));
  }

  Peer peer;
  std::map<std::string, std::string> answers;
  std::vector<std::string> asked;
  std::vector<std::string> heads;
  std::vector<std::string> bodies;
};

class HealthFaults : public World, private HealthEvents {
 public:
  std::shared_ptr<Endpoint> MakeEndpoint(EndpointKind kind, const std::string& url = "http://10.1.0.1:80") {
    config::Endpoint spec;
    spec.url = *Url::Parse(url);
    spec.name = "a";
    spec.kind = kind;
    return std::make_shared<Endpoint>("cluster", spec, registry);
  }
  void Watch(std::shared_ptr<Endpoint> watched, config::HealthCheck rules = {}) {
    endpoint = std::move(watched);
    check = rules;
    checker.SetEndpoints({{endpoint, check, {}}});
  }
  FakeServer& Serve() {
    server = std::make_unique<FakeServer>(network, worker, AddressOf(1));
    return *server;
  }
  /// Until so many more rounds have been concluded, plus a moment.
  void Rounds(int count) { Pass(check.interval * count); }
  std::int64_t Gauge() const { return static_cast<std::int64_t>(slab.Read(endpoint->metrics.healthy.slot)); }

  void OnHealthChanged(const Endpoint&, bool usable, std::string_view reason) override {
    changes.push_back((usable ? "up: " : "down: ") + std::string(reason));
  }
  void OnChecked(const Endpoint&, std::uint32_t) override {}
  void OnKindDetected(const Endpoint& which) override { kinds.push_back(which.kind()); }
  void OnWarmupBegan(const Endpoint&) override { changes.push_back("warms up"); }
  void OnWarmupFailed(const Endpoint&, std::string_view reason) override {
    changes.push_back("still cold: " + std::string(reason));
  }

  telemetry::MetricRegistry registry{telemetry::GatewayFamilies()};
  telemetry::Slab& slab = registry.OpenSlab();
  net::Resolver resolver{[this](const std::string&) { return Result<net::Resolver::Addresses>(resolved); }};
  net::Resolver::Addresses resolved;
  std::unique_ptr<FakeServer> server;
  std::shared_ptr<Endpoint> endpoint;
  config::HealthCheck check;
  HealthChecker checker{worker, resolver, slab, *this};
  std::vector<std::string> changes;
  std::vector<EndpointKind> kinds;
};

struct JudgeRow {
  const char* name;
  EndpointKind kind;
  const char* path;  ///< configured
  const char* asked;
  int status;
  bool usable;
};

class Judge : public HealthFaults, public testing::WithParamInterface<JudgeRow> {};

TEST_P(Judge, ThreeRounds) {
  const JudgeRow& row = GetParam();
  Serve().answers[row.asked] = Reply(row.status);
  config::HealthCheck rules;
  rules.path = row.path;
  Watch(MakeEndpoint(row.kind), rules);
  Rounds(4);
  EXPECT_GE(server->Asked(row.asked), 3u);
  EXPECT_EQ(endpoint->usable(), row.usable);
  EXPECT_EQ(Gauge(), row.usable ? 1 : 0);
  EXPECT_EQ(changes.size(), row.usable ? 0u : 1u);
  if (!row.usable) {
    EXPECT_EQ(changes[0], "down: status " + std::to_string(row.status));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Rows, Judge,
    testing::Values(JudgeRow{"VllmReady", EndpointKind::kVllm, "", "/health", 200, true},
                    JudgeRow{"VllmDead", EndpointKind::kVllm, "", "/health", 503, false},
                    JudgeRow{"SglangReady", EndpointKind::kSglang, "", "/health", 200, true},
                    JudgeRow{"LlamaLoading", EndpointKind::kLlamacpp, "", "/health", 503, false},
                    JudgeRow{"TgiReady", EndpointKind::kTgi, "", "/health", 200, true},
                    JudgeRow{"TritonReady", EndpointKind::kTriton, "", "/health/ready", 200, true},
                    JudgeRow{"TritonNotReady400", EndpointKind::kTriton, "", "/health/ready", 400, false},
                    JudgeRow{"Ollama", EndpointKind::kOllama, "", "/", 200, true},
                    JudgeRow{"UnknownHasNone", EndpointKind::kOpenai, "", "/health", 404, true},
                    JudgeRow{"UnknownWantsKey", EndpointKind::kOpenai, "", "/health", 401, true},
                    JudgeRow{"UnknownMethod", EndpointKind::kOpenai, "", "/health", 405, true},
                    JudgeRow{"Unknown500", EndpointKind::kOpenai, "", "/health", 500, false},
                    JudgeRow{"Unknown503", EndpointKind::kOpenai, "", "/health", 503, false},
                    JudgeRow{"ConfiguredReady", EndpointKind::kOpenai, "/live", "/live", 204, true},
                    JudgeRow{"ConfiguredMissing", EndpointKind::kOpenai, "/live", "/live", 404, false},
                    JudgeRow{"ConfiguredBeatsKind", EndpointKind::kTriton, "/live", "/live", 200, true}),
    [](const auto& row) { return row.param.name; });

TEST_F(HealthFaults, FirstRoundAtOnceLaterOnesSpread) {
  Serve().answers["/health"] = Reply(200);
  EXPECT_TRUE(checker.settled()) << "nobody to ask";
  Watch(MakeEndpoint(EndpointKind::kVllm));
  EXPECT_FALSE(checker.settled());
  EXPECT_TRUE(endpoint->usable()) << "a start waits for nobody";
  EXPECT_TRUE(Until([&] { return checker.settled(); }, milliseconds(10)));
  const TimePoint first = network.now();
  EXPECT_TRUE(Until([&] { return server->Asked("/health") == 2; }, seconds(10)));
  EXPECT_GE(network.now() - first, milliseconds(4490));
  EXPECT_LE(network.now() - first, milliseconds(5510));
  EXPECT_EQ(server->peer.connections.size(), 2u) << "each round sees whether a connection can be had";
}

TEST_F(HealthFaults, RequestNamesHostPrefixAndKey) {
  config::Endpoint spec;
  spec.url = *Url::Parse("http://10.1.0.1:80/prefix");
  spec.name = "a";
  spec.kind = EndpointKind::kVllm;
  spec.api_key = Secret("k");
  Serve().answers["/prefix/health"] = Reply(200);
  Watch(std::make_shared<Endpoint>("cluster", spec, registry));
  ASSERT_TRUE(Until([&] { return server->Asked("/prefix/health") == 1; }));
  EXPECT_NE(server->heads[0].find("\r\nhost: 10.1.0.1\r\n"), std::string::npos) << server->heads[0];
  EXPECT_NE(server->heads[0].find("authorization: Bearer k"), std::string::npos);
}

TEST_F(HealthFaults, DownFromTheStartThenUp) {
  Watch(MakeEndpoint(EndpointKind::kVllm));
  Rounds(4);
  EXPECT_FALSE(endpoint->usable());
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_EQ(changes[0], "down: Connection refused");
  Serve().answers["/health"] = Reply(200);
  ASSERT_TRUE(Until([&] { return server->Asked("/health") == 1; }, seconds(10)));
  Pass(milliseconds(1));
  EXPECT_FALSE(endpoint->usable()) << "healthy_after is 2";
  Rounds(2);
  EXPECT_TRUE(endpoint->usable());
  EXPECT_EQ(changes.back(), "up: ok");
  EXPECT_EQ(Gauge(), 1);
}

TEST_F(HealthFaults, SilenceCountsOnlyWithoutProgress) {
  Serve().answers["/health"] = Reply(200);
  Watch(MakeEndpoint(EndpointKind::kLlamacpp));
  Rounds(1);
  server->answers["/health"] = "";
  // BACKENDS 0.5: the health path stalls behind long streams, which get their tokens all the while.
  bool busy = true;
  struct Tokens {
    std::shared_ptr<Endpoint> endpoint;
    rt::Worker& worker;
    bool& busy;
    rt::Timer timer{this, [](void* self) { static_cast<Tokens*>(self)->Come(); }};
    void Come() {
      if (busy) endpoint->load.NoteProgress(worker.Now());
      worker.Arm(timer, milliseconds(200));
    }
  } tokens{endpoint, worker, busy};
  tokens.Come();
  Rounds(10);
  EXPECT_TRUE(endpoint->usable());
  busy = false;
  Rounds(4);
  EXPECT_FALSE(endpoint->usable());
  EXPECT_EQ(changes, std::vector<std::string>{"down: no answer in time"});
  EXPECT_LE(network.Connections(server->peer.address), 1u) << "a check that was given up holds no connection";
}

TEST_F(HealthFaults, ARefusalCountsInAnyCase) {
  Watch(MakeEndpoint(EndpointKind::kVllm));
  for (int i = 0; i < 20; ++i) {
    endpoint->load.NoteProgress(worker.Now());
    Pass(seconds(1));
  }
  EXPECT_FALSE(endpoint->usable());
}

TEST_F(HealthFaults, SnapshotsKeepWhatIsKnown) {
  Serve().answers["/health"] = Reply(503);
  Watch(MakeEndpoint(EndpointKind::kVllm));
  Rounds(2);
  checker.SetEndpoints({{endpoint, check, {}}});  // the same: its bad checks still count
  Rounds(2);
  EXPECT_FALSE(endpoint->usable());
  check.timeout = milliseconds(500);
  checker.SetEndpoints({{endpoint, check, {}}});  // other rules: judged anew, unusable until then
  EXPECT_FALSE(endpoint->usable());
  EXPECT_EQ(Gauge(), 0);
  server->answers["/health"] = Reply(200);
  Rounds(3);
  EXPECT_TRUE(endpoint->usable());
  const std::size_t asked = server->asked.size();
  checker.SetEndpoints({});
  Pass(seconds(20));
  EXPECT_EQ(server->asked.size(), asked);
}

/// With a warm-up in force, as the control thread has it.
class Warmups : public HealthFaults {
 public:
  static constexpr const char* kBody = R"({"model":"m","max_tokens":1})";
  static constexpr const char* kPath = "/v1/chat/completions";
  Warmups() {
    check.warmup.model = "m";
    check.warmup.timeout = seconds(10);
  }
  /// A new endpoint, which the owner has made unusable; or one that has been in use.
  void Start(bool fresh) {
    endpoint = MakeEndpoint(EndpointKind::kVllm);
    if (fresh) {
      endpoint->load.SetUsable(false, TimePoint{});
      endpoint->set_warming(true);
    }
    checker.SetEndpoints({{endpoint, check, {}, kBody}});
  }
  std::int64_t Warming() const { return static_cast<std::int64_t>(slab.Read(endpoint->metrics.warming.slot)); }
};

TEST_F(Warmups, ANewEndpointJoinsWithItsFirstAnswer) {
  Serve().answers = {{"/health", Reply(200)}, {kPath, Reply(500)}};
  Start(true);
  Rounds(3);
  EXPECT_FALSE(endpoint->usable());
  EXPECT_TRUE(endpoint->warming());
  EXPECT_EQ(Gauge(), 0);
  EXPECT_EQ(Warming(), 1);
  EXPECT_GE(server->Asked(kPath), 2u) << "asked again behind each good check";
  EXPECT_EQ(server->Asked(kPath), server->Asked("/health"));
  EXPECT_EQ(changes[0], "warms up");
  EXPECT_EQ(changes[1], "still cold: status 500");
  EXPECT_EQ(server->bodies[1], kBody);
  EXPECT_NE(server->heads[1].find("\r\ncontent-type: application/json"), std::string::npos) << server->heads[1];
  server->answers[kPath] = Reply(200, "{}");
  const TimePoint before = network.now();
  Rounds(2);
  EXPECT_TRUE(endpoint->usable());
  EXPECT_FALSE(endpoint->warming());
  EXPECT_EQ(Gauge(), 1);
  EXPECT_EQ(Warming(), 0);
  EXPECT_EQ(changes.back(), "up: warmed up");
  EXPECT_GE(endpoint->load.recovered_at(), before) << "a slow start begins";
  const std::size_t asked = server->Asked(kPath);
  Rounds(3);
  EXPECT_EQ(server->Asked(kPath), asked) << "once";
}

TEST_F(Warmups, WhoComesBackOwesOneToo) {
  Serve().answers = {{"/health", Reply(200)}, {kPath, Reply(200)}};
  Start(false);
  Rounds(2);
  EXPECT_TRUE(endpoint->usable()) << "who is in use is left there";
  EXPECT_EQ(server->Asked(kPath), 0u);
  server->answers["/health"] = Reply(503);
  Rounds(4);
  EXPECT_FALSE(endpoint->usable());
  server->answers["/health"] = Reply(200);
  Rounds(3);
  EXPECT_TRUE(endpoint->usable());
  EXPECT_EQ(server->Asked(kPath), 1u);
  EXPECT_EQ(changes, (std::vector<std::string>{"down: status 503", "warms up", "up: warmed up"}));
}

TEST_F(Warmups, SilenceIsNoAnswerAndEndsIt) {
  Serve().answers = {{"/health", Reply(200)}, {kPath, ""}};
  Start(true);
  Pass(seconds(9));
  EXPECT_EQ(server->Asked("/health"), 1u) << "no check while it is awaited";
  Pass(seconds(2));
  EXPECT_EQ(changes.at(1), "still cold: no answer in time");
  EXPECT_FALSE(endpoint->usable());
}

TEST_F(Warmups, OneThatDiesBeforeItsFirstAnswerIsUnhealthy) {
  Serve().answers = {{"/health", Reply(200)}, {kPath, Reply(404)}};
  Start(true);
  Rounds(2);
  EXPECT_TRUE(endpoint->warming());
  server->answers["/health"] = Reply(503);
  Rounds(4);
  EXPECT_FALSE(endpoint->warming());
  EXPECT_EQ(Warming(), 0);
  EXPECT_EQ(changes.back(), "down: status 503");
}

TEST_F(Warmups, AReloadThatTakesItAwayLetsThemJoin) {
  Serve().answers = {{"/health", Reply(200)}, {kPath, Reply(500)}};
  Start(true);
  Rounds(2);
  checker.SetEndpoints({{endpoint, config::HealthCheck{}, {}, ""}});
  EXPECT_FALSE(endpoint->warming());
  Rounds(1);
  EXPECT_TRUE(endpoint->usable());
}

TEST_F(HealthFaults, WhatOthersHaveThereIsLoad) {
  const auto page = [](int running, int waiting) {
    return Reply(200, "vllm:num_requests_running{engine=\"0\"} " + std::to_string(running) +
                          "\nvllm:num_requests_waiting{engine=\"0\"} " + std::to_string(waiting) + "\n");
  };
  Serve().answers = {{"/health", Reply(200)}, {"/metrics", page(4, 3)}};
  check.metrics = true;
  Watch(MakeEndpoint(EndpointKind::kVllm), check);
  const auto ours = endpoint->load.TryLease(0, 5);
  Rounds(1);
  EXPECT_EQ(endpoint->load.elsewhere(), 6u) << "seven less our own";
  EXPECT_EQ(endpoint->load.load(), 11u);
  server->answers["/metrics"] = page(0, 0);
  Rounds(2);
  EXPECT_EQ(endpoint->load.elsewhere(), 0u) << "ours is not there yet";
  server->answers["/metrics"] = page(3, 0);
  Rounds(2);
  EXPECT_EQ(endpoint->load.elsewhere(), 2u);
  server->answers["/metrics"] = "";  // hangs: the round goes on without
  const std::size_t asked = server->Asked("/health");
  Rounds(3);
  EXPECT_EQ(endpoint->load.elsewhere(), 0u) << "not known any more";
  EXPECT_GE(server->Asked("/health"), asked + 2);
  EXPECT_TRUE(endpoint->usable());
  server->answers["/metrics"] = page(3, 0);
  Rounds(2);
  EXPECT_EQ(endpoint->load.elsewhere(), 2u);
  check.metrics = false;
  checker.SetEndpoints({{endpoint, check, {}}});
  Rounds(1);
  EXPECT_EQ(endpoint->load.elsewhere(), 0u);
  EXPECT_TRUE(changes.empty());
}

TEST_F(HealthFaults, ThePageIsReadOnlyWhereItIsWanted) {
  Serve().answers["/health"] = Reply(200);
  Watch(MakeEndpoint(EndpointKind::kVllm));
  Rounds(2);
  EXPECT_EQ(server->Asked("/metrics"), 0u);
  check.metrics = true;
  Watch(MakeEndpoint(EndpointKind::kLlamacpp), check);  // reading it disturbs its averages
  Rounds(2);
  EXPECT_EQ(server->Asked("/metrics"), 0u);
}

struct KindRow {
  const char* name;
  const char* path;
  int status;
  const char* body;
  EndpointKind kind;
};

class KindOf : public HealthFaults, public testing::WithParamInterface<KindRow> {};

TEST_P(KindOf, FirstRound) {
  const KindRow& row = GetParam();
  Serve().answers[row.path] = Reply(row.status, row.body);
  server->answers[std::string(QuirksOf(row.kind).health_path)] = Reply(200);
  Watch(MakeEndpoint(EndpointKind::kAuto));
  ASSERT_TRUE(Until([&] { return checker.settled(); }));
  EXPECT_EQ(endpoint->kind(), row.kind);
  EXPECT_EQ(kinds, std::vector<EndpointKind>{row.kind});
  EXPECT_EQ(server->asked.back(), QuirksOf(row.kind).health_path);
  const std::size_t asked = server->asked.size();
  Rounds(2);
  EXPECT_LE(server->asked.size(), asked + 3) << "not asked again while it is well";
}

INSTANTIATE_TEST_SUITE_P(
    Rows, KindOf,
    testing::Values(KindRow{"Vllm", "/version", 200, R"({"version":"0.29.0"})", EndpointKind::kVllm},
                    KindRow{"Llamacpp", "/props", 200, R"({"default_generation_settings":{"n_ctx":4},"total_slots":4})",
                            EndpointKind::kLlamacpp},
                    KindRow{"Tgi", "/info", 200, R"({"model_id":"m","version":"3.0"})", EndpointKind::kTgi},
                    KindRow{"Sglang", "/get_model_info", 200, R"({"model_path":"m","is_generation":true})",
                            EndpointKind::kSglang},
                    KindRow{"Ollama", "/api/version", 200, R"({"version":"0.9"})", EndpointKind::kOllama},
                    KindRow{"OtherJson", "/info", 200, R"({"model_id":"m"})", EndpointKind::kOpenai},
                    KindRow{"NoJson", "/version", 200, R"({"version":)", EndpointKind::kOpenai},
                    KindRow{"Array", "/version", 200, R"(["version"])", EndpointKind::kOpenai},
                    KindRow{"NotOk", "/version", 403, R"({"version":"1"})", EndpointKind::kOpenai},
                    KindRow{"Nothing", "/nothing", 200, "", EndpointKind::kOpenai}),
    [](const auto& row) { return row.param.name; });

TEST_F(HealthFaults, KindOfAServerThatLoadsIsAskedAgain) {
  Serve();
  for (const char* path : {"/version", "/props", "/info", "/get_model_info", "/api/version", "/health"})
    server->answers[path] = Reply(503);
  Watch(MakeEndpoint(EndpointKind::kAuto));
  Rounds(1);
  EXPECT_EQ(endpoint->kind(), EndpointKind::kAuto);
  for (const char* path : {"/version", "/info", "/get_model_info", "/api/version"}) server->answers[path] = Reply(404);
  server->answers["/props"] = Reply(200, R"({"default_generation_settings":{}})");
  server->answers["/health"] = Reply(200);
  Rounds(2);
  EXPECT_EQ(endpoint->kind(), EndpointKind::kLlamacpp);
}

TEST_F(HealthFaults, KindIsAskedAgainAfterRecovery) {
  Serve().answers = {{"/version", Reply(200, R"({"version":"1"})")}, {"/health", Reply(200)}};
  Watch(MakeEndpoint(EndpointKind::kAuto));
  Rounds(1);
  ASSERT_EQ(endpoint->kind(), EndpointKind::kVllm);
  server.reset();
  Rounds(4);
  ASSERT_FALSE(endpoint->usable());
  EXPECT_EQ(endpoint->kind(), EndpointKind::kVllm) << "nothing else is known";
  Serve().answers = {{"/api/version", Reply(200, R"({"version":"1"})")}, {"/", Reply(200)}};
  Rounds(3);
  EXPECT_TRUE(endpoint->usable());
  EXPECT_EQ(endpoint->kind(), EndpointKind::kOllama);
}

TEST_F(HealthFaults, APathThatHangsIsNoSickness) {
  Serve().answers = {{"/version", ""}, {"/health", Reply(200)}};
  Watch(MakeEndpoint(EndpointKind::kAuto));
  Rounds(8);
  EXPECT_TRUE(endpoint->usable());
  EXPECT_EQ(endpoint->kind(), EndpointKind::kOpenai);
  EXPECT_EQ(server->Asked("/version"), 3u) << "and not asked for ever";
  EXPECT_TRUE(changes.empty());
}

TEST_F(HealthFaults, ConfiguredKindIsNotAsked) {
  Serve().answers["/health"] = Reply(200);
  Watch(MakeEndpoint(EndpointKind::kSglang));
  Rounds(2);
  EXPECT_EQ(server->Asked("/health"), server->asked.size());
}

TEST_F(HealthFaults, U_27_NameFollowsItsAddresses) {
  resolved = {AddressOf(1)};
  test::ManualLoop* waiting = new test::ManualLoop(TimePoint{1'000'000'000});
  rt::Worker other(1, std::unique_ptr<rt::EventLoop>(waiting), 1);
  // Once this one has been told, the name is known to everybody who asks later.
  const auto before = resolver.Watch("backend.example", 80, other, nullptr);
  waiting->WaitForWake();
  other.RunTurn();
  FakeServer old_server(network, worker, AddressOf(1));
  old_server.answers["/health"] = Reply(200);
  FakeServer new_server(network, worker, AddressOf(2));
  new_server.answers["/health"] = Reply(200);
  Watch(MakeEndpoint(EndpointKind::kVllm, "http://backend.example:80"));
  ASSERT_TRUE(Until([&] { return old_server.Asked("/health") == 1; }));
  EXPECT_NE(old_server.heads[0].find("host: backend.example\r\n"), std::string::npos);
  resolved = {AddressOf(2)};
  const auto after = resolver.Watch("backend.example", 80, other, nullptr);  // told last
  waiting->Advance(seconds(60));
  after->RefreshSoon();
  waiting->WaitForWake();
  Rounds(2);
  EXPECT_EQ(old_server.Asked("/health"), 1u);
  EXPECT_GE(new_server.Asked("/health"), 1u);
  EXPECT_TRUE(endpoint->usable());
}

TEST_F(HealthFaults, U_27_NameWithoutAddressIsUnusable) {
  test::ManualLoop* waiting = new test::ManualLoop(TimePoint{1'000'000'000});
  rt::Worker other(1, std::unique_ptr<rt::EventLoop>(waiting), 1);
  const auto before = resolver.Watch("nowhere.example", 80, other, nullptr);
  waiting->WaitForWake();
  other.RunTurn();
  Watch(MakeEndpoint(EndpointKind::kVllm, "http://nowhere.example:80"));
  Rounds(4);
  EXPECT_FALSE(endpoint->usable());
  EXPECT_EQ(changes, std::vector<std::string>{"down: the endpoint's name has no address"});
}

}  // namespace
}  // namespace penstock::upstream
