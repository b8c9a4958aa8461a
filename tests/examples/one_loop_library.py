"""One executable links one loop's library: one_loop_library.py LOOP EXECUTABLE...

libev and libevent define the same names, and a program that has both gets one of them by chance.
"""

import re
import subprocess
import sys

OF_LOOP = {"libuv": {"uv"}, "libev": {"ev"}, "libevent": {"event_core"}}  # the others have none
LOOPS = re.compile(r"lib(uv|ev|event\w*|glib|boost_asio)[-.]")

loop, *executables = sys.argv[1:]
for executable in executables:
    output = subprocess.run(["ldd", executable], capture_output=True, text=True, check=True).stdout
    found = set(LOOPS.findall(output))
    if "libc.so" not in output or found != OF_LOOP.get(loop, set()):
        sys.exit(f"{executable} links {sorted(found)} of the loops' libraries:\n{output}")
print(f"{len(executables)} passed, 0 failed")
