"""What caching costs a request that finds nothing: the same request through penstock, answered by the backend every time, with
more and more of the cache's work done. docs/performance.md

h2load sends one body over and over, so a prompt cannot be new each time. What can be: a request that looks for what is never
stored (`no-store`), and one that does not look but has its answer recorded and stored over the one before (`no-cache`).
A miss does both.
"""

import measure
from cache_hits import MODEL, received
from cache_programs import ask, start_penstock
from programs import BenchError
from throughput import ANSWER_BYTES, perf_file, request_body, run_once, summary

REFERENCE = "bypass"


class Way:
    """One program and header of a row. `says`: the x-penstock-cache of its answers; `kept`: the answer is stored then."""

    def __init__(self, name, header, says, enabled=True, kept=False):
        self.name, self.says, self.enabled, self.kept = name, says, enabled, kept
        self.headers = [header] if header else []
        self.options = ["-H", header] if header else []  # h2load's


WAYS = [Way("caching off", None, "bypass", enabled=False), Way("bypass", "x-penstock-cache: bypass", "bypass"),
        Way("key, lookup", "cache-control: no-store", "miss"),
        Way("key, record, store", "cache-control: no-cache", "miss", kept=True)]


class Misses:
    """One row of the table, in the form that throughput.run_once wants."""

    units = 1
    rpc = None
    streamed = False
    answer_bytes = ANSWER_BYTES

    def __init__(self, downstream, upstream, connections, streams):
        self.downstream, self.upstream, self.connections, self.streams = downstream, upstream, connections, streams

    @property
    def name(self):
        return f"miss {self.downstream}->{self.upstream} {self.connections}x{self.streams}"


WORK = [Misses("h2", "h2", 50, 1), Misses("h2", "h2", 50, 10), Misses("h1", "h1", 50, 1)]


def check(fleet, program, work, way, body_file):
    """That the way does what its name says."""
    says = ask(fleet, program, work.downstream, body_file, way.headers).cache
    if says != way.says:
        raise BenchError(f"{way.name}: penstock says '{says}' of the cache, not '{way.says}'")
    if way.kept and ask(fleet, program, work.downstream, body_file).cache != "hit-memory":
        raise BenchError(f"{way.name}: the answer was not stored")


def measure_work(fleet, work, args, requests):
    """{way: [one result per round]}"""
    sim = fleet.sim()
    results = {way.name: [] for way in WAYS}
    try:
        programs = {True: start_penstock(fleet, sim, work.upstream, MODEL),
                    False: start_penstock(fleet, sim, work.upstream, MODEL, enabled=False, name="penstock-off")}
        body_files = {}
        for number, way in enumerate(WAYS):  # a prompt each, so that none finds what another stored
            body_files[way] = fleet.folder / f"miss-{number}.json"
            body_files[way].write_text(request_body(MODEL, False, temperature=0, seed=number))
            check(fleet, programs[way.enabled], work, way, body_files[way])
            measure.h2load(programs[way.enabled].port, fleet.other, work.downstream, work.connections, work.streams,
                           max(requests // 5, work.connections * work.streams), body_files[way], way.options)
        before = received(sim)
        for turn in range(args.rounds):
            for way in WAYS:
                recorded = perf_file(args, work) if way.kept and turn == 0 else None
                results[way.name].append(run_once(fleet, programs[way.enabled], work, requests, body_files[way], recorded, way.options))
        if received(sim) - before != args.rounds * len(WAYS) * requests:
            raise BenchError(f"{work.name}: not every request reached the backend")
    finally:
        fleet.stop_all()
    return results


def run(fleet, args, wanted):
    chosen = [work for work in WORK if wanted(work.name) and "penstock" in args.programs]
    if not chosen:
        return {}
    print("| work | way | CPU us per request | more than bypass, us | ratio to bypass | requests/s | its core busy | the other | errors |"
          "\n|---|---|---|---|---|---|---|---|---|")
    found = {}
    for work in chosen:
        requests = max(args.requests // 5, work.connections * work.streams)  # each costs several times a hit
        rows = found[work.name] = summary(measure_work(fleet, work, args, requests), REFERENCE)
        for name, row in rows.items():
            print(f"| {work.name} | {name} | {row['us']:.2f} | {row['us'] - rows[REFERENCE]['us']:+.2f} | {row['ratio']:.2f} | "
                  f"{row['rate']:.0f} | {row['busy']:.0f} % | {row['busy_other']:.0f} % | {row['errors']} |", flush=True)
    print()
    return found
