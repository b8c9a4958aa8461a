#!/usr/bin/python3
"""The client, cat-<loop>, against servers that we did not write, and against bad ones.

Python's `websockets` and Node's `ws` are the servers that most have; `wsproto` on a plain socket
frames as it is told; plain sockets say what no library would. A server
that accepts and says nothing is not among them: Limits::handshake_time is 10 s, and a client in
memory, on a clock of its own, tests that.
"""

import asyncio
import contextlib
import http
import os
import pathlib
import pty
import re
import socket
import subprocess
import tempfile
import threading
import time
import unittest

import websockets
from wsproto import ConnectionType, WSConnection
from wsproto.events import (AcceptConnection, BytesMessage, CloseConnection, Message, Ping, Pong,
                            TextMessage)

import echo_server
import wire
from echo_server import TIMEOUT
from plain_server import Host, Peer, accept_for, frame

MIB = 1 << 20
HERE = pathlib.Path(__file__).resolve().parent

# A burst of lines: more than sockets hold, and the client queues before it waits for the server.
NUMBERS = b"".join(b"line %d %s\n" % (i, b"." * (i % 2000)) for i in range(4_000))


class Cat:
    """The client as a process, whose input stays open until end() closes it."""

    def __init__(self, *arguments, stdin=subprocess.PIPE):
        self.name = pathlib.Path(echo_server.options.executable).name
        self._output, self._errors = tempfile.TemporaryFile(), tempfile.TemporaryFile()
        self.process = subprocess.Popen([echo_server.options.executable, *arguments], stdin=stdin,
                                        stdout=self._output, stderr=self._errors)
        echo_server.cleanup.callback(self.kill)

    def write(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def close_input(self):
        self.process.stdin.close()

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def end(self, code=0):
        """Waits until it has ended, with this exit code; its output."""
        try:
            self.process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"it did not end: {self.errors()}") from None
        if self.process.returncode != code or re.search("Sanitizer|runtime error:", self.errors()):
            raise AssertionError(f"exit code {self.process.returncode}, not {code}: "
                                 f"{self.errors()}")
        self._output.seek(0)
        return self._output.read()

    def errors(self):
        """What it said on stderr."""
        self._errors.seek(0)
        return self._errors.read().decode()

    def wait_to_hear(self, words):
        """Until it has said them on stderr."""
        deadline = time.monotonic() + TIMEOUT
        while words not in self.errors():
            if time.monotonic() > deadline:
                raise AssertionError(f"it does not say {words!r}: {self.errors()!r}")
            time.sleep(0.01)

    def sentence(self):
        """The one sentence that it said."""
        match = re.fullmatch(rf"{self.name}: ([^\n]+)\n", self.errors())
        if not match:
            raise AssertionError(f"not one sentence: {self.errors()!r}")
        return match[1]


def run(*arguments, lines=b"", code=0):
    """Runs it with this input. Its output."""
    cat = Cat(*arguments)
    with contextlib.suppress(BrokenPipeError):  # it may end before it has read all
        cat.write(lines)
    with contextlib.suppress(BrokenPipeError):
        cat.close_input()
    output = cat.end(code)
    if cat.errors():
        raise AssertionError(f"it said {cat.errors()!r}")
    return output


def refused(*arguments, lines=b""):
    """The one sentence that it says, with exit code 1 and no output."""
    cat = Cat(*arguments)
    with contextlib.suppress(BrokenPipeError):
        cat.write(lines)
    output = cat.end(1)
    if output:
        raise AssertionError(f"there is output: {output!r}")
    return cat.sentence()


class Websockets:
    """A server of Python's `websockets`, on a thread of its own. `handler` is its coroutine."""

    def __init__(self, handler, unix=None, **options):
        self._handler, self._unix, self._options = handler, unix, options
        self._ready = threading.Event()

    async def _serve(self):
        self._stop = asyncio.get_running_loop().create_future()
        options = dict(ping_interval=None, close_timeout=TIMEOUT, max_size=None) | self._options
        if self._unix:
            serving = websockets.unix_serve(self._handler, self._unix, **options)
        else:
            serving = websockets.serve(self._handler, "127.0.0.1", 0, **options)
        async with serving as server:
            if not self._unix:
                self.port = server.sockets[0].getsockname()[1]
                self.url = f"ws://127.0.0.1:{self.port}/"
            self._loop = asyncio.get_running_loop()
            self._ready.set()
            await self._stop

    def __enter__(self):
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        if not self._ready.wait(TIMEOUT):
            raise AssertionError("Python's websockets do not listen")
        return self

    def __exit__(self, *error):
        self._loop.call_soon_threadsafe(self._stop.set_result, None)
        self._thread.join(TIMEOUT)


async def echo(client):
    async for message in client:
        await client.send(message)


NODE = "/usr/bin/node"
node = None  # its ws:// address without a path
node_output = []
echoing = None  # the address of Python's


def setUpModule():
    global node, echoing
    process = subprocess.Popen([NODE, str(HERE / "node_ws_server.cjs")], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE)
    echo_server.cleanup.callback(process.kill)
    node = f"ws://127.0.0.1:{int(process.stdout.readline())}"
    node_output.append(process.stdout)
    server = Websockets(echo)
    echo_server.cleanup.enter_context(server)
    echoing = server.url


def addresses_of_localhost():
    return [each[4][0] for each in socket.getaddrinfo("localhost", 80, type=socket.SOCK_STREAM)]


class Lines(unittest.TestCase):
    def check_echo(self, lines):
        whole = lines if lines.endswith(b"\n") or not lines else lines + b"\n"
        cats = [Cat(url) for url in (echoing, node + "/echo")]
        for cat in cats:
            cat.write(lines)
            cat.close_input()
        for cat in cats:
            self.assertTrue(cat.end() == whole, cat.process.args)
            self.assertEqual(cat.errors(), "")

    def test_a_server_that_says_nothing_is_left_after_the_linger(self):
        def talk(peer):
            peer.open()
            peer.expect(wire.TEXT, b"0")
            peer.expect_close(1000)

        with Host(talk) as host:
            self.assertEqual(run(host.url, "--linger", "0", lines=b"0"), b"")

    def test_what_comes_while_it_lingers_keeps_it(self):
        """Messages two thirds of the time apart: together they take longer than it waits for one."""
        def talk(peer):
            peer.open()
            for i in range(6):
                time.sleep(0.66)
                peer.send(frame(wire.TEXT, b"%d" % i))
            peer.expect_close(1000)

        with Host(talk) as host:
            self.assertEqual(run(host.url, "--linger", "2"), b"0\n1\n2\n3\n4\n5\n")

    def test_a_server_that_reads_late_gets_all(self):
        def talk(peer):
            peer.open()
            time.sleep(0.5)
            got = bytearray()  # bytes would be copied with each line
            while len(got) < len(NUMBERS):
                opcode, payload = peer.frame()
                self.assertEqual(opcode, wire.TEXT)
                got += payload + b"\n"
            self.assertTrue(got == NUMBERS)
            peer.close()

        with Host(talk) as host:
            self.assertEqual(run(host.url, "--linger", "60", lines=NUMBERS), b"")

    def test_compressed(self):
        async def tell_and_echo(client):
            await client.send(client.response_headers.get("Sec-WebSocket-Extensions", "none"))
            await echo(client)

        lines = b"".join(NUMBERS.splitlines(keepends=True)[:1000])
        bits = "server_max_window_bits=12; client_max_window_bits=12"
        with Websockets(tell_and_echo) as server:
            cats = []
            for option, agreed in (
                    ([], "none"),
                    (["--deflate"], "permessage-deflate; server_no_context_takeover; "
                     f"client_no_context_takeover; {bits}"),
                    (["--deflate-takeover"], f"permessage-deflate; {bits}")):
                of_node = "offered, permessage-deflate" if option else "not offered, none"
                cats += [(Cat(server.url, *option), agreed),
                         (Cat(node + "/extensions", *option), of_node)]
            for cat, _ in cats:
                cat.write(lines)
                cat.close_input()
            for cat, agreed in cats:
                said, echoed = cat.end().split(b"\n", 1)
                self.assertEqual((said.decode(), cat.errors()), (agreed, ""))
                self.assertTrue(echoed == lines, cat.process.args)

    def test_a_line_that_is_not_utf_8_is_not_sent(self):
        def talk(peer):
            peer.open()
            peer.expect(wire.TEXT, b"before")
            peer.expect(wire.TEXT, b"behind")
            peer.close()

        cat = None
        with Host(talk) as host:
            cat = Cat(host.url)
            cat.write(b"before\nb\xff\xfed\nbehind\n")
            self.assertEqual(cat.end(1), b"")
        self.assertRegex(cat.sentence(), "UTF-8")


echo_server.add_cases(Lines, [
    ("empty lines", b"\n\nx\n\n"),
    ("one empty line", b"\n"),
    ("zero", b"0\n00\n0\n"),
    ("utf 8", "Grüße\nΕλλάδα\n你好 \U0001f44b\U0001f3fd\n\ufeff\n\U0010ffff\n".encode()),
    ("no newline at the end", b"one\ntwo"),
    ("nul and carriage return", b"a\0b\r\n\r\n\t\n"),
    ("4000 lines", NUMBERS),
    ("1 MiB", b"x" * MIB + b"\n" + bytes(33 + i % 90 for i in range(MIB)) + b"\n0\n"),
    ("large lines that fill its queue", b"".join(b"%d" % i * 300_000 + b"\n" for i in range(10))),
], Lines.check_echo)


class Messages(unittest.TestCase):
    def test_binary_comes_as_it_is(self):
        output = run(node + "/binary", "--linger", "60")
        self.assertTrue(output == bytes(range(256)) + b"x" * MIB)

    def test_node_sends_fragments_with_pings_between(self):
        self.assertEqual(run(node + "/fragments", "--linger", "60"), "one mässage in five\n".encode())

    def test_node_is_answered_its_ping(self):
        self.assertEqual(run(node + "/ping", "--linger", "60"), b"")
        self.assertEqual(node_output[0].readline(), b"answered 0 and some more\n")

    def test_python_is_answered_its_pings(self):
        async def ask(client):
            for payload in (b"", b"payload", bytes(range(125))):
                await (await client.ping(payload))  # done by a Pong of the same payload only
            await client.send("answered")
            await client.close()

        with Websockets(ask) as server:
            self.assertEqual(run(server.url, "--linger", "60"), b"answered\n")

    def check_wsproto(self, send, glued):
        """Odd framing: the answer to the upgrade and what follows it, sent as `send` does."""
        ws = WSConnection(ConnectionType.SERVER)

        def talk(peer):
            lines = peer.request()
            ws.receive_data("\r\n".join([*lines, "", ""]).encode())
            list(ws.events())
            answer = ws.send(AcceptConnection())
            frames = b"".join(ws.send(event) for event in (
                TextMessage(data="one ", message_finished=False), Ping(payload=b"0"),
                TextMessage(data="", message_finished=False), Pong(payload=b"unasked"),
                TextMessage(data="mä", message_finished=False), Ping(payload=b""),
                TextMessage(data="ssage"), BytesMessage(data=b"\0", message_finished=False),
                BytesMessage(data=b"\xff"), TextMessage(data=""), TextMessage(data="0"),
                TextMessage(data="x" * 126), TextMessage(data="y" * 65536),
                CloseConnection(code=1001)))
            if glued:
                send(peer, answer + frames)
            else:
                peer.send(answer)
                send(peer, frames)
            while (got := peer.frame())[0] != wire.CLOSE:
                said.append(got)
            said.append(got)

        said = []
        with Host(talk) as host:
            output = run(host.url, "--linger", "60")
        self.assertEqual(output, "one mässage\n\0".encode() + b"\xff\n0\n" + b"x" * 126 + b"\n" +
                         b"y" * 65536 + b"\n")
        self.assertEqual(said, [(wire.PONG, b"0"), (wire.PONG, b""),
                                (wire.CLOSE, b"\x03\xe9")])

    def test_frames_are_masked_with_differing_keys(self):
        def talk(peer):
            peer.open()
            for i in range(1000):
                peer.expect(wire.TEXT, b"%d" % i)
            peer.send(frame(wire.PING, b"and a Pong"))
            peer.expect(wire.PONG, b"and a Pong")
            peer.close()
            self.assertEqual(len(set(peer.keys)), len(peer.keys))
            for i in range(4):  # each byte of them takes many values
                self.assertGreater(len({key[i] for key in peer.keys}), 200)
            keys.append(peer.keys[0])

        keys = []
        with Host(talk) as host:
            for _ in range(2):
                run(host.url, "--linger", "60", lines=b"".join(b"%d\n" % i for i in range(1000)))
        self.assertNotEqual(*keys)


echo_server.add_cases(Messages, [
    ("glued to the answer", Peer.send, True),
    ("behind the answer", Peer.send, False),
    ("a byte at a time", Peer.send_byte_by_byte, True),
], Messages.check_wsproto)


class Requests(unittest.TestCase):
    def test_what_is_sent_is_in_order(self):
        def talk(peer):
            lines.extend(peer.open("Sec-WebSocket-Protocol: v2"))
            peer.close()

        lines = []
        with Host(talk) as host:
            run(host.url + "deep/path?x=1&y=%20", "--subprotocol", "v1", "--subprotocol", "v2",
                "--header", "Origin: http://example.org", "--header", "X-Empty:",
                "--cookie", "a=1", "--cookie", "b=2=3")
        key = lines.pop(4)
        self.assertRegex(key, r"\ASec-WebSocket-Key: [A-Za-z0-9+/]{22}==\Z")
        self.assertEqual(lines, [
            "GET /deep/path?x=1&y=%20 HTTP/1.1", f"Host: {host.authority}", "Upgrade: websocket",
            "Connection: Upgrade", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Protocol: v1, v2",
            "Origin: http://example.org", "X-Empty: ", "Cookie: a=1; b=2=3"])

    def test_keys_differ(self):
        def talk(peer):
            peer.open()
            keys.add(peer.headers["sec-websocket-key"])
            peer.close()

        keys = set()
        with Host(talk) as host:
            for _ in range(3):
                run(host.url)
        self.assertEqual(len(keys), 3)

    def test_what_python_sees(self):
        async def look(client):
            headers = client.request_headers
            seen.append((client.path, client.subprotocol, client.origin, headers["Host"],
                         headers["Cookie"], headers["Authorization"], headers.get_all("X-Twice"),
                         "Sec-WebSocket-Extensions" in headers))

        seen = []
        with Websockets(look, subprotocols=["chat", "other"]) as server:
            run(server.url + "?q", "--subprotocol", "chat", "--subprotocol", "other",
                "--header", "Origin: http://a.example", "--header", "Authorization: Bearer x:y",
                "--header", "X-Twice: 1", "--header", "X-Twice: 2", "--cookie", "session=0")
        self.assertEqual(seen, [("/?q", "chat", "http://a.example", f"127.0.0.1:{server.port}",
                                 "session=0", "Bearer x:y", ["1", "2"], False)])

    def test_another_address_than_that_of_the_url(self):
        def talk(peer):
            hosts.append(peer.open()[1])
            peer.close()

        hosts = []
        with Host(talk) as host:
            run("ws://example.org/", "--connect", host.authority)
            run("ws://example.org:81/", "--connect", f"localhost:{host.port}")
        self.assertEqual(hosts, ["Host: example.org", "Host: example.org:81"])

    def test_unix_socket(self):
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/server.sock"
            with Websockets(echo, unix=path):
                self.assertEqual(run("ws://localhost/", "--connect", f"unix:{path}",
                                     lines=b"by path\n"), b"by path\n")

    def test_ipv6(self):
        def talk(peer):
            hosts.append(peer.open()[1])
            peer.close()

        hosts = []
        with Host(talk, ("::1", 0), socket.AF_INET6) as host:
            run(host.url)
        self.assertEqual(hosts, [f"Host: [::1]:{host.port}"])

    def test_each_address_of_a_name_is_tried(self):
        """Whichever of those of localhost comes first: for the others nobody listens there."""
        def talk(peer):
            hosts.append(peer.open()[1])
            peer.close()

        hosts = []
        for address in addresses_of_localhost():
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            with Host(talk, (address, 0), family) as host:
                run(f"ws://localhost:{host.port}/")
            self.assertEqual(hosts.pop(), f"Host: localhost:{host.port}")


class Refusals(unittest.TestCase):
    """What ends with exit code 1 and a sentence that says why."""

    def check_answer(self, answer, sentence):
        def talk(peer):
            peer.request()
            peer.send(answer(peer))
            with contextlib.suppress(ConnectionResetError):  # the client cuts it
                peer.expect_end()

        for more in ([], ["--reconnect"]):  # none of them would be another one the next time
            with Host(talk) as host:
                said = refused(host.url, *more)
            self.assertTrue(said.startswith(f"the opening handshake with {host.url} failed: "), said)
            self.assertIn(sentence, said)
            self.assertEqual(host.connections, 1)

    def test_403_of_python(self):
        async def refuse(path, headers):
            return http.HTTPStatus.FORBIDDEN, [], b"no\n"

        with Websockets(echo, process_request=refuse) as server:
            for more in ([], ["--reconnect"]):
                self.assertIn("403", refused(server.url, *more))

    def test_a_server_that_ends_without_an_answer(self):
        def talk(peer):
            peer.request()

        with Host(talk) as host:
            self.assertIn("the stream ended inside the opening handshake", refused(host.url))

    def test_a_server_that_ends_within_the_answer(self):
        def talk(peer):
            peer.request()
            peer.send(b"HTTP/1.1 101 Switching Pro")

        with Host(talk) as host:
            self.assertIn("the stream ended inside the opening handshake", refused(host.url))

    def test_a_server_that_resets(self):
        def talk(peer):
            peer.request()
            peer.reset()

        with Host(talk) as host:
            self.assertIn("Connection reset by peer", refused(host.url))

    def test_connection_refused(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        self.assertEqual(refused(f"ws://127.0.0.1:{port}/"),
                         f"cannot connect to ws://127.0.0.1:{port}/: "
                         f"127.0.0.1:{port}: Connection refused")
        said = refused(f"ws://localhost:{port}/")
        for address in addresses_of_localhost():
            self.assertIn(f"{address}]:{port}: Connection refused" if ":" in address else
                          f"{address}:{port}: Connection refused", said)

    def test_unknown_name(self):
        # A label has at most 63 bytes: nobody has to be asked for this one.
        self.assertRegex(refused("ws://" + 64 * "x"),
                         r'\Acannot connect to ws://x{64}: looking up "x{64}" failed: ')

    def test_unix_socket_that_is_not_there(self):
        self.assertEqual(refused("ws://localhost/", "--connect", "unix:/nowhere/x.sock"),
                         "cannot connect to ws://localhost/: unix:/nowhere/x.sock: "
                         "No such file or directory")

    def test_a_listener_that_never_accepts(self):
        """Its queue is full, so that no connection comes to be within --timeout."""
        with socket.socket() as listener, contextlib.ExitStack() as waiting:
            listener.bind(("127.0.0.1", 0))
            listener.listen(0)
            for _ in range(4):
                client = waiting.enter_context(socket.socket())
                client.setblocking(False)
                client.connect_ex(listener.getsockname())
            port = listener.getsockname()[1]
            self.assertIn("connecting took too long",
                          refused(f"ws://127.0.0.1:{port}/", "--timeout", "1"))


echo_server.add_cases(Refusals, [
    ("403", lambda peer: b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno",
     "the server answered 403 Forbidden"),
    ("301", lambda peer: b"HTTP/1.1 301 Moved Permanently\r\nLocation: ws://example.org/\r\n\r\n",
     "the server answered 301 Moved Permanently"),
    ("wrong accept", lambda peer: peer.answer(f"Sec-WebSocket-Accept: {accept_for(wire.KEY)}"),
     "Sec-WebSocket-Accept does not answer our key"),
    ("no accept", lambda peer: peer.answer("-Sec-WebSocket-Accept"),
     "Sec-WebSocket-Accept does not answer our key"),
    ("no upgrade", lambda peer: peer.answer("-Upgrade"), "does not say Upgrade"),
    ("no connection", lambda peer: peer.answer("Connection: close"), "does not say Connection"),
    ("subprotocol that was not offered", lambda peer: peer.answer("Sec-WebSocket-Protocol: chat"),
     "a subprotocol that we did not offer"),
    ("extension that was not offered",
     lambda peer: peer.answer("Sec-WebSocket-Extensions: permessage-deflate"),
     "an extension that we did not offer"),
    ("http 1 0", lambda peer: b"HTTP/1.0 101 OK\r\n\r\n", 'not an HTTP/1.1 status line: "HTTP/1.0'),
    ("http 1 0 404", lambda peer: b"HTTP/1.0 404 Not Found\r\n\r\n", "HTTP/1.0 404 Not Found"),
    ("ssh", lambda peer: b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "SSH-2.0-OpenSSH_9.2"),
    ("garbage", lambda peer: bytes(range(256)), "byte 0 of the head is a control character"),
    ("endless head", lambda peer: b"HTTP/1.1 101 x\r\n" + b"X: y\r\n" * 10_000, "Limits::handshake"),
], Refusals.check_answer)


class Ends(unittest.TestCase):
    """How the server ends the connection, while the input stays open."""

    def check_close(self, url, code, said):
        cat = Cat(node + url)
        self.assertEqual(cat.end(code), b"")
        if said:
            self.assertEqual(cat.sentence(), said)
        else:
            self.assertEqual(cat.errors(), "")

    def check_end(self, end, said):
        def talk(peer):
            peer.open()
            peer.expect(wire.TEXT, b"hello")
            end(peer)
            with contextlib.suppress(OSError):
                while peer.socket.recv(1000):
                    pass

        with Host(talk) as host:
            cat = Cat(host.url)
            cat.write(b"hello\n")
            self.assertEqual(cat.end(1), b"")
            self.assertRegex(cat.sentence(), said)

    def test_without_a_code(self):
        def talk(peer):
            peer.open()
            peer.send(frame(wire.CLOSE))
            peer.expect(wire.CLOSE, b"")

        with Host(talk) as host:
            cat = Cat(host.url)
            self.assertEqual((cat.end(), cat.errors()), (b"", ""))

    def test_a_server_that_is_reset_while_much_is_sent(self):
        """However much was under way: one sentence, not one for each line."""
        def talk(peer):
            peer.open()
            peer.frame()
            peer.reset()

        for size in (100, 100_000):
            with Host(talk) as host:
                cat = Cat(host.url)
                with contextlib.suppress(BrokenPipeError):
                    for _ in range(20_000_000 // size):
                        cat.write(b"x" * size + b"\n")
                cat.end(1)
                self.assertRegex(cat.sentence(), "reset|Broken pipe")


echo_server.add_cases(Ends, [
    ("1000", "/close/1000/", 0, None),
    ("1000 with a reason", "/close/1000/all%20said", 0, None),
    ("1001", "/close/1001/leaving", 0, None),
    ("1011", "/close/1011/out%20of%20order", 1, "the server closed with 1011 out of order"),
    ("1008", "/close/1008/not%20you", 1, "the server closed with 1008 not you"),
    ("4000", "/close/4000/gr%C3%BC%C3%9Fe", 1, "the server closed with 4000 grüße"),
    ("terminated", "/terminate", 1, "the peer ended the stream without a close frame"),
], Ends.check_close)
echo_server.add_cases(Ends, [
    ("reset", Peer.reset, "Connection reset by peer"),
    ("end without close", lambda peer: peer.socket.shutdown(socket.SHUT_WR),
     "the peer ended the stream without a close frame"),
    ("masked frame", lambda peer: peer.send(wire.frame(wire.TEXT, b"x")), "mask"),
    ("bad text", lambda peer: peer.send(frame(wire.TEXT, b"\xff")), "UTF-8"),
    ("reserved bit", lambda peer: peer.send(frame(wire.TEXT, b"x", rsv=4)), "(?i)rsv|reserved"),
    ("message over the limit", lambda peer: peer.send(wire.header(wire.TEXT, 1 << 40, masked=False)),
     "Limits::message_bytes"),
], Ends.check_end)


class Reconnecting(unittest.TestCase):
    def test_input_that_was_not_sent_is_kept(self):
        def talk(peer):
            peer.open()
            number = host.connections
            while True:
                opcode, payload = peer.frame()
                if opcode == wire.CLOSE:
                    break
                got.append((number, payload))
                if number == 1:
                    peer.reset()
                    cut.set()
                    return
            peer.send(frame(wire.CLOSE, payload))

        got, cut = [], threading.Event()
        with Host(talk) as host:
            cat = Cat(host.url, "--reconnect")
            cat.write(b"one\n")
            self.assertTrue(cut.wait(TIMEOUT))
            cat.wait_to_hear("reset")
            cat.write(b"two\nthree\n")
            cat.close_input()
            self.assertEqual(cat.end(), b"")
        self.assertEqual(got, [(1, b"one"), (2, b"two"), (2, b"three")])
        self.assertRegex(cat.sentence(), "reset")

    def test_of_much_input_only_what_was_under_way_is_lost(self):
        def talk(peer):
            number = host.connections
            peer.open()
            for _ in range(100 if number < 4 else 1_000_000):
                opcode, payload = peer.frame()
                if opcode == wire.CLOSE:
                    peer.send(frame(wire.CLOSE, payload))
                    return
                got[number].append(payload)
            peer.reset()

        got = {i: [] for i in range(1, 5)}
        with Host(talk) as host:
            cat = Cat(host.url, "--reconnect")
            cat.write(NUMBERS)
            cat.close_input()
            cat.end()
        self.assertEqual(host.connections, 4)
        lines = NUMBERS.splitlines()
        at = 0
        for number in range(1, 5):  # each is a run of the input, behind the one before
            start = lines.index(got[number][0], at)
            at = start + len(got[number])
            self.assertTrue(got[number] == lines[start:at], number)
        self.assertEqual(at, len(lines))
        self.assertEqual(len(cat.errors().splitlines()), 3)

    def test_it_waits_between_attempts(self):
        """Half a second at least, a quarter of it at worst: three or four in the first second."""
        with Host(lambda peer: peer.request()) as host:
            cat = Cat(host.url, "--reconnect")
            time.sleep(1)
            self.assertIn(host.connections, range(1, 6))
            cat.kill()

    def test_a_server_that_comes_late(self):
        def talk(peer):
            peer.open()
            peer.expect(wire.TEXT, b"hello")
            peer.expect_close(1000)

        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = taken.getsockname()
        cat = Cat(f"ws://127.0.0.1:{address[1]}/", "--reconnect")
        cat.write(b"hello\n")
        cat.close_input()
        cat.wait_to_hear("refused")
        with Host(talk, address):
            self.assertEqual(cat.end(), b"")

    def check_end_of_input(self, when):
        """All was sent, and the server went: nothing keeps it."""
        def talk(peer):
            peer.open()
            peer.expect(wire.TEXT, b"hello")
            host.stop_listening()

        with Host(talk) as host:
            cat = Cat(host.url, "--reconnect")
            cat.write(b"hello\n")
            if when:
                cat.wait_to_hear(when)
            cat.close_input()
            self.assertEqual(cat.end(), b"")

    def test_a_refusal_ends_it_later_too(self):
        def talk(peer):
            if host.connections == 1:
                peer.open()
            else:
                peer.request()
                peer.send(b"HTTP/1.1 403 Forbidden\r\n\r\n")

        with Host(talk) as host:
            cat = Cat(host.url, "--reconnect")
            cat.end(1)
        self.assertEqual(host.connections, 2)
        self.assertRegex(cat.errors().splitlines()[-1], "403")


echo_server.add_cases(Reconnecting, [
    ("before the connection is lost", None),
    ("behind", "without a close frame"),
    ("while it is refused", "refused"),
], Reconnecting.check_end_of_input)


class CommandLine(unittest.TestCase):
    def check_bad(self, said, *arguments):
        self.assertRegex(refused(*arguments), said)

    def test_help(self):
        output = run("--help").decode()
        for option in ("URL", "--subprotocol", "--header", "--cookie", "--draft", "--connect",
                       "--proxy", "--tls-ca", "--timeout", "--linger", "--deflate",
                       "--deflate-takeover", "--reconnect", "--help", "--version"):
            self.assertIn(f"  {option} ", output)

    def test_version(self):
        self.assertRegex(run("--version").decode(), r"\Acat-\w+ \d+\.\d+\.\d+\n\Z")


echo_server.add_cases(CommandLine, [
    ("no url", "which server"),
    ("unknown option", 'unknown option "--verbose"', "ws://localhost/", "--verbose"),
    ("two urls", 'unknown option "ws://b/"', "ws://a/", "ws://b/"),
    ("empty", "which server", ""),
    ("http", "scheme is none of ws", "http://localhost/"),
    ("wss without its issuers", "cannot read the file of issuers /nowhere|there is no TLS",
     "wss://localhost/", "--tls-ca", "/nowhere"),
    ("no scheme", "no scheme", "localhost:9001"),
    ("no host", "no host", "ws:///"),
    ("bad port", "port is not a number from 1 to 65535", "ws://localhost:65536/"),
    ("port 0", "port is not a number from 1 to 65535", "ws://localhost:0/"),
    ("user", "a user in the URL", "ws://me@localhost/"),
    ("fragment", "no fragment", "ws://localhost/#a"),
    ("space", "percent-encoded", "ws://localhost/a b"),
    ("tab", "percent-encoded", "ws://localhost/\t"),
    ("bracket", "not closed", "ws://[::1/"),
    ("name in brackets", "no IPv6 address", "ws://[localhost]/"),
    ("subprotocol without value", "--subprotocol needs a value", "ws://a/", "--subprotocol"),
    ("subprotocol twice", "subprotocol", "ws://a/", "--subprotocol", "x", "--subprotocol", "x"),
    ("subprotocol no token", "subprotocol", "ws://a/", "--subprotocol", "a b"),
    ("header without colon", 'has no ":"', "ws://a/", "--header", "X"),
    ("header without name", "name that is no token", "ws://a/", "--header", ": x"),
    ("header of ours", "is written by timtow", "ws://a/", "--header", "Upgrade: x"),
    ("header with a line end", "control character", "ws://a/", "--header", "X: a\r\nY: b"),
    ("cookie without value", 'has no "="', "ws://a/", "--cookie", "X"),
    ("cookie with semicolon", "cannot be sent as it is", "ws://a/", "--cookie", "a=b;c"),
    ("draft that is none", "version 9 is not one that is spoken here", "ws://a/", "--draft", "9"),
    ("two subprotocols of draft 76", "one subprotocol", "ws://a/", "--draft", "76", "--subprotocol",
     "x", "--subprotocol", "y"),
    ("connect to nothing", "the port is missing", "ws://a/", "--connect", ""),
    ("connect without port", "the port is missing", "ws://a/", "--connect", "localhost"),
    ("connect to no path", "the path is missing", "ws://a/", "--connect", "unix:"),
    ("timeout", '"x" is not a number', "ws://a/", "--timeout", "x"),
    ("negative timeout", '"-1" is not a number', "ws://a/", "--timeout", "-1"),
    ("linger", "--linger needs a value", "ws://a/", "--linger"),
], CommandLine.check_bad)


class StandardInput(unittest.TestCase):
    """Whatever the input is: what is in it is sent, and the server's end is the end."""

    def check_all_sent(self, opened, echoed):
        with opened() as stdin:
            cat = Cat(echoing, stdin=stdin)
            self.assertEqual((cat.end(), cat.errors()), (echoed, ""))

    def test_a_pipe_that_is_written_slowly(self):
        cat = Cat(echoing)
        for part in (b"o", b"ne\ntw", b"o\n", b"three"):
            cat.write(part)
            time.sleep(0.05)
        cat.close_input()
        self.assertEqual(cat.end(), b"one\ntwo\nthree\n")

    def test_a_terminal_that_stays_open_while_the_server_closes(self):
        ours, its = pty.openpty()
        with open(ours, "wb", buffering=0) as keyboard:
            def talk(peer):
                peer.open()
                peer.expect(wire.TEXT, b"typed")
                peer.close()

            with Host(talk) as host:
                cat = Cat(host.url, stdin=its)
                os.close(its)
                keyboard.write(b"typed\n")
                self.assertEqual((cat.end(), cat.errors()), (b"", ""))

    def test_a_terminal_that_ends_its_input(self):
        ours, its = pty.openpty()
        with open(ours, "wb", buffering=0) as keyboard:
            cat = Cat(echoing, stdin=its)
            os.close(its)
            keyboard.write(b"typed\n\x04")
            self.assertEqual((cat.end(), cat.errors()), (b"typed\n", ""))


@contextlib.contextmanager
def file_of_lines():
    with tempfile.TemporaryFile() as file:
        file.write(NUMBERS)
        file.seek(0)
        yield file


echo_server.add_cases(StandardInput, [
    ("a file", file_of_lines, NUMBERS),
    ("dev null", lambda: open(os.devnull, "rb"), b""),
], StandardInput.check_all_sent)


if __name__ == "__main__":
    echo_server.run()
