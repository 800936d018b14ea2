"""What the tests of coalescing share: many requests at once, before a backend that answers when the test lets it, so that everybody
is there before anything happens."""

import re
import time

import h1_client
import harness
from cache_test import CHAT, CacheCase, chat
from harness import World, cluster, endpoint, until
from scripted_backend import ByModel, chunk, events, message, plain

OUTCOMES = ("done", "uncacheable", "leader_failed", "leader_gone", "timed_out", "crowded")
FOLLOWERS = 12
FIRST, LAST = [chunk("a penstock "), chunk("is a pipe")], [chunk(finish="stop"), "[DONE]"]
MARK = b"is a pipe"  # the end of FIRST
CUT_HEAD = plain(b"x" * 100_000, kind="text/event-stream").partition(b"\r\n\r\n")[0] + b"\r\n\r\n"  # what it announces never comes


def bytes_of(*data):
    """Of a stream, without its head."""
    return events(*data).partition(b"\r\n\r\n")[2]


def good(_, request):
    return events(*FIRST, *LAST) if request.get("stream") else plain(message())


def in_two(_, request):
    """Whole, with a chance to look at what is there in between: the first half of a stream has content."""
    whole = good(_, request)
    at = whole.index(b"data:") + len(bytes_of(*FIRST)) if request.get("stream") else len(whole) // 2
    return [whole[:at], whole[at:]]


def first_time(bad):
    return lambda number, request: bad if number == 1 else good(number, request)


def status(code, *fields):
    return plain({"error": {"message": f"status {code}", "type": "x", "code": code}}, *fields, status=f"{code} X")


class Crowd:
    """Connections that have asked and not yet read."""

    def __init__(self, test, count, body, headers=(), path=CHAT, **options):
        self.test, self.connections, self.ids = test, [], []
        for i in range(count):
            connection = h1_client.Connection(test.gateway.address, **options)
            test.addCleanup(connection.close)
            self.ids.append(f"{test.id().rpartition('.')[2]}-{time.monotonic_ns()}")
            bytes_of = body(i) if callable(body) else body
            connection.send(connection.request_bytes("POST", path, bytes_of, [("x-request-id", self.ids[-1]), *headers]))
            self.connections.append(connection)

    def heads(self, mark=None):
        """Of each answer, read up to `mark`."""
        heads = [connection.read_head() for connection in self.connections]
        for connection, head in zip(self.connections, heads):
            if mark:
                connection.wait_body(head, mark)
        return heads

    def answers(self, heads=None):
        """Read in the order asked; x-penstock-cache as `.cache`."""
        heads = heads or [connection.read_head() for connection in self.connections]
        for connection, head, request_id in zip(self.connections, heads, self.ids):
            connection.read_body(head)
            head.cache = head.header("x-penstock-cache")
            self.test.assertEqual(head.header("x-request-id"), request_id)
        return heads

    def lines(self):
        """Each has one access line; those."""
        wanted = set(self.ids)

        def look():
            found = [line for line in self.test.gateway.access_lines() if line["request_id"] in wanted]
            return found if len(found) >= len(wanted) else None
        found = until(look, "an access line for each")
        self.test.assertEqual(len(found), len(wanted))
        return found


class CoalescingCase(CacheCase):
    """`models`: those of ByModel, to be let go by the test; `in_cluster`: model -> quick or patient, the others go to c."""

    models = {}
    in_cluster = {}

    @classmethod
    def make_world(cls):
        cls.backend = ByModel(cls.models, held=cls.models)
        cls.addClassCleanup(cls.backend.close)
        to = [endpoint(cls.backend.address)]
        # long enough for everybody to come before the first call is given up
        quick = {"connect": "2s", "headers": "2500ms", "first_token": "2500ms", "idle": "2500ms", "total": "20s"}

        def config(world):
            return {"server": {"listeners": [{"address": "127.0.0.1:0"}], "workers": 2}, "cache": {"max_entry": "8MiB", "memory": {"size": "64MiB"}},
                    "models": [{"name": model, "cluster": cls.in_cluster.get(model, "c")} for model in cls.models],
                    "clusters": [cluster("c", to, retry={"attempts": 1}), cluster("quick", to, retry={"attempts": 1}, timeouts=quick),
                                 cluster("patient", to, retry={"attempts": 2})]}
        return World(config, sims=())

    def setUp(self):
        harness.FaultCase.setUp(self)
        self.backend.forget()
        harness.pause(0.12)  # the metrics are read anew ten times a second: the last test is in them
        self.before = self.counts()

    def body(self, model, stream):
        """No other test's."""
        return chat(self.id(), stream, model)

    def counts(self):
        metrics = self.gateway.metrics()
        return {outcome: metrics.get(f'penstock_coalesced_requests_total{{outcome="{outcome}"}}', 0) for outcome in OUTCOMES}

    def outcomes(self, **expected):
        """Of all that followed in this test so far, and no others."""
        def found():
            now = self.counts()
            return {outcome: now[outcome] - self.before[outcome] for outcome in OUTCOMES if now[outcome] != self.before[outcome]}
        until(lambda: found() == expected, lambda: f"{expected}, there are {found()}")

    def under_way(self, count):
        """Waits until so many requests are in the gateway; the canary's are none of them."""
        canary = re.compile(r'penstock_upstream_inflight\{.*' + re.escape(self.world.sims["canary"].address))
        seen = [0, 0]

        def look():
            metrics = self.gateway.metrics()
            canaries = sum(value for series, value in metrics.items() if canary.match(series))
            seen[:] = [seen[1], metrics["penstock_inflight_requests"] - canaries]
            harness.pause(0.12)
            return min(seen) >= count
        until(look, lambda: f"{count} requests under way, there are {seen}")

    def together(self, model, stream, followers=FOLLOWERS):
        """The leader, who has reached the backend, and those who wait for it."""
        body = self.body(model, stream)
        leader = Crowd(self, 1, body)
        until(lambda: self.backend.received.get(model, 0) == 1, "the leader's call")
        crowd = Crowd(self, followers, body)
        self.under_way(followers + 1)
        self.assertEqual(self.backend.received[model], 1)
        return leader, crowd
