"""A few frames of HTTP/2, spoken by hand: for what no client library lets a test see or do."""

import json
import socket
import struct

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS = 1, 1, 4
WINDOW = 2**30


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def literal(name, value):
    """HPACK, literal without indexing; both shorter than 127."""
    return bytes([0, len(name)]) + name.encode() + bytes([len(value)]) + value.encode()


class RawH2:
    """Owned by one test. A client connection that answers no frame by itself but SETTINGS and PING."""

    def __init__(self, port, timeout=30):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout)
        settings = struct.pack(">HI", 4, WINDOW)  # INITIAL_WINDOW_SIZE
        opening = frame(SETTINGS, 0, 0, settings) + frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", WINDOW))
        self.socket.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + opening)
        self.buffer = b""
        self.next_stream = 1

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def chat(self, model, stream=True):
        """Sends a chat request; its stream id."""
        number = self.next_stream
        self.next_stream += 2
        body = json.dumps({"model": model, "stream": stream, "messages": [{"role": "user", "content": "hi"}]}).encode()
        block = b"".join(literal(*pair) for pair in [(":method", "POST"), (":scheme", "http"), (":authority", "localhost"),
                                                     (":path", "/v1/chat/completions")])
        self.socket.sendall(frame(HEADERS, END_HEADERS, number, block) + frame(DATA, END_STREAM, number, body))
        return number

    def read(self):
        """The next frame as (kind, flags, stream, payload); None at the connection's end, by FIN or reset."""
        try:
            while len(self.buffer) < 9 or len(self.buffer) < 9 + int.from_bytes(self.buffer[:3], "big"):
                more = self.socket.recv(65536)
                if not more:
                    return None
                self.buffer += more
        except ConnectionResetError:
            return None
        size = int.from_bytes(self.buffer[:3], "big")
        kind, flags = self.buffer[3], self.buffer[4]
        stream = int.from_bytes(self.buffer[5:9], "big") & 0x7FFFFFFF
        payload = self.buffer[9 : 9 + size]
        self.buffer = self.buffer[9 + size :]
        try:
            if kind == SETTINGS and not flags & ACK:
                self.socket.sendall(frame(SETTINGS, ACK, 0))
            elif kind == PING and not flags & ACK:
                self.socket.sendall(frame(PING, ACK, 0, payload))
        except OSError:
            pass
        return kind, flags, stream, payload

    def read_until(self, last):
        """All frames up to the one for which `last(frame)` holds, or to the connection's end."""
        frames = []
        while (got := self.read()) is not None:
            frames.append(got)
            if last(got):
                break
        return frames


def ends(stream):
    """A predicate for read_until: this stream is over."""
    return lambda got: got[2] == stream and (got[0] == RST_STREAM or (got[0] in (DATA, HEADERS) and got[1] & END_STREAM))
