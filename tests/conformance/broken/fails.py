"""A broken adapter must not pass: fails.py EXECUTABLE CASE

Runs one case of the conformance suite, which has to fail, or to wait for ever: for that is how a
timer shows that never fires. Exits 1 if it passes.
"""

import subprocess
import sys

PATIENCE = 5  # seconds; many times what the case takes on an adapter that is right

executable, case = sys.argv[1:]
process = subprocess.Popen([executable, f"--test-case={case}"], stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True)
try:
    output, _ = process.communicate(timeout=PATIENCE)
except subprocess.TimeoutExpired:
    process.kill()
    process.communicate()
    print("it waits for what never comes")
    sys.exit(0)
if process.returncode == 0 or "1 failed" not in output:
    sys.exit(f"a broken adapter passed, or the case was not found:\n{output}")
print("it fails")
