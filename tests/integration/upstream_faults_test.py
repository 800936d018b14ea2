"""Group (d) of the fault catalogue, and what HTTP/1.1 backends send (H1-36, H1-37), by the simulator's fault programs over
HTTP/1.1 and h2c, asked for over both."""

import json
import re
import threading

import h1_client
import h2_client
import harness
from harness import FaultCase, World, cluster, endpoint, table

PATHS = {"chat": "/v1/chat/completions", "completions": "/v1/completions", "responses": "/v1/responses", "messages": "/v1/messages"}
UPSTREAM = {"h1": "http1", "h2": "h2"}
# Clusters by what is special in them. One timeout each: the others are at their defaults, which no test would live to see.
SPECIAL = {"": {}, "head": {"timeouts": {"headers": "400ms"}}, "token": {"timeouts": {"first_token": "400ms"}},
           "idle": {"timeouts": {"idle": "400ms"}}, "proven": {"retry": {"unproven": False}}}
GOOD = "sim:0:8:0"


def body_of(model, family="chat", stream=True, **more):
    request = {"model": model, "stream": stream, **more}
    if family == "completions":
        request["prompt"] = "hi"
    elif family == "responses":
        request["input"] = "hi"
    else:
        request["messages"] = [{"role": "user", "content": "hi"}]
    if family == "messages":
        request["max_tokens"] = 100
    return json.dumps(request)


# Judges: what became of the answer. None of them may take a cut answer for a whole one.

def whole(test, answer, family="chat"):
    test.assertEqual((answer.status, answer.complete), (200, True), answer)
    text = answer.body.decode()
    if "text/event-stream" in answer.header("content-type", ""):
        events = answer.events()
        if family in ("chat", "completions"):
            test.assertEqual(events[-1], "[DONE]", answer)
            test.assertEqual(events.count("[DONE]"), 1, answer)
        else:
            test.assertIn({"messages": '"message_stop"', "responses": '"response.completed"'}[family], events[-1])
        test.assertNotIn('"error":{', text)
    else:
        test.assertIn(family == "messages" and "stop_reason" or "id", answer.json())


def cut(test, answer, family="chat"):
    """Status 200, content, an error event of the family as the last one, no success marker, broken framing."""
    test.assertEqual((answer.status, answer.complete), (200, False), answer)
    events = answer.events()
    test.assertNotIn("[DONE]", events)
    last = [json.loads(event) for event in events][-1]  # each of them can be parsed
    if family == "responses":
        test.assertEqual(last["type"], "response.failed", answer)
        test.assertNotIn("response.completed", answer.body.decode())
    elif family == "messages":
        test.assertEqual((last["type"], b"event: error" in answer.body), ("error", True), answer)
        test.assertNotIn("message_stop", answer.body.decode())
    else:
        test.assertEqual((last["error"]["type"], last["error"]["code"]), ("upstream_error", "stream_interrupted"), answer)
    if isinstance(answer, h2_client.Stream):
        test.assertEqual(answer.reset, h2_client.INTERNAL_ERROR)


def status(number, code=None):
    def judge(test, answer, family="chat"):
        test.assertEqual((answer.status, answer.complete), (number, True), answer)
        if code is not None:
            error = answer.error()
            test.assertEqual(error.get("code", code) if family == "messages" else error["code"], code, answer)
    return judge


RESET = status(502, "upstream_reset")
PROTOCOL = status(502, "upstream_protocol")
TIMEOUT = status(504, "upstream_timeout")

# label, program, judge, requests that the backend sees, upstream protocols, stream, cluster
ROWS = [
    ("U-04 reset always", "fault:reset", RESET, 2),
    ("U-04 reset once", "fault:reset:times=1", whole, 2),
    ("U-04 reset where only proven retries are wanted", "fault:reset:times=1", RESET, 1, "both", True, "proven"),
    ("U-04 close always", "fault:close", RESET, None),
    ("U-06 dies behind the head, once", "fault:cut:after=head:times=1", whole, 2),
    ("U-06 dies behind the head, always", "fault:cut:after=head", RESET, 2),
    ("U-06 dies behind the role, once", "fault:cut:after=role:times=1", whole, 2),
    ("U-06 dies behind the role, always", "fault:cut:after=role", RESET, 2),
    ("U-07 cut", "fault:cut", cut, 1),
    ("U-07 cut behind everything but the finish", "fault:cut:after=8", cut, 1),
    ("U-07 reset", "fault:reset:after=3", cut, 1),
    ("U-07 reset with NO_ERROR", "fault:reset:after=3:code=0", cut, 1, "h2"),
    ("U-08 half an event, cut", "fault:split:cut", cut, 1),
    ("U-08 half an event, clean end", "fault:split:end", cut, 1),
    ("U-08 half an event, reset", "fault:split:reset", cut, 1),
    ("U-09 FIN on an event's boundary", "fault:close:after=3", cut, 1),
    ("U-09 FIN in the head", "fault:half-head", RESET, None, "h1"),
    ("U-10 neither finish nor DONE", "fault:end", cut, 1),
    ("U-10 finish but no DONE", "fault:no-done", whole, 1),
    ("U-10 end before content", "fault:end:after=role", RESET, 2),
    ("U-11 error event before content, once", "fault:error:times=1", whole, 2),
    ("U-11 error event before content, always", "fault:error", status(500), 2),
    ("U-12 silence", "fault:silence", TIMEOUT, 1, "both", True, "head"),
    ("U-12 silence behind the head", "fault:silence:after=head", TIMEOUT, 1, "both", True, "token"),
    ("U-12 silence behind the role", "fault:stall:after=role", TIMEOUT, 1, "both", True, "token"),
    ("U-12 stall", "fault:stall", cut, 1, "both", True, "idle"),
    ("U-12 slow head", "fault:slow-head", TIMEOUT, 1, "h1", True, "head"),
    ("U-13 bytes that are no event", "fault:slow:ms=50", cut, 1, "both", True, "idle"),
    ("U-15 endless line", "fault:endless", cut, 1),
    ("U-16 HTML", "fault:html", PROTOCOL, 1),
    ("U-16 HTML for a plain request", "fault:html", PROTOCOL, 1, "both", False),
    ("U-19 GOAWAY that covers the stream", "fault:goaway:times=1", whole, 1, "h2"),
    ("U-19 GOAWAY before the stream", "fault:goaway:last=before:times=1", whole, 2, "h2"),
    ("U-20 two steps", "fault:goaway:two-step:times=1", whole, 1, "h2"),
    ("U-20 calm down", "fault:goaway:code=11:last=before:times=1", whole, 2, "h2"),
    ("U-21 refused once", "fault:refused-stream:times=1", whole, 2, "h2"),
    ("U-21 refused where only proven retries are wanted", "fault:refused-stream:times=1", whole, 2, "h2", True, "proven"),
    ("U-21 refused always", "fault:refused-stream", RESET, 2, "h2"),
    ("U-22 NO_ERROR behind the answer", "fault:reset:after=end:code=0", whole, 1, "h2"),
    ("U-22 CANCEL before the head", "fault:reset:code=8", RESET, 2, "h2"),
    ("U-22 INTERNAL before the head", "fault:reset:code=2", RESET, 2, "h2"),
    ("U-23 limit lowered", "fault:max-streams:n=1", whole, 1, "h2"),
    ("U-24 behind the head", "fault:reset:after=head:code=0", RESET, 2, "h2"),
    ("U-24 in the body", "fault:reset:after=2:code=0", cut, 1, "h2"),
    ("U-33 length too long", "fault:length-long", RESET, 2, "h1", False),
    ("U-33 length too long for a stream", "fault:length-long", (RESET, cut, whole), None, "h1"),
    ("U-33 length wrong in HTTP/2", "fault:length-long", (RESET, PROTOCOL), None, "h2", False),
    ("U-35 1,000 fields of 1 MiB", "fault:head-bomb", PROTOCOL, None),
    ("U-35 one field of 70,000 bytes", "fault:head-bomb:n=1:bytes=70000", PROTOCOL, None),
    ("U-35 CR in a value", "fault:bad-field:cr", PROTOCOL, None),
    ("U-35 NUL in a value", "fault:bad-field:nul", PROTOCOL, None),
    ("U-35 5 MiB of trailers", "fault:trailers", (PROTOCOL, cut, RESET), None, "both", False),
    ("H1-36 two lengths", "fault:two-lengths", PROTOCOL, 1, "h1", False),
    ("H1-36 length and chunked", "fault:length-and-chunked", PROTOCOL, 1, "h1", False),
    ("H1-36 coding in HTTP/2", "fault:length-and-chunked", (PROTOCOL, RESET), None, "h2", False),
    ("H1-36 unknown coding", "fault:unknown-coding", PROTOCOL, 1, "h1", False),
    ("H1-36 chunked in 1.0", "fault:chunked-in-10", PROTOCOL, 1, "h1", False),
    ("H1-36 LF only", "fault:bare-lf", PROTOCOL, 1, "h1", False),
    ("H1-36 10,000 interim answers", "fault:interim", PROTOCOL, 1, "h1", False),
    ("H1-36 101 that nobody asked for", "fault:switching", PROTOCOL, 1, "h1", False),
    ("H1-36 body behind 204", "fault:body-after-204", PROTOCOL, 1, "h1", False),
    ("H1-36 space before a colon", "fault:bad-field:space", PROTOCOL, 1, "h1", False),
    ("H1-36 empty name", "fault:bad-field:empty", PROTOCOL, 1, "h1", False),
    ("H1-36 fold", "fault:bad-field:fold", PROTOCOL, 1, "h1", False),
    *[(f"H1-36 chunk {v}", f"fault:bad-chunk:{v}", (PROTOCOL, RESET), None, "h1", False)
      for v in ("size", "long", "short", "ending", "half")],
    ("H1-37 no HTTP", "fault:plain", PROTOCOL, 1, "h1", False),
]


def expand():
    for label, program, judge, count, *rest in ROWS:
        upstreams, stream, kind = (*rest, *("both", True, "")[len(rest):])
        for upstream in ("h1", "h2") if upstreams == "both" else (upstreams,):
            for client in ("h1", "h2"):
                yield (f"{label} {client} to {upstream}", client, f"{kind}{upstream}", program, judge, count, stream)


MALFORMED = ["json", "nodata", "cr", "bom", "comment", "id", "multiline", "empty", "utf8"]
CASES = list(expand())
EXTRA = ["fault:json-for-stream", "fault:silence", "fault:two-lengths", "fault:body-after-204", "fault:switching", "fault:sse-for-json", "fault:close:times=1", "fault:error:after=3", "fault:extra", "fault:length-short",
         "fault:early", "fault:stall", "fault:goaway:last=before:times=1", "fault:max-streams:n=1", GOOD, "sim:0:40:1000",
         *[f"fault:malformed:{v}" for v in MALFORMED]]
FAMILY_PROGRAMS = ["fault:cut", "fault:end", "fault:close:after=3", "fault:no-done", "fault:split:end", "fault:stall"]


@table("one", CASES)
@table("malformed", [(f"U-14 {v} {c} to {u}", v, c, u) for v in MALFORMED for u in ("h1", "h2") for c in ("h1", "h2")])
@table("family", [(f"{'U-10' if 'no-done' in p or p == 'fault:end' else 'U-07'} {p} {f} {c}", p, f, c) for p in FAMILY_PROGRAMS
                  for f in PATHS for c in ("h1", "h2")])
class Upstream(FaultCase):
    @classmethod
    def make_world(cls):
        # Only what is asked for: each model has its series, and they are limited.
        asked = {(case[2], case[3]) for case in CASES} | {(u, p) for u in UPSTREAM for p in EXTRA + FAMILY_PROGRAMS} | {("idleh1", "fault:stall")}

        def config(world):
            wire = world.sims["faulty"].wire
            clusters = [cluster(name + u, [endpoint(wire, p)], **more) for name, more in SPECIAL.items() for u, p in UPSTREAM.items()]
            return {
                "server": {"listeners": [{"address": "127.0.0.1:0"}], "limits": {"sse_event": "64KiB"}},
                "models": [{"name": f"{c}|{p}", "upstream_name": p, "cluster": c} for c, p in sorted(asked)],
                "clusters": clusters,
            }
        return World(config, sims=("faulty",))

    def setUp(self):
        super().setUp()
        self.faulty = self.world.sims["faulty"]
        self.faulty.reset()

    def ask(self, client, upstream, program, family="chat", stream=True, **more):
        return h2_client.ask(client, self.gateway.address, PATHS[family], body_of(f"{upstream}|{program}", family, stream, **more),
                             [("x-request-id", self.request_id())])

    def one(self, label, client, upstream, program, judges, count, stream):
        answer = self.ask(client, upstream, program, stream=stream)
        judges = judges if isinstance(judges, tuple) else (judges,)
        for judge in judges[:-1]:
            try:
                judge(self, answer)
                break
            except (AssertionError, KeyError, ValueError):
                continue
        else:
            judge = judges[-1]
            judge(self, answer)
        self.assertEqual(answer.header("x-request-id"), self.asked[-1])
        if count is not None:
            self.assertEqual(self.faulty.stats(program)["received"], count, "O7: requests at the backend")
        self.assertEqual(self.term_of() == "-", judge is whole, f"term {self.term_of()}")
        self.still_good(client, upstream)

    def still_good(self, client, upstream):
        """What the fault left in the pool serves the next request."""
        whole(self, self.ask(client, upstream[-2:], GOOD))

    def family(self, label, program, family, client):
        upstream = "idleh1" if program == "fault:stall" else "h1"
        answer = self.ask(client, upstream, program, family)
        judge = whole if program == "fault:no-done" else cut
        if program == "fault:no-done" and family not in ("chat", "completions"):
            judge = cut  # their last event is the terminal one
        judge(self, answer, family)
        self.assertEqual(self.faulty.stats(program)["received"], 1)

    def malformed(self, label, variant, client, upstream):
        program = f"fault:malformed:{variant}"
        before = harness.settled(lambda: self.metric("penstock_sse_malformed_total"))
        malformed = variant in ("json", "nodata", "utf8")
        body = body_of(program)
        with h1_client.Connection(self.faulty.wire) as direct:
            expected = direct.ask("POST", PATHS["chat"], body)
        answer = self.ask(client, upstream, program)
        self.assertEqual((answer.status, answer.complete), (200, True), answer)
        self.assertEqual(_anonymous(answer.body), _anonymous(expected.body), "relayed byte for byte")
        self.assertEqual(self.term_of(), "-")
        if malformed:
            harness.until(lambda: self.metric("penstock_sse_malformed_total") == before + 1, "O6: the malformed event counted")

    def metric(self, prefix):
        return sum(value for series, value in self.gateway.metrics().items() if series.startswith(prefix))

    def test_U_07_interruptions_are_counted(self):
        before = harness.settled(lambda: self.metric("penstock_stream_interruptions_total"))
        for program in ("fault:cut", "fault:end", "fault:error:after=3", GOOD):
            self.ask("h1", "h1", program)
        harness.until(lambda: self.metric("penstock_stream_interruptions_total") == before + 3, "O6: three interruptions counted")

    def test_U_05_stale_pooled_connection(self):
        for upstream in ("h1", "h2"):
            with self.subTest(upstream):
                self.faulty.reset()
                whole(self, self.ask("h1", upstream, GOOD))  # opens the connection
                whole(self, self.ask("h1", upstream, "fault:close:times=1"))
                line = self.gateway.line_of(self.asked[-1])
                self.assertEqual((line["attempts"], line["term"]), (1, "-"), "no failure of an attempt")

    def test_U_11_error_event_behind_content(self):
        told = 'penstock_stream_interruptions_total{cause="stream_interrupted"}'
        before = harness.settled(lambda: self.metric(told))
        for client in ("h1", "h2"):
            for upstream in ("h1", "h2"):
                with self.subTest(client=client, upstream=upstream):
                    answer = self.ask(client, upstream, "fault:error:after=3")
                    self.assertEqual(answer.status, 200)
                    self.assertFalse(answer.complete, "presented as success")
                    self.assertNotIn("[DONE]", answer.events())
                    self.assertIn("error", json.loads(answer.events()[-1]))
                    self.assertNotEqual(self.term_of(), "-")
        harness.until(lambda: self.metric(told) == before + 4, "its cause is the error that was told, not the end behind it")

    def test_U_12_deadline_of_the_request(self):
        for stream in (True, False):
            answer = h2_client.ask("h1", self.gateway.address, PATHS["chat"], body_of("h1|fault:silence", stream=stream),
                                   [("x-request-id", self.request_id()), ("x-penstock-timeout-ms", "200")])
            status(504, "deadline_exceeded")(self, answer)
        harness.until(lambda: self.faulty.stats("fault:silence")["cancelled"] == 2, "both cancelled at the backend")

    def test_U_16_json_for_a_stream(self):
        answer = self.ask("h1", "h1", "fault:json-for-stream")
        self.assertEqual((answer.status, answer.complete), (200, True))
        self.assertTrue(answer.header("content-type").startswith("application/json"))
        self.assertIn("choices", answer.json())

    def test_U_16_stream_for_json(self):
        answer = self.ask("h1", "h1", "fault:sse-for-json", stream=False)
        self.assertEqual((answer.status, answer.complete), (200, True))
        self.assertTrue(answer.header("content-type").startswith("text/event-stream"))
        self.assertEqual(answer.events()[-1], "[DONE]")

    def test_U_19_goaway_with_ten_streams_open(self):
        with h2_client.Connection(self.gateway.address) as connection:
            open_streams = [connection.request(body_of("h2|sim:0:40:1000"), [("x-request-id", self.request_id())]) for _ in range(10)]
            self.assertEqual(connection.finish(connection.request(body_of("h2|fault:goaway:last=before:times=1"))).status, 200)
            for stream in open_streams:
                whole(self, connection.finish(stream))

    def test_U_23_one_stream_at_a_time(self):
        with h2_client.Connection(self.gateway.address) as connection:
            streams = [connection.request(body_of("h2|fault:max-streams:n=1"), [("x-request-id", self.request_id())]) for _ in range(8)]
            for stream in streams:
                whole(self, connection.finish(stream))

    def test_U_32_answer_before_the_request_is_finished(self):
        for client in ("h1", "h2"):
            for upstream in ("h1", "h2"):
                with self.subTest(client=client, upstream=upstream):
                    whole(self, self.ask(client, upstream, "fault:early", user="x" * 4_000_000))
                    self.still_good(client, upstream)

    def test_U_33_length_too_short(self):
        for upstream in ("h1", "h2"):
            with self.subTest(upstream):
                answer = self.ask("h1", upstream, "fault:length-short", stream=False)
                self.assertIn(answer.status, (200, 502))
                self.still_good("h1", upstream)

    def test_H1_36_the_connection_is_not_used_again(self):
        for program in ("fault:two-lengths", "fault:body-after-204", "fault:switching"):
            with self.subTest(program):
                before = self.faulty.stats()["connections"]["accepted"]
                self.ask("h1", "h1", program, stream=False)
                self.still_good("h1", "h1")
                # One of the counted connections is the statistics' own; each of the two requests had a clean one, or the first
                # took what an earlier test had left.
                self.assertGreaterEqual(self.faulty.stats()["connections"]["accepted"] - before, 2)

    def test_H1_37_a_second_answer_that_nobody_asked_for(self):
        for _ in range(3):
            answer = self.ask("h1", "h1", "fault:extra", stream=False)
            self.assertEqual((answer.status, answer.complete), (200, True))
            other = self.ask("h1", "h1", GOOD, stream=False)
            self.assertEqual(other.status, 200)
            self.assertEqual(other.json()["model"], GOOD, "the answer of another request")


def _anonymous(body):
    return re.sub(rb'"(id|created|system_fingerprint)":("[^"]*"|\d+)', b"", body)


if __name__ == "__main__":
    harness.main()
