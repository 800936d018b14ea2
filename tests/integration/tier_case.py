"""What the tests of Redis and disk below the memory share: gateways that are started, killed and started again within one test, a
Redis of the test's own, and one backend for all."""

import itertools
import json
import shutil
import signal
import tempfile
import threading
import time
import unittest
from pathlib import Path

import h1_client
import harness
from cache_test import CHAT, chat
from harness import SANITIZER, Gateway, Simulator, cluster, endpoint, until
from redis_server import PATIENT, RedisServer

WELL = "sim:0:6:0"
A_SECOND = 1 + 2  # the rule has one; the rest is for asking, on two cores with sanitizers
CLIENTS = 8  # of a load
NO_STORE = [("cache-control", "no-store")]


class TierCase(unittest.TestCase):
    asked_until_used = 16

    @classmethod
    def setUpClass(cls):
        cls.sim = Simulator("--name", "good", "--record", "0")
        cls.addClassCleanup(cls.sim.end)

    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="penstock-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.numbers = itertools.count()

    def redis_server(self, *options):
        server = RedisServer(*options)
        self.addCleanup(server.end)
        return server

    def config(self, redis=None, timeout=PATIENT, in_flight_max=4096, disk=None, auth=None, workers=2, models=(), clusters=(), **cache):
        if redis is not None:
            cache["redis"] = {"urls": [redis.url], "timeout": timeout, "in_flight_max": in_flight_max}
        if disk is not None:
            cache["disk"] = {"path": str(self.folder / disk), "size": "64MiB"}
        models = [{"name": "m", "upstream_name": WELL}, {"name": "other", "upstream_name": WELL},
                  {"name": "brief", "upstream_name": WELL, "cache": {"ttl": "3s"}}, {"name": "wide", "upstream_name": "sim-bytes:8000"}, *models]
        return {"server": {"listeners": [{"address": "127.0.0.1:0"}], "workers": workers, "drain": {"delay": "0s", "timeout": "2s"},
                           "expose_upstream": True},  # answers name their keys
                "models": [{"cluster": "c", **model} for model in models], "clusters": [cluster("c", [endpoint(self.sim.address)]), *clusters],
                "cache": {"memory": {"size": "64MiB"}, **cache}, "auth": auth or {}}

    def gateway(self, preexec=None, env=None, **config):
        """Ends well at the latest behind the test, whatever was done to its tiers."""
        folder = self.folder / f"gateway-{next(self.numbers)}"
        folder.mkdir()
        gateway = Gateway(folder, self.config(**config), env=env, preexec=preexec)
        self.addCleanup(self.end, gateway)
        until(lambda: gateway.admin, "the admin port's line")
        return gateway

    def end(self, gateway):
        code = gateway.end()
        words = "\n".join(gateway.lines["stderr"])
        self.assertIsNone(SANITIZER.search(words), words[-6000:])
        self.assertIn(code, (0, -signal.SIGKILL), words[-3000:])

    def ask(self, gateway, prompt="p", model="m", headers=(), stream=False, body=None):
        with h1_client.Connection(gateway.address) as connection:
            answer = connection.ask("POST", CHAT, body or chat(prompt, stream, model), headers)
        answer.cache = answer.header("x-penstock-cache")
        return answer

    def fresh(self):
        """A prompt that nobody had."""
        return f"{self.id()} {next(self.numbers)}"

    def page(self, gateway):
        with h1_client.Connection(gateway.admin) as connection:
            return connection.ask("GET", "/admin/cache").json()

    def purge(self, gateway, what):
        with h1_client.Connection(gateway.admin) as connection:
            answer = connection.ask("POST", "/admin/cache/purge", json.dumps(what).encode())
        self.assertEqual(answer.status, 200, answer.body)
        return answer.json()

    def lookups(self, gateway, tier="redis"):
        """result -> count; 0.1 s old at most."""
        harness.pause(0.15)
        metrics = gateway.metrics()
        results = ("hit", "miss", "corrupt", "failed", "refused", "skipped")
        return {result: metrics.get(f'penstock_cache_lookups_total{{tier="{tier}",result="{result}"}}', 0) for result in results}

    def corrupt(self, gateway, tier="redis"):
        harness.pause(0.15)
        return gateway.metrics()[f'penstock_cache_corrupt_total{{tier="{tier}"}}']

    def await_redis(self, *gateways, limit=harness.HANG):
        """Until every worker uses it, with each server: of so many connections each has one but for a chance in thousands."""
        for gateway in gateways:
            def used(gateway=gateway):
                before = self.lookups(gateway)
                for _ in range(self.asked_until_used):
                    self.ask(gateway, self.fresh())
                after = self.lookups(gateway)
                return all(after[result] == before[result] for result in ("skipped", "failed")) and after["miss"] > before["miss"]
            until(used, "Redis is used", limit)

    def kept(self, gateway, prompt, model="m", **more):
        """Asks until the answer is kept in memory; that answer."""
        self.assertEqual(self.ask(gateway, prompt, model, **more).cache, "miss")
        answer = self.ask(gateway, prompt, model, **more)
        self.assertEqual(answer.cache, "hit-memory")
        return answer

    def shared(self, writer, reader, redis):
        """What one keeps the other has from Redis."""
        prompt, before = self.fresh(), len(redis.keys())
        self.assertEqual(self.ask(writer, prompt).cache, "miss")
        until(lambda: len(redis.keys()) == before + 1, "it is in Redis")
        self.assertEqual([self.ask(reader, prompt).cache for _ in range(2)], ["hit-redis", "hit-memory"])

    def obeys(self, purger, other, what, headers=()):
        """What is in the other's memory, and named by what(answer), is gone there within a second when the first one purges it."""
        prompt = self.fresh()
        answer = self.kept(purger, prompt, headers=headers)
        self.assertIn(self.ask(other, prompt, headers=headers).cache, ("miss", "hit-redis"))
        self.assertEqual(self.ask(other, prompt, headers=headers).cache, "hit-memory")
        self.assertEqual(self.purge(purger, what(answer))["redis"], "published")
        until(lambda: self.ask(other, prompt, headers=[*headers, *NO_STORE]).cache == "miss", "the other obeys", A_SECOND)

    def loaded(self, gateway, answers=100):
        """A load that has had so many answers, and what had been looked up by then. It ends with the test at the latest."""
        load = Load(gateway, CLIENTS)
        self.addCleanup(load.stop)
        load.more(answers)
        return load, self.lookups(gateway)

    def on_disk(self, gateway, entries):
        until(lambda: self.page(gateway)["disk"]["entries"] >= entries, lambda: f"{entries} on disk: {self.page(gateway)['disk']}")


class Load:
    """Clients that ask for what nobody had until they are told to stop; every answer must be a good one."""

    def __init__(self, gateway, clients=CLIENTS, prompt=None, model="m"):
        self.gateway, self.prompt, self.model = gateway, prompt, model
        self.failures, self.answers, self.caches, self.stopping = [], 0, {}, False
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self._run, args=(i,)) for i in range(clients)]
        for thread in self.threads:
            thread.start()

    def _run(self, client):
        try:
            with h1_client.Connection(self.gateway.address) as connection:
                number = 0
                while not self.stopping:
                    number += 1
                    prompt = self.prompt(client, number) if self.prompt else f"load {id(self)} {client} {number}"
                    answer = connection.ask("POST", CHAT, chat(prompt, number % 2 == 0, self.model))
                    with self.lock:
                        self.answers += 1
                        cache = answer.header("x-penstock-cache")
                        self.caches[cache] = self.caches.get(cache, 0) + 1
                        if answer.status != 200 or not answer.complete:
                            self.failures.append(answer)
                    harness.pause(0.004)
        except (OSError, h1_client.Malformed, ValueError) as error:
            self.failures.append(error)

    def more(self, answers):
        """Waits until there are so many more."""
        wanted = self.answers + answers
        until(lambda: self.answers >= wanted or self.failures, "the load's answers")

    def stop(self):
        self.stopping = True
        for thread in self.threads:
            thread.join(harness.HANG)
        return self.failures


def delayed(gateway, begun, ended, more_than_ms):
    """Of the access lines of requests begun in that time (wall clock), those whose time in the gateway itself was more."""
    import datetime

    def at(line):
        return datetime.datetime.strptime(line["ts"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=datetime.timezone.utc).timestamp()
    return [(at(line), line["gateway_ms"]) for line in gateway.access_lines() if begun <= at(line) < ended and line["gateway_ms"] > more_than_ms]


def wall():
    return time.time()
