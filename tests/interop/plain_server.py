"""Servers for a client under test, on plain sockets: for what no library would say.

Written out here by RFC 6455, and so strict with a client's frames as no library is.
"""

import base64
import hashlib
import socket
import struct
import threading

import wire
from echo_server import TIMEOUT

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def accept_for(key):
    return base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()


class Peer:
    """The server's end of one connection."""

    def __init__(self, connection):
        connection.settimeout(TIMEOUT)
        if connection.family != socket.AF_UNIX:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = connection
        self.input = bytearray()
        self.keys = []  # the masking keys that came

    def _more(self):
        data = self.socket.recv(1 << 16)
        if not data:
            raise AssertionError(f"the end of input behind {self.input!r}")
        self.input += data

    def take(self, size):
        while len(self.input) < size:
            self._more()
        data = bytes(self.input[:size])
        del self.input[:size]
        return data

    def request(self):
        """Reads the request; its lines."""
        while b"\r\n\r\n" not in self.input:
            self._more()
        head = self.take(self.input.index(b"\r\n\r\n") + 4)
        lines = head.decode("latin-1").split("\r\n")[:-2]
        self.headers = {}
        for line in lines[1:]:
            name, value = line.split(": ", 1)
            if name.lower() in self.headers:
                raise AssertionError(f"two headers {name}")
            self.headers[name.lower()] = value
        if len(base64.b64decode(self.headers["sec-websocket-key"], validate=True)) != 16:
            raise AssertionError(f"the key is not of 16 bytes: {self.headers}")
        return lines

    def answer(self, *changes, status="101 Switching Protocols"):
        """What accepts the request, changed: "Name: value" replaces or adds, "-Name" removes."""
        fields = {"Upgrade": "websocket", "Connection": "Upgrade",
                  "Sec-WebSocket-Accept": accept_for(self.headers["sec-websocket-key"])}
        for change in changes:
            if change.startswith("-"):
                del fields[change[1:]]
            else:
                name, value = change.split(": ", 1)
                fields[name] = value
        lines = [f"HTTP/1.1 {status}"] + [f"{name}: {value}" for name, value in fields.items()]
        return "".join(line + "\r\n" for line in lines).encode() + b"\r\n"

    def open(self, *changes):
        lines = self.request()
        self.send(self.answer(*changes))
        return lines

    def send(self, data):
        self.socket.sendall(data)

    def send_byte_by_byte(self, data):
        for i in range(len(data)):
            self.socket.sendall(data[i:i + 1])

    def frame(self):
        """The next frame: opcode and payload. A client's frames are masked, whole and minimal."""
        first, second = self.take(2)
        if not first & 0x80 or first & 0x70 or not second & 0x80:
            raise AssertionError(f"a frame with a header of {first:#x} {second:#x}")
        length, least = second & 0x7F, 0
        if length == 126:
            (length,), least = struct.unpack("!H", self.take(2)), 126
        elif length == 127:
            (length,), least = struct.unpack("!Q", self.take(8)), 1 << 16
        if length < least:
            raise AssertionError(f"the length {length} is not in its shortest form")
        key = self.take(4)
        self.keys.append(key)
        payload = self.take(length)
        stream = key * (length // 4 + 1)
        unmasked = int.from_bytes(payload, "big") ^ int.from_bytes(stream[:length], "big")
        return first & 15, unmasked.to_bytes(length, "big")

    def expect(self, opcode, payload):
        got = self.frame()
        if got != (opcode, payload):
            raise AssertionError(f"expected opcode {opcode}, {payload[:100]!r}, got {got!r}")

    def close(self, code=1000, reason=b""):
        """Closes, and expects to be answered alike."""
        self.send(frame(wire.CLOSE, struct.pack("!H", code) + reason))
        self.expect(wire.CLOSE, struct.pack("!H", code))
        self.socket.shutdown(socket.SHUT_WR)
        self.expect_end()

    def expect_close(self, code):
        """The client closes, and is answered alike."""
        self.expect(wire.CLOSE, struct.pack("!H", code))
        self.send(frame(wire.CLOSE, struct.pack("!H", code)))
        self.socket.shutdown(socket.SHUT_WR)
        self.expect_end()

    def expect_end(self):
        """Nothing more comes, and then the end."""
        rest = self.input + self.socket.recv(1 << 16)
        if rest:
            raise AssertionError(f"expected the end of input, got {rest!r}")

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


def frame(opcode, payload=b"", **options):
    """A server's frame."""
    return wire.frame(opcode, payload, masked=False, **options)


class Host:
    """A server that gives each connection to `talk`, as a Peer, on a thread of its own.

    As a context manager it ends listening, and raises what went wrong in `talk`.
    """

    def __init__(self, talk, address=("127.0.0.1", 0), family=socket.AF_INET):
        self._talk = talk
        self._listener = socket.create_server(address, family=family)
        self.address = self._listener.getsockname()
        if family != socket.AF_UNIX:
            self.port = self.address[1]
            host = f"[{self.address[0]}]" if family == socket.AF_INET6 else self.address[0]
            self.authority = f"{host}:{self.port}"
            self.url = f"ws://{self.authority}/"
        self.connections = 0
        self._failures = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self):
        while True:
            try:
                connection = self._listener.accept()[0]
            except OSError:  # it was shut down
                return
            self.connections += 1
            self._threads.append(threading.Thread(target=self._serve, args=[connection],
                                                  daemon=True))
            self._threads[-1].start()

    def _serve(self, connection):
        with connection:
            try:
                self._talk(Peer(connection))
            except Exception as failure:
                self._failures.append(failure)

    def stop_listening(self):
        self._listener.shutdown(socket.SHUT_RDWR)  # which wakes accept(), as close() does not
        self._threads[0].join(TIMEOUT)
        self._listener.close()

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        if self._listener.fileno() >= 0:
            self.stop_listening()
        for thread in self._threads[1:]:
            thread.join(TIMEOUT if kind is None else 1)
        if self._failures:
            raise self._failures[0]
