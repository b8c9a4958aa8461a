"""What a server is, whatever it is measured on: lines, bytes, code, and how long it compiles."""

import json
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.append(str(ROOT / "tests" / "house"))

from house import code_lines, sources  # noqa: E402  what a line of code is, as the tests count it

from .plan import scripted  # noqa: E402

SOURCE = 4  # seconds that compiling one takes, about


def describe(server, skipped):
    """A server's object in results.json, before anything is measured."""
    program = Path(server.command[0])
    return {
        "name": server.name, "family": server.family, "mode": server.mode,
        "protocol": server.protocol, "floor": server.floor,
        "command": [part.replace(f"{ROOT}/", "") for part in server.command],
        "loop": server.brings or None, "licence": server.licence,
        "library": server.library, "library_version": None,
        "adapter": server.adapter, "adapter_lines": adapter_lines(server),
        "binary_bytes": program.stat().st_size if not skipped and not scripted(server) else None,
        "compile_seconds": None,
        "checks": {"passed": 0, "failed": []},
        "code": code(server), "skipped": skipped,
    }


def adapter_lines(server):
    if not server.adapter:
        return None
    return sum(1 for file in sources(ROOT / server.adapter) for _ in code_lines(file))


def code(server):
    """The files that a report shows: the program, and the sources of the adapter."""
    files = [ROOT / server.code] if server.code else []
    files += sources(ROOT / server.adapter) if server.adapter else []
    return [{"path": str(file.relative_to(ROOT)), "text": file.read_text()} for file in files]


class Compiler:
    """How long the compiler takes for a source, by the command that the build used.

    It is CPU time, without ccache and without linking. What was measured is kept beside the
    results, and holds as long as what the build made of the source.
    """

    def __init__(self, build, store):
        self.store = Path(store)
        commands = Path(build) / "compile_commands.json"
        self.commands = {}  # of the first program, where a source is in several
        if commands.is_file():
            for command in json.loads(commands.read_text()):
                self.commands.setdefault(command["file"], command)
        try:
            self.known = json.loads(self.store.read_text())
        except (OSError, ValueError):
            self.known = {}

    def seconds(self, server):
        """Of the sources of its adapter, or of its code; None if there is nothing to compile."""
        times = [self.time(command) for command in self.commands_of(server)]
        return None if not times or None in times else sum(times)

    def expected(self, servers):
        """How many seconds finding that out will take, about."""
        keys = {self.key(command) for server in servers for command in self.commands_of(server)}
        return SOURCE * len(keys - self.known.keys())

    def commands_of(self, server):
        files = sources(ROOT / server.adapter) if server.adapter else [ROOT / (server.code or "")]
        return [self.commands[str(file)] for file in files if str(file) in self.commands]

    @staticmethod
    def key(command):
        """What the build made of it, and when; None if it is not built."""
        words = shlex.split(command["command"])
        made = Path(command["directory"]) / words[words.index("-o") + 1]
        return f"{made} {made.stat().st_mtime_ns}" if made.is_file() else None

    def time(self, command):
        key = self.key(command)
        if key is not None and key not in self.known:
            self.known[key] = self.compile(command)
            self.store.parent.mkdir(parents=True, exist_ok=True)
            self.store.write_text(json.dumps(self.known))
        return self.known.get(key)

    @staticmethod
    def compile(command):
        """CPU seconds of it; None if it fails."""
        words = shlex.split(command["command"])
        with tempfile.TemporaryDirectory() as folder:
            words[words.index("-o") + 1] = f"{folder}/out.o"
            before = os.times()
            done = subprocess.run(
                words, cwd=command["directory"], env=os.environ | {"CCACHE_DISABLE": "1"},
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )
            after = os.times()
        if done.returncode != 0:
            return None
        return sum(after[2:4]) - sum(before[2:4])  # user and system time of the children
