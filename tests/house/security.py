"""docs/security.md and the tests name each other: security.py DOCUMENT BUILD

Each name of a test in the document is one of ctest's, with a * for the loop one on every loop, and
with one at its end all that begin so; and each attack that is tested stands in the document. Prints what is missing, or how many were looked at.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

KINDS = "attack|unit|conformance|interop|fuzz|differential"


def tests_of(build):
    with tempfile.TemporaryDirectory() as folder:  # in the build folder its log would be lost
        Path(folder, "CTestTestfile.cmake").write_text(f'subdirs("{build}")\n')
        listed = subprocess.run(["ctest", "-N"], cwd=folder, check=True, capture_output=True,
                                text=True).stdout
    return re.findall(r"^ *Test +#\d+: (.*\S)", listed, re.M)


def missing(document, tests):
    named = re.findall(rf"`((?:{KINDS})\.[^`]+)`", document)
    loops = {match[1] for test in tests if (match := re.fullmatch(r"attack\.(\w+)\.server_attacks", test))}
    known = set(tests)
    patterns = set()
    for name in named:
        if name.endswith(" *"):
            each = [test for test in tests if test.startswith(name[:-1])] or [name]
        else:
            each = [name.replace("*", loop, 1) for loop in loops] if "*" in name else [name]
        patterns.update(each)
        if absent := sorted(set(each) - known):
            yield f"docs/security.md names a test that is not there: {absent[0]}"
    for test in tests:
        if test.startswith("attack.") and test not in patterns and not test.endswith("_attacks"):
            yield f"docs/security.md has no row for the test {test}"


def main(document, build):
    tests = tests_of(Path(build).resolve())
    found = list(missing(Path(document).read_text(), tests))
    print("\n".join(found) or f"{len(tests)} tests are known, and those of docs/security.md among them")
    return 1 if found or not tests else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
