"""Redis that dies, hangs, forgets or lies under the running daemon: no request fails, hardly any is delayed, nothing false is served
(FAULTS R-01, R-02, R-06 to R-10)."""

import json

import h1_client
import harness
from cache_test import CHAT, chat
from harness import table, until
from redis_server import RedisError
from tier_case import CLIENTS, Load, TierCase, delayed, wall

TIMEOUT_MS = 100  # cache.redis.timeout where it is the rule
# What the machine adds, not the rule: two cores, all programs and the sanitizers on them. The rule is kept by counting look-ups
# that failed; the times are only to show that no request waited for something else.
SCHEDULING_MS = 150


def flip(at, bit=1):
    def lie(value, _):
        changed = bytearray(value)
        changed[at] ^= bit
        return bytes(changed)
    return lie


# What another program, or a bug, might leave under our key: (value, another key's value) -> what is there instead
LIES = {
    "a bit of the body": flip(-2),
    "the magic": flip(0),
    "the version": flip(4),
    "a bit of the digest": flip(9),
    "the tenant": flip(40),
    "the expiry": flip(66, 64),
    "the purges it knows": flip(72),
    "the body's checksum": flip(96),
    "the header's checksum": flip(100),
    "a truncated body": lambda value, _: value[:-1],
    "half a header": lambda value, _: value[:40],
    "nothing": lambda *_: b"",
    "a byte too many": lambda value, _: value + b"}",
    "another key's entry": lambda _, other: other,
    "somebody's JSON": lambda *_: b'{"choices":[]}',
}


class Dies(TierCase):
    def test_R_01_killed_under_load(self):
        redis = self.redis_server()
        gateway = self.gateway(redis=redis)
        self.await_redis(gateway)
        (load, before), quiet = self.loaded(gateway), wall()
        load.more(200)
        killed = wall()
        redis.kill()
        load.more(400)
        ended = wall()
        after = self.lookups(gateway)
        load.more(200)
        last = self.lookups(gateway)
        self.assertEqual(load.stop(), [])
        self.assertLessEqual(after["failed"] - before["failed"], CLIENTS, "only what was under way in that moment")
        self.assertEqual(last["failed"], after["failed"])
        self.assertGreater(last["skipped"], after["skipped"], "no call is made to a server that is gone")
        # 5 beyond what the machine had delayed in the time before, which was as long at least.
        usual = len(delayed(gateway, quiet - (ended - killed - (killed - quiet)), killed, TIMEOUT_MS))
        self.assertLessEqual(len(delayed(gateway, killed, ended, TIMEOUT_MS)), 5 + 2 * usual)
        redis.start()
        self.await_redis(gateway)

    def test_R_02_stopped_under_load(self):
        redis = self.redis_server()
        gateway = self.gateway(redis=redis, timeout=f"{TIMEOUT_MS}ms")
        self.await_redis(gateway)
        load, before = self.loaded(gateway, 200)
        stopped = wall()
        redis.stop()
        load.more(100)
        after = self.lookups(gateway)
        load.more(400)
        last = self.lookups(gateway)
        # Each client has one request under way: only those that were under way then may have waited, and each only once.
        self.assertGreaterEqual(after["failed"] - before["failed"], 1, "somebody met it")
        self.assertLessEqual(after["failed"] - before["failed"], CLIENTS)
        self.assertEqual(last["failed"], after["failed"], "connects succeed, but it is not used")
        self.assertGreater(last["skipped"], after["skipped"])
        waited = delayed(gateway, stopped - 1, wall(), TIMEOUT_MS + SCHEDULING_MS)
        self.assertEqual(waited, [], "nobody waits longer than the timeout")
        redis.go_on()
        self.await_redis(gateway, limit=2 + 2)  # the rule has 2 s; the rest is for 16 requests and two looks at the metrics
        self.assertEqual(load.stop(), [])
        said = [json.loads(line).get("reason", "used") for line in gateway.lines["stderr"] if "Redis" in line]
        self.assertLessEqual(len(said), 8, said)
        self.assertTrue(all(one != next for one, next in zip(said, said[1:])), f"changes, whoever has seen them: {said}")

    def test_R_08_flushed_under_load(self):
        redis = self.redis_server()
        gateways = [self.gateway(redis=redis) for _ in range(2)]
        self.await_redis(*gateways)
        loads = []
        for gateway in gateways:  # the second asks for what the first has just had
            loads.append(Load(gateway, 4, lambda client, number: f"{client} {number}"))
            loads[0].more(60)
        for _ in range(10):
            loads[1].more(40)
            redis.ask("FLUSHALL")
        for gateway, load in zip(gateways, loads):
            self.assertEqual(load.stop(), [])
            lookups = self.lookups(gateway)
            self.assertEqual((lookups["failed"], lookups["corrupt"]), (0, 0), "misses only")
        self.assertGreater(sum(load.caches.get("hit-redis", 0) for load in loads), 0)
        self.shared(*gateways, redis)

    def test_R_07_R_08_evicted(self):
        redis = self.redis_server("--maxmemory", "10mb", "--maxmemory-policy", "allkeys-lru")
        gateways = [self.gateway(redis=redis) for _ in range(2)]
        self.await_redis(*gateways)
        load = Load(gateways[0], CLIENTS, model="wide")  # 8,000 bytes each: 2,000 of them are 16 MB
        load.more(2000)
        self.assertEqual(load.stop(), [])
        self.assertLess(len(redis.keys()), load.answers)
        redis.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")
        redis.ask("CONFIG", "SET", "maxmemory", "1")
        with self.assertRaisesRegex(RedisError, "OOM"):
            redis.ask("SET", "x", "y")
        prompt, keys = self.fresh(), redis.keys()
        self.assertEqual([self.ask(gateway, prompt).cache for gateway in gateways], ["miss", "miss"], "nothing can be written")
        self.assertEqual(redis.keys(), keys)
        for gateway in gateways:
            lookups = self.lookups(gateway)
            self.assertEqual((lookups["failed"], lookups["corrupt"]), (0, 0), "but it is read")
        redis.ask("CONFIG", "SET", "maxmemory", "0")
        self.shared(*gateways, redis)

    def test_R_09_another_in_its_place(self):
        redis = self.redis_server()
        gateways = [self.gateway(redis=redis) for _ in range(2)]
        gateway = gateways[0]
        self.await_redis(*gateways)
        self.shared(*gateways, redis)
        redis.kill()
        redis.start("--requirepass", "another")
        load, _ = self.loaded(gateway)
        until(lambda: any('"login"' in line for line in gateway.lines["stderr"]), "the log says why")
        before = self.lookups(gateway)
        load.more(100)
        after = self.lookups(gateway)
        self.assertEqual(load.stop(), [])
        self.assertEqual((after["failed"], after["hit"], after["miss"]), (before["failed"], before["hit"], before["miss"]))
        self.assertGreater(after["skipped"], before["skipped"], "not used")
        redis.kill()
        redis.start()
        self.await_redis(*gateways)
        self.shared(*gateways, redis)

    def test_R_10_pipeline_full(self):
        redis = self.redis_server()
        gateway = self.gateway(redis=redis, timeout="1s", in_flight_max=4, workers=1)
        self.await_redis(gateway)
        connections = [h1_client.Connection(gateway.address) for _ in range(100)]
        for connection in connections:
            self.addCleanup(connection.close)
        before = self.lookups(gateway)
        redis.stop()
        for connection in connections:
            connection.send(connection.request_bytes("POST", CHAT, chat(self.fresh())))
        answers = [connection.read_response() for connection in connections]
        self.assertEqual({(answer.status, answer.header("x-penstock-cache")) for answer in answers}, {(200, "miss")})
        after = self.lookups(gateway)
        self.assertGreater(after["refused"], before["refused"], "the fifth is told to go on without")
        self.assertLessEqual(after["failed"] - before["failed"], 4, "and four have waited")
        redis.go_on()
        self.await_redis(gateway)


@table("lie", [(f"R-06 {name}", name) for name in LIES])
class Lies(TierCase):
    def lie(self, label, name):
        redis = self.redis_server()
        writer, reader = (self.gateway(redis=redis, workers=1) for _ in range(2))
        self.await_redis(writer, reader)
        redis.ask("FLUSHALL")
        for prompt in ("the one", "the other"):
            self.kept(writer, prompt)
            until(lambda: len(redis.keys()) == (1 if prompt == "the one" else 2), "it is in Redis")
            if prompt == "the one":
                key = redis.keys()[0]
        other = next(each for each in redis.keys() if each != key)
        value = redis.ask("GET", key)
        self.assertNotEqual(LIES[name](value, redis.ask("GET", other)), value)
        redis.ask("SET", key, LIES[name](value, redis.ask("GET", other)), "KEEPTTL")
        before, received = self.corrupt(reader), self.sim.stats()["received"]
        answer = self.ask(reader, "the one")
        self.assertEqual((answer.status, answer.cache), (200, "miss"))
        self.assertEqual(answer.json()["choices"][0]["message"]["role"], "assistant")
        self.assertEqual(self.sim.stats()["received"], received + 1, "the backend was asked")
        self.assertEqual(self.corrupt(reader), before + 1)
        self.assertEqual(self.ask(reader, "the other").cache, "hit-redis", "and Redis is used on")
        until(lambda: redis.ask("GET", key) not in (None, LIES[name](value, redis.ask("GET", other))), "a good one took its place")


if __name__ == "__main__":
    harness.main()
