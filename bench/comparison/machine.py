"""What a number depends on and no program shows: the machine, and what they were built with."""

import os
import platform
import re
import subprocess
from pathlib import Path

CPUS = Path("/sys/devices/system/cpu")


def read(path):
    """What a file of the system says, or None where there is none."""
    try:
        return Path(path).read_text().strip()
    except OSError:
        return None


def first_line(*command):
    try:
        out = subprocess.run(command, capture_output=True, text=True, timeout=20).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    return out.splitlines()[0] if out else None


def siblings(cpu):
    """The processors that share a core with this one, itself among them."""
    found = set()
    for part in (read(CPUS / f"cpu{cpu}/topology/thread_siblings_list") or str(cpu)).split(","):
        low, _, high = part.partition("-")
        found |= set(range(int(low), int(high or low) + 1))
    return found


def pinning(allowed=None):
    """{"server": cpu, "client": cpu}, on cores of their own; None each where there is only one.

    The last ones: what else runs on a machine, interrupts among it, likes the first.
    """
    cpus = sorted(os.sched_getaffinity(0) if allowed is None else allowed)
    if len(cpus) < 2:
        return {"server": None, "client": None}
    server = cpus[-1]
    apart = [cpu for cpu in cpus if cpu not in siblings(server)]
    return {"server": server, "client": apart[-1] if apart else cpus[-2]}


def package_versions(packages):
    """{package: version} of Debian packages; None for one that is not installed."""
    versions = {}
    for package in sorted(set(packages)):
        versions[package] = first_line("dpkg-query", "-W", "-f", "${Version}\n", package)
    return versions


def cache_of(build):
    """{name: value} of the CMakeCache.txt of a build, empty if it has none."""
    text = read(Path(build) / "CMakeCache.txt") or ""
    return dict(re.findall(r"^([A-Za-z_0-9]+):\w+=(.*)$", text, re.M))


def describe(build, packages):
    cache = cache_of(build)
    cpuinfo = read("/proc/cpuinfo") or ""
    model = re.search(r"^model name\s*:\s*(.*)$", cpuinfo, re.M)
    memory = re.search(r"^MemTotal:\s*(\d+) kB", read("/proc/meminfo") or "", re.M)
    build_type = cache.get("CMAKE_BUILD_TYPE")
    of_type = f"CMAKE_CXX_FLAGS_{(build_type or '').upper()}"
    flags = [cache.get("CMAKE_CXX_FLAGS"), cache.get(of_type)]
    if cache.get("TIMTOW_LTO", "OFF").upper() in ("ON", "TRUE", "1"):
        flags.append("-flto")
    return {
        "cpu": model[1] if model else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "virtual": bool(re.search(r"^flags\s*:.*\bhypervisor\b", cpuinfo, re.M)),
        "memory_bytes": int(memory[1]) * 1024 if memory else None,
        "kernel": f"{platform.system()} {platform.release()}",
        "mitigations": {
            file.name: read(file) for file in sorted((CPUS / "vulnerabilities").glob("*"))
        },
        "governor": read(CPUS / "cpu0/cpufreq/scaling_governor"),
        "load_average": os.getloadavg()[0],
        "congestion_control": read("/proc/sys/net/ipv4/tcp_congestion_control"),
        "namespace": namespace(),
        "compiler": first_line(cache["CMAKE_CXX_COMPILER"], "--version")
        if "CMAKE_CXX_COMPILER" in cache else None,
        "cmake_build_type": build_type,
        "flags": " ".join(filter(None, flags)) or None,
        "pinning": pinning(),
        "libraries": package_versions(packages),
    }


def namespace():
    """The network namespace that everything ran in: there is one, for servers and client."""
    try:
        return os.readlink("/proc/self/ns/net")
    except OSError:
        return None
