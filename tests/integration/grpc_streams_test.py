"""A thousand gRPC streams at once over a few connections: each is complete and right, also while others are cancelled, and what they
took comes back.
grpc_streams_test.py [--rounds N]: so often, 2 without it; a share is cancelled in every other round."""

import itertools
import json
import struct
import sys
import threading
import time

import h1_client
import h2_client
import harness
from grpc_case import INFERENCE, framed, inference, messages
from harness import FaultCase, World, cluster, endpoint, until

ROUNDS = 2
CONNECTIONS, STREAMS = 10, 100
COUNT = CONNECTIONS * STREAMS
MODEL = "sim:0:80:0"
LONGER = "sim:0:100000:20000"  # of those that will be cancelled: it never comes to its end
PROMPTS = 25
WINDOW = 256  # of a stream, until everybody is there
ROUTE = "grpc_chat_stream"
GROWTH_MAX = 8 << 20  # resident memory, over the second half
LONG = 40  # rounds, for that to mean something
SANITIZED = any(name in (harness.BIN / "penstock").read_bytes() for name in (b"__asan_init", b"__tsan_init"))


def prompt(number):
    return f"prompt {number % PROMPTS}"


class Client(threading.Thread):
    """One connection and its streams, which stand still until `go`; every `share`th is cancelled then."""

    def __init__(self, address, first, share, go):
        super().__init__(daemon=True)
        self.address, self.numbers, self.share, self.go = address, range(first, first + STREAMS), share, go
        self.failure, self.finished = None, {}  # number -> h2_client.Stream
        self.start()

    def run(self):
        try:
            with h2_client.Connection(self.address, initial_settings=[(4, WINDOW)], windows=False) as self.connection:
                self.talk()
        except Exception as error:  # noqa: BLE001 - a thread's last words
            self.failure = repr(error)

    def talk(self):
        streams = {}
        for number in self.numbers:
            model = LONGER if self.leaves(number) else MODEL
            request = inference.ChatRequest(model=model, messages=[inference.Message(role=inference.ROLE_USER, content=prompt(number))])
            fields = [("content-type", "application/grpc"), ("te", "trailers")]
            streams[number] = self.connection.request(framed(request), fields, path=INFERENCE + "ChatStream")
        self.go.wait(harness.HANG)
        self.connection.windows = True
        self.connection.send(credit(0))
        for number, stream in streams.items():
            if self.leaves(number):
                self.connection.send(h2_client.frame(h2_client.RST_STREAM, 0, stream, struct.pack(">I", h2_client.CANCEL)))
            else:
                self.connection.send(credit(stream))
                self.finished[number] = self.connection.stream(stream)
        for number in self.finished:
            self.connection.finish(streams[number])

    def leaves(self, number):
        return self.share and number % self.share == 0


def credit(stream):
    return h2_client.frame(h2_client.WINDOW_UPDATE, 0, stream, struct.pack(">I", 1 << 24))


class Thousand(FaultCase):
    @classmethod
    def make_world(cls):
        def config(world):
            return {"server": {"listeners": [{"address": "127.0.0.1:0"}], "workers": 2}, "cache": {"enabled": False},
                    "models": [{"name": model, "cluster": "c"} for model in (MODEL, LONGER)],
                    "clusters": [cluster("c", [endpoint(world.sims["good"].address, "h2", max_concurrency=2 * COUNT)])]}
        return World(config, sims=("good",), sim_arguments={"good": ["--record", "0"]})

    def test_streams_at_once(self):
        self.expected = {prompt(number): self.text_of(prompt(number)) for number in range(PROMPTS)}
        resident, took, cancelled = [], [], 0
        for number in range(ROUNDS):
            share = (0, 3)[number % 2]
            began = time.monotonic()
            cancelled += self.one_round(share)
            until(lambda: not self.left_behind(), lambda: f"left behind: {self.left_behind()}", harness.REST_LIMIT)
            took.append(time.monotonic() - began)
            resident.append(self.gateway.rss_bytes())
        ends = until(self.all_ends, "an access line for each stream")
        self.assertEqual(ends, {end: count for end, count in {(200, "-"): ROUNDS * COUNT - cancelled, (499, "DC"): cancelled}.items() if count})
        print(json.dumps({"rounds": ROUNDS, "streams": ROUNDS * COUNT, "cancelled": cancelled, "s": round(sum(took), 1),
                          "rss MiB at first, at the half, at last": [round(resident[i] / 2**20, 1) for i in (0, ROUNDS // 2, -1)]}), file=sys.stderr)
        if ROUNDS >= LONG and not SANITIZED:
            self.assertLess(resident[-1] - resident[ROUNDS // 2], GROWTH_MAX)

    def left_behind(self):
        """Nothing but the canary's connection, and what it may have under way."""
        left = self.gateway.not_at_rest(self.world.files_at_start + 1)
        canary = self.world.sims["canary"].address
        ours = {series for series in left if canary not in series and series != "penstock_inflight_requests"}
        return left if ours or left.get("penstock_inflight_requests", 0) > 1 else {}

    def one_round(self, share):
        """How many were cancelled."""
        go = threading.Event()
        sim = self.world.sims["good"]
        sim.reset()
        clients = [Client(self.gateway.address, first, share, go) for first in range(0, COUNT, STREAMS)]
        until(lambda: self.gateway.metrics()["penstock_inflight_requests"] >= COUNT or any(client.failure for client in clients), "all of them")
        until(lambda: sim.stats(MODEL)["received"] + sim.stats(LONGER)["received"] == COUNT, "all of them at the backend")
        go.set()
        for client in clients:
            client.join(3 * harness.HANG)
        self.assertEqual([client.failure for client in clients if client.failure or client.is_alive()], [])
        finished = {number: stream for client in clients for number, stream in client.finished.items()}
        for number, stream in finished.items():
            chunks = [inference.ChatChunk.FromString(message) for message in messages(stream.body)]
            choices = list(itertools.chain.from_iterable(chunk.choices for chunk in chunks))
            self.assertEqual((stream.reset in (None, 0), dict(stream.trailers or ()).get("grpc-status")), (True, "0"), stream)
            self.assertEqual("".join(choice.delta.content for choice in choices), self.expected[prompt(number)])
            self.assertEqual([choice.finish_reason for choice in choices if choice.finish_reason], ["stop"])
        cancelled = COUNT - len(finished)
        until(lambda: (sim.stats(MODEL)["completed"], sim.stats(LONGER)["cancelled"]) == (len(finished), cancelled), lambda: f"their ends: {sim.stats()}")
        return cancelled

    def text_of(self, text):
        """What the simulator itself says to the bytes that the gateway makes of such a message."""
        body = json.dumps({"messages": [{"content": text, "role": "user"}], "model": MODEL}, separators=(",", ":"))
        with h1_client.Connection(self.world.sims["good"].address) as connection:
            answer = connection.ask("POST", "/v1/chat/completions", body)
        return answer.json()["choices"][0]["message"]["content"]

    def all_ends(self):
        lines = [line for line in self.gateway.access_lines() if line["route"] == ROUTE]
        ends = [(line["status"], line["term"]) for line in lines]
        return {end: ends.count(end) for end in set(ends)} if len(ends) >= ROUNDS * COUNT else None


if __name__ == "__main__":
    ROUNDS = harness.number_option("--rounds", ROUNDS)
    harness.main()
