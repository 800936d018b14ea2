"""What lies between the rows: limits across workers, answers whose end only they themselves tell, waits that belong to nobody."""

import json
import socket
import struct
import subprocess
import tempfile
import threading
import time
import unittest

import h1_client
import h2_client
import harness
from harness import FaultCase, Gateway, World, cluster, endpoint, until

PATH = "/v1/chat/completions"
LARGE = json.dumps({"object": "list", "data": [{"x": "y" * 300_000, "note": "\"usage\": {}"}], "usage": {"prompt_tokens": 7, "completion_tokens": 5}}).encode()
WHOLE = json.dumps({"id": "x", "object": "chat.completion", "choices": [
    {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "an answer"}}]}).encode()

COMMENT = b": keep-alive\n\n"


class Scripted(harness.Backend):
    """A backend that answers each request by one function: answer(connection)."""

    def __init__(self, answer):
        self.answer = answer
        super().__init__()

    def serve(self, connection):
        with connection:
            data = b""
            while b"\r\n\r\n" not in data:
                piece = connection.recv(65536)
                if not piece:
                    return
                data += piece
            if not data.startswith(b"POST"):
                return  # a health probe
            self.count += 1
            self.answer(connection)


def until_close(body, kind=b"application/json"):
    return lambda connection: connection.sendall(
        b"HTTP/1.1 200 OK\r\ncontent-type: " + kind + b"\r\nconnection: close\r\n\r\n" + body)


def events(*data, end=b"\n\n"):
    """A stream that ends with its connection, as bytes; `end`: what is behind the last event."""
    return until_close(b"\n\n".join(b"data: " + (each if isinstance(each, bytes) else json.dumps(each).encode()) for each in data) + end,
                       b"text/event-stream")


def chunk(text=None, finish=None):
    return {"id": "x", "object": "chat.completion.chunk", "choices": [
        {"index": 0, "delta": {} if text is None else {"content": text}, "finish_reason": finish}]}


def late_body(connection):
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(WHOLE))
    threading.Event().wait(0.8)  # the upstream's own slowness is what is tested
    connection.sendall(WHOLE)


class Busy:
    """Every second request is served, the others are asked to wait `wait_ms`."""

    def __init__(self, wait_ms):
        self.wait_ms, self.turn = wait_ms, 0

    def __call__(self, connection):
        self.turn += 1
        if self.turn % 2 == 0:
            return until_close(WHOLE)(connection)
        return connection.sendall(b"HTTP/1.1 429 Too Many Requests\r\ncontent-type: application/json\r\nretry-after-ms: %d\r\n"
                                  b"content-length: 2\r\nconnection: close\r\n\r\n{}" % self.wait_ms)


def neighbourly(connection):
    connection.sendall(b"HTTP/1.1 401 Unauthorized\r\ncontent-type: application/json\r\nconnection: close, X-Hop\r\nconnection: x-hop-too , Connection-Note\r\n"
                       b"x-hop: 1\r\nX-Hop-Too: 2\r\nconnection-note: 3\r\nkeep-alive: timeout=5\r\nwww-authenticate: Basic realm=inside\r\nx-kept: yes\r\n"
                       b"content-length: 2\r\n\r\n{}")


def comments(connection):
    """Begins, says for two seconds that it is there, and ends well."""
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\ndata: "
                       + json.dumps(chunk("a")).encode() + b"\n\n")
    gone = threading.Event()
    try:
        for _ in range(40):
            connection.sendall(b": here\n\n")
            gone.wait(0.05)
        connection.sendall(b"data: " + json.dumps(chunk(finish="stop")).encode() + b"\n\ndata: [DONE]\n\n")
    except OSError:
        pass  # the gateway has had enough


def silent(connection):
    connection.recv(1)  # until the gateway has had enough


def body_of(model, stream=False, text="hi"):
    return json.dumps({"model": model, "stream": stream, "messages": [{"role": "user", "content": text}]})


class Edges(FaultCase):
    @classmethod
    def make_world(cls):
        cls.backends = {"cut": Scripted(until_close(WHOLE[:-9])), "whole": Scripted(until_close(WHOLE)), "large": Scripted(until_close(LARGE)),
                        "late": Scripted(late_body), "silent": Scripted(silent), "resets": Scripted(lambda connection: None),
                        "no-blank-line": Scripted(events(chunk("a"), chunk("b"), end=b"")),
                        "error-then-done": Scripted(events(chunk("a"), chunk(finish="stop"), {"error": {"message": "late"}}, b"[DONE]")),
                        "busy": Scripted(Busy(150)), "busier": Scripted(Busy(9000)), "neighbour": Scripted(neighbourly)}
        refusing = socket.socket()
        refusing.bind(("127.0.0.1", 0))
        cls.refusing = refusing

        def config(world):
            clusters = [cluster(name, [endpoint(backend.address)], retry={"attempts": {"b": 2, "r": 5}.get(name[0], 1)}, timeouts={"headers": "300ms"})
                        for name, backend in cls.backends.items() if name != "silent"]
            clusters.append(cluster("silent", [endpoint(cls.backends["silent"].address), endpoint("127.0.0.1:%d" % refusing.getsockname()[1])],
                                    retry={"attempts": 4}, timeouts={"headers": "300ms"}))
            clusters.append(cluster("good", [endpoint(world.sims["good"].address)]))
            return {"server": {"listeners": [{"address": "127.0.0.1:0"}], "limits": {"json_depth": 16, "response_hold": "64KiB"}},
                    "models": [{"name": c["name"], "upstream_name": "sim:5000:5:1000", "cluster": c["name"]} for c in clusters],
                    "clusters": clusters}
        return World(config, sims=("good",))

    @classmethod
    def tearDownClass(cls):
        for backend in cls.backends.values():
            backend.close()
        cls.refusing.close()
        super().tearDownClass()

    def ask(self, model, stream=False, text="hi", headers=()):
        with h1_client.Connection(self.gateway.address) as connection:
            return connection.ask("POST", PATH, body_of(model, stream, text).encode(), [("x-request-id", self.request_id()), *headers])

    def test_U_33_a_document_cut_by_the_end_of_its_connection(self):
        answer = self.ask("cut")
        self.assertEqual((answer.status, answer.error()["code"]), (502, "upstream_reset"))

    def test_U_33_a_whole_document_that_ends_with_its_connection(self):
        answer = self.ask("whole")
        self.assertEqual((answer.status, answer.body), (200, WHOLE))

    def test_the_tokens_of_an_answer_that_is_not_held(self):
        answer = self.ask("large")
        self.assertEqual((answer.status, answer.body), (200, LARGE))
        line = self.gateway.line_of(self.asked[-1])
        self.assertEqual((line["tokens_in"], line["tokens_out"]), (7, 5))

    def test_U_16_a_late_document_is_bounded_by_idle_not_by_headers(self):
        answer = self.ask("late", stream=True)
        self.assertEqual((answer.status, answer.body), (200, WHOLE))

    def test_U_04_a_silent_endpoint_is_asked_once(self):
        before = self.backends["silent"].count
        for _ in range(4):
            self.ask("silent", stream=True)
        self.assertLessEqual(self.backends["silent"].count - before, 4)

    def test_U_04_a_reset_is_retried_once_whatever_the_attempts(self):
        self.assertEqual(self.ask("resets").error()["code"], "upstream_reset")
        self.assertEqual(self.backends["resets"].count, 2)

    def test_U_08_a_whole_event_without_its_blank_line(self):
        answer = self.ask("no-blank-line", stream=True)
        self.assertFalse(answer.complete)
        told = [json.loads(event) for event in answer.events()]
        self.assertEqual([event.get("choices", [{}])[0].get("delta", {}).get("content") for event in told], ["a", "b", None])
        self.assertEqual(told[-1]["error"]["code"], "stream_interrupted")

    def test_U_11_an_error_event_behind_the_finish(self):
        answer = self.ask("error-then-done", stream=True)
        self.assertFalse(answer.complete, "presented as success")
        self.assertNotIn("[DONE]", answer.events())
        self.assertNotEqual(self.gateway.line_of(self.asked[-1])["term"], "-")

    def test_U_18_a_short_retry_after_is_waited_out_where_nobody_else_is(self):
        begun = time.monotonic()
        self.assertEqual(self.ask("busy").status, 200)
        self.assertGreaterEqual(time.monotonic() - begun, 0.15)

    def test_U_18_a_long_retry_after_is_passed_on(self):
        self.assertEqual(self.ask("busier").status, 429)

    def test_J_04_the_configured_depth_counts(self):
        for depth, status in ((16, 400), (8, 200)):
            body = '{"model":"whole","messages":[{"role":"user","content":"hi"}],"x":%s%s}' % ("[" * depth, "]" * depth)
            with h1_client.Connection(self.gateway.address) as connection:
                self.assertEqual(connection.ask("POST", PATH, body.encode()).status, status, depth)

    def test_the_deadline_holds_for_a_body_that_another_thread_parses(self):
        begun = time.monotonic()
        answer = self.ask("good", text="x" * 1_300_000, headers=[("x-penstock-timeout-ms", "500")])
        self.assertEqual(answer.status, 504)
        self.assertLess(time.monotonic() - begun, 4)

    def test_head_requests_over_both_protocols(self):
        for option in ("--http1.1", "--http2-prior-knowledge"):
            done = subprocess.run(["curl", "-sSI", option, f"http://{self.gateway.address}/v1/models"], capture_output=True, text=True)
            self.assertEqual((done.returncode, done.stderr), (0, ""), option)
            self.assertIn(" 200", done.stdout.splitlines()[0])

    def test_405_names_what_is_allowed(self):
        with h1_client.Connection(self.gateway.address) as connection:
            answer = connection.ask("GET", PATH)
            self.assertEqual((answer.status, answer.header("allow")), (405, "POST"))

    def test_whoever_asks_for_messages_hears_of_errors_in_their_shape(self):
        big = [("content-length", str(1 << 30))]
        for status, method, headers in ((405, "GET", []), (413, "POST", big), (417, "POST", [("expect", "more"), ("content-length", "2")]),
                                        (431, "POST", [("x-a", "b" * 40_000), ("content-length", "0")])):
            with self.subTest(status), h1_client.Connection(self.gateway.address) as connection:
                fields = "".join(f"{name}: {value}\r\n" for name, value in headers)
                connection.send(f"{method} /v1/messages?beta=true HTTP/1.1\r\nhost: a\r\n{fields}\r\n".encode())
                answer = connection.read_response()
                self.assertEqual((answer.status, answer.json()["type"]), (status, "error"), answer.body)
                self.assertIn("message", answer.json()["error"])

    def test_what_an_upstream_says_to_its_neighbour_goes_no_further(self):
        answer = self.ask("neighbour")
        self.assertEqual((answer.status, answer.header("x-kept")), (401, "yes"))
        for name in ("x-hop", "x-hop-too", "connection-note", "www-authenticate", "keep-alive"):
            self.assertIsNone(answer.header(name), name)

    def test_J_13_the_text_of_a_request_whose_time_ends_at_its_key(self):
        """The key of a large body is made on another thread, which has the body meanwhile. The client does not let the 504 end, so the request is
        accounted for when that thread has long let go of the text."""
        names = ",".join(f'"n{i}":0' for i in range(60_000))
        large = f'{{"model":"good","temperature":0,"messages":[{{"role":"user","content":"%s"}}],"x":{{{names}}}}}'
        with h2_client.Connection(self.gateway.address, initial_settings=((4, 0),), windows=False) as connection:
            stream = connection.request((large % "a").encode(), [("x-request-id", self.request_id()), ("x-penstock-timeout-ms", "1")])
            while connection.stream(stream).status is None:
                self.assertTrue(connection.step())
            self.assertEqual(connection.stream(stream).status, 504)
            for i in range(3):  # that thread is done with the first
                with h1_client.Connection(self.gateway.address) as other:
                    other.ask("POST", PATH, (large % i).encode(), [("x-penstock-timeout-ms", "300")])
            connection.send(h2_client.frame(h2_client.RST_STREAM, 0, stream, struct.pack(">I", h2_client.CANCEL)))
            line = self.gateway.line_of(self.asked[-1])
            self.assertEqual((line["status"], line["model"]), (499, "good"))

    def test_the_gateways_share_is_measured(self):
        answer = self.ask("whole")
        share = float(answer.header("server-timing").split("gw;dur=")[1].split(",")[0])
        self.assertGreater(share, 0)


class Connections(unittest.TestCase):
    """Limits of connections hold for the process, whoever of its workers accepts."""

    def gateway(self, **limits):
        folder = tempfile.TemporaryDirectory(prefix="penstock-")
        self.addCleanup(folder.cleanup)
        config = {"server": {"listeners": [{"address": "127.0.0.1:0"}], "workers": 2, "limits": limits},
                  "models": [{"name": "m", "cluster": "c"}], "clusters": [cluster("c", [endpoint("127.0.0.1:9")])]}
        gateway = Gateway(folder.name, config)
        self.addCleanup(gateway.end)
        return gateway

    def answers(self, address, sockets):
        """How many of them are served: the answer to each is awaited."""
        served = 0
        for each in sockets:
            each.settimeout(5)
            try:
                each.sendall(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
                served += each.recv(4096).startswith(b"HTTP/1.1 200")
            except OSError:
                pass
        return served

    def test_room_that_another_worker_makes_is_used(self):
        gateway = self.gateway(connections=4)
        where = h1_client.split_address(gateway.address)
        for _ in range(15):
            batch = [socket.create_connection(where) for _ in range(8)]
            for each in batch[::2] + batch[1::2]:
                each.close()
        for _ in range(10):
            with socket.create_connection(where) as one:
                self.assertEqual(self.answers(gateway.address, [one]), 1)

    def test_connections_per_ip_counts_over_all_workers(self):
        gateway = self.gateway(connections_per_ip=2)
        where = h1_client.split_address(gateway.address)
        batch = [socket.create_connection(where) for _ in range(12)]
        self.assertEqual(self.answers(gateway.address, batch), 2)
        for each in batch:
            each.close()

        def again():
            with socket.create_connection(where) as one:
                return self.answers(gateway.address, [one]) == 1
        until(again, "a new connection is served")


class Keepalive(FaultCase):
    """Comments while there is nothing to say: sse_keepalive's, behind the first content, and those of the upstream."""

    @classmethod
    def make_world(cls):
        cls.commenting = Scripted(comments)

        def config(world):
            programs = ("fault:stall", "fault:silence", "sim:0:20:1000")
            rules = {"retry": {"attempts": 1}, "timeouts": {"headers": "500ms", "first_token": "500ms", "idle": "500ms", "total": "5s"}}
            return {"server": {"listeners": [{"address": "127.0.0.1:0"}], "sse_keepalive": "50ms"},
                    "models": [{"name": program, "cluster": "up"} for program in programs] + [{"name": "comments", "cluster": "comments"}],
                    "clusters": [cluster("up", [endpoint(world.sims["up"].wire)], **rules),
                                 cluster("comments", [endpoint(cls.commenting.address)], **rules)]}
        return World(config, sims=("up",))

    @classmethod
    def tearDownClass(cls):
        cls.commenting.close()
        super().tearDownClass()

    def ask(self, client, model):
        return h2_client.ask(client, self.gateway.address, PATH, body_of(model, True), [("x-request-id", self.request_id())])

    def test_U_12_comments_while_it_stalls(self):
        timeouts = 'penstock_stream_interruptions_total{cause="upstream_timeout"}'
        before = harness.settled(lambda: self.gateway.metrics().get(timeouts, 0))
        for client in ("h1", "h2"):
            with self.subTest(client):
                answer = self.ask(client, "fault:stall")
                content, *comments, error = answer.body.split(COMMENT)
                self.assertGreaterEqual(len(comments), 1, answer)
                self.assertEqual(set(comments), {b""}, "nothing between them")
                self.assertIn(b'"content"', content)
                self.assertEqual(json.loads(error.removeprefix(b"data: "))["error"]["code"], "stream_interrupted", "they are no progress")
        until(lambda: self.gateway.metrics().get(timeouts, 0) == before + 2, "ended by the idle time, not by the total")

    def test_U_13_comments_are_no_progress(self):
        answer = self.ask("h1", "comments")
        self.assertFalse(answer.complete)
        self.assertIn(b": here\n\n", answer.body)
        self.assertEqual(json.loads(answer.events()[-1])["error"]["code"], "stream_interrupted")

    def test_U_12_no_comment_before_content_or_between_tokens(self):
        answer = self.ask("h1", "fault:silence")
        self.assertEqual((answer.status, answer.error()["code"]), (504, "upstream_timeout"))
        answer = self.ask("h1", "sim:0:20:1000")
        self.assertEqual((answer.complete, answer.events()[-1]), (True, "[DONE]"))


if __name__ == "__main__":
    unittest.main()
