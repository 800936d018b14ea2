"""What the integration tests share: the real programs on ports of the kernel's choice, a canary beside every case, and
the oracle of docs/testing.md. Python's standard library only.

A test file declares a FaultCase with `make_world()` (its simulators and the gateway's configuration) and tables of rows; each row
becomes a test that carries the row's ID in the fault catalogue. Nothing waits for a duration: `until()` polls a condition, with
a limit that only a hang reaches."""

import concurrent.futures
import fcntl
import itertools
import json
import os
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
import unittest
from pathlib import Path

import h1_client

SOURCE = Path(os.environ.get("PENSTOCK_SOURCE", Path(__file__).resolve().parents[2]))
BIN = Path(os.environ.get("PENSTOCK_BIN", SOURCE / "build/dev/bin"))
HANG = 20.0  # seconds; a condition that is not true by then never will be
CANARY_MODEL = "canary"
CANARY_MEDIAN_MS = 250  # what a loaded machine with sanitizers keeps; the gateway's own latency is measured by the benchmarks
REST_LIMIT = 5.0  # seconds until nothing is left: shorter than the gateway's own timeouts, which would tidy up what it forgot
CANARY_SLOWEST_MS = 5000  # an event loop that stood still
RESTING = re.compile(r"penstock_(inflight_requests|buffered_bytes|upstream_inflight\{.*|upstream_connections\{.*state=\"(active|connecting)\".*)$")
SANITIZER = re.compile(r"AddressSanitizer|LeakSanitizer|ThreadSanitizer|runtime error:|assertion .*failed|PENSTOCK_ASSERT", re.IGNORECASE)


def pause(seconds=0.004):
    """Between two looks at a condition."""
    select.select([], [], [], seconds)


def until(condition, what, limit=HANG):
    """Polls until condition() is truthy and returns its value."""
    end = time.monotonic() + limit
    wait = 0.002
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {limit} s: {what() if callable(what) else what}")
        pause(wait)
        wait = min(wait * 1.5, 0.05)


def settled(value):
    """value(), when two looks in a row say the same."""
    seen = [None]

    def look():
        now, before = value(), seen[0]
        seen[0] = now
        pause(0.1)
        return before is not None and now == before
    until(look, lambda: f"an end of the changes, now {seen[0]}")
    return seen[0]


def all_at_once(count, ask, limit=HANG):
    """What ask(0) ... ask(count - 1) return, each called on a thread of its own, all at the same moment. What one raises is raised."""
    barrier = threading.Barrier(count)

    def one(number):
        barrier.wait(limit)
        return ask(number)
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count), timeout=limit))


def unread_here(connection):
    """Bytes that have come to a connection and that we have not read."""
    return struct.unpack("i", fcntl.ioctl(connection.socket, termios.FIONREAD, b"\0" * 4))[0]


def unread_there(connection):
    """Bytes that we have sent and that the program at the other end, on this machine, has not read."""
    host, port = connection.socket.getsockname()
    ours = "%08X:%04X" % (struct.unpack("<I", socket.inet_aton(host))[0], port)
    queued = struct.unpack("i", fcntl.ioctl(connection.socket, termios.TIOCOUTQ, b"\0" * 4))[0]
    with open("/proc/net/tcp") as file:
        return queued + sum(int(fields[4].split(":")[1], 16) for fields in map(str.split, file) if fields[2] == ours)


class Program:
    """A child process whose output is read as it comes."""

    def __init__(self, *arguments, env=None, cwd=None, stdin=subprocess.DEVNULL, preexec=None):
        self.lines = {"stdout": [], "stderr": []}
        self.process = subprocess.Popen([str(a) for a in arguments], stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        env=env, cwd=cwd, preexec_fn=preexec)
        self.pid = self.process.pid
        self._readers = [threading.Thread(target=self._read, args=(name,), daemon=True) for name in self.lines]
        for reader in self._readers:
            reader.start()

    def _read(self, name):
        with getattr(self.process, name) as stream:
            for line in stream:
                self.lines[name].append(line.decode("utf-8", "replace").rstrip("\n"))

    def wait_line(self, stream, pattern):
        """The match of the first line of that stream that has the pattern."""
        def look():
            for line in list(self.lines[stream]):
                match = re.search(pattern, line)
                if match:
                    return match
            if not self.alive():
                raise AssertionError(f"the program ended ({self.process.returncode}): {self.lines}")
            return None
        return until(look, f"a line like {pattern} on {stream}")

    def alive(self):
        return self.process.poll() is None

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, limit=HANG):
        """The exit status."""
        code = self.process.wait(limit)
        for reader in self._readers:
            reader.join(limit)
        return code

    def end(self):
        """SIGTERM twice (a drain is cut short by the second), then by force; the exit status."""
        if not self.alive():
            return self.wait()
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        for _ in range(40):
            pause(0.05)
            if not self.alive():
                return self.wait()
            self.signal(signal.SIGTERM)
        self.process.kill()
        return self.wait()

    def cpu_seconds(self):
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss_bytes(self):
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")

    def open_files(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))


class Simulator(Program):
    """penstock-sim with an ordinary and a wire port."""

    def __init__(self, *arguments):
        super().__init__(BIN / "penstock-sim", "--listen", "127.0.0.1:0", "--wire-listen", "127.0.0.1:0", *arguments)
        found = self.wait_line("stdout", r"listening on (\S+) wire:(\S+)")
        self.address, self.wire = found.group(1), found.group(2)

    def ask(self, method, target):
        with h1_client.Connection(self.address) as connection:
            return connection.ask(method, target).json()

    def stats(self, model=None):
        """All counts, or those of one model."""
        stats = self.ask("GET", "/sim/stats")
        if model is None:
            return stats
        return stats["models"].get(model, {"received": 0, "completed": 0, "cancelled": 0})

    def last(self):
        return self.ask("GET", "/sim/last")

    def reset(self):
        self.ask("POST", "/sim/reset")

    def answer_all_with(self, program):
        import urllib.parse
        self.ask("POST", "/sim/set?program=" + urllib.parse.quote(program, safe=""))


class Gateway(Program):
    """penstock serve with more `arguments`; `config` is a dict, the addresses in it end in port 0."""

    def __init__(self, folder, config, env=None, preexec=None, arguments=()):
        self.folder = Path(folder)
        self.log_file = self.folder / "access.log"
        self.disk = config.get("cache", {}).get("disk", {}).get("path")
        config.setdefault("admin", {"address": "127.0.0.1:0"})
        config.setdefault("log", {}).setdefault("access", str(self.log_file))
        # What else runs in the group that the tests run in is none of theirs.
        config.setdefault("overload", {"memory": {"limit": "64GiB"}})
        config["server"].setdefault("workers", 1)
        config["server"].setdefault("pin_workers", False)
        config["server"].setdefault("drain", {"delay": "0s", "timeout": "5s"})
        self.config_file = self.folder / "penstock.yaml"
        self.config_file.write_text(json.dumps(config, indent=1))
        super().__init__(BIN / "penstock", "serve", "--config", self.config_file, *arguments, env=env, preexec=preexec)
        wanted = len(config["server"]["listeners"])
        self.addresses = until(lambda: self._bound(wanted), lambda: f"{wanted} listening lines in {self.lines['stderr']}")
        self.address = self.addresses[0]

    def _bound(self, wanted):
        if not self.alive():
            raise AssertionError("the gateway did not start: " + "\n".join(self.lines["stderr"]))
        found = []
        for line in list(self.lines["stderr"]):
            match = re.search(r'listening on (unix:[^\s"]+|[\d.]+:\d+|\[[0-9a-f:]+\]:\d+)', line)
            if match and "admin" not in line and match.group(1) not in found:
                found.append(match.group(1))
        return found[:wanted] if len(found) >= wanted else None

    @property
    def admin(self):
        """The admin address as bound, from the log line that names it; the log is asynchronous."""
        return until(self._admin, lambda: f"the admin address in {self.lines['stderr']}")

    def _admin(self):
        for line in list(self.lines["stderr"]):
            match = re.search(r'admin\b.*?([\d.]+:\d+)', line)
            if match:
                return match.group(1)
        return None

    def metrics(self):
        """Series -> value. What is read may be a tenth of a second old."""
        with h1_client.Connection(self.admin) as connection:
            text = connection.ask("GET", "/metrics").body.decode()
        return {series: float(value) for series, _, value in (line.rpartition(" ") for line in text.splitlines() if line[:1] != "#")}

    def not_at_rest(self, files_at_start):
        """What is not back where it was when the gateway had served nobody; {} when all is. Idle upstream connections are kept on
        purpose, so their descriptors are no leak."""
        metrics = self.metrics()
        resting = {series: value for series, value in metrics.items() if RESTING.match(series)}
        if len(resting) < 4:
            raise AssertionError(f"the gauges have other names now: {sorted(metrics)}")
        left = {series: value for series, value in resting.items() if value != 0}
        kept = sum(value for series, value in metrics.items() if series.startswith("penstock_upstream_connections{"))
        files = self.open_files()
        if files > files_at_start + kept:
            left["open files"] = f"{files}, {files_at_start} at the start, {kept:g} upstream connections"
        return left

    def open_files(self):
        """Without the database of the disk tier: its readers open it when they are first asked, and keep it."""
        count = 0
        for file in Path(f"/proc/{self.pid}/fd").iterdir():
            try:
                count += self.disk is None or not os.readlink(file).startswith(self.disk)
            except FileNotFoundError:  # closed meanwhile
                pass
        return count

    def access_lines(self):
        """Every whole line of the access log, parsed: a line that is no JSON fails the test."""
        if not self.log_file.exists():
            return []
        text = self.log_file.read_text(encoding="utf-8", errors="strict")
        return [json.loads(line) for line in text[:text.rfind("\n") + 1].splitlines()]

    def line_of(self, request_id):
        """The one access line of a request, awaited."""
        found = until(lambda: [line for line in self.access_lines() if line["request_id"] == request_id],
                      f"an access line of {request_id}")
        if len(found) != 1:
            raise AssertionError(f"{len(found)} access lines of {request_id}")
        return found[0]


class Canary(threading.Thread):
    """Ten small requests a second on a connection of its own, before, during and after every case."""

    def __init__(self, address):
        super().__init__(daemon=True)
        self.address, self.failures, self.answers, self.took_ms = address, [], 0, []
        self._stop_now = threading.Event()
        self.start()

    def run(self):
        body = json.dumps({"model": CANARY_MODEL, "messages": [{"role": "user", "content": "still there?"}]})
        connection = None
        while not self._stop_now.is_set():
            try:
                if connection is None:
                    connection = h1_client.Connection(self.address)
                asked_at = time.monotonic()
                answer = connection.ask("POST", "/v1/chat/completions", body, [("x-request-id", f"canary-{self.answers}")])
                self.took_ms.append((time.monotonic() - asked_at) * 1000)
                if answer.status != 200 or not answer.complete:
                    self.failures.append(f"status {answer.status}: {answer.body[:200]!r}")
                self.answers += 1
            except (OSError, AssertionError, h1_client.Malformed) as error:
                self.failures.append(repr(error))
                connection = None
            self._stop_now.wait(0.1)
        if connection is not None:
            connection.close()

    def end(self):
        self._stop_now.set()
        self.join(HANG)


class Backend(threading.Thread):
    """Listens and gives each connection to serve() of its subclass, on a thread of its own."""

    def __init__(self):
        super().__init__(daemon=True)
        self.count = 0
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.start()

    def run(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            connection.settimeout(HANG)
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        raise NotImplementedError

    def close(self):
        self.listener.close()


class World:
    """The programs of one test file. `make_config(world)` is called when the simulators are up; `arguments`: more of the gateway's."""

    def __init__(self, make_config, sims=("faulty", "good"), sim_arguments=None, arguments=()):
        self.temporary = tempfile.TemporaryDirectory(prefix="penstock-")
        self.folder = Path(self.temporary.name)
        self.programs, self.sims = [], {}
        try:
            for name in (*sims, "canary"):
                self.sims[name] = Simulator("--name", name, *(sim_arguments or {}).get(name, []))
                self.programs.append(self.sims[name])
            config = make_config(self)
            config["models"].append({"name": CANARY_MODEL, "upstream_name": "sim-bytes:500", "cluster": "canary"})
            config["clusters"].append(cluster("canary", [endpoint(self.sims["canary"].address, "h2")]))
            self.gateway = Gateway(self.folder, config, arguments=arguments)
            self.programs.append(self.gateway)
            self.files_at_start = self.gateway.open_files()
            self.canary = Canary(self.gateway.address)
            until(lambda: self.canary.answers > 0 or self.canary.failures, "a canary's answer")
        except BaseException:
            self.end()
            raise

    def end(self):
        if hasattr(self, "canary"):
            self.canary.end()
        codes = {program: program.end() for program in reversed(self.programs)}
        self.temporary.cleanup()
        return codes


def endpoint(address, protocol="http1", **more):
    return {"url": f"http://{address}", "protocol": protocol, "kind": "vllm", **more}


SLOW_HEALTH = {"interval": "60s", "timeout": "10s"}  # in no test's way


# A test means one failure, and the next one is not to hear of it.
FORGETFUL = {"consecutive_failures": 0, "failure_ratio": 0}


def cluster(name, endpoints, retry=None, **more):
    return {"name": name, "endpoints": endpoints, "health_check": SLOW_HEALTH, "circuit_breaker": FORGETFUL,
            "retry": {"budget": {"min": 1_000_000}, **(retry or {})}, **more}


class FaultCase(unittest.TestCase):
    """One gateway for all tests of the class; after each of them the oracle is asked."""

    maxDiff = None

    @classmethod
    def make_world(cls):
        """Its World; may add programs of its own to world.programs."""
        raise NotImplementedError

    @classmethod
    def setUpClass(cls):
        cls.world = cls.make_world()
        cls.gateway = cls.world.gateway
        cls.pid = cls.gateway.pid

    @classmethod
    def tearDownClass(cls):
        gateway, canary = cls.gateway, cls.world.canary
        found = ""
        if gateway.alive():
            found = cls._at_rest(canary)
        codes = cls.world.end()
        if found:
            raise AssertionError(found)
        if SANITIZER.search("\n".join(gateway.lines["stderr"])):
            raise AssertionError("the gateway's last words: " + "\n".join(gateway.lines["stderr"])[-6000:])
        if codes[gateway] != 0:
            raise AssertionError(f"the gateway ended with {codes[gateway]}: {gateway.lines['stderr'][-20:]}")

    @classmethod
    def _at_rest(cls, canary):
        """O2 and O3 at the end: the canary noticed nothing, also between the tests, and nothing is left. What is wrong, or ""."""
        answers = canary.answers
        try:
            until(lambda: canary.answers > answers or canary.failures, "O2: a canary's answer behind the last test")
            canary.end()
            until(lambda: not cls.gateway.not_at_rest(cls.world.files_at_start),
                  lambda: f"O3: left behind: {cls.gateway.not_at_rest(cls.world.files_at_start)}", REST_LIMIT)
        except AssertionError as error:
            return str(error)
        if canary.failures:
            return f"O2: the canary: {canary.failures[:5]}"
        took = sorted(canary.took_ms)
        if took[len(took) // 2] > CANARY_MEDIAN_MS or took[-1] > CANARY_SLOWEST_MS:
            return f"O2: the canary's answers took {took[len(took) // 2]:.0f} ms, the slowest {took[-1]:.0f} ms"
        return ""

    def setUp(self):
        self.asked, self._numbers = [], itertools.count()
        self._answers_before, self._failures_before = self.world.canary.answers, len(self.world.canary.failures)
        self.addCleanup(self._oracle)

    def request_id(self):
        """A fresh id whose access line the oracle will look for. On any thread."""
        name = re.sub(r"[^A-Za-z0-9._-]", "-", self._testMethodName)[:100]
        request_id = f"{name}-{next(self._numbers)}"
        self.asked.append(request_id)
        return request_id

    def _oracle(self):
        stderr = "\n".join(self.gateway.lines["stderr"])
        self.assertTrue(self.gateway.alive(), "O1: the gateway died: " + stderr[-6000:])
        self.assertIsNone(SANITIZER.search(stderr), "O1: " + stderr[-6000:])
        canary = self.world.canary
        until(lambda: canary.answers > self._answers_before or len(canary.failures) > self._failures_before, "O2: a canary's answer")
        self.assertEqual(canary.failures[self._failures_before:], [], "O2: the canary")
        for request_id in self.asked:
            line = self.gateway.line_of(request_id)  # O5
            self.assertTrue(line["term"], "O5: term")
        for name, sim in self.world.sims.items():
            if name != "canary" and sim.alive():
                until(lambda: sim.stats()["in_flight"] == 0, lambda: f"O3: {sim.stats()['in_flight']} requests left at the backend {name}")

    def term_of(self, index=-1):
        return self.gateway.line_of(self.asked[index])["term"]


def table(method, rows, name=lambda row: row[0]):
    """A class decorator: method(self, *row) for each row, as test_<name>."""
    def add(cls):
        for row in rows:
            label = "test_" + re.sub(r"\W+", "_", name(row)).strip("_")
            if label in cls.__dict__:
                raise ValueError(f"two rows are called {label}")
            def run(self, row=row):
                return getattr(self, method)(*row)
            run.__name__ = label
            run.__qualname__ = f"{cls.__qualname__}.{label}"
            setattr(cls, label, run)
        return cls
    return add


def known_failures(file):
    """Tests that a known bug fails: FILE TEST WHY per line. They are reported, and noted when they pass."""
    known = {}
    for line in (Path(__file__).parent / "known_failures.txt").read_text().splitlines():
        words = line.split(maxsplit=2)
        if len(words) >= 2 and not line.startswith("#") and words[0] == file:
            known[words[1]] = words[2] if len(words) > 2 else ""
    return known


def _expect_failure(function, why):
    def run(self):
        try:
            function(self)
        except unittest.SkipTest:
            raise
        except Exception as error:  # noqa: BLE001 - whatever the bug does
            self.skipTest(f"known failure ({why}): {str(error)[:300]}")
        print(f"PASSES NOW, take it off known_failures.txt: {self._testMethodName}", file=sys.stderr)
    return run


def number_option(name, otherwise):
    """The number behind `name` on the command line, which unittest is not to see; without it `otherwise`."""
    if name not in sys.argv:
        return otherwise
    at = sys.argv.index(name)
    number = type(otherwise)(sys.argv[at + 1])
    del sys.argv[at:at + 2]
    return number


def main():
    module = sys.modules["__main__"]
    file = Path(module.__file__).name
    known = known_failures(file)
    for cls in list(vars(module).values()):
        if isinstance(cls, type) and issubclass(cls, unittest.TestCase):
            for test in [t for t in known if hasattr(cls, t)]:
                setattr(cls, test, _expect_failure(getattr(cls, test), known[test]))
    unittest.main(verbosity=2 if "-v" in sys.argv else 1)
