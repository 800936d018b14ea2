"""HTTP/1.1 parsing held against parsers that nobody here wrote: what HAProxy or nginx refuse of these messages (a status of their own,
or the connection closed), Penstock refuses too, and where both accept, the same body arrives. The shapes are those of request smuggling
and of the Http11Probe catalogue. DIFFERENCES are the exceptions, each with its reason. Skipped where no peer is installed."""

import os
import shutil
import signal
import socketserver
import subprocess
import sys
import threading
import unittest

import h1_client
import harness
from h1_faults_test import CHAT, LAST, MODEL, PATH, SIZE, TAKEN, chunk, chunked, post
from harness import FaultCase, World, cluster, endpoint, table

PATIENCE = 3.0  # seconds; every party has shorter timeouts for what it waits for


def coded(value, *headers, body=None, **more):
    return post(f"Transfer-Encoding: {value}", *headers, body=chunk() + LAST if body is None else body, **more)


def sized(value, *headers, **more):
    return post(f"Content-Length: {value}", *headers, **more)


def get(*headers, line="GET /v1/models HTTP/1.1", **more):
    return post(*headers, line=line, body="", length=False, **more)


SMUGGLED = "GET /smuggled HTTP/1.1\r\nHost: gateway.test\r\n\r\n"

SHAPES = [
    ("plain", post()), ("plain GET", get()), ("plain chunked", chunked(chunk() + LAST)), *TAKEN,
    # Two framings
    ("H1-01 CL.TE", sized(SIZE, "Transfer-Encoding: chunked", body=LAST + SMUGGLED)),
    ("H1-01 TE.CL", coded("chunked", f"Content-Length: {SIZE}")),
    ("H1-01 length 0 and coding", sized(0, "Transfer-Encoding: chunked", body=chunk() + LAST)),
    ("H1-01 length and unknown coding", sized(SIZE, "Transfer-Encoding: xchunked")),
    ("H1-01 length and empty coding", sized(SIZE, "Transfer-Encoding:")),
    ("H1-02 the same length twice", sized(SIZE, f"Content-Length: {SIZE}")),
    ("H1-02 two lengths", sized(SIZE, "Content-Length: 0")),
    ("H1-02 list of the same", sized(f"{SIZE}, {SIZE}")),
    ("H1-02 list of others", sized(f"{SIZE}, 0")),
    ("H1-02 name in two cases", sized(SIZE, f"content-length: {SIZE}")),
    # Lengths
    *[(f"H1-03 length {label}", sized(value)) for label, value in [
        ("plus", f"+{SIZE}"), ("minus", f"-{SIZE}"), ("hexadecimal", f"0x{SIZE:x}"), ("underscore", "9_9"), ("inner space", "9 9"),
        ("fraction", f"{SIZE}.0"), ("exponent", "9e1"), ("empty", ""), ("comma", f"{SIZE},"), ("leading comma", f",{SIZE}"),
        ("quoted", f'"{SIZE}"'), ("2 to the 64th and more", str(2**64 + SIZE)), ("trailing space", f"{SIZE}  "), ("vertical tab", f"\x0b{SIZE}")]],
    # Codings
    *[(f"H1-04 coding {label}", coded(value)) for label, value in [
        ("unknown", "xchunked"), ("identity", "identity"), ("identity first", "identity, chunked"), ("chunked first", "chunked, gzip"),
        ("gzip first", "gzip, chunked"), ("gzip", "gzip")]],
    *[(f"H1-05 coding {label}", coded(value)) for label, value in [
        ("twice", "chunked, chunked"), ("leading comma", ", chunked"), ("trailing comma", "chunked,"), ("vertical tab", "\x0bchunked"),
        ("no-break space", "\xa0chunked"), ("parameter", "chunked;q=1"), ("quoted", '"chunked"'), ("upper case", "CHUNKED"),
        ("trailing space", "chunked "), ("trailing tab", "chunked\t"), ("NUL", "chunked\0"), ("inner space", "chun ked")]],
    ("H1-05 two fields", coded("chunked", "Transfer-Encoding: identity")),
    ("H1-05 space before colon", post("Transfer-Encoding : chunked", f"Content-Length: {SIZE}")),
    ("H1-06 coding in 1.0", coded("chunked", line=f"POST {PATH} HTTP/1.0")),
    ("H1-06 length in 1.0", post(line=f"POST {PATH} HTTP/1.0")),
    # Chunks
    *[(f"H1-07 size {label}", chunked(chunk(size=value) + LAST)) for label, value in [
        ("hexadecimal", f"0x{SIZE:x}"), ("plus", f"+{SIZE:x}"), ("minus", "-1"), ("underscore", "5_f"), ("leading space", f" {SIZE:x}"),
        ("trailing space", f"{SIZE:x} "), ("no digit", "zz"), ("empty", ""), ("2 to the 64th and more", f"1{SIZE:016x}"), ("upper case", f"{SIZE:X}")]],
    ("H1-08 bare semicolon", chunked(chunk(extension=";") + LAST)),
    ("H1-08 extension behind a space", chunked(chunk(extension=" ;a=b") + LAST)),
    ("H1-09 LF in extension", chunked(chunk(extension=";a\n") + LAST)),
    ("H1-09 CR in extension", chunked(chunk(extension=";a\rb") + LAST)),
    ("H1-09 NUL in extension", chunked(chunk(extension=";a\0b") + LAST)),
    ("H1-09 LF ends the size", chunked(chunk(size_end="\n") + LAST)),
    ("H1-09 CR ends the size", chunked(chunk(size_end="\r") + LAST)),
    ("H1-10 LF ends the data", chunked(chunk(end="\n") + LAST)),
    ("H1-10 nothing ends the data", chunked(chunk(end="") + LAST)),
    ("H1-10 data too long", chunked(chunk(size=f"{SIZE - 1:x}") + LAST)),
    ("H1-10 LF ends the last chunk", chunked(chunk() + "0\n\n")),
    ("H1-11 trailer length", chunked(chunk() + f"0\r\nContent-Length: {SIZE}\r\n\r\n")),
    ("H1-11 trailer coding", chunked(chunk() + "0\r\nTransfer-Encoding: chunked\r\n\r\n")),
    ("H1-11 trailer host", chunked(chunk() + "0\r\nHost: other.test\r\n\r\n")),
    ("H1-11 trailer without colon", chunked(chunk() + "0\r\nx\r\n\r\n")),
    ("H1-11 trailer ended by LF", chunked(chunk() + "0\r\nx: a\n\n")),
    # Lines and fields
    ("H1-12 LF everywhere", post(end="\n")),
    ("H1-12 LF ends the request line", post(line=f"POST {PATH} HTTP/1.1\nx-a: b")),
    ("H1-12 CR alone ends a line", post("x-a: b\rx-c: d")),
    ("H1-12 CR CR LF", post("x-a: b\r")),
    ("H1-12 CR in the request line", post(line=f"POST {PATH}\r HTTP/1.1")),
    ("H1-12 NUL in a value", post("x-a: b\0")),
    ("H1-12 control in a value", post("x-a: b\x01c")),
    ("H1-12 DEL in a value", post("x-a: b\x7fc")),
    ("H1-12 8 bits in a value", post("x-a: b\xffc")),
    ("H1-13 fold", post("x-a: b\r\n c")),
    ("H1-13 folded coding", post("Transfer-Encoding:\r\n chunked", body=chunk() + LAST)),
    ("H1-13 folded length", post(f"Content-Length:\r\n {SIZE}")),
    ("H1-14 space before colon", post("x-a : b")),
    ("H1-14 tab before colon", post("x-a\t: b")),
    ("H1-14 leading space", post(host=" Host: gateway.test")),
    ("H1-14 empty name", post(": b")),
    ("H1-14 no colon", post("x-a")),
    ("H1-14 8 bits in a name", post("x-\xe9: b")),
    ("H1-14 NUL in a name", post("x-\0: b")),
    ("H1-14 parenthesis in a name", post("x(a): b")),
    ("H1-14 blank line first", b"\r\n" + post()),
    ("H1-14 space line first", b" \r\n" + post()),
    ("H1-15 underscore in a name", post("Content_Length: 0")),
    *[(f"H1-16 host {label}", post(host=f"Host: {value}")) for label, value in [
        ("empty", ""), ("user", "user@gateway.test"), ("path", "gateway.test/a"), ("two", "a.test, b.test"), ("space", "a b"), ("port", "a.test:99999"),
        ("letters as port", "a.test:http"), ("open bracket", "[::1"), ("8 bits", "\xe9.test"), ("NUL", "a\0.test"), ("backslash", "a\\b")]],
    ("H1-16 no host", post(host=None)),
    ("H1-16 host twice", post("Host: gateway.test")),
    ("H1-16 two hosts", post("Host: other.test")),
    ("H1-16 no host in 1.0", post(host=None, line=f"POST {PATH} HTTP/1.0")),
    # Request lines
    *[(f"H1-17 {label}", post(line=line)) for label, line in [
        ("version 1.9", f"POST {PATH} HTTP/1.9"), ("version 1.10", f"POST {PATH} HTTP/1.10"), ("version 2.0", f"POST {PATH} HTTP/2.0"),
        ("version 01.1", f"POST {PATH} HTTP/01.1"), ("lower-case version", f"POST {PATH} http/1.1"), ("no version", f"POST {PATH}"),
        ("other protocol", f"POST {PATH} ICY/1.1"), ("lower-case method", f"post {PATH} HTTP/1.1"), ("method with parenthesis", f"PO(ST {PATH} HTTP/1.1"),
        ("two spaces", f"POST  {PATH} HTTP/1.1"), ("tabs", f"POST\t{PATH}\tHTTP/1.1"), ("space in path", f"POST {PATH} x HTTP/1.1"),
        ("space behind version", f"POST {PATH} HTTP/1.1 "), ("leading space", f" POST {PATH} HTTP/1.1"), ("NUL in path", f"POST {PATH}\0 HTTP/1.1"),
        ("control in path", f"POST {PATH}\x01 HTTP/1.1"), ("8 bits in path", f"POST {PATH}?\xe9 HTTP/1.1")]],
    ("H1-18 fragment", post(line=f"POST {PATH}#a HTTP/1.1")),
    ("H1-18 absolute form of the host", post(line=f"POST http://gateway.test{PATH} HTTP/1.1")),
    ("H1-18 absolute form without host", post(line=f"POST http://gateway.test{PATH} HTTP/1.1", host=None)),
    ("H1-18 absolute form with user", post(line=f"POST http://a@gateway.test{PATH} HTTP/1.1")),
    ("H1-18 relative path", post(line=f"POST {PATH[1:]} HTTP/1.1")),
    ("H1-18 authority form", post(line="POST gateway.test:80 HTTP/1.1")),
    ("H1-18 GET star", get(line="GET * HTTP/1.1")),
    ("H1-19 CONNECT", get(line="CONNECT gateway.test:443 HTTP/1.1")),
    ("H1-20 websocket without key", get("Connection: upgrade", "Upgrade: websocket")),
    ("H1-24 GET with a body", post(line="GET /v1/models HTTP/1.1")),
    ("H1-30 200 fields", post(*[f"x-{i}: a" for i in range(200)])),
    ("H1-30 path of 20 KiB", post(line="POST /" + "a" * 20_000 + " HTTP/1.1")),
    ("H1-30 field of 70 KiB", post("x-a: " + "b" * 70_000)),
]

# What a peer refuses and Penstock takes, and why it may.
DIFFERENCES = {
    ("H1-05 coding trailing tab", "nginx"): "RFC 9110 5.5: a tab around a value is white space and no part of it; nginx strips spaces only",
    ("H1-18 absolute form", "haproxy"): "RFC 9112 3.2.2: the Host field beside an absolute form is ignored; HAProxy wants them equal",
    ("H1-20 websocket without key", "haproxy"): "RFC 9110 7.8: an upgrade may be ignored, and here always is; HAProxy would tunnel it",
}


class LenientBackend(socketserver.ThreadingTCPServer):
    """Answers 200 to whatever a peer passes on, and keeps the body: only the peer's own verdict counts."""

    allow_reuse_address = daemon_threads = True
    request_queue_size = 64

    def __init__(self):
        super().__init__(("127.0.0.1", 0), self.Handler)
        self.bodies = []
        self.port = self.server_address[1]
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, client_address):
        pass

    class Handler(socketserver.StreamRequestHandler):
        timeout = PATIENCE

        def handle(self):
            framing = {}
            if not self.rfile.readline():
                return
            while (line := self.rfile.readline()) not in (b"\r\n", b""):
                name, _, value = line.decode("latin-1").partition(":")
                framing[name.lower()] = value.strip()
            body = b""
            if "transfer-encoding" in framing:
                while size := int(self.rfile.readline().split(b";")[0], 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                while self.rfile.readline() not in (b"\r\n", b""):
                    pass
            elif "content-length" in framing:
                body = self.rfile.read(int(framing["content-length"]))
                if len(body) != int(framing["content-length"]):
                    return  # the peer gave up
            self.server.bodies.append(body.decode("latin-1"))
            self.wfile.write(b"HTTP/1.1 200 OK\r\nx-lenient: yes\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


HAPROXY = """
global
  log /dev/null local0 emerg
defaults
  mode http
  timeout connect 2s
  timeout client 1s
  timeout server 2s
  timeout http-request 1s
  option http-buffer-request
frontend front
  bind unix@{folder}/haproxy.sock
  default_backend lenient
backend lenient
  server lenient 127.0.0.1:{backend}
"""

NGINX = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log error;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  client_header_timeout 1s;
  client_body_timeout 1s;
  server {{
    listen unix:{folder}/nginx.sock;
    location / {{ proxy_pass http://127.0.0.1:{backend}; proxy_http_version 1.1; proxy_set_header Connection ""; }}
  }}
}}
"""


class Peer:
    """HAProxy or nginx in front of a lenient backend of its own, on a Unix socket."""

    def __init__(self, world, name, text, *command):
        self.name, self.backend = name, LenientBackend()
        self.address = f"unix:{world.folder}/{name}.sock"
        config = world.folder / f"{name}.conf"
        config.write_text(text.format(folder=world.folder, backend=self.backend.port))
        self.log = open(world.folder / f"{name}.out", "wb")
        self.process = subprocess.Popen([*command, str(config)], stdout=self.log, stderr=self.log)
        harness.until(self.answers, self.said)

    def said(self):
        with open(self.log.name) as file:
            return file.read()

    def answers(self):
        if self.process.poll() is not None:
            raise AssertionError(f"{self.name} did not start: {self.said()}")
        if not os.path.exists(self.address[5:]):
            return False
        try:
            return self.verdict(post())[0] == 200
        except ConnectionRefusedError:
            return False

    def verdict(self, data):
        """Its status, 0 where it closed without one; the body that it passed on, None where it refused."""
        self.backend.bodies.clear()
        status, answer = exchange(self.address, data)
        if answer is None or answer.header("x-lenient") is None:
            return status, None
        return status, self.backend.bodies[-1]

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(harness.HANG)
        self.backend.shutdown()
        self.backend.server_close()
        self.log.close()


def exchange(address, data):
    """Status and head of the answer; 0 and None when there is none before the peer closes."""
    with h1_client.Connection(address) as connection:
        connection.socket.settimeout(PATIENCE)
        connection.send(data)
        try:
            answer = connection.read_response()
        except (h1_client.Malformed, OSError, ValueError):
            return 0, None
        return answer.status, answer


COMMANDS = {"haproxy": (HAPROXY, "haproxy", "-db", "-f"), "nginx": (NGINX, "nginx", "-e", "stderr", "-c")}
INSTALLED = [name for name in COMMANDS if shutil.which(name)]
GROUPS = sorted({label.split()[0] for label, _ in SHAPES})


@unittest.skipUnless(INSTALLED, "no haproxy and no nginx: nobody to compare with")
@table("group", [(group,) for group in GROUPS])
class Peers(FaultCase):
    @classmethod
    def make_world(cls):
        def config(world):
            return {"server": {"listeners": [{"address": "127.0.0.1:0"}],
                               "limits": {"header_timeout": "500ms", "body_timeout": "500ms", "idle_timeout": "1s"}},
                    "models": [{"name": MODEL, "cluster": "up"}], "clusters": [cluster("up", [endpoint(world.sims["up"].address)])]}
        world = World(config, sims=("up",))
        cls.peers = [Peer(world, name, *COMMANDS[name]) for name in INSTALLED]
        return world

    @classmethod
    def tearDownClass(cls):
        for peer in cls.peers:
            peer.end()
        super().tearDownClass()

    def group(self, group):
        for label, data in SHAPES:
            if label.split()[0] == group:
                with self.subTest(label):
                    self.shape(label, data)

    def shape(self, label, data):
        up = self.world.sims["up"]
        up.reset()
        status, answer = exchange(self.gateway.address, data)
        taken = status == 200
        if label.startswith("plain"):
            self.assertTrue(taken)
        received = up.stats()["received"]
        body = up.last()[-1]["body"] if received else ""
        self.assertLessEqual(received, 1 if taken else 0, "what reached the backend")
        for peer in self.peers:
            theirs, passed = peer.verdict(data)
            if label.startswith("plain"):
                self.assertEqual(theirs, 200, peer.name)
            if taken and passed is None:
                self.assertIn((label, peer.name), DIFFERENCES, f"{peer.name} refuses it with {theirs}; taken here")
            elif taken and received:
                self.assertEqual(body, passed, f"another body than by {peer.name}")

    def test_differences_are_of_shapes(self):
        labels = [label for label, _ in SHAPES]
        self.assertEqual(len(set(labels)), len(labels), "a label twice")
        self.assertLessEqual({label for label, _ in DIFFERENCES}, set(labels))


if __name__ == "__main__":
    if len(INSTALLED) < len(COMMANDS):
        print(f"of HAProxy and nginx there is only {INSTALLED}: ./dev test installs both", file=sys.stderr)
    harness.main()
