"""Reloads as operators and their tools make them, for as long as is wanted: one every 100 ms under load with long streams (FAULTS
G-05), and files that are read while an editor writes them (G-08).
reload_faults_test.py [--minutes N]: for so long; some seconds without it."""

import os
import random
import shutil
import statistics
import sys
import threading
import time
import unittest

from control_test import AUTH, DaemonTest, Load, Stream, post, sanitized
from processes import PATIENCE_S, ask, await_condition

MINUTES = 0.05
INTERVAL_S = 0.1
GROWTH_MAX = 4 << 20  # bytes, from the second quarter of the time to the last; a snapshot that is kept takes 20 KiB and more
STREAMS = 4


class Streams:
    """Streams one after the other, each of which outlives many reloads, until told to stop."""

    def __init__(self, address, count):
        self.address, self.good, self.failures, self.stopping = address, 0, [], False
        self.threads = [threading.Thread(target=self._run) for _ in range(count)]
        for thread in self.threads:
            thread.start()

    def _run(self):
        try:
            while not self.stopping:
                text = Stream(self.address, "stream").rest()
                if "data: [DONE]" in text:
                    self.good += 1
                else:
                    self.failures.append(text[-500:])
        except (OSError, AssertionError) as error:
            self.failures.append(error)

    def stop(self):
        self.stopping = True
        for thread in self.threads:
            thread.join(PATIENCE_S)
        return self.failures


def series(gateway):
    """The names on the metrics page."""
    text = ask(gateway.admin, "GET", "/metrics").body.decode()
    return {line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith("#")}


class ReloadUnderLoad(DaemonTest):
    def variant(self, n):
        """Each with a model and a backend of its own, which go with it."""
        extra = f"  - {{name: only-{n}, cluster: only-{n}}}\nclusters:\n  - name: only-{n}\n    endpoints: [{{url: \"http://{self.sim.address}\", name: only-{n}}}]\n"
        return self.config(timeout="30s").replace("clusters:\n", extra)

    def test_G_05_reloads_for_long(self):
        gateway = self.launch(self.config(timeout="30s")).started()
        load, streams = Load(gateway.address), Streams(gateway.address, STREAMS)
        sizes, count, end = [], 0, time.monotonic() + MINUTES * 60
        next_at = time.monotonic()
        while time.monotonic() < end:
            next_at = max(next_at + INTERVAL_S, time.monotonic())
            gateway.write(self.variant(count))
            answer = ask(gateway.admin, "POST", "/admin/reload", headers=AUTH)
            self.assertEqual(answer.status, 200, answer.body)
            count += 1
            sizes.append(gateway.resident_bytes())
            time.sleep(max(0.0, next_at - time.monotonic()))
        served, streamed = load.good, streams.good
        await_condition(lambda: load.good > served, "the load goes on")
        self.assertEqual(streams.stop(), [])
        self.assertEqual(load.stop(), [])
        self.assertGreater(streams.good, 0)
        self.assertEqual(gateway.metric('penstock_config_reloads_total{result="ok"}'), count)
        await_condition(lambda: not [name for name in series(gateway) if '"only-' in name and f'"only-{count - 1}"' not in name],
                        "old snapshots and what only they knew are gone")
        quarter = len(sizes) // 4
        grown = statistics.median(sizes[-quarter:]) - statistics.median(sizes[quarter:2 * quarter])
        print(f"{count} reloads, {load.good} requests, {streams.good} streams, {sizes[-1] >> 20} MiB, grown by {grown / 1024:.0f} KiB "
              f"({streamed} streams within the time)", file=sys.stderr)
        if not sanitized():  # which keep freed memory in quarantine
            self.assertLess(grown, GROWTH_MAX)


class Editors(DaemonTest):
    """The daemon opens the path anew at each reload: what lies there then, whole and valid, counts."""

    def setUp(self):
        super().setUp()
        self.number = 0
        self.running = self.gateway()

    def text(self):
        """A configuration whose model no other has. Nothing of it can be left out at its end."""
        self.number += 1
        return self.config(fast=f"model-{self.number}").rstrip("\n")

    def overwrite(self, text, path=None):
        """As careless editors do."""
        with open(path or self.running.config_file, "w") as file:
            file.write(text)

    def reload(self):
        return ask(self.running.admin, "POST", "/admin/reload", headers=AUTH).status

    def serves(self, number):
        """This model and no other."""
        await_condition(lambda: post(self.running.address, f"model-{number}").status == 200, f"model-{number}")
        page = ask(self.running.admin, "GET", "/admin/config", headers=AUTH).body.decode()
        self.assertEqual(page.count("model-"), 1, page)

    def serves_one_of(self, *numbers):
        seen = []

        def one():
            seen[:] = [post(self.running.address, f"model-{n}") for n in numbers]
            return 200 in [answer.status for answer in seen]
        await_condition(one, lambda: [(answer.status, answer.body) for answer in seen])

    def taken(self):
        self.assertEqual(self.reload(), 200)
        self.serves(self.number)

    def refused(self):
        """What was there before goes on."""
        self.assertEqual(self.reload(), 400)

    def test_G_08_truncate_and_write(self):
        self.overwrite(self.text())
        self.taken()

    def test_G_08_rename(self):
        for _ in range(2):
            self.running.write(self.text())
            self.taken()

    def test_G_08_symlink_swap(self):
        """As Kubernetes changes a mounted map: a link to a folder that is replaced by another."""
        path = self.running.config_file
        for name in ("a", "b", "a"):
            shutil.rmtree(self.path(f"data-{name}"), ignore_errors=True)
            os.mkdir(self.path(f"data-{name}"))
            self.overwrite(self.text(), self.path(f"data-{name}/penstock.yaml"))
            os.symlink(f"data-{name}", self.path("data.new"))
            os.rename(self.path("data.new"), self.path("data"))
            if not os.path.islink(path):
                os.unlink(path)
                os.symlink("data/penstock.yaml", path)
            self.taken()
        os.unlink(self.path("data"))
        self.refused()
        self.serves(self.number)

    def test_G_08_nothing_in_it_or_nothing_there(self):
        self.overwrite(self.text())
        self.taken()
        self.overwrite("")
        self.refused()
        os.unlink(self.running.config_file)
        self.refused()
        os.mkdir(self.running.config_file)
        self.refused()
        os.rmdir(self.running.config_file)
        self.serves(self.number)
        self.overwrite(self.text())
        self.taken()

    def test_G_08_part_of_it(self):
        """Every piece of a file from its beginning, or so many as there is time for."""
        self.overwrite(self.text())
        self.taken()
        kept = self.number
        text = self.text()
        cuts = list(range(len(text)))
        random.Random(8).shuffle(cuts)
        end = time.monotonic() + MINUTES * 60
        for done, cut in enumerate(cuts):
            if done >= 40 and time.monotonic() > end:
                break
            self.overwrite(text[:cut])
            self.assertEqual(self.reload(), 400, text[:cut][-100:])
        self.serves(kept)
        self.overwrite(text)
        self.taken()

    def test_G_08_read_while_it_is_written(self):
        """An editor that writes in place and in pieces, all the time: each reload takes a whole version or none."""
        stopping, versions = threading.Event(), [self.text() for _ in range(2)]

        def edit():
            chance = random.Random(80)
            while not stopping.is_set():
                text = chance.choice(versions)
                with open(self.running.config_file, "w") as file:
                    at = 0
                    while at < len(text):
                        size = chance.randrange(1, len(text))
                        file.write(text[at:at + size])
                        file.flush()
                        at += size
        editor = threading.Thread(target=edit)
        editor.start()
        results = {200: 0, 400: 0}
        try:
            end = time.monotonic() + MINUTES * 60
            while time.monotonic() < end or not results[200]:
                results[self.reload()] += 1
                if results[200]:
                    self.serves_one_of(1, 2)
        finally:
            stopping.set()
            editor.join()
        self.overwrite(self.text())
        self.taken()
        print(f"{results[200]} taken, {results[400]} refused", file=sys.stderr)


if __name__ == "__main__":
    if "--minutes" in sys.argv:
        at = sys.argv.index("--minutes")
        MINUTES = float(sys.argv[at + 1])
        del sys.argv[at:at + 2]
    unittest.main()
