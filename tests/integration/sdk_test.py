"""Clients that nobody here wrote: the official openai package (openai_sdk_test.mjs), curl, nghttp and h2load."""

import json
import os
import re
import shutil
import subprocess
import unittest
from pathlib import Path

import harness
from harness import FaultCase, World, cluster, endpoint, table

FAST = "sim:1:8:0"
PROGRAMS = [FAST, "sim:1:100000:1000", "fault:silence", "fault:html", "fault:cut", "fault:end", "fault:split:end", "fault:error:after=3",
            "fault:no-done:delta=tool_calls:finish=tool_calls", *[f"fault:status:{s}" for s in (400, 401, 403, 409, 422, 429, 500, 503)]]
ONCE = ["fault:status:500:times=1:retry-after-ms=1"]
CHAT = json.dumps({"model": FAST, "messages": [{"role": "user", "content": "hi"}]})
STREAM = CHAT[:-1] + ', "stream": true}'


def certificate(folder, name="gateway"):
    """A fresh self-signed one for localhost; the files of it and its key."""
    files = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                    "-out", files[0], "-keyout", files[1]], check=True, capture_output=True)
    os.chmod(files[1], 0o600)
    return files


class Clients(FaultCase):
    @classmethod
    def make_world(cls):
        def config(world):
            cert, key = cls.cert, _ = certificate(world.folder)
            address = world.sims["up"].address
            return {
                "server": {"listeners": [{"address": "127.0.0.1:0"},
                                         {"address": "127.0.0.1:0", "tls": {"certificate": str(cert), "private_key": str(key)}}]},
                "models": [{"name": p, "cluster": "up"} for p in PROGRAMS if p != FAST]
                + [{"name": FAST, "cluster": "up", "aliases": ["gpt-4o-mini"]}]
                + [{"name": f"once/{p}", "upstream_name": p, "cluster": "once"} for p in ONCE],
                "clusters": [cluster("up", [endpoint(address)]), cluster("once", [endpoint(address)], retry={"attempts": 1})],
            }
        return World(config, sims=("up",))

    @property
    def tls_port(self):
        return self.gateway.addresses[1].rsplit(":", 1)[1]

    def run_client(self, *command, **more):
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=100, **more)
        self.assertEqual(done.returncode, 0, f"{command}: {done.stdout[-4000:]}\n{done.stderr[-4000:]}")
        return done

    @unittest.skipUnless(shutil.which("node"), "no node")
    def test_openai_package(self):
        env = dict(os.environ, GATEWAY=f"http://{self.gateway.address}", SIMULATOR=f"http://{self.world.sims['up'].address}")
        env.setdefault("NODE_PATH", str(harness.SOURCE / "build/node/node_modules"))
        done = self.run_client("node", "--test", Path(__file__).with_name("openai_sdk_test.mjs"), env=env)
        self.assertGreater(int(re.search(r"# pass (\d+)", done.stdout).group(1)), 20)

    def curl(self, *arguments, body=CHAT):
        done = self.run_client("curl", "-sS", "--max-time", "30", "-N", "-w", "\n%{http_version} %{http_code}",
                               "-H", "content-type: application/json", "-d", body, *arguments)
        text, _, last = done.stdout.rpartition("\n")
        return text, last.split()

    def curl_ways(self):
        plain, secure = f"http://{self.gateway.address}", f"https://localhost:{self.tls_port}"
        return [("1.1", plain, []), ("2", plain, ["--http2-prior-knowledge"]), ("1.1", secure, ["--cacert", self.cert, "--http1.1"]),
                ("2", secure, ["--cacert", self.cert, "--http2"]), ("1.1", plain, ["--http2"])]

    def test_curl(self):
        for version, url, flags in self.curl_ways():
            with self.subTest(url=url, flags=flags):
                text, (used, status) = self.curl(*flags, f"{url}/v1/chat/completions")
                self.assertEqual((used, status), (version, "200"))
                self.assertEqual(json.loads(text)["choices"][0]["finish_reason"], "stop")
                text, (used, status) = self.curl(*flags, f"{url}/v1/chat/completions", body=STREAM)
                self.assertEqual((used, status), (version, "200"))
                self.assertTrue(text.endswith("data: [DONE]\n\n"), text)

    def test_curl_many_at_once(self):
        # curl 7.88 loses its way when it opens prior-knowledge connections in parallel, to any server: HTTP/2 under TLS here.
        for version, url, flags in [way for way in self.curl_ways() if way[2] != ["--http2-prior-knowledge"]]:
            with self.subTest(url=url, flags=flags):
                done = self.run_client("curl", "-sS", "--parallel", "--max-time", "60", *flags, "-H", "content-type: application/json",
                                       "-d", CHAT, "-o", "/dev/null", "-w", "%{http_code}\n", f"{url}/v1/chat/completions?n=[1-20]")
                self.assertEqual(done.stdout.split().count("200"), 20, done.stdout)

    def test_nghttp(self):
        body = self.world.folder / "body.json"
        body.write_text(STREAM)
        done = self.run_client("nghttp", "-d", body, "-H", "content-type: application/json", f"http://{self.gateway.address}/v1/chat/completions")
        self.assertIn("data: [DONE]", done.stdout)
        done = self.run_client("nghttp", "-nv", "-m", "10", f"https://localhost:{self.tls_port}/v1/models")
        self.assertEqual(done.stdout.count(":status: 200"), 10)

    def test_h2load(self):
        body = self.world.folder / "body.json"
        body.write_text(CHAT)
        count = 2000
        for flags, url in ((["-m", "10"], f"http://{self.gateway.address}"), (["--h1"], f"http://{self.gateway.address}"),
                           (["-m", "10"], f"https://localhost:{self.tls_port}")):
            with self.subTest(flags=flags, url=url):
                self.world.sims["up"].reset()
                done = self.run_client("h2load", *flags, "-c", "20", "-n", count, "-d", body, "-H", "content-type: application/json",
                                       f"{url}/v1/chat/completions")
                self.assertIn(f"{count} succeeded, 0 failed, 0 errored, 0 timeout", done.stdout)
                self.assertIn(f"status codes: {count} 2xx", done.stdout)
                self.assertEqual(self.world.sims["up"].stats(FAST)["received"], count)


if __name__ == "__main__":
    harness.main()
