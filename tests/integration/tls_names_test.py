"""TLS names of the real gateway: no SNI, a wrong one, one that is not the Host, tickets (FAULTS A-16). One certificate per
listener, whatever is asked for; 421 for what was sent to somebody else."""

import json
import ssl
import subprocess

import h1_client
import h2_client
import harness
from harness import FaultCase, World, cluster, endpoint, table

MODEL = "sim:0:2:0"
NAMES = "DNS:gateway.test,DNS:*.models.test,IP:127.0.0.1"
PROXY = "127.0.0.2"  # of trusted_proxies

# label, SNI, authority, status
ROWS = [
    ("no SNI", None, "gateway.test", 200),
    ("no SNI and a strange host", None, "stranger.test", 200),
    ("SNI and host agree", "gateway.test", "gateway.test", 200),
    ("case, dot and port do not matter", "gateway.test", "GATEWAY.test.:8443", 200),
    ("agree on a name that the certificate lacks", "stranger.test", "stranger.test", 200),
    ("wrong SNI, right host", "stranger.test", "gateway.test", 200),
    ("another name of the certificate", "gateway.test", "a.models.test", 200),
    ("another name, with a port", "gateway.test", "a.models.test:443", 200),
    ("an address of the certificate", "gateway.test", "127.0.0.1:8443", 200),
    ("another host", "gateway.test", "stranger.test", 421),
    ("another host, with a port", "gateway.test", "stranger.test:443", 421),
    ("two labels for one star", "gateway.test", "a.b.models.test", 421),
    ("no label for the star", "gateway.test", "models.test", 421),
    ("a name that only begins alike", "gateway.test", "gateway.test.stranger.test", 421),
    ("every name below a domain", "gateway.test", ".models.test", 421),
    ("another address", "gateway.test", "[::1]:8443", 421),
    ("two strangers", "stranger.test", "other.test", 421),
]


def certificate(folder, name, names):
    files = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-subj", f"/CN={name}", "-addext", f"subjectAltName={names}", "-out", files[0], "-keyout", files[1]],
                   check=True, capture_output=True)
    return files


@table("one", [(f"A-16 {label} {protocol}", protocol, *rest) for label, *rest in ROWS for protocol in ("h1", "h2")])
class Names(FaultCase):
    @classmethod
    def make_world(cls):
        def config(world):
            cls.files = [certificate(world.folder, "one", NAMES), certificate(world.folder, "two", "DNS:gateway.test")]
            listeners = [{"address": "127.0.0.1:0"}]
            listeners += [{"address": "127.0.0.1:0", "tls": {"certificate": str(c), "private_key": str(k)}} for c, k in cls.files]
            return {"server": {"listeners": listeners, "trusted_proxies": [f"{PROXY}/32"]},
                    "models": [{"name": MODEL, "upstream_name": MODEL, "cluster": "good"}],
                    "clusters": [cluster("good", [endpoint(world.sims["good"].address)])]}
        return World(config, sims=("good",))

    def connect(self, protocol, server_name, listener=1, context=None, **more):
        client, alpn = (h1_client, "http/1.1") if protocol == "h1" else (h2_client, "h2")
        connection = client.Connection(self.gateway.addresses[listener], context or h1_client.trusting(alpn), server_name=server_name, **more)
        served = ssl.PEM_cert_to_DER_cert(self.files[listener - 1][0].read_text())
        self.assertEqual(connection.socket.getpeercert(binary_form=True), served, "the listener's one certificate, whatever is asked for")
        return connection

    def ask(self, connection, authority, method="GET", path="/v1/models", body=""):
        """Mostly without a body: an early answer to one that is under way closes an HTTP/1.1 connection."""
        headers = [("x-request-id", self.request_id())]
        if isinstance(connection, h2_client.Connection):
            return connection.finish(connection.request(body, headers, method=method, path=path, authority=authority))
        connection.send(connection.request_bytes(method, path, body, headers, host=authority))
        return connection.read_response()

    def one(self, label, protocol, server_name, authority, status):
        with self.connect(protocol, server_name) as connection:
            for _ in range(2):  # and again: what was found out of a host is remembered
                answer = self.ask(connection, authority)
                self.assertEqual((answer.status, answer.complete), (status, True), answer)
                if status == 421:
                    self.assertEqual((answer.error()["code"], answer.error()["type"]), ("misdirected_request", "invalid_request_error"))
                    self.assertEqual(self.term_of(), "DPE")
            rightful = self.ask(connection, server_name or "gateway.test")
            self.assertEqual(rightful.status, 200, "the connection goes on")

    def test_A_16_in_the_shape_of_the_family(self):
        for protocol in ("h1", "h2"):
            with self.connect(protocol, "gateway.test") as connection:
                answer = self.ask(connection, "stranger.test", "POST", "/v1/messages", json.dumps({"model": MODEL, "messages": [], "max_tokens": 1}))
            self.assertEqual((answer.status, answer.json()["type"]), (421, "error"))

    def test_A_16_without_tls_any_host(self):
        with h1_client.Connection(self.gateway.address) as connection:
            self.assertEqual(self.ask(connection, "stranger.test").status, 200)

    def test_A_16_a_trusted_proxy_sends_any_host(self):
        """It asks for the gateway by its inner name and passes the client's Host on (RFC 9110 7.4: a trusted gateway)."""
        with self.connect("h2", "gateway.test", source=PROXY) as connection:
            self.assertEqual(self.ask(connection, "public.example").status, 200)
        with self.connect("h2", "gateway.test", source="127.0.0.3") as connection:
            self.assertEqual(self.ask(connection, "public.example").status, 421)

    def test_A_16_tickets(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            with self.subTest(version):
                context = h1_client.trusting("http/1.1")
                context.maximum_version = version
                with self.connect("h1", "gateway.test", context=context) as connection:
                    self.assertEqual(self.ask(connection, "gateway.test").status, 200)
                    session = connection.socket.session
                self.assertTrue(session.has_ticket)
                with self.connect("h1", "gateway.test", context=context, session=session) as connection:
                    self.assertTrue(connection.socket.session_reused)
                    self.assertEqual(self.ask(connection, "a.models.test").status, 200)
                    self.assertEqual(self.ask(connection, "stranger.test").status, 421)
                # Of another name: whether it is taken or not, it opens nothing that a fresh handshake would not.
                with self.connect("h1", "stranger.test", context=context, session=session) as connection:
                    self.assertEqual(self.ask(connection, "other.test").status, 421)
                    self.assertEqual(self.ask(connection, "gateway.test").status, 200)
                # Of another listener: a certificate of its own.
                with self.connect("h1", "gateway.test", listener=2, context=context, session=session) as connection:
                    self.assertFalse(connection.socket.session_reused)
                    self.assertEqual(self.ask(connection, "a.models.test").status, 421)
                    self.assertEqual(self.ask(connection, "gateway.test").status, 200)


if __name__ == "__main__":
    harness.main()
