#!/usr/bin/python3
"""Attacks on a client, cat-<loop>, by the server that it calls: what it believes, and what it tells.

Every test here is one of ctest's, attack.<loop>.<name>; docs/security.md says what stops each.
"""

import contextlib
import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "interop"))

import echo_server  # noqa: E402
import wire  # noqa: E402
from echo_server import TIMEOUT  # noqa: E402
from plain_server import Host, accept_for, frame  # noqa: E402


def run(url, *arguments, lines=b""):
    return subprocess.run([echo_server.options.executable, url, *arguments], input=lines,
                          capture_output=True, timeout=TIMEOUT)


class Client(unittest.TestCase):
    def test_client_checks_the_response(self):
        accept = "Sec-WebSocket-Accept: "
        cases = {  # what to change of the right answer, and what may be said behind it
            "200": lambda peer: peer.answer(status="200 OK"),
            "302": lambda peer: peer.answer("Location: ws://evil.example/", status="302 Found"),
            "HTTP/1.0": lambda peer: peer.answer().replace(b"HTTP/1.1", b"HTTP/1.0"),
            "no Upgrade": lambda peer: peer.answer("-Upgrade"),
            "another Upgrade": lambda peer: peer.answer("Upgrade: h2c"),
            "two Upgrades": lambda peer: peer.answer("X: y\r\nUpgrade: websocket"),
            "no Connection": lambda peer: peer.answer("-Connection"),
            "another Connection": lambda peer: peer.answer("Connection: close"),
            "no Accept": lambda peer: peer.answer("-Sec-WebSocket-Accept"),
            "another key's Accept": lambda peer: peer.answer(accept + accept_for(wire.KEY)),
            "an empty Accept": lambda peer: peer.answer(accept),
            "two Accepts": lambda peer: peer.answer(f"X: y\r\n{accept}{accept_for(wire.KEY)}"),
            "a subprotocol": lambda peer: peer.answer("Sec-WebSocket-Protocol: other"),
            "another case": lambda peer: peer.answer("Sec-WebSocket-Protocol: CHAT"),
            "two subprotocols": lambda peer: peer.answer("Sec-WebSocket-Protocol: chat, other"),
            "an extension": lambda peer: peer.answer("Sec-WebSocket-Extensions: permessage-deflate"),
            "a folded line": lambda peer: peer.answer("X: y\r\n z"),
            "a bare LF": lambda peer: peer.answer("X: y\nZ: z"),
            "many headers": lambda peer: peer.answer("X: y" + "\r\nX: y" * 200),
            "a large head": lambda peer: peer.answer("X: " + "y" * 20_000),
        }
        for name, answer in cases.items():
            with self.subTest(name):
                def talk(peer):
                    peer.request()
                    peer.send(answer(peer) + frame(wire.TEXT, b"a trick") + frame(wire.PING))
                    with contextlib.suppress(ConnectionResetError):  # the client cuts it
                        peer.expect_end()  # and has not said a byte

                with Host(talk) as host:
                    result = run(host.url, "--subprotocol", "chat", lines=b"a secret\n")
                self.assertEqual((result.returncode, result.stdout), (1, b""), result)

        def talk(peer):  # that the right answer is right
            peer.open("Sec-WebSocket-Protocol: chat")
            peer.expect(wire.TEXT, b"a secret")
            peer.close()

        with Host(talk) as host:
            self.assertEqual(run(host.url, "--subprotocol", "chat", "--linger", "60",
                                 lines=b"a secret\n").returncode, 0)

    def test_client_masks(self):
        def talk(peer):
            peer.open()
            for _ in range(2000):
                peer.expect(wire.TEXT, b"line")
            peer.close()
            keys.append(peer.keys)

        keys = []
        with Host(talk) as host:
            for _ in range(2):
                run(host.url, "--linger", "60", lines=b"line\n" * 2000)
        values = [int.from_bytes(key, "big") for each in keys for key in each]
        self.assertEqual(len(values), 4002)
        self.assertGreaterEqual(len(set(values)), 4000)  # one in 537 runs has two that are the same
        steps = {(b - a) % 2**32 for a, b in zip(values, values[1:])}
        self.assertGreaterEqual(len(steps), 4000)  # no counter
        for bit in range(32):
            ones = sum(value >> bit & 1 for value in values)
            self.assertLess(abs(ones - 2001), 320, f"bit {bit}: {ones}")  # ten standard deviations


if __name__ == "__main__":
    echo_server.run()
