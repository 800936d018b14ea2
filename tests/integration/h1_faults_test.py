"""Group (b) of the fault catalogue end to end: what HTTP/1.1 clients send. The expectation of a refused message: the status,
the connection closed behind it, and nothing at the backend. Upstream rows (H1-36, H1-37) are in upstream_faults_test.py."""

import json
import select

import h1_client
import harness
from harness import FaultCase, World, cluster, endpoint, table

MODEL, SILENT = "sim:0:4:0", "fault:silence"
CHAT = json.dumps({"model": MODEL, "messages": [{"role": "user", "content": "hi"}]})
PATH = "/v1/chat/completions"
SIZE = len(CHAT)


def post(*headers, line=f"POST {PATH} HTTP/1.1", body=CHAT, host="Host: gateway.test", length=None, end="\r\n"):
    """A request by its lines. Without a framing field among `headers` it gets a content-length."""
    lines = [line] + ([host] if host is not None else []) + list(headers)
    framed = any(h.lower().lstrip().startswith(("content-length", "transfer-encoding")) for h in headers)
    if not framed and length is not False:
        lines.append(f"Content-Length: {len(body)}")
    return (end.join(lines) + end + end + body).encode("latin-1")


def chunked(body, *headers, te="Transfer-Encoding: chunked"):
    return post(te, *headers, body=body)


def chunk(data=CHAT, size=None, extension="", end="\r\n", size_end="\r\n"):
    return f"{format(len(data), 'x') if size is None else size}{extension}{size_end}{data}{end}"


LAST = "0\r\n\r\n"
OVER = 10 * 1024 * 1024 + 1

# id and label, bytes, status. A refused message closes the connection and leaves nothing at the backend.
REFUSED = [
    ("H1-01 length then coding", post(f"Content-Length: {SIZE}", "Transfer-Encoding: chunked", body=chunk() + LAST), 400),
    ("H1-01 coding then length", post("Transfer-Encoding: chunked", f"Content-Length: {SIZE}", body=chunk() + LAST), 400),
    ("H1-02 twice the same", post(f"Content-Length: {SIZE}", f"Content-Length: {SIZE}"), 400),
    ("H1-02 twice different", post(f"Content-Length: {SIZE}", "Content-Length: 3"), 400),
    ("H1-02 list", post(f"Content-Length: {SIZE}, {SIZE}"), 400),
    *[(f"H1-03 length {i}", post(f"Content-Length: {text}"), 400)
      for i, text in enumerate([f"+{SIZE}", "-1", "0x5f", "1_0", "1Z", "", "18446744073709551617"])],
    ("H1-03 over the limit", post("Content-Length: 99999999999"), 413),
    *[(f"H1-04 coding {text}", post(f"Transfer-Encoding: {text}", body=chunk() + LAST), 501) for text in ("identity", "xchunked")],
    *[(f"H1-04 codings {text}", post(f"Transfer-Encoding: {text}", body=chunk() + LAST), (400, 501))
      for text in ("gzip, chunked", "chunked, identity")],
    *[(f"H1-05 coding {i}", post(f"Transfer-Encoding: {text}", body=chunk() + LAST), 400)
      for i, text in enumerate([",chunked", "\x0bchunked", "\xa0chunked", "chunked;a=b", "chunked, chunked"])],
    ("H1-05 two fields", post("Transfer-Encoding: chunked", "Transfer-Encoding: chunked", body=chunk() + LAST), 400),
    ("H1-06 coding in 1.0", post("Transfer-Encoding: chunked", line=f"POST {PATH} HTTP/1.0", body=chunk() + LAST), 400),
    *[(f"H1-07 size {i}", chunked(chunk(size=text) + LAST), 400)
      for i, text in enumerate([f"0x{SIZE:x}", f"+{SIZE:x}", "-1", "1_0", "", f" {SIZE:x}", "1g", f"{SIZE:x} ", "0" * 13 + f"{SIZE:x}"])],
    ("H1-08 extension of 257 bytes", chunked(chunk(extension=";a=" + "b" * 254) + LAST), 400),
    ("H1-08 extensions of 4 KiB together",
     chunked("".join(chunk(" ", extension=";" + "b" * 250) for _ in range(17)) + chunk() + LAST), 400),
    ("H1-09 LF in extension", chunked(chunk(extension=";a\nb") + LAST), 400),
    ("H1-09 CR in extension", chunked(chunk(extension=";a\rb") + LAST), 400),
    ("H1-09 LF ends the size line", chunked(chunk(size_end="\n") + LAST), 400),
    ("H1-09 LF ends the extension", chunked(chunk(extension=";a=b", size_end="\n") + LAST), 400),
    ("H1-09 quoted extension", chunked(chunk(extension=';a="b"') + LAST), 400),
    ("H1-09 quoted line end", chunked(chunk(extension=';a="\r\n"') + LAST), 400),
    ("H1-10 data ended by LF", chunked(chunk(end="\n") + LAST), 400),
    ("H1-10 data ended by XX", chunked(chunk(end="XX") + LAST), 400),
    ("H1-10 one byte more", chunked(chunk(end="}\r\n") + LAST), 400),
    ("H1-11 21 trailers", chunked(chunk() + "0\r\n" + "".join(f"x-{i}: a\r\n" for i in range(21)) + "\r\n"), 400),
    ("H1-11 9 KiB of trailers", chunked(chunk() + "0\r\nx: " + "a" * 9216 + "\r\n\r\n"), 400),
    ("H1-11 length as trailer", chunked(chunk() + "0\r\ncontent-length: 5\r\n\r\n"), 400),
    ("H1-11 authorization as trailer", chunked(chunk() + "0\r\nauthorization: Bearer x\r\n\r\n"), 400),
    ("H1-11 malformed end", chunked(chunk() + "0\r\nx: a\r\n\rX"), 400),
    ("H1-12 LF lines", post(end="\n"), 400),
    ("H1-12 one LF line", post("x-a: b\nx-c: d"), 400),
    ("H1-12 bare CR", post("x-a: b\rc"), 400),
    ("H1-12 NUL", post("x-a: b\0c"), 400),
    ("H1-12 CR before colon", post("x-a\r: b"), 400),
    ("H1-13 fold", post("x-a: b\r\n c"), 400),
    ("H1-13 fold by tab", post("x-a: b\r\n\tc"), 400),
    ("H1-13 folded coding", post("Transfer-Encoding:\r\n chunked", body=chunk() + LAST), 400),
    ("H1-14 space before colon", post("x-a : b"), 400),
    ("H1-14 space before the first field", post(host=" Host: gateway.test"), 400),
    ("H1-14 empty name", post(": b"), 400),
    ("H1-14 no colon", post("x-a"), 400),
    ("H1-14 8-bit name", post("x-\xe4: b"), 400),
    ("H1-14 control in name", post("x-\x01: b"), 400),
    ("H1-16 no host", post(host=None), 400),
    ("H1-16 two hosts", post("Host: gateway.test"), 400),
    *[(f"H1-16 host {i}", post(host=f"Host: {text}"), 400)
      for i, text in enumerate(["", "u@a", "a/#@b", "a,b", "a:98777", "a b", "[::1", "a:1:2"])],
    ("H1-17 version 1.32", post(line=f"POST {PATH} HTTP/1.32"), 400),
    ("H1-17 version 2.0", post(line=f"POST {PATH} HTTP/2.0"), 505),
    ("H1-17 version 1.2", post(line=f"POST {PATH} HTTP/1.2"), 505),
    ("H1-17 version 0.9", post(line=f"POST {PATH}"), 400),
    ("H1-17 lower-case version", post(line=f"POST {PATH} http/1.1"), 400),
    ("H1-17 lower-case method", post(line=f"post {PATH} HTTP/1.1"), 400),
    ("H1-17 8-bit method", post(line=f"P\xd6ST {PATH} HTTP/1.1"), 400),
    ("H1-17 two spaces", post(line=f"POST  {PATH} HTTP/1.1"), 400),
    ("H1-17 tab", post(line=f"POST\t{PATH} HTTP/1.1"), 400),
    ("H1-17 control in path", post(line=f"POST {PATH}\x01 HTTP/1.1"), 400),
    ("H1-18 GET star", post(line="GET * HTTP/1.1", length=False, body=""), 400),
    ("H1-18 fragment", post(line=f"POST {PATH}#b HTTP/1.1"), 400),
    ("H1-18 authority form", post(line="POST gateway.test:80 HTTP/1.1"), 400),
    ("H1-19 CONNECT", post(line="CONNECT gateway.test:443 HTTP/1.1", body="", length=False), 405),
    ("H1-19 TRACE", post(line=f"TRACE {PATH} HTTP/1.1", body="", length=False), 405),
    ("H1-26 expectation of 11 MB", post("Expect: 100-continue", f"Content-Length: {11 * 1024 * 1024}", body=""), 413),
    ("H1-27 unknown expectation", post("Expect: foo"), 417),
    ("H1-30 33 KiB of fields", post("x-a: " + "b" * 33 * 1024), 431),
    ("H1-30 101 fields", post(*[f"x-{i}: a" for i in range(101)]), 431),
    ("H1-30 path of 9 KiB", post(line="POST /" + "a" * 9216 + " HTTP/1.1"), 414),
    ("H1-31 length over the limit", post(f"Content-Length: {OVER}", body=""), 413),
    ("H1-31 length 9e18", post("Content-Length: 9000000000000000000", body=""), 413),
]

# id and label, bytes: answered 200, and the connection goes on.
TAKEN = [
    ("H1-03 leading zero", post(f"Content-Length: 0{SIZE}")),
    ("H1-08 extension", chunked(chunk(extension=";a=b;c") + LAST)),
    ("H1-08 extension of 256 bytes", chunked(chunk(extension=";a=" + "b" * 250) + LAST)),
    ("H1-11 trailers", chunked(chunk() + "0\r\nx-checksum: a\r\n\r\n")),
    ("H1-18 absolute form", post(line=f"POST http://other.test{PATH} HTTP/1.1")),
    ("H1-20 websocket", post("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")),
    ("H1-20 h2c with body", post("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__")),
    ("H1-30 99 fields", post(*[f"x-{i}: a" for i in range(95)])),
]


class Recorder(harness.Backend):
    """Keeps the head of each request as it came. The simulator reads with the gateway's own parser, which drops fields too."""

    def __init__(self):
        self.heads = []
        super().__init__()

    def serve(self, connection):
        with connection:
            data = b""
            while b"\r\n\r\n" not in data and (piece := connection.recv(65536)):
                data += piece
            self.heads.append(data.partition(b"\r\n\r\n")[0].decode("latin-1"))
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}")
            while connection.recv(65536):
                pass


@table("refused", REFUSED)
@table("taken", TAKEN)
class ClientMessages(FaultCase):
    @classmethod
    def make_world(cls):
        cls.recorder = Recorder()

        def config(world):
            return {
                "server": {"listeners": [{"address": "127.0.0.1:0"}],
                           "limits": {"header_timeout": "500ms", "idle_timeout": "2s", "body_timeout": "2s",
                                      "requests_per_connection": 1000},
                           "forward_headers": ["x_forwarded", "x-forwarded"]},
                "models": [{"name": name, "cluster": "up"} for name in (MODEL, SILENT)] + [{"name": "recorded", "cluster": "recorder"}],
                "clusters": [cluster("up", [endpoint(world.sims["up"].address)]), cluster("recorder", [endpoint(cls.recorder.address)])],
            }
        return World(config, sims=("up",))

    @classmethod
    def tearDownClass(cls):
        cls.recorder.close()
        super().tearDownClass()

    def setUp(self):
        super().setUp()
        self.up = self.world.sims["up"]
        self.up.reset()

    def lines_of(self, connection_name):
        """A refused head has no request id of ours: its line is found by the client's address."""
        return [line for line in self.gateway.access_lines() if line["client"] == connection_name]

    def connect(self):
        connection = h1_client.Connection(self.gateway.address)
        self.addCleanup(connection.close)
        return connection

    def received(self):
        return self.up.stats()["received"]

    def refused(self, _, data, status):
        connection = self.connect()
        name = "%s:%d" % connection.socket.getsockname()
        before = len(self.lines_of(name))  # the kernel gives ports away again
        connection.send(data)
        answer = connection.read_response()
        self.assertIn(answer.status, (status,) if isinstance(status, int) else status, answer)
        self.assertEqual(answer.header("connection"), "close")
        self.assertTrue(answer.complete)
        self.assertEqual(set(answer.error()), {"message", "type", "param", "code"})
        self.assertTrue(connection.at_end(), "another answer came")
        self.assertEqual(self.received(), 0, "something reached the backend")
        harness.until(lambda: self.lines_of(name)[before:], "O5: an access line")
        self.assertEqual([line["status"] for line in self.lines_of(name)[before:]], [answer.status], "O5")

    def taken(self, _, data):
        connection = self.connect()
        connection.send(data)
        answer = connection.read_response()
        self.assertEqual((answer.status, answer.complete), (200, True), answer)
        record = self.up.last()[-1]
        self.assertEqual(record["body"], CHAT)
        names = [name for name, _ in record["headers"]]
        for hop in ("upgrade", "http2-settings", "te", "trailer", "transfer-encoding", "expect"):
            self.assertNotIn(hop, names)
        self.assertNotEqual(record["authority"], "other.test")
        self.again(connection)
        self.assertEqual(self.received(), 2)

    def again(self, connection):
        """The connection is in step: the next request gets its own answer."""
        answer = connection.ask("POST", PATH, CHAT, [("x-request-id", self.request_id())])
        self.assertEqual((answer.status, answer.header("x-request-id")), (200, self.asked[-1]))

    def test_H1_15_underscore_names_are_dropped(self):
        fields = [("x_api_key", "secret"), ("openai_beta", "x"), ("openai-beta", "kept"), ("x_forwarded", "x"), ("x-forwarded", "kept")]
        answer = self.connect().ask("POST", PATH, CHAT.replace(MODEL, "recorded"), fields)
        self.assertEqual(answer.status, 200)
        names = [line.partition(":")[0] for line in self.recorder.heads[-1].split("\r\n")[1:]]
        self.assertEqual([name for name in names if "_" in name], [], "not even where the configuration would have it forwarded")
        self.assertLessEqual({"openai-beta", "x-forwarded"}, set(names))

    def test_H1_21_pipelined_in_order(self):
        connection = self.connect()
        ids = [f"pipelined-{i}" for i in range(900)]
        connection.socket.setblocking(True)
        import threading
        sender = threading.Thread(target=connection.send, daemon=True,
                                  args=(b"".join(connection.request_bytes("POST", PATH, CHAT, [("x-request-id", i)]) for i in ids),))
        sender.start()
        for i in ids:
            answer = connection.read_response()
            self.assertEqual((answer.status, answer.header("x-request-id")), (200, i))
        sender.join(harness.HANG)
        self.assertEqual(self.received(), len(ids))

    def test_H1_21_what_waits_behind_a_request_is_bounded(self):
        connection, request = self.connect(), post(body=CHAT.replace(MODEL, SILENT))
        connection.send(request)
        harness.until(lambda: self.received() == 1, "the first at the backend")
        left, sent = post() * 20_000, 0
        connection.socket.setblocking(False)
        try:
            while left[sent:]:
                sent += connection.socket.send(left[sent:sent + (1 << 20)])
        except BlockingIOError:
            pass  # as much as the kernel takes
        self.assertGreater(sent, 2_000_000)
        self.assertLess(sent - harness.settled(lambda: harness.unread_there(connection)), 500_000)
        self.assertEqual(self.received(), 1)
        connection.abort()  # a FIN would wait behind the bytes that nobody reads

    def test_H1_22_what_follows_close_is_dropped(self):
        connection = self.connect()
        connection.send(post("Connection: close") + post() + b"junk\r\n\r\n")
        self.assertEqual(connection.read_response().status, 200)
        self.assertTrue(connection.at_end())
        self.assertEqual(self.received(), 1)

    def test_H1_23_no_request_in_an_unread_body(self):
        connection = self.connect()
        connection.send(post("Content-Type: text/plain", f"Content-Length: {SIZE + 500}") + post())
        answer = connection.read_response()
        self.assertEqual((answer.status, answer.header("connection")), (415, "close"))
        self.assertTrue(connection.at_end())
        self.assertEqual(self.received(), 0)

    def test_H1_24_body_of_a_GET_is_drained(self):
        connection = self.connect()
        connection.send(post(line="GET /v1/models HTTP/1.1"))
        self.assertEqual(connection.read_response().status, 200)
        self.assertEqual(self.received(), 0)
        self.again(connection)

    def test_H1_25_one_100_then_the_answer(self):
        connection = self.connect()
        connection.send(post("Expect: 100-continue", f"Content-Length: {SIZE}", body=""))
        self.assertEqual(connection.read_head(keep_interim=True).status, 100)
        connection.send(CHAT.encode())
        first = connection.read_head(keep_interim=True)
        self.assertEqual(first.status, 200)
        connection.read_body(first)
        self.assertNotIn("expect", dict(self.up.last()[-1]["headers"]))
        self.again(connection)

    def test_H1_26_no_100_where_the_head_is_refused(self):
        for status, fields in ((413, [f"Content-Length: {OVER}"]), (415, ["Content-Type: text/plain", "Content-Length: 5"])):
            with self.subTest(status):
                connection = self.connect()
                connection.send(post("Expect: 100-continue", *fields, body=""))
                answer = connection.read_head(keep_interim=True)
                self.assertEqual((answer.status, answer.header("connection")), (status, "close"))

    def test_H1_27_expectation_of_1_0_is_ignored(self):
        connection = self.connect()
        connection.send(post("Expect: 100-continue", line=f"POST {PATH} HTTP/1.0"))
        answer = connection.read_head(keep_interim=True)
        self.assertEqual(answer.status, 200)

    def test_H1_28_silence_is_closed_without_a_word(self):
        self.assertTrue(self.connect().at_end())

    def test_H1_31_body_of_exactly_the_limit(self):
        blank = " " * (OVER - 1 - SIZE)
        answer = self.connect().ask("POST", PATH, CHAT + blank)
        self.assertEqual(answer.status, 200)

    def test_H1_31_chunks_across_the_limit(self):
        connection = self.connect()
        piece = chunk(" " * 1024 * 1024).encode()
        connection.send(post("Transfer-Encoding: chunked", body=chunk()))
        for _ in range(10):
            connection.send(piece)
        answer = connection.read_response()
        self.assertEqual((answer.status, answer.error()["code"]), (413, "body_too_large"))
        self.assertEqual(self.received(), 0)

    def test_H1_32_end_before_the_body_is_complete(self):
        connection = self.connect()
        connection.send(post(f"x-request-id: {self.request_id()}")[:-5])
        connection.finish_sending()
        self.assertTrue(connection.at_end())
        self.assertEqual(self.term_of(), "DC")
        self.assertEqual(self.received(), 0)

    def test_H1_34_requests_per_connection(self):
        connection = self.connect()
        for i in range(1000):
            answer = connection.ask("GET", "/health")
            self.assertEqual((answer.status, answer.header("connection") == "close"), (200, i == 999), i)
        self.assertTrue(connection.at_end())

    def test_H1_34_idle_connection_is_closed(self):
        connection = self.connect()
        self.again(connection)
        self.assertTrue(connection.at_end())

    def test_H1_35_stream_for_1_0(self):
        connection = self.connect()
        connection.send(post(line=f"POST {PATH} HTTP/1.0", body=CHAT[:-1] + ',"stream":true}'))
        answer = connection.read_response()
        self.assertEqual((answer.status, answer.framing, answer.complete), (200, "close", True), answer)
        self.assertIsNone(answer.header("transfer-encoding"))
        self.assertEqual([line for line in answer.body.split(b"\n") if line and not line.startswith(b"data: ")], [], "no chunk sizes")
        self.assertEqual(answer.events()[-1], "[DONE]")


class SlowRequests(FaultCase):
    """Each limit's neighbours are left at their defaults, which no test would live to see."""
    LIMITS = {}

    @classmethod
    def make_world(cls):
        def config(world):
            return {
                "server": {"listeners": [{"address": "127.0.0.1:0"}], "limits": cls.LIMITS},
                "models": [{"name": MODEL, "cluster": "up"}],
                "clusters": [cluster("up", [endpoint(world.sims["up"].address)])],
            }
        return World(config, sims=("up",))

    def drip(self, begin, piece):
        """A request that never ends; its answer."""
        connection = h1_client.Connection(self.gateway.address)
        self.addCleanup(connection.close)
        connection.send(begin)
        for _ in range(1000):
            if select.select([connection.socket], [], [], 0.02)[0]:
                break
            connection.send(piece)
        else:
            self.fail("no answer in 20 s")
        answer = connection.read_response()
        self.assertEqual((answer.status, answer.error()["code"], answer.header("connection")), (408, "request_timeout", "close"))
        self.assertTrue(connection.at_end())

    def slow_body(self, piece):
        self.drip(post(f"x-request-id: {self.request_id()}", "Content-Length: 1000000", body=""), piece)
        self.assertEqual(self.term_of(), "DT")


class SlowHead(SlowRequests):
    LIMITS = {"header_timeout": "500ms"}

    def test_H1_28_slow_head(self):
        """Each byte would restart a timer that counted per byte."""
        self.drip(b"POST /v1/chat/completions HTTP/1.1\r\nHost: gateway.test\r\nx-a: ", b"a")


class LongBody(SlowRequests):
    LIMITS = {"body_timeout": "1s", "body_min_rate": 0}

    def test_H1_29_body_that_takes_too_long(self):
        self.slow_body(b"a" * 100)


class SlowBody(SlowRequests):
    LIMITS = {"body_min_rate": "100KiB/s"}

    def test_H1_29_body_below_the_least_rate(self):
        """Measured over 10 s."""
        self.slow_body(b"a")


if __name__ == "__main__":
    harness.main()
