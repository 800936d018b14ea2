"""`latency`: what a program adds to the time of a request, at a constant rate that it can bear.

HTTP/2 on both sides, 50 connections, at half of the rate that penstock reaches without errors when it is asked as fast as it
answers. The same rate goes straight to the simulator and through each program in turn; the percentiles come from h2load's
log of every request. h2load starts the requests of a connection in bursts every 10 ms, so the connections are opened 11 ms
apart: their bursts spread over the period.
"""

import statistics

import measure
from programs import PEERS, BenchError
from throughput import ANSWER_BYTES, request_body

CONNECTIONS, STREAMS = 50, 10
SECONDS = 4
RAMP_MS = 11
RATE_REQUESTS = 20_000
LIMITS_MS = {"p50": 0.15, "p99": 1.0}
QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999}


def highest_rate(fleet, port, body_file):
    rates = []
    for _ in range(4):
        load = measure.h2load(port, fleet.other, "h2", CONNECTIONS, STREAMS, RATE_REQUESTS, body_file)
        if load.errors:
            raise BenchError(f"{load.errors} errors in search of the highest rate")
        rates.append(load.rate)
    return max(rates[1:])  # the first one warms up


def times(fleet, port, rate, body_file):
    """One run at `rate`: (ms of each request, errors). The time in which connections are still opened is left out."""
    log = fleet.folder / "h2load.log"
    log.unlink(missing_ok=True)
    per_connection = max(1, round(rate / CONNECTIONS))
    load = measure.h2load(port, fleet.other, "h2", CONNECTIONS, STREAMS, per_connection * CONNECTIONS * SECONDS, body_file,
                          ["--rps", per_connection, "-r", 1, "--rate-period", f"{RAMP_MS}ms", f"--log-file={log}"])
    lines = [tuple(map(int, line.split("\t")[:3])) for line in log.read_text().splitlines()]
    begin = min(start for start, _, _ in lines) + 2 * CONNECTIONS * RAMP_MS * 1000
    return [micros / 1000 for start, _, micros in lines if start >= begin], load.errors


def percentiles(fleet, port, rate, body_file):
    took, errors = times(fleet, port, rate, body_file)
    return {name: measure.quantile(took, q) for name, q in QUANTILES.items()}, errors


def run(fleet, args):
    model = f"sim-bytes:{ANSWER_BYTES}"
    body_file = fleet.folder / "body.json"
    body_file.write_text(request_body(model, False))
    sim = fleet.sim()
    ports = {"direct": sim.port}
    for name in PEERS:
        program = fleet.start(name, sim, "h2", model) if name in args.programs else None
        if program:
            ports[name] = program.port
    rate = args.rate or highest_rate(fleet, ports["penstock"], body_file) / 2
    runs, errors = {name: [] for name in ports}, dict.fromkeys(ports, 0)
    busy = {name: [] for name in ports}
    for _ in range(args.rounds):
        for name, port in ports.items():
            cores = measure.CoreClock()
            found, failed = percentiles(fleet, port, rate, body_file)
            busy[name].append((cores.busy_percent(fleet.under_test), cores.busy_percent(fleet.other)))
            runs[name].append(found)
            errors[name] += failed
    print(f"At {rate:.0f} requests/s.\n\n| way | {' | '.join(f'{name} ms' for name in QUANTILES)} | "
          f"{' | '.join(f'{name} added' for name in QUANTILES)} | its core busy | the other | errors | |\n|{'---|' * (2 * len(QUANTILES) + 5)}")
    out = {"rate": rate}
    for name, rounds in runs.items():
        whole = {q: statistics.median(found[q] for found in rounds) for q in QUANTILES}
        added = {q: statistics.median(found[q] - direct[q] for found, direct in zip(rounds, runs["direct"])) for q in QUANTILES}
        mine, other = (statistics.median(column) for column in zip(*busy[name]))
        verdict = ""
        if name == "penstock":
            good = not errors[name] and all(added[q] <= limit for q, limit in LIMITS_MS.items())
            verdict = "reached" if good else "missed"
        print(f"| {name} | {' | '.join(f'{whole[q]:.2f}' for q in QUANTILES)} | "
              f"{' | '.join(f'{added[q]:.2f}' for q in QUANTILES)} | {mine:.0f} % | {other:.0f} % | {errors[name]} | {verdict} |", flush=True)
        out[name] = {"ms": whole, "added_ms": added, "errors": errors[name], "busy": busy[name]}
    return out
