#!/usr/bin/python3
"""Compression (RFC 7692): Python's `websockets` as clients of an echo server, on all terms.

What they agreed on is read from the headers, and that it was done from the bytes on the wire.
"""

import contextlib
import functools
import random
import unittest

import websockets
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

import echo_server
from echo_server import Server
from websockets_client import bounded, close_frame, connect, pieces

MIB = 1 << 20
rng = random.Random(7)
NOISE = bytes(rng.randrange(256) for _ in range(100_000))
WORDS = " ".join(f"word {rng.randrange(10_000)}" for _ in range(20_000))
SHORT = "a line that is sent over and over, and long enough to be worth it: " * 2

server = None
taking_over = None


def setUpModule():
    global server, taking_over
    server, taking_over = Server("--deflate"), Server("--deflate-takeover")


def tearDownModule():
    server.stop()
    taking_over.stop()


def compressed(to, **offer):
    """A client that offers nothing but this."""
    return connect(to=to, compression=None, extensions=[ClientPerMessageDeflateFactory(**offer)])


def count(client):
    """Bytes of payload that come, as they are on the wire; in a list of one."""
    counted = [0]
    extension = client.extensions[0]
    decode = extension.decode

    def counting(frame, **options):
        counted[0] += len(frame.data)
        return decode(frame, **options)

    extension.decode = counting
    return counted


class Terms(unittest.TestCase):
    @bounded
    async def check_terms(self, takes_over, offer, answer):
        async with compressed(taking_over if takes_over else server, **offer) as client:
            self.assertEqual(client.response_headers["Sec-WebSocket-Extensions"],
                             "; ".join(["permessage-deflate", *answer]))
            counted = count(client)
            for message in (SHORT, SHORT, "", "", "0", NOISE, WORDS, WORDS.encode(), "Gr\u00fc\u00dfe" * 50):
                before = counted[0]
                await client.send(message)
                self.assertTrue(await client.recv() == message, message[:20])
                if message is WORDS:
                    self.assertLess(counted[0] - before, len(WORDS) * 3 / 4)
            before = counted[0]
            for _ in range(10):
                await client.send(SHORT)
                self.assertEqual(await client.recv(), SHORT)
            each = (counted[0] - before) / 10
            # Only who takes the context over can do it in so few bytes.
            if "server_no_context_takeover" in answer or "server_max_window_bits=8" in answer:
                self.assertGreater(each, 30)
            else:
                self.assertLess(each, 30)
            parts = [SHORT[:i] for i in range(40)]
            await client.send(pieces(*parts))
            self.assertEqual(await client.recv(), "".join(parts))


NO_TAKEOVER = ["server_no_context_takeover", "client_no_context_takeover"]
echo_server.add_cases(Terms, [
    ("plain offer", False, {}, NO_TAKEOVER),
    ("takeover", True, {}, []),
    ("client asks the server for none", True, dict(server_no_context_takeover=True),
     ["server_no_context_takeover"]),
    ("client has none", True, dict(client_no_context_takeover=True),
     ["client_no_context_takeover"]),
    ("small windows", False, dict(server_max_window_bits=9, client_max_window_bits=9),
     [*NO_TAKEOVER, "server_max_window_bits=9", "client_max_window_bits=9"]),
    ("small windows with takeover", True,
     dict(server_max_window_bits=9, client_max_window_bits=10),
     ["server_max_window_bits=9", "client_max_window_bits=10"]),
    ("the smallest window", False, dict(server_max_window_bits=8),
     [*NO_TAKEOVER, "server_max_window_bits=8"]),
    ("the smallest window with takeover", True, dict(server_max_window_bits=8),
     ["server_max_window_bits=8"]),
    ("the largest windows", True, dict(server_max_window_bits=15, client_max_window_bits=15),
     ["server_max_window_bits=15", "client_max_window_bits=15"]),
    ("client that can be limited", True, dict(client_max_window_bits=True), []),
], Terms.check_terms)


class Messages(unittest.TestCase):
    @bounded
    async def test_many_at_once(self):
        messages = [WORDS[i:i + i % 3000] for i in range(2000)]
        for each in (server, taking_over):
            async with compressed(each) as client:
                for message in messages:
                    await client.send(message)
                self.assertEqual([await client.recv() for _ in messages], messages)

    @bounded
    async def test_a_client_that_offers_nothing(self):
        async with connect(to=server, compression=None) as client:
            self.assertNotIn("Sec-WebSocket-Extensions", client.response_headers)
            await client.send(WORDS)
            self.assertTrue(await client.recv() == WORDS)

    @bounded
    async def test_message_over_the_limit(self):
        with Server("--deflate", "--max-message", "1000") as limited:
            async with compressed(limited) as client:
                await client.send("x" * 1000)
                self.assertEqual(await client.recv(), "x" * 1000)
                await client.send("x" * 1001)
                code, reason = await close_frame(client)
                self.assertEqual(code, 1009)
                self.assertRegex(reason, r"\b1000\b")

    @bounded
    async def test_a_bomb(self):
        async with compressed(server) as client:
            with contextlib.suppress(websockets.ConnectionClosed):
                await client.send(bytes(10 * MIB))
            code, reason = await close_frame(client)
            self.assertEqual(code, 1009)
            self.assertIn("inflate_ratio", reason)


if __name__ == "__main__":
    echo_server.run()
