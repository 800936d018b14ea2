"""Reload, drain, start and the admin API of the real daemon (FAULTS G-03 to G-10, P-01 to P-03, P-06, P-13)."""

import http.client
import json
import os
import re
import resource
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import tempfile
import threading
import time
import unittest

import h2_raw
from harness import all_at_once
from processes import BIN, PATIENCE_S, Answer, Gateway, Program, Sim, ask, await_condition, connect

KEY = "canary-admin-6f1d"
API_KEY = "canary-upstream-93aa"
AUTH = {"authorization": f"Bearer {KEY}"}
NOBODY = 65534


def config_text(sim, **change):
    """The configuration of the tests; every value that one of them changes is an argument."""
    values = {
        "listener": '"127.0.0.1:0"', "tls": "", "workers": 2, "delay": "100ms", "timeout": "20s", "admin": '"127.0.0.1:0"',
        "level": "info", "access": "off", "fast": "fast", "limits": "", "endpoint": f"http://{sim}", **change}
    return """
server:
  listeners:
    - address: {listener}
      {tls}
  workers: {workers}
  pin_workers: false
  drain: {{delay: {delay}, timeout: {timeout}}}
  {limits}
admin: {{address: {admin}, key: "%s"}}
log: {{level: {level}, access: {access}}}
models:
  - {{name: {fast}, upstream_name: "sim:1:4:500", cluster: local}}
  - {{name: stream, upstream_name: "sim:1:100:10000", cluster: local}}
  - {{name: endless, upstream_name: "sim:1:100000:10000", cluster: local}}
clusters:
  - name: local
    endpoints:
      - {{url: "{endpoint}", name: backend, api_key: "%s"}}
""".format(**values) % (KEY, API_KEY)


def chat(model, stream=False):
    return json.dumps({"model": model, "stream": stream, "messages": [{"role": "user", "content": "hi"}]})


def post(address, model="fast"):
    return ask(address, "POST", "/v1/chat/completions", chat(model), {"content-type": "application/json"})


def sanitized():
    with open(f"{BIN}/penstock", "rb") as file:
        program = file.read()
    return b"__asan_init" in program or b"__tsan_init" in program


def unprivileged_ports_begin():
    with open("/proc/sys/net/ipv4/ip_unprivileged_port_start") as file:
        return int(file.read())


def last_stream_and_code(goaway):
    return struct.unpack(">II", goaway[3][:8])


class Stream:
    """A streamed completion that was read up to its first content."""

    def __init__(self, address, model):
        self.connection = connect(address)
        self.connection.request("POST", "/v1/chat/completions", chat(model, True), {"content-type": "application/json"})
        self.response = self.connection.getresponse()
        self.text = ""
        while '"content":"' not in self.text:
            self.text += self.response.readline().decode()

    def rest(self):
        """All that follows, to the end of the answer or its breaking off."""
        try:
            while line := self.response.readline():
                self.text += line.decode()
        except (http.client.IncompleteRead, ConnectionError):
            pass
        self.connection.close()
        return self.text


class Load:
    """Clients that ask one request after the other, each on kept connections, until told to stop."""

    def __init__(self, address, clients=3, until_refused=False):
        self.address, self.until_refused = address, until_refused
        self.good, self.failures, self.stopping = 0, [], False
        self.refused = threading.Event()
        self.threads = [threading.Thread(target=self._run) for _ in range(clients)]
        for thread in self.threads:
            thread.start()

    def _run(self):
        kept = []
        try:
            while not self.stopping and self._one(kept):
                pass
        except (OSError, http.client.HTTPException) as error:
            self.failures.append(error)
        for connection in kept:
            connection.close()

    def _one(self, kept):
        """One request; false when nobody accepts connections any more."""
        fresh = not kept
        connection = kept.pop() if kept else connect(self.address)
        try:
            if fresh:
                connection.connect()
            connection.request("POST", "/v1/chat/completions", chat("fast"), {"content-type": "application/json"})
            answer = Answer(connection.getresponse())
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError, ConnectionRefusedError) as error:
            connection.close()
            if isinstance(error, ConnectionRefusedError) and self.until_refused:
                self.refused.set()
                return False
            if fresh:
                raise
            return True  # RFC 9112 9.3.1: a kept connection may end between two requests; the client asks again on a new one
        if answer.status != 200:
            self.failures.append(answer.body)
        self.good += answer.status == 200
        if answer.headers.get("connection") == "close":
            connection.close()
        else:
            kept.append(connection)
        return True

    def stop(self):
        self.stopping = True
        for thread in self.threads:
            thread.join(PATIENCE_S)
        return self.failures


class DaemonTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sim = Sim()

    @classmethod
    def tearDownClass(cls):
        cls.sim.kill()

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="penstock-")
        os.chmod(self.folder, 0o755)
        self.addCleanup(shutil.rmtree, self.folder)

    def path(self, name):
        return os.path.join(self.folder, name)

    def config(self, **change):
        return config_text(self.sim.address, **change)

    def launch(self, config, **popen):
        gateway = Gateway(config, self.folder, **popen)
        self.addCleanup(gateway.kill)
        return gateway

    def gateway(self, **change):
        return self.launch(self.config(**change)).started()

    def certificate(self, name, common_name):
        """Certificate and key files."""
        files = self.path(name + ".pem"), self.path(name + ".key")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                        "-subj", f"/CN={common_name}", "-out", files[0], "-keyout", files[1]], check=True, capture_output=True)
        return files


class AdminApi(DaemonTest):
    def test_pages(self):
        gateway = self.gateway()
        self.assertEqual(post(gateway.address).status, 200)
        self.assertEqual(ask(gateway.admin, "GET", "/healthz").status, 200)
        self.assertEqual(ask(gateway.admin, "GET", "/readyz").status, 200)
        version = ask(gateway.admin, "GET", "/version", headers=AUTH).json()
        self.assertEqual(version["event_loop"], "epoll")
        self.assertTrue(version["version"] and version["commit"] and version["build"])
        metrics = ask(gateway.admin, "GET", "/metrics")
        self.assertIn("text/plain; version=0.0.4", metrics.headers["content-type"])
        self.assertIn(b"penstock_build_info{", metrics.body)
        self.assertIn(b"penstock_loop_seconds_bucket{", metrics.body)
        backends = ask(gateway.admin, "GET", "/admin/backends", headers=AUTH).json()
        endpoint = backends["clusters"][0]["endpoints"][0]
        self.assertEqual((backends["clusters"][0]["name"], endpoint["name"], endpoint["usable"]), ("local", "backend", True))
        self.assertEqual((endpoint["in_flight"], endpoint["started"]), (0, 1))
        self.assertEqual(endpoint["url"], f"http://{self.sim.address}")

    def test_connections_are_summed_over_workers(self):
        gateway = self.gateway()
        streams = [Stream(gateway.address, "endless") for _ in range(6)]
        await_condition(lambda: gateway.metric('penstock_upstream_connections{endpoint="backend",state="active"}') == 6, "6 active")
        page = ask(gateway.admin, "GET", "/admin/backends", headers=AUTH).json()
        self.assertEqual(page["clusters"][0]["endpoints"][0]["connections"]["active"], 6)
        self.assertEqual(page["clusters"][0]["endpoints"][0]["in_flight"], 6)
        for stream in streams:
            stream.connection.close()
            stream.response.close()
        await_condition(lambda: gateway.metric('penstock_upstream_connections{endpoint="backend",state="active"}') == 0, "0 active")

    def test_who_may_enter(self):
        gateway = self.gateway()
        for method, path, headers, status, code in [
                ("GET", "/version", {}, 401, "invalid_api_key"),
                ("GET", "/admin/config", {"authorization": "Bearer wrong"}, 401, "invalid_api_key"),
                ("POST", "/admin/drain", {"x-api-key": KEY + "x"}, 401, "invalid_api_key"),
                ("GET", "/nothing", {}, 401, "invalid_api_key"),
                ("GET", "/nothing", AUTH, 404, "not_found"),
                ("POST", "/metrics", {}, 405, "method_not_allowed"),
                ("GET", "/admin/reload", AUTH, 405, "method_not_allowed")]:
            with self.subTest(path=path, headers=headers):
                answer = ask(gateway.admin, method, path, headers=headers)
                self.assertEqual((answer.status, answer.json()["error"]["code"]), (status, code))
                self.assertEqual(set(answer.json()["error"]), {"message", "type", "param", "code"})
        self.assertEqual(ask(gateway.admin, "GET", "/admin/reload", headers=AUTH).headers["allow"], "POST")
        self.assertEqual(ask(gateway.admin, "GET", "/version", headers={"x-api-key": KEY}).status, 200)
        for scheme in ("bearer ", "BEARER ", "Bearer   "):  # as on the public port
            self.assertEqual(ask(gateway.admin, "GET", "/version", headers={"authorization": scheme + KEY}).status, 200, scheme)
        self.assertEqual(ask(gateway.admin, "HEAD", "/version").status, 401)
        self.assertEqual(ask(gateway.admin, "HEAD", "/version", headers=AUTH).status, 200)
        self.assertEqual(ask(gateway.admin, "POST", "/metrics").headers["allow"], "GET, HEAD")

    def test_unix_socket(self):
        gateway = self.gateway(admin=f'"unix:{self.path("admin.sock")}"')
        self.assertEqual(gateway.admin, f"unix:{self.path('admin.sock')}")
        self.assertEqual(ask(gateway.admin, "GET", "/healthz").status, 200)
        gateway.signal(signal.SIGTERM)
        self.assertEqual(gateway.wait(), 0)
        self.assertFalse(os.path.exists(self.path("admin.sock")))

    def test_access_log_is_reopened(self):
        gateway = self.gateway(access=self.path("access.log"))
        post(gateway.address)
        await_condition(lambda: os.path.getsize(self.path("access.log")), "an access line")
        os.rename(self.path("access.log"), self.path("access.1"))
        gateway.signal(signal.SIGUSR1)
        gateway.line_with("logs reopened")
        post(gateway.address)
        await_condition(lambda: os.path.exists(self.path("access.log")) and os.path.getsize(self.path("access.log")), "the new file")
        self.assertEqual(gateway.metric("penstock_log_dropped_total"), 0)


class ReloadTest(DaemonTest):
    def test_G_03_invalid_file(self):
        gateway = self.gateway()
        gateway.write(self.config(workers="many", delay="5").replace("clusters:", "clutsers:"))
        answer = ask(gateway.admin, "POST", "/admin/reload", headers=AUTH)
        message = answer.json()["error"]["message"]
        self.assertEqual(answer.status, 400)
        for part in ["server.workers", "server.drain.delay", "clutsers", gateway.config_file + ":"]:
            self.assertIn(part, message)
        self.assertIn("reload failed", gateway.hang_up())
        self.assertIn("server.drain.delay", gateway.text())
        self.assertEqual(gateway.metric('penstock_config_reloads_total{result="rejected"}'), 2)
        self.assertEqual(gateway.metric("penstock_config_last_reload_ok"), 0)
        self.assertEqual(post(gateway.address).status, 200)
        gateway.write(self.config())
        self.assertIn('"reloaded"', gateway.hang_up())
        await_condition(lambda: gateway.metric("penstock_config_last_reload_ok") == 1, "a scrape that is not the last one's")
        self.assertEqual(gateway.metric('penstock_config_reloads_total{result="ok"}'), 1)

    def test_G_03_empty_and_missing_file(self):
        gateway = self.gateway()
        gateway.write("")
        self.assertEqual(ask(gateway.admin, "POST", "/admin/reload", headers=AUTH).status, 400)
        os.unlink(gateway.config_file)
        self.assertEqual(ask(gateway.admin, "POST", "/admin/reload", headers=AUTH).status, 400)
        self.assertEqual(post(gateway.address).status, 200)

    def tls(self, files):
        return f'tls: {{certificate: "{files[0]}", private_key: "{files[1]}"}}'

    def served_name(self, address):
        """The common name in the certificate of a new handshake."""
        host, port = address.rsplit(":", 1)
        pem = ssl.get_server_certificate((host, int(port)))
        text = subprocess.run(["openssl", "x509", "-noout", "-subject"], input=pem, text=True, capture_output=True, check=True).stdout
        return text.strip().split("=")[-1].strip()

    def test_G_04_valid_file_that_cannot_work(self):
        one, two = self.certificate("one", "one"), self.certificate("two", "two")
        gateway = self.gateway(tls=self.tls(one))
        for tls in [(one[0], two[1]), (one[0], self.path("missing.key")), (gateway.config_file, one[1])]:
            with self.subTest(tls=tls):
                gateway.write(self.config(tls=self.tls(tls), fast="renamed"))
                self.assertEqual(ask(gateway.admin, "POST", "/admin/reload", headers=AUTH).status, 400)
                self.assertNotIn("renamed", ask(gateway.admin, "GET", "/admin/config", headers=AUTH).body.decode())
        self.assertEqual(self.served_name(gateway.address), "one")

    def test_G_06_certificate_is_rotated(self):
        one, two = self.certificate("one", "one"), self.certificate("two", "two")
        gateway = self.gateway(tls=self.tls(one))
        self.assertEqual(self.served_name(gateway.address), "one")
        os.replace(two[0], one[0])
        os.replace(two[1], one[1])
        self.assertIn('"reloaded"', gateway.hang_up())
        await_condition(lambda: self.served_name(gateway.address) == "two", "the new certificate")

    def test_G_06_models_backends_and_log_level(self):
        gateway = self.gateway()
        stream = Stream(gateway.address, "stream")
        other = Sim("--name", "other")
        self.addCleanup(other.kill)
        gateway.write(self.config(fast="renamed", level="error", endpoint=f"http://{other.address}"))
        self.assertEqual(ask(gateway.admin, "POST", "/admin/reload", headers=AUTH).json()["generation"], 2)
        await_condition(lambda: post(gateway.address).status == 404, "the old name to be gone")
        self.assertEqual(post(gateway.address, "renamed").status, 200)
        urls = [e["url"] for e in ask(gateway.admin, "GET", "/admin/backends", headers=AUTH).json()["clusters"][0]["endpoints"]]
        self.assertEqual(urls, [f"http://{other.address}"])
        self.assertIn("data: [DONE]", stream.rest())  # on the backend that it began with
        lines = len(gateway.lines)
        gateway.write(self.config(level="info"))
        gateway.hang_up()
        self.assertNotIn('"by":"admin"', "\n".join(gateway.lines[:lines]))  # level error hid it

    def test_G_07_needs_a_restart(self):
        gateway = self.gateway()
        gateway.write(self.config(listener='"127.0.0.1:1"', workers=3, fast="renamed"))
        answer = ask(gateway.admin, "POST", "/admin/reload", headers=AUTH)
        self.assertEqual(answer.status, 400)
        self.assertIn("needs restart: server.listeners[0].address, server.workers", answer.json()["error"]["message"])
        self.assertEqual(post(gateway.address).status, 200)
        self.assertEqual(post(gateway.address, "renamed").status, 404)

    def test_G_05_reloads_under_load(self):
        gateway = self.gateway(timeout="30s")
        load = Load(gateway.address)
        stream = Stream(gateway.address, "stream")
        reload = lambda n: ask(gateway.admin, "POST", "/admin/reload", headers=AUTH).status
        texts = [self.config(limits=f"limits: {{idle_timeout: {75 + n}s}}") for n in range(2)]

        def some(count):
            for n in range(count):
                gateway.write(texts[n % 2])
                self.assertEqual(reload(n), 200)
        some(50)  # warm
        before = gateway.resident_bytes()
        some(200)
        grown = gateway.resident_bytes() - before
        self.assertIn("data: [DONE]", stream.rest())
        good = load.good
        await_condition(lambda: load.good > good, "the load goes on")
        self.assertEqual(load.stop(), [])
        # A snapshot is some 20 KiB; 200 that were kept would be 4 MiB. Sanitizers keep freed memory in quarantine.
        if not sanitized():
            self.assertLess(grown, 2 << 20)
        self.assertEqual(gateway.metric('penstock_config_reloads_total{result="ok"}'), 250)

    def test_G_09_two_at_once_and_during_a_drain(self):
        gateway = self.gateway(delay="10s")
        answers = all_at_once(4, lambda _: ask(gateway.admin, "POST", "/admin/reload", headers=AUTH))
        self.assertEqual(sorted(answer.json()["generation"] for answer in answers), [2, 3, 4, 5])
        self.assertEqual(ask(gateway.admin, "POST", "/admin/drain", headers=AUTH).status, 202)
        refused = ask(gateway.admin, "POST", "/admin/reload", headers=AUTH)
        self.assertEqual((refused.status, refused.json()["error"]["code"]), (503, "draining"))
        self.assertIn("no reload while draining", gateway.hang_up())

    def test_G_10_secrets_stay_inside(self):
        gateway = self.gateway(level="debug")
        post(gateway.address)
        page = ask(gateway.admin, "GET", "/admin/config", headers=AUTH).body.decode()
        self.assertEqual(page.count("***"), 2)
        gateway.write(self.config(workers="x"))
        answer = ask(gateway.admin, "POST", "/admin/reload", headers=AUTH).body.decode()
        gateway.write(self.config())
        dump = subprocess.run([f"{BIN}/penstock", "dump", "--config", gateway.config_file], capture_output=True, text=True, check=True)
        metrics = ask(gateway.admin, "GET", "/metrics").body.decode()
        backends = ask(gateway.admin, "GET", "/admin/backends", headers=AUTH).body.decode()
        gateway.signal(signal.SIGTERM)
        gateway.wait()
        for text in [page, answer, dump.stdout, dump.stderr, metrics, backends, gateway.text()]:
            self.assertNotIn("canary", text)


class DrainTest(DaemonTest):
    def test_P_01_nothing_fails(self):
        gateway = self.gateway(delay="400ms", timeout="30s")
        load = Load(gateway.address, until_refused=True)
        stream = Stream(gateway.address, "stream")
        await_condition(lambda: load.good > 20, "the load runs")
        began = time.monotonic()
        gateway.signal(signal.SIGTERM)
        await_condition(lambda: ask(gateway.admin, "GET", "/readyz").status == 503, "not ready")
        self.assertEqual(ask(gateway.admin, "GET", "/healthz").status, 200)
        self.assertTrue(load.refused.wait(PATIENCE_S))
        self.assertGreaterEqual(time.monotonic() - began, 0.4)
        self.assertIn("data: [DONE]", stream.rest())
        self.assertEqual(load.stop(), [])
        self.assertEqual(gateway.wait(), 0)

    def test_P_01_http2_load(self):
        if shutil.which("h2load") is None:
            self.skipTest("no h2load")
        gateway = self.gateway(delay="300ms")
        with open(self.path("body"), "w") as file:
            file.write(chat("fast"))
        ask(self.sim.address, "POST", "/sim/reset")
        load = subprocess.Popen(["h2load", "-c4", "-m4", "-D2", "-d", self.path("body"), "-H", "content-type: application/json",
                                 f"http://{gateway.address}/v1/chat/completions"], stdout=subprocess.PIPE, text=True)
        series = 'penstock_requests_total{route="chat_completions",model="fast",key="anonymous",status="200"}'
        await_condition(lambda: (gateway.metric(series) or 0) > 50, "the load runs")
        gateway.signal(signal.SIGTERM)
        self.assertEqual(gateway.wait(), 0)
        self.assertIsNone(load.poll(), "the load outlived the gateway")
        report = load.communicate(timeout=PATIENCE_S)[0]
        self.assertEqual(load.returncode, 0, report)
        counts = {what: int(count) for count, what in re.findall(r"(\d+) (total|started|done|succeeded|failed|errored|timeout|[2345]xx)", report)}
        # An answer and the GOAWAY in one read: h2load has put its next request into its queue, does not send it, and calls that an error. Streams
        # that were under way are test_P_03_two_goaways' affair.
        count, unsent = counts["succeeded"], counts["errored"]
        self.assertGreater(count, 50, report)
        self.assertLessEqual(unsent, 4 * 4, report)
        self.assertEqual(counts, {"total": count + unsent, "started": count + unsent, "done": count + unsent, "succeeded": count, "failed": unsent,
                                  "errored": unsent, "timeout": 0, "2xx": count, "3xx": 0, "4xx": 0, "5xx": 0}, report)
        model = ask(self.sim.address, "GET", "/sim/stats").json()["models"]["sim:1:4:500"]
        self.assertEqual((model["received"], model["completed"], model["cancelled"]), (count, count, 0), "O7")

    def test_P_01_streams_past_the_timeout(self):
        gateway = self.gateway(delay="50ms", timeout="600ms")
        stream = Stream(gateway.address, "endless")
        gateway.signal(signal.SIGTERM)
        text = stream.rest()
        self.assertIn("stream_interrupted", text)
        self.assertNotIn("[DONE]", text)
        self.assertEqual(gateway.wait(), 0)

    def test_P_01_idle_connections_are_closed(self):
        gateway = self.gateway(delay="50ms")
        idle, silent = connect(gateway.address), socket.create_connection(gateway.address.rsplit(":", 1))
        idle.request("GET", "/v1/models")
        Answer(idle.getresponse())
        gateway.signal(signal.SIGTERM)
        self.assertEqual(gateway.wait(), 0)
        self.assertEqual((idle.sock.recv(1), silent.recv(1)), (b"", b""))
        idle.close()
        silent.close()

    def test_P_01_who_waits_to_be_accepted_is_served(self):
        """The kernel said yes to them while the gateway stood still: the end of its accepting must not reset them, at the limit of
        connections neither."""
        for workers, limits in [(1, ""), (2, ""), (1, "limits: {connections: 10}")]:
            with self.subTest(workers=workers, limits=limits):
                gateway = self.gateway(delay="0s", workers=workers, limits=limits)
                gateway.signal(signal.SIGSTOP)
                waiting = [connect(gateway.address) for _ in range(60)]
                for connection in waiting:
                    self.addCleanup(connection.close)
                    connection.request("POST", "/v1/chat/completions", chat("fast"), {"content-type": "application/json"})
                over_http2 = [h2_raw.RawH2(int(gateway.address.rsplit(":", 1)[1])) for _ in range(20)]
                for connection in over_http2:
                    self.addCleanup(connection.socket.close)
                    connection.chat("fast", stream=False)
                gateway.signal(signal.SIGTERM)
                gateway.signal(signal.SIGCONT)
                self.assertEqual([Answer(connection.getresponse()).status for connection in waiting], [200] * len(waiting))
                for connection in over_http2:
                    frames = connection.read_until(lambda frame: frame[0] == h2_raw.DATA and frame[1] & h2_raw.END_STREAM)
                    self.assertIn(b'"choices"', b"".join(frame[3] for frame in frames if frame[0] == h2_raw.DATA))
                self.assertEqual(gateway.wait(), 0)

    def test_P_02_second_signal(self):
        for first, second in [(signal.SIGTERM, signal.SIGTERM), (signal.SIGINT, signal.SIGINT)]:
            with self.subTest(second=second):
                gateway = self.gateway(delay="20s", timeout="100s")
                stream = Stream(gateway.address, "endless")
                gateway.signal(first)
                gateway.line_with("draining")
                began = time.monotonic()
                gateway.signal(second)
                text = stream.rest()
                self.assertEqual(gateway.wait(), 0)
                self.assertLess(time.monotonic() - began, 1)
                self.assertIn("stream_interrupted", text)

    def test_P_03_served_while_accepted(self):
        gateway = self.gateway(delay="3s")
        kept = connect(gateway.address)
        kept.request("GET", "/v1/models")
        Answer(kept.getresponse())
        self.assertEqual(ask(gateway.admin, "POST", "/admin/drain", headers=AUTH).status, 202)
        await_condition(lambda: ask(gateway.address, "GET", "/health").status == 503, "/health says so")
        fresh = post(gateway.address)
        self.assertEqual((fresh.status, fresh.headers["connection"]), (200, "close"))
        kept.request("GET", "/v1/models")
        last = Answer(kept.getresponse())
        self.assertEqual((last.status, last.headers["connection"]), (200, "close"))
        kept.close()
        http2 = subprocess.run(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code} %{http_version}", "--http2-prior-knowledge",
                                f"http://{gateway.address}/v1/models"], capture_output=True, text=True)
        self.assertEqual(http2.stdout, "200 2")
        self.assertEqual(ask(gateway.admin, "POST", "/admin/drain", headers=AUTH).status, 202)
        gateway.signal(signal.SIGINT)
        self.assertEqual(gateway.wait(), 0)

    def test_P_03_two_goaways(self):
        """RFC 9113 6.8: the first one refuses nothing, the second names the last stream that is served; both before the end."""
        gateway = self.gateway(delay="20s", timeout="60s")
        with h2_raw.RawH2(int(gateway.address.rsplit(":", 1)[1])) as client:
            client.chat("stream")
            client.read_until(lambda frame: frame[0] == h2_raw.DATA)
            gateway.signal(signal.SIGTERM)
            goaway = lambda frame: frame[0] == h2_raw.GOAWAY
            frames = client.read_until(goaway)
            self.assertEqual(last_stream_and_code(frames[-1]), (2**31 - 1, 0))
            late = client.chat("stream")
            frames += client.read_until(goaway)
            self.assertEqual(last_stream_and_code(frames[-1]), (late, 0), "what was under way is among those that are served")
            client.chat("stream")  # behind the last one: a client would ask again elsewhere
            frames += client.read_until(lambda frame: False)
        self.assertEqual(len([frame for frame in frames if goaway(frame)]), 2)
        self.assertEqual([frame for frame in frames if frame[0] == h2_raw.RST_STREAM], [])
        for stream in (1, late):
            own = [frame for frame in frames if frame[2] == stream and frame[0] == h2_raw.DATA]
            self.assertTrue(own[-1][1] & h2_raw.END_STREAM and b"[DONE]" in b"".join(frame[3] for frame in own), own[-1:])
        self.assertEqual({frame[2] for frame in frames}, {0, 1, late}, "nothing for the third")
        gateway.signal(signal.SIGTERM)
        self.assertEqual(gateway.wait(), 0)


class StartTest(DaemonTest):
    def fails(self, config, *parts, **popen):
        """One clear line and exit code 1."""
        gateway = self.launch(config, **popen)
        self.assertEqual(gateway.wait(), 1)
        for part in parts:
            self.assertIn(part, gateway.text())
        self.assertEqual(len(gateway.lines), 1, gateway.text())
        return gateway

    def test_G_02_all_errors_at_once(self):
        gateway = self.launch(self.config(workers="many", delay="5", level="loud"))
        self.assertEqual(gateway.wait(), 1)
        for path in ["server.workers", "server.drain.delay", "log.level"]:
            self.assertRegex(gateway.text(), re.escape(gateway.config_file) + r":\d+:\d+: " + re.escape(path) + ": ")

    def test_P_13_port_taken(self):
        first = self.gateway()
        config = self.config(listener=f'"{first.address}"')
        self.fails(config, first.address, "in use")  # although SO_REUSEPORT would let two gateways share it
        self.fails(self.config(admin=f'"{first.admin}"'), first.admin, "in use")
        with socket.create_server(("127.0.0.1", 0)) as taken:
            self.fails(self.config(listener=f'"127.0.0.1:{taken.getsockname()[1]}"'), "in use")
        self.assertEqual(post(first.address).status, 200)

    def test_P_13_nobody(self):
        if os.getuid() != 0:
            self.skipTest("only root can become nobody")
        one = self.certificate("one", "one")
        os.chmod(one[1], 0o600)
        tls = f'tls: {{certificate: "{one[0]}", private_key: "{one[1]}"}}'
        become = {"user": NOBODY, "group": NOBODY, "extra_groups": [], "env": {}, "cwd": "/"}
        self.readable(self.config(tls=tls))
        self.fails_as(become, self.config(tls=tls), one[1], "ermission denied")
        if unprivileged_ports_begin() > 81:
            self.fails_as(become, self.config(listener='"127.0.0.1:81"'), "127.0.0.1:81", "CAP_NET_BIND_SERVICE")
        self.fails_as(become, self.config(access=self.path("not-mine.log")), "access log", "ermission denied")
        gateway = self.launch_as(become, self.config()).started()
        self.assertEqual(post(gateway.address).status, 200)
        gateway.signal(signal.SIGTERM)
        self.assertEqual(gateway.wait(), 0)

    def readable(self, config):
        os.umask(0o022)

    def launch_as(self, become, config):
        old = Gateway.write

        def write_readable(gateway, text):
            old(gateway, text)
            os.chmod(gateway.config_file, 0o644)
        Gateway.write = write_readable
        try:
            return self.launch(config, **become)
        finally:
            Gateway.write = old

    def fails_as(self, become, config, *parts):
        gateway = self.launch_as(become, config)
        self.assertEqual(gateway.wait(), 1)
        for part in parts:
            self.assertIn(part, gateway.text())

    def test_P_06_file_limit(self):
        def limit():
            resource.setrlimit(resource.RLIMIT_NOFILE, (64, 300))
        gateway = self.launch(self.config(), preexec_fn=limit)
        self.assertEqual(gateway.wait(), 1)
        # 10,000 clients, 2 workers x 1 endpoint x 100 connections, 64 in reserve
        self.assertIn("the limit on open files is 300, but the configuration may need 10264", gateway.text())
        gateway = self.launch(self.config(limits="limits: {connections: 100}"), preexec_fn=limit).started()
        with open(f"/proc/{gateway.process.pid}/limits") as file:
            self.assertRegex(file.read(), r"Max open files +300 +300")

    def test_ready_is_told_to_systemd(self):
        path = self.path("notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as service:
            service.bind(path)
            service.settimeout(PATIENCE_S)
            gateway = self.launch(self.config(), env={**os.environ, "NOTIFY_SOCKET": path})
            self.assertEqual(service.recv(100), b"READY=1")
            gateway.started()
            self.assertEqual(ask(gateway.admin, "GET", "/readyz").status, 200)
            gateway.signal(signal.SIGTERM)
            self.assertEqual(service.recv(100), b"STOPPING=1")
        self.assertEqual(gateway.wait(), 0)

    def test_command_line(self):
        def run(*arguments):
            return subprocess.run([f"{BIN}/penstock", *arguments], capture_output=True, text=True)
        self.assertRegex(run("version").stdout, r"penstock \d+\.\d+\.\d+\ncommit: \w+\nbuild: .+\nevent loops: epoll")
        self.assertEqual((run("--help").returncode, run("serve").returncode, run("fly").returncode), (0, 2, 2))
        self.assertIn("serve", run("--help").stdout)
        self.assertEqual(json.loads(run("schema").stdout)["$schema"], "https://json-schema.org/draft/2020-12/schema")
        path = self.path("check.yaml")
        for tls, code in [("", 0), ("tls: {certificate: /none.pem, private_key: /none.key}", 1)]:
            with open(path, "w") as file:
                file.write(self.config(tls=tls))
            checked = run("check", "--config", path)
            self.assertEqual(checked.returncode, code)
            self.assertIn("/none.pem" if code else "", checked.stderr)
            self.assertRegex(checked.stderr, r":\d+:\d+: server\.listeners\[0\]\.tls: " if code else "^")


if __name__ == "__main__":
    unittest.main()
