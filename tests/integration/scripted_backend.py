"""A backend that says what no server says: for each model the bytes a test gives it, and not before the test lets it."""

import json
import threading

import harness
import h1_client


def plain(body, *fields, status="200 OK", kind="application/json"):
    """A whole answer, as bytes."""
    body = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    head = [f"HTTP/1.1 {status}", f"content-type: {kind}", f"content-length: {len(body)}", "connection: close", *fields]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def events(*data, fields=()):
    """A whole stream; each of `data` is a JSON value or a text."""
    text = "".join(f"data: {each if isinstance(each, str) else json.dumps(each)}\n\n" for each in data)
    return plain(text, *fields, kind="text/event-stream")


def message(text="hello", finish="stop", **more):
    return {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "x",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}, **more}


def chunk(text=None, finish=None, **delta):
    if text is not None:
        delta["content"] = text
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "x",
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


class ByModel(harness.Backend):
    """HTTP/1.1, one request per connection. `answers`: model -> bytes, pieces of bytes, or a function (number of the request from 1 on,
    its JSON) -> those. Before each piece of a model that is `held` the test must let it go on; behind the last the connection is
    closed, so without a last chunk or the announced length an answer is cut."""

    def __init__(self, answers, held=()):
        self.answers, self.held, self.lock = answers, held, threading.Lock()
        self.forget()
        super().__init__()

    def forget(self):
        """Of earlier requests, and what was let."""
        with self.lock:
            self.received, self.active, self.peak = {}, {}, {}
            self.gates = {model: threading.Semaphore(0) for model in self.held}

    def serve(self, connection):
        reader = h1_client.Connection.__new__(h1_client.Connection)
        reader.socket, reader.buffer = connection, b""
        with connection:
            head = reader.read_until(b"\r\n\r\n")
            if head is None or not head.startswith(b"POST"):
                return  # a health probe
            length = next(int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            while len(reader.buffer) < length and reader.receive():
                pass
            request = json.loads(reader.buffer)
            model = request["model"]
            with self.lock:
                number = self.received[model] = self.received.get(model, 0) + 1
                self.active[model] = self.active.get(model, 0) + 1
                self.peak[model] = max(self.peak.get(model, 0), self.active[model])
            answer = self.answers[model]
            self.play(connection, model, answer(number, request) if callable(answer) else answer)

    def play(self, connection, model, pieces):
        pieces = [pieces] if isinstance(pieces, bytes) else pieces
        left, gate = len(pieces), self.gates.get(model)
        for piece in pieces:
            if gate is not None and not gate.acquire(timeout=harness.HANG):
                break
            left -= 1
            if left == 0:
                with self.lock:  # before the last bytes: whoever has them may be followed by the next request at once
                    self.active[model] = self.active.get(model, 1) - 1
            try:
                connection.sendall(piece)
            except OSError:
                break  # the gateway has cancelled the call

    def let(self, model, pieces=1):
        self.gates[model].release(pieces)
