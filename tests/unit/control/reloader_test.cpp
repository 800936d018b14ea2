#include "penstock/control/reloader.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <memory>
#include <string>

#include "support/certificates.hpp"
#include "support/gateway_world.hpp"
#include "support/turns.hpp"

namespace penstock::control {
namespace {

std::string Yaml(std::string_view model, std::string_view listener = "127.0.0.1:0") {
  return "server: {listeners: [{address: \"" + std::string(listener) + "\"}]}\nmodels: [{name: " + std::string(model) +
         ", cluster: a}]\nclusters: [{name: a, endpoints: [{url: \"http://127.0.0.1:9\"}]}]\n";
}

/// One worker, on the thread of the test, with a gateway that nobody talks to.
class Reloading : public testing::Test, protected test::GatewayWorld {
 protected:
  Reloading() {
    Write(Yaml("one"));
    Serve(file_);
    workers_ = std::make_unique<Workers>(
        worker, std::vector<PostToGateway>{[this](std::function<void(proxy::Gateway&)> letter) {
          worker.Post([this, letter = std::move(letter)] { letter(*gateway); });
        }});
    reloader_ =
        std::make_unique<Reloader>(file_, snapshot, registry, cache.epochs, metrics, worker_metrics.slab, *workers_);
    running_ = snapshot;
    snapshot.reset();
  }
  ~Reloading() override {
    test::RunTurns(worker, 2);  // letters that are still under way
    std::remove(file_.c_str());
  }

  void Write(const std::string& text) {
    std::FILE* file = std::fopen(file_.c_str(), "w");
    std::fputs(text.c_str(), file);
    std::fclose(file);
  }

  std::string file_ = testing::TempDir() + "reloader_test." + std::to_string(::getpid()) + ".yaml";
  std::weak_ptr<const proxy::Snapshot> running_;
  std::unique_ptr<Workers> workers_;
  std::unique_ptr<Reloader> reloader_;
};

TEST_F(Reloading, G_05_OldSnapshotsGoWhenTheLastWorkerLetsGo) {
  Write(Yaml("two"));
  ASSERT_TRUE(reloader_->Reload().ok());
  EXPECT_FALSE(running_.expired()) << "the worker has not turned yet";
  EXPECT_TRUE(test::RunUntil(
      worker, [this] { return running_.expired(); }, 50));
  EXPECT_NE(reloader_->running().FindModel("two"), nullptr);
  EXPECT_EQ(reloader_->running().FindModel("one"), nullptr);
}

TEST_F(Reloading, G_06_EndpointsThatDidNotChangeStayTheSame) {
  const auto* endpoint = reloader_->running().clusters[0].endpoints[0].get();
  Write(Yaml("two"));
  ASSERT_TRUE(reloader_->Reload().ok());
  EXPECT_EQ(reloader_->running().clusters[0].endpoints[0].get(), endpoint);
}

TEST_F(Reloading, OtherCertificatesInTheSameCaFileMakeAnotherEndpoint) {
  test::TemporaryFolder folder;
  const std::string ca = test::CertificateAuthority(folder, "first").file();
  const std::string yaml =
      "models: [{name: one, cluster: a}]\nclusters: [{name: a, endpoints: [{url: \"https://127.0.0.1:9\", tls: {ca: "
      "\"" +
      ca + "\"}}]}]\n";
  Write("server: {listeners: [{address: \"127.0.0.1:0\"}]}\n" + yaml);
  ASSERT_TRUE(reloader_->Reload().ok());
  const auto* endpoint = reloader_->running().clusters[0].endpoints[0].get();
  ASSERT_TRUE(reloader_->Reload().ok());
  EXPECT_EQ(reloader_->running().clusters[0].endpoints[0].get(), endpoint);
  std::ifstream other(test::CertificateAuthority(folder, "second").file());
  std::ofstream(ca) << other.rdbuf();
  ASSERT_TRUE(reloader_->Reload().ok());
  EXPECT_NE(reloader_->running().clusters[0].endpoints[0].get(), endpoint);
}

TEST_F(Reloading, G_07_WhatNeedsARestartChangesNothing) {
  Write(Yaml("two", "127.0.0.1:1"));
  const ReloadOutcome outcome = reloader_->Reload();
  ASSERT_EQ(outcome.problems.size(), 1u);
  EXPECT_EQ(outcome.problems[0], file_ + ": needs restart: server.listeners[0].address");
  EXPECT_EQ(&reloader_->running(), running_.lock().get());
}

TEST_F(Reloading, AskTellsWhenTheLastWorkerHasAnswered) {
  bool done = false;
  workers_->Ask([](proxy::Gateway&, std::size_t which) { EXPECT_EQ(which, 0u); }, [&done] { done = true; });
  EXPECT_FALSE(done);
  EXPECT_TRUE(test::RunUntil(
      worker, [&done] { return done; }, 50));
}

}  // namespace
}  // namespace penstock::control
