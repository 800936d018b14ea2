#include "penstock/cache/key.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <utility>
#include <vector>

namespace penstock::cache {
namespace {

using llm::Family;

/// Everything a key is made of.
struct Request {
  TenantScope tenant = TenantScope::OfKey("team-a");
  std::uint64_t all_epoch = 1;
  std::uint64_t tenant_epoch = 1;
  std::string model = "llama-3-8b";
  std::string upstream_name = "meta-llama/Meta-Llama-3-8B";
  std::string revision = "r1";
  std::uint64_t model_epoch = 1;
  Family family = Family::kChat;
  std::vector<std::pair<std::string, std::string>> headers = {{"anthropic-beta", "x"}};
  std::string body = R"({"model":"llama-3-8b","messages":[{"role":"user","content":"hi A"}],"temperature":0})";
};

CacheKey KeyOf(const Request& request) {
  llm::JsonParser parser(7);
  const auto view = ParseRequest(request.family, request.body, parser);
  if (!view) {
    ADD_FAILURE() << request.body << ": " << view.error().context;
    return {};
  }
  std::vector<KeyHeader> headers;
  for (const auto& [name, value] : request.headers) headers.push_back({name, value});
  const auto key =
      KeyBuilder(request.tenant, request.all_epoch, request.tenant_epoch)
          .Build({request.model, request.upstream_name, request.revision}, request.model_epoch, *view, headers, parser);
  EXPECT_TRUE(key);
  return key.value_or(CacheKey{});
}

template <class Change>
Request Changed(Change change) {
  Request request;
  change(request);
  return request;
}

Request WithBody(std::string body) {
  return Changed([&](Request& r) { r.body = std::move(body); });
}

/// A known answer: the key is an agreement between instances, and with entries written before an update. Whoever
/// changes it raises kKeySchema.
TEST(CacheKey, IsPinned) {
  EXPECT_EQ(HexString(KeyOf({}).digest), "7c1b83e09225ba25502085d8620f6f68cb7122b67051a2475d57c6cb10717707");
}

TEST(CacheKeyFaults, K_01_TenantsHaveKeysOfTheirOwn) {
  const TenantScope tenants[] = {TenantScope::OfKey("team-a"), TenantScope::OfKey("team-b"), TenantScope::OfKey("e"),
                                 TenantScope::OfKey("a"),      TenantScope::OfKey(""),       TenantScope::Anonymous(),
                                 TenantScope::Everybody()};
  std::set<std::array<std::uint8_t, 32>> digests;
  std::set<std::uint64_t> scopes;
  for (const TenantScope& tenant : tenants) {
    const CacheKey key = KeyOf(Changed([&](Request& r) { r.tenant = tenant; }));
    EXPECT_TRUE(digests.insert(key.digest.bytes).second);
    EXPECT_TRUE(scopes.insert(key.scope.tenant).second);
    EXPECT_EQ(key.scope.tenant, tenant.id());
  }
}

TEST(CacheKeyFaults, K_02_WhatMayChangeAnAnswerChangesTheKey) {
  const std::string chat = R"("messages":[{"role":"user","content":"hi A"}])";
  const std::pair<const char*, Request> rows[] = {
      {"model", Changed([](Request& r) { r.model = "llama-3-70b"; })},
      {"what its backends call it", Changed([](Request& r) { r.upstream_name = "other"; })},
      {"revision", Changed([](Request& r) { r.revision = "r2"; })},
      {"no revision", Changed([](Request& r) { r.revision = ""; })},
      {"everybody's epoch", Changed([](Request& r) { r.all_epoch = 2; })},
      {"tenant's epoch", Changed([](Request& r) { r.tenant_epoch = 2; })},
      {"model's epoch", Changed([](Request& r) { r.model_epoch = 2; })},
      {"family", Changed([](Request& r) { r.family = Family::kMessages; })},
      {"a header's value", Changed([](Request& r) { r.headers[0].second = "y"; })},
      {"a header's name", Changed([](Request& r) { r.headers[0].first = "openai-beta"; })},
      {"one header more", Changed([](Request& r) { r.headers.emplace_back("openai-beta", "x"); })},
      {"no header", Changed([](Request& r) { r.headers.clear(); })},
      {"temperature", WithBody("{" + chat + R"(,"model":"m","temperature":0.1})")},
      {"its spelling", WithBody("{" + chat + R"(,"model":"m","temperature":0.0})")},
      {"no temperature", WithBody("{" + chat + R"(,"model":"m"})")},
      {"top_p", WithBody("{" + chat + R"(,"model":"m","temperature":0,"top_p":1})")},
      {"seed", WithBody("{" + chat + R"(,"model":"m","temperature":0,"seed":1})")},
      {"n", WithBody("{" + chat + R"(,"model":"m","temperature":0,"n":1})")},
      {"stop", WithBody("{" + chat + R"(,"model":"m","temperature":0,"stop":"x"})")},
      {"tools", WithBody("{" + chat + R"(,"model":"m","temperature":0,"tools":[]})")},
      {"response_format", WithBody("{" + chat + R"(,"model":"m","temperature":0,"response_format":{"type":"text"}})")},
      {"max_tokens", WithBody("{" + chat + R"(,"model":"m","temperature":0,"max_tokens":9})")},
      {"unknown field", WithBody("{" + chat + R"(,"model":"m","temperature":0,"top_k":null})")},
      {"system prompt", WithBody(R"({"model":"m","messages":[{"role":"system","content":""},)"
                                 R"({"role":"user","content":"hi A"}],"temperature":0})")},
      {"message", WithBody(R"({"model":"m","messages":[{"role":"user","content":"hi B"}],"temperature":0})")},
      {"blank in a string",
       WithBody(R"({"model":"m","messages":[{"role":"user","content":"hi  A"}],"temperature":0})")},
      {"escape", WithBody(R"({"model":"m","messages":[{"role":"user","content":"hi \u0041"}],"temperature":0})")},
      {"role", WithBody(R"({"model":"m","messages":[{"role":"assistant","content":"hi A"}],"temperature":0})")},
      {"user of a message",
       WithBody(R"({"model":"m","messages":[{"role":"user","content":"hi A","user":"u"}],"temperature":0})")},
  };
  std::set<std::array<std::uint8_t, 32>> digests{KeyOf({}).digest.bytes};
  for (const auto& [name, request] : rows) {
    EXPECT_TRUE(digests.insert(KeyOf(request).digest.bytes).second) << name;
  }
}

TEST(CacheKeyFaults, K_02_WhatMayNotChangeAnAnswerDoesNot) {
  const CacheKey key = KeyOf({});
  const std::pair<const char*, Request> rows[] = {
      {"order", WithBody(R"({"temperature":0,"messages":[{"content":"hi A","role":"user"}],"model":"llama-3-8b"})")},
      {"blanks",
       WithBody(" { \"model\" : \"llama-3-8b\",\n \"messages\": [ {\"role\": \"user\", \"content\": \"hi A\"} ], "
                "\"temperature\" : 0 } \r\n")},
      {"the model asked for",
       WithBody(R"({"model":"an alias","messages":[{"role":"user","content":"hi A"}],"temperature":0})")},
      {"stream and user", WithBody(R"({"model":"m","stream":true,"user":"u","stream_options":{"include_usage":true},)"
                                   R"("messages":[{"role":"user","content":"hi A"}],"temperature":0})")},
  };
  for (const auto& [name, request] : rows) EXPECT_EQ(KeyOf(request), key) << name;
}

TEST(CacheKeyFaults, K_03_NoFieldRunsIntoTheNext) {
  const auto with = [](std::string model, std::string upstream, std::string revision,
                       std::vector<std::pair<std::string, std::string>> headers) {
    return Changed([&](Request& r) {
      r.model = std::move(model);
      r.upstream_name = std::move(upstream);
      r.revision = std::move(revision);
      r.headers = std::move(headers);
    });
  };
  using namespace std::string_literals;
  const Request rows[] = {
      with("ab", "c", "", {}),
      with("a", "bc", "", {}),
      with("abc", "", "", {}),
      with("", "abc", "", {}),
      with("", "", "abc", {}),
      with("a", "b", "c", {}),
      with("a\0b"s, "", "c", {}),
      with("a", "\0b"s, "c", {}),
      with("a\1\0\0\0\0\0\0\0b"s, "", "c", {}),
      with("a", "b", "c", {{"x", "y"}}),
      with("a", "b", "c", {{"xy", ""}}),
      with("a", "b", "c", {{"", "xy"}}),
      with("a", "b", "c", {{"x", ""}, {"y", ""}}),
      with("a", "b", "c", {{"y", ""}, {"x", ""}}),
      with("a", "b", "c", {{"", ""}}),
      with("a", "b", "c", {{"", ""}, {"", ""}}),
  };
  std::set<std::array<std::uint8_t, 32>> digests;
  for (const Request& row : rows) {
    EXPECT_TRUE(digests.insert(KeyOf(row).digest.bytes).second) << &row - rows;
  }
}

TEST(CacheKey, TheScopeIsOfTheModelsNameWhateverItsRevision) {
  const CacheKey first = KeyOf({});
  const CacheKey second = KeyOf(Changed([](Request& r) { r.revision = "r2", r.upstream_name = "x"; }));
  EXPECT_EQ(first.scope, second.scope);
  EXPECT_NE(first.scope.model, KeyOf(Changed([](Request& r) { r.model = "x"; })).scope.model);
}

}  // namespace
}  // namespace penstock::cache
