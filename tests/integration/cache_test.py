"""The response cache through the real gateway: what is a hit, in which form, for whom, and what is never kept (CONTRACT 6;
FAULTS K-01 to K-18)."""

import hashlib
import json

import h1_client
import harness
from harness import FaultCase, World, cluster, endpoint, until

CHAT = "/v1/chat/completions"
MODEL = "sim:0:6:0"


def digest(key):
    return hashlib.sha256(key.encode()).hexdigest()


def chat(prompt, stream=False, model="m", **fields):
    body = {"model": model, "messages": [{"role": "user", "content": prompt}], "temperature": 0, "max_tokens": 4096, **fields}
    if stream:
        body["stream"] = True
    return json.dumps({name: value for name, value in body.items() if value is not None}).encode()


class CacheCase(FaultCase):
    """Models of the faulty backend are asked for by their program's name: `m` is one that answers well."""

    programs = ()
    cache = {}
    auth = {}
    server = {}

    @classmethod
    def make_world(cls):
        def config(world):
            models = [{"name": "m", "upstream_name": MODEL, "cluster": "c"},
                      {"name": "slow", "upstream_name": "sim:300:6:0", "cluster": "c"},
                      {"name": "paced", "upstream_name": "sim:50:20:10000", "cluster": "c"},
                      {"name": "brief", "upstream_name": MODEL, "cluster": "c", "cache": {"ttl": "1s"}},
                      {"name": "never", "upstream_name": MODEL, "cluster": "c", "cache": {"ttl": "0s"}},
                      {"name": "always", "upstream_name": MODEL, "cluster": "c", "cache": {"store": "always"}},
                      {"name": "asked", "upstream_name": MODEL, "cluster": "c", "cache": {"store": "opt_in"}},
                      *({"name": program, "cluster": "c"} for program in cls.programs)]
            return {"server": {"listeners": [{"address": "127.0.0.1:0"}], "workers": 2, **cls.server}, "models": models, "cache": cls.cache,
                    "clusters": [cluster("c", [endpoint(world.sims["faulty"].address)], retry={"attempts": 1},
                                         timeouts={"headers": "2s", "first_token": "2s", "idle": "700ms", "total": "20s"})],
                    "auth": cls.auth}
        return World(config, sims=("faulty",))

    def setUp(self):
        super().setUp()
        self.sim = self.world.sims["faulty"]

    def ask(self, body, headers=(), path=CHAT, connection=None):
        """The answer; `.cache` is what the gateway says of the cache."""
        headers = [("x-request-id", self.request_id()), ("content-type", "application/json"), *headers]
        with connection or h1_client.Connection(self.gateway.address) as connection:
            answer = connection.ask("POST", path, body, headers)
        answer.cache = answer.header("x-penstock-cache")
        return answer

    def caches(self, body, times=2, **more):
        return [self.ask(body, **more).cache for _ in range(times)]

    def replayed(self, answer):
        """What every answer says that is another request's, whose ever it was (FAULTS K-12)."""
        self.assertEqual((answer.header("cache-control"), answer.header("vary")), ("private, no-store", "Authorization"))
        self.assertEqual(answer.header("x-request-id"), self.asked[-1])

    def received(self):
        return self.sim.stats()["received"]

    def admin(self, method, path, body=None):
        with h1_client.Connection(self.gateway.admin) as connection:
            answer = connection.ask(method, path, json.dumps(body).encode() if body is not None else b"")
        return answer

    def purge(self, what):
        answer = self.admin("POST", "/admin/cache/purge", what)
        self.assertEqual(answer.status, 200, answer.body)
        return answer.json()


class Hits(CacheCase):
    cache = {"max_entry": "32KiB", "memory": {"size": "8MiB"}}
    programs = ("sim-bytes:1000", "sim-bytes:200000", "sim:0:3000:0")

    def test_K_12_a_hit_replays_the_answer(self):
        miss = self.ask(chat("what is a penstock?"))
        received = self.received()
        hit = self.ask(chat("what is a penstock?"))
        self.assertEqual((miss.cache, hit.cache), ("miss", "hit-memory"))
        self.assertEqual(hit.body, miss.body)
        self.assertEqual(self.received(), received)
        self.replayed(hit)
        self.assertEqual(hit.header("x-penstock-model"), "m")
        self.assertEqual(int(hit.header("content-length")), len(miss.body))
        self.assertLess(int(hit.header("age")), 60)
        self.assertIsNone(miss.header("age"))
        line = self.gateway.line_of(self.asked[-1])
        self.assertEqual((line["cache"], line["attempts"], line["endpoint"], line["model_answered"]), ("hit-memory", 0, None, "m"))
        self.assertEqual((line["tokens_in"], line["tokens_out"]), (None, None), "tokens are billed once")

    def test_K_12_a_stream_is_replayed_byte_for_byte(self):
        miss, hit = self.ask(chat("stream it", stream=True)), self.ask(chat("stream it", stream=True))
        self.assertEqual((miss.cache, hit.cache), ("miss", "hit-memory"))
        self.assertEqual(hit.body, miss.body)
        self.assertTrue(hit.body.endswith(b"data: [DONE]\n\n"))
        self.assertTrue(hit.header("content-type").startswith("text/event-stream"))
        self.replayed(hit)
        self.replayed(self.ask(chat("stream it")))

    def test_K_06_usage_is_for_those_who_ask(self):
        asked = {"stream_options": {"include_usage": True}}
        with_usage = self.ask(chat("usage?", stream=True, **asked))
        without = self.ask(chat("usage?", stream=True))
        again = self.ask(chat("usage?", stream=True, **asked))
        self.assertEqual([a.cache for a in (with_usage, without, again)], ["miss", "hit-memory", "hit-memory"])
        self.assertEqual(again.body, with_usage.body)
        self.assertIn(b'"usage":{', with_usage.body)
        self.assertNotIn(b'"choices":[],', without.body.replace(b" ", b""))

    def test_K_06_a_stream_answers_who_does_not_stream(self):
        miss = self.ask(chat("both ways", stream=True))
        hit = self.ask(chat("both ways"))
        self.assertEqual((miss.cache, hit.cache), ("miss", "hit-memory"))
        message = hit.json()["choices"][0]
        text = "".join(json.loads(event)["choices"][0]["delta"].get("content") or "" for event in data_of(miss) if event != "[DONE]" and json.loads(event)["choices"])
        self.assertEqual((message["message"]["content"], message["finish_reason"]), (text, "stop"))
        self.assertIn("usage", hit.json())
        self.assertEqual(hit.json()["id"], json.loads(data_of(miss)[0])["id"])

    def test_K_06_a_whole_answer_answers_who_streams(self):
        miss = self.ask(chat("and back"))
        hit = self.ask(chat("and back", stream=True))
        self.assertEqual((miss.cache, hit.cache), ("miss", "hit-memory"))
        events = data_of(hit)
        self.assertEqual(events[-1], "[DONE]")
        chunks = [json.loads(event) for event in events[:-1]]
        text = "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks)
        self.assertEqual(text, miss.json()["choices"][0]["message"]["content"])
        self.assertEqual({chunk["id"] for chunk in chunks}, {miss.json()["id"]})
        self.assertEqual(chunks[-1]["choices"][0]["finish_reason"], "stop")

    def test_every_family_that_is_deterministic_by_nature(self):
        for path, body in (("/v1/embeddings", {"model": "m", "input": "x"}), ("/tokenize", {"model": "m", "prompt": "x"}),
                           ("/detokenize", {"model": "m", "tokens": [1]}), ("/v1/score", {"model": "m", "text_1": "a", "text_2": "b"}),
                           ("/v1/rerank", {"model": "m", "query": "a", "documents": ["b"]})):
            with self.subTest(path):
                self.assertEqual(self.caches(json.dumps(body).encode(), path=path), ["miss", "hit-memory"])

    def test_responses_and_messages(self):
        for path, body in (("/v1/responses", {"model": "m", "input": "x", "temperature": 0}),
                           ("/v1/messages", {"model": "m", "max_tokens": 4096, "messages": [{"role": "user", "content": "x"}], "temperature": 0})):
            for stream in (False, True):
                with self.subTest(path, stream=stream):
                    asked = json.dumps({**body, "stream": stream}).encode()
                    self.assertIn(self.caches(asked, path=path)[1], ("hit-memory",))

    def test_K_02_key_order_and_blanks_do_not_matter_values_do(self):
        self.assertEqual(self.ask(b'{"model":"m","temperature":0,"messages":[{"role":"user","content":"order"}]}').cache, "miss")
        self.assertEqual(self.ask(b'{ "messages" : [ {"content":"order", "role":"user"} ], "temperature":0, "model":"m" }').cache, "hit-memory")
        for changed in (b'"temperature":0.0', b'"temperature":0,"top_p":1', b'"temperature":0,"seed":1', b'"temperature":0,"unknown":null'):
            self.assertEqual(self.ask(b'{"model":"m",%s,"messages":[{"role":"user","content":"order"}]}' % changed).cache, "miss", changed)
        self.assertEqual(self.ask(b'{"model":"m","temperature":0,"messages":[{"role":"user","content":"order"}]}',
                                  [("openai-beta", "x")]).cache, "miss")

    def test_K_04_sampled_and_unwilling_requests_go_by(self):
        self.assertEqual(self.caches(chat("sampled", temperature=None)), ["bypass", "bypass"])
        self.assertEqual(self.caches(chat("sampled", temperature=0.7)), ["bypass", "bypass"])
        self.assertEqual(self.caches(chat("seeded", temperature=0.7, seed=7)), ["miss", "hit-memory"])
        self.assertEqual(self.caches(chat("no-store"), headers=[("cache-control", "no-store")]), ["miss", "miss"])
        self.assertEqual(self.ask(chat("kept")).cache, "miss")
        self.assertEqual(self.ask(chat("kept"), [("cache-control", "no-cache")]).cache, "miss")
        self.assertEqual(self.ask(chat("kept"), [("x-penstock-cache", "bypass")]).cache, "bypass")
        for wishes in (["use, bypass"], ["use", "bypass"], ["bypass", "use"]):  # RFC 9110 5.3: lines are one list
            self.assertEqual(self.ask(chat("kept"), [("x-penstock-cache", wish) for wish in wishes]).cache, "bypass", wishes)
        self.assertEqual(self.ask(chat("kept")).cache, "hit-memory")

    def test_refresh_replaces_what_was_there(self):
        self.assertEqual(self.caches(chat("again")), ["miss", "hit-memory"])
        received = self.received()
        self.assertEqual(self.ask(chat("again"), [("x-penstock-cache", "refresh")]).cache, "miss")
        self.assertEqual(self.received(), received + 1)
        self.assertEqual(self.ask(chat("again")).cache, "hit-memory")

    def test_use_asks_for_what_is_not_kept_by_itself(self):
        use = [("x-penstock-cache", "use")]
        self.assertEqual(self.caches(chat("warm", temperature=0.9), headers=use), ["miss", "hit-memory"])
        self.assertEqual(self.caches(chat("x", model="asked")), ["bypass", "bypass"])
        self.assertEqual(self.caches(chat("x", model="asked"), headers=use), ["miss", "hit-memory"])
        self.assertEqual(self.caches(chat("x", model="always", temperature=0.9)), ["miss", "hit-memory"])

    def test_K_11_time_to_live(self):
        self.assertEqual(self.caches(chat("x", model="never")), ["bypass", "bypass"])
        self.assertEqual(self.caches(chat("x", model="brief")), ["miss", "hit-memory"])
        until(lambda: self.ask(chat("x", model="brief")).cache == "miss", "an expired answer is gone")

    def test_K_10_what_is_too_large_is_relayed_and_not_kept(self):
        self.assertEqual(self.caches(chat("x", model="sim-bytes:1000")), ["miss", "hit-memory"])
        for stream in (False, True):
            answers = [self.ask(chat("x", model="sim-bytes:200000", stream=stream)) for _ in range(2)]
            self.assertEqual([answer.cache for answer in answers], ["miss", "miss"])
            self.assertGreater(len(answers[0].body), 100_000)
        self.assertEqual(self.caches(chat("x", model="sim:0:3000:0", stream=True)), ["miss", "miss"])

    def test_K_09_an_answer_that_was_cut_short_is_not_kept(self):
        self.assertEqual(self.caches(chat("long", max_tokens=2)), ["miss", "miss"])
        self.assertEqual(self.caches(chat("long", max_tokens=2, stream=True)), ["miss", "miss"])

    def test_errors_of_the_request_say_nothing_of_the_cache(self):
        answer = self.ask(b"{", ())
        self.assertEqual((answer.status, answer.cache), (400, None))

    def test_the_admin_page_tells_what_is_held(self):
        self.caches(chat("counted"))
        page = self.admin("GET", "/admin/cache").json()
        self.assertTrue(page["enabled"])
        self.assertGreater(page["memory"]["entries"], 0)
        self.assertGreater(page["memory"]["hits"], 0)
        self.assertLessEqual(page["memory"]["bytes"], page["memory"]["size"])
        self.assertEqual([tenant["name"] for tenant in page["memory"]["tenants"]], ["anonymous"])
        metrics = self.gateway.metrics()
        self.assertGreater(metrics['penstock_cache_lookups_total{tier="memory",result="hit"}'], 0)
        self.assertGreater(metrics['penstock_cache_entries{tier="memory"}'], 0)

    def test_K_18_purges_take_effect_at_once(self):
        def warm():
            return [self.caches(chat("purged", model=model))[1] for model in ("m", "always")]
        self.assertEqual(warm(), ["hit-memory", "hit-memory"])
        answer = self.purge({"model": "m"})
        self.assertEqual((answer["raised"], answer["redis"], answer["disk"]), ("model:m", "off", "off"))
        self.assertGreaterEqual(answer["removed_from_memory"], 1)
        self.assertEqual([self.ask(chat("purged", model=model)).cache for model in ("m", "always")], ["miss", "hit-memory"])
        self.assertEqual(self.purge({"tenant": "anonymous"})["raised"], "tenant:anonymous")
        self.assertEqual([self.ask(chat("purged", model=model)).cache for model in ("m", "always")], ["miss", "miss"])
        self.assertEqual(self.purge({"all": True})["raised"], "all")
        self.assertEqual(self.ask(chat("purged")).cache, "miss")

    def test_purges_that_mean_nothing(self):
        for what, status in (({"model": "nobody"}, 404), ({"tenant": "nobody"}, 404), ({"all": False}, 400), ({}, 400), ([], 400),
                             ({"key": "abc"}, 400), ({"model": "m", "all": True}, 400), ({"model": 1}, 400)):
            with self.subTest(what):
                self.assertEqual(self.admin("POST", "/admin/cache/purge", what).status, status)


def data_of(answer):
    return [line[6:] for line in answer.body.decode().splitlines() if line.startswith("data: ")]


class Exposed(CacheCase):
    server = {"expose_upstream": True}

    def test_K_18_one_answer_is_purged_by_its_key(self):
        key = self.ask(chat("one")).header("x-penstock-cache-key")
        self.assertRegex(key, "^[0-9a-f]{64}$")
        self.assertEqual([self.ask(chat(prompt)).cache for prompt in ("one", "two", "two")], ["hit-memory", "miss", "hit-memory"])
        self.assertEqual(self.purge({"key": key})["removed_from_memory"], 1)
        self.assertEqual([self.ask(chat(prompt)).cache for prompt in ("one", "two")], ["miss", "hit-memory"])

    def test_K_18_what_is_under_way_is_not_kept(self):
        """Nor does anybody join it: who asks when the purge has returned has a call of its own."""
        purges = {"model": lambda key: {"model": "slow"}, "tenant": lambda key: {"tenant": "anonymous"}, "all": lambda key: {"all": True},
                  "key": lambda key: {"key": key}}
        for name, what in purges.items():
            for headers, ends_first in (((), False), ((), True), ([("x-penstock-cache", "refresh")], True)):
                with self.subTest(name, headers=headers, ends_first=ends_first):
                    body = chat("under way", model="slow")
                    key = self.ask(body).header("x-penstock-cache-key")
                    self.purge({"key": key})
                    received = self.received()
                    with h1_client.Connection(self.gateway.address) as connection:
                        connection.send(connection.request_bytes("POST", CHAT, body, headers))
                        until(lambda: self.received() == received + 1, "the call")
                        self.purge(what(key))
                        if ends_first:
                            self.assertEqual(connection.read_response().status, 200)
                            self.assertEqual(self.ask(body).cache, "miss")
                        else:
                            self.assertEqual(self.ask(body).cache, "miss")
                            self.assertEqual(connection.read_response().status, 200)
                    self.assertEqual(self.received(), received + 2)


class Tenants(CacheCase):
    auth = {"allow_anonymous": True, "keys": [{"name": "a", "key_sha256": digest("key-a")}, {"name": "b", "key_sha256": digest("key-b")}]}

    def key(self, name):
        return [("authorization", f"Bearer key-{name}")]

    def test_K_01_one_tenant_never_sees_anothers_answer(self):
        for headers in (self.key("a"), self.key("b"), ()):
            self.assertEqual(self.caches(chat("same"), headers=headers), ["miss", "hit-memory"])

    def test_K_05_a_wrong_key_gets_no_hit(self):
        self.caches(chat("mine"), headers=self.key("a"))
        answer = self.ask(chat("mine"), self.key("c"))
        self.assertEqual((answer.status, answer.cache), (401, None))

    def test_K_18_a_tenants_purge_is_its_own(self):
        for name in ("a", "b"):
            self.caches(chat("both"), headers=self.key(name))
        self.purge({"tenant": "a"})
        self.assertEqual([self.ask(chat("both"), self.key(name)).cache for name in ("a", "b")], ["miss", "hit-memory"])


class Shared(CacheCase):
    auth = {"keys": [{"name": "a", "key_sha256": digest("key-a")}, {"name": "b", "key_sha256": digest("key-b")}], "allow_anonymous": True}
    cache = {"partition": "none"}

    def test_one_for_all(self):
        self.assertEqual([self.ask(chat("same"), [("x-api-key", f"key-{name}")]).cache for name in "ab"], ["miss", "hit-memory"])
        self.assertEqual(self.admin("POST", "/admin/cache/purge", {"tenant": "a"}).status, 400)


class Together(CacheCase):
    """Requests that are under way at once."""

    def start(self, count, bodies, headers=lambda i: ()):
        """Asks `count` at once; the answers, when all are there."""
        def ask(i):
            with h1_client.Connection(self.gateway.address) as connection:
                return connection.ask("POST", CHAT, bodies(i), [("x-request-id", self.request_id()), *headers(i)])
        return harness.all_at_once(count, ask)

    def test_K_13_many_at_once_are_one_call(self):
        for stream in (False, True):
            with self.subTest(stream=stream):
                received = self.received()
                answers = self.start(100, lambda i: chat("stampede", model="slow", stream=stream, n=1, seed=int(stream)))
                self.assertEqual({answer.status for answer in answers}, {200})
                self.assertEqual(len({answer.body for answer in answers}), 1)
                self.assertEqual(self.received(), received + 1)
                caches = [answer.header("x-penstock-cache") for answer in answers]
                self.assertEqual(caches.count("miss"), 1)
                self.assertEqual(caches.count("coalesced") + caches.count("hit-memory"), 99)
                self.assertGreater(caches.count("coalesced"), 50)

    def test_the_other_form_is_made_once(self):
        """And goes with the entry that it was made from."""
        whole = self.ask(chat("two forms"))
        received, entries = self.received(), self.admin("GET", "/admin/cache").json()["memory"]["entries"]
        for usage in (None, {"include_usage": True}):
            answers = [self.ask(chat("two forms", stream=True, stream_options=usage)) for _ in range(3)]
            self.assertEqual({(answer.cache, answer.body) for answer in answers}, {("hit-memory", answers[0].body)})
            entries += 1
            self.assertEqual(self.admin("GET", "/admin/cache").json()["memory"]["entries"], entries)
        refreshed = self.ask(chat("two forms"), headers=[("x-penstock-cache", "refresh")])
        self.assertNotEqual(refreshed.json()["id"], whole.json()["id"])
        events = self.ask(chat("two forms", stream=True)).events()
        self.assertEqual(json.loads(events[0])["id"], refreshed.json()["id"])
        self.assertEqual(self.received(), received + 1)

    def test_both_forms_share_one_call(self):
        received = self.received()
        answers = self.start(20, lambda i: chat("mixed", model="slow", stream=i % 2 == 0))
        self.assertEqual({answer.status for answer in answers}, {200})
        self.assertEqual(self.received(), received + 1)
        texts = {"".join(json.loads(e)["choices"][0]["delta"].get("content") or "" for e in data_of(a)[:-1] if json.loads(e)["choices"]) for a in answers[::2]}
        texts |= {answer.json()["choices"][0]["message"]["content"] for answer in answers[1::2]}
        self.assertEqual(len(texts), 1)

    def test_a_late_joiner_has_the_prefix_then_follows(self):
        first = h1_client.Connection(self.gateway.address)
        self.addCleanup(first.close)
        body = chat("late", model="paced", stream=True)
        first.send(first.request_bytes("POST", CHAT, body, [("x-request-id", self.request_id())]))
        head = first.read_head()
        first.wait_body(head, b'"content"')
        received = self.received()
        late = self.ask(body)
        first.read_body(head)
        self.assertEqual(late.cache, "coalesced")
        self.replayed(late)
        self.assertEqual(late.body, head.body)
        self.assertEqual(self.received(), received)

    def test_K_14_a_leader_that_leaves_does_not_take_the_answer_along(self):
        leader = h1_client.Connection(self.gateway.address)
        body = chat("left", model="slow")
        received = self.received()
        leader.send(leader.request_bytes("POST", CHAT, body, [("x-request-id", self.request_id())]))
        until(lambda: self.received() == received + 1, "the leader's call")
        follower = h1_client.Connection(self.gateway.address)
        self.addCleanup(follower.close)
        follower.send(follower.request_bytes("POST", CHAT, body, [("x-request-id", self.request_id())]))
        until(lambda: self.admin("GET", "/metrics").body.decode().count("penstock_inflight_requests 3") or
              self.gateway.metrics()["penstock_inflight_requests"] >= 2, "both are under way")
        leader.abort()
        answer = follower.read_response()
        self.assertEqual((answer.status, answer.header("x-penstock-cache")), (200, "coalesced"))
        self.assertEqual(self.received(), received + 1)

    def test_K_14_when_all_have_left_the_call_is_cancelled(self):
        body = chat("all left", model="paced", stream=True)
        cancelled = self.sim.stats()["cancelled"]
        connections = [h1_client.Connection(self.gateway.address) for _ in range(2)]
        for connection in connections:
            connection.send(connection.request_bytes("POST", CHAT, body, [("x-request-id", self.request_id())]))
            head = connection.read_head()
            connection.wait_body(head, b'"content"')
        for connection in connections:
            connection.abort()
        until(lambda: self.sim.stats()["cancelled"] == cancelled + 1, "the cancelled call")

    def test_a_followers_deadline_is_its_own(self):
        answers = self.start(2, lambda i: chat("deadline", model="slow"), lambda i: [("x-penstock-timeout-ms", "100" if i else "10000")])
        self.assertEqual([answer.status for answer in answers], [200, 504])


if __name__ == "__main__":
    harness.main()
