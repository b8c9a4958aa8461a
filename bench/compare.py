"""The same echo server on every loop, side by side.

Starts each build/release/bin/echo-*, checks its echoes with an independent client (the websockets
package of Debian's Python), measures round trips and the server's CPU time, stops it with SIGTERM,
and prints a table. Exits 1 if any backend fails a check.
"""

import argparse
import asyncio
import os
import re
import signal
import statistics
import sys
import time
from pathlib import Path

import websockets

BIN = Path(__file__).resolve().parent.parent / "build" / "release" / "bin"
READY = re.compile(r"listening on http://([0-9.]+):([0-9]+)/")
SIZES = (0, 1, 125, 126, 127, 4096, 65535, 65536, 65537, 1024 * 1024)
PAYLOAD = "sixteen bytes ok"
PATIENCE = 20  # seconds, for any one thing that is awaited
TICKS = os.sysconf("SC_CLK_TCK")


class Failed(Exception):
    """A check that a backend did not pass; its text is what the table shows."""


class Backend:
    """One echo server, its client, and what was measured."""

    def __init__(self, program):
        self.program = program
        self.name = program.name.removeprefix("echo-")
        self.process = self.client = None
        self.failure = None
        self.checks = 0
        self.round_trips = []  # median of each round, in seconds
        self.cpu_before = self.cpu = 0.0  # seconds; cpu is what the messages below cost the server
        self.messages = 0

    async def start(self):
        self.process = await asyncio.create_subprocess_exec(
            str(self.program), "--port", "0", "--quiet", stdout=asyncio.subprocess.PIPE
        )
        line = (await patiently(self.process.stdout.readline(), "no ready line")).decode()
        match = READY.search(line)
        self.check(match, f"unexpected ready line {line!r}")
        self.client = await patiently(
            websockets.connect(
                f"ws://{match[1]}:{match[2]}/", compression=None, max_size=None, ping_interval=None
            ),
            "no handshake",
        )

    async def check_echoes(self):
        for size in SIZES:
            for message in (os.urandom(size), text_of(size)):
                await self.client.send(message)
                echo = await patiently(self.client.recv(), f"no echo of {size} bytes")
                kind = type(message).__name__
                self.check(
                    type(echo) is type(message), f"{kind} came back as {type(echo).__name__}"
                )
                self.check(echo == message, f"{size} bytes of {kind} came back changed")
        await patiently(await self.client.ping(), "no pong")
        self.checks += 1

    async def measure(self, count):
        if not self.messages:
            self.cpu_before = self.cpu_seconds()
        times = await patiently(self.round(count), f"no {count} round trips", 5 * PATIENCE)
        self.messages += count
        self.round_trips.append(statistics.median(times))

    async def round(self, count):
        times = []
        for _ in range(count):
            start = time.perf_counter()
            await self.client.send(PAYLOAD)
            echo = await self.client.recv()
            times.append(time.perf_counter() - start)
            if echo != PAYLOAD:
                raise Failed("an echo came back changed while measuring")
        return times

    async def stop(self):
        """SIGTERM: close code 1001 to the client, exit code 0 of the server."""
        self.cpu = self.cpu_seconds() - self.cpu_before
        self.process.send_signal(signal.SIGTERM)
        await patiently(self.client.wait_closed(), "the client was not closed after SIGTERM")
        self.check(
            self.client.close_code == 1001, f"close code {self.client.close_code}, not 1001"
        )
        status = await patiently(self.process.wait(), "it did not stop after SIGTERM")
        self.check(status == 0, f"it stopped with {status}")

    async def clean_up(self):
        if self.client:
            self.client.transport.abort()
        if self.process and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()

    def check(self, right, otherwise):
        if not right:
            raise Failed(otherwise)
        self.checks += 1

    def cpu_seconds(self):
        stat = Path(f"/proc/{self.process.pid}/stat").read_text()
        # Fields 14 and 15, counted behind the name, which may contain anything.
        fields = stat.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS


def text_of(size):
    """Text of exactly size bytes, not all of it ASCII where there is room."""
    return "é" * (size // 2) + "x" * (size % 2)


async def patiently(awaitable, otherwise, seconds=PATIENCE):
    try:
        return await asyncio.wait_for(awaitable, seconds)
    except asyncio.TimeoutError:
        raise Failed(f"{otherwise} in {seconds} s") from None


async def attempt(backend, step, *arguments):
    """One step of a backend; after its first failure nothing more is asked of it."""
    if backend.failure:
        return
    try:
        await step(backend, *arguments)
    except (Failed, OSError, websockets.WebSocketException) as error:
        backend.failure = str(error) or type(error).__name__


async def compare(backends, rounds, count):
    try:
        for backend in backends:
            await attempt(backend, Backend.start)
            await attempt(backend, Backend.check_echoes)
        # Interleaved, and in turning order, so that a busy moment of the machine and the place in
        # the row fall on all alike.
        for turn in range(rounds):
            for at in range(len(backends)):
                await attempt(backends[(turn + at) % len(backends)], Backend.measure, count)
        for backend in backends:
            await attempt(backend, Backend.stop)
    finally:
        for backend in backends:
            await backend.clean_up()


def print_table(backends, rounds, count):
    first = next((b for b in backends if not b.failure), None)
    print(f"{'backend':<10} {'checks':<10} {'round trip':>10} {'CPU/message':>12}")
    for backend in backends:
        if backend.failure:
            print(f"{backend.name:<10} FAILED: {backend.failure}")
            continue
        # Neighbours in time are compared, so that a machine that slows down changes no ratio.
        ratio = statistics.median(
            mine / base for mine, base in zip(backend.round_trips, first.round_trips)
        )
        cpu = backend.cpu / backend.messages * 1e6
        print(f"{backend.name:<10} {f'{backend.checks} ok':<10} {ratio:>10.2f} {cpu:>9.1f} us")
    if not first:
        return
    print(f"""
Round trip: {len(PAYLOAD)} bytes of text there and back, one at a time on one connection over loopback,
relative to {first.name}; the median of {rounds} rounds of {count}, the backends taking turns. The client is
Python and takes most of the time, and shares {os.cpu_count()} cores with the server, so only the ratio is given.
CPU/message: user and system time of the server, from ticks of {1000 // TICKS} ms; {first.name} spent
{round(first.cpu * TICKS)} of them on {first.messages} messages.""")


def main():
    parser = argparse.ArgumentParser(
        prog="compare.sh", description="Compares the echo servers of all backends that were built."
    )
    parser.add_argument("--quick", action="store_true", help="fewer round trips: a few seconds")
    options = parser.parse_args()
    rounds, count = (5, 500) if options.quick else (9, 3000)

    programs = sorted(BIN.glob("echo-*"), key=lambda p: (p.name != "echo-poll", p.name))
    if not programs:
        sys.exit(f"compare: no echo servers in {BIN}: build the preset release first")
    backends = [Backend(program) for program in programs]
    asyncio.run(compare(backends, rounds, count))
    print_table(backends, rounds, count)
    sys.exit(any(backend.failure for backend in backends))


if __name__ == "__main__":
    main()
