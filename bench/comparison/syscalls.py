"""System calls per message: the difference of two runs that strace has counted, a short and a long.

So neither the handshake nor the end matters. A server that is traced is slow, so nothing is timed
meanwhile, and what it finds at each wake-up differs: with many connections the number of waits is
not what it is at full speed, while reads and writes a message hardly change.
"""

import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

PATIENCE = 20  # seconds, for strace to attach or to end

# strace -c: "% time, seconds, usecs/call, calls, errors, syscall"; errors may be blank.
ROW = re.compile(r"^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)(?:\s+\d+)?\s+([a-z_0-9]+)$", re.M)


class Unavailable(Exception):
    """There is no counting system calls here; its text says why."""


def parse(summary):
    """{name: calls} of what strace -c has written."""
    return {name: int(calls) for calls, name in ROW.findall(summary) if name != "total"}


def per_message(short, long, messages):
    """{name: calls per message}, `messages` being how many more the long run had."""
    differences = {name: long.get(name, 0) - short.get(name, 0) for name in short | long}
    return {name: calls / messages for name, calls in sorted(differences.items()) if calls > 0}


class Trace:
    """Counts the system calls of a running process while it is entered: `with Trace(pid)`."""

    def __init__(self, pid):
        self.pid = pid
        self.counts = None

    def __enter__(self):
        program = shutil.which("strace")
        if not program:
            raise Unavailable("strace is not installed")
        self.folder = tempfile.TemporaryDirectory()
        self.out = Path(self.folder.name) / "counts"
        self.process = subprocess.Popen(
            [program, "-c", "-f", "-o", str(self.out), "-p", str(self.pid)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            start_new_session=True,
        )
        line = self.process.stderr.readline()  # "strace: Process N attached", or why not
        if "attached" not in line:
            self.close()
            raise Unavailable(line.strip().removeprefix("strace: ") or "strace said nothing")
        return self

    def __exit__(self, *exception):
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.communicate(timeout=PATIENCE)
            self.counts = parse(self.out.read_text())
        except (OSError, subprocess.TimeoutExpired):
            self.counts = {}
        finally:
            self.close()

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()
        self.folder.cleanup()
