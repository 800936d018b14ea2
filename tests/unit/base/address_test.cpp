#include "penstock/base/address.hpp"

#include <gtest/gtest.h>

#include <sstream>

#include "penstock/base/secret.hpp"

namespace penstock {
namespace {

TEST(SocketAddress, PrintsAsItWasWritten) {
  for (const char* text :
       {"127.0.0.1:8080", "0.0.0.0:0", "[::1]:65535", "[2001:db8::2]:1", "unix:/run/penstock.sock"}) {
    const auto address = SocketAddress::Parse(text);
    ASSERT_TRUE(address.has_value()) << text;
    EXPECT_EQ(address->ToString(), text);
  }
}

TEST(SocketAddress, RefusesEverythingElse) {
  for (const char* text : {"", ":", ":80", "80", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1",
                           "127.0.0.1:08", "localhost:80", "1.2.3:80", "::1:80", "[::1]", "[::1:80", "[127.0.0.1]:80",
                           "[fe80::1%eth0]:80", "unix:", "unix:relative", "127.0.0.1:80 "}) {
    EXPECT_FALSE(SocketAddress::Parse(text).has_value()) << text;
  }
  EXPECT_TRUE(SocketAddress::Parse("unix:/" + std::string(106, 'a')).has_value());
  EXPECT_FALSE(SocketAddress::Parse("unix:/" + std::string(107, 'a')).has_value());
}

TEST(SocketAddress, KnowsLoopback) {
  for (const char* text : {"127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "[::ffff:127.0.0.1]:1", "unix:/x"})
    EXPECT_TRUE(SocketAddress::Parse(text)->is_loopback()) << text;
  for (const char* text : {"0.0.0.0:1", "128.0.0.1:1", "[::]:1", "[::2]:1", "[1::1]:1"})
    EXPECT_FALSE(SocketAddress::Parse(text)->is_loopback()) << text;
}

TEST(IpPrefix, ContainsWhatItCovers) {
  const auto contains = [](const char* prefix, const char* ip) {
    return IpPrefix::Parse(prefix)->Contains(*IpAddress::Parse(ip));
  };
  EXPECT_TRUE(contains("10.0.0.0/8", "10.255.0.1"));
  EXPECT_FALSE(contains("10.0.0.0/8", "11.0.0.1"));
  EXPECT_TRUE(contains("10.0.0.128/25", "10.0.0.200"));
  EXPECT_FALSE(contains("10.0.0.128/25", "10.0.0.127"));
  EXPECT_TRUE(contains("192.0.2.1", "192.0.2.1"));
  EXPECT_FALSE(contains("192.0.2.1", "192.0.2.2"));
  EXPECT_TRUE(contains("fd00::/8", "fdff::1"));
  EXPECT_FALSE(contains("fd00::/8", "fe00::1"));
  EXPECT_TRUE(contains("0.0.0.0/0", "255.1.2.3"));
  EXPECT_FALSE(contains("0.0.0.0/0", "2001:db8::1"));
  EXPECT_TRUE(contains("::/0", "1.2.3.4"));
}

TEST(IpPrefix, PrintsBackAndRefusesLooseBits) {
  for (const char* text : {"10.0.0.0/8", "0.0.0.0/0", "192.0.2.1", "fd00::/8", "::1"})
    EXPECT_EQ(IpPrefix::Parse(text)->ToString(), text);
  for (const char* text :
       {"", "10.0.0.1/8", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/-1", "10/8", "fd00::1/8", "example.com"}) {
    EXPECT_FALSE(IpPrefix::Parse(text).has_value()) << text;
  }
}

struct UrlCase {
  const char* text;
  const char* printed;
};

TEST(Url, ReadsSchemeHostPortAndPrefix) {
  const UrlCase cases[] = {{"http://127.0.0.1:9001", "http://127.0.0.1:9001"},
                           {"http://LLM.Example", "http://llm.example:80"},
                           {"https://api.openai.com/", "https://api.openai.com:443"},
                           {"https://h:1/a/b%20c/", "https://h:1/a/b%20c"},
                           {"http://[::1]:8000/v", "http://[::1]:8000/v"},
                           {"http://[2001:DB8::1]", "http://[2001:db8::1]:80"},
                           {"http://vllm_0.svc.cluster.local:65535", "http://vllm_0.svc.cluster.local:65535"}};
  for (const UrlCase& c : cases) {
    const auto url = Url::Parse(c.text);
    ASSERT_TRUE(url.has_value()) << c.text;
    EXPECT_EQ(url->ToString(), c.printed);
    EXPECT_EQ(Url::Parse(c.printed)->ToString(), c.printed);
  }
}

TEST(Url, RefusesWhatAnUpstreamAddressMustNotHave) {
  // clang-format off
  const UrlCase cases[] = {
      {"", "must begin with http:// or https://"}, {"ftp://h", "must begin with http:// or https://"}, {"HTTP://h", "must begin with http:// or https://"},
      {"http://", "must have a host name or an IP address (IPv6 in brackets)"}, {"http://:80", "must have a host name or an IP address (IPv6 in brackets)"},
      {"http://::1", "must have a host name or an IP address (IPv6 in brackets)"}, {"http://a b", "must have a host name or an IP address (IPv6 in brackets)"},
      {"http://1.2.3.400", "must have a host name or an IP address (IPv6 in brackets)"}, {"http://1.2.3", "must have a host name or an IP address (IPv6 in brackets)"},
      {"http://[127.0.0.1]", "must have an IPv6 address between the brackets"}, {"http://[::1", "must have an IPv6 address between the brackets"},
      {"http://[::1]x", "must have a port or a path after the host"}, {"http://h:0", "needs a port of 1 to 65535"}, {"http://h:65536", "needs a port of 1 to 65535"},
      {"http://h:", "needs a port of 1 to 65535"}, {"http://user:pass@h", "must not have user information; credentials belong in api_key"},
      {"http://h/?q=1", "must not have a query"}, {"http://h#f", "must not have a fragment"},
      {"http://h/a//b", "must have a plain path, without empty or dot segments"}, {"http://h/../x", "must have a plain path, without empty or dot segments"},
      {"http://h/%2", "must have a plain path, without empty or dot segments"}, {"http://h/a b", "must have a plain path, without empty or dot segments"}};
  // clang-format on
  for (const UrlCase& c : cases) {
    const auto url = Url::Parse(c.text);
    ASSERT_FALSE(url.has_value()) << c.text;
    EXPECT_STREQ(url.error().message, c.printed) << c.text;
  }
  EXPECT_FALSE(Url::Parse(std::string_view("http://h/\0x", 11)).has_value());
}

TEST(Secret, PrintsAsStars) {
  std::ostringstream out;
  out << Secret("sk-very-secret") << "," << Secret();
  EXPECT_EQ(out.str(), "***,");
  EXPECT_TRUE(Secret("abc").Matches("abc"));
  for (const char* other : {"abd", "ab", "abcd", ""}) EXPECT_FALSE(Secret("abc").Matches(other)) << other;
}

}  // namespace
}  // namespace penstock
