"""`hedge`: a stream whose first token is late is asked for a second time, elsewhere; one of the two answers, the other is cancelled
(docs/resilience.md, "Hedging"). The first request always goes to `near`, the second to `far`: that is what the zones are for."""

import contextlib
import json
import time

import h1_client
import harness
from cache_test import CHAT, chat
from harness import FaultCase, World, cluster, endpoint, table, until

LATE = "sim:10000:6:0"  # later than any test waits
QUICK = "sim:0:6:0"

# name, what near does, what far does, who answers. `soon` asks again after 200 ms; first tokens are late after 1 s.
ENDS = [("the second answers when the first is late", LATE, QUICK, "far"),
        ("the first answers when it is the first after all", "sim:600:6:0", LATE, "near"),
        ("the second is not asked when the first is in time", QUICK, LATE, "near"),
        ("the first fails and the second stands in", "fault:cut:after=role:ttft=500", "sim:700:6:0", "far"),
        ("the first errs and the second stands in", "fault:error:after=role:ttft=500", "sim:700:6:0", "far"),
        ("the first is silent for too long and the second stands in", "fault:silence", "sim:850:6:0", "far"),
        ("the second refuses", "sim:600:6:0", "fault:status:500", "near"),
        ("the second is throttled", "sim:600:6:0", "fault:status:429", "near"),
        ("the second breaks before its content", "sim:600:6:0", "fault:cut:after=role", "near"),
        ("the second errs before its content", "sim:600:6:0", "fault:error:after=role", "near"),
        ("the second gives no stream", "sim:600:6:0", "fault:json-for-stream", "near"),
        ("the second ends before its content", "sim:600:6:0", "fault:end:after=role", "near"),
        ("the second is malformed", "sim:600:6:0", "fault:malformed:json:after=0", "near")]


@table("ends", [(f"{name}, {protocol}", protocol, near, far, who) for name, near, far, who in ENDS for protocol in ("http1", "h2")])
class Hedging(FaultCase):
    @classmethod
    def make_world(cls):
        def config(world):
            def of(protocol, **more):
                return [endpoint(world.sims[name].address, protocol, name=f"{name}-{protocol}", zone=name, **more) for name in ("near", "far")]

            def hedged(name, endpoints, **more):
                return cluster(name, endpoints, timeouts={"headers": "1s", "first_token": "1s", "idle": "1s", "total": "20s"}, **more)
            clusters = [hedged("http1", of("http1")), hedged("h2", of("h2")), hedged("rebuilt", of("http1", stream_upstream="on")),
                        hedged("alone", of("http1")[:1])]
            mixed = of("http1", stream_upstream="off")
            mixed[0]["stream_upstream"] = "on"
            clusters += [hedged("mixed", mixed), hedged("thrice", of("http1"), retry={"attempts": 3}), hedged("patient", of("http1"))]
            clusters[-1]["timeouts"] = {"headers": "15s", "first_token": "15s", "total": "20s"}
            clusters.append({**clusters[-1], "name": "followed"})  # whose budget no other test has drawn on
            names = {**{each["name"]: "soon" for each in clusters}, "scarce": "scarce", "learnt": "learnt"}
            rules = {"soon": {"after": "200ms", "budget": 1}, "scarce": {"after": "50ms", "budget": 0}, "learnt": {"after": "p95", "budget": 1}}
            models = [{"name": name, "upstream_name": QUICK, "cluster": name if name in names and rule == "soon" else "patient", "hedge": rules[rule]}
                      for name, rule in names.items()]
            return {"server": {"listeners": [{"address": "127.0.0.1:0"}], "workers": 2, "expose_upstream": True, "zones": ["near", "far"]},
                    "models": models, "clusters": clusters}
        return World(config, sims=("near", "far"))

    def setUp(self):
        super().setUp()
        self.near, self.far = self.world.sims["near"], self.world.sims["far"]
        for sim in (self.near, self.far):
            sim.reset()
            sim.answer_all_with("")

    def body(self, model, stream=True, **fields):
        fields.setdefault("temperature", None)
        return chat(self.id(), stream, model, **fields)

    def ask(self, model, stream=True, headers=(), **fields):
        with h1_client.Connection(self.gateway.address) as connection:
            return connection.ask("POST", CHAT, self.body(model, stream, **fields),
                                  [("x-request-id", self.request_id()), ("content-type", "application/json"), *headers])

    def asked_of(self):
        return self.near.stats()["received"], self.far.stats()["received"]

    def hedges(self):
        """Second requests that answered, that did not."""
        found = self.gateway.metrics()
        return tuple(int(found.get(f'penstock_hedges_total{{result="{result}"}}', 0)) for result in ("won", "lost"))

    def late(self, far=QUICK):
        self.near.answer_all_with(LATE)
        self.far.answer_all_with(far)

    def is_whole(self, answer):
        self.assertEqual((answer.status, answer.complete), (200, True), answer)
        events = [json.loads(event) for event in answer.events()[:-1]]
        self.assertEqual(answer.events()[-1], "[DONE]")
        self.assertEqual(sum(1 for event in events if event["choices"] and event["choices"][0]["delta"].get("content")), 6, "nothing twice, nothing left out")

    def ends(self, label, protocol, near, far, who):
        before = self.hedges()
        self.near.answer_all_with(near)
        self.far.answer_all_with(far)
        began = time.monotonic()
        answer = self.ask(protocol)
        self.assertLess(time.monotonic() - began, 3)
        self.is_whole(answer)
        self.assertEqual(answer.header("x-penstock-endpoint"), f"{who}-{protocol}")
        hedged = near != QUICK
        self.assertEqual(self.asked_of(), (1, 1 if hedged else 0))
        line = self.gateway.line_of(self.asked[-1])
        self.assertEqual((line["attempts"], line["endpoint"], line["term"]), (2 if hedged else 1, f"{who}-{protocol}", "-"))
        won, lost = (1, 0) if who == "far" else (0, 1 if hedged else 0)
        until(lambda: self.hedges() == (before[0] + won, before[1] + lost), lambda: f"{before} to {self.hedges()}")
        for sim in (self.near, self.far):
            until(lambda: sim.stats()["in_flight"] == 0, "the loser is cancelled")

    def test_the_loser_is_cancelled_while_the_other_answers(self):
        for near, far, loser, winner in ((LATE, "sim:0:30:100000", self.near, self.far), ("sim:600:30:100000", LATE, self.far, self.near)):
            with self.subTest(near):
                for sim in (self.near, self.far):
                    sim.reset()
                self.near.answer_all_with(near)
                self.far.answer_all_with(far)
                with self.begun("patient"):
                    until(lambda: loser.stats()["cancelled"] == 1, lambda: loser.stats())
                    self.assertEqual(winner.stats()["in_flight"], 1)

    @contextlib.contextmanager
    def begun(self, model):
        """A stream that was asked for, and of which nobody reads."""
        with h1_client.Connection(self.gateway.address) as connection:
            headers = [("x-request-id", self.request_id()), ("content-type", "application/json")]
            connection.send(connection.request_bytes("POST", CHAT, self.body(model), headers))
            yield

    def test_a_client_that_leaves_ends_both(self):
        self.late(LATE)
        with self.begun("patient"):
            until(lambda: self.asked_of() == (1, 1), "both are asked")
        for sim in (self.near, self.far):
            until(lambda: sim.stats()["cancelled"] == 1, "cancelled")
        self.assertEqual(self.term_of(), "DC")

    def test_a_deadline_ends_both(self):
        self.late(LATE)
        answer = self.ask("patient", headers=[("x-penstock-timeout-ms", "700")])
        self.assertEqual((answer.status, answer.error()["code"]), (504, "deadline_exceeded"))
        self.assertEqual(self.asked_of(), (1, 1))

    def test_both_fail_and_the_client_hears_of_it_once(self):
        self.near.answer_all_with("fault:silence")
        self.far.answer_all_with("fault:silence")
        answer = self.ask("http1")
        self.assertEqual((answer.status, answer.error()["code"]), (504, "upstream_timeout"))
        self.assertEqual(self.asked_of(), (1, 1), "neither is asked again")

    def test_a_silent_endpoint_is_not_asked_again_whoever_stood_in(self):
        self.near.answer_all_with("fault:silence")
        self.far.answer_all_with("fault:cut:after=role:ttft=900")
        answer = self.ask("thrice")
        self.assertEqual((answer.status, self.near.stats()["received"]), (502, 1))

    def test_who_gives_whole_answers_is_not_blamed_for_it(self):
        self.late()
        for _ in range(3):
            self.assertEqual(self.ask("mixed", stream=False, headers=[("x-penstock-timeout-ms", "600")]).status, 504)
        self.assertEqual(self.far.stats()["received"], 3)
        series = [series for series, value in self.gateway.metrics().items()
                  if series.startswith("penstock_upstream_attempts_total{") and 'cluster="mixed"' in series and 'endpoint="far-http1"' in series and value]
        self.assertTrue(series and all('outcome="cancelled"' in each for each in series), series)

    def test_a_cluster_of_one_has_nobody_else(self):
        self.near.answer_all_with("sim:600:6:0")
        self.is_whole(self.ask("alone"))
        self.assertEqual(self.asked_of(), (1, 0))

    def test_a_whole_answer_is_not_hedged(self):
        self.near.answer_all_with("sim:600:6:0")
        self.assertEqual(self.ask("patient", stream=False).status, 200)
        self.assertEqual(self.asked_of(), (1, 0))

    def test_but_one_that_is_streamed_to_us_is(self):
        self.late()
        answer = self.ask("rebuilt", stream=False)
        self.assertEqual((answer.status, answer.header("x-penstock-endpoint")), (200, "far-http1"))
        self.assertEqual(len(json.loads(answer.body)["choices"][0]["message"]["content"].split()), 6)

    def test_the_budget_is_kept(self):
        self.near.answer_all_with("sim:300:6:0")
        self.far.answer_all_with(LATE)
        for _ in range(4):
            self.is_whole(self.ask("scarce"))
        self.assertEqual(self.asked_of(), (4, 1), "one in ten seconds")

    def test_p95_is_learnt(self):
        self.near.answer_all_with("sim:20:6:0")
        for _ in range(19):
            self.is_whole(self.ask("learnt"))
        self.assertEqual(self.far.stats()["received"], 0, "nobody knows yet what late is")
        self.is_whole(self.ask("learnt"))
        self.late()
        for _ in range(5):  # what is known is read up to half a second late
            answer = self.ask("learnt", headers=[("x-penstock-timeout-ms", "700")])
            if answer.status == 200:
                break
        self.is_whole(answer)
        self.assertEqual((answer.header("x-penstock-endpoint"), self.far.stats()["received"]), ("far-http1", 1))

    def test_those_who_follow_get_the_answer_that_won(self):
        self.late("sim:300:6:50000")
        answers = harness.all_at_once(6, lambda _: self.ask("followed", temperature=0))
        for answer in answers:
            self.is_whole(answer)
        self.assertEqual(len({json.dumps(answer.events()) for answer in answers}), 1)
        self.assertEqual((len(answers), self.asked_of()), (6, (1, 1)))
        self.assertEqual(self.ask("followed", temperature=0).header("x-penstock-cache"), "hit-memory", "and it is kept")


if __name__ == "__main__":
    harness.main()
