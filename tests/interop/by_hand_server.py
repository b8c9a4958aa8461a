#!/usr/bin/python3
"""The by-hand examples that serve many connections: what they have to do as the echo servers do,
and what goes wrong when one peer is in the way of the others.
"""

import os
import pathlib
import resource
import select
import signal
import socket
import struct
import threading
import time
import unittest

import echo_server
import raw_frames
import raw_handshakes
import websockets_client
import wsproto_client
from echo_server import TIMEOUT, Server
from raw_frames import Frames
from raw_handshakes import SUBPROTOCOLS, Handshakes
from websockets_client import Closing, Handshake, Messages
from wire import (BINARY, CONTINUATION, PING, PONG, TEXT, Reset, Wire, close, expect_alive, frame,
                  header, request)
from wsproto_client import Wsproto

MIB = 1 << 20


class ByHandServer(Server):
    """All of its command line is a port, and SIGTERM does what it does to any process."""

    exit_code = -signal.SIGTERM

    def __init__(self):
        super().__init__("0", ready=r"listening on 127\.0\.0\.1:(\d+)")


# The imported classes are run here too, against such a server.
for suite in (raw_frames, raw_handshakes, websockets_client, wsproto_client):
    suite.Server = ByHandServer

NEEDS_MORE = [  # options, subprotocols, origins, or a SIGTERM that is caught
    (Closing, "test_message_over_the_limit", "test_message_of_exactly_the_limit",
     "test_fragments_over_the_limit", "test_sigterm_is_going_away_for_every_client"),
    (Frames, "test_announced_length_of_a_fragment_over_the_limit",
     "test_control_frames_do_not_count_for_the_limit"),
    (Handshake, "test_subprotocol_one", "test_subprotocol_the_first_one"),
    (Handshakes, *("test_accepted_" + name.replace(" ", "_") for name, *_ in SUBPROTOCOLS)),
    # Whose pages may come in is a Server's to ask.
    (Handshakes, "test_rejected_a_page_without_an_origin", "test_rejected_another_host_s_page",
     "test_rejected_another_port_s_page"),
    (Wsproto, "test_subprotocol"),
]
for case, *names in NEEDS_MORE:
    for name in names:
        delattr(case, name)


server = None
own_descriptors = 0  # of the server, without any connection


def setUpModule():
    global server, own_descriptors
    server = ByHandServer()
    with Wire(server) as wire:
        wire.open()
        own_descriptors = len(descriptors()) - 1


def tearDownModule():
    expect_alive(server)
    server.stop()


def descriptors():
    return [int(name) for name in os.listdir(f"/proc/{server.pid}/fd")]


def processor_time():
    fields = pathlib.Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def reset(wire):
    """Closes with RST."""
    wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wire.socket.close()


class ManyPeers(unittest.TestCase):
    def setUp(self):
        self.addCleanup(self.wait_for_connections, 0)  # the last one, when all wires are closed

    def wire(self):
        wire = Wire(server)
        self.addCleanup(wire.socket.close)
        return wire

    def opened(self):
        wire = self.wire()
        wire.open()
        return wire

    def wait_for_connections(self, count):
        deadline = time.monotonic() + TIMEOUT
        while (open_ones := len(descriptors()) - own_descriptors) != count:
            self.assertLess(time.monotonic(), deadline, f"{open_ones} connections, not {count}")
            time.sleep(0.01)

    def close(self, *wires):
        for wire in wires:
            wire.send(close(1000))
            wire.expect_close(1000)
            wire.socket.close()

    def test_every_peer_has_a_session(self):
        wires = [self.opened() for _ in range(50)]
        for i, wire in enumerate(wires):
            wire.send(frame(TEXT, b"in ", fin=False) + frame(PING, b"%d" % i))
        for i, wire in enumerate(wires):
            wire.expect_frame(PONG, b"%d" % i)
            wire.send(frame(CONTINUATION, b"pieces %d" % i)[:-1])
        for i, wire in enumerate(wires):
            wire.send(frame(CONTINUATION, b"pieces %d" % i)[-1:])
        for i, wire in enumerate(wires):
            wire.expect_frame(TEXT, b"in pieces %d" % i)
        self.close(*wires)

    def test_one_that_never_reads(self):
        """The others go on, and it is not read from for ever. Then it reads, and all is there."""
        payload = bytes(range(256)) * (MIB // 256)
        message = frame(BINARY, payload)
        many = memoryview(message * 48)
        wire = self.opened()
        sent = 0
        while sent < len(many) and select.select([], [wire.socket], [], 1)[1]:
            sent += wire.socket.send(many[sent:sent + 65536], socket.MSG_DONTWAIT)
        self.assertLess(sent, len(many), "the server reads on, whatever is not taken from it")
        for _ in range(10):
            expect_alive(server)

        begun = -(-sent // len(message))
        sending = threading.Thread(target=wire.socket.sendall, daemon=True,
                                   args=(many[sent:begun * len(message)],))
        sending.start()
        for _ in range(begun):
            opcode, echoed = wire.frame()
            self.assertEqual(opcode, BINARY)
            self.assertTrue(echoed == payload, "the echo is not what was sent")
        sending.join()
        self.close(wire)

    def test_one_that_never_reads_and_leaves(self):
        other = self.opened()
        message = frame(BINARY, b"x" * MIB)
        for leave in (reset, lambda wire: wire.socket.close()):
            for half_close in (False, True):
                for _ in range(5):
                    wire = self.opened()
                    wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                    wire.send(message + frame(TEXT, b"more"))
                    if half_close:  # the server has its end of input, and writes: then EPIPE
                        wire.socket.shutdown(socket.SHUT_WR)
                    wire.take(1)
                    leave(wire)
        self.wait_for_connections(1)
        other.send(frame(TEXT, b"0"))
        other.expect_frame(TEXT, b"0")
        self.close(other)

    def test_resets(self):
        other = self.opened()
        for begin in (b"", request()[:-3], request(), request() + header(TEXT, 1000) + b"unfinished",
                      request() + frame(TEXT, b"hello"), request() + close(1000), b"nonsense\r\n"):
            for _ in range(5):
                wire = self.wire()
                wire.send(begin)
                reset(wire)
            with self.subTest(begin[-30:]):
                self.wait_for_connections(1)
        other.send(frame(TEXT))
        other.expect_frame(TEXT, b"")
        self.close(other)

    def test_end_of_input_inside_a_message(self):
        wires = [self.opened() for _ in range(5)]
        for wire in wires:
            wire.send(frame(TEXT, b"whole") + frame(TEXT, b"part", fin=False))
            wire.socket.shutdown(socket.SHUT_WR)
        for wire in wires:
            wire.expect_frame(TEXT, b"whole")
            wire.expect_end()

    def test_no_descriptors_left(self):
        """Those that wait, wait or are turned away; the server neither ends nor spins."""
        other = self.opened()
        limits = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
        self.addCleanup(resource.prlimit, server.pid, resource.RLIMIT_NOFILE, limits)
        limit = max(descriptors()) + 1
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (limit, limits[1]))
        waiting = [self.wire() for _ in range(limit - len(descriptors()) + 5)]
        before = processor_time()
        for _ in range(20):
            other.send(frame(TEXT, b"0"))
            other.expect_frame(TEXT, b"0")
            time.sleep(0.05)
        self.assertLess(processor_time() - before, 0.25, "seconds of work in one, for nothing")

        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, limits)
        expect_alive(server)
        for wire in waiting:
            wire.send(request())
        for wire in waiting:
            if not self.was_turned_away(wire):
                wire.upgraded()
                self.close(wire)
        self.close(other)

    def was_turned_away(self, wire):
        try:
            return not wire._more()
        except Reset:
            return True

    def test_deadlines(self):
        """One that says nothing is answered; one that does not go after Close is cut off."""
        silent = [self.wire() for _ in range(3)]
        staying = self.opened()
        staying.send(close(1000))
        staying.expect_close(1000)
        for wire in silent:
            self.assertEqual(wire.answer().status, 408)
            wire.socket.close()
        self.wait_for_connections(0)


if __name__ == "__main__":
    echo_server.run()
