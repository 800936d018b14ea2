"""A real Redis Cluster below the gateways' memory: every node is used, moved slots are found, a node that dies, hangs or is replaced by
its replica fails no request and loses nobody else's keys, purges are heard everywhere (FAULTS R-01, R-02, R-07, R-09, K-18)."""

import shutil
import tempfile

import harness
from cache_tiers_test import KEYS, key_of
from harness import until
from redis_cluster import NODE_TIMEOUT_MS, RedisCluster
from redis_server import PATIENT
from tier_case import CLIENTS, Load, TierCase, delayed, wall

EPOCHS, PURGED = "penstock:epochs", "penstock:purged"
DOWN_LIMIT = 10 * NODE_TIMEOUT_MS / 1000  # seconds until the cluster has seen that a node is dead and, if it can, put another in its place


class ClusterCase(TierCase):
    """One cluster for all tests of the class; each leaves it whole, but not necessarily with the same masters."""

    asked_until_used = 32  # one worker, three nodes

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = tempfile.mkdtemp(prefix="penstock-cluster-")
        cls.addClassCleanup(shutil.rmtree, folder, ignore_errors=True)
        cls.cluster = RedisCluster(folder, EPOCHS)
        cls.addClassCleanup(cls.cluster.end)

    def setUp(self):
        super().setUp()
        self.addCleanup(self.cluster.mend)

    def config(self, nodes=(), timeout=PATIENT, login="", workers=1, **more):
        config = super().config(workers=workers, **more)
        config["cache"]["redis"] = self.cluster.settings(*nodes, timeout=timeout)
        if login:
            config["cache"]["redis"]["urls"] = [url.replace("//", f"//{login}@") for url in config["cache"]["redis"]["urls"]]
        return config

    def key_of(self, answer):
        return "penstock:2:" + answer.header("x-penstock-cache-key")

    def stored(self, gateway, nodes=(), each=2, of=None):
        """prompt -> (key, answer): so many new answers in each of these masters, or of all; streams and others."""
        nodes = nodes or self.cluster.masters()
        wanted, found = {node: each for node in nodes}, {}
        for _ in range(1000):
            prompt = self.fresh()
            answer = self.ask(gateway, prompt, stream=bool(len(found) % 2))
            self.assertEqual((answer.status, answer.cache), (200, "miss"))
            key = self.key_of(answer)
            owner = self.cluster.owner(key, of)
            if wanted.get(owner, 0) > 0:
                wanted[owner] -= 1
                found[prompt] = (key, answer)
            if not any(wanted.values()):
                break
        keys = {key.encode() for key, _ in found.values()}
        until(lambda: keys <= set(self.cluster.keys()), lambda: f"they are in Redis: {keys - set(self.cluster.keys())}")
        return found

    def spare(self):
        """A master without which purges are still told."""
        needed = {self.cluster.owner(EPOCHS), self.cluster.owner(PURGED)}
        return next(node for node in self.cluster.masters() if node not in needed)


class Cluster(ClusterCase):
    def test_every_node_has_its_share(self):
        writer = self.gateway()
        readers = [self.gateway(nodes=[node]) for node in (self.cluster.masters()[-1], self.cluster.nodes[-1])]  # the latter is a replica
        self.await_redis(writer, *readers)
        stored = self.stored(writer, each=4)
        for reader in readers:
            for number, (prompt, (_, answer)) in enumerate(stored.items()):
                hits = [self.ask(reader, prompt, stream=bool(number % 2)) for _ in range(2)]
                self.assertEqual([hit.cache for hit in hits], ["hit-redis", "hit-memory"])
                self.assertEqual({hit.body for hit in hits}, {answer.body})

    def test_R_07_moved_is_followed(self):
        writer, readers = self.gateway(), [self.gateway(nodes=[self.cluster.masters()[0]]) for _ in range(2)]
        self.await_redis(writer, *readers)
        prompt, (key, _) = next(iter(self.stored(writer, each=1).items()))
        slot, source = self.cluster.slot(key), self.cluster.owner(key)
        target = next(node for node in self.cluster.masters() if node is not source)
        self.cluster.open_slot(slot, source, target)
        self.cluster.move_keys(slot, source, target)
        self.cluster.close_slot(slot, target)
        self.assertEqual((source.keys().count(key.encode()), target.keys().count(key.encode())), (0, 1))
        moved = source.count("errorstats", "errorstat_MOVED")
        self.assertEqual(self.ask(readers[0], prompt).cache, "hit-redis")
        self.assertEqual(source.count("errorstats", "errorstat_MOVED"), moved + 1)
        # A write is sent there too; once told, neither is sent to the wrong one again.
        target.ask("DEL", key)
        self.assertEqual(self.ask(readers[1], prompt, headers=[("x-penstock-cache", "refresh")]).cache, "miss")
        until(lambda: key.encode() in target.keys(), "the write came where the slot is now")
        self.assertEqual(source.count("errorstats", "errorstat_MOVED"), moved + 2)
        self.assertEqual(self.ask(readers[1], prompt, headers=[("x-penstock-cache", "refresh")]).cache, "miss")
        written = target.count("commandstats", "cmdstat_set")
        self.ask(readers[0], prompt, headers=[("x-penstock-cache", "refresh")])
        until(lambda: target.count("commandstats", "cmdstat_set") > written, "the last write")
        self.assertEqual(source.count("errorstats", "errorstat_MOVED"), moved + 2)

    def test_R_07_ask_is_followed(self):
        writer, reader = self.gateway(), self.gateway(nodes=[self.cluster.masters()[0]])
        self.await_redis(writer, reader)
        stored = self.stored(writer, each=1)
        prompt, (key, answer) = next(iter(stored.items()))
        slot, source = self.cluster.slot(key), self.cluster.owner(key)
        target = next(node for node in self.cluster.masters() if node is not source)
        self.cluster.open_slot(slot, source, target)
        self.addCleanup(self.cluster.close_slot, slot, target)
        self.cluster.move_keys(slot, source, target)
        asked = target.count("commandstats", "cmdstat_asking")
        hit = self.ask(reader, prompt)
        self.assertEqual((hit.cache, hit.body), ("hit-redis", answer.body))
        self.assertEqual(target.count("commandstats", "cmdstat_asking"), asked + 1)
        target.ask("CLUSTER", "SETSLOT", slot, "STABLE")  # so that it can be deleted where it is
        self.cluster.open_slot(slot, source, target)
        target_asked = target.count("commandstats", "cmdstat_asking")
        self.assertEqual(self.ask(writer, prompt, headers=[("x-penstock-cache", "refresh")]).cache, "miss")
        until(lambda: target.count("commandstats", "cmdstat_asking") == target_asked + 1, "the write asked too")
        until(lambda: key.encode() in target.keys(), "and is where the slot goes")
        self.assertNotIn(key.encode(), source.keys())

    def test_R_01_killed_under_load(self):
        spare = self.spare()
        others = [node for node in self.cluster.masters() if node is not spare]
        writer, reader = self.gateway(nodes=others), self.gateway(nodes=others[:1])
        self.await_redis(writer, reader)
        stored = self.stored(writer)
        load, before = self.loaded(writer)
        spare.kill()
        load.more(300)
        after = self.lookups(writer)
        self.assertEqual(load.stop(), [])
        self.assertLessEqual(after["failed"] - before["failed"], CLIENTS, "only what was under way in that moment")
        self.assertGreater(after["skipped"], before["skipped"], "its keys are nowhere")
        self.assertGreater(after["miss"], before["miss"], "the others are looked for")
        for prompt, (key, _) in stored.items():
            lost = self.cluster.owner(key, others[0]) is spare
            self.assertEqual(self.ask(reader, prompt, stream=not list(stored).index(prompt) % 2 == 0).cache, "miss" if lost else "hit-redis")
        self.stored(writer, others, each=1, of=others[0])
        self.obeys(writer, reader, lambda _: {"model": "m"})
        self.cluster.mend()
        self.await_redis(writer, reader)
        for prompt in self.stored(writer, [spare]):
            self.assertEqual(self.ask(reader, prompt).cache, "hit-redis")

    def test_R_01_a_replica_takes_its_place(self):
        """Of the master that has the epochs: nothing is used until somebody knows them again."""
        victim = self.cluster.owner(EPOCHS)
        replica = next(node for node in self.cluster.nodes if node not in self.cluster.masters())
        writer, reader = self.gateway(), self.gateway(nodes=[node for node in self.cluster.masters() if node is not victim])
        self.await_redis(writer, reader)
        stored = self.stored(writer)
        victim.ask("WAIT", 1, 5000)
        load, before = self.loaded(writer)
        victim.kill()
        load.more(300)
        after = self.lookups(writer)
        until(lambda: replica in self.cluster.masters(replica), "the replica is a master", DOWN_LIMIT)
        self.await_redis(writer, reader)
        self.assertEqual(load.stop(), [])
        self.assertLessEqual(after["failed"] - before["failed"], CLIENTS)
        for number, prompt in enumerate(stored):
            self.assertEqual(self.ask(reader, prompt, stream=bool(number % 2)).cache, "hit-redis", "its copy of the entry")
        for prompt in self.stored(writer, [replica]):
            self.assertEqual(self.ask(reader, prompt).cache, "hit-redis")
        self.obeys(writer, reader, lambda _: {"all": True})

    def test_R_02_stopped_under_load(self):
        spare = self.spare()
        writer, reader = (self.gateway(timeout="200ms", nodes=[self.cluster.owner(EPOCHS)]) for _ in range(2))
        self.await_redis(writer, reader)
        stored = self.stored(writer)
        (load, before), stopped = self.loaded(writer), wall()
        spare.stop()
        load.more(200)
        after = self.lookups(writer)
        load.more(200)
        last = self.lookups(writer)
        self.cluster.mend()
        self.assertEqual(load.stop(), [])
        self.assertGreaterEqual(after["failed"] - before["failed"], 1, "somebody met it")
        self.assertLessEqual(last["failed"] - before["failed"], CLIENTS, "once each")
        self.assertGreater(last["miss"], after["miss"], "the others are used on")
        self.assertGreater(last["skipped"], after["skipped"], "it is not")
        self.assertEqual(delayed(writer, stopped - 1, wall(), 200 + 150), [])
        self.await_redis(writer, reader)
        for number, prompt in enumerate(stored):
            self.assertEqual(self.ask(reader, prompt, stream=bool(number % 2)).cache, "hit-redis")

    def test_R_07_the_cluster_is_down(self):
        """It serves nothing when a part of it is missing: its default."""
        spare = self.spare()
        def wants_all(word):
            for node in self.cluster.nodes:
                if node.alive():
                    node.ask("CONFIG", "SET", "cluster-require-full-coverage", word)
        self.addCleanup(wants_all, "no")
        wants_all("yes")
        gateway, reader = self.gateway(), self.gateway()
        self.await_redis(gateway, reader)
        load, _ = self.loaded(gateway)
        spare.kill()
        others = [node for node in self.cluster.masters(self.cluster.nodes[-1])]
        until(lambda: {node.says("CLUSTER", "INFO")["cluster_state"] for node in others} == {"fail"}, "it is down", DOWN_LIMIT)
        load.more(200)
        self.cluster.mend()
        self.await_redis(gateway, reader)
        self.assertEqual(load.stop(), [])
        for prompt in self.stored(gateway, each=1):
            self.assertEqual(self.ask(reader, prompt).cache, "hit-redis")

    def test_R_09_another_password(self):
        """The url's login is that of every node; when it holds no more, nothing fails, and the log says so."""
        def allow(password):
            for node in self.cluster.nodes:
                node.ask("ACL", "SETUSER", "penstock", "reset", "on", f">{password}", "~*", "&*", "+@all")
                node.ask("CLIENT", "KILL", "USER", "penstock")
        allow("one")
        writer, reader = (self.gateway(nodes=self.cluster.masters()[:1], login="penstock:one") for _ in range(2))
        self.await_redis(writer, reader)
        for prompt in self.stored(writer, each=1):
            self.assertEqual(self.ask(reader, prompt).cache, "hit-redis")
        allow("another")
        load = Load(writer, CLIENTS)
        until(lambda: any('"login"' in line for line in writer.lines["stderr"]), "the log says why")
        before = self.lookups(writer)
        load.more(100)
        after = self.lookups(writer)
        self.assertEqual(load.stop(), [])
        self.assertEqual([after[result] - before[result] for result in ("failed", "hit", "miss")], [0, 0, 0])
        allow("one")
        self.await_redis(writer, reader)
        for prompt in self.stored(writer, each=1):
            self.assertEqual(self.ask(reader, prompt).cache, "hit-redis")

    def test_K_18_purged_everywhere_within_a_second(self):
        one, two = (self.gateway(nodes=[node], auth=KEYS) for node in self.cluster.masters()[:2])
        self.await_redis(one, two)
        for what in (lambda _: {"model": "m"}, lambda _: {"tenant": "a"}, lambda _: {"all": True},
                     lambda answer: {"key": answer.header("x-penstock-cache-key")}):
            self.obeys(one, two, what, key_of("a"))
            self.obeys(two, one, what, key_of("a"))


if __name__ == "__main__":
    harness.main()
