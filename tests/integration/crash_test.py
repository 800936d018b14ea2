"""A crash of the daemon (FAULTS P-16): one line on stderr, the default action with its core behind it, nothing of what was in memory.
Sanitized builds report crashes themselves; there unit_app has the handler's own tests."""

import ctypes
import hashlib
import os
import re
import resource
import signal
import subprocess
import tempfile
import unittest
from pathlib import Path

import h1_client
import harness
from cache_test import CHAT, chat
from harness import Gateway, Simulator, cluster, endpoint, until

PROGRAM = (harness.BIN / "penstock").read_bytes()
SANITIZED = b"__asan_init" in PROGRAM or b"__tsan_init" in PROGRAM
KEY, UPSTREAM_KEY, PROMPT = "sk-the-key-of-a-client", "sk-the-key-of-a-backend", "the prompt of a client"
LINE = re.compile(r"penstock: (SIG\w+) sent by process \d+ in thread ([\w-]+); \S+ \(commit \w+\), build id ([0-9a-f]{16,}); "
                  r"stack:(?: [\w.+-]+\+0x[0-9a-f]+| 0x[0-9a-f]+)+")
CORE = (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2
libc = ctypes.CDLL(None, use_errno=True)


def name_of(process, task):
    return Path(f"/proc/{process}/task/{task}/comm").read_text().strip()


@unittest.skipIf(SANITIZED, "a sanitizer has handlers of its own")
class Crash(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="penstock-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.sim = Simulator("--name", "sim")
        self.addCleanup(self.sim.end)

    def gateway(self):
        config = {"server": {"listeners": [{"address": "127.0.0.1:0"}]}, "auth": {"keys": [{"name": "a", "key_sha256": hashlib.sha256(KEY.encode()).hexdigest()}]},
                  "models": [{"name": "m", "upstream_name": "sim:0:100000:20000", "cluster": "c"}],
                  "clusters": [cluster("c", [endpoint(self.sim.address, api_key=UPSTREAM_KEY)])]}
        gateway = Gateway(self.folder, config, preexec=lambda: (os.chdir(self.folder), resource.setrlimit(resource.RLIMIT_CORE, CORE)))
        self.addCleanup(gateway.end)
        until(lambda: gateway.admin, "the admin port's line")
        return gateway

    def crashed(self, number, thread):
        """Sends the signal to one thread while a request is served; stderr's lines behind it and the wait status."""
        gateway = self.gateway()
        connection = h1_client.Connection(gateway.address)
        self.addCleanup(connection.close)
        connection.send(connection.request_bytes("POST", CHAT, chat(PROMPT, True), [("authorization", f"Bearer {KEY}")]))
        self.assertEqual(connection.read_head().status, 200)
        task = next(task for task in os.listdir(f"/proc/{gateway.pid}/task") if name_of(gateway.pid, task) == thread)
        before = len(gateway.lines["stderr"])
        libc.tgkill(gateway.pid, int(task), number)
        status = os.waitpid(gateway.pid, 0)[1]
        gateway.process.returncode = -os.WTERMSIG(status)
        gateway.wait()
        while connection.receive():
            pass
        return gateway.lines["stderr"][before:], status

    def test_P_16_one_line_and_the_core(self):
        for number, thread in ((signal.SIGSEGV, "worker-0"), (signal.SIGBUS, "control"), (signal.SIGFPE, "worker-0"), (signal.SIGILL, "penstock"),
                               (signal.SIGABRT, "worker-0")):
            with self.subTest(number.name):
                lines, status = self.crashed(number, thread)
                self.assertEqual(os.WTERMSIG(status), number)
                self.assertTrue(os.WCOREDUMP(status) or CORE[1] == 0, "with a core")
                found = LINE.fullmatch(lines[-1])
                self.assertEqual((len(lines), found and found.groups()[:2]), (1, (number.name, thread)), lines)
                self.assertEqual([secret for secret in (KEY, UPSTREAM_KEY, PROMPT) if secret in lines[-1]], [])

    def test_P_16_the_stack_names_functions(self):
        lines, _ = self.crashed(signal.SIGSEGV, "worker-0")
        offsets = re.findall(r" penstock\+(0x[0-9a-f]+)", lines[-1])
        program = str(harness.BIN / "penstock")
        named = subprocess.run(["addr2line", "-Cfie", program, *offsets], capture_output=True, text=True).stdout
        self.assertIn("WorkerThread", named, lines)
        notes = subprocess.run(["readelf", "-n", program], capture_output=True, text=True).stdout
        self.assertIn(LINE.fullmatch(lines[-1]).group(3), notes)


if __name__ == "__main__":
    harness.main()
