#!/usr/bin/env python3
"""Measures penstock beside HAProxy, nghttpx and nginx on one machine in one run: docs/performance.md.

Tables go to stdout as Markdown; everything measured goes to build/bench/peers.json, one key per command.
"""

import argparse
import datetime
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import measure
from programs import PEERS, BenchError, Fleet

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = {"peers": "throughput", "stream": "throughput", "latency": "latency", "memory": "memory", "cancel": "cancel",
            "cache": "cache", "grpc": "grpc"}


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=COMMANDS)
    parser.add_argument("--build-dir", default=ROOT / "build/release", help="its bin/ has penstock and penstock-sim")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, help="per program and round; stream: SSE requests of 100 events")
    parser.add_argument("--rate", type=int, help="latency, cache: requests per second; otherwise half of the highest that penstock answers, 10000")
    parser.add_argument("--only", action="append", help="rows whose name contains this; may be repeated")
    parser.add_argument("--programs", default=",".join((*PEERS, "floor")), help="comma separated")
    parser.add_argument("--perf", metavar="FOLDER", help="record penstock's first round of each row by perf, for perf report")
    parser.add_argument("--json", default=ROOT / "build/bench/peers.json")
    args = parser.parse_args()
    args.programs = args.programs.split(",")
    return args


def version(build_dir):
    """What penstock says it is, its commit included."""
    asked = subprocess.run([str(Path(build_dir) / "bin/penstock"), "version"], capture_output=True, text=True)
    return asked.stdout.partition("\n")[0]


def save(path, what, found):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = json.loads(path.read_text()) if path.exists() else {}
    kept[what] = found
    path.write_text(json.dumps(kept, indent=1) + "\n")


def main():
    args = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # through the contexts, which end what was started
    try:
        about = {**measure.machine(), "version": version(args.build_dir), "date": datetime.date.today().isoformat()}
    except FileNotFoundError:
        sys.exit(f"bench: {args.build_dir}/bin/penstock is missing: build it, or name another folder by --build-dir")
    print(f"{about['cpu']}, {about['cores']} cores, Linux {about['kernel']}, load average {about['load_average']} at the start; "
          f"{about['version']}; {about['date']}; {args.rounds} rounds\n", flush=True)
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as folder:
        os.chmod(folder, 0o755)  # nginx drops its rights before it writes there
        try:
            with Fleet(args.build_dir, folder) as fleet:
                found = importlib.import_module(COMMANDS[args.what]).run(fleet, args)
        except BenchError as error:
            sys.exit(f"bench: {error}")
    save(args.json, args.what, {"machine": about, "rounds": args.rounds, "rows": found})


if __name__ == "__main__":
    main()
