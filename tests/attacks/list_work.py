"""Lists of tokens are read in linear time: list_work.py PROGRAM

Counts the instructions of PROGRAM (list_work.cpp), which has lists of so many bytes to read, and
requires that four times as many bytes cost no more than five times as much.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path


def counted(program, size):
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        subprocess.run(["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", program,
                        str(size)], check=True, timeout=100, capture_output=True)
        return int(re.search(r"^(?:summary|totals): (\d+)", out.read_text(), re.M)[1])


nothing, short, long = (counted(sys.argv[1], size) for size in (1, 2_000, 8_000))
print(f"{short - nothing:,} instructions for lists of 2,000 bytes, {long - nothing:,} for 8,000")
sys.exit(long - nothing > 5 * (short - nothing))
