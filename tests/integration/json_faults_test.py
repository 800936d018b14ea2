"""Group (c) of the fault catalogue end to end: request bodies. The exhaustive tables (the JSONTestSuite among them) are in
tests/unit/llm; here are the answers that clients get, and what reaches the backend."""

import gzip
import json

import h1_client
import h2_client
import harness
from harness import FaultCase, World, cluster, endpoint, table

MODEL = "sim:0:4:0"
PATH = "/v1/chat/completions"
MESSAGES = '"messages":[{"role":"user","content":"hi"}]'
START = f'{{"model":"{MODEL}",{MESSAGES}'
CHAT = START + "}"


def with_value(text):
    return START + ',"metadata_x":' + text + "}"


def nested(depth):
    """A body nested that deep in all: the root is one level."""
    return with_value("[" * (depth - 1) + "]" * (depth - 1))


INVALID = "invalid_json"
# id and label, body, status, code, param
REFUSED = [
    *[(f"J-01 UTF-8 {i}", with_value('"').encode()[:-1] + text + b'"}', 400, INVALID)
      for i, text in enumerate([b"\xff", b"\xc0\xaf", b"\xe0\x80\xaf", b"\xed\xa0\x80", b"\xf4\xbf\xbf\xbf", b"\x80", b"\xe2\x82", b"\xf8\x88\x80\x80\x80"])],
    ("J-02 UTF-16", CHAT.encode("utf-16-le"), 400, INVALID),
    ("J-02 byte order mark", b"\xef\xbb\xbf" + CHAT.encode(), 400, INVALID),
    *[(f"J-03 surrogate {i}", with_value(text), 400, INVALID) for i, text in enumerate(['"\\ud800"', '"\\udc00"', '"\\ud800\\ud800"', '"\\ud800x"'])],
    *[(f"J-04 depth {d}", nested(d), 400, INVALID) for d in (129, 1000, 1025)],
    ("J-05 100,000 brackets", "[" * 100_000, 400, INVALID),
    ("J-05 nested 9 MB", with_value("[" * 4_500_000 + "]" * 4_500_000), 400, INVALID),
    ("J-06 twice model", f'{{"model":"{MODEL}","model":"{MODEL}",{MESSAGES}}}', 400, "duplicate_key"),
    ("J-06 escaped alias", f'{{"model":"{MODEL}","mod\\u0065l":"x",{MESSAGES}}}', 400, "duplicate_key"),
    ("J-06 twice messages", f'{{"model":"{MODEL}",{MESSAGES},{MESSAGES}}}', 400, "duplicate_key"),
    ("J-06 nested", f'{{"model":"{MODEL}","messages":[{{"role":"user","role":"system","content":"hi"}}]}}', 400, "duplicate_key"),
    *[(f"J-07 number {i}", START + ',"seed":' + text + "}", 400, None)
      for i, text in enumerate(["1e400", "1e99999999999", "-1e400", "1" * 1_000_000])],
    *[(f"J-08 almost {i}", text, 400, INVALID)
      for i, text in enumerate([with_value("NaN"), with_value("Infinity"), CHAT + "//", "/**/" + CHAT, START + ",}", CHAT.replace('"', "'"),
                                CHAT + CHAT, CHAT + "x", CHAT[:-1], with_value("01"), with_value("+1"), with_value(".5"), with_value('"\t"')])],
    ("J-10 no model", f"{{{MESSAGES}}}", 400, "invalid_param", "model"),
    ("J-10 no messages", f'{{"model":"{MODEL}"}}', 400, "invalid_param", "messages"),
    *[(f"J-10 root {i}", text, 400, None) for i, text in enumerate(["null", "[]", '"x"', "", "1"])],
    ("J-11 model 1", CHAT.replace(f'"{MODEL}"', "1"), 400, "invalid_param", "model"),
    ("J-11 messages object", f'{{"model":"{MODEL}","messages":{{}}}}', 400, "invalid_param", "messages"),
    ("J-11 stream string", START + ',"stream":"true"}', 400, "invalid_param", "stream"),
    ("J-11 temperature string", START + ',"temperature":"0"}', 400, "invalid_param", "temperature"),
    *[(f"J-11 max_tokens {v}", START + f',"max_tokens":{v}}}', 400, "invalid_param", "max_tokens") for v in ("-1", "1.5", "1e18")],
    *[(f"J-11 n {v}", START + f',"n":{v}}}', 400, "invalid_param", "n") for v in ("0", "1000")],
    ("J-11 stop", START + ',"stop":[' + ",".join(['"a"'] * 10_000) + "]}", 400, "invalid_param", "stop"),
    ("J-14 NUL in model", CHAT.replace(MODEL, MODEL + "\\u0000"), 404, "model_not_found", "model"),
]

# id and label, body: 200, and the body reaches the backend byte for byte.
TAKEN = [
    ("J-04 depth 128", nested(128)),
    ("J-07 underflow", START + ',"seed":0,"temperature":1e-400}'),
    ("J-07 minus zero", START + ',"temperature":-0}'),
    ("J-12 unknown fields", START + ',"x_unknown":{"deep":[1,2.50,"\\u00e4"]},  "y":null}'),
    ("J-14 NUL in user", with_value('"a\\u0000b"')),
    ("J-19 SSE in a prompt", with_value('"data: [DONE]\\n\\ndata: {\\"error\\":{}}\\r\\n: x"')),
    ("J-19 separators and ANSI", with_value('"\\u2028\u2028\u2029\\u001b[31m"')),
]

HUGE = [
    ("J-13 9.9 MB of blanks", CHAT[:-1] + " " * 9_900_000 + "}"),
    ("J-13 9.9 MB in a string", with_value('"' + "x" * 9_900_000 + '"')),
    ("J-13 a million elements", with_value("[" + ",".join(["1"] * 1_000_000) + "]")),
    ("J-13 100,000 keys", with_value("{" + ",".join(f'"k{i}":1' for i in range(100_000)) + "}")),
]

HEADERS = [  # id and label, headers, status
    ("J-15 none", None, 200), ("J-15 text", "text/plain", 415), ("J-15 form", "application/x-www-form-urlencoded", 415),
    ("J-15 multipart", "multipart/form-data; boundary=x", 415), ("J-15 parameters", "application/json; charset=utf-8", 200),
    ("J-15 capitals", "Application/JSON", 200), ("J-02 charset utf-16", "application/json; charset=utf-16", 415),
]


@table("refused", REFUSED)
@table("taken", TAKEN)
@table("taken", HUGE)
@table("typed", HEADERS)
@table("encoded", [(f"J-16 {name}", name) for name in ("gzip", "br", "zstd", "deflate", "identity, gzip")])
class Bodies(FaultCase):
    @classmethod
    def make_world(cls):
        def config(world):
            wire = world.sims["up"].wire
            return {
                "server": {"listeners": [{"address": "127.0.0.1:0"}]},
                "models": [{"name": p, "cluster": "up"} for p in (MODEL, "fault:malformed:json")],
                "clusters": [cluster("up", [endpoint(wire)])],
            }
        return World(config, sims=("up",))

    def setUp(self):
        super().setUp()
        self.up = self.world.sims["up"]
        self.up.reset()

    def ask(self, client, body, headers=()):
        return h2_client.ask(client, self.gateway.address, PATH, body, [("x-request-id", self.request_id()), *headers])

    def refused(self, label, body, status, code, param=None):
        for client in ("h1", "h2"):
            answer = self.ask(client, body)
            self.assertEqual((answer.status, answer.complete), (status, True), answer)
            error = answer.error()
            self.assertEqual(error["type"], "not_found_error" if status == 404 else "invalid_request_error")
            if code is not None:
                self.assertEqual(error["code"], code)
            if param is not None:
                self.assertEqual(error["param"], param)
            if code == INVALID:
                self.assertRegex(error["message"], r"byte \d+")
            self.assertLess(len(answer.body), 500, "the body is not echoed")
        self.assertEqual(self.up.stats()["received"], 0)

    def taken(self, label, body):
        for client in ("h1", "h2"):
            answer = self.ask(client, body)
            self.assertEqual((answer.status, answer.complete), (200, True), answer)
            sent = self.up.last()[-1]["body"].encode("latin-1")
            self.assertTrue(sent == body.encode(), f"{len(sent)} bytes at the backend, {len(body.encode())} sent")

    def typed(self, label, content_type, status):
        with h1_client.Connection(self.gateway.address) as connection:
            lines = [f"POST {PATH} HTTP/1.1", "Host: a", f"Content-Length: {len(CHAT)}"]
            lines += [f"Content-Type: {content_type}"] if content_type else []
            connection.send("\r\n".join(lines).encode() + b"\r\n\r\n" + CHAT.encode())
            answer = connection.read_response()
        self.assertEqual(answer.status, status)
        if status == 415:
            self.assertEqual(answer.error()["code"], "unsupported_media")
        self.assertEqual(self.up.stats()["received"], int(status == 200))

    def encoded(self, label, coding):
        bomb = gzip.compress(b"\0" * 10_000_000)
        for client in ("h1", "h2"):
            before = self.gateway.rss_bytes()
            answer = self.ask(client, bomb, [("content-encoding", coding)])
            self.assertEqual((answer.status, answer.error()["code"]), (415, "unsupported_media"))
            self.assertLess(self.gateway.rss_bytes() - before, 5_000_000)

    def test_a_body_that_is_not_encoded_may_say_so(self):
        for coding in ("identity", "Identity"):
            for client in ("h1", "h2"):
                self.assertEqual(self.ask(client, CHAT, [("content-encoding", coding)]).status, 200)

    def test_J_17_one_byte_pieces(self):
        with h1_client.Connection(self.gateway.address) as connection:
            request = connection.request_bytes("POST", PATH, CHAT, [("x-request-id", self.request_id())])
            for byte in request:
                connection.send(bytes([byte]))
            self.assertEqual(connection.read_response().status, 200)
        self.assertEqual(self.up.last()[-1]["body"], CHAT)

    def test_J_17_every_split(self):
        with h1_client.Connection(self.gateway.address) as connection:
            request = connection.request_bytes("POST", PATH, CHAT)
            expected = None
            for at in range(1, len(request)):
                connection.send(request[:at])
                connection.send(request[at:])
                answer = connection.read_response()
                text = answer.json()["choices"]
                expected = expected or text
                self.assertEqual((answer.status, text), (200, expected), at)

    def test_J_18_broken_answer_of_the_backend(self):
        for client in ("h1", "h2"):
            answer = self.ask(client, CHAT.replace(MODEL, "fault:malformed:json"))
            self.assertEqual((answer.status, answer.complete), (200, True), answer)
            with self.assertRaises(ValueError):
                answer.json()

    def test_J_19_one_log_line(self):
        self.ask("h1", CHAT.replace(MODEL, "evil\\n{\\\"status\\\":200}\\u001b[31m\\u2028"))
        line = self.gateway.line_of(self.asked[-1])
        self.assertEqual((line["status"], line["term"]), (404, "NR"))


if __name__ == "__main__":
    harness.main()
