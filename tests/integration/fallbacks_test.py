"""Models that stand in for another one (CONTRACT 7): which failures lead to a fallback, what the client is told, what is kept. The
numbers are those of the provider faults in docs/resilience.md."""

import hashlib
import json
import time

import h1_client
import harness
from cache_test import CHAT, chat
from harness import FaultCase, World, cluster, endpoint, table, until
from scripted_backend import ByModel, plain

PROGRAMS = {  # of the first model: what its only endpoint does
    "throttled": "fault:status:429", "unavailable": "fault:status:503", "reset": "fault:reset", "silent": "fault:silence",
    "late": "fault:stall:after=role", "patient": "fault:status:429:retry-after=2:times=1", "away": "fault:status:429:retry-after=30",
    "broken": "fault:status:500", "forbidden": "fault:status:400", "twice": "fault:status:503", "barred": "fault:status:503",
    "once": "fault:status:500:times=1", "malformed": "fault:html", "chunks": "fault:bad-chunk:size",
}
TOO_LONG = {"error": {"message": "This model's maximum context length is 16 tokens.", "type": "invalid_request_error", "param": "messages",
                      "code": "context_length_exceeded"}}
POLICY = {"error": {"message": "refused by the content policy", "type": "invalid_request_error", "param": None, "code": "content_policy_violation"}}
REFUSALS = {"toolong": TOO_LONG, "policy": POLICY}
KEY = "a-key-of-the-tests"

# number and name, model, how often the first one is asked, term
FAILURES = [("2 429 for ever", "throttled", 3), ("4 503 for ever", "unavailable", 3), ("5 reset before the head", "reset", 2),
            ("6 silence is asked once", "silent", 1), ("7 no first token in time", "late", 1), ("429 with a long Retry-After", "away", 1),
            ("an answer of another kind", "malformed", 1), ("an answer that is no HTTP", "chunks", 1)]


@table("fails_over", [(f"fault {name}, {'stream' if s else 'plain'}", model, asked, s) for name, model, asked in FAILURES for s in (False, True)
                      if s or model not in ("silent", "late", "away")])
class Fallbacks(FaultCase):
    @classmethod
    def make_world(cls):
        cls.scripted = ByModel({name: plain(body, status="400 Bad Request") for name, body in REFUSALS.items()})
        cls.addClassCleanup(cls.scripted.close)

        def config(world):
            quick = {"headers": "1s", "first_token": "1s", "idle": "1s", "total": "20s"}
            first = cluster("first", [endpoint(world.sims["faulty"].wire)], retry={"attempts": 3}, timeouts=quick)
            away = cluster("away", [endpoint(world.sims["away"].address)], retry={"attempts": 3}, timeouts=quick)  # it pauses for long
            second = cluster("second", [endpoint(world.sims["good"].address)], timeouts=quick)
            third = cluster("third", [endpoint(cls.scripted.address)], timeouts=quick)
            nobody = cluster("nobody", [endpoint("127.0.0.1:9")], timeouts=quick, retry={"attempts": 1})
            models = [{"name": name, "upstream_name": program, "cluster": "first", "fallbacks": ["stand-in"]} for name, program in PROGRAMS.items()]
            models += [{"name": name, "cluster": "third", "fallbacks": ["stand-in"], "context_window_fallbacks": ["large"]} for name in REFUSALS]
            models += [{"name": "unreachable", "cluster": "nobody", "fallbacks": ["gone", "stand-in"]}, {"name": "gone", "cluster": "nobody"},
                       {"name": "stand-in", "upstream_name": "sim:0:6:0", "cluster": "second"},
                       {"name": "large", "upstream_name": "sim:0:7:0", "cluster": "second"},
                       {"name": "slowly", "upstream_name": "fault:status:503", "cluster": "first", "fallbacks": ["slow"]},
                       {"name": "slow", "upstream_name": "sim:50:20:20000", "cluster": "second"}]
            for model in models:
                if model["name"] == "away":
                    model["cluster"] = "away"
                if model["name"] == "twice":
                    model["fallbacks"] = ["unavailable"]  # whose own fallbacks are not followed
            return {"server": {"listeners": [{"address": "127.0.0.1:0"}], "workers": 2}, "models": models, "clusters": [first, second, third, nobody, away],
                    "auth": {"allow_anonymous": True, "keys": [{"name": "narrow", "key_sha256": hashlib.sha256(KEY.encode()).hexdigest(), "models": ["barred"]}]}}
        return World(config, sims=("faulty", "good", "away"))

    def setUp(self):
        super().setUp()
        self.first, self.second = self.world.sims["faulty"], self.world.sims["good"]
        for sim in (self.first, self.second):
            sim.reset()
        self.scripted.forget()

    def ask(self, model, stream=False, headers=(), **fields):
        with h1_client.Connection(self.gateway.address) as connection:
            body = chat(self.id(), stream, model, temperature=fields.pop("temperature", None), **fields)
            answer = connection.ask("POST", CHAT, body, [("x-request-id", self.request_id()), ("content-type", "application/json"), *headers])
        answer.model = answer.header("x-penstock-model")
        return answer

    def line(self):
        return self.gateway.line_of(self.asked[-1])

    def fails_over(self, label, model, asked, stream):
        began = time.monotonic()
        answer = self.ask(model, stream)
        self.assertLess(time.monotonic() - began, 3)
        self.assertEqual((answer.status, answer.complete, answer.model), (200, True, "stand-in"), answer)
        if stream:
            self.assertEqual(answer.events()[-1], "[DONE]")
        else:
            self.assertEqual(json.loads(answer.body)["model"], "sim:0:6:0", "as its backend wrote it")
        first = self.world.sims["away"] if model == "away" else self.first
        self.assertEqual((first.stats()["received"], self.second.stats()["received"]), (asked, 1))
        line = self.line()
        self.assertEqual((line["model"], line["model_answered"], line["term"]), (model, "stand-in", "-"))
        # A pooled connection that turns out to be dead is replaced: that is part of the attempt.
        self.assertIn(line["attempts"], (asked, asked + 1) if model == "reset" else (asked + 1,))

    def test_fault_1_a_short_Retry_After_is_waited_out(self):
        began = time.monotonic()
        answer = self.ask("patient")
        self.assertEqual((answer.status, answer.model), (200, "patient"))
        self.assertGreaterEqual(time.monotonic() - began, 1.8)
        self.assertEqual((self.first.stats()["received"], self.second.stats()["received"]), (2, 0))

    def test_fault_3_a_500_once_is_asked_again(self):
        answer = self.ask("once")
        self.assertEqual((answer.status, answer.model), (200, "once"))
        self.assertEqual((self.first.stats()["received"], self.second.stats()["received"], self.line()["attempts"]), (2, 0, 2))

    def test_fault_12_too_long_goes_to_a_larger_window(self):
        answer = self.ask("toolong")
        self.assertEqual((answer.status, answer.model), (200, "large"))
        self.assertEqual((self.scripted.received["toolong"], self.second.stats()["received"]), (1, 1))

    def test_fault_13_a_policy_is_final(self):
        answer = self.ask("policy")
        self.assertEqual((answer.status, answer.error()["code"], answer.model), (400, "content_policy_violation", "policy"))
        self.assertEqual((self.scripted.received["policy"], self.second.stats()["received"]), (1, 0))
        self.assertEqual(answer.header("x-should-retry"), "false")

    def test_fault_16_only_the_answer_is_billed(self):
        def tokens(model):
            return sum(value for series, value in self.gateway.metrics().items()
                       if series.startswith("penstock_tokens_total{") and f'model="{model}"' in series)
        before = tokens("unavailable"), tokens("stand-in")
        usage = json.loads(self.ask("unavailable").body)["usage"]
        line = self.line()
        self.assertEqual((line["tokens_in"], line["tokens_out"]), (usage["prompt_tokens"], usage["completion_tokens"]))
        until(lambda: tokens("stand-in") - before[1] == usage["total_tokens"], "the stand-in's tokens")
        self.assertEqual(tokens("unavailable"), before[0])

    def test_a_bad_request_is_the_first_models_answer(self):
        answer = self.ask("forbidden")
        self.assertEqual((answer.status, answer.model), (400, "forbidden"))
        self.assertEqual((self.first.stats()["received"], self.second.stats()["received"]), (1, 0))

    def test_the_list_is_followed_in_order(self):
        answer = self.ask("unreachable")
        self.assertEqual((answer.status, answer.model), (200, "stand-in"))
        self.assertEqual(self.line()["attempts"], 3, "both endpoints that refuse, and the one that answers")

    def test_a_fallbacks_own_fallbacks_are_not_followed(self):
        answer = self.ask("twice")
        self.assertEqual((answer.status, answer.model), (503, "unavailable"))
        self.assertEqual((self.first.stats()["received"], self.second.stats()["received"]), (6, 0))
        self.assertEqual(self.line()["term"], "URX")

    def test_a_key_reaches_no_model_that_it_may_not_use(self):
        answer = self.ask("barred", headers=[("authorization", f"Bearer {KEY}")])
        self.assertEqual((answer.status, answer.model), (503, "barred"))
        self.assertEqual(self.second.stats()["received"], 0)

    def test_K_01_an_answer_is_kept_for_the_model_that_gave_it(self):
        first = self.ask("broken", temperature=0)
        self.assertEqual((first.model, first.header("x-penstock-cache")), ("stand-in", "miss"))
        again = self.ask("broken", temperature=0)
        self.assertEqual((again.model, again.header("x-penstock-cache")), ("stand-in", "miss"), "the first model is asked again")
        direct = self.ask("stand-in", temperature=0)
        self.assertEqual((direct.model, direct.header("x-penstock-cache")), ("stand-in", "hit-memory"))
        self.assertEqual(direct.body, again.body)

    def test_K_18_a_purge_reaches_what_a_stand_in_is_saying(self):
        body = chat(self.id(), True, "slowly")
        with h1_client.Connection(self.gateway.address) as connection:
            connection.send(connection.request_bytes("POST", CHAT, body, [("x-request-id", self.request_id())]))
            answer = connection.read_head()
            connection.wait_body(answer, b'"content"')
            with h1_client.Connection(self.gateway.admin) as admin:
                self.assertEqual(admin.ask("POST", "/admin/cache/purge", json.dumps({"model": "slow"}).encode()).status, 200)
            connection.read_body(answer)
        self.assertEqual((answer.status, answer.complete, answer.header("x-penstock-model")), (200, True, "slow"))
        self.assertEqual(self.ask("slow", True, temperature=0).header("x-penstock-cache"), "miss")
        self.assertEqual(self.ask("slow", True, temperature=0).header("x-penstock-cache"), "hit-memory")

    def test_K_13_followers_are_told_whose_answer_it_is(self):
        answers = harness.all_at_once(8, lambda _: self.ask("late", True, temperature=0))
        self.assertEqual({(a.status, a.header("x-penstock-model"), a.complete) for a in answers}, {(200, "stand-in", True)})
        self.assertEqual(sorted(a.header("x-penstock-cache") for a in answers), ["coalesced"] * 7 + ["miss"])
        self.assertEqual(self.first.stats()["received"], 1)


TENTH = 0.1  # of the benchmark's times


class Recovery(FaultCase):
    """Fault 15, ten times as fast: 60 s of 503, a request every 4 s, `open_max: 30s`."""

    @classmethod
    def make_world(cls):
        def config(world):
            breaker = {"open": "400ms", "open_max": "3s"}
            clusters = [cluster(name, [endpoint(world.sims[name].address)], retry={"attempts": 3, "budget": {}}, circuit_breaker=breaker)
                        for name in ("first", "second")]
            models = [{"name": "m", "upstream_name": "sim:0:6:0", "cluster": "first", "fallbacks": ["stand-in"]},
                      {"name": "stand-in", "upstream_name": "sim:0:6:0", "cluster": "second"}]
            return {"server": {"listeners": [{"address": "127.0.0.1:0"}]}, "models": models, "clusters": clusters, "cache": {"enabled": False}}
        return World(config, sims=("first", "second"))

    def test_fault_15_away_for_a_minute(self):
        first = self.world.sims["first"]
        first.answer_all_with("fault:status:503")
        began, well, asked, back = time.monotonic(), None, [], None
        with h1_client.Connection(self.gateway.address) as connection:
            while back is None or len(asked) < 20:
                if well is None and time.monotonic() - began >= 60 * TENTH:
                    first.answer_all_with("")
                    well = time.monotonic()
                before = first.stats()["received"]
                answer = connection.ask("POST", CHAT, chat(str(len(asked))), [("x-request-id", self.request_id())])
                asked.append(first.stats()["received"] - before)
                self.assertEqual(answer.status, 200)
                if well is not None and answer.header("x-penstock-model") == "m":
                    back = back or time.monotonic()
                self.assertLess(len(asked), 60, "it is used again")
                harness.pause(4 * TENTH)
        self.assertLessEqual(back - well, 30 * TENTH * 1.1 + 4 * TENTH + 1, "the breaker's longest time and its tenth, a request's interval, and this machine")
        opened = next(i for i in range(len(asked)) if sum(asked[:i]) >= 5)  # consecutive_failures
        self.assertLessEqual(max(asked[opened:]), 1, f"one probe at a time: {asked}")
        self.assertEqual(sum(asked[:opened]), 5)


if __name__ == "__main__":
    harness.main()
