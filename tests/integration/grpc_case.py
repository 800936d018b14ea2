"""What the gRPC tests share: messages generated from proto/ by the distribution's protoc, a gateway whose models misbehave in
known ways, calls by the distribution's grpcio, and calls written frame by frame."""

import atexit
import importlib
import os
import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import h2_client
import harness
from harness import FaultCase, World, cluster, endpoint, until
from scripted_backend import ByModel

try:
    import grpc
except ImportError:  # the tests run under the distribution's Python
    sys.exit("the gRPC tests want python3-grpcio: run them with /usr/bin/python3")

MODEL = "sim:0:6:0"
INFERENCE = "/penstock.v1.Inference/"
KSERVE = "/inference.GRPCInferenceService/"


def _generated():
    """The folder of the generated modules."""
    out = tempfile.mkdtemp(prefix="penstock-protos-")
    atexit.register(shutil.rmtree, out, True)
    protos = harness.SOURCE / "proto"
    files = sorted(str(path.relative_to(protos)) for path in protos.rglob("*.proto") if "google" not in path.parts)
    subprocess.run(["protoc", f"--proto_path={protos}", f"--python_out={out}", *files], check=True)
    grpc.__path__.append(f"{out}/grpc")  # beside grpcio's own modules
    sys.path.append(out)
    return out


_generated()
inference = importlib.import_module("penstock.v1.inference_pb2")
testing = importlib.import_module("grpc.testing.messages_pb2")
health = importlib.import_module("grpc.health.v1.health_pb2")


class GrpcCase(FaultCase):
    """Models as in cache_test, one for each of `programs`, and those of `scripted`, whose answers self.backend says (ByModel), in
    `gated` ones not before the test lets it."""

    programs = ()
    scripted = {}
    gated = ()
    cache = {}
    auth = {}
    server = {}
    retry = {"attempts": 1}
    upstream = "http1"
    endpoint = {}
    arguments = ()  # of the gateway's

    @classmethod
    def make_world(cls):
        cls.backend = ByModel(cls.scripted, held=cls.gated)
        cls.addClassCleanup(cls.backend.close)

        def config(world):
            models = [{"name": "m", "upstream_name": MODEL, "cluster": "c"},
                      {"name": "slow", "upstream_name": "sim:300:6:0", "cluster": "c"},
                      {"name": "paced", "upstream_name": "sim:50:20:10000", "cluster": "c"},
                      {"name": "silent", "upstream_name": "fault:silence", "cluster": "c"},
                      *({"name": program, "cluster": "c"} for program in cls.programs),
                      *({"name": name, "cluster": "scripted"} for name in cls.scripted)]
            return {"server": {"listeners": [{"address": "127.0.0.1:0"}], "workers": 2, **cls.server}, "models": models, "cache": cls.cache,
                    "clusters": [cluster("c", [endpoint(world.sims["faulty"].address, cls.upstream, **cls.endpoint)], retry=cls.retry,
                                         timeouts={"headers": "2s", "first_token": "2s", "idle": "700ms", "total": "20s"}),
                                 *([cluster("scripted", [endpoint(cls.backend.address)], retry=cls.retry)] if cls.scripted else [])],
                    "auth": cls.auth}
        return World(config, sims=("faulty",), arguments=cls.arguments)

    def setUp(self):
        super().setUp()
        self.sim = self.world.sims["faulty"]

    @classmethod
    def _at_rest(cls, canary):
        """grpcio closes a connection some time after its channel, when something else makes it poll: what it still holds is not left
        behind by the gateway."""
        canary_alone = 1
        try:
            until(lambda: connections_to(cls.gateway.address) <= canary_alone, "the end of grpcio's connections", 3)
        except AssertionError:
            cls.world.files_at_start += connections_to(cls.gateway.address) - canary_alone
        return super()._at_rest(canary)

    def channel(self, **options):
        channel = grpc.insecure_channel(self.gateway.address, options=tuple(options.items()))
        self.addCleanup(channel.close)
        return channel

    def unary(self, path, answer, channel=None):
        return (channel or self.channel()).unary_unary(path, _bytes, answer.FromString)

    def stream(self, path, answer, channel=None):
        return (channel or self.channel()).unary_stream(path, _bytes, answer.FromString)

    def bidi(self, path, answer, channel=None):
        return (channel or self.channel()).stream_stream(path, _bytes, answer.FromString)

    def chat(self, prompt="hello", model="m", **fields):
        fields.setdefault("temperature", 0)
        fields.setdefault("max_tokens", 4096)
        return inference.ChatRequest(model=model, messages=[inference.Message(role=inference.ROLE_USER, content=prompt)], **fields)

    def metadata(self, *more):
        """With a request id that the oracle will look for."""
        return (("x-request-id", self.request_id()), *more)

    def fails(self, code, call):
        """The error's text; the call ends with that status."""
        with self.assertRaises(grpc.RpcError) as raised:
            result = call()
            if hasattr(result, "__iter__") and not hasattr(result, "SerializeToString"):
                list(result)
        error = raised.exception
        self.assertEqual(error.code(), code, error)
        return error


def connections_to(address):
    """How many this process has; the canary's is one of them."""
    port = int(address.rpartition(":")[2])
    ours = set()
    for file in Path("/proc/self/fd").iterdir():
        try:
            ours.add(os.readlink(file))
        except FileNotFoundError:  # closed meanwhile
            pass
    # grpcio's sockets are those of IPv6, also towards an address of IPv4.
    rows = (line.split() for table in ("tcp", "tcp6") for line in Path("/proc/self/net", table).read_text().splitlines()[1:])
    return sum(int(row[2][-4:], 16) == port and f"socket:[{row[9]}]" in ours for row in rows)


def _bytes(message):
    return message if isinstance(message, bytes) else message.SerializeToString()


def framed(message, flag=0, length=None):
    message = _bytes(message)
    return struct.pack(">BI", flag, len(message) if length is None else length) + message


def messages(body, torn=False):
    """The messages of a body, undone from their prefixes; `torn`: the last one may still be coming."""
    found, at = [], 0
    while at < len(body):
        if torn and len(body) < at + 5:
            break
        flag, length = struct.unpack(">BI", body[at:at + 5])
        if torn and len(body) < at + 5 + length:
            break
        assert flag == 0 and len(body) >= at + 5 + length, body[at:at + 40]
        found.append(body[at + 5:at + 5 + length])
        at += 5 + length
    return found


class OpenCall:
    """A call by hand whose client keeps its side open: the test says what it sends, and when."""

    def __init__(self, test, path, fields=(), connection=None, **options):
        self.connection = connection or h2_client.Connection(test.gateway.address, **options)
        if connection is None:
            test.addCleanup(self.connection.close)
        usual = {"content-type": "application/grpc", "te": "trailers", **dict(fields)}
        self.id = self.connection.request(b"", usual.items(), path=path, end=False)
        self.answer = self.connection.stream(self.id)

    def send(self, data=b"", end=False):
        """As the windows allow."""
        while data or end:
            room = min(16384, len(data), self.connection.window, self.answer.window)
            if data and room <= 0:
                if self.answer.over or not self.connection.step():
                    return
                continue
            piece, data = data[:room], data[room:]
            self.connection.window -= room
            self.answer.window -= room
            self.connection.send(h2_client.frame(h2_client.DATA, h2_client.END_STREAM if end and not data else 0, self.id, piece))
            end = end and bool(data)

    def cancel(self):
        self.connection.send(h2_client.frame(h2_client.RST_STREAM, 0, self.id, struct.pack(">I", h2_client.CANCEL)))

    def messages(self, count):
        """The first `count` of the answer, awaited."""
        while len(found := messages(self.answer.body, torn=True)) < count:
            assert not self.answer.over and self.connection.step(), self.answer
        return found[:count]

    def status(self):
        """grpc-status, awaited."""
        self.connection.finish(self.id)
        return _status_of(self.answer)

    def reset(self):
        """The code of the RST_STREAM that comes behind the answer, awaited."""
        while self.answer.reset is None and self.connection.step():
            pass
        return self.answer.reset


def _status_of(answer):
    """grpc-status, from the trailers or from a head that is all there is."""
    found = dict(answer.trailers or answer.headers or []).get("grpc-status")
    return None if found is None else int(found)


class RawCall:
    """One call by hand; `fields` replace the usual ones of the same name (None: left out)."""

    def __init__(self, address, path, body=b"", fields=(), method="POST", end=True, pieces=None):
        usual = {"content-type": "application/grpc", "te": "trailers"}
        usual.update(dict(fields))
        headers = [(name, value) for name, value in usual.items() if value is not None]
        with h2_client.Connection(address) as connection:
            if pieces is None:
                self.id = connection.request(body, headers, method, path, end=end)
            else:
                self.id = connection.request(b"", headers, method, path, end=False)
                for piece in pieces:
                    connection.send(h2_client.frame(h2_client.DATA, 0, self.id, piece))
                if end:
                    connection.send(h2_client.frame(h2_client.DATA, h2_client.END_STREAM, self.id, b""))
            self.answer = connection.finish(self.id)

    @property
    def http(self):
        return self.answer.status

    @property
    def status(self):
        return _status_of(self.answer)

    @property
    def only_trailers(self):
        return self.answer.trailers is None and self.answer.body == b""

    def trailer(self, name):
        return dict(self.answer.trailers or self.answer.headers or []).get(name)
