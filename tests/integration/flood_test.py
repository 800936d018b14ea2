"""Connections that never say a word, as many as one core opens (FAULTS P-15): the canary on its connection and clients that come new are
served meanwhile, the flooding address has no more connections than it may, and afterwards nothing is left.
flood_test.py [--seconds N]: each flood lasts so long, 4 without it."""

import json
import subprocess
import sys
import time

import h1_client
import harness
from cache_test import CHAT, chat
from harness import FaultCase, World, cluster, endpoint, until

SECONDS = 4.0
FLOODER, HELD = "127.0.0.9", 2000
CAP = 100
NEW_MEDIAN_S, NEW_SLOWEST_S = 0.3, 5.0  # a lost SYN is repeated after 1 and 3 seconds; sanitizers, two cores
KILLED = 'penstock_connections_killed_total{reason="connections_per_ip"}'


class FloodCase(FaultCase):
    limits = {}

    @classmethod
    def make_world(cls):
        def config(world):
            return {"server": {"listeners": [{"address": "127.0.0.1:0"}], "workers": 1, "limits": cls.limits}, "cache": {"enabled": False},
                    "log": {"access": "off"}, "models": [{"name": "m", "upstream_name": "sim:0:4:0", "cluster": "c"}],
                    "clusters": [cluster("c", [endpoint(world.sims["good"].address)])]}
        return World(config, sims=("good",))

    def flood(self):
        """What the flooder says of itself, and what others see meanwhile."""
        port = self.gateway.address.rpartition(":")[2]
        program = [harness.BIN / "connect_flood", port, FLOODER, str(SECONDS), str(HELD)]
        cpu, seen = self.gateway.cpu_seconds(), len(self.world.canary.took_ms)
        took, files = [], 0
        flooder = subprocess.Popen(program, stdout=subprocess.PIPE, text=True)
        try:
            while flooder.poll() is None:
                began = time.monotonic()
                with h1_client.Connection(self.gateway.address) as connection:
                    self.assertEqual(connection.ask("POST", CHAT, chat(f"flood {len(took)}")).status, 200)
                took.append(time.monotonic() - began)
                files = max(files, self.gateway.open_files())
                harness.pause(0.02)
        finally:
            flooder.kill()
            said = flooder.communicate()[0].split()
        took.sort()
        canary = sorted(self.world.canary.took_ms[seen:])
        found = {"connects/s": int(said[0]), "that got through": int(said[1]), "that failed": int(said[2]), "new clients": len(took),
                 "new median ms": round(took[len(took) // 2] * 1000), "new slowest ms": round(took[-1] * 1000),
                 "canary median ms": round(canary[len(canary) // 2]), "canary slowest ms": round(canary[-1]), "files": files,
                 "core busy": round((self.gateway.cpu_seconds() - cpu) / SECONDS, 2)}
        print(json.dumps(found), file=sys.stderr)
        self.assertGreater(found["connects/s"], 2000, "it is a flood")
        self.assertLess(took[len(took) // 2], NEW_MEDIAN_S, found)
        self.assertLess(took[-1], NEW_SLOWEST_S, found)
        self.assertLess(canary[len(canary) // 2], harness.CANARY_MEDIAN_MS, found)
        self.assertGreater(len(canary), SECONDS * 2, "ten a second are asked")
        until(lambda: self.gateway.open_files() <= self.world.files_at_start + 20, "they are gone", harness.REST_LIMIT)
        return found


class OneAddress(FloodCase):
    limits = {"connections_per_ip": CAP}

    def test_P_15_a_flood_from_one_address(self):
        found = self.flood()
        self.assertLess(found["files"], self.world.files_at_start + CAP + 30)
        until(lambda: self.gateway.metrics()[KILLED] > 1000, "those beyond the cap are counted")


class NoCap(FloodCase):
    def test_P_15_a_flood_without_a_cap(self):
        self.flood()


if __name__ == "__main__":
    SECONDS = harness.number_option("--seconds", SECONDS)
    harness.main()
