"""Clients made by hand over blocking sockets: thousands of connections that each do one thing and then stay.

HTTP/2 frames are written out here, header fields as literals without indexing, so that nothing is measured but the server.
"""

import json
import socket
import ssl
import struct
import time

from programs import BenchError

DATA, HEADERS, RST_STREAM, SETTINGS = 0, 1, 3, 4
END_STREAM, END_HEADERS, ACK = 1, 4, 1
CANCEL = 8
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
PATH = "/v1/chat/completions"
STATUS_200 = 0x88  # HPACK: the static table's ":status: 200"


def body_for(model, stream):
    return json.dumps({"model": model, "stream": stream, "max_tokens": 1_000_000,
                       "messages": [{"role": "user", "content": "What is a penstock?"}]}).encode()


def connect(port, tls=None, alpn=None, timeout_s=30, receive_buffer=None):
    raw = socket.socket()
    if receive_buffer:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    raw.settimeout(timeout_s)
    raw.connect(("127.0.0.1", port))
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if tls is None:
        return raw
    return tls.wrap_socket(raw, server_hostname="localhost")


def tls_context(alpn):
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols([alpn])
    return context


class H1Client:
    def __init__(self, port, tls=None):
        self.socket = connect(port, tls)

    def send(self, model, stream):
        body = body_for(model, stream)
        self.socket.sendall(f"POST {PATH} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
                            f"content-length: {len(body)}\r\n\r\n".encode() + body)

    def read_answer(self):
        """A whole answer with a content-length."""
        got = b""
        while b"\r\n\r\n" not in got:
            got += self._some()
        head, rest = got.split(b"\r\n\r\n", 1)
        if not head.startswith(b"HTTP/1.1 200"):
            raise BenchError(f"answer: {head[:200]!r}")
        length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
        while len(rest) < length:
            rest += self._some()

    def read_content(self):
        """Up to the first event with content."""
        got = b""
        while b'"content":"' not in got.replace(b'"content":""', b""):
            got += self._some()

    def _some(self):
        got = self.socket.recv(65536)
        if not got:
            raise BenchError("connection closed in an answer")
        return got

    def cancel(self):
        """Leaves; the time just before."""
        now = time.monotonic_ns()
        self.socket.close()
        return now

    def close(self):
        self.socket.close()


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + payload


def literal(name, value):
    return bytes((0, len(name))) + name.encode() + bytes((len(value),)) + value.encode()


REQUEST_FIELDS = b"".join(literal(*field) for field in (
    (":method", "POST"), (":scheme", "http"), (":authority", "localhost"), (":path", PATH), ("content-type", "application/json")))


class H2Client:
    """The windows stay at their defaults of 65,535 bytes and are never raised: who asks for more becomes a stalled reader."""

    def __init__(self, port, tls=None, receive_buffer=None):
        self.socket = connect(port, tls, receive_buffer=receive_buffer)
        self.buffer = b""
        self.stream = -1
        self.socket.sendall(PREFACE + frame(SETTINGS, 0, 0))
        kind, _, _, _ = self._frame()
        if kind != SETTINGS:
            raise BenchError(f"first frame of the server is of type {kind}")
        self.socket.sendall(frame(SETTINGS, ACK, 0))

    def send(self, model, stream):
        self.stream += 2
        self.socket.sendall(frame(HEADERS, END_HEADERS, self.stream, REQUEST_FIELDS) +
                            frame(DATA, END_STREAM, self.stream, body_for(model, stream)))

    def read_answer(self):
        while True:
            kind, flags, stream, _ = self._answer_frame()
            if stream == self.stream and kind in (DATA, HEADERS) and flags & END_STREAM:
                return

    def read_content(self):
        got = b""
        while b'"content":"' not in got.replace(b'"content":""', b""):
            kind, _, _, payload = self._answer_frame()
            got += payload if kind == DATA else b""

    def _answer_frame(self):
        kind, flags, stream, payload = self._frame()
        if kind == HEADERS and STATUS_200 not in payload[:2]:
            raise BenchError(f"answer: {payload[:40]!r}")
        if kind in (RST_STREAM, 7):
            raise BenchError(f"frame of type {kind}: {payload!r}")
        return kind, flags, stream, payload

    def _frame(self):
        head = self._take(9)
        length = int.from_bytes(head[:3], "big")
        return head[3], head[4], int.from_bytes(head[5:], "big"), self._take(length)

    def _take(self, count):
        while len(self.buffer) < count:
            got = self.socket.recv(65536)
            if not got:
                raise BenchError("connection closed in an answer")
            self.buffer += got
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def cancel(self):
        now = time.monotonic_ns()
        self.socket.sendall(frame(RST_STREAM, 0, self.stream, struct.pack(">I", CANCEL)))
        return now

    def close(self):
        self.socket.close()


class GrpcClient(H2Client):
    """Calls of penstock.v1.Inference; messages are written by hand as well."""

    def send(self, model, stream):
        self.stream += 2
        fields = b"".join(literal(*field) for field in (
            (":method", "POST"), (":scheme", "http"), (":authority", "localhost"), (":path", rpc_path(stream)),
            ("content-type", "application/grpc"), ("te", "trailers")))
        message = chat_request(model, "What is a penstock?")
        self.socket.sendall(frame(HEADERS, END_HEADERS, self.stream, fields) + frame(DATA, END_STREAM, self.stream, message))

    def read_content(self):
        """Up to the second message: the first one tells the role alone."""
        messages = 0
        while messages < 2:
            kind, _, _, payload = self._answer_frame()
            messages += kind == DATA and payload != b""

    def read_answer(self):
        """To the trailers; what they say."""
        while True:
            kind, flags, stream, payload = self._frame()
            if kind == RST_STREAM or (stream == self.stream and kind == HEADERS and flags & END_STREAM):
                return payload


def rpc_path(stream):
    return "/penstock.v1.Inference/" + ("ChatStream" if stream else "Chat")


def varint(number):
    out = b""
    while number > 127:
        out, number = out + bytes([number & 127 | 128]), number >> 7
    return out + bytes([number])


def text_field(number, text):
    """A string, bytes or message field of protobuf."""
    data = text.encode() if isinstance(text, str) else text
    return varint(number << 3 | 2) + varint(len(data)) + data


def chat_request(model, content, system=None, max_tokens=1_000_000, temperature=None):
    """A framed penstock.v1.ChatRequest; roles and fields by their numbers in proto/penstock/v1/inference.proto."""
    def message(role, text):
        return text_field(2, varint(1 << 3) + varint(role) + text_field(2, text))
    body = text_field(1, model) + (message(1, system) if system else b"") + message(3, content)
    if temperature is not None:
        body += varint(3 << 3 | 1) + struct.pack("<d", temperature)
    body += varint(6 << 3) + varint(max_tokens)
    return struct.pack(">BI", 0, len(body)) + body


CLIENTS = {"h1": H1Client, "h2": H2Client, "grpc": GrpcClient}


class SimControl:
    """/sim/stats and /sim/reset over one kept connection."""

    def __init__(self, port):
        self.socket = connect(port)

    def _ask(self, method, path):
        self.socket.sendall(f"{method} {path} HTTP/1.1\r\nhost: sim\r\ncontent-length: 0\r\n\r\n".encode())
        got = b""
        while b"\r\n\r\n" not in got:
            got += self.socket.recv(65536)
        head, rest = got.split(b"\r\n\r\n", 1)
        length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
        while len(rest) < length:
            rest += self.socket.recv(65536)
        return rest

    def stats(self):
        return json.loads(self._ask("GET", "/sim/stats"))

    def reset(self):
        self._ask("POST", "/sim/reset")
