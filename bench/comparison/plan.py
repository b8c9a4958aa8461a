"""What is measured: cells (one load), on which servers, how often and for how long."""

import dataclasses

from .server import BENCH

KIB, MIB = 1024, 1024 * 1024
SIZES = (16, KIB, 16 * KIB, MIB)
LARGEST = 16 * MIB  # what every server takes
IN_FLIGHT = 256 * MIB  # of payload at once, for it lies in the kernel's memory, twice
ACTIVE = 10  # connections that send while the others are idle
RATE = 10000  # messages/s of the open loop: what every server but a script can do
DRAIN = 64 * KIB  # bytes/s that a slow reader takes

# What starting a server and a client costs, and opening or closing a connection, about. Only the
# remaining time is made of it, and corrected by what it took so far.
START, CONNECTION = 0.08, 0.0001
COUNTING = 0.5  # a cell's two runs under strace


@dataclasses.dataclass(frozen=True)
class Cell:
    """One load. What tells it from another is what bench-load is told."""

    mode: str = "closed"
    connections: int = 50
    pipeline: int = 1
    size: int = 16
    payload: str = "binary"
    rate: float | None = None

    def arguments(self):
        """Those of bench-load, but for how long."""
        arguments = [self.mode, "--size", self.size, "--payload", self.payload]
        if self.mode == "churn":
            arguments += ["--concurrency", self.connections]
        else:
            arguments += ["--connections", self.connections]
        if self.mode == "closed":
            arguments += ["--pipeline", self.pipeline]
        if self.mode == "open":
            arguments += ["--rate", self.rate]
        if self.mode in ("idle", "slow"):
            arguments += ["--active", ACTIVE]
        if self.mode == "slow":
            arguments += ["--drain", DRAIN]
        return [str(argument) for argument in arguments]

    def sockets(self):
        """How many the client has open at once."""
        return self.connections + (ACTIVE if self.mode in ("idle", "slow") else 1)

    def message(self):
        return bytes_text(self.size) + (f" {self.payload}" if self.payload != "binary" else "")

    def title(self):
        """What a reader is told, in a line."""
        what = self.message()
        return {
            "closed": f"{what}, {connections_text(self.connections)}, {self.pipeline} in flight",
            "open": f"{what}, {connections_text(self.connections)}, {self.rate}/s",
            "idle": f"{self.connections:,} idle, {ACTIVE} active, {what}",
            "churn": f"connect, echo {what}, close; {self.connections} at once",
            "fanout": f"{what} to {self.connections:,} connections",
            "slow": f"{self.connections} slow readers, {ACTIVE} active, {what}",
        }[self.mode]

    def label(self):
        """The same, for the head of a column."""
        what = self.message()
        return {
            "closed": f"{what} {self.connections}x{self.pipeline}",
            "open": f"{what} at {self.rate}/s",
            "idle": f"{self.connections:,} idle",
            "churn": "churn",
            "fanout": f"fan-out {self.connections:,}",
            "slow": f"{self.connections} slow",
        }[self.mode]

    def key(self):
        return dataclasses.asdict(self)


def bytes_text(size):
    for unit, factor in (("MiB", MIB), ("KiB", KIB)):
        if size >= factor and size % factor == 0:
            return f"{size // factor} {unit}"
    return f"{size} B"


def connections_text(count):
    return f"{count:,} connection{'' if count == 1 else 's'}"


@dataclasses.dataclass(frozen=True)
class Plan:
    name: str
    cells: tuple
    rounds: int
    seconds: float  # a run
    warmup: float  # before them, dropped
    warmup_scripted: float  # the same, of programs that are compiled while they run
    scripted: tuple  # the cells that servers in Perl are measured on: they take long for others
    floors: tuple  # the cells that raw TCP is measured on
    counted: tuple  # the cells that system calls are counted on
    count: int  # messages: of the short one of the two runs that are counted
    scenarios: dict
    # {cell or family: rounds} of those that take long, or need no more
    few: dict = dataclasses.field(default_factory=dict)

    def cells_of(self, server):
        """The cells that a server is measured on."""
        cells = {"perl": self.scripted, "floor": self.floors}.get(server.family, self.cells)
        return [cell for cell in cells if (cell.mode == "fanout") == (server.mode == "fanout")]

    def counted_of(self, server):
        return [cell for cell in self.cells_of(server) if cell in self.counted]

    def rounds_of(self, server, cell):
        return min(self.rounds, *(self.few.get(it, self.rounds) for it in (cell, server.family)))

    def warmup_of(self, server):
        return self.warmup_scripted if scripted(server) else self.warmup

    def run_seconds(self, server, cell):
        """About how long one run takes."""
        return START + self.warmup_of(server) + self.seconds + CONNECTION * cell.sockets()

    def all_seconds(self, servers, counting):
        """About how long everything takes, with or without counting system calls."""
        runs = sum(
            self.rounds_of(server, cell) * self.run_seconds(server, cell)
            for server in servers for cell in self.cells_of(server)
        )
        counted = sum(len(self.counted_of(server)) for server in servers)
        return runs + (COUNTING * counted if counting else 0)

    def with_cells(self, cells):
        """The same plan of those cells only."""
        groups = {
            name: group | {"cells": [c for c in group["cells"] if Cell(**c) in cells]}
            for name, group in self.scenarios.items()
        }
        return dataclasses.replace(
            self, cells=tuple(cells), scripted=tuple(c for c in self.scripted if c in cells),
            floors=tuple(c for c in self.floors if c in cells),
            scenarios={name: group for name, group in groups.items() if group["cells"]},
        )


def scripted(server):
    """Whether an interpreter runs it: then its command names a source."""
    return any(part.startswith(str(BENCH)) for part in server.command)


def matrix(sizes, connections, pipelines):
    """The closed loops of these, but for those that would have too much in flight."""
    return [
        Cell("closed", c, p, size)
        for size in sizes for c in connections for p in pipelines
        if size * c * p <= IN_FLIGHT
    ]


def quick(sizes=None):
    """A few seconds: whether everything works, and no number to cite."""
    closed = [Cell(size=size) for size in sizes or (16,)]
    idle = Cell("idle", 200)
    return Plan(
        "quick", (*closed, idle), rounds=2, seconds=0.1, warmup=0.05, warmup_scripted=0.1,
        scripted=tuple(closed[:1]), floors=(*closed, idle), counted=tuple(closed[:1]), count=250,
        few={idle: 1},
        scenarios=scenarios(closed, idle=[idle]),
    )


def default(sizes=None):
    """About three minutes, on two cores."""
    closed = matrix(sizes or (16, 16 * KIB), [50], [1])
    piped = matrix(sizes[:1] if sizes else (16,), [50], [16])
    latency = Cell("open", 50, rate=RATE)
    # A round of these takes long, so few have to do: they show what is far apart, or is counted.
    # Perl is so far apart that once is enough. Where a floor would only say what the closed loops
    # say, it is left out.
    churn, fanout = Cell("churn", 16), Cell("fanout", 1000)
    idle = [Cell("idle", count) for count in (1000, 10000)]
    return Plan(
        "default", (*closed, *piped, latency, churn, *idle, fanout), rounds=6, seconds=0.15,
        warmup=0.05, warmup_scripted=0.5, scripted=tuple(closed[:1]),
        floors=(*closed, *piped, churn, fanout), counted=(closed[0], *piped, churn), count=300,
        few={latency: 3, churn: 2, fanout: 1, "perl": 1} | dict.fromkeys(idle, 1),
        scenarios=scenarios(closed + piped, [latency], idle, [churn], [fanout]),
    )


def full(sizes=None):
    """Everything: more than an hour."""
    closed = matrix(sizes or SIZES, [50, 1, 1000], [1, 16])
    text = [Cell("closed", 50, 1, 16 * KIB, payload) for payload in ("binary", "ascii", "mixed")]
    latency = [Cell("open", 50, rate=RATE), Cell("open", 50, size=KIB, rate=RATE)]
    idle = [Cell("idle", count) for count in (10, 100, 1000, 3000, 10000)]
    churn = [Cell("churn", 16)]
    fanout = [Cell("fanout", 1000), Cell("fanout", 1000, size=KIB)]
    slow = [Cell("slow", 20, size=16 * KIB)]
    scripted = [cell for cell in closed if cell.connections == 50 and cell.size <= 16 * KIB]
    cells = tuple(dict.fromkeys(closed + text + latency + idle + churn + fanout + slow))
    return Plan(
        "full", cells, rounds=8, seconds=0.5,
        warmup=0.3, warmup_scripted=1.0, scripted=(*scripted, *churn), floors=cells,
        counted=(*(c for c in closed if c.connections != 1000 and c.size < MIB), *churn),
        count=1000,
        few=dict.fromkeys(idle + slow, 3),
        scenarios=scenarios(closed, latency, idle, churn, fanout, text, slow),
    )


PLANS = {"quick": quick, "default": default, "full": full}


def scenarios(closed, latency=(), idle=(), churn=(), fanout=(), text=(), slow=()):
    """Which cells belong together, for tables and charts: {name: {"title", "cells"}}."""
    main = closed[0]
    groups = {
        "main": ("The closed loop", [main]),
        "sizes": ("Sizes of messages", sorted(
            (c for c in closed if c.connections == main.connections and c.pipeline == 1),
            key=lambda c: c.size)),
        "connections": ("Numbers of connections", sorted(
            (c for c in closed if c.size == main.size and c.pipeline == 1),
            key=lambda c: c.connections)),
        "pipeline": ("Messages in flight", [
            c for c in closed if c.size == main.size and c.connections == main.connections]),
        "latency": ("Latency at a fixed rate, from the intended time of sending", latency),
        "idle": ("Connections that are idle", idle),
        "churn": ("Connections that come and go", churn),
        "fanout": ("One message to many", fanout),
        "text": ("Text, and binary of the same size", text),
        "slow": ("Readers that are slow", slow),
        "matrix": ("Every closed loop", closed),
    }
    return {
        name: {"title": title, "cells": [cell.key() for cell in cells]}
        for name, (title, cells) in groups.items() if cells
    }
