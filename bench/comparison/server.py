"""The servers of the comparison: what servers.toml says of them, and how one is run.

    for server in read_servers():
        if server.missing():
            continue
        with server.start() as running:
            ...  # running.port, running.pid
"""

import os
import re
import select
import signal
import socket
import subprocess
import tempfile
import time
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

BENCH = Path(__file__).resolve().parent.parent
BIN = BENCH.parent / "build" / "release" / "bin"
READY = re.compile(rb"http://127\.0\.0\.1:([0-9]+)/")
PATIENCE = 20  # seconds, for any one thing that is awaited


class ServerFailed(Exception):
    """A server did not start, or not stop as it should; the text says why."""


@dataclass(frozen=True)
class Server:
    """An entry of servers.toml; the commands are whole, but for {port}."""

    name: str
    family: str
    protocol: str
    command: list[str]
    mode: str = "echo"
    floor: str | None = None
    needs_port: bool = False
    check: list[str] | None = None
    adapter: str | None = None
    code: str | None = None
    library: str | None = None
    licence: str | None = None
    brings: dict[str, str] = field(default_factory=dict)

    def missing(self):
        """What keeps it from being started, as a sentence; None if nothing does."""
        program = self.command[0]
        if not os.access(program, os.X_OK):
            install = f"install {self.library} and " if self.library else ""
            return f"{program} is not there: {install}build it"
        if self.check:
            result = subprocess.run(self.check, stdout=subprocess.DEVNULL,
                                    stderr=subprocess.DEVNULL, timeout=PATIENCE)
            if result.returncode != 0:
                return (f"`{' '.join(self.check)}` fails: "
                        "cmake/install-packages.sh peers installs what it needs")
        return None

    def start(self, prefix=()):
        """The running server, once it is ready. The prefix is a command that becomes it, such as
        taskset: it has to exec, for the pid to be the server's."""
        return Running(self, prefix)


class Running:
    """The process of a server that is ready: `port` and `pid`. As a context it is stopped."""

    def __init__(self, server, prefix=()):
        port = str(_free_port() if server.needs_port else 0)
        self.command = [*prefix, *(part.replace("{port}", port) for part in server.command)]
        self._stderr = tempfile.TemporaryFile(buffering=0)
        self._process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL,
                                         stdout=subprocess.PIPE, stderr=self._stderr)
        self.pid = self._process.pid
        try:
            self.port = self._wait_until_ready()
        except BaseException:
            self.stop()
            raise

    def _wait_until_ready(self):
        deadline = time.monotonic() + PATIENCE
        stdout = self._process.stdout.fileno()
        said = b""
        while not (ready := READY.search(said)):
            left = max(0, deadline - time.monotonic())
            if not select.select([stdout], [], [], left)[0]:
                raise self._failed(f"is not ready after {PATIENCE} s and has said {said!r}")
            more = os.read(stdout, 4096)
            if not more:
                raise self._failed(f"ended before it was ready and has said {said!r}")
            said += more
        return int(ready[1])

    def stop(self):
        """SIGTERM, and SIGKILL if it takes too long. Its exit code, or minus the signal."""
        self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._errors = self._read_errors()
        self._stderr.close()
        self._process.stdout.close()
        return self._process.returncode

    def __enter__(self):
        return self

    def __exit__(self, kind, *error):
        """That it was still running, and went by SIGTERM, is part of what was measured."""
        ended = self._process.poll()
        code = self.stop()
        if kind is None and (ended is not None or code not in (0, -signal.SIGTERM)):
            when = "before it was stopped" if ended is not None else "when it was stopped"
            raise self._failed(f"ended with {code} {when}")

    def _read_errors(self):
        """What it has said on stderr; its own place in the file is left alone."""
        return os.pread(self._stderr.fileno(), 4096, 0).decode(errors="replace").strip()

    def _failed(self, what):
        errors = self._errors if self._stderr.closed else self._read_errors()
        return ServerFailed(f"`{' '.join(self.command)}` {what}" + (errors and f": {errors}"))


def read_servers(path=BENCH / "servers.toml", bin=BIN):
    """All servers, in the order of the file, those that are missing as well."""
    def fill(command):
        return [part.replace("{bin}", str(bin)).replace("{bench}", str(BENCH)) for part in command]

    servers = []
    for entry in tomllib.loads(Path(path).read_text())["server"]:
        for key in ("command", "check"):
            if key in entry:
                entry[key] = fill(entry[key])
        try:
            servers.append(Server(**entry))
        except TypeError as error:
            raise ValueError(f"{path}, server {entry.get('name')!r}: {error}") from None
    return servers


def _free_port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]
