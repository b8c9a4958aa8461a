#!/usr/bin/python3
"""WebSocket servers side by side: compare.py --help. ./compare.sh builds them first.

docs/comparison.md tells how it is done; the package comparison/ does it.
"""

import os
import sys

sys.dont_write_bytecode = True  # nothing is written to the source folder

from comparison.main import main  # noqa: E402

if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except BrokenPipeError:  # who reads has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
