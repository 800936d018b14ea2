"""Overload (FAULTS P-08, P-11, P-12): what the gateway gives up when memory, CPU, descriptors or its loops run short, in which order,
and that all of it comes back. Pressure is made by a reload: a limit of so much more than is used just now, so that every level is
exact and nothing has to be filled; one test fills for real. No canary here: to be refused is what is tested.
overload_test.py [--seconds N]: the process is stopped or starved for so long, 3 without it."""

import ctypes
import json
import os
import resource
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

# What a sanitizer keeps of freed memory is resident: here it must go back at once.
os.environ["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=1:allocator_release_to_os_interval_ms=50"

import h1_client
import h2_client
import harness
from cache_test import CHAT, chat
from harness import Gateway, Simulator, cluster, endpoint, until

SECONDS = 3.0
CALM = {"memory": {"limit": "64GiB"}, "cpu": {"warning": 0}, "loop_lag": {"warning": "0", "critical": "0"}, "fds": {"warning": 0, "critical": 0}}
LEVELS = {"warning": 0.84, "critical": 0.92, "extreme": 0.97}  # within the defaults, with room for what the process grows meanwhile
MIB = 1 << 20
STREAM_INFER = "/inference.GRPCInferenceService/ModelStreamInfer"
HALF_A_MESSAGE = struct.pack(">BI", 0, MIB) + bytes(60_000)  # what it announces never comes
ASKS_NOTHING = struct.pack(">BI", 0, 3) + b"\x0a\x01m"  # it names a model, and is refused for that
WALL = 0x40000000  # __WALL: of waitpid, for threads
# Its shadows of the memory are resident too, and not the gateway's to give back.
not_under_tsan = unittest.skipIf(b"__tsan_init" in (harness.BIN / "penstock").read_bytes(), "TSan's own memory would be measured")


class OverloadCase(unittest.TestCase):
    maxDiff = None
    overload = CALM
    more = {}

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="penstock-")
        self.addCleanup(folder.cleanup)
        self.sim = Simulator("--name", "sim")
        self.addCleanup(self.sim.end)
        self.config = {"server": {"listeners": [{"address": "127.0.0.1:0"}], "workers": 1, **self.more.get("server", {})},
                       "cache": {"memory": {"size": "16MiB", "shards": 1}},
                       "models": [{"name": "m", "upstream_name": "sim:0:4:0", "cluster": "c"},
                                  {"name": "slow", "upstream_name": "sim:0:100000:20000", "cluster": "c"},
                                  {"name": "steady", "upstream_name": "sim:0:100000:200000", "cluster": "c"},
                                  {"name": "soon", "upstream_name": "sim:300:4:0", "cluster": "c"},
                                  {"name": "large", "upstream_name": "sim-bytes:900000", "cluster": "c"},
                                  {"name": "late", "upstream_name": "sim:60000:4:0", "cluster": "c"}],
                       "clusters": [cluster("c", [endpoint(self.sim.address, max_concurrency=10000)], **self.more.get("cluster", {}))],
                       "overload": self.overload}
        self.gateway = Gateway(folder.name, self.config)
        self.addCleanup(self.end)
        self.reloads = 0

    def end(self):
        code = self.gateway.end()
        stderr = "\n".join(self.gateway.lines["stderr"])
        self.assertIsNone(harness.SANITIZER.search(stderr), stderr[-6000:])
        self.assertEqual(code, self.exit_code, stderr[-3000:])

    exit_code = 0

    def reload(self, overload):
        config = json.loads(self.gateway.config_file.read_text())
        config["overload"] = overload
        self.gateway.config_file.write_text(json.dumps(config))
        self.gateway.signal(signal.SIGHUP)
        self.reloads += 1
        until(lambda: sum('"reloaded"' in line for line in self.gateway.lines["stderr"]) == self.reloads,
              lambda: self.gateway.lines["stderr"][-5:])

    def press(self, level):
        """The process uses that much of its memory, now."""
        self.reload({**CALM, "memory": {"limit": f"{int(self.gateway.rss_bytes() / LEVELS[level])}B"}})
        number = list(LEVELS).index(level) + 1
        until(lambda: self.metric('level{resource="memory"}') == number, lambda: f"level {number}: {self.overload_metrics()}")

    def relieve(self):
        self.reload(CALM)
        until(lambda: not self.active(), lambda: f"calm again: {self.overload_metrics()}")

    def overload_metrics(self):
        return {name: value for name, value in self.gateway.metrics().items() if "overload" in name or "loop_lag" in name}

    def metric(self, name):
        return self.gateway.metrics().get("penstock_overload_" + name, 0)

    def active(self):
        metrics = self.gateway.metrics()
        return {name.split('"')[1] for name, value in metrics.items() if name.startswith("penstock_overload_action_active{") and value}

    def connect(self):
        connection = h1_client.Connection(self.gateway.address)
        self.addCleanup(connection.close)
        return connection

    def ask(self, priority=None, connection=None, prompt=None, model="m", **fields):
        headers = [("content-type", "application/json")] + ([("x-penstock-priority", priority)] if priority else [])
        return (connection or self.connect()).ask("POST", CHAT, chat(prompt or f"{self.id()} {time.monotonic_ns()}", model=model, **fields), headers)

    def stream(self, model="slow"):
        connection = self.connect()
        connection.send(connection.request_bytes("POST", CHAT, chat(f"{self.id()} {time.monotonic_ns()}", True, model)))
        self.assertEqual(connection.read_head().status, 200)
        return connection

    def cache_page(self):
        with h1_client.Connection(self.gateway.admin) as connection:
            return json.loads(connection.ask("GET", "/admin/cache").body)["memory"]

    def assert_shed(self, answer):
        self.assertEqual((answer.status, answer.error()["type"], answer.error()["code"]), (503, "service_unavailable", "overloaded"))
        self.assertIn(int(answer.header("retry-after")), (1, 2, 3, 4))
        self.assertTrue(1000 <= int(answer.header("retry-after-ms")) <= 4000)

    def log_lines(self, text):
        return [json.loads(line) for line in self.gateway.lines["stderr"] if text in line]


@not_under_tsan
class Memory(OverloadCase):
    def test_P_08_at_80_percent_caches_shrink_and_connections_close(self):
        self.ask(prompt="kept")
        self.assertEqual(self.cache_page()["allowed"], 16 * MIB)
        self.press("warning")
        self.assertEqual(self.active(), {"shrink_caches", "disable_keepalive", "shed_batch"})
        self.assertEqual(self.cache_page()["allowed"], 8 * MIB)
        self.assert_shed(self.ask("batch"))
        connection = self.connect()
        answer = self.ask("interactive", connection)
        self.assertEqual((answer.status, answer.header("connection")), (200, "close"))
        self.assertTrue(connection.at_end())
        self.assertEqual([self.ask(priority).status for priority in (None, "default", "nonsense")], [200] * 3)
        until(lambda: self.metric('shed_total{priority="batch"}') == 1, "the count")
        line = until(lambda: [line for line in self.gateway.access_lines() if line["status"] == 503], "the access line")[0]
        self.assertEqual(line["term"], "OM")
        begun = lambda: {line["action"] for line in self.log_lines('"overload action begins"')}  # the log is written behind
        until(lambda: begun() == self.active(), "a line for each action that begins")
        self.relieve()
        until(lambda: len(self.log_lines('"overload action ends"')) == 3, "a line for each action that ends")
        connection = self.connect()
        self.assertEqual([self.ask("batch", connection).status for _ in range(2)], [200, 200])
        until(lambda: self.cache_page()["allowed"] > 8 * MIB, "the cache may grow again")
        self.assertEqual(self.metric('actions_total{action="shrink_caches"}'), 1)

    def test_P_08_at_90_percent_new_requests_are_refused(self):
        kept = self.connect()
        self.assertEqual(self.ask(connection=kept, prompt="kept").status, 200)
        stream = self.stream()
        half = self.connect()
        body = chat("x" * 1000)
        half.send(half.request_bytes("POST", CHAT, body)[:-500])
        until(lambda: self.gateway.metrics()["penstock_inflight_requests"] == 2, "both are under way")
        self.press("critical")
        self.assertIn("shed_requests", self.active())
        self.assertNotIn("reset_streams", self.active())
        self.assertEqual(self.cache_page()["allowed"], 2 * MIB)
        for priority in ("interactive", None, "batch"):
            self.assert_shed(self.ask(priority))
        self.assert_shed(self.ask(connection=kept, prompt="kept"))
        half.send(body[-500:])
        self.assert_shed(half.read_response())
        with self.connect() as connection:
            self.assertEqual(connection.ask("GET", "/health").status, 200, "not in the way of load balancers")
        with self.connect() as connection:
            self.assertEqual(connection.ask("GET", "/v1/models").status, 200)
        before = len(stream.buffer)
        until(lambda: stream.receive() and len(stream.buffer) > before + 1000, "what runs goes on")
        self.relieve()
        self.assertEqual(self.ask().status, 200)

    def test_P_08_at_95_percent_the_largest_end(self):
        stream = self.stream()
        large = self.connect()
        large.send(large.request_bytes("POST", CHAT, chat("x" * 200_000, model="late")))
        until(lambda: self.sim.stats()["in_flight"] == 2, "both are there")
        self.press("extreme")
        self.assertIn("stop_accepting", self.active())
        answer = large.read_response()
        self.assert_shed(answer)
        rest = until(lambda: None if stream.receive() else stream.buffer, "the stream's end")
        self.assertIn(b'"code":"stream_interrupted"', rest[-600:])
        self.assertNotIn(b"[DONE]", rest)
        until(lambda: self.metric("reset_total") == 2, "both are counted")
        until(lambda: self.sim.stats()["in_flight"] == 0, "the backend is left alone")
        lines = until(lambda: lines if len(lines := self.gateway.access_lines()) == 2 else None, "access lines")
        self.assertEqual([(line["term"], line["bytes_in"] > 100_000) for line in lines], [("OM", True), ("OM", False)], "the largest first")
        waiting = self.connect()
        waiting.send(waiting.request_bytes("GET", "/health"))
        waiting.socket.settimeout(0.3)
        self.assertRaises(TimeoutError, waiting.receive)
        waiting.socket.settimeout(h1_client.LIMIT)
        self.relieve()
        self.assertEqual(waiting.read_response().status, 200, "it was only not accepted")

    def half_a_call(self, method, whole=b"", half=HALF_A_MESSAGE):
        """A gRPC call that has sent a `whole` message, which is answered, and another in part: connection, stream."""
        connection = h2_client.Connection(self.gateway.address)
        self.addCleanup(connection.close)
        stream = connection.request(whole + half, [("content-type", "application/grpc")], path=method, end=False)
        while whole and not connection.stream(stream).body:
            self.assertTrue(connection.step())
        connection.send(h2_client.frame(h2_client.PING, 0, 0, b"have it?"))
        while (h2_client.PING, h2_client.ACK, 0, 8) not in connection.frames:
            self.assertTrue(connection.step())
        return connection, stream

    def half_calls(self):
        return [self.half_a_call("/penstock.v1.Inference/ChatStream"), self.half_a_call(STREAM_INFER), self.half_a_call(STREAM_INFER, ASKS_NOTHING)]

    def assert_call_shed(self, connection, stream):
        answer = connection.finish(stream)
        trailers = dict(answer.trailers or answer.headers)
        self.assertEqual((answer.status, trailers.get("grpc-status")), (200, "14"), answer)
        self.assertIn("grpc-status-details-bin", trailers)  # when to come again

    def test_P_08_a_gRPC_message_that_is_still_coming_is_refused_as_a_body_is(self):
        calls = self.half_calls()
        self.press("critical")
        for connection, stream in calls:
            self.assertFalse(connection.stream(stream).over)
            connection.send(h2_client.frame(h2_client.DATA, 0, stream, bytes(100)))
            self.assert_call_shed(connection, stream)
        lines = until(lambda: lines if len(lines := self.gateway.access_lines()) == 4 else None, "access lines")
        self.assertEqual([(line["status"], line["term"]) for line in lines if line["status"] != 400], [(503, "OM")] * 3)

    def test_P_08_a_stream_of_requests_goes_on_where_a_message_is_whole(self):
        (whole, stream), (half, other) = (self.half_a_call(STREAM_INFER, ASKS_NOTHING, b"") for _ in range(2))
        self.press("critical")
        half.send(h2_client.frame(h2_client.DATA, 0, other, HALF_A_MESSAGE[:1000]))
        self.assert_call_shed(half, other)
        whole.send(h2_client.frame(h2_client.DATA, 0, stream, ASKS_NOTHING))
        until(lambda: whole.step() and b"overloaded" in whole.stream(stream).body, "the refusal as a message")
        self.relieve()
        before = len(whole.stream(stream).body)
        whole.send(h2_client.frame(h2_client.DATA, h2_client.END_STREAM, stream, ASKS_NOTHING))
        answer = whole.finish(stream)
        self.assertEqual((dict(answer.trailers).get("grpc-status"), b"overloaded" in answer.body[before:]), ("0", False), answer)

    def test_P_08_and_counts_among_the_largest(self):
        stream = self.stream()
        calls = self.half_calls()
        self.press("extreme")
        for call in calls:
            self.assert_call_shed(*call)
        until(lambda: None if stream.receive() else True, "the stream's end")
        until(lambda: self.metric("reset_total") == 4, "all are counted")
        lines = until(lambda: lines if len(lines := self.gateway.access_lines()) == 5 else None, "access lines")
        self.assertEqual([line["protocol"] for line in lines if line["term"] == "OM"], ["grpc"] * 3 + ["http1"], "the largest first")

    def test_P_08_an_answer_that_is_all_here_does_not_wait_for_its_reader(self):
        """As long as memory is short: it is larger than the kernel takes, and the client does not read."""
        reader = h1_client.Connection(self.gateway.address, receive_buffer=4096, segment=536)
        self.addCleanup(reader.close)
        reader.send(reader.request_bytes("POST", CHAT, chat(self.id(), model="large")))
        until(lambda: self.sim.stats()["completed"] == 1, "the backend has given all of it")
        self.assertEqual(reader.read_head().status, 200)
        self.press("extreme")
        until(lambda: self.metric("reset_total") == 1, "it is ended")
        lines = until(lambda: self.gateway.access_lines(), "an access line")
        self.assertEqual([(line["status"], line["term"]) for line in lines], [(200, "OM")])
        answer = until(lambda: None if reader.receive() else reader.buffer, "the end of the connection")
        self.assertLess(len(answer), 900_000, "cut")
        self.relieve()

    def test_P_08_nor_one_over_HTTP2_whose_neighbours_go_on(self):
        with h2_client.Connection(self.gateway.address, windows=False) as connection:
            stream = connection.request(chat(self.id(), model="large"))
            until(lambda: self.sim.stats()["completed"] == 1, "the backend has given all of it")
            self.press("extreme")
            connection.finish(stream)
            self.assertEqual((connection.stream(stream).status, connection.stream(stream).reset), (200, h2_client.INTERNAL_ERROR))
            lines = until(lambda: self.gateway.access_lines(), "an access line")
            self.assertEqual([(line["status"], line["term"]) for line in lines], [(200, "OM")])
            self.relieve()
            connection.send(h2_client.frame(h2_client.WINDOW_UPDATE, 0, 0, struct.pack(">I", 1 << 20)))
            connection.finish(other := connection.request(chat("another")))
            self.assertEqual(connection.stream(other).status, 200)

    def test_P_08_nothing_of_it_where_it_is_off(self):
        self.reload({**CALM, "enabled": False, "memory": {"limit": f"{int(self.gateway.rss_bytes() / 2)}B"}})
        until(lambda: self.metric('pressure_ratio{resource="memory"}') > 1.5, "the pressure")
        self.assertEqual((self.active(), self.ask("batch").status), (set(), 200))


@not_under_tsan
class Growth(OverloadCase):
    """More and more, for real: bodies of three megabytes that wait for a silent backend."""

    def test_P_08_the_limit_holds_while_load_grows(self):
        limit = max(256 * MIB, self.gateway.rss_bytes() + 128 * MIB)
        self.reload({**CALM, "memory": {"limit": f"{limit}B"}})
        statuses, peak, over = [], [0], threading.Event()  # None: gave up

        def watch():
            while not over.wait(0.01):
                peak[0] = max(peak[0], self.gateway.rss_bytes())

        def load():
            while not over.is_set():
                try:
                    with h1_client.Connection(self.gateway.address) as connection:
                        connection.socket.settimeout(5)
                        body = chat("y" * 3 * MIB, model="late", temperature=None)
                        statuses.append(connection.ask("POST", CHAT, body, [("content-type", "application/json")]).status)
                except (OSError, h1_client.Malformed):
                    statuses.append(None)
                harness.pause(0.02)
        threads = [threading.Thread(target=watch)] + [threading.Thread(target=load) for _ in range(150)]
        for thread in threads:
            thread.start()
        try:
            until(lambda: statuses.count(503) > 300, lambda: f"{statuses.count(503)} of {len(statuses)}, {self.overload_metrics()}", 40)
        finally:
            over.set()
            for thread in threads:
                thread.join(harness.HANG)
        self.assertLess(peak[0], limit, self.overload_metrics())
        self.assertGreater(peak[0], 0.8 * limit, "it was pressed at all")
        until(lambda: not self.active(), lambda: f"what was freed goes back by itself: {self.overload_metrics()}")
        self.assertEqual(self.ask().status, 200)


class Others(OverloadCase):
    def test_descriptors(self):
        resource.prlimit(self.gateway.pid, resource.RLIMIT_NOFILE, (20000, 20000))
        self.reload({**CALM, "fds": {"warning": 0.0002, "critical": 0}})
        until(lambda: self.active() == {"disable_keepalive"}, self.overload_metrics)
        answer = self.ask()
        self.assertEqual((answer.status, answer.header("connection")), (200, "close"))
        self.reload({**CALM, "fds": {"warning": 0, "critical": 0.0002}})
        until(lambda: self.active() == {"disable_keepalive", "stop_accepting"}, self.overload_metrics)
        self.relieve()

    def test_cpu_refuses_batch_and_ends_nothing(self):
        stream = self.stream()
        self.reload({**CALM, "cpu": {"warning": 0.0001, "critical": 0.0002}})
        until(lambda: self.active() == {"shed_batch", "shed_requests"}, self.overload_metrics)
        self.assert_shed(self.ask())
        before = len(stream.buffer)
        until(lambda: stream.receive() and len(stream.buffer) > before + 1000, "what runs goes on")
        self.assertEqual(self.metric("reset_total"), 0)
        self.relieve()

    def test_loop_lag(self):
        self.reload({**CALM, "loop_lag": {"warning": "1us", "critical": "0"}})
        until(lambda: self.active() == {"shed_batch"}, self.overload_metrics)
        self.assert_shed(self.ask("batch"))
        self.assertEqual(self.ask().status, 200)
        self.assertGreater(self.gateway.metrics()["penstock_loop_lag_seconds"], 0)
        self.relieve()


class Standstill(OverloadCase):
    overload = {"memory": {"limit": "64GiB"}}  # else the defaults
    more = {"cluster": {"connections": {"max": 1000}, "health_check": {"interval": "200ms", "timeout": "100ms", "unhealthy_after": 1},
                        "circuit_breaker": {"consecutive_failures": 1, "max_ejected": 1},
                        "timeouts": {"headers": "5s", "first_token": "5s", "idle": "5s", "total": "60s"}}}

    def test_P_11_a_stop_of_the_whole_process_is_held_against_nobody(self):
        self.ask()
        streams = [self.stream("steady") for _ in range(400)]  # more than one turn of a loop takes
        waiting = [self.connect() for _ in range(20)]
        for connection in waiting:
            connection.send(connection.request_bytes("POST", CHAT, chat(f"{self.id()} {time.monotonic_ns()}", model="soon")))
        self.gateway.signal(signal.SIGSTOP)
        time.sleep(SECONDS + 3)  # longer than any of the timeouts
        self.gateway.signal(signal.SIGCONT)
        for connection in streams:
            before = len(connection.buffer)
            until(lambda: connection.receive() and len(connection.buffer) > before + 2000, lambda: f"more of the stream: {connection.buffer[-500:]}")
            self.assertNotIn(b'"error"', connection.buffer[-700:])
        self.assertEqual({connection.read_response().status for connection in waiting}, {200})
        self.assertEqual({self.ask().status for _ in range(5)}, {200})
        metrics = self.gateway.metrics()
        self.assertEqual([value for name, value in metrics.items() if name.startswith("penstock_endpoint_healthy")], [1])
        self.assertEqual([value for name, value in metrics.items() if name.startswith("penstock_breaker_state")], [0])
        self.assertEqual((metrics["penstock_worker_stalls_total"], self.active()), (0, set()))
        self.assertEqual(self.log_lines("unhealthy") + self.log_lines("breaker opened") + self.log_lines("stands still"), [])


class Starved(OverloadCase):
    overload = {"memory": {"limit": "64GiB"}}
    more = {"cluster": {"health_check": {"interval": "1s", "timeout": "1s", "unhealthy_after": 1},
                        "circuit_breaker": {"consecutive_failures": 1, "max_ejected": 1},
                        "timeouts": {"headers": "2s", "first_token": "2s", "idle": "2s", "total": "60s"}}}

    def test_P_11_beside_busy_neighbours_on_one_core_nobody_is_given_up(self):
        core = {min(os.sched_getaffinity(0))}
        for task in os.listdir(f"/proc/{self.gateway.pid}/task"):
            os.sched_setaffinity(int(task), core)
        hogs = [subprocess.Popen([sys.executable, "-c", "while True: pass"], preexec_fn=lambda: os.sched_setaffinity(0, core)) for _ in range(4)]
        try:
            streams = [self.stream("steady") for _ in range(20)]
            end = time.monotonic() + SECONDS
            while time.monotonic() < end:
                self.assertEqual(self.ask().status, 200)
        finally:
            for hog in hogs:
                hog.kill()
                hog.wait()
        for connection in streams:
            before = len(connection.buffer)
            until(lambda: connection.receive() and len(connection.buffer) > before + 500, "more of the stream")
        metrics = self.gateway.metrics()
        self.assertEqual([value for name, value in metrics.items() if name.startswith("penstock_endpoint_healthy")], [1])
        self.assertEqual([value for name, value in metrics.items() if name.startswith("penstock_breaker_state")], [0])
        self.assertEqual(metrics["penstock_worker_stalls_total"], 0)
        self.assertEqual(self.log_lines("unhealthy") + self.log_lines("breaker opened") + self.log_lines("stands still"), [])


class StallCase(OverloadCase):
    """One thread is held by ptrace, as nothing else stops one thread alone."""

    def hold(self, name):
        until(lambda: self.gateway.metrics()["penstock_loop_lag_seconds"] > 0, "a first letter has come back")
        libc = ctypes.CDLL(None, use_errno=True)
        thread = next(int(task) for task in os.listdir(f"/proc/{self.gateway.pid}/task")
                      if Path(f"/proc/{self.gateway.pid}/task/{task}/comm").read_text().strip() == name)
        seize, interrupt, detach = 0x4206, 0x4207, 17
        if libc.ptrace(seize, thread, None, None) != 0:
            self.skipTest("no right to ptrace: " + os.strerror(ctypes.get_errno()))
        self.assertEqual(libc.ptrace(interrupt, thread, None, None), 0)
        os.waitpid(thread, WALL)
        held = [thread]

        def release():
            if held and libc.ptrace(detach, held.pop(), None, None) != 0:
                os.waitpid(thread, WALL)  # it died with its process
        self.addCleanup(release)
        return release


class Stalls(StallCase):
    def test_P_12_a_worker_that_stands_still_is_reported(self):
        self.assertEqual(self.ask().status, 200)
        release = self.hold("worker-0")
        try:
            until(lambda: self.log_lines('"worker stands still"'), "a line of the log")
            until(lambda: self.gateway.metrics()["penstock_worker_stalls_total"] == 1, "the metric")
        finally:
            release()
        self.assertEqual(self.log_lines('"worker stands still"')[0]["worker"], 0)
        until(lambda: self.log_lines('"worker goes on"'), "it goes on")
        until(lambda: any("the stack of a worker that stood still" in line for line in self.gateway.lines["stderr"]), "its stack")
        self.assertEqual(self.ask().status, 200)


class Abort(StallCase):
    overload = {**CALM, "watchdog": {"stall": "200ms", "abort": "1s"}}
    exit_code = -signal.SIGABRT

    def test_P_12_one_that_stands_for_too_long_ends_the_process(self):
        self.ask()
        resource.prlimit(self.gateway.pid, resource.RLIMIT_CORE, (0, 0))
        release = self.hold("worker-0")
        until(lambda: any("aborting" in line for line in self.gateway.lines["stderr"]), "its last words")
        release()
        until(lambda: not self.gateway.alive(), "the end")


if __name__ == "__main__":
    SECONDS = harness.number_option("--seconds", SECONDS)
    harness.main()
