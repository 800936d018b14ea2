// Pairs of random requests: their digests are equal exactly when the contract says that their keys are. What the
// contract says is computed from how the requests were made, never from their text.

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "penstock/base/prng.hpp"
#include "penstock/cache/key.hpp"

namespace penstock::cache {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr int kPairs = 60'000;
#else
constexpr int kPairs = 1'000'000;
#endif

/// A JSON value as it was made; keys and scalars are tokens as sent.
struct Node {
  char kind = '0';  ///< { [ or a scalar
  std::string token;
  std::vector<std::pair<std::string, Node>> members;  ///< in the order of their keys, so that == is the contract's
  std::vector<Node> items;

  bool operator==(const Node&) const = default;
};

/// Spellings of one key lie side by side: an object never has two of them.
constexpr const char* kKeys[][2] = {{R"("a")", R"("\u0061")"},         {R"("b")", R"("b")"},
                                    {R"("ab")", R"("a\u0062")"},       {R"("user")", R"("us\u0065r")"},
                                    {R"("stream")", R"("stream")"},    {R"("model ")", R"("model\u0020")"},
                                    {R"("temperature")", R"("seed")"}, {R"("temperatures")", R"("")"},
                                    {R"("\"")", R"("\u0022")"},        {R"("stream_options")", R"("\u0000")"}};
constexpr const char* kScalars[] = {"0",     "1",      "1.0",         "10",           "true",   "null",
                                    R"("")", R"("A")", R"("\u0041")", R"(",\"b\":")", R"(" ")", R"("ab")"};

bool IsAside(const std::string& key) {
  return key == R"("user")" || key == R"("us\u0065r")" || key == R"("stream")" || key == R"("stream_options")";
}

Node RandomNode(Prng& prng, int depth) {
  Node node;
  const std::uint64_t kind = depth == 0 ? 2 : prng.Below(4);
  if (kind == 0) {
    node.kind = '{';
    for (const auto& spellings : kKeys) {
      if (prng.Below(4) == 0) node.members.emplace_back(spellings[prng.Below(4) == 0], RandomNode(prng, depth - 1));
    }
    std::sort(node.members.begin(), node.members.end(), [](const auto& x, const auto& y) { return x.first < y.first; });
  } else if (kind == 1) {
    node.kind = '[';
    for (std::uint64_t n = prng.Below(3); n != 0; --n) node.items.push_back(RandomNode(prng, depth - 1));
  } else {
    node.token = kScalars[prng.Below(std::size(kScalars))];
  }
  return node;
}

Node RandomBody(Prng& prng) {
  Node node;
  do node = RandomNode(prng, 3);
  while (node.kind != '{');
  return node;
}

/// Another value for one place of the tree, maybe the same again.
void Mutate(Prng& prng, Node& node) {
  if (node.kind == '{' && !node.members.empty() && prng.Below(4) != 0) {
    auto& member = node.members[prng.Below(node.members.size())];
    return Mutate(prng, member.second);
  }
  if (node.kind == '[' && !node.items.empty() && prng.Below(4) != 0) {
    return Mutate(prng, node.items[prng.Below(node.items.size())]);
  }
  if (node.kind == '{' && !node.members.empty()) {
    node.members.erase(node.members.begin() + static_cast<std::ptrdiff_t>(prng.Below(node.members.size())));
  } else if (node.kind != '{') {
    node = RandomNode(prng, 1);
  }
}

void Blank(Prng& prng, std::string& out) {
  static constexpr const char* kBlanks[] = {" ", "\n", "\t", "\r\n  "};
  if (prng.Below(6) == 0) out += kBlanks[prng.Below(4)];
}

void Render(Prng& prng, const Node& node, std::string& out, bool top) {
  Blank(prng, out);
  if (node.kind == '{') {
    std::vector<const std::pair<std::string, Node>*> order;
    for (const auto& member : node.members) order.push_back(&member);
    for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[prng.Below(i)]);
    out += '{';
    if (top) out += prng.Below(2) == 0 ? R"("model":"m")" : R"("mod\u0065l": "alias")";
    bool first = !top;
    for (const auto* member : order) {
      if (!first) out += ',';
      first = false;
      Blank(prng, out);
      out += member->first;
      Blank(prng, out);
      out += ':';
      Render(prng, member->second, out, false);
    }
    out += '}';
  } else if (node.kind == '[') {
    out += '[';
    for (std::size_t i = 0; i < node.items.size(); ++i) {
      if (i != 0) out += ',';
      Render(prng, node.items[i], out, false);
    }
    Blank(prng, out);
    out += ']';
  } else {
    out += node.token;
  }
  Blank(prng, out);
}

struct Parts {
  std::uint64_t tenant, tenant_epoch, model, revision, model_epoch, family, header;
  Node body;

  bool operator==(const Parts&) const = default;
};

constexpr llm::Family kFamilies[] = {llm::Family::kRerank, llm::Family::kScore, llm::Family::kTokenize};
constexpr const char* kHeaderValues[] = {"", "a", "ab", "a\"b"};

struct World {
  std::vector<TenantScope> tenants{TenantScope::OfKey("a"), TenantScope::OfKey("ab"), TenantScope::Anonymous(),
                                   TenantScope::Everybody()};
  std::vector<std::vector<ModelIdentity>> models;  ///< [name][revision]

  World() {
    for (const char* name : {"a", "ab", "b"}) {
      models.emplace_back();
      for (const char* revision : {"", "b", "bb"}) models.back().emplace_back(name, "", revision);
    }
  }
};

void MutateParts(Prng& prng, Parts& parts) {
  switch (prng.Below(9)) {
    case 0: parts.tenant = prng.Below(4); break;
    case 1: parts.tenant_epoch = prng.Below(3); break;
    case 2: parts.model = prng.Below(3); break;
    case 3: parts.revision = prng.Below(3); break;
    case 4: parts.model_epoch = prng.Below(3); break;
    case 5: parts.family = prng.Below(3); break;
    case 6: parts.header = prng.Below(4); break;
    default: Mutate(prng, parts.body); break;
  }
}

Digest DigestOf(const World& world, const Parts& parts, Prng& prng, llm::JsonParser& parser) {
  std::string text;
  Render(prng, parts.body, text, true);
  const auto view = ParseRequest(kFamilies[parts.family], text, parser);
  if (!view) {
    ADD_FAILURE() << text;
    return {};
  }
  const KeyHeader header{"x", kHeaderValues[parts.header]};
  const auto key =
      KeyBuilder(world.tenants[parts.tenant], 0, parts.tenant_epoch)
          .Build(world.models[parts.model][parts.revision], parts.model_epoch, *view, {&header, 1}, parser);
  return key ? key->digest : Digest{};
}

TEST(CacheKeyFaults, K_01_K_02_K_03_EqualOnlyWhenTheContractSaysSo) {
  Prng prng(20261204);
  llm::JsonParser parser(prng.Next());
  const World world;
  int equal = 0, across_tenants = 0;
  for (int pair = 0; pair < kPairs; ++pair) {
    const Parts first{prng.Below(4), prng.Below(3), prng.Below(3), prng.Below(3),
                      prng.Below(3), prng.Below(3), prng.Below(4), RandomBody(prng)};
    Parts second = first;
    for (std::uint64_t n = prng.Below(3); n != 0; --n) MutateParts(prng, second);
    const Digest one = DigestOf(world, first, prng, parser);
    const Digest two = DigestOf(world, second, prng, parser);
    Parts a = first, b = second;
    for (Parts* parts : {&a, &b}) {
      std::erase_if(parts->body.members, [](const auto& member) { return IsAside(member.first); });
    }
    ASSERT_EQ(one == two, a == b) << pair;
    if (first.tenant != second.tenant) {
      ASSERT_NE(one, two) << pair;
      ++across_tenants;
    }
    equal += a == b ? 1 : 0;
  }
  EXPECT_GT(equal, kPairs / 4);
  EXPECT_LT(equal, kPairs / 4 * 3);
  EXPECT_GT(across_tenants, kPairs / 40);
}

}  // namespace
}  // namespace penstock::cache
