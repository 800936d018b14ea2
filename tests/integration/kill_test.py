"""kill -9 while answers are written to the disk tier, again and again (FAULTS P-05): the next start is ready at once, whoever was being
served has a broken connection and nothing else, and what the disk still has is byte for byte what was answered.
kill_test.py [--rounds N]: so often, 10 without it."""

import json
import random
import signal
import sys
import threading
import time

import h1_client
import harness
from cache_test import CHAT, chat
from harness import until
from tier_case import TierCase

ROUNDS = 10
CLIENTS = 4
LONG = {"name": "long", "upstream_name": "sim:0:300:0"}  # words that depend on the prompt
REMEMBERED = 400  # answers of the rounds before, at most
SANITIZED = b"__asan_init" in (harness.BIN / "penstock").read_bytes() or b"__tsan_init" in (harness.BIN / "penstock").read_bytes()
READY_S = 5 if SANITIZED else 0.2


class Client(threading.Thread):
    """Asks for what nobody had until the connection breaks; keeps every whole answer."""

    def __init__(self, address, name, streams):
        super().__init__(daemon=True)
        self.address, self.prompts, self.streams = address, name, streams
        self.answers, self.wrong = {}, []  # prompt -> body
        self.start()

    def run(self):
        try:
            with h1_client.Connection(self.address) as connection:
                while True:
                    prompt = f"{self.prompts} {len(self.answers)}"
                    answer = connection.ask("POST", CHAT, chat(prompt, self.streams, "long"))
                    if not answer.complete:
                        return
                    if answer.status != 200:
                        self.wrong.append(answer)
                        return
                    self.answers[prompt] = answer.body
        except OSError:
            return
        except h1_client.Malformed as error:
            if "closed before a response head" not in str(error):
                self.wrong.append(error)


class Killed(TierCase):
    def test_P_05_kill_9_while_the_disk_tier_writes(self):
        random.seed(5)
        kept, hits, asked, slowest, corrupt = {}, 0, 0, 0.0, 0
        for number in range(ROUNDS):
            began = time.monotonic()
            gateway = self.gateway(disk="one", models=[LONG])
            with h1_client.Connection(gateway.admin) as connection:
                until(lambda: connection.ask("GET", "/readyz").status == 200, "ready", READY_S)
            slowest = max(slowest, time.monotonic() - began)
            with h1_client.Connection(gateway.address) as connection:
                for (prompt, stream), body in kept.items():
                    answer = connection.ask("POST", CHAT, chat(prompt, stream, "long"), [("x-penstock-cache", "use")])
                    hit = answer.header("x-penstock-cache") == "hit-disk"
                    asked, hits = asked + 1, hits + hit
                    self.assertEqual((answer.status, answer.complete), (200, True))
                    if hit:
                        self.assertEqual(answer.body, body, "not what was stored")
            disk = self.page(gateway)["disk"]
            self.assertEqual([line for line in gateway.lines["stderr"] if "cache.disk" in line], [], "the database was sound")
            corrupt += disk["corrupt"]
            self.assertEqual(disk["corrupt"], 0, f"round {number}: {disk}")
            clients = [Client(gateway.address, f"{number} {i}", i % 2 == 0) for i in range(CLIENTS)]
            until(lambda: all(client.answers for client in clients), "the load has begun")
            harness.pause(random.random() / 10)
            gateway.signal(signal.SIGKILL)
            gateway.wait()
            for client in clients:
                client.join(harness.HANG)
                self.assertFalse(client.is_alive())
                self.assertEqual(client.wrong, [])
            kept = {(prompt, client.streams): body for client in clients for prompt, body in list(client.answers.items())[-REMEMBERED // CLIENTS:]}
            self.assertEqual({answer for answer in kept.values() if not answer}, set())
        found = {"rounds": ROUNDS, "asked again": asked, "hits": hits, "corrupt": corrupt, "slowest start s": round(slowest, 3)}
        print(json.dumps(found), file=sys.stderr)
        self.assertGreater(hits, ROUNDS, "the disk was written to")
        self.assertLess(slowest, READY_S, found)


if __name__ == "__main__":
    ROUNDS = harness.number_option("--rounds", ROUNDS)
    harness.main()
