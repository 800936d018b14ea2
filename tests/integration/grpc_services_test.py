"""What the gateway tells gRPC clients of itself, and KServe's protocol: health, reflection, metadata, ModelInfer (FAULTS Q-25,
Q-26)."""

import importlib
import json
import queue
import signal
import struct

import harness
from grpc_case import INFERENCE, KSERVE, GrpcCase, OpenCall, framed, grpc, health, inference
from harness import until

kserve = importlib.import_module("kserve.grpc_service_pb2")
HEALTH = "/grpc.health.v1.Health/"
SERVING, NOT_SERVING = health.HealthCheckResponse.SERVING, health.HealthCheckResponse.NOT_SERVING
BYTES = "BYTES"


def infer(prompt, model="m", id="", parameters=(), **tensors):
    """A ModelInferRequest as tritonclient writes it: raw contents, one element each."""
    request = kserve.ModelInferRequest(model_name=model, id=id)
    for name, value in (("text_input", prompt), *tensors.items()):
        kind, raw = {str: (BYTES, lambda v: struct.pack("<I", len(v.encode())) + v.encode()), bool: ("BOOL", lambda v: struct.pack("?", v)),
                     int: ("INT32", lambda v: struct.pack("<i", v)), float: ("FP32", lambda v: struct.pack("<f", v))}[type(value)]
        request.inputs.add(name=name, datatype=kind, shape=[1])
        request.raw_input_contents.append(raw(value))
    for name, value in dict(parameters).items():
        setattr(request.parameters[name], {bool: "bool_param", int: "int64_param", str: "string_param"}[type(value)], value)
    return request


def text_of(response):
    """What tritonclient's as_numpy("text_output") has."""
    for output, raw in zip(response.outputs, response.raw_output_contents):
        if output.name == "text_output":
            size = struct.unpack("<I", raw[:4])[0]
            return raw[4:4 + size].decode()
    return None


class Services(GrpcCase):
    programs = ("fault:cut:after=3",)

    def test_health(self):
        check = self.unary(HEALTH + "Check", health.HealthCheckResponse)
        for service in ("", "penstock.v1.Inference", "inference.GRPCInferenceService"):
            self.assertEqual(check(health.HealthCheckRequest(service=service), metadata=self.metadata()).status, SERVING)
        self.fails(grpc.StatusCode.NOT_FOUND, lambda: check(health.HealthCheckRequest(service="no.such"), metadata=self.metadata()))
        watch = self.stream(HEALTH + "Watch", health.HealthCheckResponse)(health.HealthCheckRequest(), metadata=self.metadata())
        self.assertEqual(next(watch).status, SERVING)
        watch.cancel()

    def test_health_is_watched_to_the_deadline(self):
        watch = self.stream(HEALTH + "Watch", health.HealthCheckResponse)(health.HealthCheckRequest(), timeout=0.3, metadata=self.metadata())
        self.assertEqual(next(watch).status, SERVING)
        self.fails(grpc.StatusCode.DEADLINE_EXCEEDED, lambda: next(watch))

    def test_reflection(self):
        from google.protobuf import descriptor_pb2
        for version in ("v1", "v1alpha"):
            pb2 = importlib.import_module(f"grpc.reflection.{version}.reflection_pb2")
            with self.subTest(version):
                asked = queue.SimpleQueue()
                answers = self.bidi(f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo", pb2.ServerReflectionResponse)(
                    iter(asked.get, None))
                asked.put(pb2.ServerReflectionRequest(list_services=""))
                names = {service.name for service in next(answers).list_services_response.service}
                self.assertLessEqual({"penstock.v1.Inference", "inference.GRPCInferenceService", "grpc.health.v1.Health"}, names)
                # As grpcurl does: the file of a symbol, then whatever it imports.
                files, wanted = {}, []
                asked.put(pb2.ServerReflectionRequest(file_containing_symbol="penstock.v1.Inference"))
                while True:
                    for blob in next(answers).file_descriptor_response.file_descriptor_proto:
                        file = descriptor_pb2.FileDescriptorProto.FromString(blob)
                        files[file.name] = file
                        wanted += file.dependency
                    missing = [name for name in wanted if name not in files]
                    if not missing:
                        break
                    asked.put(pb2.ServerReflectionRequest(file_by_filename=missing[0]))
                methods = {method.name for file in files.values() for service in file.service for method in service.method}
                self.assertIn("ChatStream", methods)
                asked.put(pb2.ServerReflectionRequest(file_containing_symbol="no.such.Thing"))
                self.assertEqual(next(answers).error_response.error_code, 5)
                asked.put(None)
                self.assertEqual(answers.code(), grpc.StatusCode.OK)

    # --- KServe ---

    def test_kserve_metadata(self):
        self.assertTrue(self.unary(KSERVE + "ServerLive", kserve.ServerLiveResponse)(b"", metadata=self.metadata()).live)
        self.assertTrue(self.unary(KSERVE + "ServerReady", kserve.ServerReadyResponse)(b"", metadata=self.metadata()).ready)
        self.assertEqual(self.unary(KSERVE + "ServerMetadata", kserve.ServerMetadataResponse)(b"", metadata=self.metadata()).name, "penstock")
        ready = self.unary(KSERVE + "ModelReady", kserve.ModelReadyResponse)
        self.assertTrue(ready(kserve.ModelReadyRequest(name="m"), metadata=self.metadata()).ready)
        about = self.unary(KSERVE + "ModelMetadata", kserve.ModelMetadataResponse)
        self.assertEqual([output.name for output in about(kserve.ModelMetadataRequest(name="m"), metadata=self.metadata()).outputs][:1],
                         ["text_output"])
        self.fails(grpc.StatusCode.NOT_FOUND, lambda: about(kserve.ModelMetadataRequest(name="nobody"), metadata=self.metadata()))

    def test_kserve_infer(self):
        call = self.unary(KSERVE + "ModelInfer", kserve.ModelInferResponse)
        answer = call(infer("say something", id="7", max_tokens=5), metadata=self.metadata())
        self.assertEqual((answer.model_name, answer.id), ("m", "7"))
        self.assertTrue(text_of(answer))
        sent = json.loads(self.sim.last()[-1]["body"])
        self.assertEqual((sent["prompt"], sent["max_tokens"], sent["model"]), ("say something", 5, "sim:0:6:0"))
        self.assertEqual(self.sim.last()[-1]["target"], "/v1/completions")
        self.fails(grpc.StatusCode.NOT_FOUND, lambda: call(infer("x", model="nobody"), metadata=self.metadata()))

    def test_kserve_streams(self):
        """Two requests at once on one stream; the answers carry their ids."""
        asked = queue.SimpleQueue()
        answers = self.bidi(KSERVE + "ModelStreamInfer", kserve.ModelStreamInferResponse)(iter(asked.get, None), metadata=self.named(4))
        for id in ("a", "b"):
            asked.put(infer(f"prompt {id}", id=id, stream=True, parameters={"triton_enable_empty_final_response": True}))
        texts, finals = {"a": "", "b": ""}, set()
        while len(finals) < 2:
            response = next(answers)
            self.assertEqual(response.error_message, "")
            texts[response.infer_response.id] += text_of(response.infer_response) or ""
            if response.infer_response.parameters["triton_final_response"].bool_param:
                finals.add(response.infer_response.id)
        self.assertTrue(texts["a"] and texts["b"])
        # One that fails is told in a message, and the stream goes on.
        asked.put(infer("x", model="nobody", id="c"))
        self.assertIn("does not exist", next(answers).error_message)
        asked.put(infer("whole", id="d"))
        self.assertEqual(next(answers).infer_response.id, "d")
        asked.put(None)
        self.assertEqual(answers.code(), grpc.StatusCode.OK)

    def test_kserve_stream_of_nothing(self):
        answers = self.bidi(KSERVE + "ModelStreamInfer", kserve.ModelStreamInferResponse)(iter(()))
        self.assertEqual((list(answers), answers.code()), ([], grpc.StatusCode.OK))

    def named(self, count):
        """Metadata of a call with so many requests; each is told of under an id of its own."""
        name = self.request_id()
        self.asked[-1:] = [f"{name}-{n + 1}" for n in range(count)]
        return (("x-request-id", name),)

    def test_kserve_more_requests_than_run_at_once(self):
        requests = [infer(f"prompt {n}", id=str(n), model="slow") for n in range(60)]
        answers = self.bidi(KSERVE + "ModelStreamInfer", kserve.ModelStreamInferResponse)(iter(requests), metadata=self.named(60))
        self.assertEqual({answer.infer_response.id for answer in answers}, {str(n) for n in range(60)})

    def test_kserve_a_client_that_leaves_cancels_all_it_asked(self):
        answers = self.bidi(KSERVE + "ModelStreamInfer", kserve.ModelStreamInferResponse)(
            iter([infer(f"x{n}", model="silent", id=str(n)) for n in range(3)]))
        until(lambda: self.sim.stats()["in_flight"] == 3, "the requests at the backend")
        answers.cancel()
        until(lambda: self.sim.stats()["in_flight"] == 0, "their cancellation")


class Leaving(GrpcCase):
    server = {"drain": {"delay": "1s", "timeout": "5s"}}

    def test_Q_25_Q_26_a_drain(self):
        """Health says so at once, streams run to their end, new calls are refused."""
        channel = self.channel()
        watch = self.stream(HEALTH + "Watch", health.HealthCheckResponse, channel)(health.HealthCheckRequest())
        self.assertEqual(next(watch).status, SERVING)
        stream = self.stream(INFERENCE + "ChatStream", inference.ChatChunk, channel)(self.chat(model="paced"))
        next(stream)
        self.world.canary.end()  # it would find nobody
        self.gateway.signal(signal.SIGTERM)
        self.assertEqual(next(watch).status, NOT_SERVING)
        self.assertEqual(self.unary(HEALTH + "Check", health.HealthCheckResponse, channel)(health.HealthCheckRequest()).status, NOT_SERVING)
        finishes = [choice.finish_reason for chunk in stream for choice in chunk.choices if choice.finish_reason]
        self.assertEqual((finishes, stream.code()), (["stop"], grpc.StatusCode.OK))
        self.fails(grpc.StatusCode.UNAVAILABLE, lambda: next(watch))
        self.assertEqual(self.gateway.wait(), 0)

    def _oracle(self):
        """The gateway is gone, as it should be."""


class CutShort(GrpcCase):
    server = {"workers": 1, "drain": {"delay": "0s", "timeout": "300ms"}}

    def test_Q_26_a_stream_of_requests_at_the_drains_end(self):
        """One of its requests runs, of another half a message is there: who is refused first ends both."""
        before = OpenCall(self, INFERENCE + "Chat", [("x-request-id", "before")])
        call = OpenCall(self, KSERVE + "ModelStreamInfer", [("x-request-id", "stream")])
        call.send(framed(infer("x", model="silent")))
        until(lambda: self.sim.stats()["in_flight"] == 1, "the request at the backend")
        call.send(framed(infer("x"))[:-1])
        before.send(framed(self.chat()), end=True)
        self.assertEqual(before.status(), 0)  # the last of those that live takes its place
        self.world.canary.end()  # it would find nobody
        self.gateway.signal(signal.SIGTERM)
        self.assertEqual(call.status(), 14, call.answer)
        self.assertEqual(self.gateway.wait(), 0)

    def _oracle(self):
        """The gateway is gone, as it should be."""


if __name__ == "__main__":
    harness.main()
