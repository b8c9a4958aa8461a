#!/usr/bin/python3
"""The Python `websockets` library (asyncio) as a client of an echo server."""

import asyncio
import contextlib
import functools
import pathlib
import unittest
import urllib.error
import urllib.request

import websockets

import echo_server
from echo_server import TIMEOUT, Server

KIB, MIB = 1 << 10, 1 << 20
SIZES = [0, 1, 125, 126, 127, 65535, 65536, MIB, 16 * MIB]
PAGE = pathlib.Path(__file__).resolve().parents[2] / "examples" / "echo.html"

server = None


def setUpModule():
    global server
    server = Server()


def tearDownModule():
    server.stop()


def bounded(test):
    """Runs an async test to its end, or fails it when the time is over."""
    @functools.wraps(test)
    def run(*arguments):
        async def body():
            async with asyncio.timeout(TIMEOUT):
                await test(*arguments)
        asyncio.run(body())
    return run


def connect(path="/", to=None, **extra):
    """A client without clocks of its own: no keep-alive, no time-outs, no limit on a message."""
    defaults = dict(open_timeout=None, close_timeout=TIMEOUT, ping_interval=None, max_size=None)
    return websockets.connect(f"ws://{(to or server).authority}{path}", **(defaults | extra))


async def close_frame(client):
    """Reads up to the end and returns the Close frame the server sent."""
    with contextlib.suppress(websockets.ConnectionClosed):
        while True:
            await client.recv()
    if client.close_rcvd is None:
        raise AssertionError("the connection ended without a Close frame from the server")
    return client.close_code, client.close_reason


async def pieces(*parts):
    for part in parts:
        yield part


def pattern(size):
    """Bytes whose period is no power of two: a piece lost, doubled or moved shows."""
    period = bytes(i % 251 for i in range(251))
    return (period * (size // 251 + 1))[:size]


class Messages(unittest.TestCase):
    async def assert_echo(self, client, message, sent=None):
        await client.send(message if sent is None else sent)
        echo = await client.recv()
        self.assertIs(type(echo), type(message))
        self.assertEqual(len(echo), len(message))
        self.assertTrue(echo == message, "the echo is not what was sent")  # no 16 MiB diff

    @bounded
    async def check_binary(self, size):
        async with connect() as client:
            await self.assert_echo(client, pattern(size))

    @bounded
    async def check_text(self, size):
        printable = bytes(33 + i % 90 for i in range(256))
        async with connect() as client:
            await self.assert_echo(client, pattern(size).translate(printable).decode())

    @bounded
    async def check_words(self, *texts):
        async with connect() as client:
            for text in texts:
                await self.assert_echo(client, text)

    @bounded
    async def check_fragments(self, *parts):
        whole = type(parts[0])().join(parts)
        async with connect() as client:
            await self.assert_echo(client, whole, sent=pieces(*parts))
            await self.assert_echo(client, "afterwards")

    @bounded
    async def test_every_byte_value_stays_binary(self):
        async with connect() as client:
            await self.assert_echo(client, bytes(range(256)))

    @bounded
    async def test_pipelined_messages_keep_their_order_and_type(self):
        messages = [str(i) if i % 3 else pattern(i) for i in range(200)]
        async with connect() as client:
            async def send_all():
                for message in messages:
                    await client.send(message)
            sending = asyncio.create_task(send_all())
            echoes = [await client.recv() for _ in messages]
            await sending
        self.assertEqual(echoes, messages)

    @bounded
    async def test_pipelined_large_messages_keep_their_order(self):
        messages = [bytes([i]) + pattern(MIB) for i in range(12)]
        async with connect() as client:
            async def send_all():
                for message in messages:
                    await client.send(message)
            sending = asyncio.create_task(send_all())
            for i, message in enumerate(messages):
                self.assertTrue(await client.recv() == message, f"message {i} came back changed")
            await sending

    @bounded
    async def test_ping_gets_its_pong(self):
        async with connect() as client:
            for payload in (b"", b"payload", b"\0\xff", pattern(125)):
                await (await client.ping(payload))  # done by a Pong of the same payload only

    @bounded
    async def test_ping_between_messages(self):
        async with connect() as client:
            await client.send("before")
            pong = await client.ping(b"between")
            await client.send("after")
            await pong
            self.assertEqual([await client.recv(), await client.recv()], ["before", "after"])


def sizes():
    return [(str(size), size) for size in SIZES]


echo_server.add_cases(Messages, sizes(), Messages.check_binary)
echo_server.add_cases(Messages, sizes(), Messages.check_text)
echo_server.add_cases(Messages, [
    ("zero is a message", "0"),
    ("empty and back", "", "not empty", "", "0", ""),
    ("line ends and nul", "a\r\nb\0c\n"),
    ("non ascii", "Grüße, Ελλάδα, Привет, 你好, \U0001f44b\U0001f3fd, \ufeff, \U0010ffff"),
    ("non ascii long", "añ€\U0001f600" * 30000),
], Messages.check_words)
echo_server.add_cases(Messages, [
    ("text", "one ", "message", " in three"),
    ("binary", b"one ", b"message", b" in three"),
    ("empty pieces", "", "a", "", "", "b", ""),
    ("only empty pieces", b"", b"", b""),
    ("single bytes", *(bytes([i]) for i in range(256))),
    ("large binary", *(bytes([i]) + pattern(300 * KIB) for i in range(16))),
    ("large text", *("ä€\U0001f600" * 20000 for _ in range(8))),
    ("of 64 bytes, 1 MiB", *(pattern(64) for _ in range(MIB // 64))),
], Messages.check_fragments)


class Closing(unittest.TestCase):
    @bounded
    async def check_client_close(self, code, reason):
        async with connect() as client:
            await client.send("last words")
            self.assertEqual(await client.recv(), "last words")
            await client.close(code, reason)
            self.assertEqual(client.close_code, code)

    @bounded
    async def test_echoes_sent_before_close_still_arrive(self):
        async with connect() as client:
            for i in range(20):
                await client.send(str(i))
            await client.close(1000)
            self.assertEqual(client.close_code, 1000)
            self.assertEqual([await client.recv() for _ in range(20)], [str(i) for i in range(20)])

    @bounded
    async def test_message_over_the_limit(self):
        with Server("--max-message", "1000") as limited:
            for message in (pattern(1001), "x" * 1500, pattern(100 * KIB)):
                async with connect(to=limited) as client:
                    await client.send(message)
                    code, reason = await close_frame(client)
                    self.assertEqual(code, 1009)
                    self.assertRegex(reason, r"(?i)message")
                    self.assertRegex(reason, r"\b1,?000\b")
                    self.assertIn(str(len(message)), reason.replace(",", ""))

    @bounded
    async def test_fragments_over_the_limit(self):
        with Server("--max-message", "1000") as limited:
            async with connect(to=limited) as client:
                await client.send(pieces(*(pattern(100) for _ in range(10))))
                self.assertEqual(len(await client.recv()), 1000)
                with contextlib.suppress(websockets.ConnectionClosed):  # it may come while sending
                    await client.send(pieces(*(pattern(100) for _ in range(11))))
                code, reason = await close_frame(client)
                self.assertEqual(code, 1009)
                self.assertRegex(reason, r"\b1,?000\b")

    @bounded
    async def test_message_of_exactly_the_limit(self):
        with Server("--max-message", "1000") as limited:
            async with connect(to=limited) as client:
                await client.send("x" * 1000)
                self.assertEqual(await client.recv(), "x" * 1000)

    @bounded
    async def test_sigterm_is_going_away_for_every_client(self):
        stopped = Server()
        async with contextlib.AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(connect(to=stopped)) for _ in range(10)]
            for client in clients[::2]:
                await client.send("hello")
                self.assertEqual(await client.recv(), "hello")
            stopped.terminate()
            ends = await asyncio.gather(*map(close_frame, clients))
            self.assertEqual([code for code, _ in ends], [1001] * 10)
        await asyncio.to_thread(stopped.expect_exit)


echo_server.add_cases(Closing, [
    ("1000", 1000, "all said"),
    ("1000 without reason", 1000, ""),
    ("1001", 1001, "leaving the page"),
    ("3001", 3001, "a library's own"),
    ("4999", 4999, "äöü " * 10),
    ("1000 longest reason", 1000, "r" * 123),
], Closing.check_client_close)


class Handshake(unittest.TestCase):
    @bounded
    async def check_subprotocol(self, offered, selected):
        async with connect(subprotocols=offered) as client:
            self.assertEqual(client.subprotocol, selected)
            await client.send("hello")
            self.assertEqual(await client.recv(), "hello")

    @bounded
    async def check_path(self, path):
        async with connect(path) as client:
            await client.send(path)
            self.assertEqual(await client.recv(), path)

    @bounded
    async def test_extra_headers(self):
        headers = [("Cookie", "a=1; b=2"), ("Authorization", "Basic dXNlcjpwYXNz"), ("X-Empty", ""),
                   ("X-Twice", "one"), ("X-Twice", "two"), ("X-Long", "x" * 1000)]
        async with connect(extra_headers=headers, origin=f"http://{server.authority}") as client:
            await client.send("hello")
            self.assertEqual(await client.recv(), "hello")

    @bounded
    async def test_compression_offered(self):
        # Offered by default. A server may decline it or accept it; the echo is the same.
        async with connect() as client:
            self.assertIn("permessage-deflate", client.request_headers["Sec-WebSocket-Extensions"])
            accepted = client.response_headers.get("Sec-WebSocket-Extensions")
            self.assertEqual([extension.name for extension in client.extensions],
                             ["permessage-deflate"] if accepted else [])
            for message in ("aaaaaaaaaa" * 1000, "", pattern(70000), "0"):
                await client.send(message)
                self.assertEqual(await client.recv(), message)

    @bounded
    async def test_compression_not_offered(self):
        async with connect(compression=None) as client:
            self.assertNotIn("Sec-WebSocket-Extensions", client.response_headers)
            await client.send("aaaaaaaaaa" * 1000)
            self.assertEqual(await client.recv(), "aaaaaaaaaa" * 1000)

    @bounded
    async def test_100_connections_at_once(self):
        async with contextlib.AsyncExitStack() as stack:
            clients = await asyncio.gather(
                *(stack.enter_async_context(connect()) for _ in range(100)))
            # All are open before the first one speaks, and each hears only its own words.
            await asyncio.gather(*(client.send(f"client {i}") for i, client in enumerate(clients)))
            echoes = await asyncio.gather(*(client.recv() for client in clients))
            self.assertEqual(echoes, [f"client {i}" for i in range(100)])


echo_server.add_cases(Handshake, [
    ("none", None, None),
    ("one", ["chat"], "chat"),
    ("the first one", ["v2.chat.example", "chat", "a"], "v2.chat.example"),
], Handshake.check_subprotocol)
echo_server.add_cases(Handshake, [
    ("deep", "/some/where/deep"),
    ("query", "/?room=1&name=%C3%A4"),
    ("long", "/" + "p" * 1000),
], Handshake.check_path)


class Page(unittest.TestCase):
    """Requests without an upgrade, by a plain HTTP client."""

    def get(self, path):
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        return direct.open(f"http://{server.authority}{path}", timeout=TIMEOUT)

    def assert_page(self, path):
        with self.get(path) as answer:
            self.assertEqual(answer.status, 200)
            self.assertEqual(answer.headers.get_content_type(), "text/html")
            self.assertEqual(answer.headers.get_content_charset(), "utf-8")
            self.assertEqual(answer.read(), PAGE.read_bytes())

    def test_root_is_the_page(self):
        self.assert_page("/")

    def test_root_with_a_query_is_the_page(self):
        self.assert_page("/?from=here")

    def check_not_found(self, path):
        with self.assertRaises(urllib.error.HTTPError) as caught:
            self.get(path)
        with caught.exception as answer:
            self.assertEqual(answer.code, 404)
            self.assertEqual(int(answer.headers["Content-Length"]), len(answer.read()))


echo_server.add_cases(Page, [("nothing", "/nothing"), ("index", "/index.html"), ("double", "//")],
                      Page.check_not_found)


if __name__ == "__main__":
    echo_server.run()
