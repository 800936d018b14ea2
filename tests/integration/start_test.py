"""The start of the real daemon: how soon it answers, what hinders it (P-13), Unix sockets, and what its metrics page bears (A-12)."""

import functools
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
import unittest

import harness
from control_test import DaemonTest, Load, Stream, chat, post, sanitized
from processes import ask, await_condition

FIRST_ANSWER_S = 0.1  # of a release build
FIRST_ANSWER_SANITIZED_S = 3.0
SERIES_MAX = 10_000  # lines of the metrics page
PULLED = 8  # what is asked for at a scrape comes on top: the process, the log, the series refused
PAGE_MAX_BYTES = 1 << 20


@functools.lru_cache
def may_unshare():
    """May this user have name spaces of its own?"""
    if not all(shutil.which(tool) for tool in ("unshare", "setpriv", "mount")):
        return False
    return subprocess.run(["unshare", "-rmn", "true"], capture_output=True).returncode == 0


class HinderedStart(DaemonTest):
    def fails(self, config, *parts, **more):
        """One clear line, exit code 1, within a second (more under a sanitizer), nothing left behind."""
        began = time.monotonic()
        gateway = self.launch(config, **more)
        self.assertEqual(gateway.wait(), 1, gateway.text())
        self.assertLess(time.monotonic() - began, 10 if sanitized() else 1)
        self.assertEqual(len(gateway.lines), 1, gateway.text())
        for part in parts:
            self.assertIn(part, gateway.text())

    def test_P_13_access_log_that_cannot_be_written(self):
        os.mkdir(self.path("folder"))
        os.mkfifo(self.path("fifo"))
        for path, why in [("/nowhere/access.log", "No such file"), (self.path("folder"), "Is a directory"), ("/proc/access.log", ""),
                          (self.path("fifo"), "a FIFO that nobody reads")]:
            with self.subTest(path):
                self.fails(self.config(access=path), f"access log {path}", why)

    def test_closed_standard_descriptors_are_not_reused(self):
        with open(self.path("penstock.yaml"), "w") as file:
            file.write(self.config(admin=f'"unix:{self.path("admin.sock")}"'))
        daemon = subprocess.Popen(["sh", "-c", 'exec "$0" serve --config "$1" <&- >&- 2>&-', harness.BIN / "penstock", self.path("penstock.yaml")])
        self.addCleanup(daemon.wait)
        self.addCleanup(daemon.kill)
        await_condition(lambda: os.path.exists(self.path("admin.sock")), "the admin socket")
        self.assertEqual([os.readlink(f"/proc/{daemon.pid}/fd/{fd}") for fd in range(3)], ["/dev/null"] * 3)

    def test_the_command_line(self):
        def run(*words):
            return subprocess.run([harness.BIN / "penstock", *words], capture_output=True, text=True)

        for words, told in [((), "A subcommand is required"), (("key",), "A subcommand is required"), (("start",), "start"), (("--foo",), "--foo"),
                            (("key", "make"), "make"), (("schema", "all"), "all")]:
            with self.subTest(words):
                answer = run(*words)
                self.assertEqual((answer.returncode, answer.stdout), (2, ""))
                self.assertIn(told, answer.stderr)
        with open("/dev/full", "w") as full:
            for words in (("schema",), ("version",), ("key", "new")):
                answer = subprocess.run([harness.BIN / "penstock", *words], stdout=full, stderr=subprocess.PIPE, text=True)
                self.assertEqual((answer.returncode, len(answer.stderr.splitlines())), (1, 1), words)

    def test_P_13_disk_full_is_no_hindrance(self):
        gateway = self.gateway(access="/dev/full")
        self.assertEqual(post(gateway.address).status, 200)
        await_condition(lambda: gateway.metric("penstock_log_dropped_total") == 1, "the line that was lost is counted")

    def read_only(self):
        """A command that makes the test's folder read-only for what it executes."""
        if not may_unshare():
            self.skipTest("no right to name spaces")
        script = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'
        return ["unshare", "-rm", "sh", "-c", script, self.folder]

    def test_P_13_read_only_file_system(self):
        under = self.read_only()
        self.fails(self.config(access=self.path("access.log")), self.path("access.log"), "Read-only file system", under=under)
        self.fails(self.config(listener=f'"unix:{self.path("s.sock")}"'), self.path("s.sock"), "Read-only file system", under=under)
        gateway = self.launch(self.config(), under=under).started()
        self.assertEqual(post(gateway.address).status, 200, "the rest needs nothing to write to")
        self.assertIn('"reloaded"', gateway.hang_up())

    def test_P_13_privileged_port(self):
        if not may_unshare() or not shutil.which("ip"):
            self.skipTest("no right to name spaces")
        drop = ["setpriv", "--bounding-set=-net_bind_service", "--inh-caps=-net_bind_service"]
        under = ["unshare", "-rn", "sh", "-c", 'ip link set lo up && exec "$0" "$@"', *drop]
        self.fails(self.config(listener='"127.0.0.1:81"'), "127.0.0.1:81: Permission denied", "CAP_NET_BIND_SERVICE", under=under)

    def test_P_13_certificate(self):
        good, other = self.certificate("good", "good"), self.certificate("other", "other")
        os.mkdir(self.path("folder"))
        files = {"empty": "", "garbage": "-----BEGIN CERTIFICATE-----\nnothing\n-----END CERTIFICATE-----\n"}
        for name, text in files.items():
            with open(self.path(name), "w") as file:
                file.write(text)
        for certificate, key, named in [
                (self.path("missing"), good[1], "missing"), (good[0], self.path("missing"), "missing"), (self.path("folder"), good[1], "folder"),
                (self.path("empty"), good[1], "empty"), (self.path("garbage"), good[1], "garbage"), (good[0], self.path("garbage"), "garbage"),
                (good[0], other[1], "other.key"), (good[0], good[0], "good.pem")]:
            with self.subTest(certificate=certificate, key=key):
                self.fails(self.config(tls=f'tls: {{certificate: "{certificate}", private_key: "{key}"}}'), named)

    def test_P_13_nothing_of_the_surroundings(self):
        with open("/dev/null", "r+b") as null:
            gateway = self.launch(self.config(), env={}, cwd="/", stdin=null).started()
        self.assertEqual(post(gateway.address).status, 200)


class FirstAnswer(DaemonTest):
    def test_soon(self):
        took = []
        for _ in range(3):
            began = time.monotonic()
            gateway = self.gateway(delay="0s")
            self.assertEqual(post(gateway.address).status, 200)
            took.append(time.monotonic() - began)
            gateway.kill()
        print(f"first answer of a model after {min(took) * 1000:.0f} ms", file=sys.stderr)
        self.assertLess(min(took), FIRST_ANSWER_SANITIZED_S if sanitized() else FIRST_ANSWER_S)


class UnixListener(DaemonTest):
    def setUp(self):
        super().setUp()
        self.socket_path = self.path("penstock.sock")

    def unix(self, **change):
        return self.config(listener=f'"unix:{self.socket_path}"', **change)

    def refused(self, *parts):
        gateway = self.launch(self.unix())
        self.assertEqual(gateway.wait(), 1, gateway.text())
        self.assertEqual(len(gateway.lines), 1, gateway.text())
        for part in (self.socket_path, *parts):
            self.assertIn(part, gateway.text())

    def test_P_13_what_crashed_left_its_socket(self):
        gateway = self.launch(self.unix()).started()
        self.assertEqual(post(gateway.address).status, 200)
        gateway.process.kill()
        gateway.wait()
        self.assertTrue(os.path.exists(self.socket_path), "left behind")
        gateway = self.launch(self.unix()).started()
        self.assertEqual(post(gateway.address).status, 200)

    def test_P_13_a_socket_in_use_is_left_alone(self):
        gateway = self.launch(self.unix()).started()
        self.refused("in use")
        self.assertEqual(post(gateway.address).status, 200)

    def test_P_13_a_full_queue_is_in_use(self):
        with socket.socket(socket.AF_UNIX) as busy:
            busy.bind(self.socket_path)
            busy.listen(0)
            waiting = [socket.socket(socket.AF_UNIX) for _ in range(3)]
            for each in waiting:
                each.setblocking(False)
                each.connect_ex(self.socket_path)
                self.addCleanup(each.close)
            self.refused("in use")
            self.assertTrue(os.path.exists(self.socket_path))

    def test_P_13_what_is_no_stream_socket_is_left_alone(self):
        with open(self.path("file"), "w") as file:
            file.write("precious")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
            other.bind(self.path("datagrams"))
            for name in ("file", "datagrams"):
                with self.subTest(name):
                    self.socket_path = self.path(name)
                    self.refused("in use")
                    self.assertTrue(os.path.exists(self.socket_path))
        with open(self.path("file")) as file:
            self.assertEqual(file.read(), "precious")

    def test_P_01_nothing_fails(self):
        gateway = self.launch(self.unix(delay="300ms", timeout="30s")).started()
        load = Load(gateway.address, until_refused=True)
        stream = Stream(gateway.address, "stream")
        await_condition(lambda: load.good > 20, "the load runs")
        gateway.signal(signal.SIGTERM)
        await_condition(lambda: ask(gateway.admin, "GET", "/readyz").status == 503, "not ready")
        gateway.line_with("accepting no more connections")
        self.assertIn("data: [DONE]", stream.rest())
        load.stopping = True
        self.assertEqual([error for error in load.stop() if not isinstance(error, FileNotFoundError)], [])
        self.assertEqual(gateway.wait(), 0)
        self.assertFalse(os.path.exists(self.socket_path))

    def test_P_01_a_successor_keeps_its_socket(self):
        """The next gateway takes the path while the old one still drains; the old one's end must not remove it."""
        old = self.launch(self.unix(delay="50ms", timeout="60s")).started()
        stream = Stream(old.address, "endless")
        old.signal(signal.SIGTERM)
        old.line_with("accepting no more connections")
        new = self.launch(self.unix()).started()
        self.assertEqual(post(new.address).status, 200)
        old.signal(signal.SIGTERM)
        self.assertEqual(old.wait(), 0)
        stream.connection.close()
        self.assertEqual(post(new.address).status, 200)


class MetricsPage(DaemonTest):
    def page(self, gateway):
        """The series of the page."""
        answer = ask(gateway.admin, "GET", "/metrics")
        self.assertEqual(answer.status, 200)
        self.assertLess(len(answer.body), PAGE_MAX_BYTES)
        lines = [line for line in answer.body.decode().splitlines() if not line.startswith("#")]
        self.assertLessEqual(len(lines), SERIES_MAX + PULLED)
        names = [line.rpartition(" ")[0] for line in lines]
        self.assertEqual(len(set(names)), len(names), "a series twice")
        return set(names)

    def test_A_12_more_models_than_series(self):
        """Each brings some fifty lines at the start: the page stops at the cap, what serves and counts goes on."""
        count = 400
        models = "".join(f'  - {{name: model-{i}, upstream_name: "sim:1:4:500", cluster: local}}\n' for i in range(count))
        gateway = self.launch(self.config().replace("clusters:\n", models + "clusters:\n")).started()
        self.assertGreater(gateway.metric("penstock_metrics_dropped_total"), 0)
        began = time.monotonic()
        names = self.page(gateway)
        took = time.monotonic() - began
        self.assertGreater(len(names), SERIES_MAX * 9 // 10)
        self.assertLess(took, 5 if sanitized() else 0.5)
        for i in (0, count - 1):
            self.assertEqual(post(gateway.address, f"model-{i}").status, 200)
        for name in ("penstock_inflight_requests", "penstock_buffered_bytes", "penstock_config_last_reload_ok", "process_open_fds"):
            self.assertIn(name, names)
        gateway.write(self.config())
        self.assertIn('"reloaded"', gateway.hang_up())
        await_condition(lambda: len(self.page(gateway)) < SERIES_MAX // 2, "the room is free again")

    def test_A_12_labels_that_clients_choose(self):
        gateway = self.gateway()
        chance = random.Random(12)

        def strange(count):
            for _ in range(count):
                word = "".join(chance.choice("abcdefghijkl/") for _ in range(12))
                ask(gateway.address, "POST", "/v1/chat/completions", chat(word), {"content-type": "application/json", "user-agent": word})
                ask(gateway.address, chance.choice(["GET", "PUT", "BREW"]), f"/{word}", headers={"x-request-id": word, "authorization": f"Bearer {word}"})
        strange(20)
        post(gateway.address)
        before = self.page(gateway)
        strange(150)
        post(gateway.address)
        await_condition(lambda: gateway.metric('penstock_requests_total{route="chat_completions",model="other",key="anonymous",status="404"}') == 170, "counted")
        self.assertEqual(self.page(gateway) - before, set())
        self.assertEqual(gateway.metric("penstock_metrics_dropped_total"), 0)


if __name__ == "__main__":
    unittest.main()
