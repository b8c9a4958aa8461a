"""Every benchmark of bench-core runs, and whole messages allocate nothing: core_benchmarks.py BENCH_CORE"""

import json
import subprocess
import sys

FRAMES = [16, 125, 126, 1024, 16384, 65536, 1048576]
TYPES = ["binary", "ascii", "mixed"]
LENGTHS = [16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576]
SCRIPTS = ["ascii", "latin", "cjk", "emoji", "mixed"]

MESSAGES = {
    *(f"{what}/{kind}/{size}" for what in ("parse", "echo") for kind in TYPES for size in FRAMES),
    *(f"encode/{role}/{size}" for role in ("server", "client") for size in FRAMES),
}
EXPECTED = {
    *MESSAGES,
    "handshake/server", "handshake/both",
    *(f"{what}/{length}" for what in ("unmask", "memcpy") for length in LENGTHS),
    # Other implementations depend on the processor.
    *(f"utf8/portable/{script}/{size}" for script in SCRIPTS for size in (16, 64, 1024, 16384)),
}

output = subprocess.run(
    [sys.argv[1], "--benchmark_min_time=0.001", "--benchmark_format=json"],
    stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True, timeout=100,
).stdout
ran = {each["name"]: each for each in json.loads(output)["benchmarks"]}

wrong = [f"{name} did not run" for name in sorted(EXPECTED - ran.keys())]
wrong += [f"{name}: {each['error_message']}" for name, each in ran.items() if "error_message" in each]
wrong += [
    f"{name} allocates {ran[name]['allocations']} times a message"
    for name in sorted(MESSAGES & ran.keys()) if ran[name].get("allocations", 1) != 0
]
if wrong:
    sys.exit("\n".join(wrong))
print(f"{len(ran)} passed, 0 failed")
