"""The tiers together, through the real daemon: what one instance keeps another has from Redis, what was kept is there after a restart,
what was purged or revoked is nowhere, and a disk that fails costs nothing but its entries (FAULTS K-01, K-05, K-11, K-12, K-16 to K-18, R-11)."""

import hashlib
import json
import os
import resource
import shutil
import signal
import time

import h1_client
import harness
from cache_test import CHAT, chat
from harness import until
from tier_case import A_SECOND, NO_STORE, Load, TierCase

KEYS = {"allow_anonymous": True, "keys": [{"name": name, "key_sha256": hashlib.sha256(f"key-{name}".encode()).hexdigest()} for name in "ab"]}


def key_of(name):
    return [("authorization", f"Bearer key-{name}")]


class Tiers(TierCase):
    def replayed(self, answer):
        self.assertEqual((answer.header("cache-control"), answer.header("vary")), ("private, no-store", "Authorization"))

    def test_K_12_each_tier_in_its_turn(self):
        redis = self.redis_server()
        one, two = (self.gateway(redis=redis, disk=disk) for disk in ("one", "two"))
        self.await_redis(one, two)
        answers = {}
        for stream in (False, True):
            prompt, keys = self.fresh(), len(redis.keys())
            asked = [self.ask(one, prompt, stream=stream), self.ask(one, prompt, stream=stream)]
            until(lambda: len(redis.keys()) == keys + 1, "it is in Redis")
            asked += [self.ask(two, prompt, stream=stream), self.ask(two, prompt, stream=stream)]
            self.assertEqual([answer.cache for answer in asked], ["miss", "hit-memory", "hit-redis", "hit-memory"])
            self.assertEqual({answer.body for answer in asked}, {asked[0].body})
            self.replayed(asked[2])
            answers[prompt] = (asked[0].body, stream)
        until(lambda: self.page(one)["disk"]["entries"] == self.page(one)["memory"]["entries"], "what is in its memory is on its disk")
        redis.kill()
        self.end(one)
        again = self.gateway(redis=redis, disk="one")
        for prompt, (body, stream) in answers.items():
            hits = [self.ask(again, prompt, stream=stream) for _ in range(2)]
            self.assertEqual([hit.cache for hit in hits], ["hit-disk", "hit-memory"])
            self.assertEqual({hit.body for hit in hits}, {body})
            self.replayed(hits[0])

    def test_a_disk_hit_fills_redis(self):
        one = self.gateway(disk="one")
        prompt = self.fresh()
        self.kept(one, prompt)
        self.on_disk(one, 1)
        self.end(one)
        redis = self.redis_server()
        one, two = self.gateway(redis=redis, disk="one"), self.gateway(redis=redis)
        self.await_redis(one, two)
        keys = len(redis.keys())
        self.assertEqual(self.ask(one, prompt).cache, "hit-disk")
        until(lambda: len(redis.keys()) == keys + 1, "it is in Redis")
        self.assertEqual(self.ask(two, prompt).cache, "hit-redis")

    def test_K_01_K_17_tenants_share_nothing_below_either(self):
        redis = self.redis_server()
        one, two = (self.gateway(redis=redis, disk=disk, auth=KEYS) for disk in ("one", "two"))
        self.await_redis(one, two)
        keys, prompt = len(redis.keys()), self.fresh()
        for number, headers in enumerate((key_of("a"), key_of("b"), ()), 1):
            received = self.sim.stats()["received"]
            self.assertEqual(self.ask(one, prompt, headers=headers).cache, "miss")
            self.assertEqual(self.sim.stats()["received"], received + 1, "no tier knew it")
            until(lambda: len(redis.keys()) == keys + number, "a key of its own")
            self.assertEqual(self.ask(two, prompt, headers=headers).cache, "hit-redis")

    def test_K_18_purged_everywhere_within_a_second(self):
        redis = self.redis_server()
        one, two = (self.gateway(redis=redis, disk=disk, auth=KEYS) for disk in ("one", "two"))
        self.await_redis(one, two)
        for what, is_other in (({"model": "m"}, "model"), ({"tenant": "a"}, "tenant"), ({"all": True}, None), ("key", "key")):
            with self.subTest(what):
                prompt, before = self.fresh(), set(redis.keys())
                self.ask(one, prompt, headers=key_of("a"))
                until(lambda: len(redis.keys()) == len(before) + 1, "it is in Redis")
                if what == "key":
                    what = {"key": (set(redis.keys()) - before).pop().decode().rpartition(":")[2]}
                others = {"model": (prompt, "other", key_of("a")), "tenant": (prompt, "m", key_of("b")), "key": (prompt + "!", "m", key_of("a"))}
                other = others.get(is_other)
                for gateway in (one, two):
                    self.assertIn(self.ask(gateway, prompt, headers=key_of("a")).cache, ("hit-memory", "hit-redis"))
                    if other:
                        self.ask(gateway, *other)
                old = self.ask(two, prompt, headers=key_of("a"))
                self.assertEqual(old.cache, "hit-memory")
                told = self.purge(one, what)
                self.assertEqual((told["redis"], told["disk"]), ("published", "written"))
                self.assertEqual(self.ask(one, prompt, headers=key_of("a") + NO_STORE).cache, "miss", "at once")
                until(lambda: self.ask(two, prompt, headers=key_of("a") + NO_STORE).cache == "miss", "the other obeys", A_SECOND)
                if other:
                    self.assertEqual([self.ask(gateway, *other).cache for gateway in (one, two)], ["hit-memory"] * 2, "and nothing else is gone")

    def test_K_18_a_look_up_that_a_purge_overtakes_serves_nothing(self):
        redis = self.redis_server()
        writer, reader = self.gateway(redis=redis), self.gateway(redis=redis, timeout="1s")
        self.await_redis(writer, reader)
        prompt, keys = self.fresh(), len(redis.keys())
        key = self.kept(writer, prompt).header("x-penstock-cache-key")
        until(lambda: len(redis.keys()) == keys + 1, "it is in Redis")
        hits = self.lookups(reader)["hit"]
        refresh = [("x-penstock-cache", "refresh")]
        with h1_client.Connection(reader.address) as connection, h1_client.Connection(reader.admin) as admin:
            redis.stop()
            connection.send(connection.request_bytes("POST", CHAT, chat(prompt)))
            until(lambda: self.page(reader)["calls_under_way"] == 1, "it is looked up")
            admin.send(admin.request_bytes("POST", "/admin/cache/purge", json.dumps({"model": "m"}).encode()))
            until(lambda: self.ask(reader, prompt, headers=refresh).header("x-penstock-cache-key") != key, "the purge counts")
            redis.go_on()
            answer = connection.read_response()
        self.assertEqual((answer.status, answer.header("x-penstock-cache")), (200, "miss"))
        self.assertEqual(self.lookups(reader)["hit"], hits + 1, "it was found")

    def test_K_18_purged_is_purged_after_a_restart(self):
        one = self.gateway(disk="one", auth=KEYS)
        prompts = [self.fresh() for _ in range(3)]
        for prompt in prompts:
            self.kept(one, prompt, headers=key_of("a"))
        self.on_disk(one, 3)
        self.assertEqual(self.purge(one, {"tenant": "a"})["disk"], "written")
        one.signal(signal.SIGKILL)
        one.wait()
        again = self.gateway(disk="one", auth=KEYS)
        self.assertEqual([self.ask(again, prompt, headers=key_of("a")).cache for prompt in prompts], ["miss"] * 3)

    def test_K_18_purged_from_the_disk(self):
        one = self.gateway(disk="one", auth=KEYS)
        purged, other = self.fresh(), self.fresh()
        key = self.kept(one, purged).header("x-penstock-cache-key")
        self.kept(one, other)
        self.kept(one, other, headers=key_of("a"))
        self.on_disk(one, 3)
        self.assertEqual(self.purge(one, {"key": key})["disk"], "written")
        self.assertEqual(self.page(one)["disk"]["entries"], 2, "one is gone when the purge says so")
        self.assertEqual(self.ask(one, purged, headers=NO_STORE).cache, "miss")
        self.purge(one, {"tenant": "a"})
        until(lambda: self.page(one)["disk"]["entries"] == 1, "the tenant's takes no room any more")
        self.end(one)
        again = self.gateway(disk="one", auth=KEYS)
        self.assertEqual([self.ask(again, prompt).cache for prompt in (purged, other)], ["miss", "hit-disk"])

    def test_K_18_who_was_away_obeys_before_it_uses_redis_again(self):
        redis = self.redis_server()
        one, two = self.gateway(redis=redis), self.gateway(redis=redis)
        self.await_redis(one, two)
        prompt, keys = self.fresh(), len(redis.keys())
        self.kept(two, prompt)
        until(lambda: len(redis.keys()) == keys + 1, "it is in Redis")
        two.signal(signal.SIGSTOP)
        self.assertEqual(self.purge(one, {"all": True})["redis"], "published")
        redis.ask("CLIENT", "KILL", "TYPE", "normal")
        redis.ask("CLIENT", "KILL", "TYPE", "pubsub")
        two.signal(signal.SIGCONT)
        until(lambda: self.ask(two, prompt, headers=NO_STORE).cache == "miss", "it has heard", A_SECOND + 2)
        self.await_redis(two)
        self.assertEqual(self.ask(two, prompt).cache, "miss")

    def test_K_11_expired_is_expired_after_a_restart(self):
        one = self.gateway(disk="one")
        prompts = [self.fresh() for _ in range(2)]
        for prompt in prompts:
            self.kept(one, prompt, "brief")  # 3 s
        stored = time.monotonic()
        self.on_disk(one, 2)
        self.end(one)
        one = self.gateway(disk="one")
        hits = 0
        while True:
            asked = time.monotonic()
            cache = self.ask(one, prompts[0], "brief").cache
            if cache == "miss":
                break
            hits += 1
            self.assertLess(asked, stored + 3, "served behind its time")
            harness.pause(0.02)
        self.assertTrue(hits > 0 or time.monotonic() > stored + 3, "it was there after the restart")
        self.end(one)
        one = self.gateway(disk="one")
        self.assertEqual(self.ask(one, prompts[1], "brief").cache, "miss")

    def test_K_11_a_shorter_time_holds_for_what_is_kept(self):
        one = self.gateway(disk="one")
        prompt = self.fresh()
        self.kept(one, prompt)
        self.on_disk(one, 1)
        config = json.loads(one.config_file.read_text())
        for model in config["models"]:
            model["cache"] = {"ttl": "1s"}
        one.config_file.write_text(json.dumps(config))
        one.signal(signal.SIGHUP)
        until(lambda: {self.ask(one, prompt, headers=NO_STORE).cache for _ in range(8)} == {"miss"}, "in every worker, in memory and on disk")

    def test_K_05_a_revoked_key_has_no_hits(self):
        one = self.gateway(disk="one", auth=KEYS)
        prompt = self.fresh()
        self.kept(one, prompt, headers=key_of("a"))

        def statuses():
            return {self.ask(one, prompt, headers=key_of("a")).status for _ in range(12)}
        config = json.loads(one.config_file.read_text())
        for auth, status in (({**KEYS, "keys": [{**KEYS["keys"][0], "models": ["other"]}, KEYS["keys"][1]]}, 403), ({**KEYS, "keys": KEYS["keys"][1:]}, 401)):
            one.config_file.write_text(json.dumps({**config, "auth": auth}))
            one.signal(signal.SIGHUP)
            until(lambda: statuses() == {status}, "the reload, in every worker")
            self.assertIsNone(self.ask(one, prompt, headers=key_of("a")).cache)
        one.config_file.write_text(json.dumps(config))
        one.signal(signal.SIGHUP)
        until(lambda: statuses() == {200}, "the reload")
        self.assertEqual(self.ask(one, prompt, headers=key_of("a")).cache, "hit-memory", "it was there all the time")

    def test_K_16_one_tenant_fills_the_memory(self):
        one = self.gateway(auth=KEYS, max_entry="512KiB", memory={"size": "8MiB"})

        def hits(name, count=100):
            with h1_client.Connection(one.address) as connection:
                answers = [connection.ask("POST", CHAT, chat(f"{name} {i}", model="wide"), key_of(name)) for i in range(count)]
            return sum(answer.header("x-penstock-cache") == "hit-memory" for answer in answers)
        hits("b")
        self.assertEqual(hits("b"), 100)
        with h1_client.Connection(one.address) as connection:
            for i in range(3000):  # of 8,000 bytes: three times the memory
                connection.ask("POST", CHAT, chat(f"attack {i}", model="wide"), key_of("a"))
        memory = self.page(one)["memory"]
        self.assertGreater(memory["evictions"], 1000)
        self.assertLessEqual(memory["bytes"], memory["size"])
        self.assertGreaterEqual(hits("b"), 90, "at most a tenth of its hits is lost")


class Disk(TierCase):
    def survives(self, spoil, mend, preexec=None):
        """Spoils the folder under load: nothing fails; memory goes on; afterwards a new instance uses the folder again."""
        one = self.gateway(disk="one", preexec=preexec)
        prompt = self.fresh()
        self.kept(one, prompt)
        self.on_disk(one, 1)
        load = Load(one, 4, model="wide")
        load.more(20)
        spoil(self.folder / "one")
        load.more(300)
        self.assertEqual(load.stop(), [])
        self.assertEqual(self.ask(one, prompt).cache, "hit-memory")
        page = self.page(one)["disk"]
        self.end(one)
        mend(self.folder / "one")
        again = self.gateway(disk="one")
        self.assertIn(self.ask(again, prompt).cache, ("miss", "hit-disk"))
        other = self.fresh()
        entries = self.page(again)["disk"]["stored"]
        self.kept(again, other)
        until(lambda: self.page(again)["disk"]["stored"] > entries, "it writes again")
        self.end(again)
        last = self.gateway(disk="one")
        self.assertEqual([self.ask(last, text).cache for text in (prompt, other)], ["hit-disk"] * 2)
        return page

    def test_R_11_folder_removed(self):
        self.survives(shutil.rmtree, lambda folder: None)

    def test_R_11_a_file_in_the_folders_place(self):
        def spoil(folder):
            shutil.rmtree(folder)
            folder.write_text("not a folder")
        self.survives(spoil, lambda folder: folder.unlink())

    def test_R_11_files_cut_off(self):
        self.survives(lambda folder: [os.truncate(file, 5000) for file in folder.glob("*[!m]")], lambda folder: None)

    def test_R_11_index_cut_off(self):
        self.survives(lambda folder: [os.truncate(file, 0) for file in folder.glob("*-shm")], lambda folder: None)

    def test_R_11_files_filled_with_noise(self):
        self.survives(lambda folder: [file.write_bytes(b"noise" * 20_000) for file in folder.glob("*[!m]")], lambda folder: None)

    def test_R_11_no_room(self):
        """A file may not grow beyond a megabyte: writes fail as on a full disk."""
        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
        page = self.survives(lambda folder: None, lambda folder: None, preexec=limit)
        self.assertGreater(page["write_errors"], 0)
        self.assertFalse(page["writes_on"], "off for 30 s")

    def test_R_11_killed_again_and_again(self):
        prompts, kept = [], 0
        for _ in range(4):
            one = self.gateway(disk="one")
            for prompt in prompts:
                answer = self.ask(one, prompt)
                kept += answer.cache == "hit-disk"
                self.assertEqual((answer.status, answer.json()["choices"][0]["finish_reason"]), (200, "stop"))
            prompts.append(self.fresh())
            self.ask(one, prompts[-1])
            load = Load(one, 4, model="wide")
            load.more(100)
            one.signal(signal.SIGKILL)
            one.wait()
            load.stop()
        self.assertEqual(kept, 1 + 2 + 3, "what was on disk before the kill is there")


if __name__ == "__main__":
    harness.main()
