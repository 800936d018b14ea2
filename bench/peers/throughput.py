"""`peers` and `stream`: the same work through every program, CPU per request or per event, ratios to HAProxy.

The programs take turns within a round, so that whatever else the machine does falls on all of them; a ratio compares two
runs of the same round.
"""

import json
import statistics
import subprocess
from pathlib import Path

import measure
from programs import PEERS, BenchError

BODY_BYTES = 600
ANSWER_BYTES = 1024
EVENTS = 100
EVENT_GAP_US = 10_000
SSE_WAVES_MIN = 3  # so that what a connection costs once does not count much
REFERENCE = "haproxy"


class Work:
    """One row of a table."""

    def __init__(self, downstream, upstream, connections, streams, limit, streamed=False):
        self.downstream, self.upstream = downstream, upstream
        self.connections, self.streams, self.streamed = connections, streams, streamed
        self.limit = limit  # the ratio to reach
        self.model = f"sim:0:{EVENTS}:{EVENT_GAP_US}" if streamed else f"sim-bytes:{ANSWER_BYTES}"
        self.units = EVENTS if streamed else 1  # of one request: what the CPU time is divided by
        self.answer_bytes = None if streamed else ANSWER_BYTES
        self.rpc = None  # HTTP

    @property
    def name(self):
        return f"{self.downstream}->{self.upstream} {self.connections}x{self.streams}"

    def requests(self, wished):
        if not self.streamed:
            return wished
        at_once = self.connections * self.streams
        return at_once * max(SSE_WAVES_MIN, round(wished / at_once))


PEER_WORK = [Work("h2", "h2", 50, 1, 1.25), Work("h2", "h2", 50, 10, 1.25), Work("h2", "h1", 50, 1, 1.1),
             Work("h2", "h1", 50, 10, 1.1), Work("h1", "h1", 50, 1, 1.1)]
STREAM_WORK = [Work("h2", "h2", 20, 1, 1.25, True), Work("h2", "h2", 100, 1, 1.25, True),
               Work("h2", "h2", 10, 10, 1.25, True), Work("h1", "h1", 100, 1, 1.25, True)]


def request_body(model, streamed, size=BODY_BYTES, **fields):
    """A chat completion of exactly `size` bytes."""
    def text(content):
        return json.dumps({"model": model, "stream": streamed, "max_tokens": 4096, **fields,
                           "messages": [{"role": "system", "content": "You answer in one short sentence."},
                                        {"role": "user", "content": content}]})
    sentence = "A penstock carries water from the reservoir down to the turbine. "
    room = size - len(text(""))
    return text((sentence * (room // len(sentence) + 1))[:room])


def perf_file(args, work):
    """Where penstock's first round of a row is recorded; None: it is not."""
    if not args.perf:
        return None
    Path(args.perf).mkdir(parents=True, exist_ok=True)
    return Path(args.perf) / (work.name.replace(",", "").replace(" ", "-").replace("->", "-") + ("-sse" if work.streamed else "") + ".perf")


def run_once(fleet, program, work, requests, body_file, perf_file=None, options=()):
    perf = None
    if perf_file:
        perf = subprocess.Popen(["perf", "record", "-q", "-e", "cpu-clock", "-F", "2000", "-o", str(perf_file),
                                 "-p", str(program.pid)], stderr=subprocess.DEVNULL)
    cores, before = measure.CoreClock(), measure.cpu_ns(program.pid)
    load = measure.h2load(program.port, fleet.other, work.downstream, work.connections, work.streams, requests, body_file, options, work.rpc)
    used = measure.cpu_ns(program.pid) - before
    if perf:
        perf.send_signal(2)
        perf.wait()
    if not load.good:
        raise BenchError(f"{program.name}, {work.name}: no request succeeded: {program.log_tail()}")
    errors = load.errors
    if work.answer_bytes and load.body_bytes != load.done * work.answer_bytes:
        errors = max(errors, 1)  # an answer was cut or padded
    return {"us": used / (load.good * work.units) / 1000, "rate": load.rate, "errors": errors, "bytes": load.body_bytes / load.good,
            "busy": cores.busy_percent(program.core), "busy_other": cores.busy_percent(fleet.other)}


def measure_work(fleet, work, args):
    """{program: [one result per round]}"""
    body_file = fleet.folder / "body.json"
    body_file.write_text(request_body(work.model, work.streamed))
    sim = fleet.sim()
    names = [name for name in PEERS if name in args.programs]
    started = {name: fleet.start(name, sim, work.upstream, work.model, work.downstream, work.streamed) for name in names}
    started = {name: program for name, program in started.items() if program}
    requests = work.requests(args.requests)
    at_once = work.connections * work.streams
    results = {name: [] for name in started}
    try:
        for program in started.values():
            warm_up = at_once if work.streamed else max(requests // 5, at_once)
            measure.h2load(program.port, fleet.other, work.downstream, work.connections, work.streams, warm_up, body_file)
        for turn in range(args.rounds):
            for name, program in started.items():
                recorded = perf_file(args, work) if name == "penstock" and turn == 0 else None
                results[name].append(run_once(fleet, program, work, requests, body_file, recorded))
    finally:
        fleet.stop_all()
    return results


def summary(results, reference=REFERENCE):
    """Medians per program; the ratio is the median of the rounds' ratios."""
    out = {}
    compared = results.get(reference)
    for name, rounds in results.items():
        row = {key: statistics.median(result[key] for result in rounds) for key in ("us", "rate", "bytes", "busy", "busy_other")}
        row["errors"] = sum(result["errors"] for result in rounds)
        row["us_rounds"] = [round(result["us"], 2) for result in rounds]
        if compared:
            row["ratio"] = statistics.median(mine["us"] / theirs["us"] for mine, theirs in zip(rounds, compared))
        out[name] = row
    return out


def print_header(unit):
    print(f"| work | program | CPU us per {unit} | ratio to HAProxy | to reach | requests/s | its core busy | the other | errors |")
    print("|---|---|---|---|---|---|---|---|---|")


def print_rows(work, rows):
    for name in PEERS:
        row = rows.get(name)
        if row is None:
            if name == "nginx" and work.upstream == "h2":
                print(f"| {work.name} | nginx | | | | | | | |")
            continue
        ratio = f"{row['ratio']:.2f}" if "ratio" in row else ""
        verdict = ""
        if name == "penstock" and ratio:
            verdict = f"{work.limit} {'reached' if row['ratio'] <= work.limit and not row['errors'] else 'missed'}"
        print(f"| {work.name} | {name} | {row['us']:.2f} | {ratio} | {verdict} | {row['rate']:.0f} | {row['busy']:.0f} % "
              f"| {row['busy_other']:.0f} % | {row['errors']} |", flush=True)


def run(fleet, args):
    streamed = args.what == "stream"
    if args.requests is None:
        args.requests = 100 if streamed else 20_000
    print_header("event" if streamed else "request")
    found = {}
    for work in STREAM_WORK if streamed else PEER_WORK:
        if args.only and not any(word in work.name for word in args.only):
            continue
        found[work.name] = summary(measure_work(fleet, work, args))
        print_rows(work, found[work.name])
    return found
