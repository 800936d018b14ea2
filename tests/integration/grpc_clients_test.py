"""Clients of gRPC that nobody here wrote, besides grpcio: libgrpc++ with the code that its plugin generates (grpc_client.cpp), and
JavaScript's @grpc/grpc-js with @grpc/proto-loader and a reflection client (grpc_clients_test.mjs). FAULTS Q-05, Q-06, Q-19."""

import os
import re
import shutil
import subprocess
import unittest
from pathlib import Path

import harness
from grpc_case import GrpcCase, inference
from harness import until

OK, CANCELLED, DEADLINE, NOT_FOUND, UNAVAILABLE = 0, 1, 4, 5, 14


class Clients(GrpcCase):
    programs = ("fault:cut:after=3", "fault:error:after=3", "fault:status:503:retry-after=3")

    def run_client(self, *command, **more):
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=100, **more)
        self.assertEqual(done.returncode, 0, f"{command}: {done.stdout[-4000:]}\n{done.stderr[-4000:]}")
        return done.stdout

    def cpp(self, what, model="m", prompt="hello"):
        """What the C++ client printed, by name."""
        lines = self.run_client(harness.BIN / "grpc_client", self.gateway.address, what, model, prompt).splitlines()
        return dict(line.split(": ", 1) for line in lines)

    def test_cpp_chat(self):
        told = self.cpp("chat")
        expected = self.unary("/penstock.v1.Inference/Chat", inference.ChatResponse)(self.chat(), metadata=self.metadata())
        self.assertEqual(told, {"text": expected.choices[0].message.content, "finish": "stop", "tokens": "6", "model": "m",
                                "status": str(OK), "message": ""})

    def test_cpp_chat_stream(self):
        told = self.cpp("stream")
        self.assertEqual((told["text"], told["status"]), (self.cpp("chat")["text"], str(OK)))
        chunks = list(self.stream("/penstock.v1.Inference/ChatStream", inference.ChatChunk)(self.chat(), metadata=self.metadata()))
        self.assertEqual(int(told["chunks"]), len(chunks))
        self.assertGreater(len(chunks), 2)

    def test_cpp_error_with_its_details(self):
        told = self.cpp("error", "nobody")
        self.assertEqual((told["status"], told["reason"], told["domain"]), (str(NOT_FOUND), "MODEL_NOT_FOUND", "penstock"))
        self.assertEqual(told["message"], "the model does not exist")

    def test_cpp_Q_19_an_upstream_s_refusal_says_when_to_come_again(self):
        told = self.cpp("error", "fault:status:503:retry-after=3")
        self.assertEqual((told["status"], told["retry"]), (str(UNAVAILABLE), "3"))

    def test_cpp_a_broken_stream_is_an_error(self):
        self.assertEqual(self.cpp("stream", "fault:cut:after=3")["status"], str(UNAVAILABLE))

    def test_cpp_Q_05_cancel_reaches_the_upstream(self):
        before = len(self.sim.stats()["cancels"])
        self.assertEqual(self.cpp("cancel", "paced")["status"], str(CANCELLED))
        until(lambda: len(self.sim.stats()["cancels"]) > before, "the cancellation")

    def test_cpp_Q_06_deadline(self):
        self.assertEqual(self.cpp("deadline", "silent")["status"], str(DEADLINE))
        until(lambda: self.sim.stats()["in_flight"] == 0, "nothing left at the backend")

    @unittest.skipUnless(shutil.which("node"), "no node")
    def test_js(self):
        env = dict(os.environ, GATEWAY=self.gateway.address, SIMULATOR=f"http://{self.sim.address}", PROTOS=str(harness.SOURCE / "proto"))
        env.setdefault("NODE_PATH", str(harness.SOURCE / "build/node/node_modules"))
        told = self.run_client("node", "--test", Path(__file__).with_name("grpc_clients_test.mjs"), env=env)
        self.assertGreaterEqual(int(re.search(r"# pass (\d+)", told).group(1)), 8)


if __name__ == "__main__":
    harness.main()
