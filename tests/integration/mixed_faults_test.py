"""Everything at once, for as long as there is time (FAULTS P-17): backends that fail in every way, clients that leave, stand still or say
nothing, a cache that is full, reloads and rotated logs. Descriptors come back to where they were and memory stays where it is.
mixed_faults_test.py [--seconds N]: so long, 8 without it; prints the slope of the resident memory over the second half."""

import json
import os
import random
import signal
import sys
import threading
import time

import h1_client
import h2_client
import harness
from cache_test import CHAT, chat
from harness import FaultCase, World, cluster, endpoint, until

SECONDS = 8.0
CLIENTS = 6
SANITIZED = b"__asan_init" in (harness.BIN / "penstock").read_bytes()
GROWTH_MAX = 0.05  # of the memory at the half, until the end; only where that half is long enough to mean something
LONG_S = 120
CACHE_BYTES = 16 << 20
# Nothing is refused because something else keeps the machine busy.
CALM = {"memory": {"limit": "64GiB"}, "cpu": {"warning": 0}, "loop_lag": {"warning": "0", "critical": "0"}}
WELL = ("sim:0:6:0", "sim:5:40:500", "sim-bytes:20000")
FAULTS = ("fault:status:500", "fault:status:429:retry-after=0", "fault:status:400", "fault:html", "fault:silence", "fault:silence:after=head",
          "fault:stall:after=3", "fault:cut:after=3", "fault:reset:after=1", "fault:reset", "fault:close:after=role", "fault:refuse", "fault:error:after=3",
          "fault:no-finish", "fault:no-done", "fault:json-for-stream", "fault:sse-for-json", "fault:malformed:cr")
QUICK = {"connect": "500ms", "headers": "300ms", "first_token": "300ms", "idle": "300ms", "total": "2s"}
UPSTREAM = ("http1", "h2")


class Mixed(FaultCase):
    @classmethod
    def make_world(cls):
        def config(world):
            clusters = [cluster(p, [endpoint(world.sims[sim].wire, p) for sim in ("faulty", "good")], retry={"attempts": 2}, timeouts=QUICK) for p in UPSTREAM]
            models = [{"name": f"{p}|{program}", "upstream_name": program, "cluster": p} for p in UPSTREAM for program in WELL + FAULTS]
            return {"server": {"listeners": [{"address": "127.0.0.1:0"}], "workers": 2}, "models": models, "clusters": clusters, "overload": CALM,
                    "cache": {"memory": {"size": f"{CACHE_BYTES}B", "shards": 4}, "disk": {"path": str(world.folder / "disk"), "size": "64MiB"}}}
        return World(config, sim_arguments={name: ["--record", "0"] for name in ("faulty", "good", "canary")})

    def test_P_17_mixed_faults(self):
        self.over, self.counts, self.lock, self.seen = threading.Event(), {}, threading.Lock(), []
        self.fill_the_cache()
        threads = [threading.Thread(target=self.client, args=(i,)) for i in range(CLIENTS)]
        began = time.monotonic()
        samples, peak_files = [], 0
        for thread in threads:
            thread.start()
        try:
            turn = 0
            while time.monotonic() - began < SECONDS:
                self.over.wait(0.5)
                turn += 1
                samples.append((time.monotonic() - began, self.gateway.rss_bytes()))
                peak_files = max(peak_files, self.gateway.open_files())
                if turn % 6 == 0:
                    self.gateway.signal(signal.SIGHUP)
                if turn % 10 == 0 and os.path.exists(self.gateway.log_file):
                    os.unlink(self.gateway.log_file)
                    self.gateway.signal(signal.SIGUSR1)
        finally:
            self.over.set()
            for thread in threads:
                thread.join(harness.HANG)
        self.assertEqual(self.seen, [])
        files = until(self.files_at_rest, lambda: f"at rest: {self.gateway.not_at_rest(self.world.files_at_start)}", 15)
        half = [sample for sample in samples if sample[0] >= SECONDS / 2]
        slope, at_half = slope_of(half), half[0][1]
        tenths = [round(samples[len(samples) * i // 10][1] / 2**20, 1) for i in range(10)] + [round(samples[-1][1] / 2**20, 1)]
        print(json.dumps({"seconds": SECONDS, "answers": self.counts, "rss MiB by tenths of the time": tenths,
                          "slope of the second half, % per hour": round(100 * slope * 3600 / at_half, 2), "files at start": self.world.files_at_start, "files at rest": files,
                          "most files": peak_files}), file=sys.stderr)
        if SECONDS >= LONG_S and not SANITIZED:
            self.assertLess(slope * SECONDS / 2 / at_half, GROWTH_MAX)

    def fill_the_cache(self):
        """Twice over: what it grows to is no leak."""
        with h1_client.Connection(self.gateway.address) as connection:
            for number in range(2 * CACHE_BYTES // 20000):
                self.assertEqual(connection.ask("POST", CHAT, chat(f"fill {number}", model="h2|sim-bytes:20000")).status, 200)

    def files_at_rest(self):
        return not self.gateway.not_at_rest(self.world.files_at_start) and self.gateway.open_files()

    def client(self, number):
        prng = random.Random(number)
        while not self.over.is_set():
            try:
                what = self.one(prng)
            except (OSError, h1_client.Malformed, ValueError):
                what = "cut"
            except Exception as error:  # noqa: BLE001 - a thread's last words
                self.seen.append(repr(error))
                return
            with self.lock:
                self.counts[what] = self.counts.get(what, 0) + 1

    def one(self, prng):
        """One client's visit; how it ended."""
        program = prng.choice(WELL if prng.random() < 0.5 else FAULTS)
        model, stream = f"{prng.choice(UPSTREAM)}|{program}", prng.random() < 0.6
        body = chat(f"{prng.randrange(20000)} " + "x" * prng.choice((0, 100, 30000)), stream, model)
        manner = prng.random()
        if manner < 0.1:
            return self.silent(prng)
        if manner < 0.3:
            return self.leaving(prng, body)
        if manner < 0.6:
            return str(h2_client.ask("h2", self.gateway.address, CHAT, body).status)
        with h1_client.Connection(self.gateway.address) as connection:
            for _ in range(prng.randrange(1, 5)):
                answer = connection.ask("POST", CHAT, body)
                if not answer.complete or answer.header("connection") == "close":
                    break
            return str(answer.status)

    def silent(self, prng):
        with h1_client.Connection(self.gateway.address) as connection:
            connection.send(b"POST /v1/chat"[:prng.randrange(14)])
            self.over.wait(0.05)
        return "said nothing"

    def leaving(self, prng, body):
        with h1_client.Connection(self.gateway.address, receive_buffer=4096) as connection:
            connection.send(connection.request_bytes("POST", CHAT, body)[:prng.choice((40, 200, 10**6))])
            self.over.wait(prng.random() / 20)
            if prng.random() < 0.5:
                connection.abort()
        return "left"


def slope_of(samples):
    """Bytes per second, least squares."""
    count = len(samples)
    mean_at, mean = sum(at for at, _ in samples) / count, sum(value for _, value in samples) / count
    spread = sum((at - mean_at) ** 2 for at, _ in samples)
    return sum((at - mean_at) * (value - mean) for at, value in samples) / spread if spread else 0.0


if __name__ == "__main__":
    SECONDS = harness.number_option("--seconds", SECONDS)
    harness.main()
