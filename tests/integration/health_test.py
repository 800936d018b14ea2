"""Health checks of the real daemon against penstock-sim: endpoints that die, load and come back, what kind of server they
are, names instead of addresses, and other checks after a reload (FAULTS U-27, U-37, G-06)."""

import json
import socket
import tempfile
import unittest

import harness
from processes import Gateway, Sim, ask, await_condition

KINDS = ["vllm", "sglang", "tgi", "llamacpp", "ollama", "openai"]  # those that `auto` can tell
CHAT = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}]})


def config_text(endpoints):
    """Endpoints by name: url, or (url, kind)."""
    rows = "".join('      - {url: "%s", name: %s, kind: %s}\n' % (*([of, name, "auto"] if isinstance(of, str) else [of[0], name, of[1]]),)
                   for name, of in endpoints.items())
    return """
server: {listeners: [{address: "127.0.0.1:0"}], workers: 1, pin_workers: false, drain: {delay: 0s, timeout: 5s}}
admin: {address: "127.0.0.1:0"}
log: {access: "off"}
models: [{name: m, upstream_name: "sim:1:4:500", cluster: local}]
clusters:
  - name: local
    health_check: {interval: 100ms, timeout: 100ms, unhealthy_after: 3, healthy_after: 2}
    queue: {size: 0}
    endpoints:
""" + rows


class Probed(harness.Backend):
    """Is well, and keeps the paths of the checks."""

    def __init__(self):
        self.paths = []
        super().__init__()

    def serve(self, connection):
        with connection:
            request = b""
            while b"\r\n\r\n" not in request:
                more = connection.recv(4096)
                if not more:
                    return
                request += more
            self.paths.append(request.split()[1].decode())
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")


def checked(**clusters):
    """A configuration of one endpoint per cluster: (backend, path of its checks, their interval)."""
    rows = "".join(f"""
  - name: {name}
    health_check: {{path: {path}, interval: {interval}, timeout: {"1s" if interval == "1h" else interval}}}
    endpoints: [{{url: "http://{backend.address}", name: {name}, kind: openai}}]""" for name, (backend, path, interval) in clusters.items())
    head, _ = config_text({}).split("models:")
    return f"{head}models: [{{name: m, cluster: {next(iter(clusters))}}}]\nclusters:{rows}\n"


class HealthTest(unittest.TestCase):
    def start(self, endpoints):
        return self.launch(config_text(endpoints))

    def launch(self, config):
        folder = tempfile.TemporaryDirectory(prefix="penstock-")
        self.addCleanup(folder.cleanup)
        gateway = Gateway(config, folder.name)
        self.addCleanup(gateway.kill)
        return gateway.started()

    def sim(self, *arguments):
        sim = Sim(*arguments)
        self.addCleanup(sim.kill)
        return sim

    def log(self, gateway, message, **fields):
        """Log lines with this message and these fields."""
        lines = [json.loads(line) for line in gateway.lines if message in line]
        return [line for line in lines if all(line.get(key) == value for key, value in fields.items())]

    def healthy(self, gateway, name):
        return gateway.metric('penstock_endpoint_healthy{endpoint="%s"}' % name)

    def post(self, gateway):
        return ask(gateway.address, "POST", "/v1/chat/completions", CHAT, {"content-type": "application/json"})

    def test_auto_finds_every_kind(self):
        sims = {kind: self.sim("--kind", kind) for kind in KINDS}
        gateway = self.start({kind: f"http://{sim.address}" for kind, sim in sims.items()})
        for kind in KINDS:
            await_condition(lambda k=kind: self.log(gateway, "endpoint's kind", endpoint=k, kind=k), f"kind {kind} in the log")
            await_condition(lambda k=kind: self.healthy(gateway, k) == 1, f"{kind} healthy")

    def test_not_ready_by_kind(self):
        for kind in ["vllm", "llamacpp", "triton"]:
            with self.subTest(kind):
                sim = self.sim("--kind", kind)
                gateway = self.start({"a": (f"http://{sim.address}", kind)})
                await_condition(lambda: ask(gateway.admin, "GET", "/readyz").status == 200, "ready")
                ask(sim.address, "POST", "/sim/set?ready=0")
                await_condition(lambda: self.healthy(gateway, "a") == 0, "unhealthy")
                self.assertEqual(ask(gateway.admin, "GET", "/readyz").status, 503)
                refused = self.post(gateway)
                self.assertEqual((refused.status, refused.json()["error"]["code"]), (503, "no_healthy_upstream"))
                ask(sim.address, "POST", "/sim/set?ready=1")
                await_condition(lambda: self.healthy(gateway, "a") == 1, "healthy again")
                self.assertEqual(self.post(gateway).status, 200)

    def test_U_37_everything_down_at_the_start(self):
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))  # bound and not listening: refused, and nobody else gets it
            address = "%s:%d" % closed.getsockname()
            gateway = self.start({"a": f"http://{address}"})
            await_condition(lambda: self.log(gateway, "endpoint is unhealthy", endpoint="a", reason="Connection refused"), "the log's warning")
            self.assertEqual(self.post(gateway).status, 503)
        self.sim("--kind", "sglang", "--listen", address)
        await_condition(lambda: self.healthy(gateway, "a") == 1, "healthy")
        await_condition(lambda: self.log(gateway, "endpoint's kind", endpoint="a", kind="sglang"), "its kind, found now")
        self.assertEqual(self.post(gateway).status, 200)

    def test_slow_health_path_of_a_busy_server(self):
        sim = self.sim("--kind", "llamacpp")
        gateway = self.start({"a": (f"http://{sim.address}", "llamacpp")})
        await_condition(lambda: self.healthy(gateway, "a") == 1, "healthy")
        ask(sim.address, "POST", "/sim/set?health_ms=60000")
        await_condition(lambda: self.log(gateway, "endpoint is unhealthy", endpoint="a", reason="no answer in time"), "ejected: silent and idle")

    def test_U_27_names_instead_of_addresses(self):
        sim = self.sim()
        port = sim.address.rsplit(":", 1)[1]
        gateway = self.start({"a": f"http://localhost:{port}", "nowhere": ("http://nowhere.invalid:80", "vllm")})
        await_condition(lambda: self.healthy(gateway, "nowhere") == 0, "a name without addresses is unhealthy")
        await_condition(lambda: self.healthy(gateway, "a") == 1, "localhost is healthy")
        for _ in range(5):
            self.assertEqual(self.post(gateway).status, 200)

    def probed(self):
        backend = Probed()
        self.addCleanup(backend.close)
        return backend

    def reloaded(self, gateway, **clusters):
        gateway.write(checked(**clusters))
        self.assertIn('"reloaded"', gateway.hang_up())

    def rounds(self, clock, count=10):
        """So many more checks of an endpoint that is checked often: time for what must not happen elsewhere."""
        before = len(clock.paths)
        await_condition(lambda: len(clock.paths) >= before + count, "checks")

    def test_G_06_another_set_is_checked(self):
        old, kept, new = self.probed(), self.probed(), self.probed()
        gateway = self.launch(checked(old=(old, "/old", "50ms"), kept=(kept, "/kept", "50ms")))
        self.rounds(old)
        self.rounds(kept)
        self.reloaded(gateway, new=(new, "/new", "50ms"), kept=(kept, "/kept", "50ms"))
        self.rounds(new)
        self.rounds(kept, 2)  # a check that was under way is over
        last = len(old.paths)
        self.rounds(kept)
        self.assertEqual(len(old.paths), last, "who was removed is left alone")
        self.assertEqual((set(old.paths), set(kept.paths), set(new.paths)), ({"/old"}, {"/kept"}, {"/new"}))

    def test_G_06_other_rules_of_the_same_checks(self):
        clock, changed = self.probed(), self.probed()
        gateway = self.launch(checked(clock=(clock, "/clock", "50ms"), changed=(changed, "/seldom", "1h")))
        await_condition(lambda: changed.paths, "the first check")
        self.reloaded(gateway, clock=(clock, "/clock", "50ms"), changed=(changed, "/often", "50ms"))
        self.rounds(changed)
        self.assertEqual(set(changed.paths), {"/seldom", "/often"}, "another path, and not in an hour")
        self.reloaded(gateway, clock=(clock, "/clock", "50ms"), changed=(changed, "/seldom", "1h"))
        await_condition(lambda: "/seldom" in changed.paths[1:], "the last path")
        self.rounds(clock, 2)  # a check that was under way is over
        last = len(changed.paths)
        self.rounds(clock)
        self.assertEqual(changed.paths[last:], [], "the next one comes in an hour")


if __name__ == "__main__":
    unittest.main()
