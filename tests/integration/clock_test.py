"""The wall clock is set by an hour and by a year, both ways, while streams, timeouts, pauses, retry budgets and the cache's times run
(FAULTS P-14). Only what is told in wall time may notice: the log, and entries of the cache, which may end early and never late."""

import datetime
import os
import struct
import threading
import time

import h1_client
import harness
from cache_test import CHAT, chat
from harness import cluster, endpoint, table, until
from tier_case import TierCase

HOUR, YEAR = 3600, 365 * 86400
STEPS = [("an hour ahead", HOUR), ("an hour back", -HOUR), ("a year ahead", YEAR), ("a year back", -YEAR)]
QUICK = {"headers": "800ms", "first_token": "800ms", "idle": "800ms", "total": "10s"}
RATIO, RESERVE = 0.2, 3
TTL = 1  # second
FAILS, RESTS = "fault:status:500", "fault:status:429:retry-after=3"


@table("stepped", [(f"P-14 {name}", seconds) for name, seconds in STEPS], name=lambda row: row[0])
class Clock(TierCase):
    def setUp(self):
        super().setUp()
        self.clock = self.folder / "clock"
        self.clock.write_bytes(bytes(8))
        self.sim.ask("POST", "/sim/reset")
        self.started = self.start()

    def start(self):
        to = [endpoint(self.sim.wire)]
        clusters = [cluster("quick", to, timeouts=QUICK, retry={"attempts": 1}),
                    cluster("rests", to, retry={"attempts": 1, "retry_after_max": "0s"}),
                    cluster("budget", to, retry={"attempts": 2, "backoff": {"base": "1ms", "max": "1ms"}, "budget": {"ratio": RATIO, "min": RESERVE, "window": "20s"}})]
        models = [{"name": "stream", "upstream_name": "sim:0:60:25000", "cluster": "quick"}, {"name": "silent", "upstream_name": "fault:silence", "cluster": "quick"},
                  {"name": "budget", "upstream_name": FAILS, "cluster": "budget"}, {"name": "rests", "upstream_name": RESTS, "cluster": "rests"},
                  {"name": "short", "upstream_name": "sim:0:6:0", "cache": {"ttl": f"{TTL}s"}}]
        preload = {"LD_PRELOAD": str(harness.BIN / "preload/step_clock.so"), "PENSTOCK_TEST_CLOCK": str(self.clock),
                   "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"}
        return self.gateway(disk="one", env={**os.environ, **preload}, models=models, clusters=clusters)

    def set_clock(self, ahead):
        with open(self.clock, "r+b") as file:
            file.write(struct.pack("<q", ahead))

    def cache_of(self, prompt, model):
        return self.ask(self.started, prompt, model).cache

    def log_time(self):
        """What the log says of a request that begins now."""
        before = len(self.started.access_lines())
        self.ask(self.started, self.fresh())
        line = until(lambda: self.started.access_lines()[before:], "an access line")[-1]
        return datetime.datetime.strptime(line["ts"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=datetime.timezone.utc).timestamp()

    def stepped(self, _, seconds):
        old = {model: self.fresh() for model in ("short", "m")}
        for model, prompt in old.items():
            self.kept(self.started, prompt, model)
        self.on_disk(self.started, 2)
        self.fail_often()
        self.assertEqual(self.ask(self.started, self.fresh(), "rests").status, 429)
        rests = time.monotonic()
        waiting = [Timed(self, model) for model in ("stream", "silent")]
        until(lambda: self.sim.stats()["in_flight"] == 2, "both are under way")
        harness.pause(0.2)
        self.set_clock(seconds)
        self.assertLess(abs(self.log_time() - time.time() - seconds), 5, "the log follows")
        self.assertEqual([self.cache_of(prompt, model) for model, prompt in old.items()], ["miss"] * 2, "over, or of a time to come")
        self.fail_often()
        self.assertEqual(self.ask(self.started, self.fresh(), "rests").status, 429)
        self.assertTrue(self.sim.stats(RESTS)["received"] == 1 or time.monotonic() - rests > 2.9, "it still has its pause")
        stream, silent = (each.result() for each in waiting)
        self.assertEqual((stream.answer.status, stream.answer.complete, stream.answer.events()[-1]), (200, True, "[DONE]"))
        self.assertEqual(silent.answer.status, 504)
        self.assertTrue(0.7 < silent.took < 3, silent.took)
        self.lives_as_long_as_its_time()
        self.set_clock(0)
        self.assertEqual([self.cache_of(prompt, model) for model, prompt in old.items()], ["miss"] * 2, "stored at the other time")
        until(lambda: self.resting_ms() == 0, "its pause is over", 3.5)
        self.stays_over_on_disk(seconds)

    def fail_often(self):
        """The budget is of 20 s, monotonic: a new wall clock renews nothing, and takes nothing away."""
        before = self.sim.stats(FAILS)["received"]
        for _ in range(20):
            self.assertEqual(self.ask(self.started, self.fresh(), "budget").status, 500)
        tried = self.sim.stats(FAILS)["received"]
        requests = 20 if before == 0 else 40
        self.assertLessEqual(tried, (1 + RATIO) * requests + RESERVE)
        self.assertGreater(tried, (1 + RATIO) * requests)

    def resting_ms(self):
        with h1_client.Connection(self.started.admin) as connection:
            clusters = connection.ask("GET", "/admin/backends").json()["clusters"]
        return next(c for c in clusters if c["name"] == "rests")["endpoints"][0]["resting_ms"]

    def lives_as_long_as_its_time(self):
        prompt = self.fresh()
        asked = time.monotonic()
        self.kept(self.started, prompt, "short")
        stored, hits = time.monotonic(), 0
        while (began := time.monotonic()) and self.cache_of(prompt, "short") != "miss":
            hits += 1
            self.assertLess(began, stored + TTL, "served behind its time")
            harness.pause(0.02)
        self.assertGreater(time.monotonic() - asked, TTL - 0.01, "and not before it")
        self.assertGreater(hits, 0)

    def stays_over_on_disk(self, seconds):
        """Stored now, looked for by a process that starts at the other time."""
        prompt = self.fresh()
        stored = self.page(self.started)["disk"]["stored"]
        self.kept(self.started, prompt)
        until(lambda: self.page(self.started)["disk"]["stored"] > stored, "it is on disk")
        self.end(self.started)
        self.set_clock(seconds)
        self.started = self.start()
        self.assertEqual([self.cache_of(prompt, "m") for _ in range(2)], ["miss", "hit-memory"])


class Timed(threading.Thread):
    """A stream asked for beside the test."""

    def __init__(self, case, model):
        super().__init__(daemon=True)
        self.case, self.model, self.prompt = case, model, case.fresh()
        self.start()

    def run(self):
        began = time.monotonic()
        self.answer = self.case.ask(self.case.started, self.prompt, self.model, stream=True)
        self.took = time.monotonic() - began

    def result(self):
        self.join(harness.HANG)
        return self


if __name__ == "__main__":
    harness.main()
