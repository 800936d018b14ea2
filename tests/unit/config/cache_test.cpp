#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "config/redis_url.hpp"
#include "support.hpp"

namespace penstock::config {
namespace {

struct Case {
  const char* name;
  const char* cache;   ///< behind `cache: `, in flow style; its first byte is 11:8
  const char* errors;  ///< complete, without the place where it is 11:8
};

class CacheRules : public testing::TestWithParam<Case> {};

TEST_P(CacheRules, AreReportedWithPlaceAndPath) {
  const Case& c = GetParam();
  const std::string text = std::string(kSmallest) + "cache: " + c.cache + "\n";
  const LoadResult result = LoadText(text, "f.yaml");
  EXPECT_EQ(Errors(result), c.errors);
  EXPECT_EQ(result.ok(), *c.errors == '\0');
}

std::string CaseName(const testing::TestParamInfo<Case>& info) { return info.param.name; }

// clang-format off
INSTANTIATE_TEST_SUITE_P(Values, CacheRules, testing::Values(
    Case{"Nothing", "{}", ""},
    Case{"TtlZero", "{ttl: 0}", ""},
    Case{"TtlAYear", "{ttl: 8760h}", ""},
    Case{"TtlMore", "{ttl: 8761h}", "11:14: cache.ttl: must be between 0s and 31536000s, got \"8761h\"\n"},
    Case{"G_02_Partition", "{partition: tenant}", "11:20: cache.partition: must be one of key, none, got \"tenant\"\n"},
    Case{"G_02_Store", "{store: never}", "11:16: cache.store: must be one of deterministic, always, opt_in, got \"never\"\n"},
    Case{"MaxEntrySmallest", "{max_entry: 1KiB}", ""},
    Case{"MaxEntryTooSmall", "{max_entry: 1023B}", "11:20: cache.max_entry: must be between 1KiB and 32MiB, got \"1023B\"\n"},
    Case{"MaxEntryLargest", "{max_entry: 32MiB}", ""},
    Case{"MaxEntryTooLarge", "{max_entry: 33MiB}", "11:20: cache.max_entry: must be between 1KiB and 32MiB, got \"33MiB\"\n"},
    Case{"MemoryAuto", "{memory: {size: auto, shards: auto}}", ""},
    Case{"MemorySizeWord", "{memory: {size: all}}", "11:24: cache.memory.size: must be a whole number and a unit (B, KiB, MiB, GiB), as in 64KiB or auto, got \"all\"\n"},
    Case{"MemorySizeZero", "{memory: {size: 0}}", "11:24: cache.memory.size: must be between 1MiB and 1024GiB, got \"0\"\n"},
    Case{"MemoryShards", "{memory: {shards: 257}}", "11:26: cache.memory.shards: must be between 1 and 256, got \"257\"\n"},
    Case{"G_02_MemoryPolicy", "{memory: {policy: arc}}", "11:26: cache.memory.policy: must be one of s3fifo, lru, got \"arc\"\n"},
    Case{"RedisTimeoutZero", "{redis: {timeout: 0}}", "11:26: cache.redis.timeout: must be between 1ms and 1s, got \"0\"\n"},
    Case{"RedisTimeoutLong", "{redis: {timeout: 1001ms}}", "11:26: cache.redis.timeout: must be between 1ms and 1s, got \"1001ms\"\n"},
    Case{"RedisConnectTimeoutLong", "{redis: {connect_timeout: 11s}}", "11:34: cache.redis.connect_timeout: must be between 1ms and 10s, got \"11s\"\n"},
    Case{"RedisInFlightNone", "{redis: {in_flight_max: 0}}", "11:32: cache.redis.in_flight_max: must be between 1 and 65536, got \"0\"\n"},
    Case{"RedisInFlightMany", "{redis: {in_flight_max: 65537}}", "11:32: cache.redis.in_flight_max: must be between 1 and 65536, got \"65537\"\n"},
    Case{"G_02_RedisMode", "{redis: {mode: ring}}", "11:23: cache.redis.mode: must be one of single, cluster, sentinel, got \"ring\"\n"},
    Case{"RedisUrl", "{redis: {urls: [unix:/run/redis]}}", "11:24: cache.redis.urls[0]: must begin with redis:// or rediss://\n"},
    Case{"RedisUrlVariable", "{redis: {urls: [\"redis://:${PENSTOCK_NOT_SET}@h\"]}}", "11:24: cache.redis.urls[0]: needs the environment variable PENSTOCK_NOT_SET, which is not set\n"},
    Case{"DiskSizeSmallest", "{disk: {size: 4MiB}}", ""},
    Case{"DiskSizeTooSmall", "{disk: {size: 4095KiB}}", "11:22: cache.disk.size: must be between 4MiB and 16384GiB, got \"4095KiB\"\n"}), CaseName);

INSTANTIATE_TEST_SUITE_P(Together, CacheRules, testing::Values(
    Case{"EntryIsAnEighth", "{max_entry: 2MiB, memory: {size: 16MiB}}", ""},
    Case{"EntryIsMoreThanAnEighth", "{max_entry: 2MiB, memory: {size: 16383KiB}}", "11:41: cache.memory.size: must be at least 16MiB, eight times cache.max_entry\n"},
    Case{"DefaultEntryIsMoreThanAnEighth", "{memory: {size: 8MiB}}", "11:24: cache.memory.size: must be at least 16MiB, eight times cache.max_entry\n"},
    Case{"EntryIsHalfAShard", "{memory: {size: 16MiB, shards: 4}}", ""},
    Case{"EntryIsMoreThanHalfAShard", "{memory: {size: 16MiB, shards: 8}}", "11:39: cache.memory.shards: must be at most 4, so that an answer of cache.max_entry is no more than half a shard\n"},
    Case{"ShardsAreRoundedUp", "{memory: {size: 31MiB, shards: 5}}", "11:39: cache.memory.shards: must be at most 4, so that an answer of cache.max_entry is no more than half a shard\n"},
    Case{"ShardsOfAutoSize", "{memory: {shards: 256}}", ""},
    Case{"SentinelWithoutMaster", "{redis: {mode: sentinel, urls: [\"redis://h\"]}}", "11:16: cache.redis.master: is required by mode sentinel\n"},
    Case{"SentinelWithMaster", "{redis: {mode: sentinel, master: m, urls: [\"redis://h/3\", \"redis://i\"]}}", ""},
    Case{"MasterWithoutSentinel", "{redis: {master: m}}", "11:25: cache.redis.master: has no effect but in mode sentinel\n"},
    Case{"MasterOfACluster", "{redis: {mode: cluster, master: m}}", "11:40: cache.redis.master: has no effect but in mode sentinel\n"},
    Case{"SingleWithTwo", "{redis: {urls: [\"redis://h\", \"redis://i\"]}}", "11:37: cache.redis.urls[1]: is one too many: mode single takes one server\n"},
    Case{"ClusterWithTwo", "{redis: {mode: cluster, urls: [\"redis://h/0\", \"redis://i\"]}}", ""},
    Case{"ClusterWithADatabase", "{redis: {mode: cluster, urls: [\"redis://h\", \"redis://i/1\"]}}", "11:52: cache.redis.urls[1]: names a database, and a cluster has only 0\n"},
    Case{"ServerTwice", "{redis: {mode: cluster, urls: [\"redis://h\", \"redis://:p@H:6379/0\"]}}", "11:52: cache.redis.urls[1]: is the same as cache.redis.urls[0]\n"}), CaseName);

struct ModelCase {
  const char* name;
  const char* keys;  ///< of models[0], from 1:33
  const char* errors;
};
class ModelCacheRules : public testing::TestWithParam<ModelCase> {};

TEST_P(ModelCacheRules, AreReportedWithPlaceAndPath) {
  const ModelCase& c = GetParam();
  const std::string text = "models: [{name: m, cluster: c, " + std::string(c.keys) + "}]\n"
      "server: {listeners: [{address: \"127.0.0.1:80\"}]}\nclusters: [{name: c, endpoints: [{url: \"http://h\"}]}]\n";
  EXPECT_EQ(Errors(LoadText(text, "f.yaml")), c.errors);
}

INSTANTIATE_TEST_SUITE_P(Values, ModelCacheRules, testing::Values(
    ModelCase{"Auto", "cache: {ttl: auto, store: auto}", ""},
    ModelCase{"Own", "revision: \"2025-01-01\", cache: {ttl: 1s, store: always}", ""},
    ModelCase{"Ttl", "cache: {ttl: 8761h}", "1:45: models[0].cache.ttl: must be between 0s and 31536000s, got \"8761h\"\n"},
    ModelCase{"TtlWithoutUnit", "cache: {ttl: 300}", "1:45: models[0].cache.ttl: needs a unit, as in 250ms, 10s, 5m or 1h, got \"300\"\n"},
    ModelCase{"Store", "cache: {store: never}", "1:47: models[0].cache.store: must be one of deterministic, always, opt_in or auto, got \"never\"\n"},
    ModelCase{"Unknown", "cache: {max_entry: 1MiB}", "1:40: models[0].cache.max_entry: unknown key\n"},
    ModelCase{"Revision", "revision: \"a b\"", "1:42: models[0].revision: must be visible ASCII without blanks, \" and \\, got \"a b\"\n"}),
    [](const auto& param) { return std::string(param.param.name); });
// clang-format on

TEST(CacheRedisUrls, AtMost64) {
  std::string text = std::string(kSmallest) + "cache: {redis: {mode: cluster, urls: [";
  for (int i = 0; i < 64; ++i) text += "\"redis://h" + std::to_string(i) + "\", ";
  EXPECT_EQ(Errors(LoadText(text + "]}}\n", "f")), "");
  EXPECT_EQ(Errors(LoadText(text + "\"redis://i\"]}}\n", "f")),
            "11:38: cache.redis.urls: has 65 elements; at most 64 are taken\n");
}

TEST(CacheRedisUrls, AreSplit) {
  struct Row {
    const char* url;
    const char* server;  ///< null: refused with `rest`
    const char* rest;    ///< password
    std::uint32_t database = 0;
  };
  constexpr const char* kBegin = "must begin with redis:// or rediss://";
  constexpr const char* kHost = "must name a host, or an IPv6 address in brackets";
  constexpr const char* kPort = "must have a port between 1 and 65535 behind the ':'";
  constexpr const char* kDatabase = "must have a database number behind the '/', or nothing";
  constexpr const char* kEscape = "must have two hexadecimal digits behind each '%' of user and password";
  constexpr const char* kQuery = "must have no query and no fragment; write ? and # in a password as %3F and %23";
  const Row rows[] = {
      {"redis://h", "h:6379", ""},
      {"rediss://Cache.Example:7000/", "cache.example:7000", ""},
      {"redis://10.0.0.1/15", "10.0.0.1:6379", "", 15},
      {"redis://[2001:DB8::1]:1", "[2001:db8::1]:1", ""},
      {"redis://[::1]", "[::1]:6379", ""},
      {"redis://:p@h", "h:6379", "p"},
      {"redis://u:p%40:@/q@h:65535/65535", "h:65535", "p%40:@/q", 65535},
      {"", nullptr, kBegin},
      {"h:6379", nullptr, kBegin},
      {"REDIS://h", nullptr, kBegin},
      {"unix:///run/redis.sock", nullptr, kBegin},
      {"redis://", nullptr, kHost},
      {"redis:///1", nullptr, kHost},
      {"redis://a_b!", nullptr, kHost},
      {"redis://::1", nullptr, kHost},
      {"redis://[10.0.0.1]", nullptr, kHost},
      {"redis://[::1]x:1", nullptr, kHost},
      {"redis://[::1", nullptr, kHost},
      {"redis://[]:1", nullptr, kHost},
      {"redis://h:", nullptr, kPort},
      {"redis://h:0", nullptr, kPort},
      {"redis://h:65536", nullptr, kPort},
      {"redis://h:1:2", nullptr, kPort},
      {"redis://h/x", nullptr, kDatabase},
      {"redis://h/1/", nullptr, kDatabase},
      {"redis://h/65536", nullptr, kDatabase},
      {"redis://h?db=1", nullptr, kQuery},
      {"redis://h#1", nullptr, kQuery},
      {"redis://p@h", nullptr, "must have a ':' between user and password"},
      {"redis://u:@h", nullptr, "must have a password behind the ':'"},
      {"redis://:p%zz@h", nullptr, kEscape},
      {"redis://:p%4@h", nullptr, kEscape},
      {"redis://u%:p@h", nullptr, kEscape},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.url);
    const Parsed<RedisUrlParts> parts = SplitRedisUrl(row.url);
    ASSERT_EQ(parts.has_value(), row.server != nullptr);
    if (!parts.has_value()) {
      EXPECT_STREQ(parts.error().message, row.rest);
      continue;
    }
    EXPECT_EQ(parts->server, row.server);
    EXPECT_EQ(parts->password, row.rest);
    EXPECT_EQ(parts->database, row.database);
  }
}

TEST(CacheRedisUrls, G_10_PasswordsAreNeverShown) {
  EXPECT_EQ(MaskRedisUrl(""), "");
  EXPECT_EQ(MaskRedisUrl("redis://h:1/2"), "redis://h:1/2");
  EXPECT_EQ(MaskRedisUrl("rediss://u:c4n@4ry@h"), "rediss://u:***@h");
  EXPECT_EQ(MaskRedisUrl("redis://c4n4ry@h"), "***");
  const LoadOptions options{.environment = [](const char*) { return "c4n4ry"; }};
  const auto load = [&](std::string_view url) {
    return LoadText(std::string(kSmallest) + "cache: {redis: {urls: [\"" + std::string(url) + "\"]}}\n", "f", options);
  };
  for (const char* url : {"redis://u:c4n4ry@h:1", "redis://u:${ANY}@h:1"}) {
    const LoadResult result = load(url);
    ASSERT_TRUE(result.ok()) << Errors(result);
    EXPECT_EQ(result.config->cache.redis.urls[0].reveal(), "redis://u:c4n4ry@h:1");
    const std::string dump = Dump(*result.config);
    EXPECT_EQ(dump.find("c4n4ry"), std::string::npos) << dump;
    EXPECT_NE(dump.find("urls: [\"redis://u:***@h:1\"]"), std::string::npos) << dump;
  }
  for (const char* url : {"c4n4ry", "redis://c4n4ry@h", "redis://:c4n4ry@", "redis://:c4n4ry@h?", "redis://:c4n4ry x@h",
                          "redis://:${ANY}@h:x", "redis://h/c4n4ry"}) {
    const LoadResult result = load(url);
    EXPECT_FALSE(result.ok()) << url;
    EXPECT_EQ(Errors(result).find("c4n4ry"), std::string::npos) << Errors(result);
  }
}

/// A folder that goes with the test.
class CacheDiskPath : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "penstock-disk-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override {
    chmod(folder_.c_str(), 0700);
    std::filesystem::remove_all(folder_);
  }

  std::string folder_;
};

TEST_F(CacheDiskPath, IsAFolderOrCanBeMade) {
  EXPECT_EQ(DiskPathProblem(""), "");
  EXPECT_EQ(DiskPathProblem(folder_), "");
  EXPECT_EQ(DiskPathProblem(folder_ + "/new"), "");
  EXPECT_EQ(DiskPathProblem(folder_ + "/new//"), "");
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/new")) << "it only looks";
  EXPECT_EQ(DiskPathProblem("/"), access("/", W_OK) == 0 ? "" : "cannot be written into: Permission denied");
}

TEST_F(CacheDiskPath, G_08_OtherThingsAreRefused) {
  std::ofstream(folder_ + "/file") << "x";
  std::filesystem::create_directory_symlink(folder_, folder_ + "/link");
  EXPECT_EQ(DiskPathProblem(folder_ + "/file"), "is not a folder");
  EXPECT_EQ(DiskPathProblem(folder_ + "/file/new"), "cannot be looked at: Not a directory");
  EXPECT_EQ(DiskPathProblem(folder_ + "/link"), "is a symbolic link; name the folder that it leads to");
  EXPECT_EQ(DiskPathProblem(folder_ + "/link/"), "is a symbolic link; name the folder that it leads to");
  EXPECT_EQ(DiskPathProblem(folder_ + "/link/new"), "") << "links above the folder are the operator's layout";
  EXPECT_EQ(DiskPathProblem(folder_ + "/a/b"),
            "does not exist and cannot be made: " + folder_ + "/a: No such file or directory");
}

TEST_F(CacheDiskPath, G_08_ItOrItsParentIsWritable) {
  constexpr uid_t kNobody = 65534;
  const uid_t self = geteuid();
  ASSERT_EQ(chmod(folder_.c_str(), 0555), 0);
  // Nothing is forbidden to root.
  ASSERT_EQ(seteuid(self == 0 ? kNobody : self), 0);
  const std::string folder = DiskPathProblem(folder_);
  const std::string fresh = DiskPathProblem(folder_ + "/new");
  ASSERT_EQ(seteuid(self), 0);
  EXPECT_EQ(folder, "cannot be written into: Permission denied");
  EXPECT_EQ(fresh, "does not exist and cannot be made: " + folder_ + ": Permission denied");
}

}  // namespace
}  // namespace penstock::config
