"""Three times as many requests as a cluster can serve (FAULTS U-29): it serves as many as it can all the same, nobody waits longer than
the queue allows, and soon after the load drops everything is as before.
saturation_test.py [--seconds N]: so long, 6 without it."""

import asyncio
import json
import sys
import time

import harness
from harness import FaultCase, World, cluster, endpoint, until

SECONDS = 6
SLOTS, SERVICE = 8, 0.1  # of the server, in seconds
MODEL = f"sim:{int(SERVICE * 1000)}:1:0"
CAPACITY = SLOTS / SERVICE
LOAD = 3 * CAPACITY
QUEUE = {"size": 240, "timeout": "10s"}  # three seconds of work
RECOVERY = 5.0
RSS_MAX = 64 * 1024 * 1024  # above what it was: bodies, connections and exchanges of some 700 requests


class Client:
    """Many requests at a time on kept connections; whatever comes is counted."""

    def __init__(self, address, model):
        host, _, port = address.rpartition(":")
        body = json.dumps({"model": model, "messages": [{"role": "user", "content": "x" * 400}]}).encode()
        self.where = host, int(port)
        self.request = (f"POST /v1/chat/completions HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n"
                        f"content-length: {len(body)}\r\n\r\n").encode() + body
        self.idle, self.answers = [], []  # (asked at, answered at, status, retry-after)

    async def ask(self):
        asked = time.monotonic()
        reader, writer = self.idle.pop() if self.idle else await asyncio.open_connection(*self.where)
        writer.write(self.request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
        await reader.readexactly(int(fields[b"content-length"]))
        self.answers.append((asked, time.monotonic(), int(head.split(b" ", 2)[1]), int(fields.get(b"retry-after", b"0"))))
        self.idle.append((reader, writer))
        return self.answers[-1]

    async def at_rate(self, rate, seconds):
        """An open loop: whoever is slow is asked all the same."""
        began, asked, tasks = time.monotonic(), 0, set()
        while (now := time.monotonic()) - began < seconds:
            while asked < (now - began) * rate:
                task = asyncio.create_task(self.ask())
                tasks.add(task)
                task.add_done_callback(tasks.discard)
                asked += 1
            await asyncio.sleep(0.005)
        return tasks

    async def one_after_the_other(self, count, seconds):
        """`count` clients for so long; how many answers a second."""
        async def client():
            while time.monotonic() < end:
                await self.ask()
        before, began = len(self.answers), time.monotonic()
        end = began + seconds
        await asyncio.gather(*(client() for _ in range(count)))
        return (len(self.answers) - before) / (time.monotonic() - began)

    def close(self):
        for _, writer in self.idle:
            writer.close()


class Overload(FaultCase):
    @classmethod
    def make_world(cls):
        def config(world):
            return {"server": {"listeners": [{"address": "127.0.0.1:0"}], "workers": 2}, "cache": {"enabled": False},
                    "log": {"access": "off"}, "models": [{"name": "served", "upstream_name": MODEL, "cluster": "served"}],
                    "clusters": [cluster("served", [endpoint(world.sims["good"].address, max_concurrency=SLOTS)], queue=QUEUE)]}
        return World(config, sims=("good",), sim_arguments={"good": ["--slots", str(SLOTS)]})

    def waits(self):
        return {series: value for series, value in self.gateway.metrics().items() if series.startswith('penstock_queue_wait_seconds_bucket{cluster="served"')}

    def test_U_29_three_times_the_load(self):
        found = asyncio.run(self.overload())
        print(json.dumps(found), file=sys.stderr)
        self.assertEqual(found["other statuses"], [])
        self.assertGreaterEqual(found["goodput of capacity"], 0.9)
        self.assertLess(found["recovery s"], RECOVERY)
        self.assertLess(found["rss growth"], RSS_MAX)
        self.assertTrue(1 <= found["retry-after"][0] <= found["retry-after"][-1] <= 60, found)
        waits = self.waits()
        total = max(waits.values())
        within = next(value for series, value in waits.items() if 'le="10"' in series)
        self.assertGreater(total, 100)
        self.assertGreaterEqual(within / total, 0.99, "the wait's 99th percentile is at most 10 s")
        until(lambda: self.gateway.metrics()['penstock_queue_depth{cluster="served"}'] == 0, "nobody is left")

    async def overload(self):
        client = Client(self.gateway.address, "served")
        capacity = await client.one_after_the_other(SLOTS, 2)
        rss = self.gateway.rss_bytes()
        began = time.monotonic()
        under_way = await client.at_rate(LOAD, SECONDS)
        over, rss_after = time.monotonic(), self.gateway.rss_bytes()
        recovered = None  # the first of a second's worth of answers that did not wait
        quick = 0
        while quick < 10:
            _, answered, status, _ = answer = await client.ask()
            quick = quick + 1 if status == 200 and answered - answer[0] < 3 * SERVICE else 0
            recovered = answer[0] if quick == 1 else recovered
            self.assertLess(time.monotonic() - over, 30)
        await asyncio.gather(*under_way)
        client.close()
        # The queue fills within a second; the goodput is that of the time behind it.
        settled = began + 1
        good = [a for a in client.answers if a[2] == 200 and settled <= a[1] < over]
        refused = sorted(a[3] for a in client.answers if a[2] == 503)
        return {"capacity": round(capacity, 1), "offered": round(LOAD, 1), "goodput of capacity": round(len(good) / (over - settled) / capacity, 3),
                "recovery s": round(recovered - over, 2), "refused": len(refused), "retry-after": [refused[0], refused[-1]],
                "other statuses": sorted({a[2] for a in client.answers} - {200, 503}), "rss growth": rss_after - rss}


if __name__ == "__main__":
    SECONDS = harness.number_option("--seconds", SECONDS)
    harness.main()
