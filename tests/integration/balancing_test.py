"""Which endpoint is next (docs/resilience.md, "Balancing"): keys stay, slow ones are spared, near ones come first, those that came back begin
gently, and with a warm-up nobody joins before it has given an answer."""

import collections
import json
import threading
import time

import h1_client
import harness
from cache_test import CHAT, chat
from harness import FaultCase, World, cluster, endpoint, until

QUICK = {"interval": "250ms", "timeout": "250ms", "unhealthy_after": 3, "healthy_after": 1}
ZONES = {"a": "near", "b": "near", "c": "next", "d": "elsewhere"}


class Balancing(FaultCase):
    @classmethod
    def make_world(cls):
        def config(world):
            # Dead from the start, so that its first answer fails.
            world.sims["warm"].answer_all_with("fault:status:500")

            def of(names, **more):
                return [endpoint(world.sims[name].address, name=name, **more) for name in names]

            def hashing(name, key):
                return cluster(name, of("abc"), health_check=QUICK, balancer={"policy": "consistent_hash", "key": key})
            zoned = [{**each, "zone": ZONES[each["name"]]} for each in of("abcd")]
            clusters = [hashing("header", "header:X-Key"), hashing("user", "user"), hashing("session", "session"), hashing("prefix", "prefix:64B"),
                        cluster("p2c", of("abc"), health_check=QUICK, balancer={"policy": "p2c_ewma"}),
                        cluster("zoned", zoned, health_check=QUICK, balancer={"policy": "round_robin"}),
                        cluster("gentle", of("ef"), health_check=QUICK, balancer={"policy": "weighted", "slow_start": "120s"}),
                        cluster("sized", of("ab"), health_check=QUICK, balancer={"policy": "least_load"}),
                        cluster("shared", of("ab"), health_check={**QUICK, "metrics": True}),
                        cluster("warm", queue={"size": 0}, endpoints=of(["warm"]), health_check={**QUICK, "warmup": {"model": "warm", "timeout": "5s"}})]
            models = [{"name": c["name"], "upstream_name": "sim:0:4:0", "cluster": c["name"]} for c in clusters]
            models += [{"name": "held", "upstream_name": "sim:1500:4:0", "cluster": "sized"}]
            return {"server": {"listeners": [{"address": "127.0.0.1:0"}], "workers": 2, "expose_upstream": True, "zones": ["near", "next"]},
                    "cache": {"enabled": False}, "models": models, "clusters": clusters}
        return World(config, sims=("a", "b", "c", "d", "e", "f", "warm"))

    def setUp(self):
        super().setUp()
        for name in "abcdef":
            self.world.sims[name].answer_all_with("")
            self.up(name)
        until(lambda: all(e["usable"] for c, es in self.backends().items() for e in es.values() if c != "warm"), "all are usable")

    def up(self, name, ready=True):
        self.world.sims[name].ask("POST", f"/sim/set?ready={int(ready)}")

    def down(self, *names):
        """Takes them out, and waits until every cluster knows."""
        for name in names:
            self.up(name, False)
        until(lambda: not any(e["usable"] for es in self.backends().values() for n, e in es.items() if n in names), f"{names} are out")

    def back(self, *names):
        for name in names:
            self.up(name)
        until(lambda: all(e["usable"] for es in self.backends().values() for n, e in es.items() if n in names), f"{names} are back")

    def backends(self):
        """Cluster -> endpoint -> what /admin/backends says of it."""
        with h1_client.Connection(self.gateway.admin) as connection:
            clusters = json.loads(connection.ask("GET", "/admin/backends").body)["clusters"]
        return {c["name"]: {e["name"]: e for e in c["endpoints"]} for c in clusters}

    def ask(self, model, headers=(), prompt="hello", **fields):
        headers = [("x-request-id", self.request_id()), ("content-type", "application/json"), *headers]
        with h1_client.Connection(self.gateway.address) as connection:
            return connection.ask("POST", CHAT, chat(prompt, model=model, **fields), headers)

    def who(self, *arguments, **fields):
        answer = self.ask(*arguments, **fields)
        self.assertEqual(answer.status, 200, answer.body)
        return answer.header("x-penstock-endpoint")

    def counts(self, requests, model):
        return collections.Counter(self.who(model) for _ in range(requests))

    def homes(self, model, make):
        """Where 24 keys live; each is asked for twice."""
        def home(key):
            headers, fields = make(key)
            found = {self.who(model, headers, **fields) for _ in range(2)}
            self.assertEqual(len(found), 1, f"{key} has two homes")
            return found.pop()
        return {key: home(f"key {key}") for key in range(24)}

    def test_equal_keys_go_to_one_endpoint_and_only_a_dead_ones_move(self):
        def by_header(key):
            return [("x-key", key)], {}
        before = self.homes("header", by_header)
        self.assertEqual(set(before.values()), set("abc"))
        self.down("b")
        meanwhile = self.homes("header", by_header)
        self.assertEqual({key: home for key, home in before.items() if home != "b"},
                         {key: home for key, home in meanwhile.items() if before[key] != "b"}, "who was elsewhere stays")
        self.assertLessEqual({meanwhile[key] for key, home in before.items() if home == "b"}, {"a", "c"})
        self.back("b")
        self.assertEqual(self.homes("header", by_header), before)

    def test_the_other_kinds_of_keys(self):
        for model, make in (("user", lambda key: ([], {"user": key})),
                            ("session", lambda key: ([("x-session-id", key)], {})),
                            ("prefix", lambda key: ([], {"prompt": key + "!" * 64 + str(time.monotonic())}))):
            with self.subTest(model):
                self.assertEqual(set(self.homes(model, make).values()), set("abc"))

    def test_without_a_key_the_load_decides(self):
        self.assertEqual(set(self.counts(40, "header")), set("abc"))

    def test_p2c_spares_a_slow_endpoint(self):
        self.world.sims["a"].answer_all_with("sim:300:4:0")
        found, lock = collections.Counter(), threading.Lock()

        def client():
            with h1_client.Connection(self.gateway.address) as connection:
                for _ in range(50):
                    answer = connection.ask("POST", CHAT, chat("hello", model="p2c"), [("content-type", "application/json")])
                    with lock:
                        found[answer.header("x-penstock-endpoint")] += 1
        threads = [threading.Thread(target=client) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(harness.HANG)
        self.assertEqual(sum(found.values()), 200)
        self.assertLess(found["a"], 30, found)
        self.assertGreater(min(found["b"], found["c"]), 50, found)
        seen = self.backends()["p2c"]
        self.assertGreater(seen["a"]["latency_us"], 2 * seen["b"]["latency_us"], "a's is known")

    def test_near_endpoints_first(self):
        self.assertEqual(set(self.counts(40, "zoned")), {"a", "b"})
        self.down("a")
        half = self.counts(60, "zoned")
        self.assertEqual(set(half), {"b", "c"}, "what is left of the zone is not drowned")
        self.assertGreater(half["b"], half["c"])
        self.down("b")
        self.assertEqual(set(self.counts(20, "zoned")), {"c"})
        self.down("c")
        self.assertEqual(set(self.counts(20, "zoned")), {"d"})
        self.back("a", "b")
        self.assertEqual(set(self.counts(40, "zoned")), {"a", "b"})

    def test_who_came_back_begins_gently(self):
        self.assertTrue(15 <= self.counts(40, "gentle")["e"] <= 25, "two workers, each in turn")
        self.down("e")
        self.back("e")
        counts = self.counts(100, "gentle")
        self.assertTrue(3 <= counts["e"] <= 25, counts)

    def test_a_long_prompt_is_more_load(self):
        answers = []

        def hold(prompt):
            thread = threading.Thread(target=lambda: answers.append(self.who("held", prompt=prompt)))
            thread.start()
            return thread

        def loads():
            return sorted(e["load"] for e in self.backends()["sized"].values())
        threads = [hold("x" * 100_000)]
        until(lambda: loads() == [0, 13], "twelve times 8 KiB and the slot")
        for count in (1, 2, 3):
            threads.append(hold("short"))
            until(lambda n=count: loads() == [n, 13], "the short ones go elsewhere")
        self.assertEqual(sorted(e["in_flight"] for e in self.backends()["sized"].values()), [1, 3])
        for thread in threads:
            thread.join(harness.HANG)
        self.assertEqual(sorted(collections.Counter(answers).values()), [1, 3])
        self.assertEqual(loads(), [0, 0])

    def test_what_others_have_there_is_load(self):
        body = chat("hello", stream=True, model="fault:silence")
        request = f"POST {CHAT} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body
        others = [h1_client.Connection(self.world.sims["a"].address) for _ in range(3)]
        try:
            for other in others:
                other.send(request)
            until(lambda: self.backends()["shared"]["a"]["elsewhere"] == 3, "they are seen")
            self.assertEqual(self.counts(10, "shared"), {"b": 10})
        finally:
            for other in others:
                other.close()
        until(lambda: self.backends()["shared"]["a"]["elsewhere"] == 0, "they are gone")
        self.assertEqual(set(self.counts(40, "shared")), {"a", "b"})

    def test_nobody_joins_before_its_first_answer(self):
        sim = self.world.sims["warm"]

        def state():
            seen = self.backends()["warm"]["warm"]
            return seen["usable"], seen["warming"]

        def lines(text):
            return [line for line in self.gateway.lines["stderr"] if text in line and '"warm"' in line]
        series = 'penstock_endpoint_warming{endpoint="warm"}'
        until(lambda: lines("endpoint's warm-up failed"), "a line of the log")
        self.assertEqual(state(), (False, True))
        self.assertEqual(self.gateway.metrics()[series], 1)
        refused = self.ask("warm")
        self.assertEqual((refused.status, refused.json()["error"]["code"]), (503, "no_healthy_upstream"))
        asked = json.loads(sim.last()[-1]["body"])
        self.assertEqual((asked["model"], asked["max_tokens"]), ("sim:0:4:0", 1))
        sim.answer_all_with("")
        until(lambda: state() == (True, False), "it joins")
        until(lambda: self.gateway.metrics()[series] == 0, "the gauge")
        self.assertEqual(self.who("warm"), "warm")
        sim.answer_all_with("fault:status:503")
        self.down("warm")
        self.up("warm")
        until(lambda: state() == (False, True), "it owes an answer again")
        self.assertEqual(self.ask("warm").status, 503)
        sim.answer_all_with("")
        until(lambda: state() == (True, False), "it joins again")
        self.assertEqual(self.who("warm"), "warm")


if __name__ == "__main__":
    harness.main()
