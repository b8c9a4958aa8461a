#!/usr/bin/python3
"""The Python `wsproto` library on plain sockets as a client of an echo server.

What leaves in one send, and what one read takes, is chosen here.
"""

import socket
import unittest

from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage

import echo_server
from echo_server import Server
from wsproto_peer import Peer

server = None


def setUpModule():
    global server
    server = Server()


def tearDownModule():
    server.stop()


def text(data, **parts):
    return TextMessage(data=data, **parts)


def binary(data, **parts):
    return BytesMessage(data=data, **parts)


class Wsproto(unittest.TestCase):
    def peer(self, **options):
        peer = Peer(server.address, **options)
        self.addCleanup(peer.socket.close)
        return peer

    def opened(self, **options):
        peer = self.peer(**options)
        peer.open()
        return peer

    def test_echo_and_types(self):
        peer = self.opened()
        every_byte = bytes(range(256))
        peer.send(text(""), binary(b""), text("0"), binary(b"0"), text("ä€"), binary(every_byte))
        peer.expect("", b"", "0", b"0", "ä€", every_byte)
        peer.close()

    def test_byte_by_byte(self):
        peer = self.peer()
        for byte in peer.request():
            peer.socket.send(bytes([byte]))
        peer.accepted()
        for byte in peer.encode(text("hello"), binary(b"x" * 200), Ping(payload=b"p"),
                                text("in ", message_finished=False), text("pärts")):
            peer.socket.send(bytes([byte]))
        peer.expect("hello", b"x" * 200, Pong(payload=b"p"), "in pärts")
        for byte in peer.encode(CloseConnection(code=1000)):
            peer.socket.send(bytes([byte]))
        peer.expect_close(1000)
        peer.expect_end()

    def test_frames_glued_to_the_handshake(self):
        # wsproto encodes no message before it knows the answer: these frames come from another one.
        frames = self.opened().encode(text("first"), Ping(payload=b"ping"), binary(b"second"),
                                      text(""), binary(b"z" * 70000))
        peer = self.peer()
        request = peer.request()
        sending = peer.send_in_background(request + frames)
        peer.accepted()
        peer.expect("first", Pong(payload=b"ping"), b"second", "", b"z" * 70000)
        sending.join()
        peer.close()

    def test_close_glued_to_the_handshake(self):
        close = self.opened().encode(text("hello"), CloseConnection(code=3333, reason="brief"))
        peer = self.peer()
        peer.socket.sendall(peer.request() + close)
        peer.accepted()
        peer.expect("hello")
        peer.expect_close(3333)
        peer.expect_end()

    def test_ping_between_fragments(self):
        peer = self.opened()
        peer.send(text("one ", message_finished=False))
        peer.send(Ping(payload=b"in between"))
        peer.expect(Pong(payload=b"in between"))  # at once: the message is not yet whole
        peer.send(text("two ", message_finished=False), Ping(payload=b""), text("three"))
        peer.expect(Pong(payload=b""), "one two three")
        peer.close()

    def test_pong_carries_the_payload(self):
        peer = self.opened()
        for payload in (b"", b"\0", bytes(range(125))):
            peer.send(Ping(payload=payload))
            peer.expect(Pong(payload=payload))
        peer.close()

    def test_pong_nobody_asked_for_is_ignored(self):
        peer = self.opened()
        peer.send(Pong(payload=b"unsolicited"), text("hello"))
        peer.expect("hello")
        peer.close()

    def test_answers_read_byte_by_byte(self):
        peer = self.opened(read_size=1)
        peer.send(text("hello"), binary(b"x" * 300), Ping(payload=b"p"))
        peer.expect("hello", b"x" * 300, Pong(payload=b"p"))
        peer.close()

    def test_answers_read_slowly(self):
        # A small window: time and again the server takes up a message where the socket refused it.
        peer = self.opened(receive_buffer=4096, read_size=1000)
        messages = [bytes([i]) * 100_000 for i in range(10)]
        sending = peer.send_in_background(peer.encode(*map(binary, messages)))
        peer.expect(*messages)
        sending.join()
        peer.close()

    def test_closing_handshake_then_end(self):
        peer = self.opened()
        peer.send(CloseConnection(code=1000, reason="done"))
        peer.expect_close(1000)
        peer.expect_end()

    def test_close_without_code(self):
        peer = self.opened()
        peer.socket.sendall(b"\x88\x80\0\0\0\0")  # wsproto cannot say nothing
        event = peer.receive()
        self.assertIsInstance(event, CloseConnection)
        self.assertIn(event.code, (1005, 1000))  # wsproto tells an empty Close as 1005
        peer.expect_end()

    def test_messages_and_close_in_one_send(self):
        peer = self.opened()
        peer.send(text("one"), binary(b"two"), CloseConnection(code=4000, reason="that was all"))
        peer.expect("one", b"two")
        peer.expect_close(4000)
        peer.expect_end()

    def test_half_close(self):
        peer = self.opened()
        messages = [f"message {i}" for i in range(50)] + ["x" * 300_000, "the last"]
        sending = peer.send_in_background(peer.encode(*map(text, messages)))
        peer.expect(messages[0])
        sending.join()
        peer.socket.shutdown(socket.SHUT_WR)
        peer.expect(*messages[1:])
        # A server may say Close before it ends the connection, and it has to end it.
        event = peer.receive()
        if isinstance(event, CloseConnection):
            event = peer.receive()
        self.assertIsNone(event)

    def test_vanished_clients_do_no_harm(self):
        for _ in range(20):
            peer = self.opened()
            peer.send(text("unfinished", message_finished=False))
            peer.socket.close()
            with Peer(server.address) as half_way:
                half_way.socket.sendall(half_way.request()[:-10])
        peer = self.opened()
        peer.send_text("still there")
        peer.expect("still there")
        peer.close()

    def test_subprotocol(self):
        peer = self.peer()
        self.assertEqual(peer.open(subprotocols=["b", "a"]).subprotocol, "b")
        peer.close()


if __name__ == "__main__":
    echo_server.run()
