#!/usr/bin/python3
"""The by-hand example, one connection for one process, with a `wsproto` client on a plain socket.

Every test is something that hand-written WebSocket loops get wrong.
"""

import select
import socket
import unittest

from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage

import echo_server
from echo_server import Server
from wsproto_peer import Peer

READY = r"listening on 127\.0\.0\.1:(\d+)"
MIB = 1 << 20


class ByHand(unittest.TestCase):
    def setUp(self):
        self.server = Server("0", ready=READY)
        self.addCleanup(self.server.kill)  # for a test that failed; otherwise it ended on its own

    def peer(self, **options):
        peer = Peer(self.server.address, **options)
        self.addCleanup(peer.socket.close)
        return peer

    def opened(self, **options):
        peer = self.peer(**options)
        peer.open()
        return peer

    def close(self, peer):
        """The closing handshake; then the client leaves and the process ends with exit code 0."""
        peer.close()
        peer.socket.close()
        self.server.expect_exit()

    def test_empty_message_and_message_0(self):
        peer = self.opened()
        for text in ("", "0", "not empty", "", "0"):
            peer.send(TextMessage(data=text))
            peer.expect(text)
        peer.send(BytesMessage(data=b""), BytesMessage(data=b"0"))
        peer.expect(b"", b"0")
        self.close(peer)

    def test_binary_stays_binary(self):
        peer = self.opened()
        every_byte = bytes(range(256))
        peer.send(BytesMessage(data=every_byte), TextMessage(data="text"))
        peer.send(BytesMessage(data=b"text"))
        peer.expect(every_byte, "text", b"text")
        self.close(peer)

    def test_frames_glued_to_the_handshake(self):
        # wsproto encodes no message before it knows the answer: two masked frames, written out.
        hello = b"\x81\x85\0\0\0\0hello"
        ping = b"\x89\x84\0\0\0\0ping"
        peer = self.peer()
        peer.socket.sendall(peer.request() + hello + ping + hello)
        peer.accepted()
        peer.expect("hello", Pong(payload=b"ping"), "hello")
        self.close(peer)

    def test_byte_by_byte(self):
        peer = self.peer()
        for byte in peer.request():
            peer.socket.send(bytes([byte]))
        peer.accepted()
        for byte in peer.encode(TextMessage(data="in ", message_finished=False), Ping(payload=b"p"),
                                TextMessage(data="pärts")):
            peer.socket.send(bytes([byte]))
        peer.expect(Pong(payload=b"p"), "in pärts")
        self.close(peer)

    def test_ping_is_answered_by_pong(self):
        peer = self.opened()
        peer.send(Ping(payload=b"payload"), TextMessage(data="text"), Ping(payload=b""))
        peer.expect(Pong(payload=b"payload"), "text", Pong(payload=b""))
        self.close(peer)

    def test_many_messages_in_one_send(self):
        peer = self.opened()
        texts = [f"message {i}" for i in range(1000)]
        sending = peer.send_in_background(peer.encode(*(TextMessage(data=text) for text in texts)))
        peer.expect(*texts)
        sending.join()
        self.close(peer)

    def test_slow_reader(self):
        """The client sends 4 MiB, and reads nothing until all is sent or no more is taken."""
        messages = [bytes([i]) + bytes(range(256)) * (MIB // 256) for i in range(4)]
        peer = self.opened(receive_buffer=4096, read_size=50_000)
        left = memoryview(peer.encode(*(BytesMessage(data=message) for message in messages)))
        while left and select.select([], [peer.socket], [], 1)[1]:
            left = left[peer.socket.send(left[:65536], socket.MSG_DONTWAIT):]
        sending = peer.send_in_background(left)
        peer.expect(*messages)
        sending.join()
        self.close(peer)

    def check_close(self, code):
        peer = self.opened()
        peer.send(TextMessage(data="last words"), CloseConnection(code=code, reason="done"))
        peer.expect("last words")
        peer.expect_close(code)
        peer.expect_end()
        peer.socket.close()
        self.server.expect_exit()

    def test_fault_is_answered(self):
        peer = self.opened()
        peer.socket.sendall(b"\xc1\x80\0\0\0\0")
        peer.expect_close(1002)
        peer.expect_end()
        peer.socket.close()
        self.server.expect_exit()

    def test_rejected_handshake(self):
        peer = self.peer()
        peer.socket.sendall(b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n")
        answer = b""
        while data := peer.socket.recv(65536):
            answer += data
        self.assertTrue(answer.startswith(b"HTTP/1.1 400 "), answer)
        peer.socket.close()
        self.server.expect_exit()

    def test_client_vanishes(self):
        peer = self.opened()
        peer.send(TextMessage(data="hello"))
        peer.expect("hello")
        peer.socket.close()  # without a Close frame
        self.server.expect_exit()

    def test_client_vanishes_inside_a_message(self):
        peer = self.opened()
        peer.send(TextMessage(data="unfinished", message_finished=False))
        peer.socket.close()
        self.server.expect_exit()

    def test_client_vanishes_inside_the_handshake(self):
        peer = self.peer()
        peer.socket.sendall(peer.request()[:-4])
        peer.socket.close()
        self.server.expect_exit()

    def test_client_vanishes_with_answers_unread(self):
        # Closing with unread input is a reset: writing to it must not end in a SIGPIPE.
        peer = self.opened(receive_buffer=4096)
        sending = peer.send_in_background(peer.encode(BytesMessage(data=b"x" * MIB)))
        sending.join()
        peer.socket.recv(1)
        peer.socket.close()
        self.server.expect_exit()


echo_server.add_cases(ByHand, [(str(code), code) for code in (1000, 1001, 3001, 4999)],
                      ByHand.check_close)


if __name__ == "__main__":
    echo_server.run()
