"""What a server is, whatever it is measured on: lines, bytes, versions, code, and how long to compile."""

import hashlib
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


def adapter_lines(entry):
    folder = entry.get("adapter")
    if not folder or not (ROOT / folder).is_dir():
        return None
    return sum(1 for file in sources(ROOT / folder) for _ in code_lines(file))


def code(entry):
    """The files that a report shows: the program, and the sources of the adapter."""
    paths = [entry["code"]] if entry.get("code") else []
    if entry.get("adapter"):
        paths += [str(file.relative_to(ROOT)) for file in sources(ROOT / entry["adapter"])]
    return [
        {"path": path, "text": (ROOT / path).read_text()}
        for path in paths if (ROOT / path).is_file()
    ]


class Compiler:
    """How long the compiler takes for a source, by the command that the build used.

    It is CPU time, without ccache and without linking. What was measured is kept beside the results
    and holds for a source, a command and the program that was built of them.
    """

    def __init__(self, build, store):
        self.store = Path(store)
        commands = Path(build) / "compile_commands.json"
        self.commands = {}
        if commands.is_file():
            for command in json.loads(commands.read_text()):
                self.commands.setdefault(str(Path(command["file"]).resolve()), command)
        try:
            self.known = json.loads(self.store.read_text())
        except (OSError, ValueError):
            self.known = {}

    def sources_of(self, entry):
        if entry.get("adapter"):
            files = sources(ROOT / entry["adapter"])
        else:
            files = [ROOT / entry["code"]] if entry.get("code") else []
        return [str(file) for file in files if str(file) in self.commands]

    def seconds(self, entry, program):
        """Of the sources of an entry's adapter, or of its code; None if they are not compiled."""
        files = self.sources_of(entry)
        if not files or not program.is_file():
            return None
        key = hashlib.sha256(json.dumps(
            [program.stat().st_mtime_ns, *(self.commands[file]["command"] for file in files)]
        ).encode()).hexdigest()
        if key not in self.known:
            times = [self.time(self.commands[file]) for file in files]
            if None in times:
                return None
            self.known[key] = sum(times)
            self.store.parent.mkdir(parents=True, exist_ok=True)
            self.store.write_text(json.dumps(self.known))
        return self.known[key]

    @staticmethod
    def time(command):
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
        return (after.children_user - before.children_user
                + after.children_system - before.children_system)
