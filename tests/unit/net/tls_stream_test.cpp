#include <gtest/gtest.h>

#include "unit/net/tls_world.hpp"

namespace penstock::net {
namespace {

std::string Pattern(std::size_t size) {
  std::string bytes(size, '\0');
  Prng prng(size);
  for (char& byte : bytes) byte = static_cast<char>(prng.Next());
  return bytes;
}

struct Tls : testing::Test, TlsWorld {};

struct TlsVersions : testing::TestWithParam<int>, TlsWorld {};

INSTANTIATE_TEST_SUITE_P(Versions, TlsVersions, testing::Values(TLS1_2_VERSION, TLS1_3_VERSION),
                         [](const auto& row) { return row.param == TLS1_2_VERSION ? "Tls12" : "Tls13"; });

TEST_P(TlsVersions, ServerEchoes) {
  on_server = [](Side& side) { side.on_data = [&side](std::string_view bytes) { side.Send(bytes); }; };
  RawContext context(TLS_client_method());
  SSL_CTX_set_max_proto_version(context.native, GetParam());
  auto raw = ConnectRaw(context.native);
  ASSERT_TRUE(UntilWith(*raw, [&] { return raw->done; }));
  EXPECT_EQ(SSL_version(raw->ssl()), GetParam());
  raw->Write("hello");
  ASSERT_TRUE(UntilWith(*raw, [&] { return raw->received == "hello"; }));
  EXPECT_EQ(server().opened, 1);
  EXPECT_TRUE(server().transport.secure());
  EXPECT_EQ(server().transport.alpn(), "");
}

TEST_P(TlsVersions, ClientTalksToAServerByName) {
  const auto listening = test::RawSocket::Listen();
  RawContext context(TLS_server_method());
  SSL_CTX_set_max_proto_version(context.native, GetParam());
  SSL_CTX_use_certificate_chain_file(context.native, good.certificate.c_str());
  SSL_CTX_use_PrivateKey_file(context.native, good.private_key.c_str(), SSL_FILETYPE_PEM);
  const auto client_tls = Client();
  Side client(worker);
  client.transport.Connect(listening.LocalAddress(), {}, client_tls.get(), kServerName);
  test::RawSocket accepted;
  ASSERT_TRUE(Until([&] { return (accepted = listening.Accept()).valid(); }));
  RawTls raw(std::move(accepted), context.native, RawTls::Role::kServer);
  ASSERT_TRUE(UntilWith(raw, [&] { return raw.done && client.opened == 1; }));
  EXPECT_STREQ(SSL_get_servername(raw.ssl(), TLSEXT_NAMETYPE_host_name), kServerName);
  client.Send("ping");
  ASSERT_TRUE(UntilWith(raw, [&] { return raw.received == "ping"; }));
  raw.Write("pong");
  ASSERT_TRUE(UntilWith(raw, [&] { return client.received == "pong"; }));
}

TEST_P(TlsVersions, CiphertextMayComeByteByByte) {
  on_server = [](Side& side) { side.on_data = [&side](std::string_view bytes) { side.Send(bytes); }; };
  RawContext context(TLS_client_method());
  SSL_CTX_set_max_proto_version(context.native, GetParam());
  auto raw = ConnectRaw(context.native);
  raw->step_bytes = 1;
  ASSERT_TRUE(UntilWith(
      *raw, [&] { return raw->done; }, 50'000));
  raw->Write("drip");
  ASSERT_TRUE(UntilWith(
      *raw, [&] { return raw->received == "drip"; }, 50'000));
}

TEST_F(Tls, BothEndsOursAndTheFirstBytesLeaveFromOnOpen) {
  const auto client_tls = Client();
  Side client(worker);
  client.on_open = [&] { client.Send("first"); };
  Connect(client, client_tls.get(), kServerName);
  ASSERT_TRUE(Until([&] { return !servers.empty() && server().received == "first"; }));
  EXPECT_EQ(server().transport.server_name(), kServerName);
  EXPECT_EQ(server().transport.alpn(), "h2");
  EXPECT_EQ(client.transport.alpn(), "h2");
}

TEST_F(Tls, AnIpAddressIsVerifiedAndNotSentAsAName) {
  const auto client_tls = Client();
  Side client(worker);
  Connect(client, client_tls.get(), "127.0.0.1");
  ASSERT_TRUE(Until([&] { return client.opened == 1 && !servers.empty() && server().opened == 1; }));
  EXPECT_EQ(server().transport.server_name(), "");
}

TEST_F(Tls, A_16_WhichHostsAConnectionCovers) {
  server_tls = Server(authority.Issue("several", {.dns = {kServerName, "*.models.test"}, .ips = {"127.0.0.1"}}));
  const auto client_tls = Client();
  Side client(worker);
  Connect(client, client_tls.get(), kServerName);
  ASSERT_TRUE(Until([&] { return !servers.empty() && server().opened == 1; }));
  const struct {
    const char* host;
    bool covered;
  } rows[] = {
      {kServerName, true},      {"Gateway.TEST.", true},
      {"a.models.test", true},  {"A.models.test", true},
      {"127.0.0.1", true},      {"", true},
      {"models.test", false},   {"a.b.models.test", false},
      {"gateway", false},       {"127.0.0.2", false},
      {"::1", false},           {".models.test", false},
      {"other.test", false},    {"a.models.test", true},
      {"penstock test", false},
  };
  for (const auto& row : rows) EXPECT_EQ(server().transport.Covers(row.host), row.covered) << row.host;
}

TEST_F(Tls, A_16_WhoNamedNobodyMayAskForAnyHost) {
  const auto client_tls = Client();
  Side client(worker);
  Connect(client, client_tls.get(), "127.0.0.1");
  ASSERT_TRUE(Until([&] { return !servers.empty() && server().opened == 1; }));
  EXPECT_TRUE(server().transport.Covers("other.test"));
}

TEST_F(Tls, ClientAlpnFollowsItsOptions) {
  const struct {
    bool h2, http1;
    const char* selected;
  } rows[] = {{true, true, "h2"}, {false, true, "http/1.1"}, {true, false, "h2"}, {false, false, ""}};
  for (const auto& row : rows) {
    const auto client_tls = Client({.offer_h2 = row.h2, .offer_http1 = row.http1});
    Side client(worker);
    Connect(client, client_tls.get(), kServerName);
    ASSERT_TRUE(Until([&] { return client.opened == 1; }));
    EXPECT_EQ(client.transport.alpn(), row.selected);
    client.transport.Close();
  }
}

TEST_F(Tls, LargeTransfersBothWaysAtOnce) {
  const std::string up = Pattern(3'000'000), down = Pattern(2'999'999);
  on_server = [&](Side& side) { side.on_open = [&] { side.Send(down); }; };
  const auto client_tls = Client();
  Side client(worker);
  client.on_open = [&] { client.Send(up); };
  Connect(client, client_tls.get(), kServerName);
  ASSERT_TRUE(Until([&] { return client.received.size() >= down.size() && server().received.size() >= up.size(); }));
  EXPECT_TRUE(client.received == down);
  EXPECT_TRUE(server().received == up);
  EXPECT_EQ(worker.chunks().in_use(), 0u) << "nothing may stay behind";
}

struct TlsBackpressure : testing::TestWithParam<bool>, TlsWorld {};
INSTANTIATE_TEST_SUITE_P(Directions, TlsBackpressure, testing::Bool(),
                         [](const auto& row) { return row.param ? "ClientToServer" : "ServerToClient"; });

TEST_P(TlsBackpressure, APausedReaderStopsTheWriterWithinBoundsAndGetsEverythingLater) {
  const auto client_tls = Client();
  Side client(worker);
  Connect(client, client_tls.get(), kServerName);
  ASSERT_TRUE(Until([&] { return client.opened == 1 && !servers.empty() && server().opened == 1; }));
  Side& writer = GetParam() ? client : server();
  Side& reader = GetParam() ? server() : client;
  reader.transport.PauseRead();
  const std::string sent = Pattern(20'000'000);
  writer.Send(sent);
  ASSERT_TRUE(Until([&] { return writer.transport.stuck(); }));
  test::RunTurns(worker, 50);
  ASSERT_TRUE(writer.transport.stuck());
  EXPECT_EQ(reader.received.size(), 0u);
  EXPECT_EQ(writer.rooms, 0);
  const std::size_t plain_chunks = writer.transport.out().size() / 4000 + 2;
  EXPECT_LE(worker.chunks().in_use(), plain_chunks + TlsStream::kCiphertextBytesMax / 4000) << "ciphertext is bounded";

  // In the middle of a read a pause holds: whatever ciphertext came with it waits.
  std::size_t at_pause = 0;
  bool paused = false;
  reader.on_data = [&](std::string_view) {
    EXPECT_FALSE(paused);
    paused = true;
    reader.transport.PauseRead();
    at_pause = reader.received.size();
  };
  for (int pause = 0; pause < 40; ++pause) {
    paused = false;
    reader.transport.ResumeRead();
    EXPECT_EQ(reader.received.size(), at_pause) << "nothing comes from inside ResumeRead";
    const std::size_t before = at_pause;
    ASSERT_TRUE(Until([&] { return at_pause > before; }));
    test::RunTurns(worker, 3);
    ASSERT_EQ(reader.received.size(), at_pause);
  }
  reader.on_data = nullptr;
  reader.transport.ResumeRead();
  ASSERT_TRUE(Until([&] { return reader.received.size() >= sent.size(); }));
  EXPECT_TRUE(reader.received == sent);
  EXPECT_GE(writer.rooms, 1);
  EXPECT_FALSE(writer.transport.stuck());
}

TEST_F(Tls, CloseNotifyIsAnEndAndABareFinIsNot) {
  for (const bool polite : {true, false}) {
    RawContext context(TLS_client_method());
    auto raw = ConnectRaw(context.native);
    const std::size_t index = servers.size();
    ASSERT_TRUE(UntilWith(*raw, [&] { return raw->done && servers.size() > index && server().opened == 1; }));
    raw->Write("bytes");
    if (polite) SSL_shutdown(raw->ssl());
    raw->Push();
    raw->socket().ShutdownWrite();
    ASSERT_TRUE(Until([&] { return server().ended + server().failures > 0; }));
    EXPECT_EQ(server().received, "bytes");
    EXPECT_EQ(server().ended, polite ? 1 : 0);
    EXPECT_EQ(server().failures, polite ? 0 : 1);
    test::RunTurns(worker, 5);
    EXPECT_EQ(server().ended, polite ? 1 : 0) << "told once";
    server().transport.Close();
  }
}

TEST_F(Tls, AfterTheClientsCloseNotifyTheAnswerStillLeavesAndEndsWithOurs) {
  on_server = [](Side& side) {
    side.on_end = [&side] {
      side.Send(Pattern(500'000));
      side.transport.ShutdownWrite();
    };
  };
  RawContext context(TLS_client_method());
  auto raw = ConnectRaw(context.native);
  ASSERT_TRUE(UntilWith(*raw, [&] { return raw->done; }));
  SSL_shutdown(raw->ssl());
  ASSERT_TRUE(UntilWith(*raw, [&] { return raw->socket().ended(); }));
  EXPECT_TRUE(raw->received == Pattern(500'000));
  EXPECT_TRUE(raw->closed);
}

TEST_F(Tls, ClosingSendsCloseNotifyAndAbortingDoesNot) {
  for (const bool abort : {false, true}) {
    RawContext context(TLS_client_method());
    auto raw = ConnectRaw(context.native);
    const std::size_t index = servers.size();
    ASSERT_TRUE(UntilWith(*raw, [&] { return raw->done && servers.size() > index && server().opened == 1; }));
    abort ? server().transport.Abort() : server().transport.Close();
    ASSERT_TRUE(UntilWith(*raw, [&] { return raw->socket().ended() || raw->socket().error() != 0; }));
    EXPECT_EQ(raw->closed, !abort);
    EXPECT_EQ(raw->socket().error(), abort ? ECONNRESET : 0);
  }
}

TEST_F(Tls, ClosingAndAbortingFromInsideEveryCallEndsTheEvents) {
  for (const bool abort : {false, true}) {
    for (int where = 0; where < 3; ++where) {
      const auto client_tls = Client();
      Side client(worker);
      const auto stop = [&] { abort ? client.transport.Abort() : client.transport.Close(); };
      int data_calls = 0;
      if (where == 0) client.on_open = stop;
      if (where == 1) client.on_data = [&](std::string_view) { ++data_calls, stop(); };
      if (where == 2) client.on_end = stop;
      on_server = [&](Side& side) {
        side.on_open = [&side] {
          side.Send(Pattern(60'000));
          side.transport.ShutdownWrite();
        };
      };
      const std::size_t index = servers.size();
      Connect(client, client_tls.get(), kServerName);
      ASSERT_TRUE(Until([&] { return servers.size() > index && client.opened == 1 && !client.transport.open(); }));
      test::RunTurns(worker, 5);
      EXPECT_EQ(client.failures, 0);
      EXPECT_LE(data_calls, 1);
      EXPECT_EQ(client.ended, where == 2 ? 1 : 0);
    }
  }
}

TEST_F(Tls, SessionsAreResumedAcrossAReloadAndNotAcrossCertificates) {
  RawContext context(TLS_client_method());
  SSL_SESSION* session = nullptr;
  const auto connect = [&](bool expected) {
    auto raw = ConnectRaw(context.native);
    if (session != nullptr) SSL_set_session(raw->ssl(), session);
    const std::size_t index = servers.size();
    ASSERT_TRUE(UntilWith(*raw, [&] { return raw->done && servers.size() > index && server().opened == 1; }));
    server().Send("x");
    ASSERT_TRUE(UntilWith(*raw, [&] { return raw->received == "x"; }));
    EXPECT_EQ(SSL_session_reused(raw->ssl()) == 1, expected);
    SSL_SESSION_free(session);
    session = SSL_get1_session(raw->ssl());
  };
  connect(false);
  connect(true);
  server_tls = Server(good);
  connect(true);
  const auto other = authority.Issue("other", {.dns = {kServerName}});
  server_tls = Server(other);
  connect(false);
  connect(true);
  server_tls = Server(other, authority.file());
  auto raw = ConnectRaw(context.native);
  SSL_set_session(raw->ssl(), session);
  ASSERT_TRUE(UntilWith(*raw, [&] { return server().failures == 1; }))
      << "a ticket is no way round a client certificate";
  SSL_SESSION_free(session);
}

TEST_P(TlsVersions, OurClientResumesByName) {
  const auto listening = test::RawSocket::Listen();
  RawContext context(TLS_server_method());
  SSL_CTX_set_max_proto_version(context.native, GetParam());
  SSL_CTX_use_certificate_chain_file(context.native, good.certificate.c_str());
  SSL_CTX_use_PrivateKey_file(context.native, good.private_key.c_str(), SSL_FILETYPE_PEM);
  const auto client_tls = Client();
  const auto connect = [&](const char* name, bool expected) {
    Side client(worker);
    client.transport.Connect(listening.LocalAddress(), {}, client_tls.get(), name);
    test::RawSocket accepted;
    ASSERT_TRUE(Until([&] { return (accepted = listening.Accept()).valid(); }));
    RawTls raw(std::move(accepted), context.native, RawTls::Role::kServer);
    ASSERT_TRUE(UntilWith(raw, [&] { return raw.done && client.opened == 1; }));
    raw.Write("x");
    ASSERT_TRUE(UntilWith(raw, [&] { return client.received == "x"; }));
    EXPECT_EQ(SSL_session_reused(raw.ssl()) == 1, expected) << name;
    client.transport.Abort();  // no close_notify: the session stays good
  };
  connect(kServerName, false);
  connect(kServerName, true);
  connect("127.0.0.1", false);
}

}  // namespace
}  // namespace penstock::net
