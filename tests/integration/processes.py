"""The programs under test as objects: started on ports of the kernel's choice, watched through what they print."""

import http.client
import json
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time

BIN = os.environ.get("PENSTOCK_BIN", "build/dev/bin")
PATIENCE_S = 30  # for conditions that come within milliseconds on an idle machine


def await_condition(condition, what, patience_s=PATIENCE_S):
    """Polls until `condition()` is true and returns its value; `what` is a text, or makes one when it is needed."""
    pause = threading.Event()
    end = time.monotonic() + patience_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"in vain: {what() if callable(what) else what}")
        pause.wait(0.005)


class Program:
    """A process whose lines on one descriptor are kept."""

    def __init__(self, arguments, lines_of="stderr", **popen):
        self.lines = []
        self._changed = threading.Condition()
        self._ended = False
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": None}
        streams[lines_of] = subprocess.PIPE
        self.process = subprocess.Popen(arguments, text=True, **{**streams, **popen})
        pipe = getattr(self.process, lines_of)
        self._reader = threading.Thread(target=self._read, args=(pipe,), daemon=True)
        self._reader.start()

    def _read(self, pipe):
        for line in pipe:
            with self._changed:
                self.lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        pipe.close()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def line_with(self, text, after=0):
        """The first line from `after` on that contains `text`, waited for."""
        def find():
            return next((line for line in self.lines[after:] if text in line), None)
        with self._changed:
            self._changed.wait_for(lambda: find() or self._ended, PATIENCE_S)
            line = find()
        if line is None:
            raise AssertionError(f"no line with {text!r} in:\n" + "\n".join(self.lines))
        return line

    def text(self):
        return "\n".join(self.lines)

    def wait(self, patience_s=PATIENCE_S):
        code = self.process.wait(patience_s)
        self._reader.join(patience_s)
        return code

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.wait()


class Sim(Program):
    """penstock-sim on one port."""

    def __init__(self, *arguments):
        super().__init__([f"{BIN}/penstock-sim", "--listen", "127.0.0.1:0", *arguments], lines_of="stdout")
        self.address = self.line_with("listening on").split()[-1]


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    def json(self):
        return json.loads(self.body)


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=PATIENCE_S)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE_S)
        self.sock.connect(self.path)


def connect(address):
    if address.startswith("unix:"):
        return UnixConnection(address[5:])
    return http.client.HTTPConnection(address, timeout=PATIENCE_S)


def ask(address, method, path, body=None, headers=None):
    """One request on a connection of its own."""
    connection = connect(address)
    try:
        connection.request(method, path, body, headers or {})
        return Answer(connection.getresponse())
    finally:
        connection.close()


class Gateway(Program):
    """penstock serve with a configuration in a folder of its own; `under` is a command that ends by executing its arguments."""

    def __init__(self, config, folder, under=(), **popen):
        self.config_file = os.path.join(folder, "penstock.yaml")
        self.write(config)
        super().__init__([*under, os.path.abspath(f"{BIN}/penstock"), "serve", "--config", self.config_file], **popen)

    def started(self, listeners=1):
        """Waits for the addresses in the log."""
        self.admin = json.loads(self.line_with('"admin_address"'))["admin_address"]
        self.addresses = [json.loads(line)["address"] for line in self.lines if '"address"' in line][:listeners]
        self.address = self.addresses[0]
        return self

    def write(self, config):
        """As a careful editor does: a new file that takes the old one's place."""
        with tempfile.NamedTemporaryFile("w", dir=os.path.dirname(self.config_file), delete=False) as file:
            file.write(config)
        os.rename(file.name, self.config_file)

    def signal(self, number):
        self.process.send_signal(number)

    def hang_up(self):
        """SIGHUP, and the log line that tells how it ended."""
        before = len(self.lines)
        self.signal(signal.SIGHUP)
        return await_condition(lambda: next((line for line in self.lines[before:] if '"by":"SIGHUP"' in line), None), "a reload")

    def metric(self, name):
        """The value of one series, or None."""
        for line in ask(self.admin, "GET", "/metrics").body.decode().splitlines():
            if line.startswith(name + " "):
                return float(line.rsplit(" ", 1)[1])
        return None

    def resident_bytes(self):
        with open(f"/proc/{self.process.pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
