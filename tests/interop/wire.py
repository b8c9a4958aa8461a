"""Plain sockets and the bytes of WebSocket, for what no client library would send.

Written out here by RFC 6455, and so strict with a server's answers as no library is.
"""

import contextlib
import select
import socket
import struct

from echo_server import TIMEOUT

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10

KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # of RFC 6455, section 1.3, with the answer below
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def header(opcode, length, *, fin=True, rsv=0, masked=True, form=None):
    """A frame header. `form` forces a length form: 7, 16 or 64 bits; the key is 1 2 3 4."""
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    mask = 0x80 if masked else 0
    form = form or (7 if length < 126 else 16 if length < 65536 else 64)
    if form == 7:
        data = struct.pack("!BB", first, mask | length)
    elif form == 16:
        data = struct.pack("!BBH", first, mask | 126, length)
    else:
        data = struct.pack("!BBQ", first, mask | 127, length)
    return data + (b"\1\2\3\4" if masked else b"")


def masked(payload):
    size = len(payload)
    key = (b"\1\2\3\4" * (size // 4 + 1))[:size]
    # As two large numbers, for Python is slow at bytes.
    return (int.from_bytes(payload, "little") ^ int.from_bytes(key, "little")).to_bytes(size, "little")


def frame(opcode, payload=b"", **options):
    return header(opcode, len(payload), **options) + (
        masked(payload) if options.get("masked", True) else payload)


def close(code, reason=b""):
    return frame(CLOSE, struct.pack("!H", code) + reason)


def request(*changes, start="GET / HTTP/1.1"):
    """A valid upgrade request, changed: "Name: value" replaces, "-Name" removes, "+line" adds."""
    fields = {"Host": "localhost", "Upgrade": "websocket", "Connection": "Upgrade",
              "Sec-WebSocket-Key": KEY, "Sec-WebSocket-Version": "13"}
    added = []
    for change in changes:
        if change.startswith("-"):
            del fields[change[1:]]
        elif change.startswith("+"):
            added.append(change[1:])
        else:
            name, value = change.split(": ", 1)
            if name not in fields:
                raise ValueError(f"nothing to replace: {name}")
            fields[name] = value
    lines = [start] + [f"{name}: {value}" for name, value in fields.items()] + added
    return "".join(line + "\r\n" for line in lines).encode("latin-1") + b"\r\n"


class Answer:
    """An HTTP answer: status, headers by lower-case name, body, and what came behind it."""

    def __init__(self, data):
        self.data = data
        head, end, rest = data.partition(b"\r\n\r\n")
        if not end:
            raise AssertionError(f"not a whole HTTP answer: {data!r}")
        self.line, *lines = head.decode("latin-1").split("\r\n")
        version, status, _ = self.line.split(" ", 2)
        if version != "HTTP/1.1":
            raise AssertionError(f"not an HTTP/1.1 answer: {self.line}")
        self.status = int(status)
        self.headers = {}
        for line in lines:
            name, value = line.split(":", 1)
            if name.lower() in self.headers:
                raise AssertionError(f"two headers {name}")
            self.headers[name.lower()] = value.strip()
        length = int(self.headers.get("content-length", 0))
        if len(rest) < length:
            raise AssertionError(f"Content-Length is {length}, but only {len(rest)} bytes came")
        self.body, self.rest = rest[:length], rest[length:]


class Reset(AssertionError):
    """The server reset the connection instead of ending it."""


class Wire:
    """A socket and the bytes read from it."""

    def __init__(self, server, connected=None):
        """`connected`: a socket that leads there already, if it is not to connect."""
        self.socket = connected
        if connected is None:
            self.socket = socket.create_connection(server.address, TIMEOUT)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.input = b""
        self.was_reset = False

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.socket.close()

    def send(self, data):
        """That nobody listens any more is seen where the answer is read."""
        with self._noting_reset(), contextlib.suppress(BrokenPipeError):
            self.socket.sendall(data)

    def send_and_read(self, data):
        """To a server that waits for its answers to be read."""
        self.socket.setblocking(False)
        try:
            while data:
                readable, writable, _ = select.select([self.socket], [self.socket], [], TIMEOUT)
                if not readable and not writable:
                    raise AssertionError("the server neither reads nor writes")
                if readable and not self._more():
                    raise AssertionError(f"the end of input, and {len(data)} bytes were not taken")
                if writable:
                    data = data[self.socket.send(data):]
        finally:
            self.socket.settimeout(TIMEOUT)

    def send_byte_by_byte(self, data):
        """Stops where the server has ended the connection."""
        with contextlib.suppress(Reset):  # told again where the answer is read
            for i in range(len(data)):
                if select.select([self.socket], [], [], 0)[0] and not self._more():
                    return
                self.send(data[i:i + 1])

    def _more(self):
        data = b""
        with self._noting_reset():
            data = self.socket.recv(65536)
        if not data and self.was_reset:
            raise Reset(f"reset by the server, and unread is {self.input[:200]!r}")
        self.input += data
        return bool(data)

    @contextlib.contextmanager
    def _noting_reset(self):
        try:
            yield
        except ConnectionResetError:  # the system tells it only once
            self.was_reset = True

    def take(self, size):
        while len(self.input) < size:
            if not self._more():
                raise AssertionError(f"the end of input, expected {size} bytes, got {self.input!r}")
        data, self.input = self.input[:size], self.input[size:]
        return data

    def upgraded(self):
        """Reads the 101 and nothing behind it."""
        while b"\r\n\r\n" not in self.input:
            if not self._more():
                break
        end = self.input.find(b"\r\n\r\n") + 4
        answer = Answer(self.input[:end] if end >= 4 else self.input)
        if answer.status != 101:
            raise AssertionError(f"expected 101, got {self.input!r}")
        self.input = self.input[end:]
        return answer

    def open(self):
        self.send(request())
        return self.upgraded()

    def frame(self):
        """The next frame: opcode and payload. A server's frames are unmasked, whole and minimal."""
        first, second = self.take(2)
        if not first & 0x80 or first & 0x70 or second & 0x80:
            raise AssertionError(f"a frame with a header of {first:#x} {second:#x}")
        length, least = second, 0
        if second == 126:
            (length,), least = struct.unpack("!H", self.take(2)), 126
        elif second == 127:
            (length,), least = struct.unpack("!Q", self.take(8)), 1 << 16
        if length < least:
            raise AssertionError(f"the length {length} is not in its shortest form")
        return first & 15, self.take(length)

    def expect_frame(self, opcode, payload):
        got = self.frame()
        if got != (opcode, payload):
            raise AssertionError(f"expected opcode {opcode}, {payload[:100]!r}, got {got!r}")

    def expect_close(self, code):
        """A Close frame with this code, then the end of input. Returns the reason."""
        opcode, payload = self.frame()
        if opcode != CLOSE or payload[:2] != struct.pack("!H", code):
            got = f"opcode {opcode}, {payload!r}"
            if opcode == CLOSE and len(payload) >= 2:
                got = f"Close {struct.unpack('!H', payload[:2])[0]}, {payload[2:]!r}"
            raise AssertionError(f"expected Close {code}, got {got}")
        if len(payload) > 125:
            raise AssertionError(f"a Close frame of {len(payload)} bytes")
        self.expect_end()
        return payload[2:].decode()

    def expect_end(self):
        if self.input or self._more():
            raise AssertionError(f"expected the end of input, got {self.input!r}")

    def answer(self):
        """What the server says up to the end of input: an answer that ends the connection."""
        while self._more():
            if self.input.startswith(b"HTTP/1.1 101"):  # no end would come
                raise AssertionError(f"the server accepts: {self.input!r}")
        return Answer(self.input)


def expect_alive(server):
    """A new client is served, whatever others did before."""
    with Wire(server) as wire:
        wire.open()
        wire.send(frame(TEXT, b"still there"))
        wire.expect_frame(TEXT, b"still there")
