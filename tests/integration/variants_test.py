"""Variants (CONTRACT 2, models[].variants): where requests go while a model's cluster is busy, and that nothing else changes by it."""

import json
import time

import h1_client
import harness
from cache_test import CHAT, chat, digest
from harness import FaultCase, World, cluster, endpoint, until

ROOM = 4  # of each cluster
LONG = "sim:0:100000:20000"


class Variants(FaultCase):
    @classmethod
    def make_world(cls):
        def config(world):
            def busy(name, sim):
                return cluster(name, [endpoint(world.sims[sim].address, max_concurrency=ROOM)], retry={"attempts": 1})
            move = {"above": 0.7, "below": 0.5}
            models = [{"name": "large", "upstream_name": "sim:0:4:0", "cluster": "large", "aliases": ["alias"],
                       "variants": [{"model": "small", **move}, {"model": "tiny", **move}], "fallbacks": ["small", "spare"]},
                      {"name": "small", "upstream_name": "sim:0:5:0", "cluster": "small"},
                      {"name": "tiny", "upstream_name": "sim:0:6:0", "cluster": "tiny"},
                      {"name": "spare", "upstream_name": "sim:0:7:0", "cluster": "canary"},
                      {"name": "long-large", "upstream_name": LONG, "cluster": "large"},
                      {"name": "long-small", "upstream_name": LONG, "cluster": "small"}]
            keys = [{"name": "all", "key_sha256": digest("key-all")},
                    {"name": "no-small", "key_sha256": digest("key-no-small"), "models": ["large", "tiny"]}]
            return {"server": {"listeners": [{"address": "127.0.0.1:0"}], "workers": 2}, "models": models,
                    "clusters": [busy(name, name) for name in ("large", "small", "tiny")],
                    "auth": {"keys": keys, "allow_anonymous": True}}
        return World(config, sims=("large", "small", "tiny"))

    def setUp(self):
        super().setUp()
        for sim in self.world.sims.values():
            sim.answer_all_with("")
        self.held = []
        self.addCleanup(self.release_all)
        until(lambda: not any(v["moved"] for v in self.page()), "nothing has moved")
        for sim in self.world.sims.values():
            sim.reset()

    def page(self):
        with h1_client.Connection(self.gateway.admin) as connection:
            models = json.loads(connection.ask("GET", "/admin/backends").body)["models"]
        return next(model for model in models if model["name"] == "large")["variants"]

    def hold(self, name, count):
        """So many requests are under way at a cluster."""
        for _ in range(count):
            connection = h1_client.Connection(self.gateway.address)
            connection.send(connection.request_bytes("POST", CHAT, chat(f"{self.id()} {time.monotonic_ns()}", True, "long-" + name)))
            self.assertEqual(connection.read_head().status, 200)
            self.held.append((name, connection))

    def release_all(self):
        for _, connection in self.held:
            connection.close()
        self.held.clear()

    def release(self, name, count):
        for _ in range(count):
            at = next(i for i, (held, _) in enumerate(self.held) if held == name)
            self.held.pop(at)[1].close()
        left = sum(held == name for held, _ in self.held)
        until(lambda: self.world.sims[name].stats()["in_flight"] == left, "the backend hears of it")

    def ask(self, prompt=None, key=None, model="large", stream=False):
        headers = [("content-type", "application/json"), ("x-request-id", self.request_id())]
        if key:
            headers.append(("authorization", "Bearer " + key))
        with h1_client.Connection(self.gateway.address) as connection:
            answer = connection.ask("POST", CHAT, chat(prompt or f"{self.id()} {time.monotonic_ns()}", stream, model), headers)
        self.assertEqual(answer.status, 200, answer)
        return answer

    def who(self, *arguments, **fields):
        return self.ask(*arguments, **fields).header("x-penstock-model")

    def moved(self, variant):
        return self.gateway.metrics().get(f'penstock_variant_requests_total{{model="large",variant="{variant}"}}', 0)

    def test_moves_above_and_back_below(self):
        before = harness.settled(lambda: self.moved("small"))
        self.hold("large", 2)
        self.assertEqual(self.who(), "large", "a load of 0.5")
        self.hold("large", 1)
        self.assertEqual([self.who(), self.who(model="alias"), self.who(stream=True)], ["small"] * 3, "0.75 is above 0.7")
        line = self.gateway.line_of(self.asked[-1])
        self.assertEqual((line["model"], line["model_answered"]), ("large", "small"))
        self.release("large", 1)
        self.assertEqual(self.who(), "small", "0.5 is not below 0.5")
        self.release("large", 1)
        until(lambda: self.page()[0]["load"] == 0.25, "the load")
        self.assertEqual(self.who(), "large", "0.25 is")
        until(lambda: self.moved("small") - before == 4, lambda: f"four more than {before}: {self.moved('small')}")
        self.assertGreaterEqual(self.page()[0]["times"], 1)
        for text in ("requests move to a variant", "requests move back"):
            until(lambda: any(text in line and '"small"' in line for line in self.gateway.lines["stderr"]), text)

    def test_nobody_asks_any_more(self):
        self.hold("large", 4)
        self.assertEqual(self.who(), "small")
        self.assertTrue(self.page()[0]["moved"])
        self.release("large", 4)
        until(lambda: not self.page()[0]["moved"], "back without a request")

    def test_the_next_one_when_that_is_busy_too(self):
        self.hold("large", 3)
        self.hold("small", 2)
        self.assertEqual(self.who(), "small")
        self.hold("small", 1)
        self.assertEqual(self.who(), "tiny")
        self.release("large", 3)
        until(lambda: not self.page()[0]["moved"], "back")
        self.assertEqual(self.who(), "large", "whatever the others do")

    def test_what_a_key_may_not_use_is_none_for_it(self):
        self.hold("large", 3)
        self.hold("small", 3)
        self.assertEqual(self.who(key="key-all"), "tiny")
        self.assertEqual(self.who(key="key-no-small"), "large")

    def test_variant_answers_are_not_kept(self):
        prompt = self.id()
        self.hold("large", 3)
        first, second = self.ask(prompt), self.ask(prompt)
        self.assertEqual([a.header("x-penstock-cache") for a in (first, second)], ["miss", "miss"])
        self.assertEqual(self.ask(prompt, model="small").header("x-penstock-cache"), "miss", "nor under its own name")
        self.release("large", 3)
        until(lambda: not self.page()[0]["moved"], "back")
        answer = self.ask(prompt)
        self.assertEqual((answer.header("x-penstock-model"), answer.header("x-penstock-cache")), ("large", "miss"))
        self.hold("large", 3)
        answer = self.ask(prompt)
        self.assertEqual((answer.header("x-penstock-model"), answer.header("x-penstock-cache")), ("large", "hit-memory"),
                         "the model's own answer, when it is there")

    def test_who_follows_a_call_is_told_whose_answer_it_is(self):
        self.world.sims["small"].answer_all_with("sim:300:4:0")
        self.hold("large", 3)
        answers = harness.all_at_once(4, lambda _: self.ask(self._testMethodName))
        self.assertEqual({a.header("x-penstock-model") for a in answers}, {"small"})
        self.assertEqual(self.world.sims["small"].stats()["received"], 1)

    def test_one_that_fails_gives_the_model_a_try_then_the_fallbacks(self):
        self.world.sims["small"].answer_all_with("fault:status:500")
        self.hold("large", 3)
        self.assertEqual(self.who(), "large", "it has room for one")
        self.hold("large", 1)
        self.assertEqual(self.who(), "spare", "which is not asked twice for what it refused as a variant")
        self.assertEqual(self.world.sims["small"].stats()["received"], 2)


if __name__ == "__main__":
    harness.main()
