"""An HTTP/2 client that writes frames by hand (RFC 9113): request blocks are literals without Huffman or table, so that a test
says every byte. Responses are decoded by libnghttp2's HPACK, which is on every machine that runs the gateway."""

import ctypes
import ctypes.util
import json as json_module
import struct

import h1_client

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITY_FLAG = 1, 1, 4, 8, 32
NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, SETTINGS_TIMEOUT, STREAM_CLOSED, FRAME_SIZE_ERROR, REFUSED_STREAM, \
    CANCEL, COMPRESSION_ERROR, CONNECT_ERROR, ENHANCE_YOUR_CALM = range(12)


class _NameValue(ctypes.Structure):
    _fields_ = [("name", ctypes.POINTER(ctypes.c_uint8)), ("value", ctypes.POINTER(ctypes.c_uint8)),
                ("name_size", ctypes.c_size_t), ("value_size", ctypes.c_size_t), ("flags", ctypes.c_uint8)]


class Inflater:
    """libnghttp2's HPACK decoder."""

    library = ctypes.CDLL("libnghttp2.so.14")
    library.nghttp2_hd_inflate_hd2.restype = ctypes.c_ssize_t
    library.nghttp2_hd_inflate_hd2.argtypes = [ctypes.c_void_p, ctypes.POINTER(_NameValue), ctypes.POINTER(ctypes.c_int),
                                               ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int]

    def __init__(self):
        self._state = ctypes.c_void_p()
        if self.library.nghttp2_hd_inflate_new(ctypes.byref(self._state)) != 0:
            raise MemoryError

    def __del__(self):
        self.library.nghttp2_hd_inflate_del(self._state)

    def decode(self, block):
        headers, field, flags = [], _NameValue(), ctypes.c_int()
        while True:
            taken = self.library.nghttp2_hd_inflate_hd2(self._state, ctypes.byref(field), ctypes.byref(flags), block, len(block), 1)
            if taken < 0:
                raise ValueError(f"HPACK error {taken}")
            block = block[taken:]
            if flags.value & 2:
                headers.append((ctypes.string_at(field.name, field.name_size).decode("latin-1"),
                                ctypes.string_at(field.value, field.value_size).decode("latin-1")))
            if flags.value & 1:
                self.library.nghttp2_hd_inflate_end_headers(self._state)
                return headers
            if not flags.value & 2 and not block:
                return headers


def integer(value, bits, first=0):
    """RFC 7541 5.1."""
    limit = (1 << bits) - 1
    if value < limit:
        return bytes([first | value])
    out = bytes([first | limit])
    value -= limit
    while value >= 128:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def _bytes(text):
    return text.encode("latin-1") if isinstance(text, str) else text


def block(headers):
    """A header block of literals that enter no table."""
    out = b""
    for name, value in headers:
        name, value = _bytes(name), _bytes(value)
        out += b"\0" + integer(len(name), 7) + name + integer(len(value), 7) + value
    return out


def frame(kind, flags=0, stream=0, payload=b"", length=None):
    return struct.pack(">I", len(payload) if length is None else length)[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def settings(*pairs):
    return frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", key, value) for key, value in pairs))


def headers_frame(stream, headers, end_stream=True, end_headers=True):
    return frame(HEADERS, (END_STREAM if end_stream else 0) | (END_HEADERS if end_headers else 0), stream, block(headers))


def headers_frames(stream, headers, end_stream=True):
    """As headers_frame(), with as many CONTINUATIONs as it takes."""
    fields = block(headers)
    pieces = [fields[at:at + 16384] for at in range(0, len(fields), 16384)]
    out = frame(HEADERS, (END_STREAM if end_stream else 0) | (END_HEADERS if len(pieces) == 1 else 0), stream, pieces[0])
    for piece in pieces[1:]:
        out += frame(CONTINUATION, END_HEADERS if piece is pieces[-1] else 0, stream, piece)
    return out


def request_fields(method="POST", path="/v1/chat/completions", authority="gateway.test", more=(), scheme="http"):
    return [(":method", method), (":scheme", scheme), (":path", path), (":authority", authority), *more]


class Stream:
    def __init__(self):
        self.headers, self.body, self.trailers, self.ended, self.reset = None, b"", None, False, None
        self.window = 65535  # what we may send

    @property
    def status(self):
        return int(dict(self.headers)[":status"]) if self.headers else None

    @property
    def complete(self):
        return self.ended and self.reset in (None, NO_ERROR)

    @property
    def over(self):
        return self.ended or self.reset is not None

    def header(self, name, default=None):
        return dict(self.headers or []).get(name, default)

    def json(self):
        return json_module.loads(self.body)

    def error(self):
        return self.json()["error"]

    events = h1_client.Response.events

    def __repr__(self):
        return f"Stream({self.status}, ended={self.ended}, reset={self.reset}, {self.body[:300]!r}...{self.body[-300:]!r})"


class Connection:
    """windows=True keeps the peer's windows open."""

    def __init__(self, address, tls=None, hello=True, initial_settings=(), windows=True, receive_buffer=None, **socket_options):
        self.socket = h1_client.open_socket(address, tls, receive_buffer, **socket_options)
        self.buffer, self.streams, self.frames = b"", {}, []
        self.inflater, self.next_id, self.windows = Inflater(), 1, windows
        self.goaway, self.closed, self.settings_acked, self.ended_by_reset = None, False, False, False
        self._block = None
        self.window = self.peer_window = 65535  # what we may send
        if hello:
            self.send(PREFACE + settings(*initial_settings))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    close = h1_client.Connection.close
    abort = h1_client.Connection.abort

    def send(self, data):
        try:
            self.socket.sendall(data)
            return True
        except (BrokenPipeError, ConnectionResetError):
            return False

    def request(self, body=b"", headers=(), method="POST", path="/v1/chat/completions", end=True, authority="gateway.test"):
        """Opens a stream; the id."""
        if isinstance(body, str):
            body = body.encode()
        stream, self.next_id = self.next_id, self.next_id + 2
        fields = request_fields(method, path, authority, headers)
        self.send(headers_frames(stream, fields, end_stream=end and not body))
        while body and not self.stream(stream).over:
            room = min(16384, len(body), self.window, self.stream(stream).window)
            if room <= 0:
                if not self.step():
                    break
                continue
            piece, body = body[:room], body[room:]
            self.window -= room
            self.stream(stream).window -= room
            self.send(frame(DATA, END_STREAM if end and not body else 0, stream, piece))
        return stream

    def stream(self, stream):
        if stream not in self.streams:
            self.streams[stream] = Stream()
            self.streams[stream].window = self.peer_window
        return self.streams[stream]

    def ask(self, method, path, body=b"", headers=()):
        return self.finish(self.request(body, headers, method, path))

    def finish(self, stream):
        """Reads until the stream is over."""
        state = self.stream(stream)
        while not state.over and self.step():
            pass
        return state

    def step(self):
        """One frame; False when the connection is closed."""
        while len(self.buffer) < 9 or len(self.buffer) < 9 + int.from_bytes(self.buffer[:3], "big"):
            try:
                data = self.socket.recv(65536)
            except ConnectionResetError:
                self.ended_by_reset = True
                data = b""
            if not data:
                self.closed = True
                return False
            self.buffer += data
        length = int.from_bytes(self.buffer[:3], "big")
        kind, flags, stream = struct.unpack(">BBI", self.buffer[3:9])
        payload, self.buffer = self.buffer[9:9 + length], self.buffer[9 + length:]
        self._take(kind, flags, stream & 0x7fffffff, payload)
        return True

    def drain(self):
        """Reads until the peer closes."""
        while self.step():
            pass

    def _take(self, kind, flags, stream, payload):
        self.frames.append((kind, flags, stream, len(payload)))
        if kind == DATA:
            self.stream(stream).body += payload
            if flags & END_STREAM:
                self.stream(stream).ended = True
            if payload and self.windows:
                credit = struct.pack(">I", len(payload))
                self.send(frame(WINDOW_UPDATE, 0, 0, credit) + (b"" if flags & END_STREAM else frame(WINDOW_UPDATE, 0, stream, credit)))
        elif kind in (HEADERS, CONTINUATION):
            if kind == HEADERS:
                self._block = (payload, flags)
            else:
                self._block = (self._block[0] + payload, self._block[1])
            if flags & END_HEADERS:
                decoded = self.inflater.decode(self._block[0])
                state = self.stream(stream)
                if state.headers is None or state.status < 200:
                    state.headers = decoded
                else:
                    state.trailers = decoded
                if self._block[1] & END_STREAM:
                    state.ended = True
        elif kind == RST_STREAM:
            self.stream(stream).reset = struct.unpack(">I", payload)[0]
        elif kind == SETTINGS:
            if flags & ACK:
                self.settings_acked = True
            else:
                self._settings(payload)
                self.send(frame(SETTINGS, ACK))
        elif kind == WINDOW_UPDATE:
            credit = struct.unpack(">I", payload)[0]
            if stream == 0:
                self.window += credit
            else:
                self.stream(stream).window += credit
        elif kind == PING and not flags & ACK:
            self.send(frame(PING, ACK, 0, payload))
        elif kind == GOAWAY:
            self.goaway = struct.unpack(">II", payload[:8])

    def _settings(self, payload):
        for at in range(0, len(payload), 6):
            key, value = struct.unpack(">HI", payload[at:at + 6])
            if key == 4:
                for stream in self.streams.values():
                    stream.window += value - self.peer_window
                self.peer_window = value


def ask(protocol, address, path, body, headers=()):
    """One request on a connection of its own, over "h1" or "h2"; both kinds of answer have status, complete, body, events()."""
    if protocol == "h1":
        with h1_client.Connection(address) as connection:
            return connection.ask("POST", path, body, headers)
    with Connection(address) as connection:
        return connection.ask("POST", path, body, [("content-type", "application/json"), *headers])
