// A body of more than a megabyte is not parsed on the loop (FAULTS J-13). The only thread that parses such bodies is
// held up, so whoever waits for it shows where it happens: nothing here is measured by the clock.
#include <gtest/gtest.h>

#include <latch>
#include <memory>
#include <string>
#include <utility>

#include "support/gateway_world.hpp"
#include "support/temporary_folder.hpp"
#include "support/turns.hpp"

namespace penstock::proxy {
namespace {

constexpr std::string_view kYaml =
    "server: {listeners: [{address: \"127.0.0.1:0\"}]}\nmodels: [{name: m, cluster: a}]\n"
    "clusters: [{name: a, endpoints: [{url: \"http://127.0.0.1:9\"}]}]\n";
constexpr std::size_t kMiB = 1024 * 1024;

/// A question that is answered right behind its parsing, for a model that is not there; `size` bytes in all.
std::string Request(std::size_t size) {
  const std::string begin = R"({"model":"none","messages":[{"role":"user","content":")", end = R"("}]})";
  const std::string body = begin + std::string(size - begin.size() - end.size(), 'x') + end;
  return "POST /v1/chat/completions HTTP/1.1\r\nhost: gateway.test\r\ncontent-type: "
         "application/json\r\ncontent-length: " +
         std::to_string(body.size()) + "\r\n\r\n" + body;
}

class LongBody : public testing::Test, protected test::GatewayWorld {
 protected:
  LongBody() {
    Serve(folder_.Write("penstock.yaml", kYaml));
    EXPECT_TRUE(offload.Submit([latch = held_up_] { latch->wait(); }));
  }
  ~LongBody() override { Release(); }

  void Release() {
    if (!std::exchange(released_, true)) held_up_->count_down();
  }

  struct Client {
    explicit Client(const rt::Address& address) : socket(test::RawSocket::Connect(address)) {}
    test::RawSocket socket;
    std::string answer;
  };
  Client NewClient() { return Client(listening.LocalAddress()); }

  void Send(Client& client, const std::string& request) {
    std::size_t sent = 0;
    const auto all = [&] {
      sent += client.socket.Send(std::string_view(request).substr(sent));
      return sent == request.size();
    };
    ASSERT_TRUE(test::RunUntil(worker, all));
  }
  bool Answered(Client& client) {
    client.answer += client.socket.Receive();
    return client.answer.find("model_not_found") != std::string::npos;
  }
  bool AnsweredSoon(Client& client) {
    return test::RunUntil(worker, [&] { return Answered(client); });
  }

  test::TemporaryFolder folder_;
  std::shared_ptr<std::latch> held_up_ = std::make_shared<std::latch>(1);  // the thread may still be inside
  bool released_ = false;
};

TEST_F(LongBody, J_13_IsParsedOnAnotherThread) {
  Client big = NewClient(), small = NewClient();
  Send(big, Request(kMiB + 1));
  const std::string question = Request(200);
  for (int i = 0; i < 100; ++i) {  // more turns than it takes to read the other one's body
    small.answer.clear();
    Send(small, question);
    ASSERT_TRUE(AnsweredSoon(small)) << i;
  }
  EXPECT_FALSE(Answered(big)) << "it was parsed on the loop";
  Release();
  EXPECT_TRUE(AnsweredSoon(big));
}

TEST_F(LongBody, J_13_AMegabyteIsParsedHere) {
  Client client = NewClient();
  Send(client, Request(kMiB));
  EXPECT_TRUE(AnsweredSoon(client)) << "a thread's turn costs more than such a body";
}

TEST_F(LongBody, J_13_TheClientLeavesMeanwhile) {
  {
    Client leaver = NewClient();
    Send(leaver, Request(2 * kMiB));
    test::RunTurns(worker, 100);
    leaver.socket.Reset();
  }
  EXPECT_TRUE(test::RunUntil(worker, [this] { return gateway->server().connections() == 0; }));
  Release();
  Client next = NewClient();
  Send(next, Request(2 * kMiB));
  EXPECT_TRUE(AnsweredSoon(next));
}

}  // namespace
}  // namespace penstock::proxy
