#include "cache/redis/purge_protocol.hpp"

#include <charconv>

namespace penstock::cache {

// Numbers are formatted by %.0f: Lua's own tostring gives 14 digits. HSET and ZADD may fail where PUBLISH does not
// (maxmemory, a replica): those who listen obey all the same.
const std::string_view kRaiseScript = R"(
local kept = {}
for i = 3, #ARGV, 2 do
  local there = tonumber(redis.call('HGET', KEYS[1], ARGV[i]) or 0) or 0
  if not (there >= 0 and there <= 9007199254740991) then there = 0 end
  local value = math.max(there + tonumber(ARGV[2]), tonumber(ARGV[i + 1]))
  local text = string.format('%.0f', value)
  if value > there then
    redis.call('PUBLISH', ARGV[1], 'epoch ' .. ARGV[i] .. ' ' .. text)
    local done = redis.pcall('HSET', KEYS[1], ARGV[i], text)
    if type(done) == 'table' and done.err then return redis.error_reply('NOTSTORED ' .. done.err) end
  end
  kept[#kept + 1] = text
end
return kept
)";

const std::string_view kPurgeScript = R"(
local time = redis.call('TIME')
local score = tonumber(time[1]) * 1000000 + tonumber(time[2])
local last = redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')
if last[2] and tonumber(last[2]) >= score then score = tonumber(last[2]) + 1 end
if tonumber(ARGV[3]) >= score then score = tonumber(ARGV[3]) + 1 end
local text = '0'
for i = 4, #ARGV do
  text = string.format('%.0f', math.min(score, 9007199254740991))
  redis.call('PUBLISH', ARGV[1], 'key ' .. ARGV[i] .. ' ' .. text)
  local done = redis.pcall('ZADD', KEYS[1], text, ARGV[i])
  if type(done) == 'table' and done.err then return redis.error_reply('NOTSTORED ' .. done.err) end
  score = score + 1
end
if #ARGV > 3 then redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -1 - tonumber(ARGV[2])) end
return text
)";

std::optional<std::uint64_t> ReadEpoch(std::string_view text) noexcept {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value > kEpochMax) return std::nullopt;
  return value;
}

std::uint64_t EpochOr0(std::string_view text) noexcept { return ReadEpoch(text).value_or(0); }

std::optional<PurgeMessage> PurgeMessage::Parse(std::string_view text) noexcept {
  const std::size_t first = text.find(' ');
  const std::size_t last = text.rfind(' ');
  if (first == std::string_view::npos || last <= first + 1) return std::nullopt;
  const std::string_view kind = text.substr(0, first);
  const std::string_view name = text.substr(first + 1, last - first - 1);  // a name may contain spaces
  const std::optional<std::uint64_t> value = ReadEpoch(text.substr(last + 1));
  if (!value) return std::nullopt;
  if (kind == "epoch") return PurgeMessage{name, *value, {}};
  const std::optional<Digest> digest = kind == "key" ? ParseDigest(name) : std::nullopt;
  if (!digest) return std::nullopt;
  return PurgeMessage{{}, *value, *digest};
}

}  // namespace penstock::cache
