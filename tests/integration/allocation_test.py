"""The n-th allocation fails, for every n (FAULTS P-09): while requests are served it costs that request at most; while the daemon
starts it is a start all the same, or one line and an end. What fails comes from a preloaded library.
allocation_test.py [--rounds N]: so many n for each kind of request and for the start, 30 without it."""

import json
import mmap
import os
import signal
import struct
import subprocess
import sys

import h1_client
import harness
from cache_test import CHAT, chat
from harness import cluster, endpoint, table, until
from tier_case import TierCase

ROUNDS = 30
PATIENCE_S = 5.0
KINDS = {"plain": ("m", False), "stream": ("m", True), "over-http2": ("h2", True), "wide": ("wide", False), "new-connection": ("new", False), "admin": None}
FAULTY = {-signal.SIGSEGV, -signal.SIGBUS, -signal.SIGILL, -signal.SIGFPE, -signal.SIGKILL}
FOR_EVER = 1 << 40


class Allocations(TierCase):
    def setUp(self):
        super().setUp()
        wish = self.folder / "wish"
        wish.write_bytes(bytes(24))
        with open(wish, "r+b") as file:
            self.wish = mmap.mmap(file.fileno(), 24)
        self.addCleanup(self.wish.close)
        # LSan knows the loader's own memory by who asks for it: here that is the preloaded library, always.
        self.environment = {**os.environ, "LD_PRELOAD": str(harness.BIN / "preload/fail_allocation.so"), "PENSTOCK_TEST_ALLOCATION": str(wish),
                            "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0:handle_abort=0:detect_leaks=0"}

    def let(self, succeed, fail=1):
        self.wish[8:16] = bytes(8)
        self.wish[0:8] = struct.pack("<q", succeed)
        self.wish[16:24] = bytes(8)
        self.wish[8:16] = struct.pack("<q", fail)

    def left(self):
        return struct.unpack("<3q", self.wish[:])

    def more(self):
        clusters = [cluster("two", [endpoint(self.sim.address, "h2")]), cluster("new", [endpoint(self.sim.address)], connections={"idle_timeout": "1ms"})]
        models = [{"name": "h2", "upstream_name": "sim:0:6:0", "cluster": "two"}, {"name": "new", "upstream_name": "sim:0:6:0", "cluster": "new"}]
        return {"disk": "one", "models": models, "clusters": clusters, "env": self.environment}


@table("run_kind", [(kind,) for kind in KINDS], name=lambda row: f"P-09 {row[0]}")
class Serving(Allocations):
    def run_kind(self, kind):
        gateway = self.gateway(**self.more())
        for _ in range(4):
            self.assertIn(self.outcome(gateway, kind), ("200",))
        outcomes, failed = {}, 0
        for n in range(ROUNDS):
            self.let(n)
            outcome = self.outcome(gateway, kind)
            failed += self.left()[2]
            self.let(0, 0)
            outcomes[outcome] = outcomes.get(outcome, 0) + 1
            self.assertTrue(gateway.alive(), f"allocation {n}: {gateway.lines['stderr'][-6:]}")
            self.assertNotEqual(outcome, "nothing", f"allocation {n}")
            # Many failures at a time are an overload, which sheds for a second.
            behind = self.outcome(gateway, kind)
            self.assertIn(behind, ("200", "503"), f"behind allocation {n}")
            if behind == "503":
                until(lambda: self.outcome(gateway, kind) == "200", "calm again", 5)
        print(json.dumps({kind: outcomes, "failed": failed}), file=sys.stderr)
        self.assertGreater(failed, 7)  # a warm request allocates some twenty times

    def outcome(self, gateway, kind):
        try:
            with h1_client.Connection(gateway.admin if kind == "admin" else gateway.address) as connection:
                connection.socket.settimeout(PATIENCE_S)
                if kind == "admin":
                    return str(connection.ask("GET", "/admin/cache").status)
                model, stream = KINDS[kind]
                answer = connection.ask("POST", CHAT, chat(self.fresh(), stream, model))
                return str(answer.status) if answer.complete else "cut"
        except TimeoutError:
            return "nothing"
        except (OSError, h1_client.Malformed):
            return "closed"


class Start(Allocations):
    def allocations(self):
        """How many a whole start takes."""
        self.let(FOR_EVER)
        gateway = self.gateway(**self.more())
        count = FOR_EVER - self.left()[0]
        self.let(0, 0)
        self.end(gateway)
        return count

    def start(self, folder):
        """The exit status and stderr of a start that was told to end as soon as it serves; 0 where it did."""
        process = subprocess.Popen([harness.BIN / "penstock", "serve", "--config", folder / "penstock.yaml"], env=self.environment,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.stderr.close)
        lines = []
        for line in process.stderr:
            lines.append(line)
            if "admin API on" in line:
                self.let(0, 0)
                process.send_signal(signal.SIGTERM)
                process.send_signal(signal.SIGINT)
        return process.wait(harness.HANG), lines

    def test_P_09_one_allocation_of_the_start(self):
        count, outcomes = self.allocations(), {}
        folder = self.folder / "gateway-0"
        for i in range(ROUNDS):
            n = i * count // ROUNDS
            self.let(n)
            code, lines = self.start(folder)
            outcomes[code] = outcomes.get(code, 0) + 1
            if code != 0:
                print(f"allocation {n}: {code} {lines[-1:]}", file=sys.stderr)
            self.assertNotIn(code, FAULTY, f"allocation {n}: {lines[-5:]}")
            self.assertTrue(code == 0 or lines, f"allocation {n}: no reason")
        print(json.dumps({"allocations": count, "exit statuses": outcomes}), file=sys.stderr)
        self.assertLessEqual(set(outcomes), {0, 1, -signal.SIGABRT})  # the last before main()
        self.assertGreater(outcomes.get(0, 0), ROUNDS / 3, "the reserve is there from main() on; protobuf's types are made before it, and the disk tier's library allocates by itself")

    def test_P_09_no_memory_from_some_moment_of_the_start_on(self):
        count = self.allocations()
        folder = self.folder / "gateway-0"
        for i in range(0, ROUNDS, 3):
            n = i * count // ROUNDS
            self.let(n, FOR_EVER)
            code, lines = self.start(folder)
            self.assertNotIn(code, FAULTY, f"from allocation {n} on: {lines[-5:]}")
            self.assertTrue(code != 0 or any("admin API on" in line for line in lines), f"from allocation {n} on: {lines[-5:]}")
            self.assertTrue(lines, f"from allocation {n} on: no reason")


if __name__ == "__main__":
    ROUNDS = harness.number_option("--rounds", ROUNDS)
    harness.main()
