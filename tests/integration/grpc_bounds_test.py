"""What a gRPC call may hold and how long it may take: messages that do not end, answers that nobody reads, answers that fit no
message, refusals that wait for nothing."""

import struct
import time

import h1_client
import h2_client
import harness
from auth_test import digest
from grpc_case import INFERENCE, KSERVE, GrpcCase, OpenCall, framed, grpc, health, inference, messages
from grpc_services_test import HEALTH, infer, kserve
from harness import settled, until
from scripted_backend import chunk, events, plain

CHAT, CHAT_STREAM = INFERENCE + "Chat", INFERENCE + "ChatStream"
STREAM_INFER = KSERVE + "ModelStreamInfer"
REFLECTION = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
OK, DEADLINE, NOT_FOUND, EXHAUSTED, UNIMPLEMENTED, INTERNAL, UNAUTHENTICATED = 0, 4, 5, 8, 12, 13, 16
RUN_AT_ONCE = 16  # of the messages of one stream
SIZE = 200_000  # of an answer: more than a window and what a call holds for a client that does not read
PATIENCE = 1.5  # seconds for a message


def answers_of(messages):
    return [kserve.ModelStreamInferResponse.FromString(message) for message in messages]


class Streams(GrpcCase):
    """Of requests: ModelStreamInfer."""

    server = {"limits": {"body_timeout": f"{PATIENCE * 1000:.0f}ms"}}
    scripted = {"large": plain({"id": "1", "object": "text_completion", "created": 1, "model": "x",
                                "choices": [{"index": 0, "text": "x" * SIZE, "finish_reason": "stop"}]})}

    def open(self, *fields, **options):
        """The call, whose requests are told of as its name and their number."""
        name = f"{self._testMethodName}-{time.monotonic_ns()}"
        return name, OpenCall(self, STREAM_INFER, [("x-request-id", name), *fields], **options)

    def test_answers_that_nobody_reads_hold_up_the_next_requests(self):
        count = 4 * RUN_AT_ONCE
        _, call = self.open(windows=False)
        self.backend.forget()
        call.send(b"".join(framed(infer("x", "large", id=str(n))) for n in range(count)), end=True)
        until(lambda: self.held() > (RUN_AT_ONCE - 1) * SIZE, lambda: f"as many answers as run at once, {self.held()} bytes of them")
        self.assertEqual(settled(lambda: self.backend.received["large"]), RUN_AT_ONCE)
        self.assertLess(settled(self.held), (RUN_AT_ONCE + 1) * SIZE)
        self.read_on(call)
        self.assertEqual({answer.infer_response.id for answer in answers_of(call.messages(count))}, {str(n) for n in range(count)})
        self.assertEqual(call.status(), OK)
        self.assertEqual(self.backend.received["large"], count)

    def test_an_end_behind_requests_that_wait_is_no_torn_message(self):
        _, call = self.open(windows=False)
        call.send(framed(infer("x", "large", id="0")))
        until(lambda: self.held() > SIZE / 2, "an answer that nobody reads")
        call.send(framed(infer("x", id="1")) + framed(infer("x", id="2")), end=True)
        self.read_on(call)
        self.assertEqual(call.status(), OK, call.answer)
        self.assertEqual({answer.infer_response.id for answer in answers_of(call.messages(3))}, {"0", "1", "2"})

    def test_and_an_end_within_one_that_waits_is(self):
        _, call = self.open(windows=False)
        call.send(framed(infer("x", "large", id="0")))
        until(lambda: self.held() > SIZE / 2, "an answer that nobody reads")
        call.send(framed(infer("x", id="1"))[:-1], end=True)
        self.read_on(call)
        self.assertEqual(call.status(), INTERNAL, call.answer)

    def held(self):
        return self.gateway.metrics()["penstock_buffered_bytes"]

    def read_on(self, call):
        credit = struct.pack(">I", 2**29)
        for stream in (0, call.id):
            call.connection.send(h2_client.frame(h2_client.WINDOW_UPDATE, 0, stream, credit))

    def test_a_message_that_is_begun_and_not_ended(self):
        name, call = self.open()
        call.send(framed(infer("x", id="1")) + framed(infer("y", id="2"))[:-1])
        began = time.monotonic()
        self.assertEqual(answers_of(call.messages(1))[0].infer_response.id, "1")
        self.assertEqual(call.status(), DEADLINE, call.answer)
        self.assertGreaterEqual(time.monotonic() - began, PATIENCE * 0.9)
        lines = [self.gateway.line_of(f"{name}-{n}") for n in (1, 2)]
        self.assertEqual([(line["status"], line["term"]) for line in lines], [(200, "-"), (408, "DT")])

    def test_time_between_messages_is_the_client_s(self):
        """And a frame that ends within a message is no sign of a slow one."""
        _, call = self.open()
        call.send(framed(infer("x", id="0")))
        answered = time.monotonic()
        until(lambda: time.monotonic() > answered + 1.5 * PATIENCE, "some time without a message")
        whole = b"".join(framed(infer("x", id=str(n))) for n in range(1, 13))
        size = len(whole) // 12
        for n in range(12):
            end = time.monotonic() + PATIENCE / 6
            call.send(whole[n * size + (n > 0) * 20:(n + 1) * size + 20])
            until(lambda: time.monotonic() > end, "the next piece's time")
        call.send(end=True)
        self.assertEqual(call.status(), OK, call.answer)
        self.assertEqual(len(call.messages(13)), 13)

    def test_a_deadline_is_the_end_of_all_that_runs(self):
        name, call = self.open(("grpc-timeout", "500m"))
        call.send(b"".join(framed(infer("x", model, id=str(n), stream=True)) for n, model in enumerate(("silent", "silent", "m"))) + framed(b"half", length=8))
        self.assertEqual(call.status(), DEADLINE, call.answer)
        self.assertEqual([answer.error_message for answer in answers_of(call.messages(1))], [""])
        unary = self.request_id()
        self.fails(grpc.StatusCode.DEADLINE_EXCEEDED, lambda: self.unary(CHAT, inference.ChatResponse)(
            self.chat(model="silent"), metadata=(("x-request-id", unary), ("grpc-timeout", "500m"))))
        expected = self.gateway.line_of(unary)
        self.assertEqual((expected["status"], expected["term"]), (504, "DT"))
        lines = [self.gateway.line_of(f"{name}-{n}") for n in (1, 2, 3, 4)]
        self.assertEqual([(line["status"], line["term"]) for line in lines], [(504, "DT"), (504, "DT"), (200, "-"), (504, "DT")])
        until(lambda: self.sim.stats()["in_flight"] == 0, "nothing left at the backend")

    def test_a_message_that_is_none_is_told_of(self):
        for body, status in ((framed(b"", flag=2), 400), (framed(b"", length=2**32 - 1), 413), (framed(b"abc", length=4), 400)):
            name, call = self.open()
            call.send(framed(infer("x", id="1")))
            call.messages(1)
            call.send(body, end=True)
            self.assertIn(call.status(), (INTERNAL, EXHAUSTED))
            self.assertEqual(self.gateway.line_of(f"{name}-2")["status"], status)


class Recycled(GrpcCase):
    server = {"workers": 1}

    def test_a_call_whose_object_was_anothers_just_now(self):
        """All in one read: a call that holds much fails and is gone, the next one gets its place and is still at work at the turn's end."""
        def head(stream):
            return h2_client.headers_frame(stream, h2_client.request_fields(path=CHAT, more=[
                ("content-type", "application/grpc"), ("te", "trailers"), ("x-request-id", self.request_id())]), end_stream=False)

        torn = framed(b"x" * 24_000, length=100_000)
        with h2_client.Connection(self.gateway.address) as connection:
            connection.ask("GET", "/v1/models")
            connection.send(head(3) + h2_client.frame(h2_client.DATA, 0, 3, torn[:16_384])
                            + h2_client.frame(h2_client.DATA, h2_client.END_STREAM, 3, torn[16_384:])
                            + h2_client.frame(h2_client.RST_STREAM, 0, 3, struct.pack(">I", h2_client.CANCEL))
                            + head(5) + h2_client.frame(h2_client.DATA, h2_client.END_STREAM, 5, framed(self.chat())))
            connection.stream(5)
            answer = connection.finish(5)
        self.assertEqual(dict(answer.trailers or answer.headers).get("grpc-status"), "0", answer)
        self.assertEqual(len(messages(answer.body)), 1)


class Refused(GrpcCase):
    """A call that cannot be served ends at once, whatever its client still means to send."""

    auth = {"allow_anonymous": True, "keys": [{"name": "one", "key_sha256": digest("key-one")}]}

    def test_a_stream_of_requests(self):
        for name, value, status in (("authorization", "Bearer no", UNAUTHENTICATED), ("grpc-timeout", "1X", INTERNAL),
                                    ("grpc-encoding", "br", UNIMPLEMENTED), ("content-type", "application/grpc+json", UNIMPLEMENTED)):
            with self.subTest(name):
                call = OpenCall(self, STREAM_INFER, [(name, value)])
                self.assertEqual((call.status(), call.reset()), (status, h2_client.NO_ERROR), call.answer)

    def test_an_unknown_model_is_told_while_the_client_s_side_is_open(self):
        call = OpenCall(self, STREAM_INFER)
        call.send(framed(infer("x", "nobody")))
        self.assertIn("does not exist", answers_of(call.messages(1))[0].error_message)
        call.send(framed(infer("x", "m", id="2")), end=True)
        self.assertEqual((answers_of(call.messages(2))[1].infer_response.id, call.status()), ("2", OK))


class LargeAnswers(GrpcCase):
    server = {"limits": {"response_body": "2MiB", "sse_event": "8MiB"}}
    programs = ("sim-bytes:1900000", "sim-bytes:3000000")
    scripted = {f"event-{size}": events(chunk("first"), chunk("x" * size), chunk(finish="stop"), "[DONE]") for size in (1_900_000, 3_000_000)}

    def channel(self, **options):
        return super().channel(**{"grpc.max_receive_message_length": -1, **options})

    def text(self, model):
        stream = self.stream(CHAT_STREAM, inference.ChatChunk)(self.chat(model=model), metadata=self.metadata())
        return "".join(choice.delta.content for each in stream for choice in each.choices)

    def test_an_event(self):
        self.assertEqual(len(self.text("event-1900000")), len("first") + 1_900_000)
        error = self.fails(grpc.StatusCode.INTERNAL, lambda: self.text("event-3000000"))
        self.assertIn("larger than a message", error.details())

    def test_a_whole_answer(self):
        call = self.unary(CHAT, inference.ChatResponse)
        self.assertGreater(len(call(self.chat(model="sim-bytes:1900000"), metadata=self.metadata()).choices[0].message.content), 1_800_000)
        error = self.fails(grpc.StatusCode.INTERNAL, lambda: call(self.chat(model="sim-bytes:3000000"), metadata=self.metadata()))
        self.assertIn("larger than a message", error.details())
        line = self.gateway.line_of(self.asked[-1])
        self.assertEqual((line["status"], line["term"], line["attempts"]), (200, "UPE", 1))
        with h1_client.Connection(self.gateway.address) as connection:  # where it needs not be one message
            answer = connection.ask("POST", "/v1/chat/completions", '{"model": "sim-bytes:3000000", "messages": [{"role": "user", "content": "x"}]}')
        self.assertEqual((answer.status, len(answer.body)), (200, 3_000_000))


class Local(GrpcCase):
    MAX = 64 * 1024

    def test_messages_to_the_gateway_itself_are_small(self):
        small, large = (health.HealthCheckRequest(service="x" * size).SerializeToString() for size in (self.MAX - 10, self.MAX))
        check = self.unary(HEALTH + "Check", health.HealthCheckResponse)
        self.fails(grpc.StatusCode.NOT_FOUND, lambda: check(small, metadata=self.metadata()))
        self.fails(grpc.StatusCode.RESOURCE_EXHAUSTED, lambda: check(large, metadata=self.metadata()))

    def test_as_their_prefix_says(self):
        for path in (HEALTH + "Check", HEALTH + "Watch", REFLECTION, KSERVE + "ModelReady", KSERVE + "ModelMetadata"):
            with self.subTest(path):
                call = OpenCall(self, path)
                call.send(struct.pack(">BI", 0, self.MAX + 1))
                self.assertEqual((call.status(), call.reset()), (EXHAUSTED, h2_client.NO_ERROR), call.answer)


if __name__ == "__main__":
    harness.main()
