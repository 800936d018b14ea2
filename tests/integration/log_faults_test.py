"""The access log's troubles under load (FAULTS P-10): a full disk, a reader that stands still or leaves, files that are moved away
or deleted. Nobody waits for it, what is lost is counted, and nothing is lost silently.
log_faults_test.py [--minutes N]: rotates under load for so long."""

import json
import os
import resource
import signal
import socket
import sys
import threading
import time
import unittest

from control_test import DaemonTest, Load, post
from processes import PATIENCE_S, ask, await_condition

MINUTES = 0.05
FILE_LIMIT = 64 * 1024  # bytes; "disk full" for a process
PIPELINED = 200
DROPPED = "penstock_log_dropped_total"
GOOD = b"HTTP/1.1 200"
SLOWEST_S = 2.0  # an answer while the log stands still; on a loaded machine with sanitizers


def blast(address, count):
    """Asks for the list of models `count` times on one connection; the number of 200s."""
    host, port = address.rsplit(":", 1)
    good = 0
    with socket.create_connection((host, int(port)), PATIENCE_S) as connection:
        request = b"GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n"
        rest = b""
        while good < count:
            some = min(PIPELINED, count - good)
            connection.sendall(request * some)
            wanted = good + some
            while good < wanted:
                data = connection.recv(1 << 18)
                if not data:
                    return good
                rest += data
                good += rest.count(GOOD)
                rest = rest[1 - len(GOOD):]
    return good


class LogFaults(DaemonTest):
    def setUp(self):
        super().setUp()
        self.log = self.path("access.log")

    def lines(self, *paths):
        """Whole lines, each of which is JSON."""
        found = []
        for path in paths or (self.log,):
            with open(path, encoding="utf-8") as file:
                found += [json.loads(line) for line in file.read().splitlines()]
        return found

    def dropped(self, gateway):
        return gateway.metric(DROPPED)

    def serves(self, gateway):
        began = time.monotonic()
        self.assertEqual(post(gateway.address).status, 200)
        self.assertLess(time.monotonic() - began, SLOWEST_S)

    def test_P_10_disk_full(self):
        """Through a link to /dev/full (ENOSPC); then it leads to a disk with room."""
        os.symlink("/dev/full", self.log)
        gateway = self.gateway(access=self.log)
        self.assertEqual(blast(gateway.address, 2000), 2000)
        self.serves(gateway)
        await_condition(lambda: self.dropped(gateway) == 2001, "every line that was lost is counted")
        os.unlink(self.log)
        gateway.signal(signal.SIGUSR1)
        gateway.line_with("logs reopened")
        self.assertEqual(blast(gateway.address, 100), 100)
        await_condition(lambda: len(self.lines()) == 100, "the lines in the new file")
        self.assertEqual(self.dropped(gateway), 2001)

    def test_P_10_disk_gets_full(self):
        """In the middle of a file, in the middle of a line: what is there are whole lines, and one cut at most."""
        gateway = self.launch(self.config(access=self.log), preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_LIMIT,) * 2)).started()
        count = 2000
        self.assertEqual(blast(gateway.address, count), count)
        await_condition(lambda: self.dropped(gateway), "lines were lost")
        self.serves(gateway)

        def whole():
            """Whole lines; what comes after the last one has no end."""
            with open(self.log, encoding="utf-8") as file:
                return [json.loads(line) for line in file.read().split("\n")[:-1]]
        await_condition(lambda: len(whole()) + self.dropped(gateway) == count + 1, "every line is there or counted")
        before = self.dropped(gateway)
        os.rename(self.log, self.path("access.1"))
        gateway.signal(signal.SIGUSR1)
        gateway.line_with("logs reopened")
        self.assertEqual(blast(gateway.address, 50), 50)
        await_condition(lambda: len(self.lines()) == 50, "the lines in the new file")
        self.assertEqual(self.dropped(gateway), before)

    def pipe(self):
        """A FIFO as the log, with a reader that does not read."""
        os.mkfifo(self.log)
        reader = os.open(self.log, os.O_RDONLY | os.O_NONBLOCK)
        return reader

    def test_P_10_blocked_pipe(self):
        reader = self.pipe()
        gateway = self.gateway(access=self.log, workers=1)
        sent, text, ended = 0, [], threading.Event()
        while not self.dropped(gateway):  # the ring is 8 MiB for all threads
            self.assertEqual(blast(gateway.address, 5000), 5000)
            sent += 5000
            self.assertLess(sent, 200_000, "nothing was dropped")
        self.serves(gateway)
        sent += 1

        def read():
            while not ended.is_set():
                try:
                    text.append(os.read(reader, 1 << 20))
                except BlockingIOError:
                    ended.wait(0.002)
        thread = threading.Thread(target=read)
        thread.start()
        try:
            await_condition(lambda: b"".join(text).count(b"\n") + self.dropped(gateway) == sent,
                            lambda: f"{b''.join(text).count(bytes([10]))} read, {self.dropped(gateway)} lost, {sent} sent")
            lost = self.dropped(gateway)
            self.assertEqual(blast(gateway.address, 100), 100)
            await_condition(lambda: b"".join(text).count(b"\n") + lost == sent + 100, "it goes on")
        finally:
            ended.set()
            thread.join()
        for line in b"".join(text).splitlines():
            json.loads(line)
        os.close(reader)
        self.assertEqual(self.dropped(gateway), lost)
        self.serves(gateway)
        await_condition(lambda: self.dropped(gateway) == lost + 1, "a reader that has gone is a loss too, and no end")

    def test_P_10_an_end_with_a_blocked_pipe(self):
        reader = self.pipe()
        gateway = self.gateway(access=self.log, workers=1, delay="0s")
        self.assertEqual(blast(gateway.address, 5000), 5000)
        began = time.monotonic()
        gateway.signal(signal.SIGTERM)
        self.assertEqual(gateway.wait(), 0)
        self.assertLess(time.monotonic() - began, 5)
        os.close(reader)

    def test_P_10_an_end_with_a_blocked_stderr(self):
        """Access lines and the daemon's own words go the same way."""
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        gateway = self.launch(self.config(access="stderr", workers=1, delay="0s"), lines_of="stdout", stderr=writer)
        os.close(writer)
        text = b""
        while b'"admin_address"' not in text:
            text += os.read(reader, 4096)
        address = next(json.loads(line)["address"] for line in text.splitlines() if b'"address"' in line)
        self.assertEqual(blast(address, 5000), 5000)
        began = time.monotonic()
        gateway.signal(signal.SIGTERM)
        self.assertEqual(gateway.wait(), 0)
        self.assertLess(time.monotonic() - began, 5)

    def test_P_10_deleted(self):
        gateway = self.gateway(access=self.log)
        self.assertEqual(blast(gateway.address, 10), 10)
        await_condition(lambda: len(self.lines()) == 10, "the lines")
        with open(self.log, encoding="utf-8") as nameless:
            os.unlink(self.log)
            self.assertEqual(blast(gateway.address, 10), 10)
            await_condition(lambda: nameless.seek(0) == 0 and nameless.read().count("\n") == 20, "the lines in the file without a name")
        gateway.signal(signal.SIGUSR1)
        gateway.line_with("logs reopened")
        self.assertEqual(blast(gateway.address, 10), 10)
        await_condition(lambda: len(self.lines()) == 10, "the lines of after that in a file of that name")
        self.assertEqual(self.dropped(gateway), 0)

    def test_P_10_its_folder_is_gone(self):
        os.mkdir(self.path("logs"))
        self.log = self.path("logs/access.log")
        gateway = self.gateway(access=self.log)
        os.rename(self.path("logs"), self.path("moved"))
        gateway.signal(signal.SIGUSR1)
        gateway.line_with("logs reopened")
        self.assertEqual(blast(gateway.address, 10), 10)
        await_condition(lambda: len(self.lines(self.path("moved/access.log"))) == 10, "the old file is kept as long as there is no new one")
        os.mkdir(self.path("logs"))
        gateway.signal(signal.SIGUSR1)
        await_condition(lambda: os.path.exists(self.log), "a new one")

    def test_P_10_rotated_under_load(self):
        """Every request has its line, in one file."""
        gateway = self.gateway(access=self.log)
        load, files, end = Load(gateway.address), 0, time.monotonic() + MINUTES * 60
        seen = {}
        while time.monotonic() < end or files < 10:
            good = load.good
            await_condition(lambda: load.good > good + 5, "the load goes on")
            files += 1
            os.rename(self.log, self.path("rotated"))
            gateway.signal(signal.SIGUSR1)
            await_condition(lambda: os.path.exists(self.log), "a new file")
            self.count(seen, self.path("rotated"))
        self.assertEqual(load.stop(), [])
        await_condition(lambda: gateway.metric("penstock_inflight_requests") == 0, "rest")

        def total():
            now = dict(seen)
            self.count(now, self.log, keep=True)
            return sum(now.values())
        await_condition(lambda: total() == self.asked(gateway) > 0, "as many lines as requests")
        self.assertEqual(self.dropped(gateway), 0)
        print(f"{total()} requests, {files} files", file=sys.stderr)

    def count(self, seen, path, keep=False):
        for line in self.lines(path):
            seen[line["route"]] = seen.get(line["route"], 0) + 1
        if not keep:
            os.unlink(path)

    def asked(self, gateway):
        text = ask(gateway.admin, "GET", "/metrics").body.decode()
        return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith("penstock_requests_total{"))


if __name__ == "__main__":
    if "--minutes" in sys.argv:
        at = sys.argv.index("--minutes")
        MINUTES = float(sys.argv[at + 1])
        del sys.argv[at:at + 2]
    unittest.main()
