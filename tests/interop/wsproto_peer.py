"""A WebSocket client on a plain blocking socket: wsproto does the protocol.

The test does the input and output: it decides which bytes leave in one send and how much one read
may take.
"""

import socket
import threading

import wsproto
from wsproto.events import AcceptConnection, CloseConnection, Message, Request, TextMessage

from echo_server import TIMEOUT


class Peer:
    def __init__(self, address, *, receive_buffer=None, read_size=65536):
        """`receive_buffer`: SO_RCVBUF in bytes. `read_size`: the most that one recv() takes."""
        self.host = "%s:%d" % address
        self.socket = socket.socket()
        self.socket.settimeout(TIMEOUT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if receive_buffer is not None:  # before connect(), which announces the window
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.connect(address)
        self.read_size = read_size
        self.protocol = wsproto.WSConnection(wsproto.ConnectionType.CLIENT)
        self._events = iter(())

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.socket.close()

    def request(self, target="/", **options):
        """The bytes of the opening handshake."""
        return self.protocol.send(Request(host=self.host, target=target, **options))

    def encode(self, *events):
        return b"".join(map(self.protocol.send, events))

    def open(self, **options):
        self.socket.sendall(self.request(**options))
        return self.accepted()

    def accepted(self):
        event = self.event()
        if not isinstance(event, AcceptConnection):
            raise AssertionError(f"expected the handshake to be accepted, got {event}")
        return event

    def send(self, *events):
        """All of them in one send."""
        self.socket.sendall(self.encode(*events))

    def send_text(self, text):
        self.send(TextMessage(data=text))

    def send_in_background(self, data):
        """Sends from a thread of its own, so that a full send buffer does not stop the test."""
        thread = threading.Thread(target=self.socket.sendall, args=(data,), daemon=True)
        thread.start()
        return thread

    def event(self):
        """The next event as wsproto tells it, a long message in parts; None at the end of input."""
        while True:
            for event in self._events:
                return event
            data = self.socket.recv(self.read_size)
            if not data:
                return None
            self.protocol.receive_data(data)
            self._events = self.protocol.events()

    def receive(self):
        """The next event; a message is whole, as str or bytes; None is the end of input."""
        parts = []
        while True:
            event = self.event()
            if not isinstance(event, Message):
                # wsproto tells a ping between fragments when it comes; an echo server sends none.
                if parts:
                    raise AssertionError(f"a message broke off, followed by {event}")
                return event
            parts.append(event.data)
            if event.message_finished:
                return ("" if isinstance(event, TextMessage) else b"").join(parts)

    def expect(self, *expected):
        for what in expected:
            got = self.receive()
            if type(got) is not type(what) or got != what:
                raise AssertionError(f"expected {_short(what)}, got {_short(got)}")

    def expect_end(self):
        """The server ends the connection, while this side is still open."""
        self.expect(None)

    def close(self, code=1000, reason="done"):
        """The closing handshake, started here; the server then ends the connection."""
        self.send(CloseConnection(code=code, reason=reason))
        self.expect_close(code)
        self.expect_end()

    def expect_close(self, code):
        event = self.receive()
        if not isinstance(event, CloseConnection) or event.code != code:
            raise AssertionError(f"expected a Close frame with {code}, got {_short(event)}")
        return event


def _short(value):
    text = repr(value)
    return text if len(text) < 200 else f"{text[:100]}... ({type(value).__name__} of {len(value)})"
