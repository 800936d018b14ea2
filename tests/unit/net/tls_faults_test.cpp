#include <gtest/gtest.h>

#include "unit/net/tls_world.hpp"

namespace penstock::net {
namespace {

constexpr int kAlertHandshakeFailure = 40;
constexpr int kAlertProtocolVersion = 70;
constexpr int kAlertNoRenegotiation = 100;
constexpr int kAlertCertificateRequired = 116;
constexpr int kAlertNoApplicationProtocol = 120;

struct TlsFaults : testing::Test, TlsWorld {
  /// Our client meets a server it must not trust: no request byte leaves, the failure may be retried.
  void ExpectRefused(const rt::Address& address, const TlsClientContext& tls, const char* name,
                     std::string_view reason) {
    Side client(worker);
    client.transport.out().Append("GET / HTTP/1.1\r\n\r\n");
    client.transport.Connect(address, {}, &tls, name);
    ASSERT_TRUE(Until([&] { return client.failures > 0; }));
    EXPECT_EQ(client.opened, 0);
    EXPECT_EQ(client.failed->code, ErrorCode::kUpstreamTls);
    EXPECT_EQ(client.failed->retry, Retry::kIfUnprocessed);
    EXPECT_EQ(client.failed->origin, Origin::kUpstream);
    EXPECT_NE(std::string_view(client.failed->context).find(reason), std::string_view::npos) << client.failed->context;
    test::RunTurns(worker, 10);
    EXPECT_EQ(client.failures, 1);
    for (const auto& side : servers) EXPECT_EQ(side->received, "");
  }
};

TEST_F(TlsFaults, U_03_CertificatesThatMustNotConvince) {
  test::CertificateAuthority stranger(folder, "stranger");
  const struct {
    const char* what;
    test::CertificateFiles files;
    const char* name;
    const char* reason;
  } rows[] = {
      {"expired", authority.Issue("a", {.dns = {kServerName}, .valid_from_days = -9, .valid_until_days = -1}),
       kServerName, "expired"},
      {"not yet valid", authority.Issue("b", {.dns = {kServerName}, .valid_from_days = 1}), kServerName,
       "not yet valid"},
      {"wrong SAN", authority.Issue("c", {.dns = {"other.test"}}), kServerName, "hostname mismatch"},
      {"wrong IP", authority.Issue("d", {.dns = {kServerName}, .ips = {"127.0.0.2"}}), "127.0.0.1",
       "IP address mismatch"},
      {"name only in the subject", authority.Issue("e", {.common_name = kServerName}), kServerName,
       "hostname mismatch"},
      {"partial wildcard", authority.Issue("f", {.dns = {"gate*.test"}}), kServerName, "hostname mismatch"},
      {"unknown authority", stranger.Issue("g", {.dns = {kServerName}}), kServerName,
       "unable to get local issuer certificate"},
      {"NUL in SAN", authority.Issue("h", {.dns = {std::string("gateway.test\0.evil.test", 23)}}), kServerName,
       "hostname mismatch"},
      {"a client's certificate", authority.Issue("i", {.dns = {kServerName}, .client = true}), kServerName,
       "certificate purpose"},
  };
  const auto client_tls = Client();
  for (const auto& row : rows) {
    SCOPED_TRACE(row.what);
    server_tls = Server(row.files);
    ExpectRefused(listener.address(), *client_tls, row.name, row.reason);
  }
}

TEST_F(TlsFaults, U_03_WithoutVerificationAnyCertificateWillDo) {
  test::CertificateAuthority stranger(folder, "stranger");
  server_tls = Server(stranger.Issue("x", {.dns = {"other.test"}}));
  const auto client_tls = Client({.verify = false});
  Side client(worker);
  Connect(client, client_tls.get(), kServerName);
  ASSERT_TRUE(Until([&] { return client.opened == 1; }));
}

TEST_F(TlsFaults, U_03_AServerOfTls10) {
  const auto listening = test::RawSocket::Listen();
  RawContext context(TLS_server_method());
  context.Only(TLS1_VERSION);
  SSL_CTX_use_certificate_chain_file(context.native, good.certificate.c_str());
  SSL_CTX_use_PrivateKey_file(context.native, good.private_key.c_str(), SSL_FILETYPE_PEM);
  const auto client_tls = Client();
  Side client(worker);
  client.transport.Connect(listening.LocalAddress(), {}, client_tls.get(), kServerName);
  test::RawSocket accepted;
  ASSERT_TRUE(Until([&] { return (accepted = listening.Accept()).valid(); }));
  RawTls raw(std::move(accepted), context.native, RawTls::Role::kServer);
  ASSERT_TRUE(UntilWith(raw, [&] { return client.failures == 1; }));
  EXPECT_EQ(client.failed->code, ErrorCode::kUpstreamTls);
  EXPECT_EQ(client.opened, 0);
}

TEST_F(TlsFaults, U_03_TheServerClosesInTheHandshake) {
  for (const bool reset : {false, true}) {
    const auto listening = test::RawSocket::Listen();
    const auto client_tls = Client();
    Side client(worker);
    client.transport.Connect(listening.LocalAddress(), {}, client_tls.get(), kServerName);
    test::RawSocket accepted;
    ASSERT_TRUE(Until(
        [&] { return (accepted.valid() || (accepted = listening.Accept()).valid()) && !accepted.Receive().empty(); }));
    reset ? accepted.Reset() : accepted.Close();
    ASSERT_TRUE(Until([&] { return client.failures == 1; }));
    EXPECT_EQ(client.failed->code, ErrorCode::kUpstreamTls);
    EXPECT_EQ(client.failed->retry, Retry::kIfUnprocessed);
  }
}

TEST_F(TlsFaults, ANameThatCannotBeVerifiedFailsBeforeTheHandshake) {
  const auto client_tls = Client();
  Side by_address(worker);
  Connect(by_address, client_tls.get(), "");
  EXPECT_TRUE(Until([&] { return by_address.opened == 1; })) << "no name: the address, which is in the certificate";
  for (const std::string_view name : {std::string_view("gate\0way", 8), std::string_view(".")}) {
    Side client(worker);
    Connect(client, client_tls.get(), name);
    ASSERT_TRUE(Until([&] { return client.failures == 1; }));
    EXPECT_EQ(client.failed->code, ErrorCode::kUpstreamTls);
  }
}

TEST_F(TlsFaults, H2_41_OldVersionsAndBadSuitesGetAnAlert) {
  const struct {
    const char* what;
    int version;
    const char* suites;
    int alert;
  } rows[] = {
      {"TLS 1.0", TLS1_VERSION, "ALL:@SECLEVEL=0", kAlertProtocolVersion},
      {"TLS 1.1", TLS1_1_VERSION, "ALL:@SECLEVEL=0", kAlertProtocolVersion},
      {"CBC with h2", TLS1_2_VERSION, "ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES128-SHA", kAlertHandshakeFailure},
      {"no forward secrecy", TLS1_2_VERSION, "AES128-GCM-SHA256", kAlertHandshakeFailure},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.what);
    RawContext context(TLS_client_method());
    context.Only(row.version);
    ASSERT_EQ(SSL_CTX_set_cipher_list(context.native, row.suites), 1);
    const unsigned char h2[] = {2, 'h', '2'};
    SSL_CTX_set_alpn_protos(context.native, h2, sizeof h2);
    const std::size_t index = servers.size();
    auto raw = ConnectRaw(context.native);
    ASSERT_TRUE(UntilWith(*raw, [&] { return raw->alert >= 0; }));
    EXPECT_EQ(raw->alert, row.alert);
    ASSERT_TRUE(UntilWith(*raw, [&] { return raw->socket().ended(); }))
        << "a plain close, no reset that may eat the alert";
    ASSERT_GT(servers.size(), index);
    EXPECT_EQ(server().opened, 0);
    EXPECT_EQ(server().failures, 1);
    EXPECT_EQ(server().failed->code, ErrorCode::kClientGone);
  }
}

TEST_F(TlsFaults, AlpnOfAClient) {
  const struct {
    std::string offer;
    const char* selected;  // nullptr: the alert
  } rows[] = {
      {"\x02h2\x08http/1.1", "h2"}, {"\x08http/1.1\x02h2", "h2"}, {"\x08http/1.1", "http/1.1"}, {"", ""},
      {"\x06spdy/3", nullptr},      {"\x06spdy/3\x02h2", "h2"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.offer);
    RawContext context(TLS_client_method());
    if (!row.offer.empty()) {
      SSL_CTX_set_alpn_protos(context.native, reinterpret_cast<const unsigned char*>(row.offer.data()),
                              static_cast<unsigned>(row.offer.size()));
    }
    const std::size_t index = servers.size();
    auto raw = ConnectRaw(context.native);
    ASSERT_TRUE(UntilWith(*raw, [&] { return raw->alert >= 0 || (servers.size() > index && server().opened == 1); }));
    if (row.selected == nullptr) {
      EXPECT_EQ(raw->alert, kAlertNoApplicationProtocol);
    } else {
      EXPECT_EQ(server().transport.alpn(), row.selected);
    }
  }
}

TEST_F(TlsFaults, MutualTls) {
  server_tls = Server(good, authority.file());
  test::CertificateAuthority stranger(folder, "stranger");
  const auto member = authority.Issue("member", {.client = true});
  const auto impostor = stranger.Issue("impostor", {.client = true});
  const auto old = authority.Issue("old", {.valid_from_days = -9, .valid_until_days = -1, .client = true});
  const struct {
    const char* what;
    const test::CertificateFiles* files;
    bool accepted;
  } rows[] = {{"a member", &member, true},
              {"nobody", nullptr, false},
              {"an impostor", &impostor, false},
              {"expired", &old, false},
              {"a server's certificate", &good, false}};
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    for (const auto& row : rows) {
      SCOPED_TRACE(row.what);
      RawContext context(TLS_client_method());
      SSL_CTX_set_max_proto_version(context.native, version);
      if (row.files != nullptr) {
        SSL_CTX_use_certificate_chain_file(context.native, row.files->certificate.c_str());
        SSL_CTX_use_PrivateKey_file(context.native, row.files->private_key.c_str(), SSL_FILETYPE_PEM);
      }
      const std::size_t index = servers.size();
      auto raw = ConnectRaw(context.native);
      ASSERT_TRUE(
          UntilWith(*raw, [&] { return servers.size() > index && (server().opened == 1 || server().failures == 1); }));
      EXPECT_EQ(server().opened == 1, row.accepted);
      if (!row.accepted) {
        ASSERT_TRUE(UntilWith(*raw, [&] { return raw->alert >= 0; }));
        if (row.files == nullptr && version == TLS1_3_VERSION) {
          EXPECT_EQ(raw->alert, kAlertCertificateRequired);
        }
      }
    }
  }
}

TEST_F(TlsFaults, H2_41_RenegotiationIsRefused) {
  RawContext context(TLS_client_method());
  SSL_CTX_set_max_proto_version(context.native, TLS1_2_VERSION);
  auto raw = ConnectRaw(context.native);
  ASSERT_TRUE(UntilWith(*raw, [&] { return raw->done && !servers.empty() && server().opened == 1; }));
  ASSERT_EQ(SSL_renegotiate(raw->ssl()), 1);
  raw->done = false;
  ASSERT_TRUE(UntilWith(*raw, [&] { return raw->alert >= 0; }));
  EXPECT_EQ(raw->alert, kAlertNoRenegotiation);
  EXPECT_FALSE(raw->done);
}

TEST_F(TlsFaults, HostileHandshakes) {
  Prng prng(41);
  std::vector<std::string> hellos = {"GET / HTTP/1.1\r\nhost: x\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                                     std::string(70'000, '\0'),
                                     std::string("\x16\x03\x01\xff\xff", 5) + std::string(65'535, 'A')};
  for (int i = 0; i < 300; ++i) {
    std::string noise = i % 2 == 0 ? std::string("\x16\x03\x01", 3) : "";
    for (std::uint64_t n = prng.Below(2000); n > 0; --n) noise.push_back(static_cast<char>(prng.Next()));
    hellos.push_back(std::move(noise));
  }
  for (const std::string& hello : hellos) {
    const std::size_t index = servers.size();
    auto raw = test::RawSocket::Connect(listener.address());
    ASSERT_TRUE(Until([&] { return servers.size() > index; }));
    raw.Send(hello);
    raw.ShutdownWrite();
    ASSERT_TRUE(Until([&] { return server().failures == 1; }));
    EXPECT_EQ(server().opened, 0);
  }
}

TEST_F(TlsFaults, BitFlipsInTheRecordsOfAnOpenConnectionFailIt) {
  RawContext context(TLS_client_method());
  auto raw = ConnectRaw(context.native);
  ASSERT_TRUE(UntilWith(*raw, [&] { return raw->done && !servers.empty() && server().opened == 1; }));
  raw->socket().Send(std::string("\x17\x03\x03\x00\x20", 5) + std::string(32, 'x'));
  ASSERT_TRUE(Until([&] { return server().failures == 1; }));
  EXPECT_EQ(server().received, "");
  ASSERT_TRUE(UntilWith(*raw, [&] { return raw->alert >= 0; }));
}

TEST_F(TlsFaults, APeerThatAsksForKeyUpdatesButNeverReadsIsCutOff) {
  RawContext context(TLS_client_method());
  auto raw = ConnectRaw(context.native);
  ASSERT_TRUE(UntilWith(*raw, [&] { return raw->done && !servers.empty() && server().opened == 1; }));
  raw->reading = false;
  server().Send(std::string(20'000'000, 'x'));
  ASSERT_TRUE(Until([&] { return server().transport.stuck(); }));
  const std::size_t chunks_of_body = worker.chunks().in_use();
  bool cut = false;
  for (int i = 0; i < 20'000 && !cut; ++i) {
    SSL_key_update(raw->ssl(), SSL_KEY_UPDATE_REQUESTED);
    SSL_do_handshake(raw->ssl());
    raw->Push();
    if (i % 50 == 0)
      cut = UntilWith(
          *raw, [&] { return server().failures == 1; }, 2);
    ASSERT_LE(worker.chunks().in_use(), chunks_of_body + 2 * TlsStream::kCiphertextBytesMax / 4000);
  }
  EXPECT_TRUE(cut);
}

TEST_F(TlsFaults, HalfATicketDelaysSendingAndTheWholeOneResumesIt) {
  const auto listening = test::RawSocket::Listen();
  RawContext context(TLS_server_method());
  SSL_CTX_use_certificate_chain_file(context.native, good.certificate.c_str());
  SSL_CTX_use_PrivateKey_file(context.native, good.private_key.c_str(), SSL_FILETYPE_PEM);
  SSL_CTX_set_num_tickets(context.native, 1);
  SSL_CTX_set_max_send_fragment(context.native, 512);
  SSL_CTX_set_session_ticket_cb(
      context.native,
      [](SSL* ssl, void*) {
        const std::string large(2000, 'a');
        return SSL_SESSION_set1_ticket_appdata(SSL_get0_session(ssl), large.data(), large.size());
      },
      nullptr, nullptr);
  const auto client_tls = Client();
  Side client(worker);
  client.transport.Connect(listening.LocalAddress(), {}, client_tls.get(), kServerName);
  test::RawSocket accepted;
  ASSERT_TRUE(Until([&] { return (accepted = listening.Accept()).valid(); }));
  RawTls raw(std::move(accepted), context.native, RawTls::Role::kServer);
  // The server sends its flight, then the ticket in several records when the client's Finished came: keep back its tail.
  client.on_open = [&] { raw.hold_back = 100; };
  ASSERT_TRUE(UntilWith(raw, [&] { return raw.done && raw.pending() > 0; }));
  test::RunTurns(worker, 5);
  client.Send("request");
  EXPECT_TRUE(client.transport.stuck());
  raw.hold_back = 0;
  ASSERT_TRUE(UntilWith(raw, [&] { return raw.received == "request"; }));
  EXPECT_EQ(client.rooms, 1);
  EXPECT_EQ(client.failures, 0);
}

}  // namespace
}  // namespace penstock::net
