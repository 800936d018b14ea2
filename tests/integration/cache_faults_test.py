"""What must never be kept: each answer of a backend that ends badly is asked for twice with `temperature: 0`. The second time it is
a miss again and reaches the backend, and no tier has an entry (FAULTS K-07, K-08, K-09, K-10)."""

import json

import h1_client
import h2_client
import harness
from cache_test import CacheCase, chat
from harness import World, cluster, endpoint, table, until
from scripted_backend import ByModel, chunk, events, message, plain
from upstream_faults_test import MALFORMED, PATHS, ROWS, UPSTREAM, whole

# total is for answers that are not streamed: nothing else bounds them
QUICK = {"connect": "500ms", "headers": "300ms", "first_token": "300ms", "idle": "300ms", "total": "700ms"}
PATIENT = {"connect": "2s", "headers": "5s", "first_token": "5s", "idle": "5s", "total": "20s"}
MAX_ENTRY = 32 * 1024
LEGAL = ("comment", "cr", "id", "multiline")  # of MALFORMED: rare, but the standard's: server-sent events that every reader understands


def cases():
    """row, program, cluster, streamed"""
    def each(row, program, upstreams="both", stream="both", kind=""):
        for upstream in UPSTREAM if upstreams == "both" else (upstreams,):
            for streamed in (True, False) if stream == "both" else (stream,):
                yield (row, program, kind + upstream, streamed)

    # Everything that upstream_faults_test.py has and that is no whole answer in the end.
    for label, program, judges, _, *rest in ROWS:
        if judges is whole or isinstance(judges, tuple) and whole in judges:
            continue
        upstreams, stream, special = (*rest, *("both", True, "")[len(rest):])
        if special == "proven":
            continue  # the fault strikes once, and what is not retried there is asked again here
        kind = "quick" if special in ("head", "token", "idle") else ""
        row = "K-07" if label.startswith("U-11") else "K-08"
        yield from each(row, program, upstreams, "both" if stream else False, kind)
    for code in (400, 401, 403, 404, 408, 409, 413, 422, 429, 500, 501, 502, 503, 504, 529):
        yield from each("K-07", f"fault:status:{code}", "h2" if code % 2 else "h1")
    yield from each("K-07", "fault:status:429:retry-after=0")
    for after in ("role", 1, 5, "end"):
        yield from each("K-07", f"fault:error:after={after}")
    for place in ("head", "role", 1, 5, 8):
        for program in ("fault:cut", "fault:reset", "fault:close"):
            yield from each("K-08", f"{program}:after={place}")
    for variant in MALFORMED:
        if variant not in LEGAL:
            yield from each("K-08", f"fault:malformed:{variant}", stream=True)
        yield from each("K-08", f"fault:malformed:{variant}", stream=False)
    for program in ("fault:no-finish", "fault:end:after=8"):
        yield from each("K-08", program, stream=True)
    for variant in ("push", "too-large", "idle-data", "bad-settings", "bad-hpack", "window-overflow"):
        yield from each("K-08", f"fault:frame:{variant}", "h2")
    yield from each("U-16 K-08", "fault:json-for-stream", stream=True)
    yield from each("U-16 K-08", "fault:sse-for-json", stream=False)
    for reason in ("length", "content_filter", "insufficient_system_resource"):
        yield from each("K-09", f"sim:0:6:0:finish={reason}")


CASES = [(f"{row} {program} {kind} {'stream' if stream else 'plain'}", program, kind, stream)
         for row, program, kind, stream in dict.fromkeys(cases())]
BROKEN_STREAMS = ["fault:cut", "fault:end", "fault:no-done", "fault:split:end", "fault:split:cut", "fault:error:after=3"]
FAMILIES = [(f"{'K-07' if 'error' in p else 'K-08'} {p} {f} from {u}", p, f, u) for p in BROKEN_STREAMS for f in PATHS for u in UPSTREAM
            if not (p == "fault:no-done" and f in ("chat", "completions"))]  # they end by the finish reason too: whole
ERROR = {"message": "no", "type": "server_error", "code": 500}

# What the simulator does not say: model -> streamed, answer
SAID = {
    "K-07 an error object with 200": (False, plain({"error": ERROR})),
    "K-07 a bare error object with 200": (False, plain({"object": "error", "message": "no", "code": 500})),
    "K-07 an error beside choices": (False, plain(message(error=ERROR))),
    "K-07 an error as the first event": (True, events({"error": ERROR}, "[DONE]")),
    "K-07 an error behind content": (True, events(chunk("a"), {"error": ERROR}, "[DONE]")),
    "K-07 an error behind the finish": (True, events(chunk("a"), chunk(finish="stop"), {"error": ERROR}, "[DONE]")),
    "K-07 an error object for a stream": (True, plain({"error": ERROR})),
    "K-08 no choices": (False, plain(message(choices=[]))),
    "K-08 an empty object": (False, plain({})),
    "K-08 an empty body": (False, plain(b"")),
    "K-08 no JSON": (False, plain(b"hello")),
    "K-08 bytes behind the object": (False, plain(json.dumps(message()) + "{")),
    "K-08 half a document until close": (False, b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n" + json.dumps(message()).encode()[:-9]),
    "K-08 no event at all": (True, events()),
    "K-08 only DONE": (True, events("[DONE]")),
    "K-08 content and DONE without a finish": (True, events(chunk("a"), "[DONE]")),
    "K-08 one of two choices ends": (True, events({**chunk("a"), "choices": [{"index": i, "delta": {"content": "a"}, "finish_reason": None}
                                                                            for i in (0, 1)]}, chunk(finish="stop"), "[DONE]")),
    "K-08 half of an event at the end": (True, plain(b'data: {"choices":[{"index":0,"delta":{"content":"a', kind="text/event-stream")),
    "K-09 finish_reason null": (False, plain(message(finish=None))),
    "K-09 one choice of two cut": (False, plain(message(choices=[{"index": i, "message": {"role": "assistant", "content": "a"}, "finish_reason": f}
                                                                 for i, f in enumerate(("stop", "length"))]))),
    "K-07 no-store from the backend": (False, plain(message(), "cache-control: no-store")),
    "K-07 no-store on a stream": (True, events(chunk("a"), chunk(finish="stop"), "[DONE]", fields=("cache-control: max-age=9, no-store",))),
}
LEAVE = ["fault:silence", "fault:silence:after=head", "fault:stall", "sim:0:100000:2000"]


def model_of(name):
    return name.replace(" ", "-")


@table("one", CASES)
@table("family", FAMILIES)
@table("said", [(name, name) for name in SAID])
@table("left", [(f"K-08 the client leaves {p} {c} {'stream' if s else 'plain'} from {u}", p, c, s, u)
                for p in LEAVE for c in ("h1", "h2") for s in (True, False) for u in UPSTREAM])
class NotKept(CacheCase):
    @classmethod
    def make_world(cls):
        cls.scripted = ByModel({model_of(name): answer for name, (_, answer) in SAID.items()})
        cls.addClassCleanup(cls.scripted.close)
        asked = {(kind, program) for _, program, kind, _ in CASES} | {(u, p) for _, p, _, u in FAMILIES} | {(u, p) for u in UPSTREAM for p in LEAVE}

        def config(world):
            wire = world.sims["faulty"].wire
            clusters = [cluster(q + u, [endpoint(wire, p)], retry={"attempts": 1}, timeouts=QUICK if q else PATIENT)
                        for u, p in UPSTREAM.items() for q in ("", "quick")]
            clusters.append(cluster("scripted", [endpoint(cls.scripted.address)], retry={"attempts": 1}, timeouts=PATIENT))
            models = [{"name": f"{c}|{p}", "upstream_name": p, "cluster": c} for c, p in sorted({*asked, ("h1", "sim:0:8:0"), ("h1", "sim:0:3000:0")})]
            models += [{"name": f"h1|sim-bytes:{MAX_ENTRY + more}", "upstream_name": f"sim-bytes:{MAX_ENTRY + more}", "cluster": "h1"} for more in (0, 1)]
            models += [{"name": model_of(name), "cluster": "scripted"} for name in SAID]
            return {"server": {"listeners": [{"address": "127.0.0.1:0"}], "workers": 2, "limits": {"sse_event": "64KiB"}}, "models": models,
                    "clusters": clusters, "cache": {"max_entry": f"{MAX_ENTRY}B", "disk": {"path": str(world.folder / "disk"), "size": "64MiB"}}}
        return World(config, sims=("faulty",))

    def setUp(self):
        super().setUp()
        self.stored_before = self.cache_page()["disk"]["stored"]
        self.addCleanup(self.nothing_is_held)

    def cache_page(self):
        return self.admin("GET", "/admin/cache").json()

    def nothing_is_held(self):
        """In no tier, at no time since the test began."""
        page = self.cache_page()
        held = (page["memory"]["entries"], page["disk"]["entries"], page["disk"]["stored"] - self.stored_before)
        if any(held):
            self.purge({"all": True})  # the next test is not to blame
        self.assertEqual(held, (0, 0, 0), "entries in memory, on disk, written to it")

    def twice(self, body, count, path=PATHS["chat"]):
        """Both are misses, and the backend has both."""
        caches, counts = [], [count()]
        for _ in range(2):
            caches.append(self.ask(body, path=path).cache)
            counts.append(count())
        self.assertEqual(caches, ["miss", "miss"])
        self.assertTrue(counts[0] < counts[1] < counts[2], f"requests at the backend: {counts}")

    def one(self, label, program, kind, stream):
        self.twice(chat("hi", stream, f"{kind}|{program}"), lambda: self.sim.stats(program)["received"])

    def family(self, label, program, family, upstream):
        request = {"model": f"{upstream}|{program}", "stream": True, "temperature": 0, "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]}
        if family in ("completions", "responses"):
            del request["messages"], request["max_tokens"]
            request["prompt" if family == "completions" else "input"] = "hi"
        self.twice(json.dumps(request).encode(), lambda: self.sim.stats(program)["received"], PATHS[family])

    def said(self, name, _):
        more = {"n": 2} if "two" in name else {}
        self.twice(chat("hi", SAID[name][0], model_of(name), **more), lambda: self.scripted.received.get(model_of(name), 0))

    def left(self, label, program, client, stream, upstream):
        body = chat("hi", stream, f"{upstream}|{program}")
        for _ in range(2):
            before = self.sim.stats(program)
            if client == "h2":
                connection = h2_client.Connection(self.gateway.address)
                connection.request(body, [("x-request-id", self.request_id()), ("content-type", "application/json")])
            else:
                connection = h1_client.Connection(self.gateway.address)
                connection.send(connection.request_bytes("POST", PATHS["chat"], body, [("x-request-id", self.request_id())]))
            until(lambda: self.sim.stats(program)["received"] == before["received"] + 1, "it is no hit: the backend has it")
            if stream and client == "h1" and program.startswith(("sim", "fault:stall")):
                connection.wait_body(connection.read_head(), b'"content"')
            connection.abort()
            until(lambda: self.sim.stats(program)["cancelled"] == before["cancelled"] + 1, "the cancel")
            self.assertEqual(self.gateway.line_of(self.asked[-1])["cache"], "miss")

    def test_K_08_the_deadline_comes_first(self):
        for stream in (True, False):
            for _ in range(2):
                answer = self.ask(chat("hi", stream, "h1|sim:0:100000:2000"), [("x-penstock-timeout-ms", "100")])
                self.assertIn((answer.status, answer.complete), ((504, True), (200, False)))
                self.assertEqual(answer.cache, "miss")

    def test_K_09_cut_by_max_tokens(self):
        for family, field in (("chat", "max_tokens"), ("completions", "max_tokens"), ("responses", "max_output_tokens"), ("messages", "max_tokens")):
            for stream in (True, False):
                with self.subTest(family=family, stream=stream):
                    request = {"model": "h1|sim:0:8:0", "stream": stream, "temperature": 0, field: 2}
                    request.update({"completions": {"prompt": "hi"}, "responses": {"input": "hi"}}.get(family, {"messages": [{"role": "user", "content": "hi"}]}))
                    self.twice(json.dumps(request).encode(), lambda: self.sim.stats("sim:0:8:0")["received"], PATHS[family])

    def test_K_10_one_byte_too_many(self):
        for stream in (True, False):
            self.twice(chat("hi", stream, f"h1|sim-bytes:{MAX_ENTRY + 1}"), lambda: self.received())

    def test_K_10_too_large_is_streamed_while_it_grows(self):
        body = chat("hi", True, "h1|sim:0:100000:2000")
        with h1_client.Connection(self.gateway.address) as connection:
            connection.send(connection.request_bytes("POST", PATHS["chat"], body, [("x-request-id", self.request_id())]))
            head = connection.read_head()
            while len(head.body) < 4 * MAX_ENTRY:  # 2 ms and some 200 bytes per event: what is too large has long been given up
                self.assertTrue(connection.read_chunk(head))
            self.assertEqual(head.header("x-penstock-cache"), "miss")
        until(lambda: self.cache_page()["calls_under_way"] == 0, "the call's end")
        self.twice(chat("hi", True, "h1|sim:0:3000:0"), lambda: self.received())

    def test_what_is_whole_is_kept(self):
        """The counts above would show it."""
        bodies = [chat("hi", False, f"h1|sim-bytes:{MAX_ENTRY}"), chat("hi", True, "h1|sim:0:8:0"),
                  *(chat("hi", True, f"h1|fault:malformed:{variant}") for variant in LEGAL)]
        try:
            for body in bodies:
                miss, hit = self.ask(body), self.ask(body)
                self.assertEqual((miss.cache, hit.cache), ("miss", "hit-memory"))
                self.assertEqual(hit.body, miss.body.replace(b": a comment\n:\n\n", b""))
            until(lambda: self.cache_page()["disk"]["stored"] == self.stored_before + len(bodies), "all on disk")
            page = self.cache_page()
            self.assertEqual((page["memory"]["entries"], page["disk"]["entries"]), (len(bodies), len(bodies)))
        finally:
            self.purge({"all": True})
            until(lambda: self.cache_page()["disk"]["entries"] == 0, "an empty disk")
            self.stored_before = self.cache_page()["disk"]["stored"]


if __name__ == "__main__":
    harness.main()
