"""Endpoints that fail are left alone (CONTRACT 7): circuit breakers, pauses that were asked for, the retry budget
(FAULTS U-18, U-26, U-30, U-31, U-36).
breaker_test.py [--seconds N]: endpoints flap, or all fail, for so long, 6 without it."""

import asyncio
import bisect
import json
import sys
import threading
import time

import h1_client
import harness
from cache_test import CHAT, chat
from harness import FaultCase, World, cluster, endpoint, until
from saturation_test import Client

SECONDS = 6
BREAKER = {"consecutive_failures": 5, "open": "700ms", "open_max": "1500ms"}
QUICK = {"headers": "300ms", "first_token": "300ms", "idle": "1s", "total": "20s"}
RATIO, RESERVE = 0.2, 3  # the budget's defaults
BROKEN, SLOW = "fault:status:500", "sim:400:4:0"


class BreakerCase(FaultCase):
    log = {}

    @classmethod
    def make_world(cls):
        def config(world):
            to = {name: endpoint(sim.wire) for name, sim in world.sims.items()}
            turn = {"balancer": {"policy": "round_robin"}, "timeouts": QUICK, "circuit_breaker": BREAKER}
            pair = [to["faulty"], to["good"]]
            checked = {"interval": "150ms", "timeout": "100ms"}
            clusters = [cluster("pair", pair, retry={"attempts": 2}, **turn),
                        cluster("trio", [*pair, to["third"]], retry={"attempts": 3}, **turn),
                        cluster("one", [to["faulty"]], retry={"attempts": 1, "retry_after_max": "1s"}, **turn),
                        cluster("budget", [to["faulty"]], retry={"attempts": 2, "budget": {"ratio": 0.2, "min": 3}}, **turn),
                        cluster("spare", [to["good"]]),
                        {**cluster("checked", pair, retry={"attempts": 2}, **turn), "health_check": checked,
                         "circuit_breaker": {**BREAKER, "open": "30s", "open_max": "30s"}}]
            models = [{"name": c["name"], "upstream_name": "sim:0:4:0", "cluster": c["name"]} for c in clusters]
            models += [{"name": "slow", "upstream_name": SLOW, "cluster": "pair"},
                       {"name": "spared", "upstream_name": "sim:0:4:0", "cluster": "one", "fallbacks": ["spare"]}]
            return {"server": {"listeners": [{"address": "127.0.0.1:0"}], "workers": 2}, "cache": {"enabled": False}, "log": dict(cls.log),
                    "models": models, "clusters": clusters}
        return World(config, sims=("faulty", "good", "third"))

    def setUp(self):
        super().setUp()
        self.faulty, self.good = self.world.sims["faulty"], self.world.sims["good"]
        for sim in self.world.sims.values():
            sim.answer_all_with("")
        self.heal()
        for sim in self.world.sims.values():
            sim.reset()

    def heal(self):
        """Asks until no endpoint pauses and each has answered its probe."""
        def look():
            for model in ("pair", "trio", "one", "spared", "slow", "checked"):
                self.ask(model)
            return not self.open_breakers()
        until(lambda: not any(e["resting_ms"] for c in self.clusters() for e in c["endpoints"]), "nobody pauses")
        until(look, "breakers close again")

    def ask(self, model, stream=False):
        with h1_client.Connection(self.gateway.address) as connection:
            return connection.ask("POST", CHAT, chat(self.id(), stream, model), [("x-request-id", self.request_id()), ("content-type", "application/json")])

    def clusters(self):
        with h1_client.Connection(self.gateway.admin) as connection:
            return json.loads(connection.ask("GET", "/admin/backends").body)["clusters"]

    def endpoints(self, name):
        return {e["name"]: e for e in next(c for c in self.clusters() if c["name"] == name)["endpoints"]}

    def breaker(self, model, sim=None, cluster_name=None):
        return self.endpoints(cluster_name or model)[(sim or self.faulty).wire]["breakers"][model]

    def open_breakers(self):
        return [b for c in self.clusters() for e in c["endpoints"] for b in e["breakers"].values() if b["state"] != "closed"]

    def received(self, sim=None):
        return (sim or self.faulty).stats()["received"]


class Breakers(BreakerCase):
    def test_U_30_failures_in_a_row_open_it(self):
        self.faulty.answer_all_with(BROKEN)
        self.assertEqual({self.ask("pair").status for _ in range(30)}, {200})
        self.assertEqual(self.received(), 5, "after five it is left alone")
        state = self.breaker("pair")
        self.assertEqual((state["state"], state["opened"] > 0), ("open", True))
        self.assertEqual(self.breaker("slow", cluster_name="pair")["state"], "closed", "another model at the same endpoint")
        series = f'penstock_breaker_state{{endpoint="{self.faulty.wire}"}}'
        until(lambda: self.gateway.metrics()[series] == 2, "the gauge")
        until(lambda: any('"circuit breaker opened"' in line for line in self.gateway.lines["stderr"]), "a line of the log")
        until(lambda: self.breaker("pair")["state"] == "half-open", "its time is over")
        self.assertEqual({a.status for a in harness.all_at_once(8, lambda _: self.ask("pair"))}, {200})
        self.assertEqual(self.received(), 6, "one probe, which fails")
        self.assertEqual(self.breaker("pair")["state"], "open")
        self.assertGreater(self.breaker("pair")["open_ms"], 750, "for longer than the first time")
        self.faulty.answer_all_with("")
        until(lambda: self.breaker("pair")["state"] == "half-open", "its time is over")
        self.assertEqual({self.ask("pair").status for _ in range(2)}, {200})
        self.assertEqual(self.breaker("pair")["state"], "closed")
        until(lambda: self.gateway.metrics()[series] == 0, "the gauge")
        before = self.received()
        for _ in range(10):
            self.ask("pair")
        self.assertIn(self.received() - before, (4, 5, 6), "its share again")

    def test_U_30_one_probe_at_a_time(self):
        self.faulty.answer_all_with(BROKEN)
        for _ in range(12):
            self.ask("slow")
        self.assertNotEqual(self.breaker("slow", cluster_name="pair")["state"], "closed")
        self.faulty.answer_all_with("")
        until(lambda: self.breaker("slow", cluster_name="pair")["state"] == "half-open", "its time is over")
        before = self.received()
        self.assertEqual({a.status for a in harness.all_at_once(8, lambda _: self.ask("slow"))}, {200})
        self.assertEqual(self.received() - before, 1)
        self.assertEqual(self.breaker("slow", cluster_name="pair")["state"], "closed")

    def test_U_30_the_last_endpoint_is_never_left_alone(self):
        self.faulty.answer_all_with(BROKEN)
        self.assertEqual({self.ask("one").status for _ in range(20)}, {500})
        self.assertEqual((self.received(), self.breaker("one")["state"]), (20, "closed"))

    def test_U_30_but_where_another_model_stands_in(self):
        self.faulty.answer_all_with(BROKEN)
        self.assertEqual({self.ask("spared").status for _ in range(20)}, {200})
        self.assertEqual((self.received(), self.breaker("spared", cluster_name="one")["state"]), (5, "open"))

    def test_U_30_half_of_the_endpoints_at_most(self):
        self.faulty.answer_all_with(BROKEN)
        self.good.answer_all_with(BROKEN)
        self.assertEqual({self.ask("trio").status for _ in range(40)}, {200})
        states = sorted(e["breakers"]["trio"]["state"] for e in self.endpoints("trio").values())
        self.assertEqual(states, ["closed", "closed", "open"])

    def test_U_18_refusals_are_no_failures(self):
        for program in ("fault:status:400", "fault:status:429", "fault:status:503:retry-after-ms=1"):
            self.faulty.answer_all_with(program)
            for _ in range(12):
                self.ask("pair")
            self.assertEqual(self.breaker("pair")["state"], "closed", program)

    def test_U_18_an_endpoint_that_asked_for_a_pause_has_it(self):
        self.faulty.answer_all_with("fault:status:429:retry-after=2")
        self.assertEqual({self.ask("pair").status for _ in range(10)}, {200})
        self.assertEqual(self.received(), 1)
        self.assertGreater(self.endpoints("pair")[self.faulty.wire]["resting_ms"], 0)

    def test_U_18_all_pause(self):
        self.faulty.answer_all_with("fault:status:429:retry-after=3")
        self.assertEqual(self.ask("one").status, 429)
        answer = self.ask("one")
        self.assertEqual((answer.status, self.received()), (429, 1), "it is not asked meanwhile")
        self.assertIn(answer.header("retry-after"), ("2", "3"))
        until(lambda: self.endpoints("one")[self.faulty.wire]["resting_ms"] == 0, "its time is over")
        self.faulty.answer_all_with("")
        self.assertEqual(self.ask("one").status, 200)

    def test_U_18_a_short_pause_is_waited_out_by_all(self):
        self.faulty.answer_all_with("fault:status:429:retry-after=1:times=1")
        self.assertEqual(self.ask("one").status, 429)
        began = time.monotonic()
        self.assertEqual({a.status for a in harness.all_at_once(5, lambda _: self.ask("one"))}, {200})
        self.assertGreater(time.monotonic() - began, 0.7)
        self.assertEqual(self.received(), 6)

    def test_U_26_silence_counts(self):
        self.faulty.answer_all_with("fault:silence")
        answers = harness.all_at_once(20, lambda _: self.ask("pair", stream=True))
        self.assertEqual({a.status for a in answers}, {200})
        until(lambda: self.breaker("pair")["state"] != "closed", "five were in vain")
        before = self.received()
        began = time.monotonic()
        for _ in range(4):
            self.assertEqual(self.ask("pair", stream=True).status, 200)
        self.assertLess(time.monotonic() - began, 0.3, "nobody waits for it any more")
        self.assertEqual(self.received(), before)

    def test_U_31_the_budget_bounds_retries(self):
        self.faulty.answer_all_with(BROKEN)
        self.assertEqual({self.ask("budget").status for _ in range(100)}, {500})
        self.assertLessEqual(self.received(), 1.2 * 100 + 3)
        self.assertGreater(self.received(), 110)

    def test_U_30_good_checks_end_it_early(self):
        self.faulty.answer_all_with(BROKEN)
        for _ in range(12):
            self.ask("checked")
        self.faulty.answer_all_with("")
        began = time.monotonic()
        until(lambda: self.breaker("checked")["state"] == "half-open", "two good checks")
        self.assertLess(time.monotonic() - began, 5, "not the 30 s")
        self.heal()


class Flapping(BreakerCase):
    log = {"access": "off"}  # a million lines in five minutes, which nobody would read

    def request_id(self):
        super().request_id()
        return self.asked.pop()  # no line to look for

    def test_U_36_a_flapping_endpoint_hurts_nobody(self):
        over, failures, count = threading.Event(), [], [0]

        def client():
            with h1_client.Connection(self.gateway.address) as connection:
                while not over.is_set():
                    answer = connection.ask("POST", CHAT, chat("flap", False, "trio"), [("content-type", "application/json")])
                    count[0] += 1
                    if answer.status != 200 or not answer.complete:
                        failures.append(answer)

        def run():
            try:
                client()
            except (OSError, AttributeError, h1_client.Malformed) as error:  # None: closed without an answer
                failures.append(error)
        threads = [threading.Thread(target=run) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            end = time.monotonic() + SECONDS
            while time.monotonic() < end:
                for program in ("fault:refuse", ""):
                    self.faulty.answer_all_with(program)
                    over.wait(1)  # up for a second, down for a second: that is the case
        finally:
            over.set()
            for thread in threads:
                thread.join(harness.HANG)
        print(json.dumps({"answers": count[0], "errors": len(failures), "reached the flapping one": self.received()}), file=sys.stderr)
        self.assertEqual(failures, [])
        self.assertGreater(count[0], 50)
        self.assertGreater(self.received(), 0)


class Failing(harness.Backend):
    """Fails every request and keeps the time at which each came."""

    def __init__(self, attempts):
        self.attempts = attempts
        super().__init__()

    def serve(self, connection):
        reader = h1_client.Connection.__new__(h1_client.Connection)
        reader.socket, reader.buffer = connection, b""
        with connection:
            while (head := reader.read_until(b"\r\n\r\n")) is not None:
                length = next((int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0)
                while len(reader.buffer) < length and reader.receive():
                    pass
                reader.buffer = reader.buffer[length:]
                if head.startswith(b"POST"):
                    self.attempts.append(time.monotonic())
                if not reader.send(b"HTTP/1.1 500 Internal Server Error\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"):
                    return


class NothingWorks(FaultCase):
    """A whole cluster fails for a minute, and is not asked much more often than if it worked."""

    @classmethod
    def make_world(cls):
        cls.attempts, cls.window = [], min(10.0, SECONDS / 3)
        cls.backends = [Failing(cls.attempts) for _ in range(3)]
        for backend in cls.backends:
            cls.addClassCleanup(backend.close)
        retry = {"attempts": 3, "budget": {"ratio": RATIO, "min": RESERVE, "window": f"{int(cls.window * 1000)}ms"}}

        def config(_):
            endpoints = [endpoint(backend.address) for backend in cls.backends]
            return {"server": {"listeners": [{"address": "127.0.0.1:0"}], "workers": 2}, "cache": {"enabled": False}, "log": {"access": "off"},
                    "models": [{"name": "m", "cluster": "c"}], "clusters": [cluster("c", endpoints, retry=retry, circuit_breaker={})]}
        return World(config, sims=())

    def test_U_31_when_all_fail_attempts_stay_within_the_budget(self):
        client = Client(self.gateway.address, "m")

        async def load():
            await asyncio.gather(*await client.at_rate(200, SECONDS))
            client.close()
        asyncio.run(load())
        self.assertEqual({status for _, _, status, _ in client.answers}, {500})
        attempts, asked = sorted(self.attempts), sorted(a[0] for a in client.answers)
        answered = sorted(a[1] for a in client.answers)
        worst = 0.0
        for last, end in enumerate(attempts):
            begin = end - self.window
            tried = last + 1 - bisect.bisect_left(attempts, begin)
            # Under way within the window: asked before its end and answered behind its begin.
            requests = bisect.bisect_right(asked, end) - bisect.bisect_left(answered, begin)
            worst = max(worst, (tried - RESERVE) / requests)
        print(json.dumps({"requests": len(asked), "attempts": len(attempts), "attempts per request": round(len(attempts) / len(asked), 3),
                          f"most in {self.window:g} s, without the reserve": round(worst, 3)}), file=sys.stderr)
        self.assertGreater(len(asked), 150 * SECONDS, "the load was there")
        self.assertLessEqual(worst, 1 + RATIO)
        self.assertGreater(len(attempts), 1.1 * len(asked), "and the budget was used")


if __name__ == "__main__":
    SECONDS = harness.number_option("--seconds", SECONDS)
    harness.main()
