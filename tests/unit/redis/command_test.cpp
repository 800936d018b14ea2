// Commands, compared byte for byte with hiredis' formatter.

#include "penstock/redis/command.hpp"

#include <gtest/gtest.h>
#include <hiredis/hiredis.h>

#include <string>
#include <vector>

namespace penstock::redis {
namespace {

std::string Text(const Chain& chain) {
  std::string text;
  chain.ForEach([&](std::string_view piece) { text += piece; });
  return text;
}

std::string ByHiredis(const std::vector<std::string>& arguments) {
  std::vector<const char*> pointers;
  std::vector<std::size_t> sizes;
  for (const std::string& argument : arguments) {
    pointers.push_back(argument.data());
    sizes.push_back(argument.size());
  }
  char* formatted = nullptr;
  const int size = redisFormatCommandArgv(&formatted, static_cast<int>(pointers.size()), pointers.data(), sizes.data());
  EXPECT_GT(size, 0);
  std::string text(formatted, static_cast<std::size_t>(size));
  redisFreeCommand(formatted);
  return text;
}

class RedisCommand : public testing::Test {
 protected:
  ChunkPool pool;
  Chain out{pool};
};

TEST_F(RedisCommand, SameBytesAsHiredis) {
  const std::string binary("\0\r\n$5\xff", 7);
  const SharedBytes body = SharedBytes::Copy(std::string(9000, 'b'));
  struct Case {
    const char* name;
    std::vector<std::string> arguments;
    void (*append)(Chain&, const std::string& binary, const SharedBytes& body);
  } const cases[] = {
      {"auth", {"AUTH", "secret"}, [](Chain& to, auto&, auto&) { AppendAuth(to, "", "secret"); }},
      {"auth user", {"AUTH", "me", "secret"}, [](Chain& to, auto&, auto&) { AppendAuth(to, "me", "secret"); }},
      {"select", {"SELECT", "15"}, [](Chain& to, auto&, auto&) { AppendSelect(to, 15); }},
      {"get", {"GET", binary}, [](Chain& to, auto& key, auto&) { AppendGet(to, key); }},
      {"del", {"DEL", binary}, [](Chain& to, auto& key, auto&) { AppendDelete(to, key); }},
      {"set",
       {"SET", binary, "head" + std::string(body.view()), "PX", "18446744073709551615"},
       [](Chain& to, auto& key, auto& value) { AppendSet(to, key, "head", value, UINT64_MAX); }},
      {"set nothing",
       {"SET", "k", "", "PX", "1"},
       [](Chain& to, auto&, auto&) { AppendSet(to, "k", "", SharedBytes(), 1); }},
      {"sentinel",
       {"SENTINEL", "get-master-addr-by-name", "m"},
       [](Chain& to, auto&, auto&) {
         AppendCommand(to, {"SENTINEL", "get-master-addr-by-name", "m"});
       }},
  };
  for (const Case& each : cases) {
    SCOPED_TRACE(each.name);
    out.Clear();
    each.append(out, binary, body);
    EXPECT_EQ(Text(out), ByHiredis(each.arguments));
  }
}

TEST_F(RedisCommand, BodyIsSentByReference) {
  const SharedBytes body = SharedBytes::Copy(std::string(100'000, 'b'));
  AppendSet(out, "k", "head", body, 1000);
  bool same_place = false;
  out.ForEach([&](std::string_view piece) { same_place |= piece.data() == body.view().data(); });
  EXPECT_TRUE(same_place);
}

}  // namespace
}  // namespace penstock::redis
