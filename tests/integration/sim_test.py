"""penstock-sim answers as docs/simulator.md says, over HTTP/1.1 and h2c, on ordinary and on wire ports."""

import base64
import json
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
import unittest

import h2_raw
from h2_raw import RawH2, ends
from simulator import DEADLINE_S, Answer, Simulator, program


def curl(port, path, body, *arguments):
    """A POST by curl over h2c: its exit code, the status and the body."""
    command = ["curl", "-sS", "--http2-prior-knowledge", "-m", str(DEADLINE_S), "-w", "\n%{http_code} %{http_version}", "-d", "@-"]
    done = subprocess.run(command + list(arguments) + [f"http://127.0.0.1:{port}{path}"], input=json.dumps(body).encode(),
                          capture_output=True, check=False)
    text, _, line = done.stdout.rpartition(b"\n")
    status, version = line.split()
    return done.returncode, int(status), version.decode(), text


def raw(port, body, read=True, path="/v1/chat/completions"):
    """A request by hand over HTTP/1.1; everything the server sends until it closes, and how it ended ("fin" or "reset")."""
    data = json.dumps(body).encode()
    with socket.create_connection(("127.0.0.1", port), DEADLINE_S) as connection:
        connection.sendall(f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(data)}\r\n\r\n".encode() + data)
        return read_all(connection) if read else b""


def read_all(connection):
    got = b""
    try:
        while more := connection.recv(65536):
            got += more
        return got, "fin"
    except ConnectionResetError:
        return got, "reset"


def chat_body(model, stream=False, **more):
    return {"model": model, "stream": stream, "messages": [{"role": "user", "content": "hello"}], **more}


class SimulatorCase(unittest.TestCase):
    """One simulator for all tests of a class."""

    arguments = ()
    wire = 1

    @classmethod
    def setUpClass(cls):
        cls.sim = Simulator(*cls.arguments, wire=cls.wire)

    @classmethod
    def tearDownClass(cls):
        assert cls.sim.stop() == 0, "penstock-sim ended with an error"

    def setUp(self):
        self.sim.reset()


class Answers(SimulatorCase):
    """Good answers."""

    def both(self, body, path="/v1/chat/completions"):
        """The same request over HTTP/1.1 and h2c."""
        first = self.sim.post(path, body)
        code, status, version, text = curl(self.sim.port, path, body)
        self.assertEqual((code, version, first.error), (0, "2", None))
        return first, Answer(status, {}, text)

    def test_whole_answer(self):
        for answer in self.both(chat_body("sim:0:5:0")):
            self.assertEqual(answer.status, 200)
            choice = answer.json()["choices"][0]
            self.assertEqual(len(choice["message"]["content"].split()), 5)
            self.assertEqual(choice["finish_reason"], "stop")
            self.assertEqual(answer.json()["usage"]["completion_tokens"], 5)

    def test_stream(self):
        for answer in self.both(chat_body("sim:0:5:0", stream=True)):
            events = answer.events()
            self.assertEqual(events[0]["choices"][0]["delta"], {"role": "assistant", "content": ""})
            self.assertEqual(events[-2]["choices"][0]["finish_reason"], "stop")
            self.assertEqual(events[-1], "[DONE]")
            self.assertEqual(len(answer.content().split()), 5)
            self.assertFalse(any("usage" in event for event in events[:-1]))

    def test_usage_when_asked(self):
        for answer in self.both(chat_body("sim:0:5:0", stream=True, stream_options={"include_usage": True})):
            usage = answer.events()[-2]
            self.assertEqual(usage["choices"], [])
            self.assertEqual(usage["usage"]["completion_tokens"], 5)

    def test_text_depends_on_prompt_model_seed_and_choice_only(self):
        first = self.sim.chat("sim:0:20:0").json()["choices"][0]["message"]["content"]
        self.assertEqual(self.sim.chat("sim:0:20:0", stream=True).content(), first)
        self.assertNotEqual(self.sim.chat("sim:0:20:0", seed=1).json()["choices"][0]["message"]["content"], first)
        self.assertNotEqual(self.sim.chat("sim:0:20:00").json()["choices"][0]["message"]["content"], first)
        two = self.sim.chat("sim:0:20:0", n=2).json()["choices"]
        self.assertEqual(two[0]["message"]["content"], first)
        self.assertNotEqual(two[1]["message"]["content"], first)

    def test_max_tokens_cut_with_length(self):
        for name in ("max_tokens", "max_completion_tokens"):
            choice = self.sim.chat("sim:0:50:0", **{name: 3}).json()["choices"][0]
            self.assertEqual((len(choice["message"]["content"].split()), choice["finish_reason"]), (3, "length"))

    def test_choices_interleave(self):
        events = self.sim.chat("sim:0:3:0", stream=True, n=3).events()
        indexes = [event["choices"][0]["index"] for event in events[:-1]]
        self.assertEqual(indexes, [0, 1, 2] * 5)  # role, three tokens, finish

    def test_logprobs(self):
        choice = self.sim.chat("sim:0:3:0", logprobs=True).json()["choices"][0]
        self.assertEqual(len(choice["logprobs"]["content"]), 3)
        events = self.sim.chat("sim:0:3:0", stream=True, logprobs=True).events()
        self.assertEqual(events[1]["choices"][0]["logprobs"]["content"][0]["logprob"], -0.25)

    def test_tool_call_fragments(self):
        arguments = ""
        events = self.sim.chat("sim:0:4:0:delta=tool_calls", stream=True).events()
        for event in events[:-1]:
            for call in event["choices"][0]["delta"].get("tool_calls", []):
                arguments += call["function"]["arguments"]
        whole = self.sim.chat("sim:0:4:0:delta=tool_calls").json()["choices"][0]
        self.assertEqual(arguments, whole["message"]["tool_calls"][0]["function"]["arguments"])
        self.assertEqual(len(json.loads(arguments)["note"].split()), 4)
        self.assertEqual(whole["finish_reason"], "tool_calls")

    def test_usage_styles(self):
        asked = {"stream_options": {"include_usage": True}}
        events = self.sim.chat("sim:0:2:0:usage=none", stream=True, **asked).events()
        self.assertFalse(any("usage" in event for event in events[:-1]))
        events = self.sim.chat("sim:0:2:0:usage=finish", stream=True).events()
        self.assertEqual(events[-2]["choices"][0]["finish_reason"], "stop")
        self.assertIn("usage", events[-2])
        events = self.sim.chat("sim:0:2:0:usage=every", stream=True).events()
        self.assertTrue(all("usage" in event for event in events[:-1]))

    def test_constant_body_has_its_size(self):
        for stream in (False, True):
            for answer in self.both(chat_body("sim-bytes:5000", stream=stream)):
                self.assertEqual(len(answer.body), 5000)
                self.assertEqual(answer.events()[-1] if stream else answer.json()["object"], "[DONE]" if stream else "chat.completion")

    def test_pace(self):
        began = time.monotonic()
        answer = self.sim.chat("sim:50:5:20000", stream=True)
        took = time.monotonic() - began
        self.assertEqual(len(answer.content().split()), 5)
        self.assertGreaterEqual(took, 0.129)

    def test_less_than_a_millisecond_between_tokens_keeps_the_average(self):
        began = time.monotonic()
        self.assertEqual(len(self.sim.chat("sim:0:2000:100", stream=True).content().split()), 2000)
        self.assertGreaterEqual(time.monotonic() - began, 0.199)

    def test_prompt_cache_makes_the_first_token_sooner(self):
        prompt = [{"role": "user", "content": "so it begins " * 400}]
        body = {"model": "sim", "messages": prompt, "max_tokens": 1}
        times, cached = [], []
        for _ in range(2):
            began = time.monotonic()
            usage = self.sim.post("/v1/chat/completions", body).json()["usage"]
            times.append(time.monotonic() - began)
            cached.append(usage["prompt_tokens_details"]["cached_tokens"])
        self.assertEqual(cached[0], 0)
        self.assertGreater(cached[1], 1200)
        self.assertGreater(times[0], 0.09)  # 30 ms and 50 us for each of 1,300 tokens
        self.assertLess(times[1], times[0])

    def test_completions(self):
        body = {"model": "sim:0:3:0", "prompt": "hello", "stream": True}
        for answer in self.both(body, "/v1/completions"):
            events = answer.events()
            self.assertEqual("".join(event["choices"][0]["text"] for event in events[:-1]).split().__len__(), 3)
        whole = self.sim.post("/v1/completions", {**body, "stream": False}).json()
        self.assertEqual(whole["object"], "text_completion")

    def test_responses(self):
        body = {"model": "sim:0:3:0", "input": "hello", "stream": True}
        for answer in self.both(body, "/v1/responses"):
            types = [event["type"] for event in answer.events()]
            self.assertEqual((types[0], types.count("response.output_text.delta"), types[-1]), ("response.created", 3, "response.completed"))
            self.assertEqual([event["sequence_number"] for event in answer.events()], list(range(len(types))))
        whole = self.sim.post("/v1/responses", {**body, "stream": False}).json()
        self.assertEqual((whole["status"], whole["usage"]["output_tokens"]), ("completed", 3))

    def test_messages(self):
        body = {"model": "sim:0:3:0", "max_tokens": 2, "messages": [], "stream": True}
        for answer in self.both(body, "/v1/messages"):
            types = [event["type"] for event in answer.events()]
            self.assertEqual((types[0], types.count("content_block_delta"), types[-1]), ("message_start", 2, "message_stop"))
        whole = self.sim.post("/v1/messages", {**body, "stream": False}).json()
        self.assertEqual(whole["stop_reason"], "max_tokens")
        self.assertGreater(self.sim.post("/v1/messages/count_tokens", body).json()["input_tokens"], 0)

    def test_embeddings_as_floats_and_base64(self):
        body = {"model": "sim", "input": ["one", "two", "three"]}
        floats = self.sim.post("/v1/embeddings", body).json()
        packed = self.sim.post("/v1/embeddings", {**body, "encoding_format": "base64"}).json()
        self.assertEqual(len(floats["data"]), 3)
        for plain, coded in zip(floats["data"], packed["data"]):
            values = struct.unpack("<8f", base64.b64decode(coded["embedding"]))
            self.assertTrue(all(abs(a - b) < 1e-6 for a, b in zip(plain["embedding"], values)))
        self.assertNotEqual(floats["data"][0]["embedding"], floats["data"][1]["embedding"])

    def test_plain_families(self):
        documents = {"model": "sim", "query": "q", "documents": ["a", "b"]}
        self.assertEqual([r["index"] for r in self.sim.post("/v1/rerank", documents).json()["results"]], [0, 1])
        self.assertEqual(len(self.sim.post("/v1/score", {"model": "sim", "text_1": "q", "text_2": ["a", "b", "c"]}).json()["data"]), 3)
        tokens = self.sim.post("/tokenize", {"model": "sim", "prompt": "hello there"}).json()
        self.assertEqual(tokens["count"], len(tokens["tokens"]))
        self.assertIsInstance(self.sim.post("/detokenize", {"model": "sim", "tokens": [1, 2]}).json()["prompt"], str)

    def test_gets(self):
        self.assertEqual(self.sim.get("/health").status, 200)
        self.assertEqual(self.sim.get("/v1/models").json()["data"][0]["id"], "sim")
        self.assertEqual(self.sim.get("/v1/models/sim:1:2:3").status, 200)
        self.assertEqual(self.sim.get("/v1/models/nope").status, 404)
        self.assertEqual(self.sim.get("/nope").status, 404)
        self.assertIn("vllm:num_requests_running", self.sim.get("/metrics").body.decode())

    def test_unknown_model_is_404(self):
        answer = self.sim.chat("gpt-unknown")
        self.assertEqual((answer.status, answer.json()["error"]["code"]), (404, 404))

    def test_what_went_upstream_can_be_seen(self):
        data = '{"model":"sim:0:1:0","messages":[],"user":"\u00e9"}'.encode()
        self.sim.request("POST", "/v1/chat/completions?a=b", data, headers={"x-test": "one", "Authorization": "Bearer k"})
        record = self.sim.last()[-1]
        self.assertEqual((record["method"], record["target"]), ("POST", "/v1/chat/completions?a=b"))
        self.assertIn(["x-test", "one"], record["headers"])
        self.assertEqual(record["body"].encode("latin-1"), data)

    def test_large_answers_wait_for_their_reader(self):
        body = chat_body("sim:0:200000:0", stream=True)
        data = json.dumps(body).encode()
        with socket.create_connection(("127.0.0.1", self.sim.port), DEADLINE_S) as connection:
            connection.sendall(f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(data)}\r\n\r\n".encode() + data)
            self.sim.wait_for(lambda stats: stats["in_flight"] == 1)
            got = b""
            while not got.endswith(b"0\r\n\r\n"):
                got += connection.recv(1 << 20)
        self.assertEqual(got.count(b'"content":"'), 200001)


class Faults(SimulatorCase):
    """Faults of ordinary ports, over both protocols; IDs of the fault catalogue in the names."""

    def stream(self, model, **fields):
        return self.sim.chat(model, stream=True, **fields)

    def h2_ending(self, model, stream=True, port=None):
        """The body of a streamed chat over h2c, and how the stream ended: "end" or the code of its reset."""
        with RawH2(port or self.sim.port) as connection:
            number = connection.chat(model, stream)
            frames = connection.read_until(ends(number))
        body = b"".join(payload for kind, _, stream_id, payload in frames if kind == h2_raw.DATA and stream_id == number)
        last = frames[-1]
        return body.decode(), int.from_bytes(last[3], "big") if last[0] == h2_raw.RST_STREAM else "end"

    def test_U_17_status_with_retry_after_once(self):
        answer = self.sim.chat("fault:status:503:retry-after=2:times=1:tokens=2")
        self.assertEqual((answer.status, answer.headers["retry-after"]), (503, "2"))
        self.assertEqual(self.sim.chat("fault:status:503:retry-after=2:times=1:tokens=2").status, 200)

    def test_U_18_retry_after_as_a_date(self):
        answer = self.sim.chat("fault:status:429:retry-after=date+5:retry-after-ms=10")
        self.assertRegex(answer.headers["retry-after"], r"^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$")
        self.assertEqual(answer.headers["retry-after-ms"], "10")

    def test_every_third(self):
        self.assertEqual([self.sim.chat("fault:status:500:every=3").status for _ in range(6)], [200, 200, 500] * 2)

    def test_U_16_wrong_kinds_of_answers(self):
        self.assertEqual(self.stream("fault:html").headers["content-type"], "text/html; charset=utf-8")
        self.assertEqual(self.stream("fault:json-for-stream").json()["object"], "chat.completion")
        self.assertEqual(self.sim.chat("fault:sse-for-json").events()[-1], "[DONE]")

    def test_U_10_clean_ends_without_an_end(self):
        truncated = self.stream("fault:end:after=3")
        self.assertIsNone(truncated.error)
        self.assertEqual(len(truncated.content().split()), 3)
        self.assertNotIn("[DONE]", truncated.events())
        self.assertEqual(self.h2_ending("fault:end:after=3")[1], "end")
        events = self.stream("fault:no-done").events()
        self.assertEqual(events[-1]["choices"][0]["finish_reason"], "stop")
        events = self.stream("fault:no-finish").events()
        self.assertEqual(events[-1], "[DONE]")
        self.assertFalse(any(event["choices"][0]["finish_reason"] for event in events[:-1]))

    def test_U_09_cut_framing(self):
        answer = self.stream("fault:cut:after=3")
        self.assertIsNotNone(answer.error)
        self.assertEqual(len(answer.content().split()), 3)
        text, ending = self.h2_ending("fault:cut:after=3")
        self.assertEqual((text.count('"content":"'), ending), (4, 2))
        whole = self.sim.chat("fault:cut")
        self.assertIsNotNone(whole.error)

    def test_U_06_dies_before_content(self):
        self.assertEqual(self.stream("fault:cut:after=head").body, b"")
        role = self.stream("fault:cut:after=role")
        self.assertEqual([event["choices"][0]["delta"] for event in role.events()], [{"role": "assistant", "content": ""}])

    def test_U_08_dies_inside_an_event(self):
        for variant, broken in (("cut", True), ("end", False)):
            answer = self.stream(f"fault:split:{variant}")
            self.assertEqual(answer.error is not None, broken)
            self.assertFalse(answer.body.endswith(b"\n\n"))
            self.assertTrue(answer.body.rpartition(b"\n\n")[2].startswith(b"data: {"))

    def test_U_11_errors_in_band(self):
        before = self.stream("fault:error:text=oops").events()
        self.assertEqual((before[1]["error"]["message"], before[-1]), ("oops", "[DONE]"))
        after = self.stream("fault:error:after=2")
        self.assertEqual(sum("choices" in event for event in after.events()[:-1]), 3)
        self.assertEqual(self.sim.chat("fault:error").status, 500)

    def test_U_12_stall_and_go_on(self):
        began = time.monotonic()
        self.assertEqual(self.stream("fault:stall:after=2:ms=120").events()[-1], "[DONE]")
        self.assertGreaterEqual(time.monotonic() - began, 0.12)

    def test_U_14_malformed_events(self):
        marks = {"json": b'"content":\n\n', "nodata": b"no colon\n\n", "cr": b"\r\r", "bom": b"\xef\xbb\xbf", "comment": b": a comment\n",
                 "id": b"id: 7\n", "multiline": b"\ndata: []", "empty": b"data:\n\n", "utf8": b"\xc3\x28\xff"}
        for variant, mark in marks.items():
            answer = self.stream(f"fault:malformed:{variant}")
            self.assertIn(mark, answer.body, variant)
            self.assertTrue(answer.body.endswith(b"data: [DONE]\n\n"), variant)
        with self.assertRaises(ValueError):
            self.sim.chat("fault:malformed:json").json()

    def test_U_15_endless_line(self):
        answer = self.stream("fault:endless:bytes=3000000")
        self.assertGreaterEqual(max(len(line) for line in answer.body.split(b"\n")), 3000000)

    def test_U_13_slow_bytes(self):
        began = time.monotonic()
        answer = self.stream("fault:slow:tokens=3:after=3:bytes=20:ms=2")
        self.assertEqual(answer.events()[-1], "[DONE]")
        self.assertGreaterEqual(time.monotonic() - began, 0.01)

    def test_U_32_answer_before_the_requests_end(self):
        data = json.dumps(chat_body("fault:early:tokens=2")).encode()
        with socket.create_connection(("127.0.0.1", self.sim.port), DEADLINE_S) as connection:
            connection.sendall(f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(data) + 1000}\r\n\r\n".encode() + data)
            got, _ = read_all(connection)
        self.assertTrue(got.startswith(b"HTTP/1.1 200 OK\r\n"), got)
        self.assertIn(b"connection: close", got)

    def test_cancels_are_seen_at_once(self):
        for model, phase in (("fault:silence", "silent"), ("fault:stall", "silent"), ("sim:60000:1:0", "waiting"), ("sim:0:1000:100000", "streaming")):
            for http2 in (False, True):
                with self.subTest(model=model, http2=http2):
                    self.sim.reset()
                    self.cancel(model, http2)
                    stats = self.sim.wait_for(lambda stats: stats["cancelled"] == 1, "cancel")
                    self.assertEqual((stats["cancels"][0]["phase"], stats["in_flight"]), (phase, 0))
                    late = stats["cancels"][0]["at_ns"] - self.left_at
                    self.assertTrue(-1e6 < late < 1e9, late)

    def cancel(self, model, http2):
        if http2:
            with RawH2(self.sim.port) as connection:
                number = connection.chat(model)
                self.arrived(model)
                self.left_at = time.monotonic_ns()
                connection.socket.sendall(h2_raw.frame(h2_raw.RST_STREAM, 0, number, struct.pack(">I", 8)))
                self.sim.wait_for(lambda stats: stats["cancelled"] == 1, "cancel")
            return
        data = json.dumps(chat_body(model, stream=True)).encode()
        with socket.create_connection(("127.0.0.1", self.sim.port), DEADLINE_S) as connection:
            connection.sendall(f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(data)}\r\n\r\n".encode() + data)
            self.arrived(model)
            self.left_at = time.monotonic_ns()

    def arrived(self, model):
        self.sim.wait_for(lambda stats: stats["models"].get(model, {}).get("received") == 1 and stats["in_flight"] == 1)

    def test_wire_faults_are_refused_on_ordinary_ports(self):
        self.assertEqual(self.sim.chat("fault:two-lengths").status, 501)

    def test_every_model_can_be_made_to_fail(self):
        self.sim.set(program="fault:status:500")
        self.assertEqual(self.sim.chat("sim:0:1:0").status, 500)
        self.sim.set(program="")
        self.assertEqual(self.sim.chat("sim:0:1:0").status, 200)
        self.assertEqual(self.sim.post("/sim/set?program=fault:nope", b"").status, 400)

    def test_ready_and_slow_health(self):
        self.sim.set(ready=0)
        self.assertEqual(self.sim.get("/health").status, 503)
        self.sim.set(ready=1, health_ms=60)
        began = time.monotonic()
        self.assertEqual(self.sim.get("/health").status, 200)
        self.assertGreaterEqual(time.monotonic() - began, 0.06)
        self.sim.set(health_ms=0)


class WireHttp1(SimulatorCase):
    """Wire ports over HTTP/1.1: what lies on the wire, and how the connection ends."""

    # model -> what the bytes hold, how the connection ends ("open": it stays)
    TABLE = {
        "fault:reset": (b"", "reset"),
        "fault:refuse": (b"", "reset"),
        "fault:close": (b"", "fin"),
        "fault:reset:after=2": (b'"content":"', "reset"),
        "fault:reset:after=end": (b"[DONE]", "reset"),
        "fault:close:after=2": (b'"content":"', "fin"),
        "fault:split:reset": (b'"content":"', "reset"),
        "fault:chunked-in-10": (b"HTTP/1.0 200 OK", "fin"),
        "fault:length-long": (b"[DONE]", "fin"),
        "fault:bad-chunk:half": (b"chatcmpl-wire", "fin"),
        "fault:bad-chunk:long": (b"\r\nf", "fin"),
        "fault:half-head": (b"HTTP/1.1 200 OK\r\ncon", "fin"),
        "fault:plain": (b"SSH-2.0", "fin"),
        "fault:two-lengths": (b"content-length: ", "open"),
        "fault:length-and-chunked": (b"transfer-encoding: chunked", "open"),
        "fault:unknown-coding": (b"transfer-encoding: xchunked", "open"),
        "fault:bare-lf": (b"HTTP/1.1 200 OK\ncontent-type", "open"),
        "fault:head-bomb": (b"x-bomb-999: ", "open"),
        "fault:bad-field:cr": (b"x-bad: a\rb", "open"),
        "fault:bad-field:nul": (b"x-bad: a\0b", "open"),
        "fault:bad-field:space": (b"x-bad : a", "open"),
        "fault:bad-field:empty": (b"\r\n: a\r\n", "open"),
        "fault:bad-field:fold": (b"x-bad: a\r\n b", "open"),
        "fault:interim": (b"103 Early Hints", "open"),
        "fault:switching": (b"101 Switching", "stuck"),
        "fault:body-after-204": (b"204 No Content\r\n\r\n{", "open"),
        "fault:length-short": (b"[DONE]", "open"),
        "fault:bad-chunk:size": (b"\r\nzz\r\n", "open"),
        "fault:bad-chunk:short": (b"\r\n1\r\n", "open"),
        "fault:bad-chunk:ending": (b"XX0\r\n", "open"),
        "fault:trailers": (b"x-bomb-999: ", "open"),
        "fault:slow-head:ms=1": (b"[DONE]", "open"),
        "fault:extra": (b"chatcmpl-smuggled", "open"),
        "sim:0:2:0": (b"[DONE]", "open"),
    }

    def test_H1_36_wire(self):
        for model, (mark, ending) in self.TABLE.items():
            with self.subTest(model=model):
                self.check(model, mark, ending)
        stats = self.sim.stats()
        self.assertEqual(stats["in_flight"], 0)

    def check(self, model, mark, ending):
        if ending in ("fin", "reset"):
            got, how = raw(self.sim.wire_port, chat_body(model, stream=True))
            self.assertEqual(how, ending)
            self.assertIn(mark, got)
            return
        # The connection takes a second request: its answer is behind the first one's bytes.
        data = json.dumps(chat_body(model, stream=True)).encode()
        again = json.dumps(chat_body("fault:close")).encode()
        with socket.create_connection(("127.0.0.1", self.sim.wire_port), DEADLINE_S) as connection:
            head = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n"
            connection.sendall(head.format(len(data)).encode() + data)
            if ending == "stuck":
                got = b""
                while mark not in got:
                    got += connection.recv(65536)
                return
            connection.sendall(head.format(len(again)).encode() + again)
            got, how = read_all(connection)
        self.assertEqual(how, "fin")
        self.assertIn(mark, got)

    def test_H1_37_extra_bytes_on_an_idle_connection(self):
        data = json.dumps(chat_body("fault:extra:ms=80", stream=True)).encode()
        with socket.create_connection(("127.0.0.1", self.sim.wire_port), DEADLINE_S) as connection:
            connection.sendall(f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(data)}\r\n\r\n".encode() + data)
            got, began = b"", time.monotonic()
            while b"[DONE]" not in got:
                got += connection.recv(65536)
            self.assertNotIn(b"smuggled", got)
            while b"smuggled" not in got:
                got += connection.recv(65536)
            self.assertGreaterEqual(time.monotonic() - began, 0.05)

    def test_H1_37_a_client_that_leaves_before_the_extra_bytes_was_answered(self):
        data = json.dumps(chat_body("fault:extra:ms=60000", stream=True)).encode()
        with socket.create_connection(("127.0.0.1", self.sim.wire_port), DEADLINE_S) as connection:
            connection.sendall(f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(data)}\r\n\r\n".encode() + data)
            got = b""
            while b"[DONE]" not in got:
                got += connection.recv(65536)
        stats = self.sim.wait_for(lambda stats: stats["completed"] == 1, "completion")
        self.assertEqual(stats["cancelled"], 0)

    def test_U_01_refuse_as_program_of_the_port(self):
        self.sim.set(program="fault:refuse:times=1")
        self.addCleanup(self.sim.set, program="")
        try:
            with socket.create_connection(("127.0.0.1", self.sim.wire_port), DEADLINE_S) as connection:
                self.assertEqual(read_all(connection), (b"", "reset"))
        except ConnectionResetError:
            pass  # within connect already
        self.assertEqual(self.sim.get("/health", port=self.sim.wire_port).status, 200)

    def test_http2_faults_are_refused(self):
        for model in ("fault:goaway", "fault:max-streams", "fault:flood:ping", "fault:frame:push"):
            self.assertEqual(self.sim.chat(model, port=self.sim.wire_port).status, 501, model)


class WireHttp2(SimulatorCase):
    """Wire ports over HTTP/2: the frames."""

    def frames(self, model, last=None, stream=True):
        with RawH2(self.sim.wire_port) as connection:
            number = connection.chat(model, stream)
            return connection.read_until(last or ends(number))

    def resets(self, frames):
        return [int.from_bytes(payload, "big") for kind, _, _, payload in frames if kind == h2_raw.RST_STREAM]

    def body(self, frames):
        return b"".join(payload for kind, _, _, payload in frames if kind == h2_raw.DATA)

    def test_good_answer(self):
        frames = self.frames("sim:0:3:0")
        self.assertEqual(self.resets(frames), [])
        self.assertTrue(self.body(frames).endswith(b"data: [DONE]\n\n"))

    def test_U_21_U_22_U_24_resets(self):
        self.assertEqual(self.resets(self.frames("fault:refused-stream")), [7])
        self.assertEqual(self.resets(self.frames("fault:reset:code=8")), [8])
        frames = self.frames("fault:reset:code=2:after=2")
        self.assertEqual((self.resets(frames), self.body(frames).count(b'"content":"')), ([2], 3))
        frames = self.frames("fault:reset:after=end", lambda got: got[0] == h2_raw.RST_STREAM)
        self.assertEqual(self.resets(frames), [0])
        self.assertTrue(self.body(frames).endswith(b"data: [DONE]\n\n"))
        self.assertEqual([flags & 1 for kind, flags, _, _ in frames if kind == h2_raw.DATA][-1], 1)

    def test_U_19_goaway(self):
        with RawH2(self.sim.wire_port) as connection:
            slow = connection.chat("sim:0:3:30000")
            told = connection.chat("fault:goaway:code=11")
            open_streams, frames = {slow, told}, []
            while open_streams:
                got = connection.read()
                frames.append(got)
                open_streams -= {got[2]} if ends(got[2])(got) else set()
        goaways = [struct.unpack(">II", payload[:8]) for kind, _, _, payload in frames if kind == h2_raw.GOAWAY]
        self.assertEqual(goaways, [(told, 11)])
        self.assertEqual(self.resets(frames), [])

    def test_U_19_goaway_before_this_stream(self):
        frames = self.frames("fault:goaway:last=before", lambda got: got[0] == h2_raw.GOAWAY)
        self.assertEqual(struct.unpack(">II", frames[-1][3][:8]), (0, 0))
        self.assertFalse(any(kind == h2_raw.HEADERS for kind, *_ in frames))

    def test_U_20_two_step_goaway(self):
        frames = self.frames("fault:goaway:two-step")
        last = [struct.unpack(">II", payload[:8])[0] for kind, _, _, payload in frames if kind == h2_raw.GOAWAY]
        self.assertEqual(last, [2**31 - 1, 1])

    def test_U_23_max_streams_lowered(self):
        with RawH2(self.sim.wire_port) as connection:
            for model in ("fault:max-streams:n=0", "sim:0:2:0"):  # the second proves that the connection lives on
                number = connection.chat(model)
                frames = connection.read_until(ends(number))
                self.assertTrue(self.body(frames).endswith(b"data: [DONE]\n\n"), model)
                if model != "sim:0:2:0":
                    settings = [payload for kind, flags, _, payload in frames if kind == h2_raw.SETTINGS and not flags & 1]
                    self.assertEqual(settings[-1], b"\0\x03\0\0\0\0")

    def test_H2_42_floods(self):
        kinds = {"ping": h2_raw.PING, "settings": h2_raw.SETTINGS, "window": h2_raw.WINDOW_UPDATE, "empty-data": h2_raw.DATA,
                 "priority": h2_raw.PRIORITY, "unknown": 0xF0}
        for variant, wanted in kinds.items():
            frames = self.frames(f"fault:flood:{variant}:n=500")
            self.assertGreaterEqual(sum(kind == wanted for kind, *_ in frames), 500, variant)
            self.assertTrue(self.body(frames).endswith(b"data: [DONE]\n\n"), variant)

    def test_H2_42_frames_no_peer_may_send(self):
        checks = {
            "push": lambda got: got[0] == h2_raw.PUSH_PROMISE,
            "too-large": lambda got: len(got[3]) == 16385,
            "idle-data": lambda got: got[0] == h2_raw.DATA and got[2] == 1001,
            "bad-settings": lambda got: got[0] == h2_raw.SETTINGS and len(got[3]) == 5,
            "bad-hpack": lambda got: got[0] == h2_raw.HEADERS and got[3].startswith(b"\xff\xff"),
            "window-overflow": lambda got: got[0] == h2_raw.WINDOW_UPDATE and got[3] == b"\x7f\xff\xff\xff",
        }
        for variant, check in checks.items():
            frames = self.frames(f"fault:frame:{variant}", check)
            self.assertTrue(check(frames[-1]), variant)

    def test_U_33_U_35_scripts(self):
        marks = {"fault:two-lengths": b"content-length", "fault:length-long": b"content-length", "fault:length-short": b"content-length",
                 "fault:bad-field:nul": b"a\0b", "fault:bad-field:cr": b"a\rb", "fault:length-and-chunked": b"transfer-encoding",
                 "fault:switching": b"101", "fault:body-after-204": b"204", "fault:trailers:n=10:bytes=1000": b"x-bomb-9",
                 "fault:interim:n=20": b"103", "fault:head-bomb": b"x-bomb-999"}
        for model, mark in marks.items():
            frames = self.frames(model, lambda got, m=mark: got[0] in (h2_raw.HEADERS, h2_raw.CONTINUATION) and m in got[3])
            self.assertIn(mark, frames[-1][3], model)

    def test_U_25_connection_ends(self):
        for model in ("fault:close", "fault:refuse", "fault:half-head", "fault:plain", "fault:close:after=2"):
            with RawH2(self.sim.wire_port) as connection:
                connection.chat(model)
                while connection.read() is not None:
                    pass
        self.assertEqual(self.sim.wait_for(lambda stats: stats["in_flight"] == 0)["received"], 5)


class Kinds(unittest.TestCase):
    """What --kind changes."""

    def test_errors_and_malformed_json(self):
        shapes = {
            "vllm": (400, lambda e: e["error"]["code"] == 400 and e["error"]["type"] == "BadRequestError"),
            "sglang": (400, lambda e: e["object"] == "error" and e["code"] == 400),
            "tgi": (422, lambda e: isinstance(e["error"], str) and "error_type" in e),
            "llamacpp": (500, lambda e: e["error"]["code"] == 500 and e["error"]["type"] == "server_error"),
            "triton": (400, lambda e: isinstance(e["detail"], str)),
            "ollama": (400, lambda e: e["error"]["code"] is None),
            "openai": (400, lambda e: isinstance(e["error"]["code"], str)),
        }
        for kind, (status, fits) in shapes.items():
            with self.subTest(kind=kind), Simulator("--kind", kind) as sim:
                answer = sim.post("/v1/chat/completions", b'{"model": "sim", ')
                self.assertEqual(answer.status, status)
                self.assertTrue(fits(answer.json()), answer.body)
                self.assertEqual(sim.chat("sim:0:2:0", stream=True).status, 200)

    def test_llamacpp(self):
        with Simulator("--kind", "llamacpp", "--slots", "1") as sim:
            got, how = raw(sim.port, chat_body("sim:0:2:0", stream=True))
            self.assertEqual(how, "fin")
            self.assertNotIn(b"connection: close", got.lower())
            first = got.split(b"\r\n\r\n", 1)[1]
            size = int(first.split(b"\r\n")[0], 16)
            chunk = first.split(b"\r\n", 1)[1][:size]
            self.assertIn(b'"content":null', chunk)
            self.assertGreaterEqual(chunk.count(b"data: "), 2)
            self.assertEqual(sim.chat("any-name-at-all", max_tokens=1).status, 200)
            sim.set(ready=0)
            self.assertEqual(sim.chat("sim:0:1:0").status, 503)

    def abandon(self, sim, model):
        data = json.dumps(chat_body(model)).encode()
        with socket.create_connection(("127.0.0.1", sim.port), DEADLINE_S) as connection:
            connection.sendall(f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(data)}\r\n\r\n".encode() + data)
            sim.wait_for(lambda stats: stats["in_flight"] == 1)
        sim.wait_for(lambda stats: stats["cancelled"] == 1)

    def test_an_abandoned_request_keeps_a_slot_of_llamacpp_only(self):
        for kind, least in (("llamacpp", 0.3), ("vllm", 0.0)):
            with Simulator("--kind", kind, "--slots", "1") as sim:
                began = time.monotonic()
                self.abandon(sim, "sim:400:1:0")
                self.assertEqual(sim.chat("sim:0:1:0").status, 200)
                took = time.monotonic() - began
                self.assertGreaterEqual(took, least, kind)
                sim.wait_for(lambda stats: stats["in_flight"] == 0)

    def test_slots_are_given_in_order(self):
        with Simulator("--slots", "1") as sim:
            connections = []
            for i, model in enumerate(["sim:100:1:0", "sim:0:1:0:finish=a", "sim:0:1:0:finish=b"]):
                connection = socket.create_connection(("127.0.0.1", sim.port), DEADLINE_S)
                self.addCleanup(connection.close)
                data = json.dumps(chat_body(model)).encode()
                connection.sendall(f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(data)}\r\n\r\n".encode() + data)
                connections.append(connection)
                sim.wait_for(lambda stats, n=i: stats["in_flight"] == n + 1 or stats["completed"] == 3)
            for connection in connections:
                self.assertIn(b"200 OK", connection.recv(65536))
            self.assertEqual(sim.wait_for(lambda stats: stats["completed"] == 3)["waiting"], 0)

    def test_overload(self):
        for kind, status in (("tgi", 429), ("vllm", 503)):
            with Simulator("--kind", kind, "--max-concurrent", "1") as sim, socket.create_connection(("127.0.0.1", sim.port)) as busy:
                data = json.dumps(chat_body("fault:silence")).encode()
                busy.sendall(f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(data)}\r\n\r\n".encode() + data)
                sim.wait_for(lambda stats: stats["in_flight"] == 1)
                self.assertEqual(sim.chat("sim:0:1:0").status, status)
                if kind == "tgi":
                    events = sim.chat("sim:0:1:0", stream=True).events()
                    self.assertEqual((events[0]["error"]["http_status_code"], events[1]), (422, "[DONE]"))

    def test_triton_and_ollama(self):
        with Simulator("--kind", "triton", "--not-ready") as sim:
            self.assertEqual(sim.get("/health/ready").status, 400)
            self.assertEqual(len(sim.chat("sim:0:100:0").json()["choices"][0]["message"]["content"].split()), 16)
        with Simulator("--kind", "ollama") as sim:
            self.assertEqual(sim.get("/").body, b"Ollama is running")
            self.assertEqual(sim.get("/metrics").status, 404)
            self.assertEqual(sim.get("/api/version").status, 200)
            answer = sim.chat("fault:error:after=1", stream=True)
            self.assertIsNone(answer.error)
            self.assertEqual(answer.events()[-1]["choices"][0]["delta"], {})

    def test_comments(self):
        with Simulator("--kind", "tgi", "--comment-ms", "20") as sim:
            answer = sim.chat("sim:150:1:0", stream=True)
            self.assertIn(b":\n\n", answer.body)
            self.assertEqual(answer.events()[-1], "[DONE]")


class Process(unittest.TestCase):
    """The program."""

    def test_several_ports_and_workers(self):
        with Simulator("--workers", "2", listen=2, wire=1) as sim:
            self.assertEqual(len({*sim.ports, *sim.wire_ports}), 3)
            for port in sim.ports + sim.wire_ports:
                self.assertEqual(sim.chat("sim:0:1:0", port=port).status, 200)
            for _ in range(20):
                sim.chat("sim:0:1:0")
            self.assertEqual(sim.stats()["received"], 23)
            self.assertEqual(len(sim.last()), 23)

    def test_ends_at_once_with_work_in_flight(self):
        for how in (signal.SIGTERM, signal.SIGINT):
            sim = Simulator(wire=1)
            busy = [socket.create_connection(("127.0.0.1", port)) for port in (sim.port, sim.wire_port)]
            data = json.dumps(chat_body("fault:silence")).encode()
            for connection in busy:
                connection.sendall(f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(data)}\r\n\r\n".encode() + data)
            with RawH2(sim.port) as one, RawH2(sim.wire_port) as two:
                one.chat("fault:stall")
                two.chat("fault:stall")
                sim.wait_for(lambda stats: stats["in_flight"] == 4)
                sim.process.send_signal(how)
                self.assertEqual(sim.process.wait(DEADLINE_S), 0)
            sim.process.stdout.close()
            for connection in busy:
                connection.close()

    @unittest.skipUnless(shutil.which("openssl"), "makes its certificate with the openssl program")
    def test_tls(self):
        with tempfile.TemporaryDirectory() as folder:
            files = [f"{folder}/cert.pem", f"{folder}/key.pem"]
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                            "/CN=localhost", "-out", files[0], "-keyout", files[1]], check=True, capture_output=True)
            with Simulator("--tls", *files) as sim:
                for version, wanted in (("--http1.1", "1.1"), ("--http2", "2")):
                    done = subprocess.run(["curl", "-sSk", version, "-m", str(DEADLINE_S), "-w", "\n%{http_version}", "-d", json.dumps(chat_body("sim:0:3:0", stream=True)),
                                           f"https://127.0.0.1:{sim.port}/v1/chat/completions"], capture_output=True, check=True)
                    text, _, answered = done.stdout.rpartition(b"\n")
                    self.assertEqual(answered.decode(), wanted)
                    self.assertTrue(text.endswith(b"data: [DONE]\n\n"))

    def test_bad_command_lines(self):
        for arguments, code in ((["--kind", "nope"], 2), (["--listen", "nowhere"], 1), (["--program", "nope"], 1), (["--slots", "1", "--workers", "2"], 2)):
            done = subprocess.run([program("penstock-sim"), *arguments], capture_output=True, check=False, timeout=DEADLINE_S)
            self.assertEqual((done.returncode, done.stdout), (code, b""), arguments)
            self.assertTrue(done.stderr)

    def test_many_streams_at_once(self):
        with Simulator() as sim:
            with RawH2(sim.port) as connection:
                numbers = {connection.chat("sim:50:3:1000") for _ in range(1000)}
                while numbers:
                    got = connection.read()
                    if ends(got[2])(got):
                        self.assertNotEqual(got[0], h2_raw.RST_STREAM)
                        numbers.discard(got[2])
            self.assertEqual(sim.stats()["completed"], 1000)


if __name__ == "__main__":
    unittest.main()
