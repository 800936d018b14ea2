"""What a hit costs: CPU per request of penstock and nginx with the answer in memory, and of the floor. docs/performance.md

Nothing reaches the backend while it is measured: its count of requests is compared.
"""

import statistics
import tempfile
from pathlib import Path

import measure
from cache_programs import NAMES, start_floor, start_nginx, start_penstock, warm
from client import SimControl
from programs import BenchError
from throughput import ANSWER_BYTES, perf_file, request_body, run_once, summary

MODEL = f"sim-bytes:{ANSWER_BYTES}"
REFERENCE = "floor"


class Hits:
    """One row of the table, in the form that throughput.run_once wants. `limit`: the ratio to the floor to reach."""

    units = 1
    rpc = None
    answer_bytes = None  # what the warm-up saw, set for each program

    def __init__(self, downstream, connections, streams, limit=None, streamed=False, stored_whole=True):
        self.downstream, self.connections, self.streams = downstream, connections, streams
        self.limit, self.streamed = limit, streamed
        self.stored_whole = stored_whole  # by a request that was not streamed

    @property
    def name(self):
        form = "" if not self.streamed else ", stream of a whole answer" if self.stored_whole else ", stream"
        return f"hit {self.downstream} {self.connections}x{self.streams}{form}"

    @property
    def programs(self):
        """Who can do it: the floor speaks HTTP/2 alone, nginx keeps a body as what it was asked for."""
        return [name for name in NAMES if not (name == "floor" and self.downstream == "h1") and
                not (name == "nginx" and self.streamed and self.stored_whole)]


WORK = [Hits("h2", 50, 1, 1.35), Hits("h2", 50, 10, 1.9), Hits("h1", 50, 1),
        Hits("h2", 50, 1, streamed=True, stored_whole=False), Hits("h2", 50, 10, streamed=True, stored_whole=False),
        Hits("h2", 50, 10, streamed=True)]


def memory_folder(fleet):
    """A folder on a tmpfs for nginx's cache files, as a context."""
    shm = Path("/dev/shm")
    folder = tempfile.TemporaryDirectory(prefix="penstock-bench-", dir=shm if shm.is_dir() else fleet.folder)
    Path(folder.name).chmod(0o755)  # nginx drops its rights before it writes there
    return folder


def received(sim):
    """Requests that reached the simulator's models. A connection each: an idle one is closed."""
    control = SimControl(sim.port)
    count = control.stats()["received"]
    control.socket.close()
    return count


def start(fleet, sim, names, downstream, folder):
    """{name: program}"""
    starters = {"penstock": lambda: start_penstock(fleet, sim, "h2", MODEL), "floor": lambda: start_floor(fleet),
                "nginx": lambda: start_nginx(fleet, sim, downstream, folder)}
    return {name: starters[name]() for name in names}


def bodies(fleet, streamed, stored_whole):
    """(what is asked, what is asked first so that the answer is stored)"""
    asked, first = fleet.folder / "hit.json", fleet.folder / "stored.json"
    text = request_body(MODEL, streamed, temperature=0)
    asked.write_text(text)
    first.write_text(text.replace('"stream": true', '"stream": false') if stored_whole else text)
    return asked, first


def measure_work(fleet, work, args):
    """{program: [one result per round]}"""
    asked, first = bodies(fleet, work.streamed, work.stored_whole)
    sim = fleet.sim()
    results = {}
    with memory_folder(fleet) as folder:
        try:
            started = start(fleet, sim, [name for name in work.programs if name in args.programs], work.downstream, folder)
            sizes = {name: warm(fleet, program, work.downstream, asked, first).body_bytes for name, program in started.items()}
            for program in started.values():
                measure.h2load(program.port, fleet.other, work.downstream, work.connections, work.streams,
                               max(args.requests // 5, work.connections * work.streams), asked)
            before = received(sim)
            for turn in range(args.rounds):
                for name, program in started.items():
                    work.answer_bytes = sizes[name]
                    recorded = perf_file(args, work) if name == "penstock" and turn == 0 else None
                    results.setdefault(name, []).append(run_once(fleet, program, work, args.requests, asked, recorded))
            missed = received(sim) - before
            if missed:
                raise BenchError(f"{work.name}: {missed} requests reached the backend: these are not hits alone")
        finally:
            fleet.stop_all()
    return results


def compare(results):
    """summary() with penstock's ratio to nginx as well."""
    rows = summary(results, REFERENCE)
    if "penstock" in rows and "nginx" in rows:
        rows["penstock"]["ratio_to_nginx"] = statistics.median(
            mine["us"] / theirs["us"] for mine, theirs in zip(results["penstock"], results["nginx"]))
    return rows


def verdict(work, row):
    """What penstock's row reaches of the ratio to the floor and of being below nginx."""
    found = []
    if work.limit and "ratio" in row:
        found.append(f"{work.limit} x floor {'reached' if row['ratio'] <= work.limit and not row['errors'] else 'missed'}")
    if "ratio_to_nginx" in row:
        found.append(f"below nginx {'reached' if row['ratio_to_nginx'] < 1 and not row['errors'] else 'missed'}")
    return ", ".join(found)


def print_rows(work, rows):
    for name in NAMES:
        row = rows.get(name)
        if row is None:
            continue
        ratio = f"{row['ratio']:.2f}" if "ratio" in row else ""
        reached = verdict(work, row) if name == "penstock" else ""
        print(f"| {work.name} | {name} | {row['us']:.2f} | {ratio} | {reached} | {row['rate']:.0f} | {row['bytes']:.0f} | "
              f"{row['busy']:.0f} % | {row['busy_other']:.0f} % | {row['errors']} |", flush=True)


def run(fleet, args, wanted):
    chosen = [work for work in WORK if wanted(work.name)]
    if not chosen:
        return {}
    print("| work | program | CPU us per request | ratio to the floor | to reach | requests/s | bytes of body | its core busy "
          "| the other | errors |\n|---|---|---|---|---|---|---|---|---|---|")
    found = {}
    for work in chosen:
        found[work.name] = compare(measure_work(fleet, work, args))
        print_rows(work, found[work.name])
    print()
    return found
