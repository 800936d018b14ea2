"""`memory`: penstock's resident memory at start, per idle connection, per open stream, with stalled readers; and its start.

Growth is RSS after minus RSS before, by the count; the process is a fresh one for every row.
"""

import subprocess
import time

import measure
from client import CLIENTS, H2Client, SimControl, tls_context
from programs import BenchError, wait_until

IDLE_CONNECTIONS = 5_000
STREAM_CONNECTIONS, STREAMS_EACH = 100, 100
STREAMS = STREAM_CONNECTIONS * STREAMS_EACH
PLAIN_MODEL = "sim-bytes:1024"
WAITING_MODEL = "sim:600000:8:1000"
PUSHING_MODEL = "sim:0:4000:100"  # more than any buffer on the way: some 800 KB per stream within a second
KIB_PER_CONNECTION = {"h1": 12, "h2": 24}
KIB_PER_TLS = 20
SETTLE_S = 8


def row(name, value, unit, limit):
    print(f"| {name} | {value:.1f} {unit} | {limit} {unit} | {'reached' if value <= limit else 'missed'} |", flush=True)
    return {"value": round(value, 2), "unit": unit, "limit": limit}


def certificate(folder):
    pem, key = folder / "certificate.pem", folder / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                    "-subj", "/CN=localhost", "-keyout", str(key), "-out", str(pem)], check=True, capture_output=True)
    return pem, key


def idle_connections(fleet, protocol, encrypted):
    """KiB per connection that was used once and stays."""
    tls = certificate(fleet.folder) if encrypted else None
    gateway = fleet.start("penstock", fleet.sim(), "h2", PLAIN_MODEL, tls=tls)
    context = tls_context("h2" if protocol == "h2" else "http/1.1") if encrypted else None
    clients = []

    def add():
        client = CLIENTS[protocol](gateway.port, context)
        client.send(PLAIN_MODEL, False)
        client.read_answer()
        clients.append(client)
    add()  # what exists once is not counted per connection
    before = measure.memory_kib(gateway.pid)
    for _ in range(IDLE_CONNECTIONS):
        add()
    time.sleep(0.5)
    grown = measure.memory_kib(gateway.pid) - before
    for client in clients:
        client.send(PLAIN_MODEL, False)  # it was open all the time
        client.read_answer()
        client.close()
    fleet.stop_all()
    return grown / IDLE_CONNECTIONS


def open_streams(fleet, model):
    """(gateway, its KiB before, clients) with all requests at the simulator."""
    sim = fleet.sim()
    gateway = fleet.start("penstock", sim, "h2", model)
    clients = [H2Client(gateway.port) for _ in range(STREAM_CONNECTIONS)]
    before = measure.memory_kib(gateway.pid)
    control = SimControl(sim.port)
    for count, client in enumerate(clients, 1):
        for _ in range(STREAMS_EACH):
            client.send(model, True)
        # One connection after the other: at most 1,000 requests may wait for connections, more are answered by 503.
        wait_until(lambda: control.stats()["received"] >= count * STREAMS_EACH, "the requests reach the simulator", 30)
    return gateway, before, clients


def waiting_streams(fleet):
    gateway, before, clients = open_streams(fleet, WAITING_MODEL)
    time.sleep(1)
    grown = measure.memory_kib(gateway.pid) - before
    for client in clients:
        client.close()
    fleet.stop_all()
    return grown / STREAMS


def stalled_readers(fleet):
    """MiB at the worst moment, all of the process."""
    gateway, _, clients = open_streams(fleet, PUSHING_MODEL)
    time.sleep(SETTLE_S)
    if not gateway.alive():
        raise BenchError(f"penstock ended: {gateway.log_tail()}")
    worst = measure.memory_kib(gateway.pid, "VmHWM")
    for client in clients:
        client.close()
    fleet.stop_all()
    return worst / 1024


def start_to_answer(fleet):
    """(ms from the start of the process to the end of its first answer, MiB then)"""
    sim = fleet.sim()
    gateway = fleet.start("penstock", sim, "h1", PLAIN_MODEL, wait=False)
    deadline = time.monotonic() + 10
    while True:
        try:
            client = CLIENTS["h1"](gateway.port)
            client.send(PLAIN_MODEL, False)
            client.read_answer()
            break
        except (OSError, BenchError) as error:
            if time.monotonic() > deadline:
                raise BenchError(f"no answer: {error}; {gateway.log_tail()}") from error
            time.sleep(0.001)
    took = (time.monotonic_ns() - gateway.started_ns) / 1e6
    resident = measure.memory_kib(gateway.pid) / 1024
    client.close()
    fleet.stop_all()
    return took, resident


def run(fleet, args):
    print("| what | measured | to reach | |")
    print("|---|---|---|---|")
    found = {}

    def wanted(name):
        return not args.only or any(word in name for word in args.only)
    if wanted("start"):
        starts = [start_to_answer(fleet) for _ in range(args.rounds)]
        found["start"] = row("start to first answer", measure.quantile([took for took, _ in starts], 0.5), "ms", 100)
        found["resident"] = row("resident after the first answer", measure.quantile([size for _, size in starts], 0.5), "MiB", 20)
    for protocol, limit in KIB_PER_CONNECTION.items():
        for encrypted in (False, True):
            name = f"idle {protocol}{' TLS' if encrypted else ''}"
            if wanted(name):
                found[name] = row(f"idle connection, {protocol}{' under TLS' if encrypted else ''}",
                                  idle_connections(fleet, protocol, encrypted), "KiB", limit + KIB_PER_TLS * encrypted)
    if wanted("streams"):
        found["streams"] = row(f"open stream, of {STREAMS}", waiting_streams(fleet), "KiB", 25)
    if wanted("stalled"):
        found["stalled"] = row(f"{STREAMS} stalled readers, the whole process at its worst", stalled_readers(fleet), "MiB", 256)
    return found
