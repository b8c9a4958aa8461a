"""System calls per connection and per message, counted by strace: bench/system_calls.py [BIN]

BIN is the folder of the executables (build/release/bin). Every echo server that is there is driven by
a client of plain sockets. A connection is all of it: accept, handshake, one echo, closing handshake,
end; one after the other, 16 at once, and a burst of as many as there are. A count is the difference
of two runs of different length, so that starting up does not matter.
"""

import collections
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from comparison.syscalls import parse
from instructions import KEY, PATIENCE, REQUEST, drive

CASES = [  # (name, the shorter run, the longer run, messages sent at once or connections at once)
    ("connection", 16, 116, 1),
    ("16 at once", 32, 192, 16),
    ("a burst", 16, 416, 416),
    ("message", 16, 416, 1),
    ("16 B x 16", 160, 1760, 16),
]
TEXT = b"\x81\x90" + KEY + bytes(c ^ KEY[i % 4] for i, c in enumerate(b"sixteen bytes OK"))
CLOSE = b"\x88\x82" + KEY + bytes([0x03 ^ KEY[0], 0xE8 ^ KEY[1]])


def read(peer, is_all):
    got = b""
    while not is_all(got):
        more = peer.recv(4096)
        if not more:
            sys.exit("a server ended a connection too early")
        got += more


def connect(port, total, at_once):
    for start in range(0, total, at_once):
        peers = [socket.create_connection(("127.0.0.1", port), PATIENCE)
                 for _ in range(min(at_once, total - start))]
        for send, is_all in [(REQUEST, lambda got: b"\r\n\r\n" in got),
                             (TEXT, lambda got: len(got) == 18),
                             (CLOSE, lambda got: len(got) == 4)]:
            for peer in peers:
                peer.sendall(send)
            for peer in peers:
                read(peer, is_all)
        for peer in peers:
            if peer.recv(1) != b"":
                sys.exit("a server sent something behind its close frame")
            peer.close()


def count(server, name, total, at_once):
    """How often each system call was made while so many connections or messages came."""
    with tempfile.TemporaryDirectory() as folder:
        out = f"{folder}/out"
        tracer = subprocess.Popen(
            ["strace", "-f", "-c", "-o", out, str(server), "--port", "0", "--quiet"],
            stdout=subprocess.PIPE,
        )
        try:
            port = int(re.search(rb":(\d+)/", tracer.stdout.readline())[1])
            if name in ("message", "16 B x 16"):
                drive(port, total, at_once, 16)
            else:
                connect(port, total, at_once)
        finally:
            # strace ends with the server, and then says what it counted.
            children = Path(f"/proc/{tracer.pid}/task/{tracer.pid}/children").read_text()
            for child in children.split():
                os.kill(int(child), signal.SIGTERM)
            tracer.communicate(timeout=PATIENCE)
        return collections.Counter(parse(Path(out).read_text()))


def per_one(server, name, short, long, at_once):
    longer = count(server, name, long, at_once)
    longer.subtract(count(server, name, short, at_once))
    return {call: calls / (long - short) for call, calls in longer.items() if calls != 0}


def main():
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "build/release/bin")
    servers = sorted(folder.glob("echo-*"))
    if not servers:
        sys.exit(f"{folder} holds no echo-*: build them first")
    print(f"{'':<16}", *(f"{name:>12}" for name, *_ in CASES))
    of_a_connection = {}
    for server in servers:
        counts = [per_one(server, *case) for case in CASES]
        of_a_connection[server.name] = counts[0]
        print(f"{server.name:<16}", *(f"{sum(c.values()):>12.2f}" for c in counts), flush=True)
    print("\nof a connection alone:")
    for server, calls in of_a_connection.items():
        print(f"{server:<16}", ", ".join(f"{call} {n:.2f}" for call, n in sorted(calls.items())))


if __name__ == "__main__":
    main()
