"""Every server of the comparison does what it is measured for: servers_test.py BIN

Who echoes WebSocket messages is asked by Python's websockets, and by a plain socket for what that
would not send; who echoes TCP has to give back the bytes, and to stop reading when nobody takes
them; who fans out has to serve all. A server that is not there fails: nothing is left out.
"""

import asyncio
import os
import re
import select
import signal
import socket
import struct
import sys
import tempfile
import threading
import unittest
from pathlib import Path

import websockets

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "bench"), str(ROOT / "tests")]
import closing  # noqa: E402
from comparison import server as servers  # noqa: E402

PATIENCE = 20  # seconds, for any one thing that has to come
KIB, MIB = 1024, 1024 * 1024
LIMIT = 16 * MIB

REQUEST = (b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
HELLO = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"  # RFC 6455, section 5.7
HELLO_BACK = b"\x81\x05Hello"


def pattern(size):
    """Bytes whose period is no power of two: a piece lost, doubled or moved shows."""
    return (bytes(range(251)) * (size // 251 + 1))[:size]


def text_of(size):
    """Text of exactly size bytes, of characters of one to four."""
    return "añ€\U0001f600" * (size // 10) + "x" * (size % 10)


def connect(running):
    return websockets.connect(
        f"ws://127.0.0.1:{running.port}/", compression=None, max_size=None, ping_interval=None,
        open_timeout=PATIENCE, close_timeout=PATIENCE)


def plain(running):
    wire = socket.create_connection(("127.0.0.1", running.port), PATIENCE)
    wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return wire


def read_until(wire, end):
    """What comes, up to something; or up to the end of the stream."""
    data = b""
    while not data.endswith(end) and (more := wire.recv(64 * KIB)):
        data += more
    return data


def read_exactly(wire, size):
    data = bytearray()
    while len(data) < size and (more := wire.recv(256 * KIB)):
        data += more
    return bytes(data)


def send_until_full(wire, most):
    """Sends until nothing more is taken, or so many bytes. Returns them."""
    sent = bytearray()
    chunk = pattern(256 * KIB)
    while len(sent) < most and select.select([], [wire], [], 0.3)[1]:
        sent += chunk[:wire.send(chunk, socket.MSG_DONTWAIT)]
    return bytes(sent)


async def in_pieces(message):
    for i in range(0, len(message), 20):
        yield message[i:i + 20]


class Servers(unittest.TestCase):
    """One test a server, which are made below; and the file that names them."""

    def assert_same(self, got, wanted, what):
        self.assertIs(type(got), type(wanted), what)
        self.assertTrue(got == wanted, f"{what}: {len(got)} came back changed")  # no diff of 16 MiB

    async def check_messages(self, running):
        async with connect(running) as client:
            async def echo(message, what, sent=None):
                await client.send(message if sent is None else sent)
                back = await asyncio.wait_for(client.recv(), PATIENCE)
                self.assert_same(back, message, what)

            for size in (0, 1, 125, 126, 65535, 65536, MIB):
                await echo(pattern(size), f"binary of {size} bytes")
                await echo(text_of(size), f"text of {size} bytes")
            await echo(pattern(LIMIT), "binary of as many bytes as a message may have")
            for message in (pattern(5500), "fragment " * 600):
                await echo(message, "a message in many fragments", sent=in_pieces(message))
            await asyncio.wait_for(await client.ping(b"payload"), PATIENCE)
            many = [pattern(i) if i % 3 else str(i) for i in range(100)]
            await asyncio.gather(*(client.send(message) for message in many))
            for message in many:
                back = await asyncio.wait_for(client.recv(), PATIENCE)
                self.assert_same(back, message, "one of many")
        self.assertEqual(client.close_code, 1000)

    def check_wire(self, running):
        """A handshake in two parts, a message that comes a byte at a time, and one in one frame."""
        with plain(running) as wire:
            wire.sendall(REQUEST[:50])
            wire.sendall(REQUEST[50:])
            self.assertTrue(read_until(wire, b"\r\n\r\n").startswith(b"HTTP/1.1 101 "))
            for byte in HELLO:
                wire.send(bytes([byte]))
            self.assertEqual(read_until(wire, HELLO_BACK), HELLO_BACK)
            size = struct.pack("!Q", MIB)
            wire.sendall(b"\x82\xff" + size + bytes(4) + pattern(MIB))  # the masking key is 0
            self.assert_same(read_exactly(wire, 10 + MIB), b"\x82\x7f" + size + pattern(MIB),
                             "a frame")

    def check_limit(self, running):
        """A message over the limit is answered with a close frame, or the end of the stream."""
        with plain(running) as wire:
            wire.sendall(REQUEST)
            read_until(wire, b"\r\n\r\n")
            try:
                wire.sendall(b"\x82\xff" + struct.pack("!Q", LIMIT + 1) + bytes(4 + LIMIT + 1))
                said = wire.recv(1)
            except (BrokenPipeError, ConnectionResetError):
                said = b""
        self.assertIn(said, (b"", b"\x88"))

    async def check_fanout(self, running):
        clients = [await connect(running) for _ in range(20)]
        for sender in clients[:2]:
            for message in ("text", pattern(1000), pattern(MIB)):
                await sender.send(message)
                for client in clients:
                    got = await asyncio.wait_for(client.recv(), PATIENCE)
                    self.assert_same(got, message, "a message to all")
        gone = clients.pop(5)
        await gone.close()
        await clients[0].send("to those who are left")
        for client in clients:
            got = await asyncio.wait_for(client.recv(), PATIENCE)
            self.assertEqual(got, "to those who are left")
            await client.close()

    def check_tcp(self, running, receivers=1):
        """What is sent comes back on so many connections, and waits while nobody reads."""
        wires = []
        for _ in range(receivers):
            wires.append(plain(running))
            self.addCleanup(wires[-1].close)
            wires[-1].sendall(b"x")
            for wire in wires:
                self.assertEqual(read_exactly(wire, 1), b"x")
        sent = send_until_full(wires[0], 64 * MIB)
        status = Path(f"/proc/{running.pid}/status").read_text()
        peak = int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * KIB
        self.assertLess(peak, 32 * MIB, "it reads on while nobody takes what it sends")
        wires[0].shutdown(socket.SHUT_WR)
        got = [None] * receivers

        def read(i):
            got[i] = read_exactly(wires[i], len(sent))

        readers = [threading.Thread(target=read, args=(i,)) for i in range(receivers)]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
        for bytes_ in got:
            self.assert_same(bytes_, sent, "the stream")
        self.assertEqual(wires[0].recv(1), b"", "the stream does not end")

    def test_every_program_is_named(self):
        programs = {file.name for kind in ("echo", "floor", "fanout", "peer")
                    for file in self.bin.glob(f"{kind}-*")}
        named = {Path(server.command[0]).name for server in servers.read_servers(bin=self.bin)}
        self.assertEqual(programs - named, set())

    def test_what_is_named_is_there(self):
        everything = servers.read_servers()
        names = {server.name for server in everything}
        for server in everything:
            self.assertIn(server.floor, names | {None}, server.name)
            for path in filter(None, (server.adapter, server.code)):
                self.assertTrue((servers.BENCH.parent / path).exists(), path)

    def check(self, server):
        self.assertIsNone(server.missing())
        with server.start() as running:
            match server.protocol, server.mode:
                case "websocket", "echo":
                    asyncio.run(self.check_messages(running))
                    self.check_wire(running)
                    self.check_limit(running)
                    self.check_wire(running)  # of which the others know nothing
                case "websocket", "fanout":
                    asyncio.run(self.check_fanout(running))
                case "tcp", mode:
                    self.check_tcp(running, receivers=5 if mode == "fanout" else 1)


def add_server_tests(bin):
    Servers.bin = bin
    for server in servers.read_servers(bin=bin):
        name = f"test_{server.name.replace('-', '_')}"
        if hasattr(Servers, name):
            raise ValueError(f"two servers are called {server.name}")
        setattr(Servers, name, lambda self, server=server: self.check(server))


class Running(unittest.TestCase):
    """How a server is run, with those that servers.toml has none of."""

    def one(self, *command, **more):
        return servers.Server(name="one", family="peer", protocol="tcp", command=list(command),
                              **more)

    def test_a_port_is_found_for_who_cannot(self):
        says = ("/bin/sh", "-c", "echo http://127.0.0.1:$0/; exec sleep 60", "{port}")
        with self.one(*says, needs_port=True).start() as running:
            self.assertNotEqual(running.port, 0)
        with self.one(*says).start() as running:
            self.assertEqual(running.port, 0)

    def test_the_prefix_becomes_the_server(self):
        one = self.one("/bin/sh", "-c", "echo http://127.0.0.1:$ONE/; while :; do :; done")
        with one.start(prefix=["/usr/bin/env", "ONE=1"]) as running:
            self.assertEqual(running.port, 1)
            self.assertEqual(Path(f"/proc/{running.pid}/comm").read_text(), "sh\n")

    def test_why_it_did_not_start_is_told(self):
        one = self.one("/bin/sh", "-c", "echo listening soon; echo no descriptors >&2")
        with self.assertRaisesRegex(servers.ServerFailed, "(?s)listening soon.*no descriptors"):
            one.start()

    def test_that_it_ended_by_itself_is_told(self):
        one = self.one("/bin/sh", "-c", "echo http://127.0.0.1:1/; read line; exit 3")
        with self.assertRaisesRegex(servers.ServerFailed, "ended with 3 before it was stopped"):
            with one.start() as running:
                os.waitid(os.P_PID, running.pid, os.WEXITED | os.WNOWAIT)

    def test_that_it_failed_when_it_was_stopped_is_told(self):
        one = self.one("/bin/sh", "-c", "trap 'exit 3' TERM; echo http://127.0.0.1:1/;"
                       "while :; do :; done")
        with self.assertRaisesRegex(servers.ServerFailed, "ended with 3 when it was stopped"):
            with one.start():
                pass

    def test_what_ignores_sigterm_is_killed(self):
        one = self.one("/bin/sh", "-c", "trap '' TERM; echo http://127.0.0.1:1/;"
                       "while :; do :; done")
        running = one.start()
        self.addCleanup(setattr, servers, "PATIENCE", servers.PATIENCE)
        servers.PATIENCE = 0.2
        self.assertEqual(running.stop(), -signal.SIGKILL)

    def test_what_is_missing_is_named(self):
        self.assertIn("/no/such", self.one("/no/such").missing())
        self.assertIn("install libone-dev", self.one("/no/such", library="libone-dev").missing())
        self.assertIn("/bin/false", self.one("/bin/sh", check=["/bin/false"]).missing())
        self.assertIsNone(self.one("/bin/sh", check=["/bin/true"]).missing())

    def test_an_entry_that_is_wrong_is_named(self):
        with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
            file.write('[[server]]\nname = "typo"\nfamily = "peer"\nprotocol = "tcp"\n'
                       'command = ["x"]\nlibary = "x"\n')
            file.flush()
            with self.assertRaisesRegex(ValueError, "typo.*libary"):
                servers.read_servers(file.name)


if __name__ == "__main__":
    add_server_tests(Path(sys.argv[1]))
    closing.run(sys.argv[2:])
