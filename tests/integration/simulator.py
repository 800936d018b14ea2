"""penstock-sim as a test's tool: starts it on ports of the kernel's choice, asks it what it saw.

    with Simulator("--kind", "llamacpp") as sim:
        answer = sim.post("/v1/chat/completions", {"model": "sim:0:3:0", "messages": []})
        assert sim.stats()["received"] == 1
"""

import http.client
import json
import os
import subprocess
import time
import urllib.parse
from pathlib import Path

DEADLINE_S = 30  # for anything that a test waits for; a sanitized program on a busy machine is slow


def program(name):
    folder = os.environ.get("PENSTOCK_BIN", str(Path(__file__).resolve().parents[2] / "build/dev/bin"))
    return str(Path(folder) / name)


class Answer:
    """A response read to its end, or to where it broke (`error` is then the exception)."""

    def __init__(self, status, headers, body, error=None):
        self.status, self.headers, self.body, self.error = status, headers, body, error

    def json(self):
        return json.loads(self.body)

    def events(self):
        """The data of every event; JSON where it is JSON."""
        found = []
        for block in self.body.decode(errors="replace").split("\n\n"):
            lines = [line[5:].strip() for line in block.split("\n") if line.startswith("data:")]
            if lines:
                data = "\n".join(lines)
                try:
                    found.append(json.loads(data))
                except ValueError:
                    found.append(data)
        return found

    def content(self, field="content"):
        """All chat deltas of choice 0 together."""
        text = ""
        for event in self.events():
            for choice in event["choices"] if isinstance(event, dict) and "choices" in event else []:
                if choice["index"] == 0:
                    text += choice.get("delta", {}).get(field) or ""
        return text


class Simulator:
    """Owned by one test. A penstock-sim process."""

    def __init__(self, *arguments, listen=1, wire=0):
        command = [program("penstock-sim")]
        command += ["--listen", "127.0.0.1:0"] * listen + ["--wire-listen", "127.0.0.1:0"] * wire + list(arguments)
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.line = self.process.stdout.readline().strip()
        if " listening on " not in self.line:
            self.process.stdout.close()
            raise RuntimeError(f"{command} said {self.line!r} and ended with {self.process.wait(DEADLINE_S)}")
        places = self.line.split(" listening on ")[1].split()
        self.wire_ports = [int(p.rsplit(":", 1)[1]) for p in places if p.startswith("wire:127.")]
        self.ports = [int(p.rsplit(":", 1)[1]) for p in places if p.startswith("127.")]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def port(self):
        return self.ports[0]

    @property
    def wire_port(self):
        return self.wire_ports[0]

    def stop(self):
        """Ends it; the exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        code = self.process.wait(DEADLINE_S)
        self.process.stdout.close()
        return code

    def request(self, method, path, body=None, port=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=DEADLINE_S)
        try:
            data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
            connection.request(method, path, data, headers or {})
            response = connection.getresponse()
            try:
                return Answer(response.status, dict(response.getheaders()), response.read())
            except http.client.IncompleteRead as broken:
                return Answer(response.status, dict(response.getheaders()), broken.partial, broken)
        finally:
            connection.close()

    def get(self, path, **more):
        return self.request("GET", path, **more)

    def post(self, path, body, **more):
        return self.request("POST", path, body, **more)

    def chat(self, model, stream=False, port=None, **fields):
        body = {"model": model, "stream": stream, "messages": [{"role": "user", "content": "hello"}], **fields}
        return self.post("/v1/chat/completions", body, port=port)

    def stats(self):
        return self.get("/sim/stats").json()

    def last(self):
        return self.get("/sim/last").json()

    def reset(self):
        assert self.post("/sim/reset", b"").status == 200

    def set(self, **settings):
        answer = self.post("/sim/set?" + urllib.parse.urlencode(settings), b"")
        assert answer.status == 200, answer.body

    def wait_for(self, condition, what="the condition"):
        """Asks for the stats until `condition(stats)` holds; returns them."""
        end = time.monotonic() + DEADLINE_S
        while time.monotonic() < end:
            stats = self.stats()
            if condition(stats):
                return stats
        raise AssertionError(f"{what} did not come true; the last stats: {stats}")
