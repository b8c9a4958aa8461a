"""One run: a fresh server on its processor, bench-load on another, nothing else of ours alive."""

import contextlib
import json
import os
import subprocess
import time

from . import checks, interrupts, syscalls
from .server import ServerFailed

DEADLINE = 60  # seconds that bench-load takes at most
CRASHING = 2  # seconds from when a client sees that its server is gone to when it has ended
GRACE = 10  # seconds more, until it is taken for hung

# What bench-load says when other programs had the processor for a whole run.
STARVED = "nothing came back while it was measured"


class Failed(Exception):
    """What went wrong in a run; a sentence."""


class Starved(Failed):
    """The run says nothing of the server: it is worth another."""


def on(cpu):
    """What a command is prefixed with to run on that processor only."""
    return [] if cpu is None else ["taskset", "--cpu-list", str(cpu)]


class Bench:
    """Runs servers and bench-load, each on its own processor."""

    def __init__(self, load, pinning):
        self.load = str(load)
        self.server_prefix, self.client_prefix = on(pinning["server"]), on(pinning["client"])

    def run(self, server, cell, warmup, seconds):
        """bench-load's JSON of one run."""
        with alive(server, self.server_prefix) as running:
            return self.client(
                server, running, cell, "--warmup", warmup, "--seconds", seconds)

    def count(self, server, cell, messages):
        """{name: system calls per message}, of a run of that many and one of three times."""
        counts = []
        for many in (messages, 3 * messages):
            with alive(server, self.server_prefix) as running:
                with syscalls.Trace(running.pid) as trace:
                    self.client(server, running, cell, "--messages", many)
            counts.append(trace.counts)
        return syscalls.per_message(*counts, 2 * messages)

    def check(self, server):
        """How many checks it has passed. Application servers of ours also have to end well."""
        running = None
        try:
            with interrupts.held():
                running = server.start(self.server_prefix)
            return checks.check(running, closes=server.family == "timtow" and server.mode == "echo")
        except (ServerFailed, checks.Failed, OSError) as error:
            raise Failed(str(error)) from None
        finally:
            with interrupts.held():
                if running:
                    running.stop()

    def client(self, server, running, cell, *window):
        command = [
            *self.client_prefix, self.load, *cell.arguments(), "--protocol", server.protocol,
            "--port", running.port, "--pid", running.pid, "--deadline", DEADLINE, *window,
        ]
        process = None
        try:
            with interrupts.held():
                # A process group of its own: Ctrl-C is for us, who then end it.
                process = subprocess.Popen(
                    [str(word) for word in command], stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                    start_new_session=True,
                )
            out, errors = process.communicate(timeout=DEADLINE + GRACE)
        except subprocess.TimeoutExpired:
            raise Failed(f"bench-load did not end in {DEADLINE + GRACE} s") from None
        finally:
            if process and process.poll() is None:
                process.kill()
                process.communicate()
        if process.returncode != 0:
            said = errors.strip() or f"bench-load ended with {process.returncode}"
            raise (Starved if STARVED in said else Failed)(said)
        return json.loads(out)


@contextlib.contextmanager
def alive(server, prefix):
    """The server, running; whatever goes wrong with it or inside is Failed."""
    running = failure = crash = None
    try:
        with interrupts.held():
            running = server.start(prefix)
        yield running
    except (Failed, ServerFailed, OSError) as error:
        failure = error
    finally:
        with interrupts.held():
            if running:
                crash = left(running, failure)
    if crash:  # says more than that its client had to give up
        raise Failed(str(crash))
    if failure:
        raise failure if isinstance(failure, Failed) else Failed(str(failure))


def left(running, failure):
    """Stops a server; how it ended before, if it did."""
    deadline = time.monotonic() + CRASHING
    how = os.WEXITED | os.WNOHANG | os.WNOWAIT  # it stays the child of who has started it
    while failure and not os.waitid(os.P_PID, running.pid, how) and time.monotonic() < deadline:
        time.sleep(0.01)
    try:
        running.__exit__(None, None, None)
    except ServerFailed as crash:
        return crash
