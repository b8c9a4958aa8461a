"""Whether a server echoes at all, by a client that is not ours: Python's websockets.

A number of a server that echoes something else is worth nothing.
"""

import asyncio
import os
import signal

SIZES = (0, 1, 125, 126, 127, 4096, 65535, 65536, 65537, 1024 * 1024)
PATIENCE = 20  # seconds, for any one thing that is awaited


class Failed(Exception):
    """What a server did not do; a sentence."""


def check(running, closes):
    """How many checks a running server has passed; raises Failed at the first that it does not.

    `closes`: on SIGTERM it also has to close its connection with 1001, and to end with 0.
    """
    try:
        import websockets  # noqa: F401
    except ImportError:
        raise Failed("there is no Python package websockets: install python3-websockets") from None
    return asyncio.run(Checks(running).run(closes))


class Checks:
    def __init__(self, running):
        self.running = running
        self.passed = 0

    async def run(self, closes):
        import websockets

        try:
            client = await patiently(
                websockets.connect(
                    f"ws://127.0.0.1:{self.running.port}/", compression=None, max_size=None,
                    ping_interval=None,
                ),
                "no handshake",
            )
            try:
                await self.echoes(client)
                if closes:
                    await self.closing(client)
            finally:
                client.transport.abort()
        except (OSError, websockets.WebSocketException) as error:
            raise Failed(str(error) or type(error).__name__) from None
        return self.passed

    async def echoes(self, client):
        for size in SIZES:
            for message in (os.urandom(size), text_of(size)):
                await client.send(message)
                echo = await patiently(client.recv(), f"no echo of {size} bytes")
                kind = type(message).__name__
                self.that(type(echo) is type(message), f"{kind} came back as {type(echo).__name__}")
                self.that(echo == message, f"{size} bytes of {kind} came back changed")
        await patiently(await client.ping(), "no pong")
        self.passed += 1

    async def closing(self, client):
        os.kill(self.running.pid, signal.SIGTERM)
        await patiently(client.wait_closed(), "the client was not closed after SIGTERM")
        self.that(client.close_code == 1001, f"close code {client.close_code}, not 1001")
        await patiently(self.ended(), "it did not stop after SIGTERM")

    async def ended(self):
        # WNOWAIT: it stays the child of who has started it, to be waited for.
        how = os.WEXITED | os.WNOHANG | os.WNOWAIT
        while not (end := os.waitid(os.P_PID, self.running.pid, how)):
            await asyncio.sleep(0.01)
        self.that(
            (end.si_code, end.si_status) == (os.CLD_EXITED, 0), f"it stopped with {end.si_status}"
        )

    def that(self, right, otherwise):
        if not right:
            raise Failed(otherwise)
        self.passed += 1


def text_of(size):
    """Text of exactly size bytes, not all of it ASCII where there is room."""
    return "é" * (size // 2) + "x" * (size % 2)


async def patiently(awaitable, otherwise):
    try:
        return await asyncio.wait_for(awaitable, PATIENCE)
    except asyncio.TimeoutError:
        raise Failed(f"{otherwise} in {PATIENCE} s") from None
