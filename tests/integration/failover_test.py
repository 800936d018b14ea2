"""Rows of group (d) that want endpoints of their own: refused, black holes, strangers' certificates, stopped peers, and failover
under load. The retries' metric is read where the admin API serves it."""

import hashlib
import json
import signal
import socket
import subprocess
import threading
import time

import h1_client
import h2_client
import harness
from client_faults_test import BlackHole
from harness import FaultCase, Simulator, World, cluster, endpoint, table
from sdk_test import certificate

MODEL = "sim:0:4:0"
PATH = "/v1/chat/completions"
LLAMAS = ("llama0", "llama1")


def body_of(cluster_name, stream=False, **more):
    return json.dumps({"model": f"{cluster_name}|{MODEL}", "stream": stream, "messages": [{"role": "user", "content": "hi"}], **more})


class Slammer(harness.Backend):
    """A backend that reads `after` bytes of a request and resets the connection."""

    def __init__(self, after):
        self.after = after
        super().__init__()

    def serve(self, connection):
        self.count += 1
        left = self.after
        while left > 0:
            data = connection.recv(min(left, 65536))
            if not data:
                break
            left -= len(data)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.close()


def closed_port():
    """A port that refuses: bound, so that nobody else gets it, but nobody listens."""
    holder = socket.socket()
    holder.bind(("127.0.0.1", 0))
    return holder, "127.0.0.1:%d" % holder.getsockname()[1]


def expired_certificate(folder):
    """Self-signed for 127.0.0.1, good in 2020 only; the files of it and its key."""
    _, key = certificate(folder, "expired-key")
    config, request, out = folder / "ca.conf", folder / "expired.csr", folder / "expired.pem"
    config.write_text(f"""[ca]
default_ca = own
[own]
database = {folder}/index.txt
new_certs_dir = {folder}
default_md = sha256
rand_serial = yes
policy = any
x509_extensions = names
[any]
commonName = supplied
[names]
subjectAltName = IP:127.0.0.1
""")
    (folder / "index.txt").write_text("")
    subprocess.run(["openssl", "req", "-new", "-key", key, "-subj", "/CN=localhost", "-out", request], check=True, capture_output=True)
    subprocess.run(["openssl", "ca", "-batch", "-notext", "-selfsign", "-config", config, "-keyfile", key, "-in", request, "-out", out,
                    "-startdate", "200101000000Z", "-enddate", "210101000000Z"], check=True, capture_output=True)
    return out, key


TLS_CASES = ["expired", "wrong name", "unknown authority", "closes in the handshake", "no TLS"]


@table("stranger", [(f"U-03 {name}", name) for name in TLS_CASES])
class Endpoints(FaultCase):
    @classmethod
    def make_world(cls):
        cls.holder, refusing = closed_port()
        cls.hole, cls.slammer, cls.greeter = BlackHole(), Slammer(100_000), Slammer(1)
        cls.tls_sims = {}

        def config(world):
            good, other = world.sims["good"].address, world.sims["other"].address
            clusters = [
                cluster("refused", [endpoint(refusing), endpoint(good), endpoint(other)], balancer={"policy": "round_robin"}),
                cluster("allrefused", [endpoint(refusing)]),
                cluster("hole", [endpoint(cls.hole.address), endpoint(good)], balancer={"policy": "round_robin"}, timeouts={"connect": "300ms"}),
                cluster("slam", [endpoint(cls.slammer.address), endpoint(good)], balancer={"policy": "round_robin"}),
                cluster("llama", [endpoint(world.sims[name].address, kind="llamacpp") for name in LLAMAS]),
                cluster("stopped", [endpoint(world.sims["stopped"].address)], timeouts={"idle": "1s", "first_token": "1s", "headers": "1s"}),
                cluster("stoppedh2", [endpoint(world.sims["stopped"].address, "h2")]),
            ]
            clusters += cls.tls_clusters(world)
            return {"server": {"listeners": [{"address": "127.0.0.1:0"}]},
                    "models": [{"name": f"{c['name']}|{MODEL}", "upstream_name": MODEL, "cluster": c["name"]} for c in clusters]
                    + [{"name": f"{u}|flow", "upstream_name": "sim:0:100000:1000", "cluster": u} for u in ("stopped", "stoppedh2")],
                    "clusters": clusters}
        return World(config, sims=("good", "other", "stopped", *LLAMAS), sim_arguments={
            "good": ["--record", "256"], **{name: ["--kind", "llamacpp"] for name in LLAMAS}})

    @classmethod
    def tls_clusters(cls, world):
        trusted = certificate(world.folder, "trusted")
        expired = expired_certificate(world.folder)
        unknown = certificate(world.folder, "unknown")
        sims = {"trusted": trusted, "expired": expired, "unknown": unknown}
        for name, (cert, key) in sims.items():
            program = harness.Program(harness.BIN / "penstock-sim", "--listen", "127.0.0.1:0", "--tls", cert, key)
            world.programs.append(program)
            sims[name] = program.address = program.wait_line("stdout", r"listening on (\S+)").group(1)

        def secure(name, address, ca, **more):
            return cluster(name, [{**endpoint(address), "name": name, "url": f"https://{address}", "tls": {"ca": str(ca), **more}}])
        return [secure("tls-good", sims["trusted"], trusted[0]),
                secure("tls-expired", sims["expired"], expired[0]),
                secure("tls-wrong-name", sims["trusted"], trusted[0], server_name="other.test"),
                secure("tls-unknown-authority", sims["unknown"], trusted[0]),
                secure("tls-closes-in-the-handshake", cls.greeter.address, trusted[0]),
                secure("tls-no-TLS", world.sims["good"].address, trusted[0])]

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        for thing in (cls.holder, cls.hole, cls.slammer, cls.greeter):
            thing.close()

    def setUp(self):
        super().setUp()
        for name in ("good", "other"):
            self.world.sims[name].reset()

    def ask(self, name, client="h1", **more):
        return h2_client.ask(client, self.gateway.address, PATH, body_of(name, **more), [("x-request-id", self.request_id())])

    def metric(self, series):
        return sum(value for name, value in self.gateway.metrics().items() if name.startswith(series))

    def test_U_01_one_of_three_refuses(self):
        series = 'penstock_retries_total{reason="connect"}'
        before, attempts = self.metric(series), 0
        for _ in range(9):
            self.assertEqual(self.ask("refused").status, 200)
            line = self.gateway.line_of(self.asked[-1])
            self.assertEqual(line["term"], "-")
            attempts += line["attempts"]
        self.assertGreater(attempts, 9, "the refusing endpoint was asked")
        self.assertEqual(self.metric(series) - before, attempts - 9, "O6")
        self.assertEqual(sum(self.world.sims[n].stats()["received"] for n in ("good", "other")), 9, "O7")

    def test_U_01_all_refuse(self):
        answer = self.ask("allrefused")
        self.assertEqual((answer.status, answer.error()["code"], answer.complete), (502, "upstream_connect", True))
        self.assertEqual(self.term_of(), "UF")

    def test_U_02_black_hole(self):
        began = time.monotonic()
        for _ in range(4):
            self.assertEqual(self.ask("hole").status, 200)
        self.assertLess(time.monotonic() - began, 10, "the kernel would try for minutes")
        self.assertEqual(self.world.sims["good"].stats()["received"], 4)

    def test_U_03_a_trusted_certificate(self):
        self.assertEqual(self.ask("tls-good").status, 200)

    def stranger(self, label, name):
        answer = self.ask("tls-" + name.replace(" ", "-"))
        self.assertEqual((answer.status, answer.error()["code"]), (502, "upstream_tls"), answer)
        self.assertEqual(self.term_of(), "UF")
        self.assertEqual(self.world.sims["good"].stats()["received"], 0)

    def test_U_17_a_500_that_is_the_requests_fault(self):
        """llama-server's, for an input that it cannot take: no other endpoint is asked, and nobody is to ask again."""
        retries = 'penstock_retries_total{reason="status"}'
        before = self.metric(retries)
        for index, client in enumerate(("h1", "h2")):
            body = json.dumps({"model": f"llama|{MODEL}", "input": "word " * 1000})
            answer = h2_client.ask(client, self.gateway.address, "/v1/embeddings", body, [("x-request-id", self.request_id())])
            self.assertEqual((answer.status, answer.error()["type"], answer.error()["code"]), (500, "server_error", 500), answer)
            self.assertIn("too large", answer.error()["message"])
            self.assertEqual(answer.header("x-should-retry"), "false")
            line = self.gateway.line_of(self.asked[-1])
            self.assertEqual((line["attempts"], line["term"]), (1, "-"))
            self.assertEqual(sum(self.world.sims[name].stats()["received"] for name in LLAMAS), index + 1, "O7")

        def outcomes():
            found = {}
            for series, value in self.gateway.metrics().items():
                if value and series.startswith('penstock_upstream_attempts_total{cluster="llama"'):
                    outcome = series.rpartition('outcome="')[2].rstrip('"}')
                    found[outcome] = found.get(outcome, 0) + value
            return found
        harness.until(lambda: outcomes() == {"4xx": 2}, lambda: f"not held against the endpoints: {outcomes()}")
        self.assertEqual(self.metric(retries), before, "O6")

    def test_U_25_stopped_peer(self):
        """HTTP/2: by PING, 10 s and 5 s; HTTP/1.1: by the idle timeout."""
        peer, answers = self.world.sims["stopped"], {}
        threads = []

        def flow(name):
            body = json.dumps({"model": f"{name}|flow", "stream": True, "messages": [{"role": "user", "content": "hi"}]})
            with h1_client.Connection(self.gateway.address) as connection:
                connection.socket.settimeout(60)
                connection.send(connection.request_bytes("POST", PATH, body))
                answer = connection.read_head()
                connection.wait_body(answer, b"data:")
                started.release()
                connection.read_body(answer)
                answers[name] = answer, time.monotonic()
        started = threading.Semaphore(0)
        for name in ("stopped", "stoppedh2"):
            threads.append(threading.Thread(target=flow, args=(name,), daemon=True))
            threads[-1].start()
        for _ in threads:
            self.assertTrue(started.acquire(timeout=harness.HANG))
        stopped_at = time.monotonic()
        peer.signal(signal.SIGSTOP)
        try:
            for thread in threads:
                thread.join(60)
        finally:
            peer.signal(signal.SIGCONT)
        for name, limit in (("stopped", 15), ("stoppedh2", 30)):
            answer, ended_at = answers[name]
            self.assertFalse(answer.complete)
            self.assertEqual(json.loads(answer.events()[-1])["error"]["code"], "stream_interrupted")
            self.assertLess(ended_at - stopped_at, limit)
        self.assertEqual(self.ask("stoppedh2").status, 200, "the connection was replaced")

    def test_U_34_failover_while_the_request_is_written(self):
        count, size = 200, 200_000
        answers, bodies, slammed = [], {}, self.slammer.count

        def ask(i):
            body = bodies[i] = body_of("slam", user=f"{i}-" + chr(97 + i % 26) * size)
            return h2_client.ask(("h1", "h2")[i % 2], self.gateway.address, PATH, body)
        for first in range(0, count, 50):
            answers += harness.all_at_once(50, lambda i, first=first: ask(first + i), 100)
        self.assertEqual([(i, a) for i, a in enumerate(answers) if a.status != 200 or not a.complete][:3], [])
        self.assertEqual(len(bodies), count)
        self.assertGreater(self.slammer.count - slammed, count // 4)
        self.assertEqual(self.world.sims["good"].stats()["received"], count, "O7: each was served once")
        wanted = {hashlib.sha256(body.replace("slam|", "").encode()).hexdigest() for body in bodies.values()}
        arrived = {hashlib.sha256(record["body"].encode("latin-1")).hexdigest() for record in self.world.sims["good"].last()}
        self.assertGreater(len(arrived), count // 2)
        self.assertLessEqual(arrived, wanted, "the exact bytes")


if __name__ == "__main__":
    harness.main()
