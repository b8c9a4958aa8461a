"""MADE-UP results of a comparison, to test the report with: fixture_results.py > results.json

Nothing in here was measured. The numbers come from a small model of what a message costs and from a
random generator with a fixed seed, so they are the same every time; the note in the results says so
at the top of the report. The shape is that of a complete run: every family of servers, every mode.
"""

import itertools
import json
import math
import random
import statistics
import sys
from pathlib import Path
from statistics import NormalDist

ROOT = Path(__file__).resolve().parents[2]
NOTE = "Made-up test data: nothing in this report was measured. It shows what a report looks like."
ROUNDS = 6
FEW_ROUNDS = 3  # of what takes long
LOOPS = ("poll", "epoll", "libev", "libevent", "libuv", "asio")
KIB, MIB = 1024, 1024 * 1024

# name: (microseconds a wake-up, microseconds a message, nanoseconds a byte, bytes a connection)
TIMTOW = {
    "poll": (5.0, 0.12, 0.30, 214), "epoll": (4.9, 0.12, 0.30, 208),
    "libev": (5.0, 0.13, 0.30, 262), "libevent": (5.2, 0.14, 0.30, 390),
    "libuv": (5.3, 0.14, 0.31, 455), "asio": (5.6, 0.14, 0.31, 470),
}
PEERS = {
    "beast": (5.8, 3.9, 0.48, 5700), "websocketpp": (6.6, 1.6, 0.62, 11100),
    "libwebsockets": (6.4, 5.1, 0.55, 5400), "ws": (19.0, 5.5, 0.70, 7900),
}
PERL = {
    "mojolicious": (160.0, 95.0, 2.9, 24800), "anyevent": (88.0, 52.0, 2.1, 13900),
    "io_async": (120.0, 60.0, 2.2, 17600), "poe": (310.0, 140.0, 2.6, 21000),
}
WHAT = ("timers", "dns", "tls", "threads", "windows")
BRINGS = {loop: dict(zip(WHAT, words)) for loop, words in {
    "poll": ("", "", "", "", ""),
    "epoll": ("", "", "", "", ""),
    "libev": ("yes", "", "", "", "select"),
    "libevent": ("yes", "evdns", "OpenSSL", "locks", "IOCP"),
    "libuv": ("yes", "threads", "", "pool", "IOCP"),
    "asio": ("yes", "thread", "OpenSSL", "strands", "IOCP"),
}.items()}
LICENCES = {"libev": "BSD-2-Clause", "libevent": "BSD-3-Clause", "libuv": "MIT", "asio": "BSL-1.0",
            "beast": "BSL-1.0", "websocketpp": "BSD-3-Clause", "libwebsockets": "MIT", "ws": "MIT"}
LIBRARIES = {"libev": "libev-dev", "libevent": "libevent-dev", "libuv": "libuv1-dev",
             "asio": "libasio-dev", "beast": "libboost-dev", "websocketpp": "libwebsocketpp-dev",
             "libwebsockets": "libwebsockets-dev", "ws": "node-ws",
             "mojolicious": "libmojolicious-perl", "anyevent": "libanyevent-perl",
             "io_async": "libio-async-perl", "poe": "libpoe-perl"}
MADE_UP_VERSION = "0.0 (made up)"

# (mode, connections, pipeline, size, payload, rate)
CELLS = [
    *(("closed", connections, pipeline, size, "binary", None)
      for size in (16, KIB, 16 * KIB, MIB) for pipeline in (1, 16) for connections in (1, 50)
      if size * pipeline <= MIB),
    ("closed", 1000, 1, 16, "binary", None),
    ("closed", 50, 1, 16 * KIB, "mixed", None),
    ("open", 50, 1, 16, "binary", 20_000),
    *(("idle", idle, 1, 16, "binary", None) for idle in (10, 100, 1000, 10_000)),
    ("churn", 16, 1, 16, "binary", None),
    ("fanout", 1000, 1, 16, "binary", None),
    ("slow", 100, 1, 16 * KIB, "binary", None),
]


def servers():
    for name in LOOPS:
        files = [f"adapters/{name}/src/{name}.cpp", f"examples/by_hand/{name}.cpp"]
        yield server(name, "timtow", f"floor-{name}", files=files, loop=BRINGS[name],
                     adapter_lines=88 + 17 * LOOPS.index(name),
                     binary_bytes=212_000 + 31_000 * LOOPS.index(name), compile_seconds=2.1)
    for name in ("raw-epoll", "raw-poll", *LOOPS):
        by_hand = "floor-raw-poll" if name == "poll" else "floor-raw-epoll"
        yield server(f"floor-{name}", "floor", None if name.startswith("raw-") else by_hand,
                     protocol="tcp", binary_bytes=64_000, compile_seconds=0.7)
    for name in PEERS:
        compiled = {"binary_bytes": 905_000, "compile_seconds": 14.2} if name != "ws" else {}
        yield server(name, "peer", "floor-raw-epoll", loop=BRINGS["asio"], **compiled)
    for name in PERL:
        yield server(name, "perl", "floor-raw-epoll")
    for name in (*LOOPS, "beast", "websocketpp"):
        yield server(f"fanout-{name}", "timtow" if name in TIMTOW else "peer", "floor-raw-fanout",
                     mode="fanout")
    yield server("floor-raw-fanout", "floor", None, protocol="tcp", mode="fanout")


def server(name, family, floor, protocol="websocket", files=(), **more):
    return {
        "name": name, "family": family, "mode": "echo", "floor": floor, "protocol": protocol,
        "command": [f"bin/echo-{name}", "--port", "0", "--quiet"], "loop": None,
        "licence": LICENCES.get(name, "Artistic or GPL" if family == "perl" else None),
        "library": LIBRARIES.get(name),
        "library_version": MADE_UP_VERSION if name in LIBRARIES else None,
        "adapter_lines": None, "binary_bytes": None, "compile_seconds": None,
        "checks": {"passed": 44 if protocol == "websocket" else 12, "failed": []},
        "code": [{"path": path, "text": (ROOT / path).read_text()} for path in files],
        "skipped": None, **more,
    }


def loop_of(name):
    return name.split("-")[-1].replace("fanout", "epoll")


def cost(name, mode, connections, pipeline, size, payload):
    """The seconds that this server's CPU spends on a message, in the model."""
    is_floor = name.startswith("floor-")
    loop = loop_of(name)
    wake_up, message, byte, _ = ({**TIMTOW, **PEERS, **PERL})[loop]
    if is_floor:
        message, byte = 0.05, 0.27
    if payload == "mixed" and not is_floor:
        byte *= 1.12 if name in TIMTOW else 4
    if mode == "idle" and loop == "poll":
        wake_up += 0.026 * connections
    if mode == "churn":
        wake_up, message = wake_up * 11, message * (1 if is_floor else 40)
    if mode == "fanout":
        wake_up *= 0.55
    return (wake_up / pipeline + message + byte * size / 1000) * 1e-6


def interval(values):
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def histogram(middle, spread, count):
    """Most waits lie around the middle, three in a hundred far above it."""
    most, rest = NormalDist(math.log(middle), spread), NormalDist(math.log(3 * middle), 0.5)
    below, buckets = 0, []
    for step in range(round((most.mean - 5 * spread) * 8), round((rest.mean + 2) * 8)):
        upper = (step + 1) / 8
        now = round(count * (0.97 * most.cdf(upper) + 0.03 * rest.cdf(upper)))
        if now > below:
            buckets.append([float(f"{math.exp(upper):.4g}"), now - below])
        below = now
    return buckets


def quantile(buckets, part):
    left = part * sum(count for _, count in buckets)
    for seconds, count in buckets:
        left -= count
        if left <= 0:
            return seconds
    return buckets[-1][0]


def latency_of(buckets):
    return {name: quantile(buckets, part) for name, part in
            (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p999", 0.999), ("max", 1.0))}


def cell(server, mode, connections, pipeline, size, payload, rate):
    name = server["name"]
    rng = random.Random(f"{name} {mode} {connections} {pipeline} {size} {payload}")
    drift = random.Random(f"{mode} {connections} {pipeline} {size}")  # the machine's, shared by all
    base = cost(name, mode, connections, pipeline, size, payload)
    alone = connections == 1 and pipeline == 1
    rounds, histograms = [], []
    for at in range(FEW_ROUNDS if mode in ("idle", "slow") else ROUNDS):
        cpu = base * (1 + drift.gauss(0, 0.02)) * (1 + rng.gauss(0, 0.012))
        busy = min(0.98, 20_000 * cpu) if rate else 0.55 if alone else 0.97
        throughput = rate if rate and rate * cpu < 1 else busy / cpu
        wait = (base * 40 if rate else max(connections, 1) * pipeline / throughput)
        wait *= 1 + rng.gauss(0, 0.02)
        histograms.append(histogram(wait, 0.3 if name in PERL else 0.12, 20_000))
        rounds.append({
            "round": at, "mode": mode, "protocol": server["protocol"], "connections": connections,
            "pipeline": pipeline, "size": size, "payload": payload, "seconds": 1.0,
            "messages": round(throughput), "rate": throughput,
            "bytes_per_second": throughput * size,
            "latency": latency_of(histograms[-1]),
            "server": {"cpu_per_message": cpu, "user_per_message": cpu * 0.2,
                       "system_per_message": cpu * 0.8, "core_busy": busy,
                       "rss_during": {"rss": 9_000_000, "private": round(1e4 * base * 1e9)}},
            "client": {"core_busy": 0.7, "was_bottleneck": size == MIB and pipeline == 1},
            "saturated": busy > 0.9, "errors": 0})
    cpus = [one["server"]["cpu_per_message"] for one in rounds]
    merged = {}
    for seconds, count in itertools.chain(*histograms):
        merged[seconds] = merged.get(seconds, 0) + count
    merged = sorted(map(list, merged.items()))
    calls = {"recvfrom": 1 / pipeline, "sendmsg": 1 / pipeline, "epoll_wait": 0.4 / pipeline}
    if name in PEERS:
        calls["sendmsg"] = 1.0
    if name in PERL:
        calls["select"] = 3.0
    memory = {**TIMTOW, **PEERS, **PERL}[loop_of(name)][3]
    if server["family"] == "floor":
        memory = memory // 2
    return {
        "server": name, "mode": mode, "connections": connections, "pipeline": pipeline,
        "size": size, "payload": payload, "rate": rate, "failed": None, "rounds": rounds,
        "throughput": interval([one["rate"] for one in rounds]),
        "cpu_per_message": {**interval(cpus), "user": statistics.median(cpus) * 0.2,
                            "system": statistics.median(cpus) * 0.8},
        "latency": latency_of(merged), "latency_histogram": merged,
        "rss_per_connection": interval([memory * rng.uniform(0.99, 1.01) for _ in rounds])
        if mode == "idle" and connections >= 1000 else None,
        "context_switches": {"voluntary": 0.3, "involuntary": 0.01},
        "syscalls_per_message": sum(calls.values()) if mode == "closed" else None,
        "syscalls": calls if mode == "closed" else {},
        "share_of_floor": None, "floor_throughput_share": None,
        "saturated": all(one["saturated"] for one in rounds),
        "client_bottleneck": any(one["client"]["was_bottleneck"] for one in rounds), "errors": 0,
    }


def add_shares(cells, floors):
    """What a server costs by what its floor costs, round by round."""
    where = {(c["server"], c["mode"], c["connections"], c["pipeline"], c["size"]): c for c in cells
             if c["payload"] == "binary"}
    for mine in cells:
        floor = where.get((floors[mine["server"]], mine["mode"], mine["connections"],
                           mine["pipeline"], mine["size"]))
        if floor:
            pairs = list(zip(mine["rounds"], floor["rounds"]))
            mine["share_of_floor"] = interval(
                [a["server"]["cpu_per_message"] / b["server"]["cpu_per_message"] for a, b in pairs])
            mine["floor_throughput_share"] = interval([a["rate"] / b["rate"] for a, b in pairs])


def results():
    """A complete run. One server is missing on that machine, and one fails a check."""
    all_servers = list(servers())
    by_name = {one["name"]: one for one in all_servers}
    by_name["poe"]["skipped"] = "perl cannot find POE: install libpoe-perl"
    by_name["io_async"]["checks"] = {"passed": 41, "failed": ["65536 bytes came back changed"]}
    cells = [cell(one, *parameters) for one in all_servers if not one["skipped"]
             for parameters in CELLS
             if not (one["family"] == "perl" and parameters[3] == MIB)
             and one["mode"] == ("fanout" if parameters[0] == "fanout" else "echo")]
    add_shares(cells, {one["name"]: one["floor"] for one in all_servers})
    broken = next(c for c in cells if c["server"] == "websocketpp" and c["size"] == MIB)
    broken.update({key: None for key, value in broken.items() if isinstance(value, (dict, list))},
                  failed="no echo in 20 s", rounds=[])
    return {
        "format": 1, "tool": "timtow compare", "version": "0.0.0", "note": NOTE,
        "started": "2000-01-01T12:00:00+00:00", "finished": "2000-01-01T12:03:12+00:00",
        "complete": True, "command": "./compare.sh --full",
        "machine": {
            "cpu": "Imaginary CPU 9000 (made up)", "cores": 2, "virtual": False,
            "load_average": 0.2, "memory_bytes": 8 << 30,
            "kernel": "Linux 0.0.0 (made up)",
            "mitigations": {"meltdown": "Not affected", "spectre_v2": "Mitigation: made up",
                            "retbleed": "Not affected"},
            "governor": "performance", "congestion_control": "cubic",
            "compiler": "g++ 0.0 (made up)", "cmake_build_type": "Release", "flags": "-O3 -DNDEBUG",
            "pinning": {"server": 0, "client": 1}, "namespace": "its own, loopback only",
            "libraries": {package: MADE_UP_VERSION for package in sorted(LIBRARIES.values())}},
        "method": {"plan": "full", "rounds": ROUNDS, "seconds": 1.0, "warmup": 0.3,
                   "confidence": 0.95, "order": "randomised, interleaved", "seed": 1,
                   "left_out": []},
        "servers": all_servers, "cells": cells, "scenarios": {},
    }


if __name__ == "__main__":
    json.dump(results(), sys.stdout)
