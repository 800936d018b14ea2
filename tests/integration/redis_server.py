"""A real redis-server on a free port of the loopback, without a disk, and a client of a few lines for it."""

import signal
import socket
from pathlib import Path

import harness
from harness import Program, until

PATIENT = "500ms"  # cache.redis.timeout where the machine's own delays must not matter


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class RedisError(Exception):
    pass


class RedisServer:
    def __init__(self, *options):
        self.port, self.program = free_port(), None
        self.start(*options)

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}"

    def start(self, *options):
        """Also one that takes another's place."""
        self.run("Ready to accept connections", *options)

    def run(self, ready, *arguments):
        self.program = Program("redis-server", *arguments, "--port", self.port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no")
        self.program.wait_line("stdout", ready)

    def end(self):
        if self.program is not None and self.program.alive():
            self.program.signal(signal.SIGKILL)
            self.program.wait()

    def kill(self):
        self.program.signal(signal.SIGKILL)
        self.program.wait()

    def stop(self):
        """Alive for TCP, but it says nothing."""
        self.program.signal(signal.SIGSTOP)
        until(lambda: Path(f"/proc/{self.program.pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T", "the stop")

    def go_on(self):
        self.program.signal(signal.SIGCONT)

    def ask(self, *words):
        """One command; bytes, an int, None or a list."""
        with socket.create_connection(("127.0.0.1", self.port), harness.HANG) as connection:
            parts = [word if isinstance(word, bytes) else str(word).encode() for word in words]
            connection.sendall(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts))
            with connection.makefile("rb") as reader:
                return self._reply(reader)

    def _reply(self, reader):
        line = reader.readline()
        kind, text = line[:1], line[1:-2]
        if kind == b"-":
            raise RedisError(text.decode())
        if kind == b":":
            return int(text)
        if kind == b"$":
            return None if text == b"-1" else reader.read(int(text) + 2)[:-2]
        if kind == b"*":
            return [self._reply(reader) for _ in range(int(text))]
        return text

    def keys(self):
        """Of entries."""
        return sorted(self.ask("KEYS", "penstock:2:*"))
