"""Instructions per echoed message, counted by callgrind: bench/instructions.py [BIN]

BIN is the folder of the executables (build/release/bin). Counted are the core alone
(bench-session-echo) and the whole process of every echo server that is there, driven by a client of
plain sockets. A count is the difference of two runs of different length, so that starting up does not
matter. Only instructions of the program are counted, none of the kernel.
"""

import os
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

SHORT, LONG = 1600, 4800
CASES = [(1, 16), (16, 16), (1, 1024)]  # (messages sent at once, bytes of text)
KEY = bytes([0x12, 0x34, 0x56, 0x78])
REQUEST = (
    b"GET / HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
PATIENCE = 60  # seconds


def valgrind(out, *command, **options):
    return subprocess.Popen(
        ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", *map(str, command)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, **options,
    )


def counted(out):
    return int(re.search(r"^(?:summary|totals): (\d+)", Path(out).read_text(), re.M)[1])


def core_alone(program, messages, pipeline, size, *none):
    with tempfile.TemporaryDirectory() as folder:
        out = f"{folder}/out"
        process = valgrind(out, program, messages, pipeline, size, *none)
        process.communicate(timeout=PATIENCE)
        if process.returncode != 0:
            sys.exit(f"{program} failed")
        return counted(out)


def drive(port, messages, pipeline, size):
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as peer:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer.sendall(REQUEST)
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += peer.recv(4096)
        text = bytes(97 + i % 26 for i in range(size))
        masked = bytes(c ^ KEY[i % 4] for i, c in enumerate(text))
        length = bytes([0x80 | size]) if size < 126 else b"\xfe" + struct.pack(">H", size)
        plain = bytes([size]) if size < 126 else b"\x7e" + struct.pack(">H", size)
        batch = (b"\x81" + length + KEY + masked) * pipeline
        expected = (b"\x81" + plain + text) * pipeline
        for _ in range(messages // pipeline):
            peer.sendall(batch)
            echoed = b""
            while len(echoed) < len(expected):
                echoed += peer.recv(len(expected) - len(echoed))
            if echoed != expected:
                sys.exit("an echo is wrong")


def whole_process(program, messages, pipeline, size):
    with tempfile.TemporaryDirectory() as folder:
        out = f"{folder}/out"
        server = valgrind(out, program, "--port", "0", "--quiet")
        try:
            port = int(re.search(rb":(\d+)/", server.stdout.readline())[1])
            drive(port, messages, pipeline, size)
        finally:
            server.send_signal(signal.SIGTERM)
            server.communicate(timeout=PATIENCE)
        return counted(out)


def per_message(count, *case):
    return (count(LONG, *case) - count(SHORT, *case)) / (LONG - SHORT)


def main():
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "build/release/bin")
    core = folder / "bench-session-echo"
    servers = sorted(folder.glob("echo-*"))
    if not core.exists() or not servers:
        sys.exit(f"{folder} holds no bench-session-echo and echo-*: build them first")
    rows = [("", *(f"{size} B x {pipeline}" for pipeline, size in CASES))]
    rows.append(("core alone", *(
        per_message(lambda *a: core_alone(core, *a), *case)
        - per_message(lambda *a: core_alone(core, *a, "none"), *case)
        for case in CASES
    )))
    for server in servers:
        rows.append((server.name, *(
            per_message(lambda *a: whole_process(server, *a), *case) for case in CASES
        )))
    for name, *cells in rows:
        print(f"{name:<16}", *(f"{c if isinstance(c, str) else round(c):>12}" for c in cells))


if __name__ == "__main__":
    main()
