"""Many that read one cached answer slowly share its bytes: what each costs is its connection and its place in the answer, not a copy
(FAULTS C-10).
cache_readers_test.py [--count N]: so many readers, 500 without it."""

import resource
import select
import socket
import struct
import sys

import h1_client
import h2_client
import harness
from cache_test import CHAT, chat
from control_test import sanitized
from harness import until
from tier_case import TierCase

COUNT = 500
SIZE = 1_000_000  # bytes of the answer
KIB = 1024
RECEIVE_BUFFER, SEGMENT = 8 * KIB, 4 * KIB
# Beside what the same connection takes when it is idle. With sanitizers there are red zones, and what is freed stays for a while.
EACH_MAX = (96 if sanitized() else 16) * KIB


class Reader:
    """A connection that asks, reads the beginning of the answer, and later all of it."""

    def __init__(self, address, whole):
        self.socket = h1_client.open_socket(address, receive_buffer=RECEIVE_BUFFER, segment=SEGMENT)
        self.buffer, self.whole, self.at, self.head = b"", memoryview(whole), 0, None

    def read(self, size):
        """Some bytes of the answer, all of which must be the right ones; False when there are none now."""
        try:
            data = self.socket.recv(size)
        except BlockingIOError:
            return False
        if not data:
            raise AssertionError(f"closed after {self.at} bytes")
        self.feed(data)
        return True

    def take(self, body):
        if self.whole[self.at:self.at + len(body)] != body:
            raise AssertionError(f"other bytes from {self.at} on")
        self.at += len(body)

    def done(self):
        return self.at == len(self.whole)

    def begin(self):
        while self.head is None or self.at == 0:
            self.read(KIB)

    def go_on(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 256 * KIB)
        self.socket.setblocking(False)


class H1Reader(Reader):
    def ask(self, body):
        self.socket.sendall(b"POST %s HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                            % (CHAT.encode(), len(body), body))

    def feed(self, data):
        if self.head is not None:
            return self.take(data)
        self.buffer += data
        head, end, rest = self.buffer.partition(b"\r\n\r\n")
        if end:
            self.head = head
            self.take(rest)


class H2Reader(Reader):
    """Its windows are what the protocol gives everybody at first, until it goes on."""

    def __init__(self, address, whole):
        super().__init__(address, whole)
        self.socket.sendall(h2_client.PREFACE + h2_client.settings())

    def ask(self, body):
        fields = h2_client.request_fields(path=CHAT, more=[("content-type", "application/json")])
        self.socket.sendall(h2_client.headers_frame(1, fields, end_stream=False) + h2_client.frame(h2_client.DATA, h2_client.END_STREAM, 1, body))

    def feed(self, data):
        self.buffer += data
        while len(self.buffer) >= 9 and len(self.buffer) >= 9 + (length := int.from_bytes(self.buffer[:3], "big")):
            kind, payload, self.buffer = self.buffer[3], self.buffer[9:9 + length], self.buffer[9 + length:]
            if kind == h2_client.HEADERS:
                self.head = payload
            elif kind == h2_client.DATA:
                self.take(payload)
            elif kind in (h2_client.RST_STREAM, h2_client.GOAWAY):
                raise AssertionError(f"frame {kind}: {payload}")

    def go_on(self):
        credit = struct.pack(">I", 2 * SIZE)
        self.socket.sendall(h2_client.frame(h2_client.WINDOW_UPDATE, 0, 0, credit) + h2_client.frame(h2_client.WINDOW_UPDATE, 0, 1, credit))
        super().go_on()


class SlowReaders(TierCase):
    def setUp(self):
        super().setUp()
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
        self.count = min(COUNT, limit - 500)

    def config(self, **more):
        config = super().config(**more)
        config["server"]["limits"] = {"connections": self.count + 100, "slow_reader_timeout": "1h", "idle_timeout": "1h"}
        return config

    def read_all(self, readers):
        """Each to its last byte, all at once."""
        waiting = {reader.socket.fileno(): reader for reader in readers}
        with select.epoll() as poll:
            for number, reader in waiting.items():
                reader.go_on()
                poll.register(number, select.EPOLLIN)
            while waiting:
                ready = poll.poll(harness.HANG)
                self.assertTrue(ready, lambda: f"{len(waiting)} wait in vain")
                for number, _ in ready:
                    reader = waiting[number]
                    if reader.read(64 * KIB) and reader.done():
                        poll.unregister(number)
                        del waiting[number]

    def share(self, kind, stream, stored=None):
        """`stored`: how the answer came, if not as it is read."""
        gateway = self.gateway(workers=1, models=[{"name": "large", "upstream_name": f"sim-bytes:{SIZE}"}])
        body = chat("p", stream, "large")
        self.ask(gateway, "p", "large", stream=stream if stored is None else stored)
        until(lambda: self.ask(gateway, "p", "large", stream=stream).cache == "hit-memory", "it is kept")
        whole = self.ask(gateway, "p", "large", stream=stream).body
        self.assertGreaterEqual(len(whole), SIZE)
        for _ in range(8):  # it is in demand, and no longer kept compressed alone
            self.assertEqual(self.ask(gateway, "p", "large", stream=stream).body, whole)
        received = self.sim.stats()["received"]
        readers = [kind(gateway.address, whole) for _ in range(self.count)]
        try:
            self.ask(gateway, "p", "large")  # whoever came before has been let in
            idle = gateway.rss_bytes()
            for reader in readers:
                reader.ask(body)
                reader.begin()
            until(lambda: gateway.metrics()["penstock_inflight_requests"] == self.count,
                  lambda: f"none has it all in its kernel: {gateway.metrics()['penstock_inflight_requests']:g} wait")
            each = (gateway.rss_bytes() - idle) / self.count
            print(f"{self.id()}: {self.count} readers, {each / KIB:.1f} KiB each", file=sys.stderr)
            self.assertFalse([reader for reader in readers if reader.done()])
            self.assertLessEqual(each, EACH_MAX)
            self.read_all(readers)
        finally:
            for reader in readers:
                reader.socket.close()
        self.assertEqual(self.sim.stats()["received"], received, "each was a hit")
        until(lambda: gateway.metrics()["penstock_inflight_requests"] == 0, "all have ended")

    def test_C_10_over_http1(self):
        self.share(H1Reader, False)

    def test_C_10_over_http2(self):
        self.share(H2Reader, False)

    def test_C_10_streamed_over_http2(self):
        self.share(H2Reader, True)

    def test_C_10_in_the_other_form(self):
        self.share(H2Reader, True, stored=False)


if __name__ == "__main__":
    if "--count" in sys.argv:
        at = sys.argv.index("--count")
        COUNT = int(sys.argv[at + 1])
        del sys.argv[at:at + 2]
    harness.main()
