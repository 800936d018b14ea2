"""Streams that break after their beginning was sent (CONTRACT 7): who goes on with them, what the client reads, what is told to whom.
The numbers are those of the provider faults in docs/resilience.md."""

import json
import time

import h1_client
import harness
from cache_test import CHAT, chat
from harness import FaultCase, World, cluster, endpoint, table, until

WELL = "sim:0:60:0"
# What the first endpoint does with a stream of 60 tokens.
BREAKS = [("8 cut", "fault:cut:after=40:tokens=60"), ("9 stalled", "fault:stall:after=20:tokens=60"),
          ("10 a malformed event", "fault:malformed:json:after=10:tokens=60"), ("an error event", "fault:error:after=20:tokens=60"),
          ("ended without a word", "fault:end:after=30:tokens=60"), ("half an event", "fault:split:cut:after=30:tokens=60")]
# model, who goes on with it
RESCUED = [("restart", "second"), ("restart-elsewhere", "good"), ("continue", "second"), ("continue-elsewhere", "good"), ("refused", "refuser")]
QUICK = {"headers": "1s", "first_token": "1s", "idle": "1s", "total": "20s"}


def text_in(events):
    return "".join(choice["delta"].get("content") or "" for event in map(json.loads, events) for choice in event.get("choices", ()))


def text_of(answer):
    return text_in(answer.events()[:-1])


@table("rescued", [(f"fault {name}, {model}", program, model, who) for name, program in BREAKS for model, who in RESCUED])
class Rescues(FaultCase):
    @classmethod
    def make_world(cls):
        def config(world):
            first = endpoint(world.sims["faulty"].wire, weight=1000)
            able = {"assistant_prefill": True}
            pair = cluster("pair", [first, endpoint(world.sims["second"].address, **able)], timeouts=QUICK, balancer={"policy": "weighted"})
            alone = cluster("alone", [first], timeouts=QUICK, retry={"attempts": 3})
            good = cluster("good", [endpoint(world.sims["good"].address, **able)], timeouts=QUICK)
            refuser = cluster("refuser", [endpoint(world.sims["refuser"].address, **able)], timeouts=QUICK)
            models = [{"name": "off", "cluster": "pair"}, {"name": "restart", "cluster": "pair", "rescue": "restart"},
                      {"name": "continue", "cluster": "pair", "rescue": "continue"},
                      {"name": "restart-elsewhere", "cluster": "alone", "rescue": "restart", "fallbacks": ["stand-in"]},
                      {"name": "continue-elsewhere", "cluster": "alone", "rescue": "continue", "fallbacks": ["stand-in"]},
                      {"name": "refused", "cluster": "alone", "rescue": "continue", "fallbacks": ["no-prefill"]},
                      {"name": "another", "cluster": "alone", "rescue": "restart", "fallbacks": ["other-words"]},
                      {"name": "alone", "cluster": "alone", "rescue": "restart"},
                      {"name": "held", "cluster": "alone", "hold": 64, "fallbacks": ["stand-in"]},
                      {"name": "held-restart", "cluster": "alone", "hold": 64, "rescue": "restart", "fallbacks": ["stand-in"]},
                      {"name": "stand-in", "cluster": "good"}, {"name": "no-prefill", "cluster": "refuser"},
                      {"name": "other-words", "cluster": "good", "upstream_name": "sim:0:60:1"}]
            for model in models:
                model.setdefault("upstream_name", WELL)
            return {"server": {"listeners": [{"address": "127.0.0.1:0"}], "workers": 2}, "models": models, "clusters": [pair, alone, good, refuser]}
        return World(config, sims=("faulty", "second", "good", "refuser"), sim_arguments={"refuser": ["--no-prefill"]})

    def setUp(self):
        super().setUp()
        self.first = self.world.sims["faulty"]
        for sim in self.world.sims.values():
            sim.reset()
        self.addCleanup(self.first.answer_all_with, "")

    def whole(self, prompt=None, **fields):
        """The text as a server that does not fail says it."""
        with h1_client.Connection(self.gateway.address) as connection:
            answer = connection.ask("POST", CHAT, chat(prompt or self.id(), True, "stand-in", **fields), [("x-penstock-cache", "bypass")])
        self.world.sims["good"].reset()
        return text_of(answer)

    def ask(self, model, headers=(), **fields):
        with h1_client.Connection(self.gateway.address) as connection:
            body = chat(self.id(), True, model, **fields)
            return connection.ask("POST", CHAT, body, [("x-request-id", self.request_id()), *headers])

    def line(self):
        return self.gateway.line_of(self.asked[-1])

    def received(self):
        return {name: sim.stats()["received"] for name, sim in self.world.sims.items() if name != "canary"}

    def rescues(self, result):
        harness.pause(0.15)
        return self.gateway.metrics().get(f'penstock_rescues_total{{result="{result}"}}', 0)

    def rescued(self, label, program, model, who):
        whole, before = self.whole(), self.rescues("completed")
        self.first.answer_all_with(program)
        began = time.monotonic()
        answer = self.ask(model, stream_options={"include_usage": True})
        self.assertLess(time.monotonic() - began, 5)
        self.assertEqual((answer.status, answer.complete, answer.events()[-1]), (200, True, "[DONE]"), answer)
        self.assertEqual(text_of(answer), whole, "nothing twice, nothing missing")
        events = [json.loads(event) for event in answer.events()[:-1]]
        self.assertEqual(len({event["id"] for event in events}), 1, "one answer")
        self.assertEqual(sum("role" in choice["delta"] for event in events for choice in event["choices"]), 1)
        self.assertEqual([bool(event.get("usage")) for event in events], [False] * (len(events) - 1) + [True])
        received = self.received()
        self.assertEqual((received["faulty"], received[who]), (1, 2 if model == "refused" else 1), received)
        line = self.line()
        self.assertEqual((line["term"], line["attempts"]), ("-", 3 if model == "refused" else 2))
        self.assertEqual((line["tokens_in"], line["tokens_out"]), tuple(events[-1]["usage"][f"{part}_tokens"] for part in ("prompt", "completion")))
        self.assertEqual(self.rescues("completed"), before + 1)
        if model.startswith("continue"):
            sent = json.loads(self.world.sims[who].last()[-1]["body"])
            self.assertEqual([message["role"] for message in sent["messages"]], ["user", "assistant"])
            self.assertTrue(whole.startswith(sent["messages"][1]["content"]))
            self.assertTrue(sent["continue_final_message"])

    def interrupted(self, answer, whole):
        """The client is told, and what it has is true as far as it goes."""
        self.assertEqual((answer.status, answer.complete), (200, False), answer)
        self.assertEqual(json.loads(answer.events()[-1])["error"]["code"], "stream_interrupted")
        self.assertNotIn("[DONE]", answer.events())
        said = text_of(answer)
        self.assertTrue(said and whole.startswith(said) and said != whole, said)
        self.assertIn(self.line()["term"], ("UC", "UR"))

    def test_fault_8_cut_without_rescue(self):
        whole = self.whole()
        self.first.answer_all_with("fault:cut:after=40:tokens=60")
        self.interrupted(self.ask("off"), whole)
        self.assertEqual(self.received()["second"], 0)

    def test_fault_8_cut_within_what_is_held(self):
        whole = self.whole(temperature=None)
        self.first.answer_all_with("fault:cut:after=40:tokens=60")
        answer = self.ask("held", temperature=None)
        self.assertEqual((answer.status, answer.complete, answer.events()[-1]), (200, True, "[DONE]"))
        self.assertEqual((text_of(answer), answer.header("x-penstock-model")), (whole, "stand-in"), "whoever it is: nothing was sent before")

    def test_what_is_malformed_before_commit_is_answered_anew(self):
        for program, model, who in (("fault:malformed:json:after=role", "restart", "restart"), ("fault:malformed:json:after=role", "restart-elsewhere", "stand-in"),
                                    ("fault:malformed:json:after=10:tokens=60", "held-restart", "stand-in")):
            with self.subTest(model):
                whole = self.whole()
                self.first.reset()
                self.first.answer_all_with(program)
                answer = self.ask(model)
                self.assertEqual((answer.status, answer.complete, text_of(answer)), (200, True, whole))
                self.assertEqual(answer.header("x-penstock-model"), who)

    def test_what_is_held_is_sent_when_there_is_more(self):
        self.first.answer_all_with("fault:stall:after=70:tokens=200")
        with h1_client.Connection(self.gateway.address) as connection:
            connection.send(connection.request_bytes("POST", CHAT, chat(self.id(), True, "held"), [("x-request-id", self.request_id())]))
            answer = connection.read_head()
            connection.read_body(answer)
        self.assertEqual(len([event for event in answer.events() if '"content"' in event and '"content":""' not in event]), 70)
        self.assertFalse(answer.complete)

    def test_what_is_held_is_sent_when_it_is_all(self):
        self.first.answer_all_with("sim:0:10:0")
        answer = self.ask("held")
        self.assertEqual((answer.complete, answer.events()[-1], answer.header("x-penstock-model")), (True, "[DONE]", "held"))

    def test_fault_10_a_malformed_event_without_rescue_is_relayed(self):
        self.first.answer_all_with("fault:malformed:json:after=10:tokens=60")
        answer = self.ask("off")
        self.assertEqual((answer.complete, answer.events()[-1]), (True, "[DONE]"))
        with self.assertRaises(ValueError):
            text_of(answer)
        self.assertEqual(self.received()["second"], 0)

    def test_fault_11_no_DONE(self):
        for model in ("off", "restart"):
            whole = self.whole()
            self.first.reset()
            self.first.answer_all_with("fault:no-done:tokens=60")
            answer = self.ask(model, stream_options={"include_usage": True})
            self.assertEqual((answer.complete, answer.events()[-1], text_of(answer)), (True, "[DONE]", whole))
            self.assertEqual((self.line()["tokens_out"], self.received()["faulty"]), (60, 1))

    def test_what_is_left_to_chance_is_not_asked_anew(self):
        whole = self.whole(temperature=1)
        self.first.answer_all_with("fault:cut:after=40:tokens=60")
        before = self.rescues("failed")
        self.interrupted(self.ask("restart", temperature=1), whole)
        self.assertEqual(self.received()["second"], 0)
        self.assertEqual(self.rescues("failed"), before + 1)

    def test_but_it_is_gone_on_with(self):
        whole = self.whole(temperature=1)
        self.first.answer_all_with("fault:cut:after=40:tokens=60")
        self.assertEqual(text_of(self.ask("continue", temperature=1)), whole)

    def test_another_answer_is_not_joined(self):
        whole = self.whole()
        self.first.answer_all_with("fault:cut:after=40:tokens=60")
        self.interrupted(self.ask("another"), whole)
        self.assertEqual(self.received()["good"], 1)
        self.assertEqual(self.line()["model_answered"], "another")

    def test_a_shorter_answer_is_not_joined(self):
        """It ends by [DONE] alone, before it has said what the client has."""
        whole = self.whole()
        self.first.answer_all_with("fault:cut:after=40:tokens=60")
        second = self.world.sims["second"]
        second.answer_all_with("fault:no-finish:tokens=10")
        self.addCleanup(second.answer_all_with, "")
        self.interrupted(self.ask("restart"), whole)
        self.assertEqual(self.received()["second"], 1)

    def test_the_same_endpoint_is_the_last_resort(self):
        whole = self.whole()
        self.first.answer_all_with("fault:cut:after=40:tokens=60:times=1")
        answer = self.ask("alone")
        self.assertEqual((text_of(answer), answer.events()[-1], self.received()["faulty"]), (whole, "[DONE]", 2))

    def test_but_not_when_it_was_silent(self):
        whole = self.whole()
        self.first.answer_all_with("fault:stall:after=20:tokens=60")
        answer = self.ask("alone")
        self.assertEqual((answer.complete, self.received()["faulty"], self.line()["term"]), (False, 1, "UT"))
        self.assertTrue(whole.startswith(text_in(answer.events())))

    def test_the_last_resort_is_asked_once(self):
        self.first.answer_all_with("fault:cut:after=40:tokens=60")
        answer = self.ask("alone")
        self.assertEqual((answer.complete, self.line()["attempts"], self.received()["faulty"]), (False, 2, 2))

    def test_tools_are_not_joined(self):
        self.first.answer_all_with("fault:cut:after=4:tokens=60:delta=tool_calls")
        answer = self.ask("restart")
        self.assertEqual((answer.complete, self.received()["second"]), (False, 0))

    def test_K_09_what_two_servers_said_is_not_kept(self):
        self.first.answer_all_with("fault:cut:after=40:tokens=60")
        for _ in range(2):
            answer = self.ask("restart")
            self.assertEqual((answer.header("x-penstock-cache"), answer.events()[-1]), ("miss", "[DONE]"))

    def test_K_13_followers_read_it_to_its_end(self):
        whole = self.whole()
        self.first.answer_all_with("fault:stall:after=20:tokens=60")
        answers = harness.all_at_once(4, lambda _: self.ask("continue"))
        self.assertEqual([(a.complete, text_of(a)) for a in answers], [(True, whole)] * 4)
        self.assertEqual(sorted(a.header("x-penstock-cache") for a in answers), ["coalesced"] * 3 + ["miss"])
        self.assertEqual((self.received()["faulty"], self.received()["second"]), (1, 1))

    def test_C_01_who_leaves_meanwhile_is_noticed(self):
        self.first.answer_all_with("fault:cut:after=40:tokens=60")
        second = self.world.sims["second"]
        second.answer_all_with("sim:5000:60:0")
        self.addCleanup(second.answer_all_with, "")
        with h1_client.Connection(self.gateway.address) as connection:
            connection.send(connection.request_bytes("POST", CHAT, chat(self.id(), True, "restart"), [("x-request-id", self.request_id())]))
            answer = connection.read_head()
            connection.wait_body(answer, b'"content"')
            until(lambda: second.stats()["received"] == 1, "somebody else is asked")
        until(lambda: second.stats()["cancelled"] == 1, "and told to stop", 2)
        self.assertEqual(self.line()["term"], "DC")


if __name__ == "__main__":
    harness.main()
