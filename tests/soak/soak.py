#!/usr/bin/python3
"""Everything at once, and for long: what tests/soak.sh runs, on the echo server of each loop.

While connections come and go, lie idle, read slowly, and others reset, send garbage and announce
what they never send, some echo messages of every size, and all that comes back to them is checked.
At the end nobody is left, and the server is as small as it was, has as many descriptors, and ends
when it is told to.
"""

import argparse
import json
import os
import pathlib
import random
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import zlib

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "interop"))

from wire import (BINARY, CONTINUATION, PING, TEXT, Wire, close, expect_alive,  # noqa: E402
                  frame, header, request)

MIB = 1 << 20
WARM_UP = 0.2  # of the time: then the server is as large as the load makes it
PATIENCE = 60  # seconds for any one thing that has to happen
GROWTH = 32 * MIB  # what may be kept: blocks for the next message, and what the allocator holds

BOMB = frame(TEXT, zlib.compress(b"\0" * 64 * MIB, wbits=-15), rsv=4)

# What bench-load does for a moment; it checks what comes back.
LOADS = [
    ["closed", "--connections", "1", "--size", "16"],
    ["closed", "--connections", "50", "--pipeline", "16", "--size", "125"],
    ["closed", "--connections", "50", "--size", "1024", "--payload", "mixed"],
    ["closed", "--connections", "20", "--pipeline", "4", "--size", "65536"],
    ["closed", "--connections", "4", "--size", "1048576"],
    ["open", "--connections", "50", "--rate", "3000", "--size", "200"],
    ["churn", "--concurrency", "32"],
    ["idle", "--connections", "500", "--active", "5"],
    ["slow", "--connections", "10", "--drain", "65536", "--active", "5", "--size", "4096"],
]


class Failed(Exception):
    """What is wrong; a sentence."""


# -- Peers that do what they must not ---------------------------------------------------------------


def leave(wire):
    """Closes with RST."""
    wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def reset_anywhere(wire, dice):
    said = request() + frame(TEXT, b"x" * 5000) + close(1000)
    wire.send(said[:dice.randrange(len(said))])
    leave(wire)


def end_anywhere(wire, dice):
    said = request() + frame(BINARY, b"x" * 5000)
    wire.send(said[:dice.randrange(len(said))])
    wire.socket.shutdown(socket.SHUT_WR)
    drain(wire)


def garbage(wire, dice):
    wire.send(dice.randbytes(dice.randrange(1, 3000)))
    leave(wire)


def garbage_frames(wire, dice):
    wire.open()
    wire.send(dice.randbytes(dice.randrange(1, 3000)))
    leave(wire)


def broken_text(wire, dice):
    wire.open()
    wire.send(frame(TEXT, b"y" * dice.randrange(100_000) + b"\xff"))
    drain(wire)


def announced(wire, dice):
    """Much is announced, and little comes."""
    wire.open()
    wire.send(header(BINARY, dice.choice((16 * MIB, 2**32, 2**63, 2**64 - 1)), form=64) + b"little")
    leave(wire)


def fragments(wire, dice):
    wire.open()
    wire.send(frame(TEXT, b"", fin=False) + frame(CONTINUATION, b"", fin=False) * 2000)
    leave(wire)


def pings_unread(wire, dice):
    wire.open()
    for _ in range(20):
        wire.send(frame(PING, b"p" * 125) * 200)
    leave(wire)


def unread(wire, dice):
    wire.open()
    wire.socket.settimeout(1)
    try:
        for _ in range(50):
            wire.send(frame(BINARY, b"u" * 200_000))
    except TimeoutError:
        pass
    leave(wire)


def bomb(wire, dice):
    """Zeros, of which 64 KiB become 64 MiB."""
    wire.send(request("+Sec-WebSocket-Extensions: permessage-deflate"))
    wire.upgraded()
    wire.send(BOMB)
    wire.expect_close(1009)
    drain(wire)


def long_head(wire, dice):
    wire.send(request("+X-Long: " + "h" * 50_000))
    drain(wire)


def behind_the_close(wire, dice):
    wire.open()
    wire.send(close(1000) + frame(TEXT, b"behind") * dice.randrange(50))
    drain(wire)


def drain(wire):
    """Reads to the end, however it comes."""
    try:
        while wire.socket.recv(65536):
            pass
    except ConnectionResetError:
        pass


HOSTILE = [reset_anywhere, end_anywhere, garbage, garbage_frames, broken_text, announced, fragments,
           pings_unread, unread, bomb, long_head, behind_the_close]


# -- What has to stay right ------------------------------------------------------------------------


def echo(wire, dice, until):
    """Messages of every size, in fragments or not, written in pieces. How many came back."""
    wire.open()
    count = 0
    while count < 200 and time.monotonic() < until:
        payload = dice.randbytes(dice.choice((0, 1, 125, 126, 5000, 65535, 65536, 300_000)))
        at = dice.randrange(len(payload) + 1)
        said = (frame(BINARY, payload) if dice.random() < 0.5 else
                frame(BINARY, payload[:at], fin=False) + frame(CONTINUATION, payload[at:]))
        cut = dice.randrange(len(said))
        wire.send(said[:cut])
        wire.send(said[cut:])
        wire.expect_frame(BINARY, payload)
        count += 1
    wire.send(close(1000))
    wire.expect_close(1000)
    return count


# -- One loop --------------------------------------------------------------------------------------


class Server:
    def __init__(self, program):
        self.process = subprocess.Popen([program, "--port", "0", "--quiet", "--deflate"],
                                        stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        self.address = ("127.0.0.1", int(re.search(r":(\d+)/", line)[1]))

    def memory(self):
        """Private, in bytes."""
        rollup = pathlib.Path(f"/proc/{self.process.pid}/smaps_rollup").read_text()
        return sum(int(kib) for kib in re.findall(r"Private_\w+: +(\d+)", rollup)) * 1024

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def stop(self):
        """It ends by itself, and had nothing to say."""
        if self.process.poll() is not None:
            raise Failed(f"the server ended with {self.process.returncode}: "
                         f"{self.process.stderr.read()}")
        self.process.send_signal(signal.SIGTERM)
        try:
            _, errors = self.process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            raise Failed("the server does not end") from None
        if self.process.returncode != 0 or errors:
            raise Failed(f"the server ended with {self.process.returncode}: {errors}")

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Soak:
    """All loads on one server, each on a thread, until the time is over."""

    def __init__(self, server, load, seconds, seed):
        self.server, self.load, self.seed = server, load, seed
        self.until = time.monotonic() + seconds
        self.lock = threading.Lock()
        self.connections = self.messages = self.faults = 0
        self.failure = None

    def count(self, connections=0, messages=0, faults=0):
        with self.lock:
            self.connections += connections
            self.messages += messages
            self.faults += faults

    def run(self):
        threads = [threading.Thread(target=self.repeat, args=(work, i)) for i, work in enumerate(
            (self.volume, self.echoes, self.hostile, self.hostile, self.hostile))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self.failure:
            raise Failed(self.failure)

    def repeat(self, work, index):
        dice = random.Random(self.seed + index)
        try:
            while not self.failure and time.monotonic() < self.until:
                work(dice)
        except Exception as error:  # of any kind: it is what the run has found
            self.failure = f"{work.__name__}: {type(error).__name__}: {str(error)[:300]}"

    def volume(self, dice):
        command = [self.load, *dice.choice(LOADS), "--warmup", "0", "--seconds", "1", "--deadline",
                   str(PATIENCE), "--port", str(self.server.address[1]),
                   "--pid", str(self.server.process.pid)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=2 * PATIENCE)
        if done.returncode != 0:
            raise Failed(f"{' '.join(command[1:])}: {done.stderr.strip()}")
        found = json.loads(done.stdout)
        churn = found["mode"] == "churn"
        self.count(found["messages"] if churn else found["connections"], found["messages"])

    def echoes(self, dice):
        with Wire(self.server) as wire:
            self.count(1, echo(wire, dice, self.until))

    def hostile(self, dice):
        with Wire(self.server) as wire:
            wire.socket.settimeout(PATIENCE)
            dice.choice(HOSTILE)(wire, dice)
        self.count(1, 0, 1)


def wait_until(condition, what):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise Failed(what)
        time.sleep(0.05)


def soak(folder, loop, seconds, seed):
    """A row of figures."""
    server = Server(f"{folder}/echo-{loop}")
    try:
        with_none = server.descriptors()
        left = lambda: server.descriptors() == with_none  # noqa: E731
        Soak(server, f"{folder}/bench-load", seconds * WARM_UP, seed).run()
        wait_until(left, f"{server.descriptors() - with_none} descriptors are left of the warm-up")
        memory = server.memory()
        run = Soak(server, f"{folder}/bench-load", seconds * (1 - WARM_UP), seed + 100)
        run.run()
        wait_until(left, f"{server.descriptors() - with_none} descriptors are left")
        expect_alive(server)
        wait_until(left, "the last connection is left")
        row = [loop, run.connections, run.messages, run.faults, memory // 1024,
               server.memory() // 1024, with_none, server.descriptors()]
        if server.memory() > memory + GROWTH:
            raise Failed(f"its memory grew from {memory // 1024} to "
                         f"{server.memory() // 1024} KiB")
        server.stop()
        return row
    finally:
        server.kill()


HEAD = ["loop", "connections", "messages", "faults", "KiB at start", "at end", "descriptors at start",
        "at end"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("minutes", type=float, help="on each loop")
    parser.add_argument("loops", nargs="*", help="those that are built, if none is named")
    parser.add_argument("--bin", default=str(ROOT / "build" / "release" / "bin"))
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    options = parser.parse_args()
    built = sorted(path.name.removeprefix("echo-")
                   for path in pathlib.Path(options.bin).glob("echo-*"))
    loops = options.loops or built
    for loop in loops:
        if loop not in built:
            parser.error(f"there is no {options.bin}/echo-{loop}; there are: {', '.join(built)}")
    if not loops:
        parser.error(f"{options.bin} holds no echo-*: build them first")
    print(f"{options.minutes:g} minutes on each of {', '.join(loops)}, seed {options.seed}\n")
    print("| " + " | ".join(HEAD) + " |\n|---|" + "---:|" * (len(HEAD) - 1), flush=True)
    failed = 0
    for loop in loops:
        try:
            row = soak(options.bin, loop, 60 * options.minutes, options.seed)
            print("| " + " | ".join(f"{cell:,}" if isinstance(cell, int) else cell for cell in row) +
                  " |", flush=True)
        except Failed as failure:
            failed += 1
            print(f"{loop} FAILED: {failure}", flush=True)
    print(f"\n{len(loops) - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
