#!/usr/bin/python3
"""The client, cat-<loop>, against TLS servers that we did not write: Python's `websockets`, with
certificates that are right and wrong, and servers that speak something else."""

import contextlib
import socket
import ssl
import unittest

import certificates
import echo_server
from cat_client import Cat, Websockets, echo, refused, run
from plain_server import Host
from through_proxies import Proxy

folder = None


def setUpModule():
    global folder
    folder = certificates.Folder(echo_server.cleanup)


def serving(certificate, handler=echo, **settings):
    """`settings`: attributes of the server's ssl.SSLContext."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    if settings.get("verify_mode"):
        context.load_verify_locations(folder.issuer)
    for name, value in settings.items():
        setattr(context, name, value)
    return Websockets(handler, ssl=context)


class Echoes(unittest.TestCase):
    def test_each_version_by_name_and_by_address(self):
        lines = b"".join(b"line %d\n" % i for i in range(1000)) + b"x" * 1_000_000 + b"\n"
        certificate = folder.certificate("localhost")
        with serving(certificate) as new, \
             serving(certificate, maximum_version=ssl.TLSVersion.TLSv1_2) as old:
            cats = [Cat(f"wss://{host}:{server.port}/", "--tls-ca", folder.issuer)
                    for host, server in [("localhost", new), ("localhost", old), ("127.0.0.1", new)]]
            for cat in cats:
                cat.write(lines)
                cat.close_input()
            for cat in cats:
                self.assertTrue(cat.end() == lines, cat.process.args)
                self.assertEqual(cat.errors(), "")

    def test_the_server_sees_the_name_and_the_protocol(self):
        seen = []
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder.certificate("localhost"))
        context.set_alpn_protocols(["http/1.1"])
        context.sni_callback = lambda its, name, context: seen.append(name)

        async def handler(client):
            its = client.transport.get_extra_info("ssl_object")
            await client.send(f"{its.selected_alpn_protocol()} {its.version()}")

        with Websockets(handler, ssl=context) as server:
            for host in ("localhost", "127.0.0.1"):
                said = run(f"wss://{host}:{server.port}/", "--tls-ca", folder.issuer)
                self.assertEqual(said, b"http/1.1 TLSv1.3\n")
        self.assertEqual(seen, ["localhost", None])


class Tunnels(unittest.TestCase):
    """Through a proxy, of whom TLS knows nothing: it is the server that proves who it is."""

    def test_echo(self):
        lines = b"hello\n" + b"x" * 100_000 + b"\n"
        with serving(folder.certificate("localhost")) as server, Proxy() as proxy:
            self.assertEqual(run(f"wss://localhost:{server.port}/", "--tls-ca", folder.issuer,
                                 "--proxy", f"127.0.0.1:{proxy.port}", lines=lines), lines)
        self.assertRegex(proxy.heads[0], f"^CONNECT localhost:{server.port} HTTP/1.1\r\n")

    def test_wrong_host(self):
        with serving(folder.certificate("wrong", names="DNS:other.example")) as server, \
             Proxy() as proxy:
            said = refused(f"wss://localhost:{server.port}/", "--tls-ca", folder.issuer,
                           "--proxy", f"127.0.0.1:{proxy.port}")
        self.assertIn("not for this host", said)


class Refusals(unittest.TestCase):
    def refused(self, port, scheme="wss"):
        return refused(f"{scheme}://localhost:{port}/", "--tls-ca", folder.issuer)

    def check_certificate(self, words, options):
        with serving(folder.certificate("wrong", **options)) as server:
            self.assertIn(words, self.refused(server.port))

    def test_self_signed(self):
        with serving(folder.self_signed("alone")) as server:
            self.assertIn("the issuer of the peer's certificate is not known", self.refused(server.port))

    def test_the_system_does_not_know_this_issuer(self):
        with serving(folder.certificate("localhost")) as server:
            said = refused(f"wss://localhost:{server.port}/")
            self.assertIn("the issuer of the peer's certificate is not known", said)

    def test_a_certificate_of_ours_is_required(self):
        with serving(folder.certificate("localhost"), verify_mode=ssl.CERT_REQUIRED,
                     maximum_version=ssl.TLSVersion.TLSv1_2) as server:
            self.assertIn("failed", self.refused(server.port))

    def test_plain_text_where_tls_is(self):
        def talk(peer):
            peer.request()
            peer.send(b"\x15\x03\x01\x00\x02\x02\x0a")  # alert: unexpected message

        with Host(talk) as host:
            self.assertIn("the peer speaks TLS", self.refused(host.port, "ws"))

    def check_talk(self, words, talk):
        with Host(talk) as host:
            self.assertIn(words, self.refused(host.port))


def answer_http(peer):
    peer.socket.recv(1000)
    peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")


echo_server.add_cases(Refusals, [
    ("expired", "the peer's certificate has expired", {"days": -1}),
    ("for others", "is not for this host: wanted localhost, and it is for a.example, b.example",
     {"names": "DNS:a.example,DNS:b.example"}),
], Refusals.check_certificate)
echo_server.add_cases(Refusals, [
    ("http", "the peer speaks no TLS", answer_http),
    ("old versions only", "no version of TLS that both sides want",
     lambda peer: peer.send(b"\x15\x03\x01\x00\x02\x02\x46")),  # alert: protocol version
    ("ssh", "the peer speaks no TLS", lambda peer: peer.send(b"SSH-2.0-OpenSSH_9.2\r\n")),
    ("end", "the stream ended inside the TLS handshake",
     lambda peer: peer.socket.shutdown(socket.SHUT_WR)),
], Refusals.check_talk)


class Ends(unittest.TestCase):
    def test_a_stream_that_is_cut_short(self):
        """The server's FIN without close_notify, behind what it said."""
        async def handler(client):
            await client.send("before")
            client.transport.get_extra_info("socket").shutdown(socket.SHUT_WR)
            with contextlib.suppress(Exception):
                await client.recv()

        with serving(folder.certificate("localhost"), handler) as server:
            cat = Cat(f"wss://localhost:{server.port}/", "--tls-ca", folder.issuer)
            self.assertEqual(cat.end(1), b"before\n")
            self.assertIn("cut short: it ended without close_notify", cat.sentence())


if __name__ == "__main__":
    echo_server.run()
