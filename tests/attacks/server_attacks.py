#!/usr/bin/python3
"""Attacks on an echo server, from outside, over sockets: what each gets, that it costs the server
little memory, and that others are served meanwhile and afterwards.

Every test here is one of ctest's, attack.<loop>.<name>; docs/security.md says what stops each. What
a byte more or less does is the core's tests' matter; here it is whether each loop keeps to it.
"""

import contextlib
import pathlib
import select
import socket
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "interop"))

import echo_server  # noqa: E402
from echo_server import TIMEOUT, Server  # noqa: E402
from wire import (BINARY, CONTINUATION, PING, PONG, TEXT, Reset, Wire, close,  # noqa: E402
                  expect_alive, frame, header, request)

MIB = 1 << 20
MOST_OF_MESSAGE = 16 * MIB  # Limits::message_bytes
MOST_OF_HEAD = 16 * 1024  # Limits::handshake_bytes
SLACK = 24 * MIB  # what a server may take for anything: free blocks, what one read brings, the heap


class Victim(Server):
    """A server whose memory is looked at."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        expect_alive(self)  # it has what it needs for a connection
        # A sanitizer keeps what is freed, so that nothing can be said of memory.
        self.is_honest = b"__asan_init" not in pathlib.Path(self.command[0]).read_bytes()
        self.before = self.memory()

    def memory(self):
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) * 1024

    def check(self, allowed=0):
        """Others are served, and no more memory is taken than that, and a bit."""
        expect_alive(self)
        grown = self.memory() - self.before
        if self.is_honest and grown > allowed + SLACK:
            raise AssertionError(f"the server has grown by {grown} bytes; allowed are {allowed}")


@contextlib.contextmanager
def attacked(*arguments, leaves=0):
    """A server under attack; what it may have grown by when that is over."""
    with Victim(*arguments) as victim:
        yield victim
        victim.check(leaves)


@contextlib.contextmanager
def many(server, count):
    """So many open connections."""
    with contextlib.ExitStack() as all_of_them:
        wires = [all_of_them.enter_context(Wire(server)) for _ in range(count)]
        for wire in wires:
            wire.send(request())
        for wire in wires:
            wire.upgraded()
        yield wires


def push(wire, data, times, want_block=False):
    """Sends, and does not read, until all is taken, the server takes no more, or it is gone.

    Returns the bytes that were taken.
    """
    wire.socket.setblocking(False)
    taken = 0
    try:
        for _ in range(times):
            rest = memoryview(data)
            while rest:
                try:
                    sent = wire.socket.send(rest)
                except BlockingIOError:
                    # To be idle for so long is no proof, and none is needed: it only ends the attack.
                    if not select.select([], [wire.socket], [], 0.2 if want_block else TIMEOUT)[1]:
                        return taken
                    continue
                taken += sent
                rest = rest[sent:]
    except (BrokenPipeError, ConnectionResetError):
        wire.was_reset = True
    finally:
        wire.socket.settimeout(TIMEOUT)
    return taken


def drip(wire, data, ended=False):
    """A byte now and then, until the server has something to say, or is gone; or all is sent.

    Returns whether it had. With `ended`, it has said its last word already.
    """
    for i in range(len(data)):
        if select.select([] if ended else [wire.socket], [], [], 0.01)[0]:
            return True
        try:
            wire.socket.send(data[i:i + 1])
        except (BrokenPipeError, ConnectionResetError):
            return True
    return False


class Lengths(unittest.TestCase):
    def test_lengths_near_2_63_and_2_64(self):
        with attacked() as server:
            for begun in (b"", frame(BINARY, b"1", fin=False)):
                opcode = CONTINUATION if begun else BINARY
                for length in ((1 << 63) - 1, 1 << 63, (1 << 63) + 1, (1 << 64) - 2, (1 << 64) - 1):
                    with self.subTest(length=length, behind=len(begun)), Wire(server) as wire:
                        wire.open()
                        wire.send(begun + header(opcode, length))
                        wire.expect_close(1002 if length >> 63 else 1009)

    def test_lengths_of_4_gib_move_nothing(self):
        with attacked() as server, many(server, 100) as wires:
            for i, wire in enumerate(wires):  # over the limit, or as much as it allows
                wire.send(header(BINARY, (1 << 32) if i % 2 else MOST_OF_MESSAGE) + b"x")
            for wire in wires[1::2]:
                wire.expect_close(1009)
            server.check()


class Fragments(unittest.TestCase):
    def test_fragments_of_one_byte(self):
        count = 100_000
        with attacked() as server, Wire(server) as wire:
            wire.open()
            wire.send(frame(BINARY, b"x", fin=False)
                      + frame(CONTINUATION, b"x", fin=False) * (count - 2))
            server.check(8 * count)
            wire.send(frame(CONTINUATION, b"x"))
            wire.expect_frame(BINARY, b"x" * count)

    def test_fragments_empty_without_end(self):
        with attacked() as server, Wire(server) as wire:
            wire.open()
            push(wire, frame(TEXT, b"", fin=False), 1)
            push(wire, frame(CONTINUATION, b"", fin=False) * 10_000, 100)
            with contextlib.suppress(Reset):  # who sends on behind the end may lose the Close frame
                self.assertIn("Limits::message_fragments", wire.expect_close(1008))

    def test_fragments_whose_fin_never_comes(self):
        part = frame(CONTINUATION, b"x" * MIB, fin=False)
        with attacked(leaves=20 * MIB) as server, many(server, 10) as wires:
            for wire in wires:
                wire.send(frame(BINARY, b"", fin=False) + part)
            server.check(2 * len(wires) * MIB)
            push(wires[0], part, 100)
            with contextlib.suppress(Reset):
                self.assertIn("Limits::message_bytes", wires[0].expect_close(1009))
            server.check(2 * (len(wires) * MIB + MOST_OF_MESSAGE))


class Floods(unittest.TestCase):
    def test_pings_whose_sender_reads(self):
        with attacked() as server, Wire(server) as wire:
            wire.open()
            for _ in range(20):
                wire.send(frame(PING, b"p") * 2000)
                self.assertEqual(wire.take(2000 * 3), b"\x8a\x01p" * 2000)

    def test_pings_whose_sender_does_not_read(self):
        with attacked() as server, Wire(server) as wire:
            wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
            wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 * 1024)
            wire.open()
            wire.socket.settimeout(TIMEOUT)
            pings = frame(PING, b"p" * 125) * 500
            taken = push(wire, pings, 1200, want_block=True)
            server.check()
            # Either pongs are left out, or no more pings are read; memory is what counts. What was
            # cut off at a byte is made whole, and then the last one is answered.
            wire.socket.setblocking(True)
            wire.socket.settimeout(TIMEOUT)
            rest = len(frame(PING, b"p" * 125))
            wire.send_and_read(pings[taken % rest:rest] if taken % rest else b"")
            wire.send_and_read(frame(PING, b"the last one"))
            pong, last = b"\x8a\x7d" + b"p" * 125, b"\x8a\x0cthe last one"
            while not wire.input.endswith(last):
                self.assertTrue(wire._more(), "the end of input")
            pongs = wire.input.removesuffix(last)
            self.assertEqual(pongs, pong * (len(pongs) // len(pong)))

    def test_pongs_a_million_of_them(self):
        with attacked() as server, Wire(server) as wire:
            wire.open()
            push(wire, frame(PONG) * 10_000, 100)
            wire.send(frame(TEXT, b"now"))
            wire.expect_frame(TEXT, b"now")

    def test_closes_by_the_thousand(self):
        with attacked() as server, Wire(server) as wire:
            wire.open()
            push(wire, close(1000, b"again") * 1000, 50)
            with contextlib.suppress(Reset):
                wire.expect_close(1000)

    def test_data_behind_a_close(self):
        with attacked() as server, Wire(server) as wire:
            wire.open()
            push(wire, close(1000) + frame(BINARY, b"x" * 100_000), 1)
            push(wire, frame(BINARY, b"x" * 100_000), 50)
            with contextlib.suppress(Reset):
                wire.expect_close(1000)


class Slowloris(unittest.TestCase):
    """Time decides nothing here: what is waited for has to come, and cannot come for another reason."""

    QUIET = ("--limit", "ping_interval=0", "--limit", "idle_time=0")

    def test_slowloris_in_the_head(self):
        with attacked("--limit", "handshake_time=300") as server, Wire(server) as wire:
            head = request()[:-2] + b"X: " + b"x" * 3000
            self.assertTrue(drip(wire, head), "it waits for ever")
            answer = wire.answer()
            self.assertEqual(answer.status, 408)
            self.assertIn(b"Limits::handshake_time", answer.body)

    def test_slowloris_in_a_frame_header(self):
        with attacked("--limit", "message_time=300", *self.QUIET) as server:
            for begun in (b"\x81", header(BINARY, 70_000)[:9], frame(PING, b"x" * 100)[:50]):
                with self.subTest(begun), Wire(server) as wire:
                    wire.open()
                    wire.send(begun)
                    self.assertIn("Limits::message_time", wire.expect_close(1008))

    def test_slowloris_in_a_message(self):
        with attacked("--limit", "message_time=300", *self.QUIET) as server:
            with Wire(server) as wire:
                wire.open()
                wire.send(header(BINARY, 100_000))
                self.assertTrue(drip(wire, b"x" * 3000), "it waits for ever")
                self.assertIn("Limits::message_time", wire.expect_close(1008))
            with Wire(server) as wire:
                wire.open()
                wire.send(frame(BINARY, b"", fin=False))
                for _ in range(3000):
                    if select.select([wire.socket], [], [], 0.01)[0]:
                        break
                    wire.send(frame(CONTINUATION, b"x", fin=False))
                self.assertIn("Limits::message_time", wire.expect_close(1008))

    def test_slowloris_silent(self):
        with attacked("--limit", "idle_time=300") as server, Wire(server) as wire:
            wire.open()
            self.assertIn("Limits::idle_time", wire.expect_close(1008))

    def test_slowloris_at_close(self):
        """Who is told to go, and goes on, is cut."""
        with attacked("--limit", "close_time=300") as server, Wire(server) as wire:
            wire.open()
            wire.send(frame(3))
            wire.expect_close(1002)
            self.assertTrue(drip(wire, b"x" * 3000, ended=True), "it is never cut")

    def test_slowloris_half_open(self):
        """Who ends its side only, in the head, open, in a message or at the end, is not waited for."""
        with attacked() as server:
            for begun in (b"", b"GET / HT", request(), request() + header(BINARY, 1000) + b"x",
                          request() + close(1000), request() + frame(3)):
                with self.subTest(begun), Wire(server) as wire:
                    wire.send(begun)
                    wire.socket.shutdown(socket.SHUT_WR)
                    with contextlib.suppress(Reset):
                        while wire._more():
                            pass


class Heads(unittest.TestCase):
    def refusal(self, wire, status):
        answer = wire.answer()
        self.assertEqual((answer.status, answer.rest), (status, b""), answer.data)
        return answer.body

    def test_head_of_20_mb_byte_by_byte(self):
        with attacked() as server, Wire(server) as wire:
            head = request()[:-2] + b"X: "
            wire.send(head)
            for sent in range(len(head), MOST_OF_HEAD):
                wire.socket.send(b"x")
            self.assertIn(b"Limits::handshake_bytes", self.refusal(wire, 431))
            push(wire, b"x" * MIB, 20)  # the rest is dropped, or the connection cut

    def test_head_of_10000_headers(self):
        for more in ((), ("--limit", "handshake_bytes=1000000")):
            with attacked(*more) as server, Wire(server) as wire:
                wire.send(request(*(f"+X{i}: y" for i in range(10_000))))
                self.assertIn(b"Limits::handshake_headers" if more else b"Limits::handshake_bytes",
                              self.refusal(wire, 431))

    def test_head_with_long_lists(self):
        with attacked() as server:
            for name in ("Connection", "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions"):
                for filler in (" ", ",", ", ", "\t,", "a,", ";", "\"", "\\\"", "a;a=\"", " \\,"):
                    with self.subTest(name=name, filler=filler), Wire(server) as wire:
                        value = filler * (15_000 // len(filler))
                        wire.send(request(f"+{name}: {value}x"))
                        wire.socket.shutdown(socket.SHUT_WR)
                        while wire._more():
                            pass
                        self.assertRegex(wire.input, rb"\AHTTP/1.1 (101|400) ")

    def test_head_with_names_that_mean_something(self):
        names = ("constructor", "__proto__", "prototype", "hasOwnProperty", "toString", "watch")
        with attacked() as server:
            for name in names:
                with self.subTest(name), Wire(server) as wire:
                    wire.send(request(f"+{name}: x", f"+Cookie: {name}=x",
                                      f"+Sec-WebSocket-Protocol: {name}",
                                      f"+Sec-WebSocket-Extensions: {name}; {name}={name}"))
                    answer = wire.upgraded()
                    self.assertEqual(answer.headers.get("sec-websocket-protocol"), name)
                    self.assertNotIn("sec-websocket-extensions", answer.headers)
                with Wire(server) as wire:
                    wire.send(request(f"+{name}\0: x"))
                    self.refusal(wire, 400)

    def test_smuggling(self):
        behind = request() + frame(TEXT, b"hello") + b"GET /admin HTTP/1.1\r\nHost: a\r\n\r\n"
        length = "+Content-Length: "
        cases = [
            request(length + "5") + b"hello",
            request(length + str(len(behind))),
            request("+Transfer-Encoding: chunked") + b"0\r\n\r\n",
            request(length + "0", "+Transfer-Encoding: chunked") + b"0\r\n\r\n",
            request("+Transfer-Encoding: chunked", length + "4") + b"0\r\n\r\n",
            request("+Transfer-Encoding: identity"),
            request(length + "0", length + "5") + b"hello",
            request(length + "0", length + "0"),
            request(length + "0, 5") + b"hello",
            request(length + "+5") + b"hello",
            request("+Content-Length : 5") + b"hello",
            request("+X: a\r\n Content-Length: 5") + b"hello",
            request("+X: a\nContent-Length: 5") + b"hello",
            request("+X: a\rContent-Length: 5") + b"hello",
            request("+X: a\r\n\tTransfer-Encoding: chunked") + b"0\r\n\r\n",
        ]
        with attacked() as server:
            for data in cases:
                for together in (True, False):
                    with self.subTest(data, together=together), Wire(server) as wire:
                        wire.send(data + behind if together else data)
                        if not together:
                            wire.send(behind)
                        self.refusal(wire, 400)


class Trust(unittest.TestCase):
    def test_hijacking(self):
        with attacked() as server:
            host = f"localhost:{server.port}"
            for origin in ("http://evil.example", f"http://{host}.evil.example", f"http://evil{host}",
                           f"http://a.{host}", f"http://localhost:{server.port + 1}",
                           f"http://{host}@evil.example", "null", "file://", host, f"//{host}"):
                with self.subTest(origin), Wire(server) as wire:
                    wire.send(request(f"Host: {host}", f"+Origin: {origin}") + frame(TEXT, b"hello"))
                    answer = wire.answer()
                    self.assertEqual((answer.status, answer.rest), (403, b""))
            with Wire(server) as wire:
                wire.send(request(f"Host: {host}", f"+Origin: http://{host}", "+Origin: http://evil"))
                self.assertEqual(wire.answer().status, 400)
            with Wire(server) as wire:
                wire.send(request(f"Host: {host}", f"+Origin: http://{host}"))
                wire.upgraded()

    def test_subprotocols(self):
        with attacked() as server:
            for offered in ("ch at", "a, b c", '"chat"', "a;b", "a/b", "\xe4"):
                with self.subTest(offered), Wire(server) as wire:
                    wire.send(request(f"+Sec-WebSocket-Protocol: {offered}"))
                    self.assertEqual(wire.answer().status, 400)
            for offered in ("", ",,", " , "):
                with self.subTest(offered), Wire(server) as wire:
                    wire.send(request(f"+Sec-WebSocket-Protocol: {offered}"))
                    self.assertNotIn("sec-websocket-protocol", wire.upgraded().headers)


if __name__ == "__main__":
    echo_server.run()
