"""Identical misses at once are one upstream call, and when that goes badly one other request begins anew (FAULTS K-13, K-14, K-15)."""

import json

import harness
from coalescing_case import CUT_HEAD, FIRST, FOLLOWERS, LAST, MARK, CoalescingCase, Crowd, bytes_of, first_time, good, status
from harness import table, until
from scripted_backend import chunk, events, message, plain

WAITERS_MAX = 1000  # CONTRACT 6: at most so many wait for one call
BROKEN_WHOLE = {"error-object": plain({"error": {"message": "no", "code": 500}}), "half-a-document": plain(b'{"choices":[{"message":')}
BEGUN = CUT_HEAD + bytes_of(*FIRST)


def cut_at_first(number, request):
    """The first time nothing of it is for the client yet: the call is made once more."""
    if number > 1:
        return good(number, request)
    return CUT_HEAD + bytes_of(chunk(role="assistant")) if request.get("stream") else plain(message("another"))[:-20]


ANSWERS = {
    "cut-at-first": cut_at_first,
    "stampede": good, "crowd": good, "cut-by-length": plain(message(finish="length")), "no-store": plain(message(), "cache-control: no-store"),
    "no-store-stream": events(*FIRST, *LAST, fields=("cache-control: no-store",)), "stalls": first_time([CUT_HEAD, b""]),
    "stalls-late": first_time([BEGUN, b""]), "breaks-late": first_time([BEGUN, bytes_of(chunk(" for water"))[:30]]),
    **{f"once{code}": first_time(status(code)) for code in (429, 500, 502, 503)}, "once-reset": first_time([b"HTTP/1.1 200"]),
    **{f"always{code}": status(code) for code in (400, 404, 413, 422, 429, 500)}, **{name: first_time(answer) for name, answer in BROKEN_WHOLE.items()},
}


@table("stampede", [(f"K-13 a thousand at once, {'stream' if s else 'plain'}", s) for s in (False, True)])
@table("once", [(f"K-14 {m} {'stream' if s else 'plain'}", m, s) for m in ("once429", "once500", "once502", "once503", "once-reset") for s in (False, True)])
@table("refused", [(f"K-14 {code} is everybody's, {'stream' if s else 'plain'}", code, s) for code in (400, 404, 413, 422) for s in (False, True)])
@table("own_error", [(f"K-14 {code} is nobody else's", code) for code in (500, 429)])
@table("broken_whole", [(f"K-14 {name}", name) for name in BROKEN_WHOLE])
@table("alone", [(f"K-14 {m}", m, s) for m, s in (("no-store", False), ("no-store-stream", True))])
class Coalescing(CoalescingCase):
    models = ANSWERS
    in_cluster = {"stalls": "quick", "stalls-late": "quick", "cut-at-first": "patient"}

    def stampede(self, label, stream):
        crowd = Crowd(self, 1000, self.body("stampede", stream))
        self.under_way(1000)
        self.backend.let("stampede")
        answers = crowd.answers()
        self.assertEqual(self.backend.received["stampede"], 1)
        self.assertEqual({(answer.status, answer.complete) for answer in answers}, {(200, True)})
        self.assertEqual(len({answer.body for answer in answers}), 1)
        self.assertEqual(sorted(answer.cache for answer in answers), ["coalesced"] * 999 + ["miss"])
        self.outcomes(done=999)
        lines = crowd.lines()
        self.assertEqual({(line["status"], line["term"]) for line in lines}, {(200, "-")})
        self.assertEqual([line["cache"] for line in lines if line["attempts"] or line["tokens_out"]], ["miss"], "billed once")

    def test_K_15_more_than_may_wait(self):
        more = 50
        leader, crowd = self.together("crowd", False, 0)
        crowd = Crowd(self, WAITERS_MAX + more, self.body("crowd", False))
        until(lambda: self.backend.received["crowd"] == 1 + more, lambda: f"who does not wait asks for himself: {self.backend.received['crowd']}")
        self.under_way(WAITERS_MAX + more + 1)
        self.assertEqual(self.backend.received["crowd"], 1 + more)
        self.backend.let("crowd", 1 + more)
        answers = leader.answers() + crowd.answers()
        self.assertEqual({(answer.status, answer.complete) for answer in answers}, {(200, True)})
        caches = [answer.cache for answer in answers]
        self.assertEqual((caches.count("coalesced"), caches.count("miss")), (WAITERS_MAX, 1 + more))
        self.outcomes(done=WAITERS_MAX, crowded=more)

    def once(self, label, model, stream):
        leader, crowd = self.together(model, stream)
        self.backend.let(model)
        self.assertGreaterEqual(leader.answers()[0].status, 429)
        self.one_new_leader(model, crowd)

    def one_new_leader(self, model, crowd):
        """ONE of those who waited asks anew, the others go on waiting."""
        self.outcomes(leader_failed=FOLLOWERS)
        until(lambda: self.backend.received[model] == 2, "the second call")
        self.backend.let(model, 2)
        answers = crowd.answers()
        self.assertEqual({(answer.status, answer.complete) for answer in answers}, {(200, True)})
        self.assertEqual(len({answer.body for answer in answers}), 1)
        self.assertEqual(sorted(answer.cache for answer in answers), ["coalesced"] * (FOLLOWERS - 1) + ["miss"])
        self.assertEqual(self.backend.received[model], 2)
        self.outcomes(leader_failed=FOLLOWERS, done=FOLLOWERS - 1)

    def broken_whole(self, label, model):
        """The first has what the backend sent with its 200; nobody else has that instead of an answer."""
        leader, crowd = self.together(model, False)
        self.backend.let(model)
        self.assertEqual(leader.answers()[0].status, 200)
        self.one_new_leader(model, crowd)

    def test_K_14_what_an_attempt_that_failed_sent_is_nobodys(self):
        for stream in (False, True):
            with self.subTest(stream=stream):
                self.backend.forget()
                self.before = self.counts()
                leader, crowd = self.together("cut-at-first", stream)
                self.backend.let("cut-at-first")
                until(lambda: self.backend.received["cut-at-first"] == 2, "the second attempt")
                self.backend.let("cut-at-first")
                answers = [*leader.answers(), *crowd.answers(), self.ask(self.body("cut-at-first", stream))]
                self.assertEqual([answer.cache for answer in answers], ["miss"] + ["coalesced"] * FOLLOWERS + ["hit-memory"])
                self.assertEqual({(answer.status, answer.complete, answer.body) for answer in answers}, {(200, True, answers[0].body)})
                self.assertEqual(self.backend.received["cut-at-first"], 2)
                self.outcomes(done=FOLLOWERS)
                self.purge({"all": True})

    def refused(self, label, code, stream):
        model = f"always{code}"
        crowd = Crowd(self, FOLLOWERS + 1, self.body(model, stream))
        self.under_way(FOLLOWERS + 1)
        self.backend.let(model)
        answers = crowd.answers()
        self.assertEqual({answer.status for answer in answers}, {code})
        self.assertEqual(len({answer.body for answer in answers}), 1)
        self.assertEqual(self.backend.received[model], 1)
        self.outcomes(done=FOLLOWERS)
        self.assertEqual(self.admin("GET", "/admin/cache").json()["calls_under_way"], 0)

    def test_K_14_each_hears_a_refusal_with_its_own_request_id(self):
        body = json.dumps({"model": "always400", "max_tokens": 9, "temperature": 0, "messages": [{"role": "user", "content": self.id()}]}).encode()
        crowd = Crowd(self, FOLLOWERS + 1, body, path="/v1/messages")
        self.under_way(FOLLOWERS + 1)
        self.backend.let("always400")
        answers = crowd.answers()
        self.assertEqual({answer.status for answer in answers}, {400})
        self.assertEqual([json.loads(answer.body)["request_id"] for answer in answers], crowd.ids)
        self.assertEqual(self.backend.received["always400"], 1)
        self.outcomes(done=FOLLOWERS)

    def own_error(self, label, code):
        model = f"always{code}"
        leader, crowd = self.together(model, False, 5)
        for i in range(6):
            until(lambda: self.backend.received[model] == i + 1, "the next leader's call")
            self.backend.let(model)
        answers = leader.answers() + crowd.answers()
        self.assertEqual([answer.status for answer in answers], [code] * 6)
        self.assertEqual((self.backend.received[model], self.backend.peak[model]), (6, 1), "each its own, one at a time")
        # One who comes back late finds the next call failed as well, and has waited for one call less.
        until(lambda: 5 <= self.counts()["leader_failed"] - self.before["leader_failed"] <= 5 + 4 + 3 + 2 + 1, "all but the first have waited")

    def alone(self, label, model, stream):
        leader, crowd = self.together(model, stream)
        self.backend.let(model)
        until(lambda: self.backend.received[model] == 1 + FOLLOWERS, "each asks for himself")
        self.backend.let(model, FOLLOWERS)
        answers = leader.answers() + crowd.answers()
        self.assertEqual({(answer.status, answer.cache) for answer in answers}, {(200, "miss")})
        self.outcomes(uncacheable=FOLLOWERS)

    def test_K_14_what_is_not_kept_may_be_shared_all_the_same(self):
        leader, crowd = self.together("cut-by-length", False)
        self.backend.let("cut-by-length", 2)
        answers = leader.answers() + crowd.answers()
        self.assertEqual(sorted(answer.cache for answer in answers), ["coalesced"] * FOLLOWERS + ["miss"])
        self.assertEqual(self.backend.received["cut-by-length"], 1)
        self.assertEqual(self.ask(self.body("cut-by-length", False)).cache, "miss")

    def broken_late(self, model):
        """It breaks behind content: those who had begun are told, those who wait for all of it begin anew with one call."""
        leader, streams = self.together(model, True)
        wholes = Crowd(self, 5, self.body(model, False))
        self.under_way(1 + FOLLOWERS + 5)
        self.backend.let(model)
        begun = leader.heads(MARK) + streams.heads(MARK)
        self.assertEqual([head.header("x-penstock-cache") for head in begun], ["miss"] + ["coalesced"] * FOLLOWERS)
        self.backend.let(model)
        for answer in leader.answers(begun[:1]) + streams.answers(begun[1:]):
            self.assertEqual((answer.status, answer.complete), (200, False), answer)
            self.assertNotIn("[DONE]", answer.events())
            self.assertIn('"code":"stream_interrupted"', answer.events()[-1])
        self.outcomes(leader_failed=FOLLOWERS + 5)
        until(lambda: self.backend.received[model] == 2, "the second call")
        self.backend.let(model, 2)
        answers = wholes.answers()
        self.assertEqual(sorted(answer.cache for answer in answers), ["coalesced"] * 4 + ["miss"])
        self.assertEqual({(answer.status, answer.complete) for answer in answers}, {(200, True)})
        self.assertEqual(self.backend.received[model], 2)
        self.outcomes(leader_failed=FOLLOWERS + 5, done=4)
        self.assertNotIn("-", {line["term"] for line in leader.lines() + streams.lines()})

    def test_K_14_leader_breaks_behind_content(self):
        self.broken_late("breaks-late")

    def test_K_14_leader_stalls_behind_content(self):
        self.broken_late("stalls-late")

    def test_K_14_leader_stalls_before_content(self):
        leader, crowd = self.together("stalls", True)
        self.backend.let("stalls")
        self.assertEqual(leader.answers()[0].status, 504)
        self.one_new_leader("stalls", crowd)


if __name__ == "__main__":
    harness.main()
