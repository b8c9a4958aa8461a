"""Servers in Python that bench-load is run against: right ones, and every kind of wrong one.

A server runs a function of the test's for each connection, on a thread of its own. What it is given
speaks enough of WebSocket to be right, and lets the test be wrong byte by byte.
"""

import contextlib
import socket
import struct
import threading

TIMEOUT = 30  # seconds; only bounds a wait for something that has to happen

CONTINUATION, TEXT, BINARY, CLOSE = 0, 1, 2, 8
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # RFC 6455, section 1.3: of the key that bench-load sends


def frame(opcode, payload, fin=True, first=0, second=0):
    """A server's frame; `first` and `second` are bits more in its first bytes."""
    size = len(payload)
    head = bytes([(0x80 if fin else 0) | opcode | first])
    if size < 126:
        head += bytes([size | second])
    elif size < 65536:
        head += bytes([126 | second]) + struct.pack("!H", size)
    else:
        head += bytes([127 | second]) + struct.pack("!Q", size)
    return head + payload


class Peer:
    """The server's side of one connection."""

    def __init__(self, stream):
        self.socket = stream
        self.file = stream.makefile("rb")
        self.keys = []  # of the frames that came

    def send(self, data):
        self.socket.sendall(data)

    def read_head(self):
        lines = []
        while (line := self.file.readline()) not in (b"\r\n", b""):
            lines.append(line)
        return b"".join(lines)

    def upgrade(self, accept=ACCEPT):
        self.read_head()
        self.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                  b"Connection: Upgrade\r\nsec-websocket-accept:" + accept.encode() + b" \r\n\r\n")

    def read_frame(self):
        """(opcode, payload), or None at the end. A client's frames are final and masked."""
        head = self.file.read(2)
        if len(head) < 2:
            return None
        if head[0] & 0xF0 != 0x80 or not head[1] & 0x80:
            raise AssertionError(f"the header {head.hex()} of a client")
        size = head[1] & 0x7F
        if size == 126:
            (size,) = struct.unpack("!H", self.file.read(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", self.file.read(8))
        key = self.file.read(4)
        self.keys.append(key)
        masked = self.file.read(size)
        mask = (key * (size // 4 + 1))[:size]
        number = int.from_bytes(masked, "big") ^ int.from_bytes(mask, "big")
        return head[0] & 15, number.to_bytes(size, "big")

    def messages(self):
        """The messages up to a Close frame, which is answered, or the end."""
        while (message := self.read_frame()) is not None:
            if message[0] == CLOSE:
                self.send(frame(*message))
                return
            yield message

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class Server:
    """Runs serve(peer) for every connection. What it raises is raised again at the end."""

    def __init__(self, serve):
        self.serve = serve
        self.threads = []
        self.streams = []
        self.failures = []
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port = self.listener.getsockname()[1]
        self.acceptor = threading.Thread(target=self.accept)

    def __enter__(self):
        self.acceptor.start()
        return self

    def __exit__(self, *error):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)  # ends accept()
        self.acceptor.join(TIMEOUT)
        self.listener.close()
        for stream in self.streams:
            with contextlib.suppress(OSError):
                stream.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join(TIMEOUT)
        if self.failures and not any(error):
            raise self.failures[0]

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                stream, _ = self.listener.accept()
                stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.streams.append(stream)
                self.threads.append(threading.Thread(target=self.run, args=(stream,)))
                self.threads[-1].start()

    def run(self, stream):
        peer = Peer(stream)
        try:
            self.serve(peer)
        except OSError:
            pass  # the client has gone
        except Exception as failure:
            self.failures.append(failure)
        finally:
            peer.file.close()
            stream.close()


def echo(peer):
    peer.upgrade()
    for opcode, payload in peer.messages():
        peer.send(frame(opcode, payload))


def raw_echo(peer):
    while data := peer.socket.recv(1 << 16):
        peer.send(data)


def broadcaster():
    """A function for Server that sends every message to all connections."""
    peers, lock = [], threading.Lock()

    def serve(peer):
        with lock:
            peer.upgrade()
            peers.append(peer)
        for opcode, payload in peer.messages():
            with lock:
                for each in peers:
                    each.send(frame(opcode, payload))

    return serve
