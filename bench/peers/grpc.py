"""`grpc`: what a gRPC call costs beside the same request as JSON over HTTP/2, in one penstock and the same rounds.

Rows: a hit, a call to an HTTP/1.1 upstream (with nginx' grpc_pass to a gRPC server that answers a constant of the same size
beside it), and events of a stream.
"""


import measure
from cache_programs import start_penstock
from client import GrpcClient, chat_request, rpc_path
from programs import NGINX_HEAD, BenchError, Program, free_port
from throughput import ANSWER_BYTES, EVENT_GAP_US, EVENTS, perf_file, request_body, run_once, summary

NGINX_ALLOWANCE_US = 10
SENTENCE = "A penstock carries water from the reservoir down to the turbine. "

NGINX_CONFIG = NGINX_HEAD.replace("{proxy_temp}", "{folder}") + """\
  upstream echo {{
    server 127.0.0.1:{backend};
    keepalive 1000;
    keepalive_requests 1000000000;
  }}
  server {{
    listen 127.0.0.1:{port} http2;
    location / {{ grpc_pass grpc://echo; }}
  }}
}}
"""


class Call:
    """One side of a row, in the form that throughput.run_once wants."""

    downstream = "h2"
    answer_bytes = None

    def __init__(self, row, rpc):
        self.name = row.name
        self.connections, self.streams, self.streamed = row.connections, row.streams, row.streamed
        self.units = EVENTS if row.streamed else 1
        self.rpc = rpc


class Row:
    def __init__(self, what, connections, streams, limit, streamed=False, nginx=False):
        self.what, self.connections, self.streams, self.streamed = what, connections, streams, streamed
        self.limit, self.nginx = limit, nginx
        self.model = f"sim:0:{EVENTS}:{EVENT_GAP_US}" if streamed else f"sim-bytes:{ANSWER_BYTES}"

    @property
    def name(self):
        return f"{self.what} {self.connections}x{self.streams}"


ROWS = [Row("hit", 50, 10, 1.25), Row("hit", 50, 1, 1.25), Row("proxied to h1", 50, 10, 1.2, nginx=True),
        Row("proxied to h1", 50, 1, 1.2, nginx=True), Row("stream", 100, 1, 1.15, True), Row("stream", 10, 10, 1.15, True)]


def start(fleet, sim, row):
    """One penstock for both sides; hits alone want a cache."""
    if row.what == "hit":
        return start_penstock(fleet, sim, "h1", row.model)
    return fleet.start("penstock", sim, "h1", row.model)


def start_nginx(fleet):
    echo_port = free_port()
    binary = fleet.bin / "bench_floor_h2"
    if not binary.exists():
        raise BenchError(f"{binary} is missing: build the target bench_floor_h2")
    fleet._add(Program("echo", [binary, "--port", echo_port, "--grpc"], echo_port, fleet.other, fleet.folder)).wait_ready()
    port = free_port()
    config = fleet.write("nginx-grpc.conf", NGINX_CONFIG.format(port=port, backend=echo_port, folder=fleet.folder))
    return fleet.launch("nginx", ["nginx", "-c", config, "-e", fleet.folder / "nginx.log"], port)


def bodies(fleet, row):
    """{rpc: file}; the same text to the model in both."""
    fields = {"temperature": 0} if row.what == "hit" else {}
    as_json, as_message = fleet.folder / "grpc.json", fleet.folder / "grpc.bin"
    as_json.write_text(request_body(row.model, row.streamed, **fields))
    content = (SENTENCE * 10)[:440]
    as_message.write_bytes(chat_request(row.model, content, "You answer in one short sentence.", 4096, fields.get("temperature")))
    return {None: as_json, rpc_path(row.streamed): as_message}


def check(program, row):
    """One call: its status."""
    client = GrpcClient(program.port)
    client.send(row.model, row.streamed)
    trailers = client.read_answer()
    client.close()
    if b"grpc-status" not in trailers and b"\x30" not in trailers:  # "0", however it is coded
        raise BenchError(f"{row.name}: the call ended with {trailers!r}")


def measure_row(fleet, row, args):
    """{side: [one result per round]}"""
    sim = fleet.sim()
    files = bodies(fleet, row)
    results = {}
    try:
        program = start(fleet, sim, row)
        check(program, row)
        sides = {"JSON": (program, Call(row, None)), "gRPC": (program, Call(row, rpc_path(row.streamed)))}
        if row.nginx:
            sides["nginx grpc_pass"] = (start_nginx(fleet), Call(row, rpc_path(row.streamed)))
        at_once = row.connections * row.streams
        requests = at_once * 3 if row.streamed else args.requests
        for server, call in sides.values():
            measure.h2load(server.port, fleet.other, "h2", row.connections, row.streams, max(requests // 5, at_once),
                           files[call.rpc], (), call.rpc)
        for turn in range(args.rounds):
            for side, (server, call) in sides.items():
                recorded = perf_file(args, call) if side == "gRPC" and turn == 0 else None
                results.setdefault(side, []).append(run_once(fleet, server, call, requests, files[call.rpc], recorded))
    finally:
        fleet.stop_all()
    return results


def run(fleet, args):
    if args.requests is None:
        args.requests = 20_000
    print("| work | side | CPU us | ratio to JSON | to reach | requests/s | bytes of body | errors |\n|---|---|---|---|---|---|---|---|")
    found = {}
    for row in ROWS:
        if args.only and not any(word in row.name for word in args.only):
            continue
        rows = found[row.name] = summary(measure_row(fleet, row, args), "JSON")
        for side, side_row in rows.items():
            verdict = ""
            if side == "gRPC":
                verdict = f"{row.limit} {'reached' if side_row['ratio'] <= row.limit and not side_row['errors'] else 'missed'}"
                if row.nginx:
                    limit = rows["nginx grpc_pass"]["us"] + NGINX_ALLOWANCE_US
                    verdict += f", nginx + {NGINX_ALLOWANCE_US} us {'reached' if side_row['us'] <= limit else 'missed'}"
            print(f"| {row.name} | {side} | {side_row['us']:.2f} | {side_row['ratio']:.2f} | {verdict} | {side_row['rate']:.0f} "
                  f"| {side_row['bytes']:.0f} | {side_row['errors']} |", flush=True)
    return found
