#!/usr/bin/python3
"""Clients that we did not write talk TLS to an echo server: openssl s_client, Python's ssl below its
`websockets` and alone, Node's `ws`, curl."""

import contextlib
import os
import pathlib
import re
import socket
import ssl
import subprocess
import time
import unittest

import websockets

import certificates
import echo_server
import wire
from echo_server import TIMEOUT, Server
from websockets_client import bounded, close_frame, pattern

NODE = "/usr/bin/node"
NODE_PEER = r"""
const WebSocket = require("ws");
const [url, ca] = process.argv.slice(1);
const socket = new WebSocket(url, { ca: require("fs").readFileSync(ca), perMessageDeflate: false });
const large = Buffer.alloc(3_000_000, "abc");
const failed = error => { console.log(String(error)); process.exit(1); };
socket.on("error", failed);
socket.on("open", () => { socket.send("hello"); socket.send(large); });
let heard = 0;
socket.on("message", data => {
  if (!data.equals(heard++ ? large : Buffer.from("hello"))) failed("not the echo");
  if (heard == 2) socket.close(1000, "all said");
});
socket.on("close", code => console.log(socket._socket ? "open" : "closed", code));
"""

folder = None
server = None
trusting = None  # an ssl.SSLContext


def setUpModule():
    global folder, server, trusting
    folder = certificates.Folder(echo_server.cleanup)
    server = tls_server("localhost")
    trusting = ssl.create_default_context(cafile=folder.issuer)


def tearDownModule():
    server.stop()


def tls_server(name, *arguments):
    certificate = folder.certificate(name)
    return Server("--tls-cert", certificate, "--tls-key", certificate, *arguments)


def connect(to=None, context=None):
    return websockets.connect(f"wss://localhost:{(to or server).port}/", ssl=context or trusting,
                              compression=None, max_size=None, ping_interval=None,
                              open_timeout=TIMEOUT, close_timeout=TIMEOUT)


def run(*command, data=b""):
    done = subprocess.run(command, input=data, capture_output=True, timeout=TIMEOUT)
    return done.returncode, done.stdout, done.stderr.decode()


class Websockets(unittest.TestCase):
    @bounded
    async def check_echoes(self, version):
        context = ssl.create_default_context(cafile=folder.issuer)
        context.minimum_version = context.maximum_version = version
        context.set_alpn_protocols(["h2", "http/1.1"])
        async with connect(context=context) as client:
            its = client.transport.get_extra_info("ssl_object")
            self.assertEqual(its.version(), {"TLSv1_2": "TLSv1.2", "TLSv1_3": "TLSv1.3"}[version.name])
            self.assertEqual(its.selected_alpn_protocol(), "http/1.1")
            for size in (0, 1, 125, 126, 16_383, 16_384, 16_385, 70_000, 5_000_000):
                message = pattern(size)
                await client.send(message)
                self.assertTrue(await client.recv() == message, size)
            await (await client.ping(b"there?"))
            await client.close(1000, "all said")
            self.assertEqual(client.close_code, 1000)

    @bounded
    async def test_pipelined_messages_keep_their_order(self):
        async with connect() as client:
            for i in range(300):
                await client.send(f"{i} " * (i % 100))
            for i in range(300):
                self.assertEqual(await client.recv(), f"{i} " * (i % 100))

    @bounded
    async def test_sigterm_is_going_away(self):
        stopped = tls_server("stopped")
        async with connect(to=stopped) as client:
            stopped.terminate()
            self.assertEqual((await close_frame(client))[0], 1001)
        stopped.expect_exit()

    @bounded
    async def test_a_message_over_the_limit(self):
        with tls_server("limited", "--max-message", "1000") as limited:
            async with connect(to=limited) as client:
                await client.send(pattern(100_000))
                self.assertEqual((await close_frame(client))[0], 1009)


echo_server.add_cases(Websockets, [("1.2", ssl.TLSVersion.TLSv1_2), ("1.3", ssl.TLSVersion.TLSv1_3)],
                      Websockets.check_echoes)


class Sockets(unittest.TestCase):
    """Python's ssl on a socket."""

    def open(self, session=None, **options):
        plain = socket.create_connection(server.address, TIMEOUT)
        self.addCleanup(plain.close)
        return trusting.wrap_socket(plain, server_hostname="localhost", session=session, **options)

    def upgrade(self, secured):
        secured.sendall(wire.request())
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += secured.recv(1000)
        self.assertTrue(answer.startswith(b"HTTP/1.1 101 "), answer)

    def test_the_end_is_said_both_ways(self):
        with self.open() as secured:
            self.upgrade(secured)
            secured.sendall(wire.close(1000))
            self.assertEqual(secured.recv(100)[:1], b"\x88")
            self.assertEqual(secured.recv(100), b"")  # close_notify: without, it would be an error
            secured.unwrap()

    def test_a_session_is_continued(self):
        with self.open() as first:
            self.upgrade(first)
            session = first.session
            self.assertFalse(first.session_reused)
        with self.open(session=session) as second:
            self.assertTrue(second.session_reused)
            self.upgrade(second)

    def test_records_of_one_byte(self):
        with self.open() as secured:
            for i in range(len(wire.request())):
                secured.sendall(wire.request()[i:i + 1])
            for byte in wire.frame(wire.TEXT, b"hello"):
                secured.sendall(bytes([byte]))
            got = b""
            while not got.endswith(b"\x81\x05hello"):
                got += secured.recv(1000)


class Commands(unittest.TestCase):
    def s_client(self, *options, talk=()):
        """Says each of `talk` when it has heard what is with it. Ends when the server does."""
        command = [certificates.OPENSSL, "s_client", "-connect", server.authority, "-servername",
                   "localhost", "-CAfile", folder.issuer, "-verify_return_error", *options]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT) as process:
            echo_server.cleanup.callback(lambda: process.poll() is None and process.kill())
            said = b""
            for answer, words in talk:
                while words not in said:
                    said += os.read(process.stdout.fileno(), 1000) or self.fail(said)
                process.stdin.write(answer)
                process.stdin.flush()
            return (said + process.stdout.read()).decode("latin-1")

    def test_s_client(self):
        data = wire.request() + wire.frame(wire.TEXT, b"hello") + wire.close(1000)
        said = self.s_client("-alpn", "h2,http/1.1", talk=[(data, b"")])
        for words in ("Verify return code: 0 (ok)", "ALPN protocol: http/1.1", "TLSv1.3",
                      "HTTP/1.1 101 ", "\x81\x05hello", "closed"):
            self.assertIn(words, said)

    def test_s_client_of_another_protocol_is_refused(self):
        self.assertIn("no application protocol", self.s_client("-alpn", "h2"))

    def test_s_client_of_an_old_version_is_refused(self):
        self.assertRegex(self.s_client("-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"),
                         "protocol version|no protocols available")

    def test_s_client_changes_its_keys(self):
        for command in (b"K\n", b"k\n"):  # with and without asking for ours
            said = self.s_client(talk=[
                (wire.request(), b""), (command, b"\r\n\r\n"),
                (wire.frame(wire.TEXT, b"hello") + wire.close(1000), b"KEYUPDATE")])
            self.assertIn("\x81\x05hello", said)

    def test_s_client_cannot_renegotiate(self):
        said = self.s_client("-tls1_2", talk=[(wire.request(), b""), (b"R\n", b"\r\n\r\n")])
        self.assertIn("RENEGOTIATING", said)
        self.assertIn("no renegotiation", said)

    def test_curl_gets_the_page(self):
        code, page, said = run("curl", "-sS", "--noproxy", "*", "--cacert", folder.issuer,
                               f"https://localhost:{server.port}/")
        self.assertEqual((code, said), (0, ""))
        self.assertEqual(page, (pathlib.Path(__file__).parents[2] / "examples/echo.html").read_bytes())

    def test_curl_without_tls_is_told_so(self):
        code, answer, said = run("curl", "-sS", "-i", "--noproxy", "*",
                                 f"http://localhost:{server.port}/")
        self.assertEqual(code, 0, said)
        self.assertRegex(answer.decode(), r"(?s)\AHTTP/1.1 400 .*This port speaks TLS: ask for https")

    def test_node(self):
        code, said, error = run(NODE, "-e", NODE_PEER, f"wss://localhost:{server.port}/",
                                folder.issuer)
        self.assertEqual((code, error), (0, ""))
        self.assertRegex(said.decode(), r"\A\w+ 1000\n\Z")


class Refusals(unittest.TestCase):
    """What does not become a connection, and what the server says of it."""

    def setUp(self):
        certificate = folder.certificate("loud")
        name = pathlib.Path(echo_server.options.executable).name
        self.server = Server("--port", "0", "--tls-cert", certificate, "--tls-key", certificate,
                             ready=re.escape(name) + r" listening on https://127\.0\.0\.1:(\d+)/")
        self.addCleanup(self.server.kill)

    def check_said(self, act, words):
        with socket.create_connection(self.server.address, TIMEOUT) as peer:
            with contextlib.suppress(OSError):
                act(peer)
                while peer.recv(1000):
                    pass
        deadline = time.monotonic() + TIMEOUT
        while words not in self.server.stderr():  # a peer may be gone before it is heard
            self.assertLess(time.monotonic(), deadline, self.server.stderr())
            time.sleep(0.01)
        self.server.stop()


def distrust(peer):
    ssl.create_default_context().wrap_socket(peer, server_hostname="localhost")


echo_server.add_cases(Refusals, [
    ("http", lambda peer: peer.sendall(wire.request()), "the peer speaks HTTP without TLS"),
    ("ssh", lambda peer: peer.sendall(b"SSH-2.0-OpenSSH_9.2\r\n"), "the peer speaks no TLS"),
    ("distrust", distrust, "the peer does not accept our certificate: unknown CA"),
    ("end", lambda peer: peer.shutdown(socket.SHUT_WR), "the stream ended inside the TLS handshake"),
], Refusals.check_said)


class CommandLine(unittest.TestCase):
    def check_bad(self, words, *arguments):
        code, said, error = run(echo_server.options.executable, "--port", "0", *arguments)
        self.assertEqual((code, said), (1, b""))
        self.assertIn(words, error)

    def test_files_that_cannot_be_used(self):
        good, other = folder.certificate("good"), folder.certificate("other")
        self.check_bad("go together", "--tls-cert", good)
        self.check_bad("cannot read the certificate file /nowhere: No such file or directory",
                       "--tls-cert", "/nowhere", "--tls-key", good)
        self.check_bad("cannot read the key file /nowhere", "--tls-cert", good, "--tls-key", "/nowhere")
        self.check_bad("is not that of the certificate", "--tls-cert", good, "--tls-key", other)
        self.check_bad("has to be PEM", "--tls-cert", __file__, "--tls-key", good)


class BehindProxies(unittest.TestCase):
    def test_the_header_of_a_proxy_comes_before_tls(self):
        behind = tls_server("localhost", "--proxy-protocol", "--trusted-proxy", "127.0.0.1")
        self.addCleanup(behind.stop)
        plain = socket.create_connection(behind.address, TIMEOUT)
        plain.sendall(b"PROXY TCP4 203.0.113.7 127.0.0.1 56324 443\r\n")
        with trusting.wrap_socket(plain, server_hostname="localhost") as stream:
            stream.sendall(wire.request() + wire.frame(wire.TEXT, b"hi"))
            got = b""
            while not got.endswith(b"\x81\2hi"):
                more = stream.recv(4096)
                self.assertTrue(more, got)
                got += more

    def test_the_scheme_of_a_page_is_known(self):
        for page, status in (("https://localhost", b"101"), ("http://localhost", b"403")):
            plain = socket.create_connection(server.address, TIMEOUT)
            with trusting.wrap_socket(plain, server_hostname="localhost") as stream:
                stream.sendall(wire.request(f"+Origin: {page}"))
                self.assertEqual(stream.recv(4096).split(b" ")[1], status, page)


if __name__ == "__main__":
    echo_server.run()
