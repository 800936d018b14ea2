"""gRPC as bytes: what no library would send (FAULTS Q-11 to Q-17, Q-21 to Q-23, Q-27)."""

import struct
import time

import h2_client
import harness
from grpc_case import INFERENCE, GrpcCase, RawCall, framed, inference, messages
from harness import table

CHAT = INFERENCE + "Chat"
CHAT_STREAM = INFERENCE + "ChatStream"
OK, INVALID, DEADLINE, EXHAUSTED, UNIMPLEMENTED, INTERNAL = 0, 3, 4, 8, 12, 13


def chat(model="m", **fields):
    return inference.ChatRequest(model=model, messages=[inference.Message(role=inference.ROLE_USER, content="by hand")], temperature=0,
                                 max_tokens=4096, **fields).SerializeToString()


def field(number, wire, payload=b""):
    return bytes([number << 3 | wire]) + payload


def nested(depth):
    """A Struct in `extra`, `depth` lists deep."""
    value = b""
    for _ in range(depth):
        inner = field(6, 2, varint(len(field(1, 2, varint(len(value)) + value))) + field(1, 2, varint(len(value)) + value))
        value = inner
    entry = field(1, 2, b"\x01x") + field(2, 2, varint(len(value)) + value)
    struct_ = field(1, 2, varint(len(entry)) + entry)
    return varint(100 << 3 | 2) + varint(len(struct_)) + struct_


def varint(number):
    out = b""
    while number > 127:
        out, number = out + bytes([number & 127 | 128]), number >> 7
    return out + bytes([number])


FRAMING = (
    ("Q_11_compressed_without_a_coding", framed(chat(), flag=1), INTERNAL),
    ("Q_11_flag_2", framed(chat(), flag=2), INTERNAL),
    ("Q_11_flag_255", framed(chat(), flag=255), INTERNAL),
    ("Q_12_length_beyond_the_end", framed(chat(), length=len(chat()) + 1), INTERNAL),
    ("Q_12_four_bytes_of_a_prefix", framed(chat())[:4], INTERNAL),
    ("Q_12_trailing_bytes", framed(chat()) + b"\0\0", INTERNAL),
    ("Q_12_no_message", b"", INTERNAL),
    ("Q_12_two_messages", framed(chat()) * 2, UNIMPLEMENTED),
    ("Q_27_unknown_fields", framed(chat() + varint(9000 << 3 | 2) + b"\x03abc"), OK),
    ("Q_27_wrong_wire_type", framed(chat() + field(1, 0, b"\x01")), INTERNAL),
    ("Q_27_nesting", framed(chat() + nested(10000)), INTERNAL),
    ("Q_27_text_that_is_no_UTF_8", framed(chat() + field(12, 2, b"\x02\xff\xfe")), INTERNAL),
    ("Q_27_length_of_2_31", framed(chat() + field(12, 2, b"\x80\x80\x80\x80\x08")), INTERNAL),
)

CONTENT_TYPES = (
    ("Q_15_text_html", "text/html", 415, None),
    ("Q_15_grpc_web", "application/grpc-web", 415, None),
    ("Q_15_grpc_json", "application/grpc+json", 200, UNIMPLEMENTED),
    ("Q_15_missing", None, 415, None),
    ("Q_15_proto", "application/grpc+proto", 200, OK),
    ("Q_15_parameters", "application/grpc; charset=utf-8", 200, OK),
)

TIMEOUTS = (
    ("Q_17_seconds", "1S", "m", OK), ("Q_17_milliseconds", "900m", "m", OK), ("Q_17_hours", "99999999H", "m", OK),
    ("Q_17_short", "20m", "silent", DEADLINE), ("Q_17_zero", "0n", "silent", DEADLINE), ("Q_17_nanoseconds", "20000000n", "silent", DEADLINE),
    ("Q_17_microseconds", "20000u", "silent", DEADLINE), ("Q_17_capped", "99999999H", "silent", DEADLINE),
    ("Q_17_nine_digits", "123456789m", "m", INTERNAL), ("Q_17_unit", "1X", "m", INTERNAL), ("Q_17_negative", "-1S", "m", INTERNAL),
    ("Q_17_empty", "", "m", INTERNAL),
)


@table("malformed", FRAMING)
@table("content_type", CONTENT_TYPES)
@table("timeout", TIMEOUTS)
class Wire(GrpcCase):
    server = {"limits": {"request_body": "10MiB"}}

    def call(self, path=CHAT, body=b"", fields=(), **more):
        return RawCall(self.gateway.address, path, body, [("x-request-id", self.request_id()), *fields], **more)

    def malformed(self, name, body, status):
        call = self.call(body=body)
        self.assertEqual((call.http, call.status), (200, status), call.answer)
        if status != OK:
            self.assertTrue(call.only_trailers)
            self.assertTrue(call.trailer("grpc-message"))

    def content_type(self, name, value, http, status):
        call = self.call(body=framed(chat()), fields=[("content-type", value)])
        self.assertEqual((call.http, call.status), (http, status), call.answer)

    def timeout(self, name, value, model, status):
        began = time.monotonic()
        call = self.call(body=framed(chat(model)), fields=[("grpc-timeout", value)])
        self.assertEqual(call.status, status, call.answer)
        if name in ("Q_17_short", "Q_17_zero", "Q_17_nanoseconds", "Q_17_microseconds"):
            self.assertLess(time.monotonic() - began, 1)

    def test_Q_07_trailers_alone(self):
        for path in (INFERENCE + "Nothing", "/a.b/C", "/alone",
                     CHAT + "?x=1", CHAT + "?", "/v1/chat/completions", "/v1/embeddings", "/tokenize"):  # HTTP's are no methods
            call = self.call(path, framed(b""))
            self.assertEqual((call.http, call.status, call.only_trailers), (200, UNIMPLEMENTED, True), call.answer)
            self.assertEqual(call.answer.header("content-type"), "application/grpc")

    def test_Q_27_a_message_that_nobody_needs_is_looked_at_all_the_same(self):
        self.assertEqual(self.call(INFERENCE + "ListModels", framed(b"")).status, OK)
        self.assertEqual(self.call(INFERENCE + "ListModels", framed(varint(9000 << 3 | 2) + b"\x03abc")).status, OK)
        self.assertEqual(self.call(INFERENCE + "ListModels", framed(b"\xff\xff\xff")).status, INTERNAL)

    def test_Q_10_another_coding_is_refused_and_ours_are_named(self):
        call = self.call(body=framed(chat(), flag=1), fields=[("grpc-encoding", "br")])
        self.assertEqual(call.status, UNIMPLEMENTED)
        self.assertEqual(call.trailer("grpc-accept-encoding"), "identity,gzip")

    def test_Q_13_too_large_is_known_from_the_prefix(self):
        for length in (2 ** 32 - 1, 10 * 2 ** 20 + 1):
            call = self.call(pieces=[struct.pack(">BI", 0, length)], end=False)
            self.assertEqual((call.http, call.status), (200, EXHAUSTED), call.answer)

    def test_Q_14_any_split_is_the_same(self):
        body = framed(chat())
        call = self.call(pieces=[body[i:i + 1] for i in range(len(body))])
        self.assertEqual(call.status, OK, call.answer)
        self.assertEqual(len(messages(call.answer.body)), 1)

    def test_Q_16_another_method_is_405(self):
        call = self.call(body=b"", method="GET")
        self.assertEqual(call.http, 405)

    def test_Q_16_te_may_be_missing(self):
        self.assertEqual(self.call(body=framed(chat()), fields=[("te", None)]).status, OK)

    def test_Q_16_two_paths_end_the_stream_as_malformed(self):
        with h2_client.Connection(self.gateway.address) as connection:
            fields = [(":method", "POST"), (":scheme", "http"), (":path", CHAT), (":path", CHAT), (":authority", "gateway.test"),
                      ("content-type", "application/grpc")]
            connection.send(h2_client.headers_frame(1, fields, end_stream=False))
            self.assertEqual(connection.finish(1).reset, 1)

    def test_Q_21_an_early_answer_ends_the_request_too(self):
        """The client has not ended its side: trailers, then RST_STREAM(NO_ERROR)."""
        with h2_client.Connection(self.gateway.address) as connection:
            stream = connection.request(b"", [("content-type", "application/grpc"), ("x-request-id", self.request_id())], path="/a.b/C", end=False)
            connection.finish(stream)
            while connection.stream(stream).reset is None and connection.step():
                pass
            self.assertEqual((connection.stream(stream).reset, connection.stream(stream).header("grpc-status")), (0, "12"))

    def test_Q_22_metadata(self):
        body = framed(chat())
        self.assertEqual(self.call(body=body, fields=[("x-much", "y" * 8000)]).status, OK)
        self.assertEqual(self.call(body=body, fields=[(f"x-much-{n}", "y" * 7000) for n in range(5)]).status, EXHAUSTED)
        self.assertEqual(self.call(body=body, fields=[(f"x-many-{n}", "y") for n in range(120)]).status, EXHAUSTED)

    def test_an_answer_is_one_message_and_its_status(self):
        call = self.call(body=framed(chat()))
        self.assertEqual((call.status, call.trailer("grpc-message")), (OK, None))
        answer = inference.ChatResponse.FromString(messages(call.answer.body)[0])
        self.assertEqual(answer.choices[0].finish_reason, "stop")

    def test_a_stream_s_head_comes_with_its_first_message(self):
        call = self.call(CHAT_STREAM, framed(chat()))
        chunks = [inference.ChatChunk.FromString(message) for message in messages(call.answer.body)]
        self.assertEqual([choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason], ["stop"])

    def test_HTTP_1_has_no_gRPC(self):
        import h1_client
        with h1_client.Connection(self.gateway.address) as connection:
            answer = connection.ask("POST", CHAT, framed(chat()), [("content-type", "application/grpc")])
        self.assertEqual(answer.status, 415)


if __name__ == "__main__":
    harness.main()
