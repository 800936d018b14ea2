"""A real Sentinel, its master and a replica below the gateways' memory: the master is found, and the next one when the first is killed
or sent away, without a restart and without a failed request (FAULTS R-01, R-02, R-07, R-09, K-18)."""

import harness
from cache_tiers_test import KEYS, key_of
from harness import until
from redis_server import PATIENT, RedisServer, free_port
from tier_case import CLIENTS, TierCase

NAME = "main"
DOWN_AFTER_MS = 1000
FAILOVER_LIMIT = 30.0  # seconds; some three on an idle machine


class Replicated(RedisServer):
    """A master or a replica, which writes what it is given to a file."""

    def __init__(self, folder):
        folder.mkdir()
        self.folder = folder
        super().__init__()

    def start(self):
        super().start("--dir", self.folder, "--repl-diskless-sync-delay", 0)


class Sentinel(RedisServer):
    """Alone it is the quorum; it begins to watch when the replica is there, else it would learn of it ten seconds later."""

    def __init__(self, folder, watched):
        self.config_file = folder / "sentinel.conf"
        self.config_file.write_text(f"sentinel monitor {NAME} 127.0.0.1 {watched.port} 1\nsentinel down-after-milliseconds {NAME} {DOWN_AFTER_MS}\n"
                                    f"sentinel failover-timeout {NAME} 5000\n")
        super().__init__()

    def start(self):
        self.run("Sentinel ID is", self.config_file, "--sentinel", "--dir", self.config_file.parent)

    def master_port(self):
        return int(self.ask("SENTINEL", "get-master-addr-by-name", NAME)[1])

    def knows_replicas(self):
        """Those that could be made the master."""
        replicas = [dict(zip(each[::2], each[1::2])) for each in self.ask("SENTINEL", "REPLICAS", NAME)]
        return [each for each in replicas if each[b"flags"] == b"slave" and each[b"master-link-status"] == b"ok"]


class SentinelCase(TierCase):
    def setUp(self):
        super().setUp()
        self.first, self.second = self.replicated("first"), self.replicated("second")
        self.second.ask("REPLICAOF", "127.0.0.1", self.first.port)
        until(lambda: b"master_link_status:up" in self.second.ask("INFO", "replication"), "the replica")
        self.sentinel = Sentinel(self.folder, self.first)
        self.addCleanup(self.sentinel.end)
        until(self.sentinel.knows_replicas, "the sentinel knows the replica")

    def replicated(self, name):
        server = Replicated(self.folder / name)
        self.addCleanup(server.end)
        return server

    def config(self, urls=(), master=NAME, **more):
        config = super().config(**more)
        config["cache"]["redis"] = {"urls": list(urls) or [self.sentinel.url], "mode": "sentinel", "master": master, "timeout": PATIENT}
        return config

    def failed_over(self):
        """The second is the master, for itself and for the sentinel."""
        until(lambda: self.sentinel.master_port() == self.second.port, "the failover", FAILOVER_LIMIT)
        until(lambda: b"role:master" in self.second.ask("INFO", "replication"), "the new master")

    def carried_over(self, writer, reader, prompts, load, before):
        """What holds when the second is the master: nothing failed, what was kept is there, and it is used."""
        self.await_redis(writer, reader)
        self.assertEqual(load.stop(), [])
        self.assertLessEqual(self.lookups(writer)["failed"] - before["failed"], 2 * CLIENTS, "only what was under way when it went and came")
        self.assertEqual([self.ask(reader, prompt).cache for prompt in prompts], ["hit-redis"] * len(prompts), "its copies of the entries")
        self.shared(writer, reader, self.second)
        self.obeys(writer, reader, lambda _: {"model": "m"})

    def under_load(self, writer):
        prompts = [self.fresh() for _ in range(3)]
        for prompt in prompts:
            self.kept(writer, prompt)
        until(lambda: len(self.second.keys()) >= len(prompts) and self.first.keys() == self.second.keys(), "the replica has them")
        return prompts, *self.loaded(writer)


class Sentinels(SentinelCase):
    def test_the_master_is_found_and_used(self):
        nobody = f"redis://127.0.0.1:{free_port()}"
        writer, reader = self.gateway(), self.gateway(urls=[nobody, self.sentinel.url])
        self.await_redis(writer, reader)
        self.shared(writer, reader, self.first)
        self.shared(reader, writer, self.first)

    def test_K_18_purged_everywhere_within_a_second(self):
        one, two = (self.gateway(auth=KEYS) for _ in range(2))
        self.await_redis(one, two)
        for what in (lambda _: {"model": "m"}, lambda _: {"tenant": "a"}, lambda _: {"all": True},
                     lambda answer: {"key": answer.header("x-penstock-cache-key")}):
            self.obeys(one, two, what, key_of("a"))

    def test_R_01_the_master_is_killed(self):
        writer, reader = self.gateway(), self.gateway()
        self.await_redis(writer, reader)
        prompts, load, before = self.under_load(writer)
        self.first.kill()
        load.more(300)
        self.failed_over()
        self.carried_over(writer, reader, prompts, load, before)
        self.first.start()  # a master still, until the sentinel tells it
        self.shared(writer, reader, self.second)
        self.assertEqual(self.first.keys(), [])

    def test_R_07_the_master_is_made_a_replica(self):
        """Its connections stay. What it says to writes is all that tells."""
        writer, reader = self.gateway(), self.gateway()
        self.await_redis(writer, reader)
        prompts, load, before = self.under_load(writer)
        self.assertEqual(self.sentinel.ask("SENTINEL", "FAILOVER", NAME), b"OK")
        self.failed_over()
        self.first.ask("REPLICAOF", "127.0.0.1", self.second.port)  # what the sentinel does ten seconds later
        self.carried_over(writer, reader, prompts, load, before)

    def test_R_02_the_master_hangs(self):
        writer, reader = self.gateway(), self.gateway()
        self.await_redis(writer, reader)
        prompts, load, before = self.under_load(writer)
        self.first.stop()
        load.more(300)
        self.failed_over()
        self.carried_over(writer, reader, prompts, load, before)
        self.first.go_on()
        self.shared(writer, reader, self.second)

    def test_R_01_the_sentinel_is_killed(self):
        writer, reader = self.gateway(), self.gateway()
        self.await_redis(writer, reader)
        self.sentinel.kill()
        self.shared(writer, reader, self.first)
        load, _ = self.loaded(writer, 200)
        self.first.kill()
        load.more(200)
        self.assertEqual(load.stop(), [])
        self.first.start()
        self.await_redis(writer, reader)  # where it was, as nobody says anything else
        self.shared(writer, reader, self.first)

    def test_R_09_nobody_knows_that_master(self):
        gateway = self.gateway(master="another")
        load, _ = self.loaded(gateway)
        self.assertEqual(load.stop(), [])
        lookups = self.lookups(gateway)
        self.assertEqual((lookups["hit"], lookups["miss"], lookups["failed"]), (0, 0, 0))
        self.assertGreater(lookups["skipped"], 0)
        self.assertEqual(self.sentinel.ask("SENTINEL", "MONITOR", "another", "127.0.0.1", self.first.port, 1), b"OK")
        self.await_redis(gateway)


if __name__ == "__main__":
    harness.main()
