"""Group (e) of the fault catalogue: clients that leave, stall or read slowly, on every inference route and protocol pair. How
long a cancel takes is read from the simulator's own clock, which is this machine's.
client_faults_test.py [--count N]: N clients that vanish in C-05, 500 without it."""

import hashlib
import json
import re
import ssl
import struct
import sys
import threading
import time

import h1_client
import h2_client
import harness
from harness import FaultCase, World, cluster, endpoint, table

STREAMING, FLOWING, STALLED, SILENT, WHOLE = "sim:0:100000:1000", "sim:0:100000:1000", "fault:stall", "fault:silence", "sim:0:8:0"
BIG = "sim-bytes:20000000"  # more than the kernel buffers of a connection take
PROGRAMS = [STREAMING, STALLED, SILENT, WHOLE, BIG, "sim-bytes:1000000"]
SLOW = 50  # readers beside the fast one
VANISHING = 500
CANCEL_LIMIT_MS = 2000  # a hang; the figures are measured by the benchmarks, on a quiet machine


def inference_routes():
    """(path, name, family) of every row of the gateway's own route table that goes to a backend."""
    text = (harness.SOURCE / "src/proxy/routes.cpp").read_text()
    rows = re.findall(r'\{Method::kPost, "([^"]+)", "(\w+)", RouteKind::kInference, Family::k(\w+)\}', text)
    if len(rows) < 8:
        raise AssertionError("the route table has changed its looks: adapt this expression")
    return rows


STREAMED = {"Chat", "Completions", "Responses", "Messages"}


def body_of(model, family="Chat", stream=True):
    request = {"model": model}
    request.update({
        "Chat": {"messages": [{"role": "user", "content": "hi"}]}, "Completions": {"prompt": "hi"}, "Embeddings": {"input": "hi"},
        "Responses": {"input": "hi"}, "Messages": {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 100000},
        "CountTokens": {"messages": [{"role": "user", "content": "hi"}]}, "Rerank": {"query": "a", "documents": ["b"]},
        "Score": {"text_1": "a", "text_2": "b"}, "Tokenize": {"prompt": "hi"}, "Detokenize": {"tokens": [1]}}[family])
    if stream and family in STREAMED:
        request["stream"] = True
    return json.dumps(request)


CLIENTS = {  # name: protocol, TLS, how it leaves
    "h1 FIN": ("h1", False, "close"), "h1 RST": ("h1", False, "abort"), "h1 half-close": ("h1", False, "finish_sending"),
    "h1 TLS close_notify": ("h1", True, "unwrap"), "h1 TLS FIN": ("h1", True, "close"),
    "h2 RST_STREAM": ("h2", False, "reset"), "h2 connection": ("h2", False, "close"), "h2 TLS connection": ("h2", True, "close"),
}


class Leaver:
    """A request in flight, and its ways to leave."""

    def __init__(self, gateway, protocol, tls, path, body, request_id):
        address = gateway.addresses[1 if tls else 0]
        headers = [("x-request-id", request_id), ("content-type", "application/json")]
        self.protocol = protocol
        if protocol == "h1":
            self.connection = h1_client.Connection(address, h1_client.trusting("http/1.1") if tls else None)
            self.connection.send(self.connection.request_bytes("POST", path, body, headers))
        else:
            self.connection = h2_client.Connection(address, h1_client.trusting("h2") if tls else None)
            self.stream = self.connection.request(body, headers, path=path)

    def wait_for(self, mark):
        if self.protocol == "h1":
            response = self.connection.read_head()
            self.connection.wait_body(response, mark)
        else:
            state = self.connection.stream(self.stream)
            while mark not in state.body:
                if not self.connection.step() or state.over:
                    raise AssertionError(f"the stream ended: {state}")

    def leave(self, how):
        self.left_at = time.monotonic_ns()
        if how == "reset":
            self.connection.send(h2_client.frame(h2_client.RST_STREAM, 0, self.stream, struct.pack(">I", h2_client.CANCEL)))
        elif how == "unwrap":
            self.connection.socket.settimeout(0.0)  # sends close_notify, does not wait for the peer's
            try:
                self.connection.socket.unwrap()
            except (ssl.SSLError, OSError):
                pass
        else:
            getattr(self.connection, how)()


UPSTREAMS = ("h1", "h2")
# Phases: program, what the client has seen before it leaves, streamed.
PHASES = {"C-01 flowing": (FLOWING, b"data:", True), "C-01 stalled": (STALLED, b"data:", True), "C-02 no token yet": (SILENT, None, True),
          "C-03 not streamed": (SILENT, None, False)}
LEAVING = [(f"{phase} {client} to {u}", phase, client, u) for phase in PHASES for client in CLIENTS for u in UPSTREAMS]
ROUTES = [(f"C-06 {name} {client} to {u}", path, family, client, u) for path, name, family in inference_routes()
          for client in ("h1 FIN", "h2 RST_STREAM") for u in UPSTREAMS]


@table("leaves", LEAVING)
@table("route", ROUTES)
class Leaving(FaultCase):
    @classmethod
    def make_world(cls):
        from sdk_test import certificate

        def config(world):
            cert, key = certificate(world.folder)
            up = world.sims["up"].address
            return {
                "server": {"listeners": [{"address": "127.0.0.1:0"},
                                         {"address": "127.0.0.1:0", "tls": {"certificate": str(cert), "private_key": str(key)}}]},
                "models": [{"name": f"{u}|{p}", "upstream_name": p, "cluster": u} for u in (*UPSTREAMS, "hole", "one", "one-h2") for p in PROGRAMS],
                "clusters": [cluster("h1", [endpoint(up)]), cluster("h2", [endpoint(up, "h2")]),
                             cluster("hole", [endpoint(cls.hole.address)], timeouts={"connect": "10s"}),
                             cluster("one", [endpoint(up)], connections={"max": 1}),
                             cluster("one-h2", [endpoint(up, "h2")], connections={"max": 1})],
            }
        cls.hole = BlackHole()
        return World(config, sims=("up",))

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        cls.hole.close()

    def setUp(self):
        super().setUp()
        self.up = self.world.sims["up"]
        self.up.reset()

    def leaver(self, client, model, path="/v1/chat/completions", family="Chat", stream=True):
        protocol, tls, how = CLIENTS[client]
        leaver = Leaver(self.gateway, protocol, tls, path, body_of(model, family, stream), self.request_id())
        self.addCleanup(leaver.connection.close)
        return leaver, how

    def leaves(self, label, phase, client, upstream):
        program, mark, stream = PHASES[phase]
        leaver, how = self.leaver(client, f"{upstream}|{program}", stream=stream)
        self.gone(leaver, how, program, mark)

    def gone(self, leaver, how, program, mark):
        harness.until(lambda: self.up.stats(program)["received"] == 1, "the request at the backend")
        if mark is not None:
            leaver.wait_for(mark)
        leaver.leave(how)
        harness.until(lambda: self.up.stats(program)["cancelled"] == 1, "the cancel at the backend")
        cancel = self.up.stats()["cancels"][-1]
        self.assertLess((cancel["at_ns"] - leaver.left_at) / 1e6, CANCEL_LIMIT_MS)
        self.assertEqual((self.term_of(), self.gateway.line_of(self.asked[-1])["status"]), ("DC", 499))
        self.assertEqual(self.up.stats(program), {**self.up.stats(program), "received": 1, "completed": 0, "cancelled": 1})

    def route(self, label, path, family, client, upstream):
        model = f"{upstream}|{SILENT}"
        leaver, how = self.leaver(client, model, path, family)
        self.gone(leaver, how, SILENT, None)

    def test_C_01_tokens_told_so_far_are_kept(self):
        leaver, how = self.leaver("h1 FIN", f"h1|{FLOWING}", "/v1/messages", "Messages")
        self.gone(leaver, how, FLOWING, b"message_start")
        self.assertGreater(self.gateway.line_of(self.asked[-1])["tokens_in"] or 0, 0)

    def test_C_04_while_connecting(self):
        for client in ("h1 FIN", "h2 RST_STREAM"):
            leaver, how = self.leaver(client, f"hole|{WHOLE}")
            harness.until(lambda: self.hole.knocks(self.gateway.pid) > 0, "a connect under way")
            leaver.leave(how)
            self.assertEqual(self.term_of(), "DC")
            harness.until(lambda: self.hole.knocks(self.gateway.pid) == 0, "the connect given up")

    def test_C_04_while_waiting_for_a_connection(self):
        first, how_first = self.leaver("h1 FIN", f"one|{SILENT}")
        harness.until(lambda: self.up.stats(SILENT)["received"] == 1, "the first request at the backend")
        second, how = self.leaver("h1 FIN", f"one|{WHOLE}")
        second.leave(how)
        self.assertEqual(self.gateway.line_of(self.asked[1])["term"], "DC")
        first.leave(how_first)
        harness.until(lambda: self.up.stats()["in_flight"] == 0, "the first one's cancel")
        self.assertEqual(self.up.stats(WHOLE)["received"], 0)

    def test_C_05_connect_then_leave(self):
        """What nobody counts as a request: a connection without a byte, half a request, half a preface."""
        starts = [b"", b"P", b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{", h2_client.PREFACE[:20],
                  h2_client.PREFACE + h2_client.settings()]
        requests = self.up.stats()["received"]
        for i in range(VANISHING):
            connection = h1_client.Connection(self.gateway.address)
            connection.send(starts[i % len(starts)])
            (connection.close, connection.abort)[i // len(starts) % 2]()
        self.at_rest()
        self.assertEqual(self.up.stats()["received"], requests, "O7")

    def test_C_05_connect_send_vanish(self):
        for i in range(VANISHING):
            body = body_of(f"{UPSTREAMS[i // 4 % 2]}|{SILENT}")
            leaver = Leaver(self.gateway, "h1" if i % 2 else "h2", False, "/v1/chat/completions", body, "vanish")
            leaver.leave(("close", "abort")[i // 2 % 2])
        harness.until(lambda: self.up.stats()["in_flight"] == 0, "O7: everything cancelled")
        self.at_rest()
        stats = self.up.stats(SILENT)
        self.assertEqual((stats["completed"], stats["received"]), (0, stats["cancelled"]), "O7: every one of them was cancelled")

    def at_rest(self):
        """O3: but for the canary's connection, no gauge and no descriptor is left."""
        files = self.world.files_at_start + 1
        harness.until(lambda: not self.gateway.not_at_rest(files), lambda: f"O3: left: {self.gateway.not_at_rest(files)}")

    def test_H1_33_half_close_is_abort(self):
        leaver, _ = self.leaver("h1 half-close", f"h1|{SILENT}", stream=False)
        self.gone(leaver, "finish_sending", SILENT, None)

    def test_C_08_pause_and_resume(self):
        with h1_client.Connection(self.up.address) as direct:
            expected = hashlib.sha256(direct.ask("POST", "/v1/chat/completions", body_of(BIG, stream=False)).body).hexdigest()
        for upstream in UPSTREAMS:
            for protocol in ("h1", "h2"):
                with self.subTest(upstream=upstream, protocol=protocol):
                    leaver = Leaver(self.gateway, protocol, False, "/v1/chat/completions", body_of(f"{upstream}|{BIG}", stream=False), self.request_id())
                    harness.until(lambda: self.up.stats(BIG)["received"] >= 1, "the request at the backend")
                    harness.until(lambda: harness.unread_here(leaver.connection) > 0, "the answer begins")
                    harness.settled(lambda: harness.unread_here(leaver.connection))  # until backpressure has stopped the flow
                    held = harness.settled(lambda: self.gateway.metrics()["penstock_buffered_bytes"])
                    self.assertLess(held, 3_000_000, "C-07: held for one reader")
                    self.assertEqual(self.hash_of(leaver), expected)
                    leaver.connection.close()

    def hash_of(self, leaver):
        if leaver.protocol == "h1":
            answer = leaver.connection.read_response()
        else:
            answer = leaver.connection.finish(leaver.stream)
        self.assertTrue(answer.complete, len(answer.body))
        return hashlib.sha256(answer.body).hexdigest()

    def test_C_09_slow_readers_do_not_hold_up_others(self):
        """All on one upstream connection; how fast the fast one is alone is measured first."""
        connections = 'penstock_upstream_connections{endpoint="%s"' % self.up.address
        slow, alone = [], [self.fast_one() for _ in range(3)]
        for _ in range(SLOW):
            connection = h1_client.Connection(self.gateway.address, receive_buffer=4096)
            self.addCleanup(connection.close)
            connection.send(connection.request_bytes("POST", "/v1/chat/completions", body_of(f"one-h2|{BIG}", stream=False)))
            slow.append(connection)
        harness.until(lambda: self.up.stats(BIG)["received"] == SLOW, "all at the backend")
        harness.until(lambda: self.gateway.metrics()["penstock_inflight_requests"] >= SLOW, "all under way")
        beside = [self.fast_one() for _ in range(3)]
        self.assertLess(min(beside), max(alone) * 10 + 0.5, f"s beside {SLOW} slow ones; alone {alone}")
        metrics = self.gateway.metrics()
        self.assertEqual(metrics[connections + ',state="active"}'], 1, "one connection for all of them")
        self.assertEqual(self.up.stats(BIG)["completed"], 0, "the slow ones were slow")
        for connection in slow:
            connection.abort()

    def fast_one(self):
        """Seconds for a megabyte."""
        began = time.monotonic()
        answer = h2_client.ask("h1", self.gateway.address, "/v1/chat/completions", body_of("one-h2|sim-bytes:1000000", stream=False),
                               [("x-request-id", self.request_id())])
        self.assertEqual((answer.status, answer.complete), (200, True))
        return time.monotonic() - began

    def test_C_11_negative_window(self):
        with h2_client.Connection(self.gateway.address, windows=False) as connection:
            stream = connection.request(body_of(f"h1|{BIG}", stream=False), [("x-request-id", self.request_id())])
            state = connection.stream(stream)
            while len(state.body) < 20_000:
                self.assertTrue(connection.step())
            connection.send(h2_client.settings((4, 100)))  # the stream's window is below zero now
            connection.send(h2_client.frame(h2_client.PING, 0, 0, b"negative"))
            while (h2_client.PING, h2_client.ACK, 0, 8) not in connection.frames:
                self.assertTrue(connection.step())
            seen = len(state.body)
            self.assertLessEqual(seen, 65535)
            connection.send(h2_client.settings((4, 1 << 20)) + h2_client.frame(h2_client.WINDOW_UPDATE, 0, 0, struct.pack(">I", 1 << 29))
                            + h2_client.frame(h2_client.WINDOW_UPDATE, 0, stream, struct.pack(">I", 1 << 29)))
            self.assertTrue(connection.finish(stream).complete)


class SlowReaders(FaultCase):
    @classmethod
    def make_world(cls):
        def config(world):
            up = world.sims["up"].address
            return {"server": {"listeners": [{"address": "127.0.0.1:0"}], "limits": {"slow_reader_timeout": "1s"}},
                    "models": [{"name": f"{u}|{BIG}", "upstream_name": BIG, "cluster": u} for u in UPSTREAMS],
                    "clusters": [cluster("h1", [endpoint(up)]), cluster("h2", [endpoint(up, "h2")])]}
        return World(config, sims=("up",))

    def test_C_07_a_client_that_reads_nothing_is_cut(self):
        for upstream in UPSTREAMS:
            for protocol in ("h1", "h2"):
                with self.subTest(upstream=upstream, protocol=protocol):
                    body, headers = body_of(f"{upstream}|{BIG}", stream=False), [("x-request-id", self.request_id())]
                    if protocol == "h1":
                        connection = h1_client.Connection(self.gateway.address, receive_buffer=4096)
                        connection.send(connection.request_bytes("POST", "/v1/chat/completions", body, headers))
                    else:
                        connection = h2_client.Connection(self.gateway.address, windows=False)
                        connection.request(body, headers)
                    self.addCleanup(connection.close)
                    self.assertEqual(self.term_of(), "DT")
                    harness.until(lambda: self.world.sims["up"].stats()["in_flight"] == 0, "the upstream cancelled")

    def test_C_07_a_client_that_takes_a_few_bytes_is_cut(self):
        """200 bytes a second; over HTTP/1.1 the kernel's buffers hide such a pace (tests/sim/slow_reader_test.cpp has it)."""
        for upstream in UPSTREAMS:
            with self.subTest(upstream=upstream), h2_client.Connection(self.gateway.address, windows=False) as connection:
                stream = connection.request(body_of(f"{upstream}|{BIG}", stream=False), [("x-request-id", self.request_id())])
                connection.send(h2_client.frame(h2_client.WINDOW_UPDATE, 0, 0, struct.pack(">I", 1 << 20)))  # its stream's window alone is small
                cut = threading.Event()

                def dribble():
                    while not cut.wait(0.05):
                        connection.send(h2_client.frame(h2_client.WINDOW_UPDATE, 0, stream, struct.pack(">I", 10)))
                dribbling = threading.Thread(target=dribble)
                dribbling.start()
                try:
                    self.assertEqual(self.term_of(), "DT")
                finally:
                    cut.set()
                    dribbling.join()
                self.assertEqual(connection.finish(stream).reset, h2_client.CANCEL)
                harness.until(lambda: self.world.sims["up"].stats()["in_flight"] == 0, "the upstream cancelled")
                connection.send(h2_client.frame(h2_client.PING, 0, 0, b"go on..."))
                harness.until(lambda: connection.step() and (h2_client.PING, h2_client.ACK, 0, 8) in connection.frames, "its connection goes on")


class PausedToTheEnd(FaultCase):
    sizes = range(1000, 40000, 1500)

    @classmethod
    def make_world(cls):
        def config(world):
            up = world.sims["up"].address
            return {"server": {"listeners": [{"address": "127.0.0.1:0"}]}, "cache": {"enabled": False},
                    "models": [{"name": f"{u}|{n}", "upstream_name": f"sim-bytes:{n}", "cluster": u} for u in UPSTREAMS for n in cls.sizes],
                    "clusters": [cluster(u, [endpoint(up, p)], timeouts={"idle": "200ms"}) for u, p in (("h1", "http1"), ("h2", "h2"))]}
        return World(config, sims=("up",))

    def test_C_08_an_answer_that_ends_while_its_reader_is_waited_for(self):
        """Its end comes with what it was paused for; the reader goes on behind that. Nothing waits for the upstream any more, also not as
        long as an upstream may be silent."""
        for upstream in UPSTREAMS:
            readers = []
            for size in self.sizes:  # beside each other: one exchange that the canary takes forgets its timer
                connection = h2_client.Connection(self.gateway.address, initial_settings=((4, 100),))
                self.addCleanup(connection.close)
                readers.append((connection, connection.request(body_of(f"{upstream}|{size}"), [("x-request-id", self.request_id())])))
            for connection, stream in readers:
                harness.until(lambda: connection.stream(stream).body or connection.step() and None, "its first bytes")
            harness.until(lambda: self.world.sims["up"].stats()["in_flight"] == 0, "the upstream has said all")
            for connection, stream in readers:
                connection.send(h2_client.frame(h2_client.WINDOW_UPDATE, 0, stream, struct.pack(">I", 1 << 20)))
                self.assertTrue(connection.finish(stream).complete)
        harness.pause(0.5)  # longer than an upstream may be silent
        self.assertTrue(self.gateway.alive(), self.gateway.lines["stderr"][-3:])


class HalfClose(FaultCase):
    @classmethod
    def make_world(cls):
        def config(world):
            return {"server": {"listeners": [{"address": "127.0.0.1:0"}], "half_close_is_abort": False},
                    "models": [{"name": WHOLE, "cluster": "up"}], "clusters": [cluster("up", [endpoint(world.sims["up"].address)])]}
        return World(config, sims=("up",))

    def test_H1_33_half_close_is_no_abort_where_the_config_says_so(self):
        with h1_client.Connection(self.gateway.address) as connection:
            connection.send(connection.request_bytes("POST", "/v1/chat/completions", body_of(WHOLE), [("x-request-id", self.request_id())]))
            connection.finish_sending()
            answer = connection.read_response()
        self.assertEqual((answer.status, answer.complete, answer.events()[-1]), (200, True, "[DONE]"))


class BlackHole:
    """A port whose SYNs are dropped: its accept queue is full."""

    def __init__(self):
        import socket
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(0)
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.fillers = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(self.listener.getsockname())
            self.fillers.append(filler)

    def knocks(self, _):
        """Connects under way from elsewhere (SYN_SENT), by the kernel's table."""
        port = f":{self.listener.getsockname()[1]:04X}"
        own = {f"{f.getsockname()[1]:04X}" for f in self.fillers}
        count = 0
        with open("/proc/net/tcp") as file:
            for line in list(file)[1:]:
                fields = line.split()
                count += fields[2].endswith(port) and fields[3] == "02" and fields[1].split(":")[1] not in own
        return count

    def close(self):
        for socket in (*self.fillers, self.listener):
            socket.close()


if __name__ == "__main__":
    if "--count" in sys.argv:
        at = sys.argv.index("--count")
        VANISHING = int(sys.argv[at + 1])
        del sys.argv[at:at + 2]
    harness.main()
