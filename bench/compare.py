#!/usr/bin/python3
"""WebSocket servers side by side: compare.py --help. ./compare.sh builds them first.

docs/comparison.md tells how it is done; the package comparison/ does it.
"""

import sys

sys.dont_write_bytecode = True  # nothing is written to the source folder

from comparison.main import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
