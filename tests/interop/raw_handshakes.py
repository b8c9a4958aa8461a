#!/usr/bin/python3
"""Opening handshakes that no client library sends: what an echo server accepts, and what not.

Every refusal is tried whole, one byte at a time, and with another request behind it, which is
never to be answered.
"""

import base64
import hashlib
import select
import socket
import unittest

import echo_server
from echo_server import Server
from wire import ACCEPT, KEY, TEXT, Wire, expect_alive, frame, request

server = None


def setUpModule():
    global server
    server = Server()


def tearDownModule():
    expect_alive(server)
    server.stop()


class Handshakes(unittest.TestCase):
    def check_rejected(self, status, data):
        whole = self.rejection(status, lambda wire: wire.send(data))
        with self.subTest("one byte at a time"):
            bytewise = self.rejection(status, lambda wire: wire.send_byte_by_byte(data))
            self.assertEqual(bytewise.body, whole.body)
        with self.subTest("another request behind it"):
            more = data + request() + frame(TEXT, b"hello")
            behind = self.rejection(status, lambda wire: wire.send(more))
            self.assertEqual(behind.body, whole.body)

    def rejection(self, status, send):
        with Wire(server) as wire:
            send(wire)
            answer = wire.answer()
        self.assertEqual(answer.status, status, answer.data)
        self.assertEqual(answer.rest, b"", "more than one answer, or a wrong Content-Length")
        self.assertIn("content-length", answer.headers)
        self.assertIn("close", answer.headers.get("connection", "").lower().split(", "))
        self.assertRegex(answer.headers.get("content-type", ""), r"^text/plain\b")
        self.assertRegex(answer.body.decode(), r"\A[^\r\n]{5,}\n?\Z", "one line names the cause")
        if status == 426:
            self.assertEqual(answer.headers.get("sec-websocket-version"), "13")
        if status == 405:
            self.assertEqual(answer.headers.get("allow"), "GET")
        return answer

    def check_accepted(self, data, subprotocol=None):
        for send in (Wire.send, Wire.send_byte_by_byte):
            with self.subTest(send.__name__), Wire(server) as wire:
                send(wire, data)
                answer = wire.upgraded()
                self.assertEqual(answer.headers.get("sec-websocket-accept"), ACCEPT)
                self.assertEqual(answer.headers.get("upgrade", "").lower(), "websocket")
                self.assertEqual(answer.headers.get("connection", "").lower(), "upgrade")
                self.assertEqual(answer.headers.get("sec-websocket-protocol"), subprotocol)
                self.assertNotIn("sec-websocket-extensions", answer.headers)
                wire.send(frame(TEXT, b"hello"))
                wire.expect_frame(TEXT, b"hello")

    def check_no_upgrade(self, data):
        """No upgrade was asked for: whatever the application answers, it is not 101."""
        with Wire(server) as wire:
            wire.send(data)
            wire.socket.shutdown(socket.SHUT_WR)
            wire.answer()

    def test_answer_to_the_key(self):
        key = base64.b64encode(bytes(range(200, 216))).decode()
        digest = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
        accept = base64.b64encode(digest).decode()
        with Wire(server) as wire:
            wire.send(request(f"Sec-WebSocket-Key: {key}"))
            self.assertEqual(wire.upgraded().headers["sec-websocket-accept"], accept)

    def test_no_answer_before_the_last_byte(self):
        with Wire(server) as wire:
            wire.send_byte_by_byte(request()[:-1])
            self.assertEqual(wire.input, b"")
            self.assertEqual(select.select([wire.socket], [], [], 0)[0], [])
            wire.send(b"\n")
            wire.upgraded()

    def test_client_that_leaves_inside_the_handshake(self):
        with Wire(server) as wire:
            wire.send(request()[:-1])
            wire.socket.shutdown(socket.SHUT_WR)
            wire.expect_end()


REJECTED = [
    # pages of others, RFC 6455 section 10.2
    ("another host's page", 403, request("+Origin: http://example.com")),
    ("another port's page", 403, request("+Origin: http://localhost:81")),
    ("a page without an origin", 403, request("+Origin: null")),
    # malformed, RFC 9112
    ("not HTTP", 400, b"hello\r\n\r\n"),
    ("TLS", 400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
    ("no target", 400, request(start="GET HTTP/1.1")),
    ("empty target", 400, request(start="GET  HTTP/1.1")),
    ("no HTTP version", 400, request(start="GET /")),
    ("no HTTP in the version", 400, request(start="GET / HTPP/1.1")),
    ("four words", 400, request(start="GET / / HTTP/1.1")),
    ("space before the method", 400, request(start=" GET / HTTP/1.1")),
    ("space behind the version", 400, request(start="GET / HTTP/1.1 ")),
    ("method is no token", 400, request(start="G{T / HTTP/1.1")),
    ("control character in the target", 400, request(start="GET /\x01 HTTP/1.1")),
    ("tab in the target", 400, request(start="GET /\t HTTP/1.1")),
    ("DEL in the target", 400, request(start="GET /\x7f HTTP/1.1")),
    ("header without colon", 400, request("+nonsense")),
    ("header without name", 400, request("+: value")),
    ("space before the colon", 400, request("+X-Name : value")),
    ("space in the name", 400, request("+X Name: value")),
    ("name is no token", 400, request("+X(Name): value")),
    ("control character in a name", 400, request("+X\x01: value")),
    ("non-ASCII name", 400, request("+N\xe4me: value")),
    ("NUL in a value", 400, request("+X: a\0b")),
    ("control character in a value", 400, request("+X: a\x01b")),
    ("ESC in a value", 400, request("+X: a\x1bb")),
    ("DEL in a value", 400, request("+X: a\x7fb")),
    ("bare CR in a value", 400, request("+X: a\rb")),
    ("bare CR before the line end", 400, request("+X: a\r")),
    ("bare LF after the request line", 400, request().replace(b"\r\n", b"\n", 1)),
    ("bare LF after a header", 400, request("+X: a\nY: b")),
    ("bare LF everywhere", 400, request().replace(b"\r\n", b"\n")),
    ("bare LF at the end", 400, request()[:-2] + b"\n"),
    ("obs-fold with a space", 400, request("+X: a\r\n b")),
    ("obs-fold with a tab", 400, request("+X: a\r\n\tb")),
    ("first header folded", 400, request(start="GET / HTTP/1.1\r\n X: a")),
    # Host, RFC 9112 section 3.2
    ("no Host", 400, request("-Host")),
    ("two Hosts", 400, request("+Host: localhost")),
    ("two Hosts in other case", 400, request("+hOST: elsewhere")),
    # the key, RFC 6455 section 4.2.1
    ("no key", 400, request("-Sec-WebSocket-Key")),
    ("empty key", 400, request("Sec-WebSocket-Key: ")),
    ("two keys", 400, request(f"+Sec-WebSocket-Key: {KEY}")),
    ("key of 15 bytes", 400, request("Sec-WebSocket-Key: " + base64.b64encode(b"x" * 15).decode())),
    ("key of 17 bytes", 400, request("Sec-WebSocket-Key: " + base64.b64encode(b"x" * 17).decode())),
    ("key of 18 bytes", 400, request("Sec-WebSocket-Key: " + base64.b64encode(b"x" * 18).decode())),
    ("key without padding", 400, request("Sec-WebSocket-Key: " + KEY[:-2])),
    ("key with one padding sign", 400, request("Sec-WebSocket-Key: " + KEY[:-1])),
    ("key of another alphabet", 400, request("Sec-WebSocket-Key: dGhlIHNhbXBs_SBub25jZQ==")),
    ("key with a space inside", 400, request("Sec-WebSocket-Key: dGhlIHNhbXBs SBub25jZQ==")),
    ("padding inside the key", 400, request("Sec-WebSocket-Key: dGhlIHNhbX==ZSBub25jZQ==")),
    # the method
    ("POST", 405, request(start="POST / HTTP/1.1")),
    ("POST with a body", 405, request("+Content-Length: 5", start="POST / HTTP/1.1") + b"hello"),
    ("PUT", 405, request(start="PUT / HTTP/1.1")),
    ("get in lower case", 405, request(start="get / HTTP/1.1")),
    # the version
    ("version 8", 426, request("Sec-WebSocket-Version: 8")),
    ("version 14", 426, request("Sec-WebSocket-Version: 14")),
    ("version 1", 426, request("Sec-WebSocket-Version: 1")),
    ("no version", 426, request("-Sec-WebSocket-Version")),
    ("two versions", 400, request("+Sec-WebSocket-Version: 13")),
    ("two different versions", 400, request("+Sec-WebSocket-Version: 8")),
    ("HTTP 1.0", 505, request(start="GET / HTTP/1.0")),
    # the limits
    ("large target", 431, request(start=f"GET /{'t' * 150_000} HTTP/1.1")),
    ("large header", 431, request(f"+X: {'x' * 150_000}")),
    ("large header that never ends", 431, request()[:-2] + b"X: " + b"x" * 150_000),
    ("large header name", 431, request()[:-2] + b"X" * 150_000),
    ("too many headers", 431, request(*(f"+X{i}: y" for i in range(500)))),
]

ACCEPTED = [
    ("plain", request()),
    ("keep-alive and Upgrade", request("Connection: keep-alive, Upgrade")),
    ("Upgrade and keep-alive", request("Connection: Upgrade,keep-alive")),
    ("odd case", request("Connection: uPgRaDe", "Upgrade: WebSocket")),
    ("upper case", request("Connection: UPGRADE", "Upgrade: WEBSOCKET")),
    ("empty list members", request("Connection: , ,\tupgrade ,,", "Upgrade: ,websocket,")),
    ("similar token first", request("Connection: upgrade-not, Upgrade")),
    ("several protocols", request("Upgrade: h2c, websocket")),
    ("two Connection headers", request("Connection: keep-alive", "+Connection: Upgrade")),
    ("two Upgrade headers", request("Upgrade: h2c", "+Upgrade: websocket")),
    ("header names in odd case", request().replace(b"Sec-WebSocket-Key", b"sec-websocket-KEY")
     .replace(b"Host", b"host").replace(b"Upgrade: ", b"upGRADE: ")
     .replace(b"Connection", b"CONNECTION")),
    ("no space behind the colon", request().replace(b": ", b":")),
    ("much space around values", request().replace(b": ", b": \t ").replace(b"\r\n", b" \t\r\n")
     .replace(b"HTTP/1.1 \t", b"HTTP/1.1").removesuffix(b" \t\r\n") + b"\r\n"),
    ("empty header", request("+X-Empty:")),
    ("non-ASCII value", request("+X-Name: \xe4\xf6\xfc")),
    ("tab in a value", request("+X-Name: a\tb")),
    ("path and query", request(start="GET /deep/path?a=1&b=%20 HTTP/1.1")),
    ("absolute form", request(start="GET http://localhost/path HTTP/1.1")),
    ("other headers", request("+Origin: http://localhost", "+Cookie: a=1", "+User-Agent: x")),
    ("unknown extension", request("+Sec-WebSocket-Extensions: x-unknown; a=1, x-other")),
]

NO_UPGRADE = [
    ("plain", request("-Upgrade", "-Connection", "-Sec-WebSocket-Key", "-Sec-WebSocket-Version")),
    ("no Upgrade", request("-Upgrade")),
    ("no Connection", request("-Connection")),
    ("another protocol", request("Upgrade: h2c")),
    ("similar protocol", request("Upgrade: websocket2")),
    ("keep-alive", request("Connection: keep-alive")),
    ("similar option", request("Connection: not-upgrade")),
]

SUBPROTOCOLS = [
    ("first of a list", request("+Sec-WebSocket-Protocol: chat, superchat"), "chat"),
    ("first of two headers",
     request("+Sec-WebSocket-Protocol: b", "+Sec-WebSocket-Protocol: a"), "b"),
    ("case of a subprotocol", request("+Sec-WebSocket-Protocol: ChAt.Example,x"), "ChAt.Example"),
]

echo_server.add_cases(Handshakes, REJECTED, Handshakes.check_rejected)
echo_server.add_cases(Handshakes, ACCEPTED + SUBPROTOCOLS, Handshakes.check_accepted)
echo_server.add_cases(Handshakes, NO_UPGRADE, Handshakes.check_no_upgrade)


if __name__ == "__main__":
    echo_server.run()
