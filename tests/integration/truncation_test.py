"""Streams that break in their middle, by chance: every way to break x family x protocol on both sides x place. None of them may be
presented as success. truncation_test.py [--count N]: N faults, 2,000 without it; PENSTOCK_SEED replays a run."""

import json
import os
import random
import sys
import threading

import h1_client
import h2_client
import harness
from harness import FaultCase, World, cluster, endpoint
from upstream_faults_test import PATHS, UPSTREAM, body_of

THREADS = 6
KINDS = ["U-07 fault:cut", "U-07 fault:reset", "U-08 fault:split:cut", "U-08 fault:split:end", "U-08 fault:split:reset", "U-09 fault:close",
         "U-10 fault:end"]
PLACES = ["role", 1, 2, 5, 8]
TERMINAL = ("data: [DONE]", "message_stop", "response.completed")
COUNT = 2000


def programs():
    return [f"{kind.split()[1]}:after={place}" for kind in KINDS for place in PLACES]


class Truncation(FaultCase):
    @classmethod
    def make_world(cls):
        def config(world):
            wire = world.sims["faulty"].wire
            return {"server": {"listeners": [{"address": "127.0.0.1:0"}]}, "log": {"access": "off"} if COUNT > 10_000 else {},
                    "models": [{"name": f"{u}|{p}", "upstream_name": p, "cluster": u} for u in UPSTREAM for p in programs()],
                    "clusters": [cluster(u, [endpoint(wire, p)]) for u, p in UPSTREAM.items()]}
        return World(config, sims=("faulty",), sim_arguments={"faulty": ["--record", "0"]})

    def test_U_07_U_08_U_09_U_10_never_presented_as_success(self):
        seed = int(os.environ.get("PENSTOCK_SEED", random.SystemRandom().randrange(1 << 32)))
        print(f"seed {seed}, {COUNT} faults", file=sys.stderr)
        bad, done, lock = [], [0, 0], threading.Lock()

        def run(thread):
            choose, connections = random.Random(f"{seed} {thread}"), {}
            for _ in range(COUNT // THREADS + 1):
                program, family = choose.choice(programs()), choose.choice(list(PATHS))
                upstream, client = choose.choice(list(UPSTREAM)), choose.choice(["h1", "h2"])
                try:
                    answer = self.one(connections, client, PATHS[family], body_of(f"{upstream}|{program}", family))
                except Exception as error:  # noqa: BLE001 - reported with its case
                    answer, verdict = error, "no answer"
                else:
                    text = answer.body.decode("utf-8", "replace")
                    success = answer.complete and answer.status == 200 or any(mark in text for mark in TERMINAL)
                    silent = answer.status == 200 and "error" not in text and "response.failed" not in text
                    verdict = "presented as success" if success else "no error told" if silent else ""
                with lock:
                    done[0] += 1
                    done[1] += getattr(answer, "status", 0) == 200
                    if verdict:
                        bad.append((verdict, program, family, client, upstream, repr(answer)))
        threads = [threading.Thread(target=run, args=(i,), daemon=True) for i in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(bad[:3], [], f"{len(bad)} of {done[0]}, seed {seed}")
        self.assertGreater(done[1], COUNT // 2, "most of them broke behind the commit")
        print(f"{done[0]} faults, {done[1]} of them behind the commit, none presented as success", file=sys.stderr)

    def one(self, connections, client, path, body):
        """HTTP/2 connections go on after a broken stream, HTTP/1.1 ones do not."""
        if client == "h1":
            return h2_client.ask("h1", self.gateway.address, path, body)
        connection = connections.get("h2")
        if connection is None or connection.closed or connection.goaway or len(connection.streams) > 500:
            if connection is not None:
                connection.close()
            connection = connections["h2"] = h2_client.Connection(self.gateway.address)
        return connection.ask("POST", path, body, [("content-type", "application/json")])


if __name__ == "__main__":
    if "--count" in sys.argv:
        at = sys.argv.index("--count")
        COUNT = int(sys.argv[at + 1])
        del sys.argv[at:at + 2]
    harness.main()
