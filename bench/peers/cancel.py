"""`cancel`: from a client that leaves to the upstream request that is cancelled.

The client notes CLOCK_MONOTONIC just before it closes (HTTP/1.1) or resets its stream (HTTP/2); the simulator notes it when
it sees its own request cancelled. The requests go one at a time, so the two lists pair up.
"""

import measure
from client import CLIENTS, SimControl
from programs import BenchError, wait_until

TIMES_PER_ROUND = 40
PHASES = {  # name: (model, streamed, the simulator's name of the phase)
    "streaming": ("sim:0:100000:10000", True),
    "waiting for the first token": ("sim:600000:8:0", True),
    "not streamed": ("sim:600000:8:1000", False),
}


def one(port, downstream, model, streamed, control, waiting_first):
    client = CLIENTS[downstream](port)
    client.send(model, streamed)
    if waiting_first:
        wait_until(lambda: control.stats()["in_flight"] >= 1, "the request reaches the simulator", step_s=0.001)
    else:
        client.read_content()
    at = client.cancel()
    wait_until(lambda: control.stats()["in_flight"] == 0, "the simulator sees the cancelled request", step_s=0.001)
    if downstream != "h1":
        client.close()
    return at


def latencies(port, sim, downstream, phase, count):
    model, streamed = PHASES[phase]
    control = SimControl(sim.port)
    control.reset()
    left = [one(port, downstream, model, streamed, control, phase != "streaming") for _ in range(count)]
    seen = sorted(entry["at_ns"] for entry in control.stats()["cancels"])
    if len(seen) != count:
        raise BenchError(f"{downstream}, {phase}: {count} requests were left, the simulator saw {len(seen)} cancelled")
    return [(after - before) / 1e6 for before, after in zip(left, seen)]


def run(fleet, args):
    print("| protocols | phase | left | p50 ms | p99 ms | most ms | to reach |")
    print("|---|---|---|---|---|---|---|")
    found = {}
    for upstream in ("h1", "h2"):
        for phase, (model, _) in PHASES.items():
            sim = fleet.sim()
            gateway = fleet.start("penstock", sim, upstream, model)
            for downstream in CLIENTS:
                name = f"{downstream}->{upstream} {phase}"
                if args.only and not any(word in name for word in args.only):
                    continue
                took = latencies(gateway.port, sim, downstream, phase, TIMES_PER_ROUND * min(args.rounds, 6))
                p50, p99 = measure.quantile(took, 0.5), measure.quantile(took, 0.99)
                verdict = "reached" if p50 <= 1 and p99 <= 10 else "missed"
                found[name] = {"p50_ms": p50, "p99_ms": p99, "max_ms": max(took), "count": len(took)}
                print(f"| {downstream}->{upstream} | {phase} | {len(took)} | {p50:.2f} | {p99:.2f} | {max(took):.2f} "
                      f"| 1 and 10: {verdict} |", flush=True)
            fleet.stop_all()
    return found
