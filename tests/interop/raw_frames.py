#!/usr/bin/python3
"""Frames that no client library sends: how strict an echo server is, RFC 6455, sections 5 to 8.

Every case is sent after the handshake, glued to it, and one byte at a time, and the answer has to
be the same. After a fault it is a Close frame with the right code, then the end of input: never a
reset, which would take the Close frame from a client that has not read it yet.
"""

import contextlib
import struct
import unittest

import echo_server
from echo_server import Server
from wire import (BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Reset, Wire, close, expect_alive,
                  frame, header, masked, request)

DEFAULT_MAX_MESSAGE = 16 << 20  # bytes

server = None


def setUpModule():
    global server
    server = Server()


def tearDownModule():
    expect_alive(server)
    server.stop()


def ways(data, to=None):
    """The same frames after the handshake, glued to it, and one byte at a time."""
    with Wire(to or server) as wire:
        wire.open()
        wire.send(data)
        yield "after the handshake", wire
    with Wire(to or server) as wire:
        wire.send(request() + data)
        wire.upgraded()
        yield "glued to the handshake", wire
    with Wire(to or server) as wire:
        wire.open()
        wire.send_byte_by_byte(data)
        yield "byte by byte", wire


class Frames(unittest.TestCase):
    def check_fault(self, code, data, to=None):
        """Nothing behind `data` is needed for the answer."""
        reasons = set()
        for way, wire in ways(data, to):
            with self.subTest(way):
                reasons.add(wire.expect_close(code))
        with self.subTest("the reason does not depend on the split"):
            self.assertLessEqual(len(reasons), 1, reasons)
        return next(iter(reasons), "")

    def check_echo(self, data, *expected):
        """`expected` are frames; then a Close is answered."""
        for way, wire in ways(data):
            with self.subTest(way):
                for opcode, payload in expected:
                    wire.expect_frame(opcode, payload)
                wire.send(close(1000))
                wire.expect_close(1000)

    def check_close_echoed(self, code):
        for way, wire in ways(close(code, "r\u00e9ason".encode())):
            with self.subTest(way):
                wire.expect_close(code)

    def test_close_without_code(self):
        for way, wire in ways(frame(CLOSE)):
            with self.subTest(way):
                opcode, payload = wire.frame()
                self.assertEqual(opcode, CLOSE)
                self.assertIn(payload[:2], (b"", struct.pack("!H", 1000)))
                wire.expect_end()

    def test_nothing_is_answered_after_a_close(self):
        for way, wire in ways(close(1000) + frame(TEXT, b"too late") + frame(PING) + close(1001)):
            with self.subTest(way):
                opcode, payload = wire.frame()
                self.assertEqual((opcode, payload[:2]), (CLOSE, struct.pack("!H", 1000)))
                with contextlib.suppress(Reset):  # whoever speaks after Close is owed no more
                    wire.expect_end()

    def test_nothing_is_answered_after_a_fault(self):
        for way, wire in ways(frame(3) + frame(TEXT, b"too late") + frame(PING) + close(1000)):
            with self.subTest(way):
                wire.expect_close(1002)

    def test_what_came_before_a_fault_is_answered(self):
        data = frame(TEXT, b"good") + frame(PING, b"p") + frame(TEXT, b"bad", rsv=4)
        for way, wire in ways(data):
            with self.subTest(way):
                wire.expect_frame(TEXT, b"good")
                wire.expect_frame(PONG, b"p")
                wire.expect_close(1002)

    def test_continuation_after_a_whole_message(self):
        data = frame(TEXT, b"a", fin=False) + frame(CONTINUATION, b"b") + frame(CONTINUATION, b"c")
        for way, wire in ways(data):
            with self.subTest(way):
                wire.expect_frame(TEXT, b"ab")
                wire.expect_close(1002)

    def test_close_frame_survives_bytes_behind_the_fault(self):
        # A server that closes with unread input resets the connection, and the Close frame is lost.
        with Wire(server) as wire:
            wire.open()
            wire.send(frame(3) + b"\0" * 200_000)
            wire.expect_close(1002)

    def test_announced_length_over_the_limit(self):
        # Refused when it is announced: not a byte of the payload is ever sent.
        for length in (DEFAULT_MAX_MESSAGE + 1, 1 << 40, (1 << 63) - 1):
            for opcode in (TEXT, BINARY):
                with self.subTest(length=length, opcode=opcode):
                    reason = self.check_fault(1009, header(opcode, length))
                    self.assertIn(str(DEFAULT_MAX_MESSAGE), reason.replace(",", ""))

    def test_announced_length_of_a_fragment_over_the_limit(self):
        with Server("--max-message", "1000") as limited:
            data = frame(TEXT, b"a" * 600, fin=False) + header(CONTINUATION, 401)
            self.assertIn("1000", self.check_fault(1009, data, to=limited))

    def test_control_frames_do_not_count_for_the_limit(self):
        with Server("--max-message", "10") as limited:
            data = (frame(TEXT, b"a" * 5, fin=False) + frame(PING, b"p" * 125)
                    + frame(CONTINUATION, b"b" * 5))
            for way, wire in ways(data, to=limited):
                with self.subTest(way):
                    wire.expect_frame(PONG, b"p" * 125)
                    wire.expect_frame(TEXT, b"aaaaabbbbb")
                    wire.send(close(1000))
                    wire.expect_close(1000)


FAULTS = [  # the last frame is the wrong one, and the server never gets more
    # 5.1: a client masks
    ("unmasked text", 1002, header(TEXT, 5, masked=False)),
    ("unmasked text with payload", 1002, frame(TEXT, b"hello", masked=False)),
    ("unmasked empty binary", 1002, frame(BINARY, masked=False)),
    ("unmasked ping", 1002, frame(PING, masked=False)),
    ("unmasked close", 1002, frame(CLOSE, b"\x03\xe8", masked=False)),
    # 5.2: reserved bits, opcodes and lengths
    ("RSV1", 1002, frame(TEXT, b"hello", rsv=4)),
    ("RSV2", 1002, frame(TEXT, b"hello", rsv=2)),
    ("RSV3", 1002, frame(BINARY, b"hello", rsv=1)),
    ("RSV all", 1002, frame(BINARY, b"hello", rsv=7)),
    ("RSV1 on ping", 1002, frame(PING, rsv=4)),
    ("RSV1 on close", 1002, frame(CLOSE, b"\x03\xe8", rsv=4)),
    ("RSV1 on a continuation", 1002,
     frame(TEXT, b"a", fin=False) + frame(CONTINUATION, b"b", rsv=4)),
    *((f"opcode {opcode}", 1002, frame(opcode)) for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)),
    ("opcode 3 with payload", 1002, frame(3, b"hello")),
    ("opcode 11 with payload", 1002, frame(11, b"hello")),
    ("0 bytes in 16 bits", 1002, header(TEXT, 0, form=16)),
    ("125 bytes in 16 bits", 1002, header(TEXT, 125, form=16)),
    ("125 bytes in 64 bits", 1002, header(BINARY, 125, form=64)),
    ("65535 bytes in 64 bits", 1002, header(BINARY, 65535, form=64)),
    ("top bit of 64", 1002, header(BINARY, 1 << 63)),
    ("all 64 bits", 1002, header(TEXT, (1 << 64) - 1)),
    # 5.4: fragments
    ("continuation of nothing", 1002, frame(CONTINUATION, b"hello")),
    ("continuation of nothing, not final", 1002, frame(CONTINUATION, b"hello", fin=False)),
    ("text inside a fragmented message", 1002,
     frame(TEXT, b"a", fin=False) + frame(TEXT, b"b")),
    ("binary inside a fragmented message", 1002,
     frame(TEXT, b"a", fin=False) + frame(BINARY, b"b")),
    ("start inside a fragmented message", 1002,
     frame(BINARY, b"", fin=False) + frame(BINARY, b"", fin=False)),
    # 5.5: control frames
    ("fragmented ping", 1002, frame(PING, fin=False)),
    ("fragmented pong", 1002, frame(PONG, fin=False)),
    ("fragmented close", 1002, frame(CLOSE, b"\x03\xe8", fin=False)),
    ("ping of 126 bytes", 1002, header(PING, 126)),
    ("ping of 126 bytes with payload", 1002, frame(PING, b"p" * 126)),
    ("pong of 126 bytes", 1002, header(PONG, 126)),
    ("close of 126 bytes", 1002, header(CLOSE, 126)),
    ("ping of 65536 bytes", 1002, header(PING, 65536)),
    # 5.5.1, 7.4: close codes and reasons
    ("close of 1 byte", 1002, frame(CLOSE, b"\x03")),
    *((f"close {code}", 1002, close(code))
      for code in (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 2000, 2999, 5000, 65535)),
    ("close 1005 with a reason", 1002, close(1005, b"reason")),
    ("close reason is not UTF-8", 1007, close(1000, b"\xff")),
    ("close reason breaks off", 1007, close(1000, b"reason \xe2\x82")),
    ("close reason with a surrogate", 1007, close(1000, b"\xed\xa0\x80")),
    # 8.1: text is UTF-8
    ("overlong c0 80", 1007, frame(TEXT, b"\xc0\x80")),
    ("overlong e0 80 80", 1007, frame(TEXT, b"\xe0\x80\x80")),
    ("overlong f0 80 80 80", 1007, frame(TEXT, b"\xf0\x80\x80\x80")),
    ("surrogate ed a0 80", 1007, frame(TEXT, b"\xed\xa0\x80")),
    ("over 10ffff f4 90 80 80", 1007, frame(TEXT, b"\xf4\x90\x80\x80")),
    ("f5", 1007, frame(TEXT, b"\xf5\x80\x80\x80")),
    ("ff", 1007, frame(TEXT, b"\xff")),
    ("a lone continuation byte", 1007, frame(TEXT, b"a\x80b")),
    ("breaks off after e2 82", 1007, frame(TEXT, b"euro \xe2\x82")),
    ("breaks off after f0", 1007, frame(TEXT, b"\xf0")),
    ("breaks off at the last fragment", 1007,
     frame(TEXT, b"\xe2", fin=False) + frame(CONTINUATION, b"\x82")),
    ("breaks off before an empty last fragment", 1007,
     frame(TEXT, b"\xe2\x82", fin=False) + frame(CONTINUATION, b"")),
    ("split over fragments", 1007,
     frame(TEXT, b"\xed", fin=False) + frame(CONTINUATION, b"\xa0\x80")),
    ("late in a long text", 1007, frame(TEXT, b"a" * 5000 + b"\xc3(" + b"a" * 100)),
    # ... and fails at the first bad byte, whatever is announced
    *((f"first bad byte {bad.hex(' ')}", 1007, header(TEXT, 1000) + masked(b"good " + bad))
      for bad in (b"\x80", b"\xc0", b"\xc1", b"\xf5", b"\xff", b"\xe0\x9f", b"\xed\xa0",
                  b"\xf0\x8f", b"\xf4\x90", b"\xc3(", b"\xe2\x82(", b"\xf0\x9f\x98(")),
    ("first bad byte in a fragment that goes on", 1007,
     frame(TEXT, b"\xe2\x82", fin=False) + header(CONTINUATION, 1000, fin=False) + masked(b"(")),
]

EDGES = "\0\x7f\x80\u07ff\u0800\ud7ff\ue000\uffff\U00010000\U0010ffff".encode()

GOOD = [  # frames, and the frames that answer them
    ("empty", frame(TEXT) + frame(BINARY), (TEXT, b""), (BINARY, b"")),
    ("the message 0", frame(TEXT, b"0"), (TEXT, b"0")),
    ("every byte value", frame(BINARY, bytes(range(256))), (BINARY, bytes(range(256)))),
    ("length forms", b"".join(frame(BINARY, b"x" * n) for n in (125, 126, 127, 65535, 65536)),
     *((BINARY, b"x" * n) for n in (125, 126, 127, 65535, 65536))),
    ("text split inside a character",
     frame(TEXT, b"\xf0", fin=False) + frame(PING, b"\xff")
     + frame(CONTINUATION, b"\x9f\x98", fin=False) + frame(CONTINUATION, b"", fin=False)
     + frame(CONTINUATION, b"\x80"),
     (PONG, b"\xff"), (TEXT, b"\xf0\x9f\x98\x80")),
    ("edges of UTF-8", frame(TEXT, EDGES), (TEXT, EDGES)),
    ("no text is no UTF-8", frame(BINARY, b"\xff\xfe\xc0\x80"), (BINARY, b"\xff\xfe\xc0\x80")),
    ("ping of 125 bytes", frame(PING, b"p" * 125), (PONG, b"p" * 125)),
    ("pong is ignored", frame(PONG, b"p") + frame(TEXT, b"a"), (TEXT, b"a")),
    ("a mask of zeros", b"\x81\x85\0\0\0\0hello", (TEXT, b"hello")),
    ("many small ones", frame(TEXT, b"hello") * 300, *[(TEXT, b"hello")] * 300),
]

VALID_CLOSE_CODES = [1000, 1001, 1002, 1003, *range(1007, 1015), 3000, 3999, 4000, 4999]

echo_server.add_cases(Frames, FAULTS, Frames.check_fault)
echo_server.add_cases(Frames, GOOD, Frames.check_echo)
echo_server.add_cases(Frames, [(str(code), code) for code in VALID_CLOSE_CODES],
                      Frames.check_close_echoed)


if __name__ == "__main__":
    echo_server.run()
