"""gRPC's own interoperability cases (its interop-test-descriptions.md) by grpcio, unmodified, against the gateway's framing, metadata,
compression and trailers (FAULTS Q-01 to Q-12, Q-24); what no library sends is sent by hand."""

import concurrent.futures
import importlib
import os
import queue
import struct
import subprocess
import threading
import time

import h2_client
import harness
from grpc_case import GrpcCase, RawCall, framed, grpc, testing
from harness import settled, table, until

empty = importlib.import_module("grpc.testing.empty_pb2")
SERVICE = "/grpc.testing.TestService/"
OK, INVALID, DEADLINE, EXHAUSTED, UNIMPLEMENTED, INTERNAL = 0, 3, 4, 8, 12, 13
LARGE, LARGE_ANSWER = 271828, 314159
ASKED = (27182, 8, 1828, 45904)
ANSWERED = (31415, 9, 2653, 58979)
WHITESPACE = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n"
ECHO, ECHO_BIN = "x-grpc-test-echo-initial", "x-grpc-test-echo-trailing-bin"
STREAMS_AT_ONCE = 100


def payload(size):
    return testing.Payload(body=bytes(size))


def wish(value):
    return testing.BoolValue(value=value)


def simple(size=LARGE, answer=LARGE_ANSWER, **fields):
    return testing.SimpleRequest(response_size=answer, payload=payload(size), **fields)


def output(*sizes, size=0, interval_us=0, **fields):
    return testing.StreamingOutputCallRequest(
        response_parameters=[testing.ResponseParameters(size=each, interval_us=interval_us) for each in sizes], payload=payload(size), **fields)


def flags_of(body):
    """The compression flag of each message."""
    flags = []
    while body:
        flag, length = struct.unpack(">BI", body[:5])
        flags.append(flag)
        body = body[5 + length:]
    return flags


class Requests:
    """An iterator over what put() is given, until end()."""

    def __init__(self, *first):
        self._waiting = queue.Queue()
        for request in first:
            self.put(request)

    def put(self, request):
        self._waiting.put(request)

    def end(self):
        self._waiting.put(None)

    def __iter__(self):
        return iter(self._waiting.get, None)


class InteropCase(GrpcCase):
    arguments = ("--grpc-test-service",)

    def empty(self):
        return self.unary(SERVICE + "EmptyCall", empty.Empty)

    def simple(self, channel=None):
        return self.unary(SERVICE + "UnaryCall", testing.SimpleResponse, channel)

    def output(self):
        return self.stream(SERVICE + "StreamingOutputCall", testing.StreamingOutputCallResponse)

    def input(self):
        return self.channel().stream_unary(SERVICE + "StreamingInputCall", lambda message: message.SerializeToString(),
                                           testing.StreamingInputCallResponse.FromString)

    def duplex(self, channel=None, method="FullDuplexCall"):
        return self.bidi(SERVICE + method, testing.StreamingOutputCallResponse, channel)

    def sizes(self, answers):
        return tuple(len(answer.payload.body) for answer in answers)

    def raw(self, method, body=b"", fields=(), **more):
        return RawCall(self.gateway.address, SERVICE + method, body, fields, **more)


class Interop(InteropCase):
    def test_Q_01_empty_unary(self):
        answer, call = self.empty().with_call(b"")
        self.assertEqual((answer.SerializeToString(), call.code()), (b"", grpc.StatusCode.OK))
        by_hand = self.raw("EmptyCall", framed(b""))
        self.assertEqual((by_hand.http, by_hand.status, by_hand.answer.body), (200, OK, framed(b"")))

    def test_Q_02_large_unary(self):
        answer, call = self.simple().with_call(simple())
        self.assertEqual((answer.payload.body, call.code()), (bytes(LARGE_ANSWER), grpc.StatusCode.OK))

    def test_Q_03_server_streaming(self):
        call = self.output()(output(*ANSWERED))
        self.assertEqual(self.sizes(call), ANSWERED)
        self.assertEqual(call.code(), grpc.StatusCode.OK)

    def test_Q_03_answers_come_at_their_interval(self):
        began = time.monotonic()
        self.assertEqual(self.sizes(self.output()(output(*ANSWERED, interval_us=20_000))), ANSWERED)
        self.assertGreaterEqual(time.monotonic() - began, 0.08)

    def test_Q_04_client_streaming(self):
        answer = self.input()(iter([testing.StreamingInputCallRequest(payload=payload(size)) for size in ASKED]))
        self.assertEqual(answer.aggregated_payload_size, sum(ASKED))

    def test_Q_04_ping_pong(self):
        requests = Requests()
        call = self.duplex()(iter(requests), timeout=harness.HANG)
        for asked, answered in zip(ASKED, ANSWERED):
            requests.put(output(answered, size=asked))
            self.assertEqual(len(next(call).payload.body), answered)
        requests.end()
        self.assertEqual(list(call), [])
        self.assertEqual(call.code(), grpc.StatusCode.OK)

    def test_Q_04_half_duplex(self):
        call = self.duplex(method="HalfDuplexCall")(iter([output(answered, size=asked) for asked, answered in zip(ASKED, ANSWERED)]))
        self.assertEqual(self.sizes(call), ANSWERED)

    def test_Q_04_empty_stream(self):
        call = self.duplex()(iter(()))
        self.assertEqual((list(call), call.code()), ([], grpc.StatusCode.OK))
        self.assertEqual(self.input()(iter(())).aggregated_payload_size, 0)

    def test_Q_05_cancel_after_begin(self):
        requests = Requests()
        call = self.input().future(iter(requests))
        call.cancel()
        requests.end()
        self.assertTrue(call.cancelled())
        self.assertEqual(call.code(), grpc.StatusCode.CANCELLED)

    def test_Q_05_cancel_after_first_response(self):
        requests = Requests(output(ANSWERED[0], size=ASKED[0]))
        call = self.duplex()(iter(requests), timeout=harness.HANG)
        self.assertEqual(len(next(call).payload.body), ANSWERED[0])
        call.cancel()
        requests.end()
        self.assertEqual(call.code(), grpc.StatusCode.CANCELLED)
        self.fails(grpc.StatusCode.CANCELLED, lambda: call)

    def test_Q_06_timeout_on_sleeping_server(self):
        requests = Requests(output(size=27182))
        self.fails(grpc.StatusCode.DEADLINE_EXCEEDED, lambda: self.duplex()(iter(requests), timeout=0.001))
        requests.end()

    def test_Q_06_the_server_keeps_the_deadline_itself(self):
        began = time.monotonic()
        call = self.raw("FullDuplexCall", framed(output(size=27182)), [("grpc-timeout", "30m")], end=False)
        self.assertEqual((call.http, call.status), (200, DEADLINE))
        self.assertGreaterEqual(time.monotonic() - began, 0.03)

    def test_Q_07_unimplemented_method(self):
        self.fails(grpc.StatusCode.UNIMPLEMENTED, lambda: self.unary(SERVICE + "UnimplementedCall", empty.Empty)(b""))
        self.assertTrue(self.raw("UnimplementedCall", framed(b"")).only_trailers)

    def test_Q_07_unimplemented_service(self):
        path = "/grpc.testing.UnimplementedService/UnimplementedCall"
        self.fails(grpc.StatusCode.UNIMPLEMENTED, lambda: self.unary(path, empty.Empty)(b""))
        call = RawCall(self.gateway.address, path, framed(b""))
        self.assertEqual((call.http, call.status, call.only_trailers), (200, UNIMPLEMENTED, True))

    def test_Q_08_status_code_and_message(self):
        for text in ("test status message", WHITESPACE, "%", "%zz 100%"):
            asked = testing.EchoStatus(code=2, message=text)
            calls = (lambda: self.simple()(simple(1, 1, response_status=asked)),
                     lambda: self.duplex()(iter([output(response_status=asked)])))
            for call in calls:
                self.assertEqual(self.fails(grpc.StatusCode.UNKNOWN, call).details(), text)

    def test_Q_08_every_code(self):
        for code in grpc.StatusCode:
            if code == grpc.StatusCode.OK:
                continue
            asked = testing.EchoStatus(code=code.value[0], message=code.name)
            self.assertEqual(self.fails(code, lambda: self.simple()(simple(0, 0, response_status=asked))).details(), code.name)

    def test_Q_08_special_status_message_on_the_wire(self):
        """Percent-encoded UTF-8, as the protocol writes it."""
        asked = simple(0, 0, response_status=testing.EchoStatus(code=2, message=WHITESPACE))
        self.assertEqual(self.raw("UnaryCall", framed(asked)).trailer("grpc-message"),
                         "%09%0Atest with whitespace%0D%0Aand Unicode BMP %E2%98%BA and non-BMP %F0%9F%98%88%09%0A")

    def test_Q_24_concurrent_large_unary(self):
        """More at a time than a connection takes, so some wait."""
        call = self.simple(self.channel())
        request = simple()
        with concurrent.futures.ThreadPoolExecutor(2 * STREAMS_AT_ONCE) as pool:
            sizes = pool.map(lambda _: len(call(request, timeout=harness.HANG * 3).payload.body), range(1000))
            self.assertEqual(set(sizes), {LARGE_ANSWER})

    def test_Q_24_at_most_a_hundred_at_a_time(self):
        channel, requests = self.channel(), [Requests(output(1)) for _ in range(STREAMS_AT_ONCE + 20)]
        answered, lock = [], threading.Lock()

        def talk(mine):
            call = self.duplex(channel)(iter(mine), timeout=2 * harness.HANG)
            next(call)
            with lock:
                answered.append(mine)
            return list(call)
        with concurrent.futures.ThreadPoolExecutor(len(requests)) as pool:
            talks = [pool.submit(talk, mine) for mine in requests]
            until(lambda: len(answered) >= STREAMS_AT_ONCE, lambda: f"a hundred first answers, not {len(answered)}")
            self.assertEqual(settled(lambda: len(answered)), STREAMS_AT_ONCE)
            for mine in requests:
                mine.end()
            self.assertEqual([done.result(harness.HANG) for done in talks], [[]] * len(requests))


class Metadata(InteropCase):
    def metadata_of(self, call):
        return [value for key, value in call.initial_metadata() if key == ECHO], [value for key, value in call.trailing_metadata() if key == ECHO_BIN]

    def test_Q_09_custom_metadata(self):
        sent = ((ECHO, "test_initial_metadata_value"), (ECHO_BIN, b"\x0a\x0b\x0a\x0b\x0a\x0b"))
        _, unary = self.simple().with_call(simple(), metadata=sent)
        duplex = self.duplex()(iter([output(LARGE_ANSWER, size=LARGE)]), metadata=sent)
        self.assertEqual(self.sizes(duplex), (LARGE_ANSWER,))
        for call in (unary, duplex):
            self.assertEqual(self.metadata_of(call), (["test_initial_metadata_value"], [b"\x0a\x0b\x0a\x0b\x0a\x0b"]))

    def test_Q_09_duplicate_keys(self):
        sent = ((ECHO, "one"), (ECHO_BIN, b"\x01"), (ECHO, "two"), (ECHO_BIN, b"\x02\x03"), (ECHO_BIN, b""))
        _, call = self.empty().with_call(b"", metadata=sent)
        self.assertEqual(self.metadata_of(call), (["one", "two"], [b"\x01", b"\x02\x03", b""]))

    def test_Q_09_metadata_of_a_call_that_fails(self):
        sent = ((ECHO, "one"), (ECHO_BIN, b"\x01"))
        error = self.fails(grpc.StatusCode.ABORTED, lambda: self.simple()(
            simple(0, 0, response_status=testing.EchoStatus(code=10)), metadata=sent))
        self.assertIn((ECHO_BIN, b"\x01"), [tuple(pair) for pair in error.trailing_metadata()])

    def binary(self, *values):
        call = Binary(self.gateway.address, values)
        return call.status, [value for key, value in (call.answer.trailers or call.answer.headers) if key == ECHO_BIN]

    def test_Q_09_padded_and_unpadded(self):
        for value in ("CgsKCw==", "CgsKCw"):
            self.assertEqual(self.binary(value), (OK, ["CgsKCw"]), value)

    def test_Q_09_several_values(self):
        self.assertEqual(self.binary("AAEC,AwQ=", "BQ"), (OK, ["AAEC", "AwQ", "BQ"]))
        self.assertEqual(self.binary("AAEC, AwQ"), (OK, ["AAEC", "AwQ"]))

    def test_Q_09_no_base64(self):
        for value in ("a*b=", "A", "AAA=AAAA", "AAEC,!"):
            self.assertEqual(self.binary(value)[0], INTERNAL, value)


class Binary(RawCall):
    """EmptyCall with several fields of one name."""

    def __init__(self, address, values):
        with h2_client.Connection(address) as connection:
            headers = [("content-type", "application/grpc"), ("te", "trailers"), *((ECHO_BIN, value) for value in values)]
            self.id = connection.request(framed(b""), headers, "POST", SERVICE + "EmptyCall")
            self.answer = connection.finish(self.id)


class Compression(InteropCase):
    def test_Q_10_client_compressed_unary(self):
        self.fails(grpc.StatusCode.INVALID_ARGUMENT, lambda: self.simple()(simple(expect_compressed=wish(True))))
        for expected, compression in ((True, grpc.Compression.Gzip), (False, None)):
            answer = self.simple()(simple(expect_compressed=wish(expected)), compression=compression)
            self.assertEqual(len(answer.payload.body), LARGE_ANSWER)
        self.fails(grpc.StatusCode.INVALID_ARGUMENT,
                   lambda: self.simple()(simple(expect_compressed=wish(False)), compression=grpc.Compression.Gzip))

    def test_Q_10_client_compressed_streaming(self):
        def asked(body, expected):
            return testing.StreamingInputCallRequest(payload=testing.Payload(body=body), expect_compressed=wish(expected))
        self.fails(grpc.StatusCode.INVALID_ARGUMENT, lambda: self.input()(iter([asked(bytes(27182), True)])))
        # grpcio sends as it is what does not become smaller.
        answer = self.input()(iter([asked(bytes(27182), True), asked(os.urandom(45904), False)]), compression=grpc.Compression.Gzip)
        self.assertEqual(answer.aggregated_payload_size, 73086)

    def test_Q_10_server_compressed_unary(self):
        for compressed in (True, False):
            request = simple(response_compressed=wish(compressed))
            self.assertEqual(self.simple()(request).payload.body, bytes(LARGE_ANSWER))
            call = self.raw("UnaryCall", framed(request), [("grpc-accept-encoding", "deflate, gzip")])
            self.assertEqual((call.status, call.answer.header("grpc-encoding"), flags_of(call.answer.body)), (OK, "gzip", [int(compressed)]))

    def test_Q_10_server_compressed_streaming(self):
        request = output(31415, 92653)
        for parameters, compressed in zip(request.response_parameters, (True, False)):
            parameters.compressed.value = compressed
        self.assertEqual(self.sizes(self.output()(request)), (31415, 92653))
        call = self.raw("StreamingOutputCall", framed(request), [("grpc-accept-encoding", "gzip")])
        self.assertEqual((call.status, flags_of(call.answer.body)), (OK, [1, 0]))

    def test_Q_10_nothing_is_compressed_for_a_client_that_takes_none(self):
        call = self.raw("UnaryCall", framed(simple(0, 1000, response_compressed=wish(True))))
        self.assertEqual((call.status, call.answer.header("grpc-encoding"), flags_of(call.answer.body)), (OK, None, [0]))

    def test_Q_10_an_encoding_that_is_not_served(self):
        call = self.raw("UnaryCall", framed(simple()), [("grpc-encoding", "snappy")])
        self.assertEqual((call.status, call.answer.header("grpc-accept-encoding")), (UNIMPLEMENTED, "identity,gzip"))


@table("malformed", (
    ("Q_12_two_messages_on_unary", "UnaryCall", framed(simple(1, 1)) * 2, UNIMPLEMENTED),
    ("Q_12_two_messages_on_a_server_s_stream", "StreamingOutputCall", framed(output(1)) * 2, UNIMPLEMENTED),
    ("Q_12_no_message", "UnaryCall", b"", INTERNAL),
    ("Q_12_length_beyond_the_end", "StreamingInputCall", framed(b"", length=9), INTERNAL),
    ("Q_11_flag_2", "FullDuplexCall", framed(b"", flag=2), INTERNAL),
    ("Q_13_larger_than_a_message_may_be", "StreamingInputCall", framed(b"", length=2**32 - 1), EXHAUSTED),
    ("Q_27_no_message_of_this_type", "UnaryCall", framed(b"\xff\xff"), INTERNAL),
    ("a_size_below_zero", "UnaryCall", framed(simple(0, -1)), INVALID),
    ("a_size_beyond_the_limit", "UnaryCall", framed(simple(0, 2**24 + 1)), INVALID),
    ("a_code_that_is_none", "UnaryCall", framed(simple(0, 0, response_status=testing.EchoStatus(code=17))), INVALID),
    ("too_many_answers", "HalfDuplexCall", framed(output(*[1] * 4097)), EXHAUSTED)))
class Refused(InteropCase):
    def malformed(self, name, method, body, status):
        call = self.raw(method, body)
        self.assertEqual((call.http, call.status), (200, status))

    def test_Q_14_messages_in_pieces_and_together(self):
        body = b"".join(framed(output(answered, size=3)) for answered in ANSWERED)
        for pieces in ([body], [body[at:at + 1] for at in range(len(body))]):
            call = self.raw("FullDuplexCall", pieces=pieces)
            self.assertEqual((call.status, flags_of(call.answer.body)), (OK, [0] * len(ANSWERED)))

    def test_answers_that_nobody_takes_are_not_made(self):
        """A client that opens no window: of its 256 MiB of answers only a few wait, and it is given no credit for further requests."""
        with h2_client.Connection(self.gateway.address, windows=False) as connection:
            headers = [("content-type", "application/grpc"), ("te", "trailers")]
            stream = connection.request(framed(output(*[2**20] * 256)), headers, "POST", SERVICE + "FullDuplexCall", end=False)
            held = until(lambda: self.gateway.metrics()["penstock_buffered_bytes"], "something held for the client")
            held = max(held, settled(lambda: self.gateway.metrics()["penstock_buffered_bytes"]))
            self.ping(connection)
            room = min(connection.window, connection.stream(stream).window)
            self.assertGreater(room, 10000)  # most of a window
            body = framed(output(1, size=1000))
            for _ in range(room // len(body)):
                connection.send(h2_client.frame(h2_client.DATA, 0, stream, body))
            before = len(connection.frames)
            self.ping(connection)
            self.ping(connection)  # the first answer overtakes what was to be sent before it
            credit = [kind for kind, _, of, _ in connection.frames[before:] if kind == h2_client.WINDOW_UPDATE and of == stream]
            self.assertEqual(credit, [])
        self.assertLess(held, 2.5 * 2**20)

    def ping(self, connection):
        """There and back: what was sent before has been read."""
        connection.send(h2_client.frame(h2_client.PING, 0, 0, bytes(8)))
        before = len(connection.frames)
        until(lambda: connection.step() and (h2_client.PING, h2_client.ACK) in [frame[:2] for frame in connection.frames[before:]], "a ping's answer")


class Off(GrpcCase):
    def test_without_its_flag_there_is_no_test_service(self):
        self.fails(grpc.StatusCode.UNIMPLEMENTED, lambda: self.unary(SERVICE + "EmptyCall", empty.Empty)(b"", metadata=self.metadata()))
        told = subprocess.run([harness.BIN / "penstock", "serve", "--help"], capture_output=True, text=True, check=True).stdout
        self.assertIn("--config", told)
        self.assertNotIn("test", told)


if __name__ == "__main__":
    harness.main()
