"""What is measured, and how: CPU time and memory of processes, how busy a core was, and runs of h2load."""

import os
import re
import subprocess
from pathlib import Path

from programs import BenchError

RUN_TIMEOUT_S = 300


def process_tree(pid):
    """The process and what it forked: nginx and nghttpx do their work in a child."""
    found = [pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            found.extend(int(child) for child in task.read_text().split())
    return found


def cpu_ns(pid):
    """utime + stime of all threads. schedstat is the same account as /proc/PID/stat, in ns instead of ticks of 10 ms."""
    total = 0
    for process in process_tree(pid):
        try:
            total += sum(int(stat.read_text().split()[0]) for stat in Path(f"/proc/{process}/task").glob("*/schedstat"))
        except FileNotFoundError:
            fields = Path(f"/proc/{process}/stat").read_text().rsplit(") ", 1)[1].split()
            total += (int(fields[11]) + int(fields[12])) * 1_000_000_000 // os.sysconf("SC_CLK_TCK")
    return total


def memory_kib(pid, field="VmRSS"):
    text = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(rf"^{field}:\s+(\d+) kB", text, re.M).group(1))


class CoreClock:
    """How busy cores were since it was made, everything that ran on them counted."""

    def __init__(self):
        self.before = self._read()

    @staticmethod
    def _read():
        cores = {}
        for line in Path("/proc/stat").read_text().splitlines():
            if re.match(r"cpu\d", line):
                name, *ticks = line.split()
                ticks = [int(tick) for tick in ticks[:8]]
                cores[int(name[3:])] = (sum(ticks), ticks[3] + ticks[4])
        return cores

    def busy_percent(self, core):
        total, idle = (now - then for now, then in zip(self._read()[core], self.before[core]))
        return round(100 * (total - idle) / total) if total else 0


class LoadResult:
    def __init__(self, text):
        done = re.search(r"requests: (\d+) total, \d+ started, (\d+) done, (\d+) succeeded, (\d+) failed", text)
        status = re.search(r"status codes: (\d+) 2xx", text)
        rate = re.search(r"finished in [^,]+, ([\d.]+) req/s", text)
        sent = re.search(r"traffic: .*?\((\d+)\) data", text)
        if not (done and status and rate and sent):
            raise BenchError(f"h2load said: {text[-800:]}")
        total, self.done, _, _ = (int(number) for number in done.groups())
        self.good = int(status.group(1))
        self.errors = total - self.good
        self.rate = float(rate.group(1))
        self.body_bytes = int(sent.group(1))


def h2load(port, core, downstream, connections, streams, requests, body_file, options=(), rpc=None):
    """`rpc`: a gRPC method; the body is a message with its prefix."""
    fields = ["-H", "content-type: application/grpc", "-H", "te: trailers"] if rpc else ["-H", "content-type: application/json"]
    argv = ["h2load", "-n", requests, "-c", connections, "-m", streams, "-d", body_file, *fields, *options]
    if downstream == "h1":
        argv += ["-p", "http/1.1"]
    argv.append(f"http://127.0.0.1:{port}{rpc or '/v1/chat/completions'}")
    done = subprocess.run([str(word) for word in argv], capture_output=True, text=True, timeout=RUN_TIMEOUT_S,
                          preexec_fn=lambda: os.sched_setaffinity(0, {core}))
    return LoadResult(done.stdout + done.stderr)


def quantile(values, q):
    values = sorted(values)
    return values[min(len(values) - 1, int(q * len(values)))]


def machine():
    """What the figures were measured on."""
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return {"cpu": cpu.group(1) if cpu else "unknown", "cores": os.cpu_count(), "kernel": os.uname().release,
            "load_average": round(os.getloadavg()[0], 1)}
