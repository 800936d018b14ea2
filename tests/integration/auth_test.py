"""Tenants: who may ask, for which models, and what the others are told (CONTRACT 5: 401, 403)."""

import hashlib
import json
import subprocess

import h1_client
import harness
from harness import FaultCase, World, cluster, endpoint

PATH = "/v1/chat/completions"


def digest(key):
    return hashlib.sha256(key.encode()).hexdigest()


def bearer(key):
    return [("authorization", f"Bearer {key}")]


class Tenants(FaultCase):
    @classmethod
    def make_world(cls):
        def config(world):
            return {"server": {"listeners": [{"address": "127.0.0.1:0"}]},
                    "auth": {"allow_anonymous": True,  # the canary has no key
                             "keys": [{"name": "team-a", "key_sha256": digest("key of a")},
                                      {"name": "team-b", "key_sha256": digest("key-b").upper(), "models": ["small"]}]},
                    "models": [{"name": name, "aliases": [f"{name}-alias"], "upstream_name": "sim:0:3:0", "cluster": "c"} for name in ("small", "large")],
                    "clusters": [cluster("c", [endpoint(world.sims["good"].address)])]}
        return World(config, sims=("good",))

    def ask(self, model, headers, path=PATH, method="POST"):
        body = json.dumps({"model": model, "messages": [{"role": "user", "content": "hi"}]}).encode() if method == "POST" else b""
        with h1_client.Connection(self.gateway.address) as connection:
            return connection.ask(method, path, body, [("x-request-id", self.request_id()), *headers])

    def test_a_known_key_is_served_and_named(self):
        self.assertEqual(self.ask("large", bearer("key of a")).status, 200)
        self.assertEqual(self.gateway.line_of(self.asked[-1])["key"], "team-a")
        self.assertEqual(self.ask("small", [("x-api-key", "key-b")]).status, 200)
        self.assertEqual(self.gateway.line_of(self.asked[-1])["key"], "team-b")

    def test_a_wrong_key_is_refused_before_its_body_is_read(self):
        before = self.world.sims["good"].stats()["received"]
        for headers in (bearer("key-c"), bearer("key of"), [("authorization", "Basic a2V5LWI=")], [("authorization", "key-b")],
                        [("x-api-key", "KEY-B")], bearer("key of a\x85"), [("x-api-key", "key-b\xa0")]):  # dropped, it would be no key
            answer = self.ask("small", headers)
            self.assertEqual((answer.status, answer.error()["type"], answer.error()["code"]), (401, "authentication_error", "invalid_api_key"))
            self.assertEqual(answer.header("www-authenticate"), "Bearer")
            self.assertEqual(self.term_of(), "UAEX")
        with h1_client.Connection(self.gateway.address) as connection:
            connection.send(b"POST %s HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nauthorization: Bearer no\r\ncontent-length: 100000\r\n\r\n" % PATH.encode())
            self.assertEqual(connection.read_response().status, 401)
        self.assertEqual(self.world.sims["good"].stats()["received"], before)

    def test_K_05_a_model_that_is_not_the_keys(self):
        for model in ("large", "large-alias"):
            answer = self.ask(model, bearer("key-b"))
            self.assertEqual((answer.status, answer.error()["type"], answer.error()["code"]), (403, "permission_error", "model_forbidden"))
            self.assertEqual(self.term_of(), "UAEX")
        self.assertEqual(self.ask("small-alias", bearer("key-b")).status, 200)

    def test_models_are_those_that_the_key_may_use(self):
        def listed(headers):
            return [model["id"] for model in self.ask("", headers, "/v1/models", "GET").json()["data"]]
        self.assertEqual(listed(bearer("key-b")), ["small"])
        self.assertEqual(listed(bearer("key of a")), ["small", "large", harness.CANARY_MODEL])
        self.assertEqual(self.ask("", bearer("key-b"), "/v1/models/large", "GET").status, 404)
        self.assertEqual(self.ask("", bearer("key-b"), "/v1/models/small", "GET").status, 200)

    def test_health_needs_no_key(self):
        self.assertEqual(self.ask("", bearer("key-c"), "/health", "GET").status, 200)

    def test_a_new_key_fits_its_digest(self):
        made = subprocess.run([harness.BIN / "penstock", "key", "new"], capture_output=True, text=True, check=True).stdout
        key = made.splitlines()[0].removeprefix("key: ")
        hashed = subprocess.run([harness.BIN / "penstock", "key", "hash"], input=key + "\n", capture_output=True, text=True, check=True).stdout
        self.assertEqual(hashed.strip(), digest(key))
        self.assertIn(digest(key), made)

    def test_what_is_hashed_is_one_key(self):
        for given, key in [(b"abc\r\n", "abc"), (b"abc", "abc"), (b"abc\ndef\n", "abc"), (b"a" * 4096 + b"\n", "a" * 4096), (b"", None), (b"\n", None),
                           (b" abc\n", None), (b"abc \n", None), (b"\xc3\xa9\n", None), (b"a\0b\n", None), (b"a" * 4097 + b"\n", None)]:
            with self.subTest(given=given[:20]):
                hashed = subprocess.run([harness.BIN / "penstock", "key", "hash"], input=given, capture_output=True)
                self.assertEqual((hashed.returncode, hashed.stdout.decode()), (0, digest(key) + "\n") if key else (1, ""))


if __name__ == "__main__":
    harness.unittest.main()
