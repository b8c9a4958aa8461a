"""The rules of the house that no compiler checks: house.py RULE ROOT

  protocol  the protocol part of core/ includes no header of an OS or a loop, knows no thread,
            reads no clock, and nothing above it
  core      the rest of core/ includes no header of an OS or a loop either; a part of it that stands
            on a library (core/tls on OpenSSL, core/deflate on zlib) includes that one's, in its
            .cpp files and in the headers next to them
  layers    an adapter includes the seam, what adapters share, and its own library in its .cpp
            files; never another adapter, never the inside of the protocol
  lines     a file of core/ has at most 500 lines, an adapter at most 200 lines of code
  alike     no six lines of code in a row, but for braces, are the same in two adapters: posix/ or
            the core would have to hold them once
  docs      C++ in the documents is what a file of the project says, which is compiled: behind
            <!-- code: FILE --> stands that file, whole, and behind <!-- from: FILE --> some lines of
            it; what is linked is there

Prints one line for each violation and exits 1, or the number of files it looked at.
"""

import re
import sys
from pathlib import Path

# The part of core/ that lives on a loop. Whatever is not named here is protocol.
ON_A_LOOP = {"client", "connection", "loop", "security", "server", "timer", "timtow"}

# The parts of core/ that may be left out, and the library each stands on.
PARTS = {"deflate": "zlib.h", "tls": "openssl/"}

# Of the protocol, what is handed from thread to thread, and so may lock.
CROSSES_THREADS = {"prepared_message"}

# What an adapter may include of core/: the seam and the plain types it speaks in.
SEAM = {"bytes", "endpoint", "error", "loop", "time"}

# Folders of adapters/ that are not an adapter but what several of them share.
SHARED = {"posix"}

# Standard headers that start threads, wait, or reach the system.
THREADS = {
    "atomic", "barrier", "condition_variable", "future", "latch", "mutex", "semaphore",
    "shared_mutex", "stop_token", "thread",
}
SYSTEM = {"csignal", "ctime", "filesystem", "fstream", "iostream", "syncstream"}

# The compilers' own headers of a processor's instructions, of whatever OS.
PROCESSOR = {"arm_neon.h", "immintrin.h"}

CORE_LINES = 500
ADAPTER_LINES = 200
ALIKE_LINES = 6

INCLUDE = re.compile(r'^\s*#\s*include\s*(?:<([^>]+)>|"([^"]+)")')
STANDARD = re.compile(r"[a-z_0-9]+")
CLOCK = re.compile(r"\bnow\s*\(\s*\)|\b(?:clock_gettime|gettimeofday)\b")


def sources(folder):
    return sorted(p for p in folder.rglob("*") if p.suffix in (".cpp", ".hpp"))


def code_lines(file):
    """(number, text) of the lines that are neither blank nor only comment."""
    text = file.read_text()
    blank = lambda match: "\n" * match.group().count("\n")
    text = re.sub(r"/\*.*?\*/", blank, text, flags=re.S)
    for number, line in enumerate(text.splitlines(), 1):
        line = re.sub(r"(^|\s)//.*", "", line)
        if line.strip():
            yield number, line


def includes(file):
    for number, line in code_lines(file):
        if match := INCLUDE.match(line):
            yield number, match.group(1) or match.group(2)


def timtow_header(name):
    """The name of a header of ours without folder and suffix, or None."""
    match = re.fullmatch(r"timtow/(.+)\.hpp", name)
    return match and match.group(1)


def is_protocol(file):
    return not any(file.stem == name or file.stem.startswith(name + "_") for name in ON_A_LOOP)


def part_of_core(root, file):
    """The name of the part that may be left out, or None."""
    name = file.relative_to(root / "core").parts[0]
    return name if name in PARTS else None


def foreign(file, name, library=None):
    """Whether core/ must not include it: not of the language, of core/, or of the part's library."""
    if timtow_header(name) or name in PROCESSOR or (file.parent / name).exists():
        return False
    if library and name.startswith(library) and file.parent.name == "src":
        return False
    return not STANDARD.fullmatch(name)


def protocol(root):
    files = [f for f in sources(root / "core") if is_protocol(f) and not part_of_core(root, f)]
    for file in files:
        for number, name in includes(file):
            ours = timtow_header(name)
            if foreign(file, name):
                yield file, number, f"the protocol includes <{name}>, which is of an OS or a loop"
            elif name in THREADS | SYSTEM and file.stem not in CROSSES_THREADS:
                yield file, number, f"the protocol includes <{name}>"
            elif ours and not is_protocol(Path(ours)):
                yield file, number, f"the protocol includes {name}, which is above it"
        for number, line in code_lines(file):
            if CLOCK.search(line):
                yield file, number, "the protocol reads a clock"
    yield files


def core(root):
    files = [f for f in sources(root / "core") if not is_protocol(f) or part_of_core(root, f)]
    for file in files:
        library = PARTS.get(part_of_core(root, file))
        for number, name in includes(file):
            if foreign(file, name, library):
                yield file, number, f"core includes <{name}>, which is of an OS or a loop"
    yield files


def layers(root):
    files = sources(root / "adapters")
    adapters = {f.name for f in (root / "adapters").iterdir() if f.is_dir()}
    for file in files:
        own = file.relative_to(root / "adapters").parts[0]
        allowed = SHARED | {own} if own not in SHARED else {own}
        for number, name in includes(file):
            ours = timtow_header(name)
            if ours:
                part = ours.split("/")[0]
                if part in adapters:
                    if part not in allowed:
                        yield file, number, f"{own} includes {name}, which is of another adapter"
                elif part not in SEAM:
                    yield file, number, f"{own} includes {name}, which is not of the seam"
            elif (
                file.suffix == ".hpp"
                and own not in SHARED
                and not STANDARD.fullmatch(name)
                and not (file.parent / name).exists()
            ):
                yield file, number, f"{own} includes <{name}> in a header; that is for its .cpp files"
    yield files


def lines(root):
    files = sources(root / "core")
    for file in files:
        count = len(file.read_text().splitlines())
        if count > CORE_LINES:
            yield file, count, f"a file of core/ with {count} lines, more than {CORE_LINES}"
    for adapter in sorted(f for f in (root / "adapters").iterdir() if f.is_dir()):
        if adapter.name in SHARED:
            continue
        count = sum(1 for file in sources(adapter) for _ in code_lines(file))
        if count > ADAPTER_LINES:
            yield adapter, count, f"{count} lines of code, more than {ADAPTER_LINES}"
        if count == 0:
            yield adapter, 0, "no sources"
    yield files


def alike(root):
    files = [f for f in sources(root / "adapters")
             if f.suffix == ".cpp" and not SHARED & set(f.parts)]
    seen = {}  # a run of lines -> where it was first
    for file in files:
        own = file.relative_to(root / "adapters").parts[0]
        code = [(number, line.strip()) for number, line in code_lines(file)
                if re.search("[a-z]", line) and not line.startswith(("#", "namespace"))]
        for i in range(len(code) - ALIKE_LINES + 1):
            run = tuple(line for _, line in code[i : i + ALIKE_LINES])
            first, where = seen.setdefault(run, (own, file))
            if first != own:
                yield file, code[i][0], f"{ALIKE_LINES} lines that are also in {where.name}"
                break
    yield files


FENCE = re.compile(r"(?:<!-- (code|from): (\S+) -->\n)?```cpp\n(.*?)```", re.S)
LINK = re.compile(r"\]\(([^)#]+)[^)]*\)")


def docs(root):
    files = sorted([*root.glob("*.md"), *root.glob("docs/*.md")])
    for file in files:
        text = file.read_text()
        line_at = lambda at: text.count("\n", 0, at) + 1
        for match in FENCE.finditer(text):
            whole, source, code = match[1] == "code", match[2], match[3]
            if source is None:
                yield file, line_at(match.start()), "C++ that is in no file: name it, <!-- code: FILE -->"
                continue
            there = (root / source).read_text() if (root / source).is_file() else ""
            if code != there if whole else "\n" + code not in "\n" + there:
                yield file, line_at(match.start()), f"the code is not what {source} says"
        prose = re.sub(r"```.*?```", lambda code: "\n" * code[0].count("\n"), text, flags=re.S)
        for match in LINK.finditer(prose):
            if "://" not in match[1] and not (file.parent / match[1]).exists():
                yield file, prose.count("\n", 0, match.start()) + 1, f"a link to {match[1]}, which is not there"
    yield files


RULES = {"protocol": protocol, "core": core, "layers": layers, "lines": lines,
         "alike": alike, "docs": docs}


def check(rule, root):
    """The violations as text, and how many files were looked at."""
    *violations, files = RULES[rule](root)
    return [f"{f.relative_to(root)}:{line}: {text}" for f, line, text in violations], len(files)


def main():
    if len(sys.argv) != 3 or sys.argv[1] not in RULES:
        sys.exit(__doc__)
    violations, files = check(sys.argv[1], Path(sys.argv[2]).resolve())
    if not files:
        violations.append("no sources found")
    if violations:
        print("\n".join(violations))
        sys.exit(1)
    print(f"{files} files")


if __name__ == "__main__":
    main()
