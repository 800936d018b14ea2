"""Requests of which no endpoint has room wait for one (CONTRACT 2 `queue`, 4 `x-penstock-priority`, 5): the bounds and the ends of the wait
(FAULTS U-28), the order, who leaves (C-04), backends that are all gone and come back (U-37), the drain."""

import hashlib
import json
import signal
import tempfile
import threading
import time
import unittest

import h1_client
import harness
from cache_test import CHAT, chat
from harness import FaultCase, World, cluster, endpoint, until

KEYS = {"a": "key-of-a-for-the-tests", "b": "key-of-b-for-the-tests", "low": "key-of-low-for-the-tests"}
SLOT = {"max_concurrency": 1}
# Cluster: its queue. Each has one endpoint with one slot.
QUEUES = {"small": {"size": 3}, "impatient": {"timeout": "300ms"}, "order": {}, "off": {"size": 0},
          "spared": {"size": 1, "timeout": "400ms"}}
QUICK = "sim:30:2:0"


def keys():
    digests = {name: hashlib.sha256(key.encode()).hexdigest() for name, key in KEYS.items()}
    return [{"name": name, "key_sha256": digest, **({"priority": "batch"} if name == "low" else {})} for name, digest in digests.items()]


class Queues(FaultCase):
    @classmethod
    def make_world(cls):
        def config(world):
            good, spare = world.sims["good"], world.sims["spare"]
            clusters = [cluster(name, [endpoint(good.address, **SLOT)], queue=queue) for name, queue in QUEUES.items()]
            clusters += [cluster("silent", [endpoint(world.sims["left"].address, **SLOT)], timeouts={"headers": "1500ms", "first_token": "1500ms"}),
                         cluster("spare", [endpoint(spare.address)]), cluster("found", [endpoint(good.address, name="found-1", max_concurrency="auto")]),
                         {**cluster("away", [endpoint(world.sims[name].wire, max_concurrency=4) for name in ("left", "right")], queue={"timeout": "3s"}),
                          "health_check": {"interval": "150ms", "timeout": "100ms", "unhealthy_after": 2, "healthy_after": 1}},
                         {**cluster("gone", [endpoint("127.0.0.1:9")], queue={"timeout": "20s"}),
                          "health_check": {"interval": "150ms", "timeout": "100ms", "unhealthy_after": 1}}]
            models = [{"name": c["name"], "upstream_name": QUICK, "cluster": c["name"]} for c in clusters]
            models += [{"name": f"{name}-held", "upstream_name": "sim:0:100000:20000", "cluster": name} for name in QUEUES]
            models += [{"name": f"{name}-unseen", "upstream_name": "sim:31:2:0", "cluster": name} for name in QUEUES]
            for model in models:
                if model["name"] == "silent":
                    model["upstream_name"] = "fault:silence"
                if model["name"] in ("spared", "gone"):
                    model["fallbacks"] = ["spare"]
            return {"server": {"listeners": [{"address": "127.0.0.1:0"}], "workers": 2}, "cache": {"enabled": False}, "models": models, "clusters": clusters,
                    "auth": {"allow_anonymous": True, "keys": keys()}}
        return World(config, sims=("good", "spare", "left", "right"))

    def setUp(self):
        super().setUp()
        self.good = self.world.sims["good"]
        for sim in self.world.sims.values():
            sim.reset()
        self.threads, self.ended = [], []

    def ask(self, model, headers=(), key=None, stream=False):
        headers = [("x-request-id", self.request_id()), ("content-type", "application/json"), *headers]
        if key is not None:
            headers.append(("authorization", f"Bearer {KEYS[key]}"))
        with h1_client.Connection(self.gateway.address) as connection:
            answer = connection.ask("POST", CHAT, chat(self.id(), stream, model), headers)
        answer.id = headers[0][1]
        return answer

    def begin(self, label, model, **more):
        """Asks on a thread, and waits until it stands in the queue."""
        before = self.depth(model)

        def run():
            answer = self.ask(model, **more)
            answer.label = label
            self.ended.append(answer)
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        self.threads.append(thread)
        until(lambda: self.depth(model) == before + 1, lambda: f"{label} waits, {self.queue(model)}")

    def all_ended(self):
        for thread in self.threads:
            thread.join(harness.HANG)
        self.assertEqual(len(self.ended), len(self.threads))
        return self.ended

    def hold(self, name):
        """Takes the only slot; closing what comes gives it back."""
        connection = h1_client.Connection(self.gateway.address)
        self.addCleanup(connection.close)
        body = chat(self.id(), True, f"{name}-held")
        connection.send(connection.request_bytes("POST", CHAT, body, [("x-request-id", self.request_id()), ("content-type", "application/json")]))
        connection.wait_body(connection.read_head(), b'"content"')
        return connection

    def queue(self, name):
        with h1_client.Connection(self.gateway.admin) as connection:
            clusters = json.loads(connection.ask("GET", "/admin/backends").body)["clusters"]
        return next(c for c in clusters if c["name"] == name.partition("-")[0])["queue"]

    def depth(self, name):
        return self.queue(name)["depth"]

    def received(self, program):
        return self.good.stats(program)["received"]

    def refused(self, answer, code, term):
        self.assertEqual((answer.status, answer.error()["type"], answer.error()["code"]), (503, "service_unavailable", code), answer)
        self.assertTrue(1 <= int(answer.header("retry-after")) <= 60, answer.header("retry-after"))
        line = self.gateway.line_of(answer.id)
        self.assertEqual((line["term"], line["attempts"]), (term, 0))
        return line

    def test_who_waits_gets_the_slot_that_comes_free(self):
        held = self.hold("order")
        self.begin("one", "order")
        held.close()
        (answer,) = self.all_ended()
        self.assertEqual((answer.status, answer.complete), (200, True))
        line = self.gateway.line_of(answer.id)
        self.assertGreater(line["queue_ms"], 0)
        self.assertLess(line["gateway_ms"], line["queue_ms"] + 50, "a wait is no work")
        until(lambda: self.gateway.metrics()['penstock_queue_depth{cluster="order"}'] == 0, "the gauge")
        self.assertGreater(self.gateway.metrics()['penstock_queue_wait_seconds_count{cluster="order"}'], 0)
        straight = self.ask("order")
        self.assertEqual(self.gateway.line_of(straight.id)["queue_ms"], 0)

    def test_U_28_a_queue_that_is_full(self):
        held = self.hold("small")
        for i in range(3):
            self.begin(i, "small")
        until(lambda: self.gateway.metrics()['penstock_queue_depth{cluster="small"}'] == 3, "the gauge")
        self.refused(self.ask("small-unseen"), "queue_full", "UO")
        held.close()
        self.assertEqual([a.status for a in self.all_ended()], [200] * 3)
        self.assertEqual(self.received("sim:31:2:0"), 0)

    def test_U_28_a_wait_that_is_too_long(self):
        self.hold("impatient")
        began = time.monotonic()
        line = self.refused(self.ask("impatient-unseen"), "queue_timeout", "QT")
        self.assertTrue(0.28 < time.monotonic() - began < 5)
        self.assertGreaterEqual(line["queue_ms"], 300)
        self.assertEqual(self.received("sim:31:2:0"), 0)
        self.assertEqual(self.depth("impatient"), 0)

    def test_U_28_a_deadline_in_the_queue(self):
        held = self.hold("order")
        answer = self.ask("order-unseen", [("x-penstock-timeout-ms", "200")])
        self.assertEqual((answer.status, answer.error()["code"]), (504, "deadline_exceeded"))
        self.assertGreaterEqual(self.gateway.line_of(answer.id)["queue_ms"], 190)
        self.assertEqual(self.depth("order"), 0)
        held.close()
        self.assertEqual(self.ask("order").status, 200)
        self.assertEqual(self.received("sim:31:2:0"), 0)

    def test_C_04_who_leaves_the_queue_is_never_seen(self):
        held = self.hold("order")
        connections = [h1_client.Connection(self.gateway.address) for _ in range(5)]
        for connection in connections:
            self.addCleanup(connection.close)
            connection.send(connection.request_bytes("POST", CHAT, chat(self.id(), False, "order-unseen"), [("x-request-id", self.request_id())]))
        self.begin("stays", "order")
        until(lambda: self.depth("order") == 6, "all wait")
        for connection in connections:
            connection.close()
        until(lambda: self.depth("order") == 1, "they are gone", 2)
        held.close()
        self.assertEqual([a.status for a in self.all_ended()], [200])
        for name in self.asked[1:6]:
            line = self.gateway.line_of(name)
            self.assertEqual((line["term"], line["status"], line["attempts"]), ("DC", 499, 0))
        self.assertEqual(self.received("sim:31:2:0"), 0)

    def test_the_order_is_by_class(self):
        held = self.hold("order")
        for i, priority in enumerate(("batch", "default", "interactive", None, "batch", "interactive", "urgent")):
            self.begin((priority, i), "order", headers=[("x-penstock-priority", priority)] if priority else [])
        self.begin(("low", 7), "order", headers=[("x-penstock-priority", "interactive")], key="low")
        queue = self.queue("order")
        self.assertEqual((queue["interactive"], queue["default"], queue["batch"]), (2, 3, 3), "an unknown word is none; a key caps")
        held.close()
        order = [a.label[0] for a in self.all_ended()]
        self.assertEqual(order[:2], ["interactive"] * 2)
        self.assertEqual(set(order[2:5]), {"default", None, "urgent"})
        self.assertEqual(set(order[5:]), {"batch", "low"})

    def test_a_class_is_fair_between_keys(self):
        held = self.hold("order")
        for i in range(10):
            self.begin("a", "order", key="a")
        for i in range(4):
            self.begin("b", "order", key="b")
        held.close()
        order = [a.label for a in self.all_ended()]
        self.assertGreaterEqual(order[:8].count("b"), 3, order)
        self.assertEqual(order[9:].count("a"), 5, order)

    def test_a_higher_class_drives_out_a_lower_one(self):
        held = self.hold("small")
        for i in range(3):
            self.begin(f"batch {i}", "small", headers=[("x-penstock-priority", "batch")])
        thread = threading.Thread(target=lambda: self.ended.append(self.ask("small", [("x-penstock-priority", "interactive")])), daemon=True)
        self.threads.append(thread)
        thread.start()
        until(lambda: self.queue("small")["interactive"] == 1, "it waits")
        until(lambda: len(self.ended) == 1, "somebody had to go")
        self.refused(self.ended[0], "queue_full", "UO")
        self.assertEqual(self.ended[0].label, "batch 2")
        held.close()
        self.assertEqual(sorted(a.status for a in self.all_ended()), [200, 200, 200, 503])

    def test_many_on_two_workers_one_at_a_time(self):
        self.assertEqual({a.status for a in harness.all_at_once(40, lambda _: self.ask("order"))}, {200})
        self.assertEqual(self.received(QUICK), 40)

    def test_without_a_queue_the_answer_comes_at_once(self):
        self.hold("off")
        self.refused(self.ask("off-unseen"), "overloaded", "OM")
        self.assertEqual(self.received("sim:31:2:0"), 0)

    def test_a_stand_in_answers_when_the_wait_is_over_or_the_queue_full(self):
        held = self.hold("spared")
        began = time.monotonic()
        self.begin("waits", "spared")
        self.assertEqual(self.ask("spared").header("x-penstock-model"), "spare", "the queue is full")
        self.assertEqual([a.header("x-penstock-model") for a in self.all_ended()], ["spare"])
        self.assertGreater(time.monotonic() - began, 0.38)
        held.close()
        until(lambda: self.ask("spared").header("x-penstock-model") == "spared", "the model itself")

    def test_a_stand_in_answers_at_once_for_a_model_whose_backends_are_gone(self):
        until(lambda: any('"endpoint is unhealthy"' in line and "127.0.0.1:9" in line for line in self.gateway.lines["stderr"]), "it is known")
        began = time.monotonic()
        self.assertEqual(self.ask("gone").header("x-penstock-model"), "spare")
        self.assertLess(time.monotonic() - began, 5)

    def test_who_has_nobody_left_to_ask_does_not_wait(self):
        """Its only endpoint was silent: that is not asked again, however many wait for it."""
        answers = []
        first = threading.Thread(target=lambda: answers.append(self.ask("silent", stream=True)), daemon=True)
        first.start()
        until(lambda: self.world.sims["left"].stats("fault:silence")["received"] == 1, "it is there")
        self.begin("second", "silent", stream=True)
        self.begin("third", "silent", stream=True)
        began = time.monotonic()
        first.join(harness.HANG)
        self.assertEqual((answers[0].status, answers[0].error()["code"]), (504, "upstream_timeout"))
        self.all_ended()
        self.assertLess(time.monotonic() - began, 8)
        self.assertEqual({a.status for a in self.ended}, {504})
        self.assertEqual(self.world.sims["left"].stats("fault:silence")["received"], 3)

    def test_a_limit_that_is_found(self):
        self.assertEqual(self.ask("found", stream=True).status, 200)
        with h1_client.Connection(self.gateway.admin) as connection:
            clusters = {c["name"]: c for c in json.loads(connection.ask("GET", "/admin/backends").body)["clusters"]}
        found = clusters["found"]["endpoints"][0]
        self.assertEqual((found["max_concurrency"], found["limit"]), ("auto", 16))
        fixed = clusters["small"]["endpoints"][0]
        self.assertEqual((fixed["max_concurrency"], fixed["limit"]), (1, 1))
        until(lambda: self.gateway.metrics().get('penstock_endpoint_limit{endpoint="found-1"}') == 16, "the gauge")

    # --- U-37 ---

    def healthy(self):
        return [value for series, value in self.gateway.metrics().items() if series.startswith("penstock_endpoint_healthy")
                and any(self.world.sims[name].wire in series for name in ("left", "right"))]

    def attempts(self):
        return sum(value for series, value in self.gateway.metrics().items() if series.startswith('penstock_upstream_attempts_total{cluster="away"'))

    def take_away(self):
        for name in ("left", "right"):
            self.world.sims[name].answer_all_with("fault:refuse")
        until(lambda: self.healthy() == [0, 0], "both are gone")

    def bring_back(self):
        for name in ("left", "right"):
            self.world.sims[name].answer_all_with("")

    def test_U_37_all_are_gone_and_come_back(self):
        until(lambda: self.healthy() == [1, 1], "both are there")
        self.take_away()
        self.addCleanup(self.bring_back)
        before = self.attempts()
        for i in range(30):
            self.begin(i, "away")
        self.assertEqual(self.attempts(), before, "nobody is asked meanwhile")
        self.bring_back()
        brought = time.monotonic()
        until(lambda: self.ended, "the first success")
        self.assertLess(time.monotonic() - brought, 2, "a probe, and it goes on")
        self.assertEqual({a.status for a in self.all_ended()}, {200})
        until(lambda: self.attempts() - before == 30, "each was asked once")

    def test_U_37_nobody_waits_for_ever(self):
        until(lambda: self.healthy() == [1, 1], "both are there")
        self.take_away()
        self.addCleanup(self.bring_back)
        before, began = self.attempts(), time.monotonic()
        line = self.refused(self.ask("away"), "queue_timeout", "QT")
        self.assertTrue(2.9 < time.monotonic() - began < 10)
        self.assertGreaterEqual(line["queue_ms"], 3000)
        self.assertEqual(self.attempts(), before)


class Drain(unittest.TestCase):
    def test_what_waits_at_the_end_of_a_drain(self):
        simulator = harness.Simulator("--name", "good")
        self.addCleanup(simulator.end)
        with tempfile.TemporaryDirectory(prefix="penstock-") as folder:
            config = {"server": {"listeners": [{"address": "127.0.0.1:0"}], "drain": {"delay": "0s", "timeout": "700ms"}},
                      "cache": {"enabled": False},
                      "models": [{"name": "held", "upstream_name": "sim:0:100000:20000", "cluster": "one"}, {"name": "quick", "upstream_name": QUICK, "cluster": "one"}],
                      "clusters": [cluster("one", [endpoint(simulator.address, **SLOT)])]}
            gateway = harness.Gateway(folder, config)
            self.addCleanup(gateway.end)
            holder, waiter = h1_client.Connection(gateway.address), h1_client.Connection(gateway.address)
            for connection, model, stream in ((holder, "held", True), (waiter, "quick", False)):
                self.addCleanup(connection.close)
                connection.send(connection.request_bytes("POST", CHAT, chat("drain", stream, model), [("x-request-id", model)]))
                if stream:
                    connection.wait_body(connection.read_head(), b'"content"')
            until(lambda: gateway.metrics().get('penstock_queue_depth{cluster="one"}') == 1, "it waits")
            gateway.signal(signal.SIGTERM)
            answer = waiter.read_head()
            waiter.read_body(answer)
            self.assertEqual((answer.status, answer.error()["code"]), (503, "draining"))
            self.assertEqual(gateway.wait(), 0)
            self.assertEqual(gateway.line_of("quick")["term"], "DR")
            self.assertEqual(simulator.stats(QUICK)["received"], 0)


if __name__ == "__main__":
    harness.main()
