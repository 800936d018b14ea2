"""The programs of `cache`: penstock with its response cache, nginx with its proxy_cache, and the floor (bench/floor): nghttp2
alone, which answers a constant and keeps nothing."""

import subprocess

from programs import NGINX_HEAD, PENSTOCK_CONFIG, BenchError, free_port

NAMES = ("penstock", "floor", "nginx")
PATH = "/v1/chat/completions"

# One answer, kept for longer than any run. Everything else is what a user has who configures nothing.
PENSTOCK_CACHE = "cache: {{enabled: {enabled}, ttl: 3600s}}\n"

# The cache is nginx's at its best: its files in memory and kept open, the body in one buffer, no second line in any log.
# x-cache-status is what x-penstock-cache is in penstock's answers.
NGINX_CONFIG = NGINX_HEAD.replace("{proxy_temp}", "{cache}") + """\
  open_file_cache max=1000 inactive=1h;
  open_file_cache_valid 1h;
  proxy_cache_path {cache}/files keys_zone=answers:16m inactive=1h max_size=256m use_temp_path=off;
  server {{
    listen 127.0.0.1:{port}{listen};
    location / {{
      client_body_in_single_buffer on;
      client_body_buffer_size 16k;
      proxy_pass http://127.0.0.1:{backend};
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_cache answers;
      proxy_cache_methods POST;
      proxy_cache_key "$request_uri $request_body";
      proxy_cache_valid 200 1h;
      proxy_ignore_headers Cache-Control Expires Vary;
      add_header x-cache-status $upstream_cache_status;
    }}
  }}
}}
"""


def start_penstock(fleet, sim, upstream, model, enabled=True, name="penstock"):
    port = free_port()
    config = fleet.write(f"{name}.yaml", PENSTOCK_CONFIG.format(
        port=port, admin=free_port(), backend=sim.port, model=model, tls="", protocol="h2" if upstream == "h2" else "http1")
        + PENSTOCK_CACHE.format(enabled=str(enabled).lower()))
    return fleet.launch(name, [fleet.bin / "penstock", "serve", "--config", config], port)


def start_floor(fleet):
    binary = fleet.bin / "bench_floor_h2"
    if not binary.exists():
        raise BenchError(f"{binary} is missing: build the target bench_floor_h2, or name another folder by --build-dir")
    port = free_port()
    return fleet.launch("floor", [binary, "--port", port], port)


def start_nginx(fleet, sim, downstream, memory_folder):
    """memory_folder: on a tmpfs, and readable by whom nginx becomes."""
    port = free_port()
    config = fleet.write("nginx-cache.conf", NGINX_CONFIG.format(
        port=port, backend=sim.port, folder=fleet.folder, cache=memory_folder, listen=" http2" if downstream == "h2" else ""))
    return fleet.launch("nginx", ["nginx", "-c", config, "-e", fleet.folder / "nginx.log"], port)


class Answer:
    def __init__(self, head, body_bytes):
        first, *fields = head.replace("\r", "").strip().split("\n")
        self.status = int(first.split()[1])
        self.fields = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
        self.body_bytes = body_bytes

    @property
    def cache(self):
        """What the program says that its cache did: penstock's words or nginx's."""
        return self.fields.get("x-penstock-cache") or self.fields.get("x-cache-status")


def ask(fleet, program, downstream, body_file, headers=()):
    """One request, outside of any measurement."""
    body = fleet.folder / "answer"
    version = "--http2-prior-knowledge" if downstream == "h2" else "--http1.1"
    fields = [word for header in ("content-type: application/json", *headers) for word in ("-H", header)]
    done = subprocess.run(["curl", "-sS", "--max-time", "10", version, *fields, "--data-binary", f"@{body_file}", "-o", body,
                           "-D", "-", f"http://127.0.0.1:{program.port}{PATH}"], capture_output=True, text=True)
    if done.returncode:
        raise BenchError(f"{program.name}: {done.stderr.strip()}")
    answer = Answer(done.stdout, body.stat().st_size)
    if answer.status != 200:
        raise BenchError(f"{program.name} answered {answer.status}: {body.read_text(errors='replace')[:300]}")
    return answer


def warm(fleet, program, downstream, body_file, stored_file=None):
    """Has the answer stored by one request (of the body in stored_file, if another one) and looks that the next one is a hit.
    The answer."""
    ask(fleet, program, downstream, stored_file or body_file)
    answer = ask(fleet, program, downstream, body_file)
    if program.name != "floor" and answer.cache not in ("hit-memory", "HIT"):
        raise BenchError(f"{program.name}: the second request of its kind is no hit but '{answer.cache}'")
    return answer
