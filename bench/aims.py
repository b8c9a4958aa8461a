"""What WebSocket costs on each loop, by what we aim at: bench/aims.py [--loops A,B] [--rounds 7]
[--seconds 0.25] [--bin FOLDER]

A number is the server's CPU time a message by that of the raw TCP echo on the same loop, the median
of pairs of runs that follow one another (of mixed text: by binary of that size on the same server; of
the fan-out: by raw epoll). An asterisk: even the lower end of its interval is over the aim.
"""

import argparse
import random
import sys
from pathlib import Path

from comparison import machine, options, server, statistics
from comparison.measure import Bench, Failed, Starved
from comparison.plan import KIB, MIB, Cell

BINARY = Cell(size=16 * KIB)
MIXED = Cell(size=16 * KIB, payload="mixed")
FANOUT = Cell("fanout", 1000)
AIMS = [
    (Cell(size=16), 1.05), (Cell(size=16, pipeline=16), 1.10),
    (Cell(size=KIB), 1.05), (Cell(size=KIB, pipeline=16), 1.10),
    (BINARY, 1.08), (Cell(size=16 * KIB, pipeline=16), 1.10),
    (Cell(size=MIB, connections=1), 1.12), (Cell(size=MIB, connections=4), 1.12),
    (Cell(size=MIB, connections=1, pipeline=16), 1.12),
    (MIXED, 1.15), (Cell("churn", 16), 1.35), (FANOUT, 1.05),
]
WARMUP = 0.1
TRIES = 3


def cpu(bench, of, cell, seconds):
    """CPU time a message, of one run."""
    for left in reversed(range(TRIES)):
        try:
            return bench.run(of, cell, WARMUP, seconds)["server"]["cpu_per_message"]
        except Starved:
            if left == 0:
                raise


def ratio(bench, servers, name, cell, rounds, seconds):
    """The interval of the ratio."""
    mine = servers[name if cell != FANOUT else f"fanout-{name}"]
    pair = [(mine, cell), (mine, BINARY) if cell == MIXED else (servers[mine.floor], cell)]
    took = ({}, {})
    for at in range(rounds):
        for which in random.sample((0, 1), 2):
            took[which][at] = cpu(bench, *pair[which], seconds)
    return statistics.interval(statistics.ratios(*took))


def main():
    parser = argparse.ArgumentParser(prog="aims", description=__doc__.partition("\n\n")[2])
    parser.add_argument("--loops", type=options.names)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.25)
    parser.add_argument("--bin", type=Path, default=server.BIN)
    chosen = parser.parse_args()
    servers = {each.name: each for each in server.read_servers(bin=chosen.bin)}
    loops = chosen.loops or [name for name, each in servers.items()
                             if each.family == "timtow" and each.mode == "echo"]
    bench = Bench(chosen.bin / "bench-load", machine.pinning())
    print("| Load | Aim |", " | ".join(loops), "|")
    print("|---|---|" + "---|" * len(loops))
    for cell, aim in AIMS:
        columns = []
        for name in loops:
            try:
                found = ratio(bench, servers, name, cell, chosen.rounds, chosen.seconds)
            except Failed as failure:
                sys.exit(f"{name}, {cell.title()}: {failure}")
            over = "*" if (found["low"] or found["median"]) > aim else ""
            columns.append(f"{found['median']:.2f}{over}")
        print(f"| {cell.title()} | {aim:.2f} |", " | ".join(columns), "|", flush=True)


if __name__ == "__main__":
    main()
