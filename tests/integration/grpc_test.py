"""gRPC calls through the real gateway by grpcio: answers as over HTTP, one cache for both, errors, deadlines, cancellation
(FAULTS Q-05 to Q-10, Q-18, Q-19, Q-24, Q-25)."""

import hashlib
import json
import queue
import time

import h1_client
import harness
from grpc_case import INFERENCE, KSERVE, MODEL, GrpcCase, OpenCall, framed, grpc, inference
from harness import table, until
from scripted_backend import message, plain

CHAT = INFERENCE + "Chat"
CHAT_STREAM = INFERENCE + "ChatStream"


def digest(key):
    return hashlib.sha256(key.encode()).hexdigest()


class Answers(GrpcCase):
    programs = ("fault:cut:after=3", "fault:error:after=3", "fault:status:503:retry-after=3", "sim-bytes:400000",
                "sim:0:6:0:delta=tool_calls")
    cache = {"memory": {"size": "32MiB"}}

    def http(self, body, path="/v1/chat/completions"):
        with h1_client.Connection(self.gateway.address) as connection:
            return connection.ask("POST", path, json.dumps(body).encode(), [("content-type", "application/json")])

    def test_a_whole_answer_has_every_field_of_the_http_one(self):
        call = self.unary(CHAT, inference.ChatResponse)
        request = self.chat("the same for both", seed=7, logprobs=True, n=2)
        answer, reply = call.with_call(request, metadata=self.metadata())
        http = self.http({"model": "m", "messages": [{"role": "user", "content": "the same for both"}], "temperature": 0,
                          "max_tokens": 4096, "seed": 7, "logprobs": True, "n": 2})
        self.assertEqual(http.header("x-penstock-cache"), "hit-memory")
        whole = http.json()
        self.assertEqual((answer.id, answer.object, answer.created, answer.model),
                         (whole["id"], whole["object"], whole["created"], whole["model"]))
        self.assertEqual(len(answer.choices), len(whole["choices"]))
        for ours, theirs in zip(answer.choices, whole["choices"]):
            self.assertEqual((ours.index, ours.message.content, ours.finish_reason),
                             (theirs["index"], theirs["message"]["content"], theirs["finish_reason"]))
        usage = whole["usage"]
        self.assertEqual((answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens),
                         (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]))
        self.assertEqual(dict(reply.initial_metadata())["x-penstock-cache"], "miss")
        self.assertEqual(dict(reply.initial_metadata())["x-request-id"], self.asked[-1])

    def test_what_http_has_stored_serves_grpc(self):
        body = {"max_tokens": 4096, "messages": [{"content": "stored by HTTP", "role": "user"}], "model": "m", "temperature": 0}
        self.assertEqual(self.http(body).header("x-penstock-cache"), "miss")
        answer, reply = self.unary(CHAT, inference.ChatResponse).with_call(self.chat("stored by HTTP"), metadata=self.metadata())
        self.assertEqual(dict(reply.initial_metadata())["x-penstock-cache"], "hit-memory")
        self.assertTrue(answer.choices[0].message.content)
        # ... also in the other form.
        stream = self.stream(CHAT_STREAM, inference.ChatChunk)(self.chat("stored by HTTP"), metadata=self.metadata())
        self.assertEqual(dict(stream.initial_metadata())["x-penstock-cache"], "hit-memory")
        text = "".join(choice.delta.content for chunk in stream for choice in chunk.choices)
        self.assertEqual(text, answer.choices[0].message.content)

    def test_a_stream_has_an_event_s_message_for_each_event(self):
        request = self.chat("a stream", stream_options=inference.StreamOptions(include_usage=True))
        chunks = list(self.stream(CHAT_STREAM, inference.ChatChunk)(request, metadata=self.metadata()))
        http = self.http({"model": "m", "messages": [{"role": "user", "content": "a stream"}], "temperature": 0, "max_tokens": 4096,
                          "stream": True, "stream_options": {"include_usage": True}})
        self.assertEqual(http.header("x-penstock-cache"), "hit-memory")
        events = [json.loads(event) for event in http.events() if event != "[DONE]"]
        self.assertEqual(len(chunks), len(events))
        for ours, theirs in zip(chunks, events):
            self.assertEqual(ours.id, theirs["id"])
            for mine, other in zip(ours.choices, theirs["choices"]):
                self.assertEqual((mine.delta.content, mine.finish_reason),
                                 (other["delta"].get("content") or "", other.get("finish_reason") or ""))
        self.assertEqual(chunks[-1].usage.completion_tokens, events[-1]["usage"]["completion_tokens"])

    def test_completions_and_embeddings(self):
        whole = self.unary(INFERENCE + "Complete", inference.CompleteResponse)(
            inference.CompleteRequest(model="m", prompt="say", temperature=0, max_tokens=64), metadata=self.metadata())
        chunks = self.stream(INFERENCE + "CompleteStream", inference.CompleteChunk)(
            inference.CompleteRequest(model="m", prompt="say", temperature=0, max_tokens=64), metadata=self.metadata())
        self.assertEqual("".join(choice.text for chunk in chunks for choice in chunk.choices), whole.choices[0].text)
        embedded = self.unary(INFERENCE + "Embed", inference.EmbedResponse)(
            inference.EmbedRequest(model="m", inputs=["one", "two"]), metadata=self.metadata())
        http = self.http({"model": "m", "input": ["one", "two"]}, "/v1/embeddings").json()
        self.assertEqual(len(embedded.data), 2)
        for ours, theirs in zip(embedded.data, http["data"]):
            self.assertEqual(len(ours.embedding), len(theirs["embedding"]))
            self.assertAlmostEqual(ours.embedding[0], theirs["embedding"][0], places=5)

    def test_models_are_listed(self):
        listed = self.unary(INFERENCE + "ListModels", inference.ListModelsResponse)(inference.ListModelsRequest(),
                                                                                     metadata=self.metadata())
        self.assertIn("m", [model.id for model in listed.data])

    def test_a_large_answer_is_whole(self):
        answer = self.unary(CHAT, inference.ChatResponse)(self.chat(model="sim-bytes:400000"), metadata=self.metadata())
        self.assertGreater(len(answer.choices[0].message.content), 390000)

    def test_Q_10_compressed_messages_both_ways(self):
        call = self.unary(CHAT, inference.ChatResponse)
        answer, reply = call.with_call(self.chat("small " * 2000), metadata=self.metadata(), compression=grpc.Compression.Gzip)
        self.assertTrue(answer.choices[0].message.content)
        self.assertEqual(dict(reply.initial_metadata()).get("grpc-encoding", "gzip"), "gzip")
        self.assertEqual(json.loads(self.sim.last()[-1]["body"])["messages"][0]["content"], "small " * 2000)

    def test_the_access_line_says_grpc(self):
        self.unary(CHAT, inference.ChatResponse)(self.chat(), metadata=self.metadata())
        line = self.gateway.line_of(self.asked[-1])
        self.assertEqual((line["protocol"], line["route"], line["model"], line["status"]), ("grpc", "grpc_chat", "m", 200))

    def test_the_upstream_gets_http_with_nothing_of_grpc(self):
        self.unary(CHAT, inference.ChatResponse)(self.chat("bypassed"), metadata=self.metadata(("x-penstock-cache", "bypass")))
        last = self.sim.last()[-1]
        names = dict(last["headers"])
        self.assertEqual(last["target"], "/v1/chat/completions")
        self.assertEqual(names["content-type"], "application/json")
        self.assertEqual([name for name in names if name.startswith("grpc") or name == "te"], [])
        self.assertEqual(json.loads(last["body"]), {"max_tokens": 4096, "messages": [{"content": "bypassed", "role": "user"}],
                                                    "model": MODEL, "temperature": 0})

    def test_Q_24_a_thousand_calls_on_one_channel(self):
        call = self.unary(CHAT, inference.ChatResponse, self.channel())
        calls = [call.future(self.chat(f"number {n}", max_tokens=n + 1)) for n in range(1000)]
        self.assertEqual({len(call.result(harness.HANG).choices) for call in calls}, {1})

    # --- errors ---

    def test_a_stream_that_breaks_ends_with_a_status(self):
        for program in ("fault:cut:after=3", "fault:error:after=3"):
            with self.subTest(program):
                stream = self.stream(CHAT_STREAM, inference.ChatChunk)(self.chat(model=program), metadata=self.metadata())
                texts = []

                def read():
                    for chunk in stream:
                        texts.extend(choice.delta.content for choice in chunk.choices)
                self.fails(grpc.StatusCode.UNAVAILABLE, read)
                self.assertGreaterEqual(len([text for text in texts if text]), 3)

    def test_details_say_why_and_when_to_come_again(self):
        error = self.fails(grpc.StatusCode.UNAVAILABLE,
                           lambda: self.unary(CHAT, inference.ChatResponse)(self.chat(model="fault:status:503:retry-after=3"),
                                                                            metadata=self.metadata()))
        trailers = dict(error.trailing_metadata())
        self.assertIn(b"type.googleapis.com/google.rpc.RetryInfo", trailers["grpc-status-details-bin"])

    def test_Q_07_unknown_methods_and_services(self):
        for path in (INFERENCE + "Nothing", "/no.such.Service/Chat"):
            self.fails(grpc.StatusCode.UNIMPLEMENTED, lambda path=path: self.unary(path, inference.ChatResponse)(b"", metadata=self.metadata()))

    def test_bad_requests(self):
        call = self.unary(CHAT, inference.ChatResponse)
        unknown = self.fails(grpc.StatusCode.NOT_FOUND, lambda: call(self.chat(model="nobody"), metadata=self.metadata()))
        self.assertIn(b"MODEL_NOT_FOUND", dict(unknown.trailing_metadata())["grpc-status-details-bin"])
        bad = self.fails(grpc.StatusCode.INVALID_ARGUMENT, lambda: call(self.chat(n=1000), metadata=self.metadata()))
        self.assertTrue(bad.details().startswith("n: "), bad.details())
        self.fails(grpc.StatusCode.INVALID_ARGUMENT, lambda: call(inference.ChatRequest(model="m"), metadata=self.metadata()))
        self.fails(grpc.StatusCode.INTERNAL, lambda: call(b"\xff\xff\xff", metadata=self.metadata()))
        streamed = self.chat()
        streamed.extra.update({"stream": True})  # that is the method's to say
        self.fails(grpc.StatusCode.INVALID_ARGUMENT, lambda: call(streamed, metadata=self.metadata()))

    # --- time ---

    def test_Q_05_cancel_reaches_the_upstream(self):
        for model, first in (("silent", False), ("paced", True)):
            with self.subTest(model):
                before = len(self.sim.stats()["cancels"])
                stream = self.stream(CHAT_STREAM, inference.ChatChunk)(self.chat(f"cancel {model}", model=model), metadata=self.metadata())
                if first:
                    next(stream)
                else:
                    until(lambda: self.sim.stats()["in_flight"] >= 1, "the request at the backend")
                at = time.monotonic_ns()
                stream.cancel()
                self.assertEqual(stream.code(), grpc.StatusCode.CANCELLED)
                cancels = until(lambda: self.sim.stats()["cancels"][before:], "the cancellation")
                self.assertLess((cancels[-1]["at_ns"] - at) / 1e6, 1000)
                self.assertEqual(self.term_of(), "DC")

    def test_Q_06_a_deadline_of_a_millisecond(self):
        began = time.monotonic()
        self.fails(grpc.StatusCode.DEADLINE_EXCEEDED,
                   lambda: self.unary(CHAT, inference.ChatResponse)(self.chat(model="silent"), timeout=0.001))
        self.assertLess(time.monotonic() - began, 5)
        until(lambda: self.sim.stats()["in_flight"] == 0, "nothing left at the backend")

    def test_Q_06_the_gateway_keeps_the_deadline_itself(self):
        """By a client that says one and does not keep it."""
        error = self.fails(grpc.StatusCode.DEADLINE_EXCEEDED, lambda: self.unary(CHAT, inference.ChatResponse)(
            self.chat(model="slow"), metadata=self.metadata(("x-penstock-timeout-ms", "50"))))
        self.assertIn("time", error.details())


class Deadlines(GrpcCase):
    endpoint = {"max_concurrency": 1}
    programs = ("sim:500:1:0",)

    def test_Q_18_what_the_queue_took_the_upstream_does_not_get(self):
        """Half a second in the queue, then a backend that is silent: it is cancelled when the call's 1.5 s are over."""
        first = self.unary(CHAT, inference.ChatResponse).future(self.chat(model="sim:500:1:0"), metadata=self.metadata())
        until(lambda: self.sim.stats()["in_flight"] == 1, "the request that has the endpoint")
        began = time.monotonic_ns()
        self.fails(grpc.StatusCode.DEADLINE_EXCEEDED,
                   lambda: self.unary(CHAT, inference.ChatResponse)(self.chat(model="silent"), metadata=self.metadata(("grpc-timeout", "1500m"))))
        self.assertTrue(first.result(harness.HANG).choices)
        arrived = self.sim.last()[-1]["at_ns"]
        left = until(lambda: self.sim.stats()["cancels"], "the cancellation")[-1]["at_ns"]
        self.assertGreater((arrived - began) / 1e6, 250)
        self.assertLess((left - arrived) / 1e6, 1300)
        self.assertLess((left - began) / 1e6, 2500)


class Keys(GrpcCase):
    auth = {"allow_anonymous": True, "keys": [{"name": "one", "key_sha256": digest("key-one"), "models": ["m"]}]}

    def test_keys(self):
        call = self.unary(CHAT, inference.ChatResponse)
        self.fails(grpc.StatusCode.UNAUTHENTICATED, lambda: call(self.chat(), metadata=self.metadata(("authorization", "Bearer no"))))
        self.fails(grpc.StatusCode.PERMISSION_DENIED,
                   lambda: call(self.chat(model="slow"), metadata=self.metadata(("authorization", "Bearer key-one"))))
        self.assertTrue(call(self.chat(), metadata=self.metadata(("authorization", "Bearer key-one"))).choices)
        self.assertEqual(self.gateway.line_of(self.asked[-1])["key"], "one")

    def test_a_client_that_streams_is_refused_before_its_first_message(self):
        answers = self.channel().stream_stream(KSERVE + "ModelStreamInfer")(iter(queue.SimpleQueue().get, None),
                                                                            metadata=(("authorization", "Bearer no"),))
        self.fails(grpc.StatusCode.UNAUTHENTICATED, lambda: next(answers))


def first_fails(number, request):
    """The first time nothing is said and the connection closed."""
    return b"" if number == 1 else plain(message())


class Leaders(GrpcCase):
    """Of coalesced calls, on one worker."""

    server = {"workers": 1}
    cache = {"memory": {"size": "32MiB"}}
    scripted = {"broken": first_fails, "well": plain(message("its own answer"))}
    gated = tuple(scripted)

    def test_a_leader_that_has_left_writes_nothing_into_the_call_that_came_after_it(self):
        request = framed(self.chat("shared", "broken"))
        leader = OpenCall(self, CHAT)
        leader.send(request, end=True)
        until(lambda: self.backend.received.get("broken") == 1, "the leader's request")
        follower = self.unary(CHAT, inference.ChatResponse).future(self.chat("shared", "broken"))
        until(lambda: self.in_flight() == 2 and self.in_flight() == 2, "both under way")
        leader.cancel()
        later = OpenCall(self, CHAT, connection=leader.connection)  # in the object that was the leader's
        later.send(framed(self.chat("another", "well")), end=True)
        until(lambda: self.backend.received.get("well") == 1, "its request")
        self.backend.let("broken")
        until(lambda: self.backend.received["broken"] == 2, "the follower leads now")
        self.backend.let("well")
        self.assertEqual(later.status(), 0, later.answer)
        self.assertIn(b"its own answer", later.answer.body)
        self.backend.let("broken")
        self.assertTrue(follower.result(harness.HANG).choices)

    def in_flight(self):
        """Without the canary's."""
        harness.pause(0.12)  # the metrics are read anew ten times a second
        metrics = self.gateway.metrics()
        canary = self.world.sims["canary"].address
        return metrics["penstock_inflight_requests"] - sum(value for series, value in metrics.items()
                                                           if series.startswith("penstock_upstream_inflight{") and canary in series)


@table("refused_upstream", [(f"Q_19_upstream_{status}", status, code) for status, code in (
    (400, "INVALID_ARGUMENT"), (401, "UNAUTHENTICATED"), (403, "PERMISSION_DENIED"), (404, "NOT_FOUND"), (429, "RESOURCE_EXHAUSTED"),
    (431, "RESOURCE_EXHAUSTED"), (502, "UNAVAILABLE"), (503, "UNAVAILABLE"), (504, "DEADLINE_EXCEEDED"), (500, "INTERNAL"))])
class Refusals(GrpcCase):
    programs = tuple(f"fault:status:{status}:text=as_it_was_said" for status in (400, 401, 403, 404, 429, 431, 500, 502, 503, 504))

    def refused_upstream(self, name, status, code):
        error = self.fails(grpc.StatusCode[code], lambda: self.unary(CHAT, inference.ChatResponse)(
            self.chat(model=f"fault:status:{status}:text=as_it_was_said"), metadata=self.metadata()))
        self.assertIn("as_it_was_said", error.details())


if __name__ == "__main__":
    harness.main()
