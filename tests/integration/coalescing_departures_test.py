"""A shared upstream call does not depend on the client that began it: it may leave, have less time, or read nothing (FAULTS K-14)."""

import json
import time
from pathlib import Path

import h1_client
import h2_client
import harness
from coalescing_case import CHAT, FIRST, FOLLOWERS, LAST, MARK, CoalescingCase, Crowd, events, first_time, good, in_two, status
from harness import table, until
from scripted_backend import chunk

LARGE = [chunk("x" * 10_000) for _ in range(700)]  # more than the sockets of a client that does not read hold, less than max_entry
BOULDERS = [chunk("x" * 800_000) for _ in range(9)]  # larger than what is held for a client: it holds part of one
FORMS = [("waits", "whole", False), ("waits", "whole", True), ("follows", "halves", True)]


def is_open(gateway, client_port):
    """Whether the gateway's side of a connection is there."""
    port = int(gateway.rpartition(":")[2])
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, state = line.split()[:4]
        if (int(local[-4:], 16), int(remote[-4:], 16)) == (port, client_port) and state != "06":  # TIME_WAIT
            return True
    return False


@table("left", [(f"K-14 leader leaves by {client} while everybody {what}, {'stream' if s else 'plain'}", client, m, s)
                for client in ("FIN", "RST_STREAM") for what, m, s in FORMS])
@table("impatient", [(f"K-14 leader has less time, everybody {what}, {'stream' if s else 'plain'}", m, s) for what, m, s in FORMS])
class Departures(CoalescingCase):
    models = {"whole": good, "halves": in_two, "large": [b"", events(*LARGE, *LAST)], "boulders": [b"", events(*BOULDERS, *LAST)], "asked-to-wait": first_time(status(429, "retry-after: 4"))}
    in_cluster = {"asked-to-wait": "patient"}

    def everybody_else(self, crowd, heads, model, stream):
        self.backend.let(model)
        answers = crowd.answers(heads)
        self.assertEqual({(answer.status, answer.complete, answer.cache) for answer in answers}, {(200, True, "coalesced")})
        self.assertEqual(len({answer.body for answer in answers}), 1)
        self.assertEqual(self.backend.received[model], 1)
        self.outcomes(done=FOLLOWERS)
        self.assertEqual(self.ask(self.body(model, stream)).cache, "hit-memory", "the call's answer is kept")

    def left(self, label, client, model, stream):
        body, leader_id = self.body(model, stream), self.request_id()
        if client == "FIN":
            leader = h1_client.Connection(self.gateway.address)
            leader.send(leader.request_bytes("POST", CHAT, body, [("x-request-id", leader_id)]))
        else:
            leader = h2_client.Connection(self.gateway.address)
            leader.request(body, [("x-request-id", leader_id), ("content-type", "application/json")])
        self.addCleanup(leader.close)
        until(lambda: self.backend.received.get(model, 0) == 1, "the leader's call")
        crowd, heads = Crowd(self, FOLLOWERS, body), None
        self.under_way(FOLLOWERS + 1)
        if model == "halves":
            self.backend.let(model)
            heads = crowd.heads(MARK)
            if client == "FIN":
                leader.wait_body(leader.read_head(), MARK)
        if client == "FIN":
            port = leader.socket.getsockname()[1]
            leader.close()
            until(lambda: not is_open(self.gateway.address, port), "the gateway has noticed")
        else:
            leader.send(h2_client.frame(h2_client.RST_STREAM, 0, 1, h2_client.CANCEL.to_bytes(4, "big")) +
                        h2_client.frame(h2_client.PING, 0, 0, b"have it?"))
            while (h2_client.PING, h2_client.ACK, 0, 8) not in leader.frames:
                self.assertTrue(leader.step())
        self.everybody_else(crowd, heads, model, stream)
        line = self.gateway.line_of(leader_id)
        self.assertEqual((line["status"], line["term"], line["cache"], line["attempts"]), (499, "DC", "miss", 1))

    def impatient(self, label, model, stream):
        body = self.body(model, stream)
        leader = Crowd(self, 1, body, [("x-penstock-timeout-ms", "2500")])  # everybody is there by then
        until(lambda: self.backend.received.get(model, 0) == 1, "the leader's call")
        crowd, heads = Crowd(self, FOLLOWERS, body), None
        self.under_way(FOLLOWERS + 1)
        if model == "halves":
            self.backend.let(model)
            heads = crowd.heads(MARK)
        answer = leader.answers()[0]
        self.assertEqual((answer.status, answer.complete), (200, False) if model == "halves" else (504, True))
        self.assertIn(b"deadline_exceeded" if model == "whole" else b'"error"', answer.body)
        self.everybody_else(crowd, heads, model, stream)
        self.assertNotEqual(leader.lines()[0]["term"], "-")

    def test_K_14_leader_reads_nothing(self):
        body = self.body("large", True)
        leader = Crowd(self, 1, body, receive_buffer=4096)
        until(lambda: self.backend.received.get("large", 0) == 1, "the leader's call")
        crowd = Crowd(self, 3, body)
        self.under_way(4)
        self.backend.let("large", 2)
        answers = crowd.answers()
        self.assertEqual({(answer.status, answer.complete, answer.cache) for answer in answers}, {(200, True, "coalesced")})
        self.assertEqual([line for line in self.gateway.access_lines() if line["request_id"] in leader.ids], [], "its own is not out yet")
        late = leader.answers()[0]
        self.assertEqual({answer.body for answer in answers}, {late.body})
        self.assertTrue(late.complete)
        self.outcomes(done=3)
        self.assertEqual(self.backend.received["large"], 1)

    def test_K_14_follower_reads_nothing(self):
        leader = Crowd(self, 1, self.body("large", True))
        until(lambda: self.backend.received.get("large", 0) == 1, "the leader's call")
        slow, crowd = Crowd(self, 1, self.body("large", True), receive_buffer=4096), Crowd(self, 3, self.body("large", True))
        self.under_way(5)
        self.backend.let("large", 2)
        bodies = {answer.body for answer in leader.answers() + crowd.answers()}
        self.assertEqual([line for line in self.gateway.access_lines() if line["request_id"] in slow.ids], [])
        self.assertEqual({answer.body for answer in slow.answers()}, bodies)
        self.outcomes(done=4)

    def test_U_08_a_follower_whose_time_ends_inside_an_event(self):
        """What it is told must be an event of its own."""
        leader = Crowd(self, 1, self.body("boulders", True))
        until(lambda: self.backend.received.get("boulders", 0) == 1, "the leader's call")
        began = time.monotonic()
        slow = Crowd(self, 1, self.body("boulders", True), [("x-penstock-timeout-ms", "2500")], receive_buffer=4096)
        self.under_way(2)
        self.backend.let("boulders", 2)
        self.assertTrue(leader.answers()[0].complete)
        until(lambda: self.gateway.metrics()["penstock_inflight_requests"] <= 1, "the leader's end")
        until(lambda: time.monotonic() > began + 3.5, "the deadline's end")
        answer = slow.answers()[0]
        self.assertEqual((answer.status, answer.complete), (200, False))
        self.assertTrue(answer.body.endswith(b"\n\n"))
        last = answer.body.rstrip(b"\n").rpartition(b"\n\n")[2]
        self.assertIn("error", json.loads(last.removeprefix(b"data: ")), "half an event stands before it, and a blank line between them")

    def test_K_14_leader_leaves_between_two_attempts(self):
        """No call is under way then: it is begun anew, by one of the others."""
        leader, crowd = self.together("asked-to-wait", True)
        self.backend.let("asked-to-wait")
        until(lambda: any(e["resting_ms"] for c in self.admin("GET", "/admin/backends").json()["clusters"] for e in c["endpoints"]),
              "it waits as long as the backend asked for")
        leader.connections[0].close()
        self.outcomes(leader_gone=FOLLOWERS)
        until(lambda: self.backend.received["asked-to-wait"] == 2, "one new leader's call")
        self.backend.let("asked-to-wait")
        answers = crowd.answers()
        self.assertEqual({(answer.status, answer.complete) for answer in answers}, {(200, True)})
        self.assertEqual(sorted(answer.cache for answer in answers), ["coalesced"] * (FOLLOWERS - 1) + ["miss"])
        self.assertEqual(self.backend.received["asked-to-wait"], 2)
        self.outcomes(leader_gone=FOLLOWERS, done=FOLLOWERS - 1)

    def test_K_13_K_14_followers_have_deadlines_of_their_own(self):
        for model, heads, status_code in (("whole", None, 504), ("halves", MARK, 200)):
            with self.subTest(model):
                self.backend.forget()
                self.before = self.counts()
                leader, crowd = self.together(model, True, 5)
                hasty = Crowd(self, 4, self.body(model, True), [("x-penstock-timeout-ms", "600")])
                if heads:
                    self.backend.let(model)
                answers = hasty.answers()
                self.assertEqual({answer.status for answer in answers}, {status_code})
                self.assertEqual({b"deadline_exceeded" in answer.body or not answer.complete for answer in answers}, {True})
                self.backend.let(model)
                answers = leader.answers() + crowd.answers()
                self.assertEqual({(answer.status, answer.complete) for answer in answers}, {(200, True)})
                self.assertEqual(self.backend.received[model], 1)
                self.outcomes(timed_out=4, done=5)

    def test_K_14_followers_that_leave_disturb_nobody(self):
        leader, crowd = self.together("halves", True)
        self.backend.let("halves")
        heads = crowd.heads(MARK)
        for connection in crowd.connections[::2]:
            connection.abort()
        crowd.connections, heads = crowd.connections[1::2], heads[1::2]
        crowd.ids, left = crowd.ids[1::2], crowd.ids[::2]
        until(lambda: sum(line["request_id"] in left for line in self.gateway.access_lines()) == len(left), "they are gone")
        self.backend.let("halves")
        self.assertEqual({(answer.status, answer.complete) for answer in leader.answers() + crowd.answers(heads)}, {(200, True)})
        self.outcomes(done=len(heads))


if __name__ == "__main__":
    harness.main()
