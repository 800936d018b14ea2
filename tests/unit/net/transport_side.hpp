#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "penstock/net/listener.hpp"
#include "penstock/net/transport.hpp"
#include "support/turns.hpp"

namespace penstock::net {

/// One end of a connection: keeps what it is told, does what a test hooks in.
struct Side final : TransportHandler {
  explicit Side(rt::Worker& worker) : transport(worker, *this) {}

  void OnOpen() override {
    ++opened;
    if (on_open) on_open();
  }
  void OnData(std::string_view bytes) override {
    received.append(bytes);
    if (on_data) on_data(bytes);
  }
  void OnEnd() override {
    ++ended;
    if (on_end) on_end();
  }
  void OnRoom() override {
    ++rooms;
    if (on_room) on_room();
  }
  void OnFailed(const Error& error) override {
    ++failures;
    failed = error;
  }
  void Send(std::string_view bytes) {
    transport.out().Append(bytes);
    transport.Flush();
  }

  std::string received;
  int opened = 0;
  int ended = 0;
  int rooms = 0;
  int failures = 0;
  std::optional<Error> failed;
  std::function<void()> on_open;
  std::function<void(std::string_view)> on_data;
  std::function<void()> on_end;
  std::function<void()> on_room;
  Transport transport;
};

/// A worker with a listener on loopback whose connections become Sides.
struct World : rt::AcceptHandler {
  World() { Listen(); }
  virtual ~World() = default;
  void Listen() {
    auto opened = ListenSocket::Open(*rt::Address::Parse("127.0.0.1:0"), false);
    listener = std::move(*opened);
    acceptor = worker.loop().Listen(listener.fd(), false, *this);
  }
  void OnAccept(std::unique_ptr<rt::Socket> socket) override {
    servers.push_back(std::make_unique<Side>(worker));
    if (on_server) on_server(*servers.back());
    servers.back()->transport.Accept(std::move(socket), server_tls.get());
  }
  void OnAcceptError(int) override {}

  template <class Condition>
  bool Until(Condition done, int turns_max = 5000) {
    return test::RunUntil(worker, done, turns_max);
  }
  void Connect(Side& client, const TlsClientContext* tls = nullptr, std::string_view name = "") {
    client.transport.Connect(listener.address(), {}, tls, name);
  }
  Side& server() { return *servers.back(); }

  rt::Worker worker{0, rt::MakeEpollLoop(), 1};
  ListenSocket listener;
  std::unique_ptr<rt::Acceptor> acceptor;
  std::shared_ptr<const TlsServerContext> server_tls;
  std::function<void(Side&)> on_server;
  std::vector<std::unique_ptr<Side>> servers;
};

}  // namespace penstock::net
