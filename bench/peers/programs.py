"""The programs of a measurement: the simulated backend, penstock and the proxies it is compared with.

Every program listens on free loopback ports, writes no access log, and is bound to one core: the program under test to
one, backend and load generator to the other.
"""

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

PEERS = ("penstock", "haproxy", "nghttpx", "nginx")
BINARIES = {"haproxy": "haproxy", "nghttpx": "nghttpx", "nginx": "nginx"}
START_TIMEOUT_S = 15

PENSTOCK_CONFIG = """\
server:
  listeners:
    - address: "127.0.0.1:{port}"
{tls}
  workers: 1
  pin_workers: false      # the script has pinned the process
  drain: {{delay: 0s, timeout: 0s}}
  limits: {{streams_per_connection: 1000, slow_reader_timeout: 600s, header_timeout: 60s, idle_timeout: 600s}}
admin: {{address: "127.0.0.1:{admin}"}}
log: {{level: warn, access: "off"}}
models:
  - {{name: "{model}", cluster: sim}}
clusters:
  - name: sim
    endpoints:
      - {{url: "http://127.0.0.1:{backend}", protocol: {protocol}, max_concurrency: 100000}}
    connections: {{max: 2000, max_streams: 100}}
    timeouts: {{headers: 900s, first_token: 900s, idle: 900s, total: 900s}}
"""

HAPROXY_CONFIG = """\
global
  nbthread 1
  maxconn 4000
  log /dev/null local0 emerg
defaults
  mode http
  timeout connect 2s
  timeout client 60s
  timeout server 60s
  option http-keep-alive
{no_delay}frontend front
  bind 127.0.0.1:{port}
  default_backend sim
backend sim
  http-reuse always
  server sim 127.0.0.1:{backend}{protocol}
"""

NGHTTPX_CONFIG = """\
frontend=127.0.0.1,{port};no-tls
backend=127.0.0.1,{backend};;proto={protocol}
workers=1
backend-connections-per-frontend=0
frontend-http2-max-concurrent-streams=1000
errorlog-file={folder}/nghttpx.log
pid-file={folder}/nghttpx.pid
"""

# What every nginx here begins with; proxy_temp is where it puts answers that are too large for its buffers.
NGINX_HEAD = """\
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log error;
events {{ worker_connections 8000; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {proxy_temp}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  keepalive_requests 1000000000;
  http2_max_concurrent_streams 1000;
"""

# Two listeners: 1.22 takes HTTP/2 without TLS by prior knowledge only.
NGINX_CONFIG = NGINX_HEAD.replace("{proxy_temp}", "{folder}") + """\
  upstream sim {{
    server 127.0.0.1:{backend};
    keepalive 1000;
    keepalive_requests 1000000000;
  }}
  server {{
    listen 127.0.0.1:{port}{listen};
    location / {{
      proxy_pass http://sim;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering {buffering};
    }}
  }}
}}
"""


class BenchError(Exception):
    """A measurement that cannot be made; its text is for the user."""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def split_cores():
    """(core of the program under test, core of load generator and backend)"""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise BenchError("two cores are needed: one for the program under test, one for load generator and backend")
    return cores[0], cores[1]


def wait_until(condition, what, timeout_s=START_TIMEOUT_S, step_s=0.01):
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise BenchError(f"{what}: not within {timeout_s} s")
        time.sleep(step_s)


def listening(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False


class Program:
    """One running program. `pid` is the process started; forked workers are found by measure.process_tree."""

    def __init__(self, name, argv, port, core, folder):
        self.name, self.port, self.core = name, port, core
        self.log = Path(folder) / f"{name}.out"
        self.started_ns = time.monotonic_ns()
        with open(self.log, "ab") as out:
            self.process = subprocess.Popen(
                [str(word) for word in argv], stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                preexec_fn=lambda: os.sched_setaffinity(0, {core}))

    @property
    def pid(self):
        return self.process.pid

    def alive(self):
        return self.process.poll() is None

    def wait_ready(self):
        def up():
            if not self.alive():
                raise BenchError(f"{self.name} ended with {self.process.returncode}: {self.log_tail()}")
            return listening(self.port)
        try:
            wait_until(up, f"{self.name} ready")
        except BenchError:
            self.stop()
            raise
        return self

    def log_tail(self):
        return self.log.read_text(errors="replace")[-1500:]

    def stop(self):
        for sign in (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL):  # the second ends a drain
            if not self.alive():
                break
            self.process.send_signal(sign)
            try:
                self.process.wait(1)
            except subprocess.TimeoutExpired:
                pass


class Fleet:
    """Starts programs in a folder of their own; as a context it ends all of them."""

    def __init__(self, build_dir, folder):
        self.bin = Path(build_dir) / "bin"
        for name in ("penstock", "penstock-sim"):
            if not (self.bin / name).exists():
                raise BenchError(f"{self.bin / name} is missing: build it, or name another folder by --build-dir")
        self.folder = Path(folder)
        self.under_test, self.other = split_cores()
        os.sched_setaffinity(0, {self.other})  # the clients written here are load as well
        self.running = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop_all()

    def stop_all(self):
        for program in reversed(self.running):
            program.stop()
        self.running.clear()

    def _add(self, program):
        self.running.append(program)
        return program

    def sim(self, *options):
        port = free_port()
        argv = [self.bin / "penstock-sim", "--listen", f"127.0.0.1:{port}", *options]
        return self._add(Program("penstock-sim", argv, port, self.other, self.folder)).wait_ready()

    def launch(self, name, argv, port):
        """A program under test that is started in a way of its own."""
        return self._add(Program(name, argv, port, self.under_test, self.folder)).wait_ready()

    def start(self, name, backend, upstream, model, downstream="h2", streamed=False, tls=None, wait=True):
        """upstream and downstream: "h1" or "h2". None where the program cannot do it."""
        if name == "nginx" and upstream == "h2":
            return None
        if name != "penstock" and shutil.which(BINARIES[name]) is None:
            raise BenchError(f"{name} is not installed")
        starter = getattr(self, f"_{name}")
        program = self._add(starter(free_port(), backend.port, upstream, model, downstream, streamed, tls))
        return program.wait_ready() if wait else program

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return path

    def _penstock(self, port, backend, upstream, model, _downstream, _streamed, tls):
        admin = free_port()
        tls_line = f'      tls: {{certificate: "{tls[0]}", private_key: "{tls[1]}"}}' if tls else ""
        config = self.write("penstock.yaml", PENSTOCK_CONFIG.format(
            port=port, admin=admin, backend=backend, model=model, tls=tls_line,
            protocol="h2" if upstream == "h2" else "http1"))
        return Program("penstock", [self.bin / "penstock", "serve", "--config", config], port, self.under_test, self.folder)

    def _haproxy(self, port, backend, upstream, _model, _downstream, streamed, _tls):
        # Without it HAProxy marks what it sends by MSG_MORE over HTTP/1.1, and the kernel may keep an event for 200 ms.
        no_delay = "  option http-no-delay\n" if streamed else ""
        config = self.write("haproxy.cfg", HAPROXY_CONFIG.format(
            port=port, backend=backend, no_delay=no_delay, protocol=" proto h2" if upstream == "h2" else ""))
        return Program("haproxy", ["haproxy", "-db", "-f", config], port, self.under_test, self.folder)

    def _nghttpx(self, port, backend, upstream, *_):
        config = self.write("nghttpx.conf", NGHTTPX_CONFIG.format(
            port=port, backend=backend, folder=self.folder, protocol="h2" if upstream == "h2" else "http/1.1"))
        return Program("nghttpx", ["nghttpx", f"--conf={config}"], port, self.under_test, self.folder)

    def _nginx(self, port, backend, _upstream, _model, downstream, streamed, _tls):
        config = self.write("nginx.conf", NGINX_CONFIG.format(
            port=port, backend=backend, folder=self.folder, listen=" http2" if downstream == "h2" else "",
            buffering="off" if streamed else "on"))
        return Program("nginx", ["nginx", "-c", config, "-e", self.folder / "nginx.log"], port, self.under_test, self.folder)
