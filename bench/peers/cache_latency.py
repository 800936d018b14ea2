"""How long hits take at a constant rate, HTTP/2, from h2load's log of every request; how it spreads them: latency.py."""

import statistics

import histogram
import latency
import measure
from cache_hits import bodies, memory_folder, received, start
from cache_programs import NAMES, warm
from programs import BenchError

RATE = 10_000
QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "p99.9": 0.999}
LIMITS_MS = {"p50": 0.5, "p95": 1.5, "p99": 3.0}


class Taken:
    """What was seen of one program."""

    def __init__(self):
        self.rounds, self.times, self.busy, self.errors = [], [], [], 0

    def add(self, times, errors, busy):
        self.rounds.append({name: measure.quantile(times, q) for name, q in QUANTILES.items()})
        self.times += times
        self.busy.append(busy)
        self.errors += errors

    def median(self):
        return {name: statistics.median(found[name] for found in self.rounds) for name in QUANTILES}


def measure_all(fleet, args, rate):
    """{program: Taken}"""
    asked, first = bodies(fleet, streamed=False, stored_whole=True)
    sim = fleet.sim()
    with memory_folder(fleet) as folder:
        try:
            started = start(fleet, sim, [name for name in NAMES if name in args.programs], "h2", folder)
            for program in started.values():
                warm(fleet, program, "h2", asked, first)
            taken, before = {name: Taken() for name in started}, received(sim)
            for _ in range(args.rounds):
                for name, program in started.items():
                    cores = measure.CoreClock()
                    times, errors = latency.times(fleet, program.port, rate, asked)
                    taken[name].add(times, errors, (cores.busy_percent(fleet.under_test), cores.busy_percent(fleet.other)))
            if received(sim) != before:
                raise BenchError("latency: requests reached the backend: these are not hits alone")
        finally:
            fleet.stop_all()
    return taken


def run(fleet, args, wanted):
    if not wanted("latency"):
        return {}
    rate = args.rate or RATE
    taken = measure_all(fleet, args, rate)
    print(f"Hits at {rate} requests/s.\n\n| program | {' | '.join(f'{name} ms' for name in QUANTILES)} | its core busy | the other "
          f"| errors | to reach |\n|{'---|' * (len(QUANTILES) + 5)}")
    found = {"rate": rate}
    for name, seen in taken.items():
        whole = seen.median()
        mine, other = (statistics.median(column) for column in zip(*seen.busy))
        reached = ""
        if name == "penstock":
            reached = ", ".join(f"{q} {limit} {'reached' if whole[q] <= limit and not seen.errors else 'missed'}"
                                for q, limit in LIMITS_MS.items())
        print(f"| {name} | {' | '.join(f'{whole[q]:.3f}' for q in QUANTILES)} | {mine:.0f} % | {other:.0f} % | {seen.errors} | {reached} |")
        found[name] = {"ms": whole, "ms_rounds": seen.rounds, "errors": seen.errors, "busy": seen.busy,
                       "histogram_us": histogram.count(seen.times)}
    if "penstock" in taken:
        print(f"\nPenstock, all rounds together:\n\n```\n{histogram.text(found['penstock']['histogram_us'])}\n```", flush=True)
    return found
