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
    """HTTP/1.1, one request per connection. `answers`: model -> pieces of bytes. Before each piece of a model that is `held`
    the test must let it go on; behind the last the connection is closed. None as a piece: the connection is cut there."""

    def __init__(self, answers, held=()):
        self.answers, self.received, self.lock = answers, {}, threading.Lock()
        self.gates = {model: threading.Semaphore(0) for model in held}
        super().__init__()

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
            model = json.loads(reader.buffer)["model"]
            with self.lock:
                self.received[model] = self.received.get(model, 0) + 1
            self.play(connection, model)

    def play(self, connection, model):
        pieces = self.answers[model]
        for piece in [pieces] if isinstance(pieces, bytes) else pieces:
            if model in self.gates and not self.gates[model].acquire(timeout=harness.HANG):
                return
            if piece is None:
                return
            try:
                connection.sendall(piece)
            except OSError:
                return  # the gateway has cancelled the call

    def let(self, model, pieces=1):
        self.gates[model].release(pieces)
