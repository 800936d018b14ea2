"""What people write stays out of the logs, but for `log.prompts` at level debug."""

import json
import signal
import unittest

from control_test import API_KEY, DaemonTest, post
from processes import ask


class Prompts(DaemonTest):
    SECRET, ANSWERED = "the-codeword-is-xyzzy", "content"

    def run_with(self, **change):
        """What the gateway wrote while a request and a stream were served: the log's lines and the access lines."""
        prompts = change.pop("prompts")
        text = self.config(level=change.pop("level", "debug"), access=self.path("access.log"), **change)
        gateway = self.launch(text.replace("log: {", f"log: {{prompts: {prompts}, ")).started()
        for stream in (False, True):
            body = json.dumps({"model": "fast", "stream": stream, "messages": [{"role": "user", "content": f"{self.SECRET} {'x' * 10_000}"}]})
            answer = ask(gateway.address, "POST", "/v1/chat/completions", body, {"content-type": "application/json", "x-request-id": f"told-{stream}",
                                                                                "authorization": f"Bearer {API_KEY}"})
            self.assertEqual(answer.status, 200)
            refused = ask(gateway.address, "POST", "/v1/chat/completions", body[:-1] + ",", {"content-type": "application/json"})
            self.assertEqual(refused.status, 400)
        ask(gateway.address, "GET", "/v1/models")
        gateway.signal(signal.SIGTERM)
        self.assertEqual(gateway.wait(), 0)
        with open(self.path("access.log"), encoding="utf-8") as file:
            return gateway.text(), file.read()

    def test_prompts_stay_out_of_the_log(self):
        for change in ({"prompts": "false"}, {"prompts": "true", "level": "info"}):
            with self.subTest(change):
                log, access = self.run_with(**change)
                self.assertIn("told-False", access)
                for text in (log, access):
                    self.assertNotIn(self.SECRET, text)
                    self.assertNotIn(self.ANSWERED, text)

    def test_prompts_are_told_when_asked_for(self):
        text, access = self.run_with(prompts="true")
        self.assertNotIn(self.SECRET, access)
        lines = [json.loads(line) for line in text.splitlines() if '"msg":"prompt"' in line]
        self.assertEqual(len(lines), 4, "one per request that has one, refused or not")
        for name, answered in (("told-False", '"object":"chat.completion"'), ("told-True", "data: ")):
            line, = [line for line in lines if line["request_id"] == name]
            self.assertEqual(line["level"], "debug")
            self.assertTrue(line["prompt"].startswith('{"model": "fast"'))
            self.assertIn(self.SECRET, line["prompt"])
            self.assertLessEqual(len(line["prompt"]), 4096)
            self.assertGreater(len(line["prompt"]), 4000)
            self.assertIn(self.ANSWERED, line["answer"])
            self.assertIn(answered, line["answer"])
        self.assertNotIn(API_KEY, text)

    def test_prompts_without_an_access_log_and_as_text(self):
        config = self.config(level="debug", access="off").replace("log: {", "log: {prompts: true, format: text, ")
        gateway = self.launch(config)
        gateway.line_with("admin API on")
        address = next(line for line in gateway.lines if "listening on" in line).split("listening on ")[1].split()[0]
        self.assertEqual(post(address).status, 200)
        line = gateway.line_with(" prompt request_id=")
        self.assertIn(r'{\"model\": \"fast\"', line)
        self.assertIn("chat.completion", line)


if __name__ == "__main__":
    unittest.main()
