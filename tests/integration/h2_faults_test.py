"""Group (a) of the fault catalogue end to end: what HTTP/2 clients send. Floods are in tests/unit/http; here are the rows of
single messages, by frames written by hand."""

import json
import struct

import h1_client
import h2_client as h2
import harness
from harness import FaultCase, World, cluster, endpoint, table

MODEL, SLOW = "sim:0:4:0", "sim:0:40:10000"
PATH = "/v1/chat/completions"
CHAT = json.dumps({"model": MODEL, "messages": [{"role": "user", "content": "hi"}]}).encode()
FIELDS = h2.request_fields()
DATA = h2.frame(h2.DATA, h2.END_STREAM, 1, CHAT)


def request(*more, fields=None, body=True):
    """HEADERS and DATA of stream 1."""
    return h2.headers_frame(1, (FIELDS if fields is None else fields) + list(more), end_stream=not body) + (DATA if body else b"")


def until_its_end(connection):
    while connection.socket.recv(65536):
        pass


def without(*names):
    return [field for field in FIELDS if field[0] not in names]


# id and label, bytes behind the preface, the stream's reset code
RESETS = [
    *[(f"H2-34 {name}", request((name, value)), h2.PROTOCOL_ERROR)
      for name, value in [("connection", "close"), ("keep-alive", "1"), ("proxy-connection", "close"), ("transfer-encoding", "chunked"),
                          ("upgrade", "h2c"), ("te", "gzip")]],
    ("H2-35 length without body", request(("content-length", "5"), body=False), h2.PROTOCOL_ERROR),
    ("H2-35 body shorter", request(("content-length", str(len(CHAT) + 1))), h2.PROTOCOL_ERROR),
    ("H2-35 body longer", request(("content-length", "5")), h2.PROTOCOL_ERROR),
    ("H2-35 short body, then trailers", h2.headers_frame(1, FIELDS + [("content-length", "500")], end_stream=False)
     + h2.frame(h2.DATA, 0, 1, CHAT) + h2.headers_frame(1, [("x-checksum", "a")]), h2.PROTOCOL_ERROR),
    ("H2-37 two paths", request(fields=FIELDS[:3] + [(":path", "/x")] + FIELDS[3:]), h2.PROTOCOL_ERROR),
    ("H2-37 no path", request(fields=without(":path")), h2.PROTOCOL_ERROR),
    ("H2-37 path without slash", request(fields=without(":path") + [(":path", "v1/models")]), h2.PROTOCOL_ERROR),
    ("H2-37 empty path", request(fields=without(":path") + [(":path", "")]), h2.PROTOCOL_ERROR),
    ("H2-37 method with space", request(fields=without(":method") + [(":method", "PO ST")]), h2.PROTOCOL_ERROR),
    ("H2-37 pseudo behind regular", request(fields=without(":path") + [("x-a", "b"), (":path", PATH)]), h2.PROTOCOL_ERROR),
    ("H2-37 unknown pseudo", request(fields=[(":x", "y")] + FIELDS), h2.PROTOCOL_ERROR),
    ("H2-37 two lengths", request(("content-length", str(len(CHAT))), ("content-length", str(len(CHAT)))), h2.PROTOCOL_ERROR),
    ("H2-37 upper case", request(("X-A", "b")), h2.PROTOCOL_ERROR),
    *[(f"H2-38 {label}", request(("x-a", f"b{text}c")), h2.PROTOCOL_ERROR)
      for label, text in [("CR", "\r"), ("LF", "\n"), ("CRLF", "\r\nx: y"), ("NUL", "\0")]],
]

# id and label, fields, the answer's status
REFUSED = [
    *[(f"H2-36 authority {i}", without(":authority") + [(":authority", text)], 400)
      for i, text in enumerate(["u@a", "a,b", "a:98777", "[::1"])],
    ("H2-36 authority and host differ", FIELDS + [("host", "other.test")], 400),
    ("H1-19 CONNECT", [(":method", "CONNECT"), (":authority", "gateway.test:443")], 405),
    ("H1-19 TRACE", [(":method", "TRACE")] + without(":method"), 405),
    ("H1-27 unknown expectation", FIELDS + [("expect", "foo")], 417),
    ("H2-27 101 fields", FIELDS + [(f"x-{i}", "a") for i in range(101)], 431),
    ("H2-27 33 KiB of fields", FIELDS + [(f"x-{i}", "b" * 11 * 1024) for i in range(3)], 431),
]

# id and label, bytes, GOAWAY code
GOAWAYS = [
    ("H2-30 even id", h2.headers_frame(2, FIELDS), h2.PROTOCOL_ERROR),
    ("H2-30 falling id", h2.headers_frame(5, h2.request_fields("GET", "/health")) + h2.headers_frame(3, FIELDS), h2.PROTOCOL_ERROR),
    ("H2-31 PUSH_PROMISE", h2.frame(h2.PUSH_PROMISE, h2.END_HEADERS, 1, struct.pack(">I", 2) + h2.block(FIELDS)), h2.PROTOCOL_ERROR),
    ("H2-31 CONTINUATION alone", h2.frame(h2.CONTINUATION, h2.END_HEADERS, 1, h2.block(FIELDS)), h2.PROTOCOL_ERROR),
    ("H2-31 DATA on an idle stream", h2.frame(h2.DATA, 0, 1, b"x"), h2.PROTOCOL_ERROR),
    ("H2-31 frame of 16,385", h2.headers_frame(1, FIELDS, end_stream=False) + h2.frame(h2.DATA, 0, 1, b"x" * 16385), h2.FRAME_SIZE_ERROR),
    ("H2-31 window overflow", h2.frame(h2.WINDOW_UPDATE, 0, 0, struct.pack(">I", 0x7fffffff)), h2.FLOW_CONTROL_ERROR),
]


@table("reset", RESETS)
@table("refused", REFUSED)
@table("goaway", GOAWAYS)
class ClientFrames(FaultCase):
    @classmethod
    def make_world(cls):
        from sdk_test import certificate

        def config(world):
            cert, key = certificate(world.folder)
            return {
                "server": {"listeners": [{"address": "127.0.0.1:0"},
                                         {"address": "127.0.0.1:0", "tls": {"certificate": str(cert), "private_key": str(key)}}],
                           "limits": {"header_timeout": "500ms"}},
                "models": [{"name": p, "cluster": "up"} for p in (MODEL, SLOW)],
                "clusters": [cluster("up", [endpoint(world.sims["up"].address)])],
            }
        return World(config, sims=("up",))

    def setUp(self):
        super().setUp()
        self.up = self.world.sims["up"]
        self.up.reset()

    def connect(self, **more):
        connection = h2.Connection(self.gateway.address, **more)
        self.addCleanup(connection.close)
        return connection

    def nothing_reached(self):
        self.assertEqual(self.up.stats()["received"], 0, "something reached the backend")

    def still_good(self, connection, first=101):
        connection.next_id = first
        self.assertEqual(connection.ask("POST", PATH, CHAT).status, 200)

    def reset(self, label, data, code):
        connection = self.connect()
        connection.send(data)
        stream = connection.finish(1)
        self.assertEqual((stream.status, stream.reset), (None, code))
        self.nothing_reached()
        self.still_good(connection)

    def refused(self, label, fields, status):
        connection = self.connect()
        block = h2.block(fields)
        first = h2.frame(h2.HEADERS, 0 if len(block) > 16384 else h2.END_HEADERS, 1, block[:16384])
        rest = [block[at:at + 16384] for at in range(16384, len(block), 16384)]
        connection.send(first + b"".join(h2.frame(h2.CONTINUATION, h2.END_HEADERS if i == len(rest) - 1 else 0, 1, piece)
                                         for i, piece in enumerate(rest)) + DATA)
        stream = connection.finish(1)
        self.assertEqual(stream.status, status, stream)
        self.nothing_reached()
        self.still_good(connection)

    def goaway(self, label, data, code):
        connection = self.connect()
        connection.send(data)
        connection.drain()
        self.assertIsNotNone(connection.goaway, "closed without GOAWAY")
        self.assertEqual(connection.goaway[1], code)
        self.nothing_reached()

    def test_H2_25_reference_bomb(self):
        connection = self.connect()
        # One 4,000-byte entry into the table, then each byte of the block refers to it.
        entry = b"\x40" + h2.integer(1, 7) + b"x" + h2.integer(4000, 7) + b"y" * 4000
        before = self.gateway.cpu_seconds()
        alive = connection.send(h2.frame(h2.HEADERS, h2.END_STREAM | h2.END_HEADERS, 1, h2.block(FIELDS) + entry + b"\xbe" * 12_000))
        sent = 0
        for i in range(60):
            if not alive:
                break
            alive = connection.send(h2.frame(h2.HEADERS, h2.END_STREAM | h2.END_HEADERS, 3 + 2 * i, h2.block(FIELDS) + b"\xbe" * 16_000))
            sent += 16_000
        try:
            connection.drain() if not alive else [connection.finish(1 + 2 * i) for i in range(5)]
        except OSError:
            pass
        self.assertLess(self.gateway.cpu_seconds() - before, 5)
        self.nothing_reached()

    def test_H2_29_more_streams_than_allowed(self):
        connection = h2.Connection(self.gateway.address, hello=False)
        self.addCleanup(connection.close)
        body = CHAT.replace(MODEL.encode(), SLOW.encode())
        out = h2.PREFACE + h2.settings()
        for i in range(150):
            out += h2.headers_frame(1 + 2 * i, FIELDS, end_stream=False) + h2.frame(h2.DATA, h2.END_STREAM, 1 + 2 * i, body)
        connection.send(out)
        streams = [connection.finish(1 + 2 * i) for i in range(150)]
        self.assertEqual([s.status for s in streams].count(200), 100)
        self.assertEqual([s.reset for s in streams].count(h2.REFUSED_STREAM), 50)

    def test_H2_29_more_streams_than_acknowledged(self):
        connection = self.connect()
        while not connection.settings_acked:
            self.assertTrue(connection.step())
        connection.ask("GET", "/health")  # our acknowledgement has been read
        body = CHAT.replace(MODEL.encode(), SLOW.encode())
        connection.send(b"".join(h2.headers_frame(3 + 2 * i, FIELDS, end_stream=False) + h2.frame(h2.DATA, h2.END_STREAM, 3 + 2 * i, body)
                                 for i in range(101)))
        connection.drain()
        self.assertEqual(connection.goaway[1], h2.PROTOCOL_ERROR)

    def test_a_long_question_gets_a_longer_window(self):
        connection = self.connect()
        fields = h2.request_fields("POST", PATH, more=[("content-type", "application/json")])
        connection.send(h2.headers_frame(1, fields, end_stream=False) + h2.frame(h2.DATA, 0, 1, CHAT + b" " * (9000 - len(CHAT))))
        while connection.stream(1).window <= 65535:  # RFC 9113's, until the SETTINGS came; then 16 KiB
            self.assertTrue(connection.step())
        connection.send(h2.frame(h2.DATA, h2.END_STREAM, 1, b""))
        self.assertEqual(connection.finish(1).status, 200)

    def test_H2_30_reused_id(self):
        connection = self.connect()
        connection.ask("GET", "/health")
        connection.send(request())
        connection.drain()
        self.assertEqual(connection.goaway[1], h2.PROTOCOL_ERROR)
        self.nothing_reached()

    def test_H2_30_id_near_the_end(self):
        connection = self.connect()
        connection.next_id = 0x7fffffff
        self.assertEqual(connection.ask("POST", PATH, CHAT).status, 200)

    def test_H2_32_half_a_preface(self):
        """Its last part is a SETTINGS frame. Without TLS, nothing at all is an idle connection of no protocol yet."""
        killed = 'penstock_connections_killed_total{reason="handshake_timeout"}'
        for data in (b"", b"P", h2.PREFACE[:10], h2.PREFACE, h2.PREFACE + h2.settings((4, 1))[:12]):
            for address, tls in (self.gateway.address, None), (self.gateway.addresses[1], h1_client.trusting("h2")):
                if not data and tls is None:
                    continue
                with self.subTest(data=data, tls=tls is not None):
                    before = harness.settled(lambda: self.gateway.metrics().get(killed, 0))
                    with h1_client.Connection(address, tls) as connection:  # which acknowledges no SETTINGS
                        connection.send(data) if data else None
                        until_its_end(connection)
                    harness.until(lambda b=before: self.gateway.metrics().get(killed, 0) == b + 1, "counted")

    def test_H2_32_a_whole_preface_is_no_hurry(self):
        """The idle time is for a connection that said hello, however slowly it asks."""
        for address, tls in (self.gateway.address, None), (self.gateway.addresses[1], h1_client.trusting("h2")):
            with h1_client.Connection(address, tls) as hurried, h2.Connection(address, tls) as calm:
                hurried.send(h2.PREFACE[:10])
                until_its_end(hurried)
                self.assertEqual(calm.ask("POST", PATH, CHAT).status, 200)

    def test_H2_32_garbage(self):
        with h1_client.Connection(self.gateway.address) as connection:
            connection.send(b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n")
            self.assertIn(connection.read_response().status, (400, 505))
            self.assertTrue(connection.at_end())

    def test_H2_32_http1_on_the_shared_port(self):
        for split in (0, 1):  # "P" begins both a preface and a POST
            with self.subTest(split), h1_client.Connection(self.gateway.address) as connection:
                data = connection.request_bytes("POST", PATH, CHAT)
                connection.send(data[:split])
                harness.until(lambda c=connection: harness.unread_there(c) == 0, "what was sent is read")
                connection.send(data[split:])
                self.assertEqual(connection.read_response().status, 200)

    def test_H2_32_preface_where_http1_was_negotiated(self):
        with h1_client.Connection(self.gateway.addresses[1], h1_client.trusting("http/1.1")) as connection:
            connection.send(h2.PREFACE + h2.settings())
            self.assertIn(connection.read_response().status, (400, 505))
            self.assertTrue(connection.at_end())

    def test_H2_33_upgrade_to_h2c(self):
        with h1_client.Connection(self.gateway.address) as connection:
            fields = [("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"), ("HTTP2-Settings", "AAMAAABkAAQAAP__")]
            connection.send(connection.request_bytes("GET", "/v1/models", b"", fields) + connection.request_bytes("POST", PATH, CHAT, fields)
                            + connection.request_bytes("GET", "/health"))
            for _ in range(3):
                answer = connection.read_response()
                self.assertEqual((answer.status, answer.header("upgrade")), (200, None))
        self.assertEqual(self.up.stats()["received"], 1)
        self.assertNotIn("upgrade", dict(self.up.last()[-1]["headers"]))

    def test_H2_39_goaway_of_the_client(self):
        connection = self.connect()
        body = CHAT.replace(MODEL.encode(), SLOW.encode())[:-1] + b',"stream":true}'
        first = connection.request(body, [("x-request-id", self.request_id())])
        harness.until(lambda: self.up.stats(SLOW)["received"] == 1, "the first at the backend")
        connection.send(h2.frame(h2.GOAWAY, 0, 0, struct.pack(">II", 0, 0)))
        second = connection.request(CHAT)
        state = connection.finish(first)
        self.assertEqual((state.status, state.complete, state.events()[-1]), (200, True, "[DONE]"))
        self.assertIsNone(connection.stream(second).status)
        self.assertEqual(self.up.stats(MODEL)["received"], 0)


if __name__ == "__main__":
    harness.main()
