"""A client that writes exactly the bytes it is given and judges the framing of what comes back (RFC 9112)."""

import json as json_module
import socket
import ssl
import struct

LIMIT = 20.0  # seconds for any one read


class Malformed(Exception):
    """What came is no HTTP/1.1 response."""


def split_address(address):
    host, port = address.rsplit(":", 1)
    return host.strip("[]"), int(port)


def open_socket(address, tls=None, receive_buffer=None, server_name="gateway.test", session=None, source=None, segment=None):
    """tls: None or an ssl.SSLContext; server_name: what SNI asks for; session: of an earlier connection; source: our own IP address;
    segment: the largest that the peer may send; the loopback's own make the peer's kernel take a megabyte."""
    if address.startswith("unix:"):
        raw = socket.socket(socket.AF_UNIX)
        raw.settimeout(LIMIT)
        raw.connect(address[5:])
        return raw
    raw = socket.socket(socket.AF_INET)
    raw.settimeout(LIMIT)
    if receive_buffer:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    if segment:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, segment)
    if source:
        raw.bind((source, 0))
    raw.connect(split_address(address))
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return tls.wrap_socket(raw, server_hostname=server_name, session=session) if tls else raw


def trusting(*alpn):
    """A TLS context that takes any certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


class Response:
    """complete: the framing said that this was all. closed: the peer closed behind it, as far as we read."""

    def __init__(self, status, version, headers):
        self.status, self.version, self.headers = status, version, headers
        self.body, self.complete, self.framing = b"", False, ""

    def header(self, name, default=None):
        for key, value in self.headers:
            if key == name:
                return value
        return default

    def json(self):
        return json_module.loads(self.body)

    def error(self):
        return self.json()["error"]

    def events(self):
        """The data of an SSE body's events."""
        found = []
        for block in self.body.split(b"\n\n"):
            lines = [line[5:].lstrip(b" ") for line in block.split(b"\n") if line.startswith(b"data:")]
            if lines:
                found.append(b"\n".join(lines).decode("utf-8", "replace"))
        return found

    def __repr__(self):
        return f"Response({self.status}, {self.framing}, complete={self.complete}, {self.body[:300]!r}...{self.body[-300:]!r})"


class Connection:
    def __init__(self, address, tls=None, receive_buffer=None, **socket_options):
        self.socket = open_socket(address, tls, receive_buffer, **socket_options)
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def abort(self):
        """RST instead of FIN."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def finish_sending(self):
        self.socket.shutdown(socket.SHUT_WR)

    def send(self, data):
        """Everything, or what the peer takes before it closes."""
        try:
            self.socket.sendall(data)
            return True
        except (BrokenPipeError, ConnectionResetError):
            return False

    def receive(self):
        """More bytes into the buffer; False at the end of the stream (a reset is one)."""
        try:
            data = self.socket.recv(65536)
        except (ConnectionResetError, ssl.SSLEOFError, ssl.SSLZeroReturnError):
            data = b""
        self.buffer += data
        return bool(data)

    def at_end(self):
        """True when the peer closes without another byte."""
        return not self.buffer and not self.receive()

    def read_until(self, mark):
        while mark not in self.buffer:
            if not self.receive():
                return None
        head, _, self.buffer = self.buffer.partition(mark)
        return head

    def request_bytes(self, method, target, body=b"", headers=(), host="gateway.test"):
        if isinstance(body, str):
            body = body.encode()
        lines = [f"{method} {target} HTTP/1.1", f"Host: {host}"]
        lines += [f"{name}: {value}" for name, value in headers]
        if body and not any(name.lower() in ("content-length", "transfer-encoding") for name, _ in headers):
            lines.append(f"Content-Length: {len(body)}")
        if body and not any(name.lower() == "content-type" for name, _ in headers):
            lines.append("Content-Type: application/json")
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body

    def ask(self, method, target, body=b"", headers=()):
        if not self.send(self.request_bytes(method, target, body, headers)):
            pass  # an early answer may be there all the same
        return self.read_response(head_request=method == "HEAD")

    def read_head(self, keep_interim=False):
        while True:
            head = self.read_until(b"\r\n\r\n")
            if head is None:
                raise Malformed(f"closed before a response head: {self.buffer[:200]!r}")
            lines = head.decode("latin-1").split("\r\n")
            words = lines[0].split(" ", 2)
            if len(words) < 2 or not words[0].startswith("HTTP/1.") or not words[1].isdigit():
                raise Malformed(lines[0])
            headers = [(n.lower(), v.strip()) for n, _, v in (line.partition(":") for line in lines[1:])]
            response = Response(int(words[1]), words[0], headers)
            if response.status >= 200 or keep_interim:
                return response

    def read_response(self, head_request=False):
        response = self.read_head()
        self.read_body(response, head_request)
        return response

    def read_body(self, response, head_request=False):
        length = response.header("content-length")
        if head_request or response.status in (204, 304):
            response.framing, response.complete = "none", True
        elif response.header("transfer-encoding") == "chunked":
            response.framing = "chunked"
            while self.read_chunk(response):
                pass
        elif length is not None:
            response.framing = "length"
            gathered = bytearray(self.buffer)  # receive() would copy a large body again and again
            while len(gathered) < int(length):
                self.buffer = b""
                if not self.receive():
                    break
                gathered += self.buffer
            self.buffer = bytes(gathered)
            response.body, self.buffer = self.buffer[:int(length)], self.buffer[int(length):]
            response.complete = len(response.body) == int(length)
        else:
            response.framing = "close"
            response.complete = self.read_to_end()
            response.body, self.buffer = self.buffer, b""

    def read_to_end(self):
        """True for FIN, False for RST."""
        try:
            while True:
                data = self.socket.recv(65536)
                if not data:
                    return True
                self.buffer += data
        except ConnectionResetError:
            return False

    def read_chunk(self, response):
        """One chunk into response.body; False at the end."""
        line = self.read_until(b"\r\n")
        if line is None:
            response.body += self.buffer  # half a chunk's size
            return False
        size = int(line, 16)
        while len(self.buffer) < size + 2:
            if not self.receive():
                response.body += self.buffer
                self.buffer = b""
                return False
        response.body += self.buffer[:size]
        if self.buffer[size:size + 2] != b"\r\n":
            raise Malformed(f"chunk end {self.buffer[size:size + 2]!r}")
        self.buffer = self.buffer[size + 2:]
        response.complete = size == 0
        return size > 0

    def wait_body(self, response, mark):
        """Reads chunks until the body has `mark`."""
        while mark not in response.body:
            if not self.read_chunk(response):
                raise Malformed(f"the body ended without {mark!r}: {response.body!r}")
