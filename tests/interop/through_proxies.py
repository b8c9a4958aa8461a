#!/usr/bin/python3
"""The client, cat-<loop>, through HTTP proxies: tinyproxy, and one of our own that says what no
proxy would. The server behind them is Python's `websockets`."""

import base64
import contextlib
import os
import pathlib
import select
import socket
import subprocess
import tempfile
import time
import unittest

import echo_server
from cat_client import Websockets, refused
from cat_client import run as run_cat
from echo_server import TIMEOUT
from plain_server import Host

ESTABLISHED = b"HTTP/1.1 200 Connection established\r\nProxy-Agent: test\r\n\r\n"

url = None  # of the server
tinyproxy = None  # host:port


async def echo(client):
    """Until the last line, so that nobody has to wait for an end of the silence."""
    async for message in client:
        await client.send(message)
        if message == "end":
            return


def run(*arguments, lines):
    return run_cat(*arguments, "--linger", "60", lines=lines)


def setUpModule():
    global url, tinyproxy
    for name in ("http_proxy", "all_proxy", "no_proxy"):
        os.environ.pop(name, None)
        os.environ.pop(name.upper(), None)
    url = echo_server.cleanup.enter_context(Websockets(echo)).url
    folder = echo_server.cleanup.enter_context(tempfile.TemporaryDirectory())
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    pathlib.Path(folder, "conf").write_text(
        f"Port {port}\nListen 127.0.0.1\nTimeout 600\nMaxClients 20\nBasicAuth user word\n"
        f"Allow 127.0.0.1\nLogLevel Error\nLogFile \"{folder}/log\"\n")
    process = subprocess.Popen(["/usr/bin/tinyproxy", "-d", "-c", f"{folder}/conf"],
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    echo_server.cleanup.callback(process.wait)
    echo_server.cleanup.callback(process.kill)
    deadline = time.monotonic() + TIMEOUT
    while True:
        with contextlib.suppress(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), TIMEOUT).close()
            break
        if process.poll() is not None or time.monotonic() > deadline:
            raise AssertionError(f"tinyproxy does not listen: {process.stderr.read()}")
        time.sleep(0.01)
    tinyproxy = f"127.0.0.1:{port}"


class Proxy(Host):
    """A proxy that answers `answer`, and passes on what follows if that is 200."""

    def __init__(self, answer=ESTABLISHED):
        self.heads = []
        self._answer = answer
        super().__init__(self._talk_to)

    def _talk_to(self, peer):
        while b"\r\n\r\n" not in peer.input:
            peer._more()
        head = peer.take(peer.input.index(b"\r\n\r\n") + 4).decode()
        self.heads.append(head)
        if peer.input:
            raise AssertionError(f"the client did not wait: {peer.input!r}")
        if b" 200 " not in self._answer:
            peer.send(self._answer)
            with contextlib.suppress(ConnectionResetError):
                peer.expect_end()
            return
        host, _, port = head.split(" ")[1].rpartition(":")
        with socket.create_connection((host.strip("[]"), int(port)), TIMEOUT) as server:
            peer.send_byte_by_byte(self._answer)
            other = {server: peer.socket, peer.socket: server}
            while ready := select.select(list(other), [], [], TIMEOUT)[0]:
                for end in ready:
                    try:
                        data = end.recv(1 << 16)
                    except ConnectionResetError:  # an end that closed before all of it was read
                        data = b""
                    if data:
                        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                            other[end].sendall(data)
                    else:
                        with contextlib.suppress(OSError):
                            other[end].shutdown(socket.SHUT_WR)
                        if len(other) == 1:
                            return
                        other = {one: to for one, to in other.items() if one is not end}


class Proxies(unittest.TestCase):
    def test_our_own(self):
        with Proxy() as proxy:
            lines = b"one\n" + b"x" * 100_000 + b"\nend\n"
            self.assertEqual(run(url, "--proxy", f"http://u%40:w@127.0.0.1:{proxy.port}",
                                 lines=lines), lines)
        authority = url.removeprefix("ws://").rstrip("/")
        self.assertEqual(proxy.heads, [
            f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\nProxy-Authorization: Basic "
            f"{base64.b64encode(b'u@:w').decode()}\r\n\r\n"])

    def test_tinyproxy(self):
        self.assertEqual(run(url, "--proxy", f"http://user:word@{tinyproxy}", lines=b"hello\nend\n"),
                         b"hello\nend\n")

    def test_tinyproxy_refuses(self):
        for more in ([], ["--reconnect"]):
            said = refused(url, "--proxy", f"http://user:wrong@{tinyproxy}", *more)
            self.assertRegex(said, r"the proxy answered 40[17]")

    def test_the_environment(self):
        with Proxy() as proxy:
            os.environ["http_proxy"] = f"http://127.0.0.1:{proxy.port}/"
            self.addCleanup(os.environ.pop, "http_proxy")
            self.assertEqual(run(url, lines=b"straight\nend\n"), b"straight\nend\n")
            self.assertEqual(proxy.connections, 0)
            self.assertEqual(run(url, "--proxy", "environment", lines=b"round\nend\n"), b"round\nend\n")
            self.assertEqual(proxy.connections, 1)
            os.environ["no_proxy"] = "example.org, 127.0.0.0/8"
            self.addCleanup(os.environ.pop, "no_proxy")
            self.assertEqual(run(url, "--proxy", "environment", lines=b"excepted\nend\n"), b"excepted\nend\n")
            self.assertEqual(proxy.connections, 1)

    def check_answer(self, answer, sentence):
        with Proxy(answer) as proxy:
            self.assertIn(sentence, refused(url, "--proxy", f"127.0.0.1:{proxy.port}"))

    def test_nobody_listens(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        self.assertIn("(through its proxy): 127.0.0.1:", refused(url, "--proxy", f"127.0.0.1:{port}"))


echo_server.add_cases(Proxies, [
    ("407", b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\nno",
     "the proxy answered 407: it wants another user and password"),
    ("502", b"HTTP/1.0 502 Bad Gateway\r\n\r\n", "the proxy answered 502: it cannot reach the server"),
    ("no proxy at all", b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "gave no answer to CONNECT that can be read"),
    ("an endless answer", b"HTTP/1.1 407 x\r\nX: " + b"x" * 20_000,
     "gave no answer to CONNECT that can be read"),
], Proxies.check_answer)


if __name__ == "__main__":
    echo_server.run()
