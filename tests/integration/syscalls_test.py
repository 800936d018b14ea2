"""Each system call that the daemon uses fails, one at a time, in every way that its manual has and machines show (FAULTS P-07): requests
may fail, the process may not, and the next request is answered as if nothing had been. strace injects the errors into the running
daemon; short reads and writes, which it cannot make, come from a preloaded library and must be felt by nobody.
syscalls_test.py [--errors N]: so many errors of each call, 1 without it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading

import h1_client
import harness
from cache_test import CHAT, chat
from harness import cluster, endpoint, until
from tier_case import TierCase

ERRORS = 1
PATIENCE_S = 5.0  # a client's; nobody waits longer for an answer, whatever failed
REQUESTS = 24
MODELS = ("m", "h2", "long", "new", "new")
# Call -> its errors, the likeliest first. No EAGAIN from sockets: a kernel says it when nothing is there, and tells when that changes; one
# that lies leaves an edge-triggered loop asleep.
ON_SOCKETS = {
    "accept4": ["EMFILE", "ECONNABORTED", "ENFILE", "ENOMEM", "ENOBUFS", "EAGAIN", "EINTR", "EPROTO", "EPERM"],
    "recvfrom": ["ECONNRESET", "EINTR", "ENOMEM", "ETIMEDOUT", "EIO"],
    "sendto": ["EPIPE", "EINTR", "ENOBUFS", "ENOMEM", "ECONNRESET", "EIO"],
    "sendmsg": ["EPIPE", "EINTR", "ENOBUFS", "ENOMEM", "ECONNRESET"],
    "socket": ["EMFILE", "ENFILE", "ENOMEM", "ENOBUFS", "EACCES"],
    "connect": ["ECONNREFUSED", "EAGAIN", "EADDRNOTAVAIL", "ENETUNREACH", "EINTR", "ENOMEM", "ETIMEDOUT"],
    "setsockopt": ["EINVAL", "ENOMEM", "ENOPROTOOPT"],
    "getsockopt": ["ENOBUFS"],
    "epoll_ctl": ["ENOSPC", "ENOMEM"],
    "epoll_wait": ["EINTR"],
    "poll": ["EINTR", "ENOMEM"],
    "close": ["EIO", "EINTR"],  # stays undone where it is made to fail: what it left is no leak of ours; so it is the last
}
ON_FILES = {
    "read": ["EIO", "EAGAIN", "EINTR"],
    "write": ["ENOSPC", "EAGAIN", "EIO", "EINTR"],
    "openat": ["EMFILE", "ENFILE", "EACCES", "ENOMEM"],
    "newfstatat": ["EIO", "EACCES"],
    "getdents64": ["EIO"],
    "pread64": ["EIO", "EINTR"],
    "pwrite64": ["ENOSPC", "EIO", "EINTR", "EDQUOT"],
}


class Injection:
    """strace on every thread of a process, for as long as the block."""

    def __init__(self, process, call, error):
        self.process, self.call, self.error = process, call, error
        self.record = tempfile.NamedTemporaryFile("r", prefix="penstock-")

    def __enter__(self):
        inject = f"inject={self.call}:error={self.error}:when=1+2"
        self.strace = subprocess.Popen(["strace", "-f", "-q", "-o", self.record.name, "-e", f"trace={self.call}", "-e", inject, "-p", str(self.process)],
                                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        until(self._attached, "strace holds every thread")
        return self

    def _attached(self):
        if self.strace.poll() is not None:
            raise AssertionError(self.strace.stderr.read())
        folder = f"/proc/{self.process}/task"
        return all(self._tracer(f"{folder}/{task}/status") == self.strace.pid for task in os.listdir(folder))

    @staticmethod
    def _tracer(file):
        with open(file) as lines:
            return next(int(line.split()[1]) for line in lines if line.startswith("TracerPid:"))

    def __exit__(self, *_):
        self.strace.send_signal(signal.SIGINT)
        self.strace.communicate(timeout=harness.HANG)
        self.count = self.record.read().count("(INJECTED)")
        self.record.close()


def may_trace():
    """Why not, or ""."""
    if shutil.which("strace") is None:
        return "no strace: install the package of that name"
    tried = subprocess.Popen(["sleep", "20"])
    try:
        with Injection(tried.pid, "close", "EIO"):
            return ""
    except AssertionError as error:
        return f"strace may not: {error}"
    finally:
        tried.kill()
        tried.wait()


class Requests(TierCase):
    @property
    def clusters(self):
        return [cluster("two", [endpoint(self.sim.address, "h2")]), cluster("new", [endpoint(self.sim.address)], connections={"idle_timeout": "1ms"})]

    def begin(self, disk="one", **more):
        models = [{"name": "h2", "upstream_name": "sim:0:6:0", "cluster": "two"}, {"name": "long", "upstream_name": "sim:0:2000:0"},
                  {"name": "new", "upstream_name": "sim:0:6:0", "cluster": "new"}]
        gateway = self.gateway(disk=disk, models=models, clusters=self.clusters, **more)
        for answer in self.requests(gateway, 16):
            self.assertEqual(answer.status, 200)
        self.on_disk(gateway, 8)
        return gateway

    def requests(self, gateway, count):
        """The answers to requests of every kind one after the other, each on a connection of its own; None where there was none."""
        for number in range(count):
            prompt = f"{self.id()} {number // 4 % 3}" if number % 4 == 0 else self.fresh()
            try:
                with h1_client.Connection(gateway.address) as connection:
                    connection.socket.settimeout(PATIENCE_S)
                    yield connection.ask("POST", CHAT, chat(prompt, number % 2 == 0, MODELS[number % len(MODELS)]))
            except TimeoutError:
                yield "neither an answer nor an end"
            except (OSError, h1_client.Malformed):
                yield None


class Failing(Requests):
    why_not = None

    def setUp(self):
        super().setUp()
        if Failing.why_not is None:
            Failing.why_not = may_trace()
        if Failing.why_not:
            self.skipTest(Failing.why_not)

    def test_P_07_calls_on_sockets_fail(self):
        gateway, files = self.warm()
        for call, errors in ON_SOCKETS.items():
            for error in errors[:ERRORS]:
                with self.subTest(f"{call} {error}"):
                    self.fails(gateway, call, error, files)

    def test_P_07_calls_on_files_fail(self):
        for call, errors in ON_FILES.items():
            for error in errors[:ERRORS]:
                with self.subTest(f"{call} {error}"):
                    gateway, files = self.warm()  # anew: the disk tier rests for half a minute behind an error
                    self.fails(gateway, call, error, files)
                    self.end(gateway)

    def warm(self):
        """A gateway that has done everything once, and the files that it has open at rest."""
        gateway = self.begin()
        self.everything(gateway)
        return gateway, 6 + until(lambda: not gateway.not_at_rest(10_000) and gateway.open_files(), "at rest")

    def fails(self, gateway, call, error, files):
        with Injection(gateway.pid, call, error) as injection:
            answers = self.everything(gateway)
        print(f"{call} {error}: {injection.count} times, {sum(a is None for a in answers)} without an answer, "
              f"{sum(getattr(a, 'status', 200) != 200 for a in answers)} with an error", file=sys.stderr)
        if not gateway.alive():
            raise AssertionError(gateway.lines["stderr"][-5:])
        self.assertEqual([answer for answer in answers if answer and getattr(answer, "status", 0) not in (200, 500, 502, 503, 504)], [])
        self.assertEqual([answer and answer.status for answer in self.requests(gateway, 8)], [200] * 8, "the next requests")
        if call == "close":
            return
        until(lambda: not gateway.not_at_rest(files), lambda: f"left behind: {gateway.not_at_rest(files)}", 2 * harness.REST_LIMIT)

    def everything(self, gateway):
        """Clients beside each other, the admin pages, a reload, new logs."""
        answers = []
        threads = [threading.Thread(target=lambda: answers.extend(self.requests(gateway, REQUESTS // 3))) for _ in range(3)]
        for thread in threads:
            thread.start()
        gateway.signal(signal.SIGHUP)
        gateway.signal(signal.SIGUSR1)
        for page in ("/metrics", "/admin/cache", "/admin/backends"):
            try:
                with h1_client.Connection(gateway.admin) as connection:
                    connection.socket.settimeout(PATIENCE_S)
                    connection.ask("GET", page)
            except (OSError, h1_client.Malformed):
                pass
        for thread in threads:
            thread.join(harness.HANG)
        self.assertFalse(any(thread.is_alive() for thread in threads))
        return answers


class Short(Requests):
    def test_P_07_short_reads_and_writes_are_felt_by_nobody(self):
        environment = {**os.environ, "LD_PRELOAD": str(harness.BIN / "preload/short_io.so"),
                       "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"}
        plain, short = self.begin(), self.begin(disk="two", env=environment)
        for number in range(40):
            prompt, stream, model = f"told {number}", number % 2 == 0, MODELS[number % 5]
            texts = [text_of(self.ask(gateway, prompt, model, stream=stream)) for gateway in (plain, short)]
            self.assertEqual(texts[0], texts[1])
            self.assertTrue(texts[0])
        for line in short.access_lines():
            self.assertTrue(line["term"])
        with h1_client.Connection(short.admin) as connection:
            self.assertEqual(connection.ask("POST", "/admin/reload").status, 200)
        until(lambda: self.page(short)["disk"]["entries"] == self.page(short)["memory"]["entries"], "what is in its memory is on its disk")
        self.end(short)
        again = self.begin(disk="two", env=environment)
        self.assertEqual(self.ask(again, "told 0", "m", stream=True).cache, "hit-disk")


def text_of(answer):
    """What the model said, however it was told."""
    if answer.status != 200 or not answer.complete:
        raise AssertionError(answer)
    if answer.header("content-type").startswith("application/json"):
        return answer.json()["choices"][0]["message"]["content"]
    events = answer.events()
    if events[-1] != "[DONE]":
        raise AssertionError(answer)
    choices = [choice for event in events[:-1] for choice in json.loads(event)["choices"]]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


if __name__ == "__main__":
    ERRORS = harness.number_option("--errors", ERRORS)
    harness.main()
