#!/usr/bin/python3
"""The drafts before RFC 6455: what echo-<loop> --drafts answers, and what cat-<loop> --draft says.

The bytes are those of the drafts' own texts. Perl's Protocol::WebSocket is the peer that others
wrote; and nginx and HAProxy stand between, of whom nginx holds back the eight bytes of draft 76 until
it has seen the head of the response.
"""

import contextlib
import pathlib
import socket
import subprocess
import tempfile
import time
import unittest

import echo_server
from echo_server import TIMEOUT, Server
from wire import ACCEPT, CLOSE, PING, PONG, TEXT, Wire, close, expect_alive, frame, request

PEER = pathlib.Path(__file__).resolve().parent / "drafts_peer.pl"
DRAFTS = {75: "draft-hixie-75", 76: "draft-ietf-hybi-00", 8: "draft-ietf-hybi-10",
          13: "draft-ietf-hybi-17"}

HIXIE_75 = (b"GET /demo HTTP/1.1\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n"
            b"Host: example.com\r\nOrigin: http://example.com\r\n"
            b"WebSocket-Protocol: sample\r\n\r\n")
ANSWER_75 = (b"HTTP/1.1 101 Web Socket Protocol Handshake\r\nUpgrade: WebSocket\r\n"
             b"Connection: Upgrade\r\nWebSocket-Origin: http://example.com\r\n"
             b"WebSocket-Location: ws://example.com/demo\r\nWebSocket-Protocol: sample\r\n\r\n")

HIXIE_76 = (b"GET /demo HTTP/1.1\r\nHost: example.com\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key2: 12998 5 Y3 1  .P00\r\nSec-WebSocket-Protocol: sample\r\n"
            b"Upgrade: WebSocket\r\nSec-WebSocket-Key1: 4 @1  46546xW%0l 1 5\r\n"
            b"Origin: http://example.com\r\n\r\n")
KEY3 = b"^n:ds[4U"
ANSWER_76 = (b"HTTP/1.1 101 WebSocket Protocol Handshake\r\nUpgrade: WebSocket\r\n"
             b"Connection: Upgrade\r\nSec-WebSocket-Origin: http://example.com\r\n"
             b"Sec-WebSocket-Location: ws://example.com/demo\r\n"
             b"Sec-WebSocket-Protocol: sample\r\n\r\n")
PROOF = b"8jKS'y:G*Co,Wxa-"

LONG = "κόσμε ".encode() * 20_000

server = None


def setUpModule():
    global server
    server = Server("--drafts")


def tearDownModule():
    expect_alive(server)
    server.stop()


def expect(wire, data):
    got = wire.take(len(data))
    if got != data:
        raise AssertionError(f"expected {data[:100]!r}, got {got[:100]!r}")


class Hixie(unittest.TestCase):
    def check_echo(self, head, answer, key3=b"", proof=b""):
        for send in (Wire.send, Wire.send_byte_by_byte):
            with self.subTest(send.__name__), Wire(server) as wire:
                send(wire, head + key3 + b"\0Hello\xff")
                expect(wire, answer + proof + b"\0Hello\xff")
                wire.send(b"\0" + LONG + b"\xff\x80\x03abc\x05dropped\xff\0\xff")
                expect(wire, b"\0" + LONG + b"\xff\0\xff")

    def test_the_end_of_the_stream_closes_75(self):
        with Wire(server) as wire:
            wire.send(HIXIE_75 + b"\0bye\xff")
            wire.socket.shutdown(socket.SHUT_WR)
            expect(wire, ANSWER_75 + b"\0bye\xff")
            wire.expect_end()

    def test_the_closing_handshake_of_76(self):
        with Wire(server) as wire:
            wire.send(HIXIE_76 + KEY3 + b"\0bye\xff\xff\0")
            expect(wire, ANSWER_76 + PROOF + b"\0bye\xff\xff\0")
            wire.expect_end()

    def test_key3_only_behind_the_response(self):
        with Wire(server) as wire:
            wire.send(HIXIE_76)
            expect(wire, ANSWER_76)
            wire.send(KEY3[:3])
            wire.send(KEY3[3:] + b"\0late\xff")
            expect(wire, PROOF + b"\0late\xff")

    def test_a_server_that_ends_closes_in_the_way_of_each(self):
        with Server("--drafts") as ending, Wire(ending) as one, Wire(ending) as other:
            one.send(HIXIE_75)
            expect(one, ANSWER_75)
            other.send(HIXIE_76 + KEY3)
            expect(other, ANSWER_76 + PROOF)
            ending.terminate()
            one.expect_end()
            expect(other, b"\xff\0")
            one.socket.close()
            other.send(b"\xff\0")
            other.expect_end()
            ending.expect_exit()
            ending.stop = lambda: None

    def check_dropped(self, data):
        """What no end comes of: the server ends the connection, and not with a reset."""
        with Wire(server) as wire:
            wire.send(HIXIE_75 + data)
            expect(wire, ANSWER_75)
            wire.expect_end()

    def check_bad_key(self, key):
        with Wire(server) as wire:
            wire.send(HIXIE_76.replace(b"4 @1  46546xW%0l 1 5", key) + KEY3)
            answer = wire.answer()
        self.assertEqual(answer.status, 400)
        self.assertIn(b"Sec-WebSocket-Key1 does not hide a number", answer.body)


echo_server.add_cases(Hixie, [
    ("75", HIXIE_75, ANSWER_75),
    ("76", HIXIE_76, ANSWER_76, KEY3, PROOF),
], Hixie.check_echo)
echo_server.add_cases(Hixie, [
    ("endless length", b"\x80" * 100_000),
    ("length over the limit", b"\x80\x88\x80\x80\x01"),
    ("endless text", b"\0" + b"x" * 16_777_217),
    ("bad text", b"\0\xc0\xaf\xff"),
], Hixie.check_dropped)
echo_server.add_cases(Hixie, [
    ("no space", b"12345"),
    ("no digit", b"a b c"),
    ("empty", b""),
    ("remainder", b"1 0 1"),
    ("over 32 bits", b"42949672 96"),
    ("far over 64 bits", b"9" * 60 + b" 9"),
], Hixie.check_bad_key)


class Hybi(unittest.TestCase):
    def check_echo(self, version, origin):
        with Wire(server) as wire:
            wire.send(request(f"Sec-WebSocket-Version: {version}", f"+{origin}: http://localhost"))
            self.assertEqual(wire.upgraded().headers["sec-websocket-accept"], ACCEPT)
            wire.send(frame(TEXT, b"Hel", fin=False) + frame(PING, b"?") + frame(0, b"lo"))
            wire.expect_frame(PONG, b"?")
            wire.expect_frame(TEXT, b"Hello")
            wire.send(close(1000))
            wire.expect_frame(CLOSE, b"\x03\xe8")
            wire.expect_end()

    def test_versions_that_are_spoken(self):
        with Wire(server) as wire:
            wire.send(request("Sec-WebSocket-Version: 6"))
            answer = wire.answer()
        self.assertEqual((answer.status, answer.headers["sec-websocket-version"]),
                         (426, "13, 8, 7"))

    def test_none_of_it_unless_asked_for(self):
        with Server() as plain:
            for data in (HIXIE_75, HIXIE_76 + KEY3, request("Sec-WebSocket-Version: 8")):
                with Wire(plain) as wire:
                    wire.send(data)
                    answer = wire.answer()
                self.assertEqual((answer.status, answer.headers["sec-websocket-version"]),
                                 (426, "13"))


echo_server.add_cases(Hybi, [
    ("7", 7, "Sec-WebSocket-Origin"),
    ("8", 8, "Sec-WebSocket-Origin"),
    ("8 with the new name", 8, "Origin"),
    ("13", 13, "Origin"),
], Hybi.check_echo)


class Perl(unittest.TestCase):
    LINES = b"Hello\n\nk\xc3\xb6nnen\n" + b"x" * 60_000 + b"\n"

    def peer(self, *arguments, **options):
        process = subprocess.Popen(["/usr/bin/perl", PEER, *arguments], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, **options)
        echo_server.cleanup.callback(process.kill)
        return process

    def check_client(self, draft):
        peer = self.peer("client", draft, str(server.port), stdin=subprocess.PIPE)
        output, errors = peer.communicate(self.LINES, TIMEOUT)
        self.assertEqual((peer.returncode, errors), (0, b""))
        self.assertTrue(output == self.LINES)

    def check_server(self, version, draft):
        peer = self.peer("server", draft)
        port = int(peer.stdout.readline())
        url = f"ws://127.0.0.1:{port}/chat?room=1"
        cat = subprocess.Popen([echo_server.options.cat, url, "--draft", str(version),
                                "--linger", "0"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
        echo_server.cleanup.callback(cat.kill)
        for line in self.LINES.splitlines(keepends=True):
            cat.stdin.write(line)
            cat.stdin.flush()
            self.assertEqual(cat.stdout.readline(), line)
        for process in (cat, peer):
            output, errors = process.communicate(timeout=TIMEOUT)
            self.assertEqual((process.returncode, output, errors), (0, b"", b""))


echo_server.add_cases(Perl, [(each, each) for each in DRAFTS.values()], Perl.check_client)
echo_server.add_cases(Perl, [(each, version, each) for version, each in DRAFTS.items()],
                      Perl.check_server)


class Proxies(unittest.TestCase):
    """They stand before the server, on a Unix socket, for which no port has to be free."""

    NGINX = """
        daemon off; master_process off; pid {folder}/pid; error_log stderr;
        events {{}}
        http {{
          access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
          fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
          server {{
            listen unix:{folder}/socket;
            location / {{
              proxy_pass http://{server};
              proxy_http_version 1.1;
              proxy_set_header Host $http_host;
              proxy_set_header Upgrade $http_upgrade;
              proxy_set_header Connection $http_connection;
            }}
          }}
        }}
        """
    HAPROXY = """
        defaults
          mode tcp
          timeout connect 30s
          timeout client 30s
          timeout server 30s
        listen drafts
          bind unix@{folder}/socket
          server echo {server}
        """

    def check_proxy(self, program, arguments, configuration):
        with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as started:
            file = pathlib.Path(folder, "configuration")
            text = configuration.format(folder=folder, server=server.authority)
            file.write_text(text.rstrip() + "\n")
            proxy = subprocess.Popen([program, *(each.format(folder=folder, file=file)
                                                 for each in arguments)],
                                     stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            started.callback(proxy.wait)
            started.callback(proxy.kill)
            for head, proof in ((HIXIE_75, b""), (HIXIE_76 + KEY3, PROOF)):
                connected = self.connected(proxy, f"{folder}/socket")
                wire = started.enter_context(Wire(server, connected))
                wire.send(head + b"\0Hello\xff")
                wire.upgraded()
                expect(wire, proof + b"\0Hello\xff")
                wire.send(b"\0again\xff")
                expect(wire, b"\0again\xff")

    def connected(self, proxy, path):
        deadline = time.monotonic() + TIMEOUT
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(TIMEOUT)
        while True:
            try:
                client.connect(path)
                return client
            except OSError:
                if proxy.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError(proxy.stderr.read().decode()) from None
                time.sleep(0.01)


echo_server.add_cases(Proxies, [
    ("nginx", "/usr/sbin/nginx", ("-p", "{folder}", "-c", "{file}"), Proxies.NGINX),
    ("haproxy", "/usr/sbin/haproxy", ("-db", "-f", "{file}"), Proxies.HAPROXY),
], Proxies.check_proxy)


if __name__ == "__main__":
    echo_server.run(lambda parser: parser.add_argument("--cat", help="the client"))
