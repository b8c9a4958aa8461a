"""The tables that a terminal shows, made of results.json and nothing else."""

import textwrap

from .plan import Cell
from .statistics import ENOUGH

WIDTH = 100
GAP = 2
WIDEST = 20  # characters of a cell: longer text is cut
FAMILIES = ("timtow", "peer", "perl", "floor")
BRINGS = ("timers", "dns", "tls", "threads", "windows")
MODES = ("closed", "open", "idle", "churn", "slow", "fanout")
NONE = "-"
TABLES = 3  # of one load each
UNITS = {"fanout": "deliveries/s", "churn": "connections/s"}


class View:
    """The results, to look things up in."""

    def __init__(self, results):
        self.results = results
        self.servers = sorted(
            (server for server in results["servers"] if not server["skipped"]),
            key=lambda server: FAMILIES.index(server["family"]),
        )
        self.echoes = [
            server for server in self.servers
            if server["protocol"] == "websocket" and server["mode"] == "echo"
        ]
        self.cells = {(cell["server"], load(cell)): cell for cell in results["cells"]}

    def loads(self, scenario):
        cells = self.results["scenarios"].get(scenario, {"cells": []})["cells"]
        return [load(cell) for cell in cells]

    def at(self, server, cell):
        return self.cells.get((server["name"], cell))


def load(cell):
    return Cell(**{key: cell[key] for key in Cell().key()})


def render(results, width=WIDTH):
    """All tables and what has to be said of them, in lines that are no wider, as one string."""
    view = View(results)
    closed = dict.fromkeys(
        cell for scenario in ("main", "pipeline", "sizes") for cell in view.loads(scenario)
    )
    # More than these are for the report, and their ratios are in the table of ratios.
    loads = [*list(closed)[:TABLES], *view.loads("fanout")[:1]]
    parts = [throughput(view, cell, width) for cell in loads]
    parts += [
        shares(view, width), costs(view, width), facts(view, width),
        "\n".join(textwrap.fill(note, width, subsequent_indent="  ") for note in notes(view)),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def throughput(view, cell, width):
    """Who echoes how much of one load; those that may share a place lie side by side."""
    ranked, floors, failed = [], [], []
    for server in view.servers:
        mine = view.at(server, cell)
        if has_failed(server, mine):
            if mine or (server["mode"] == "fanout") == (cell.mode == "fanout"):
                failed.append([server["name"], "FAILED"])
            continue
        if mine is None:
            continue
        rate, cpu, share = mine["throughput"], mine["cpu_per_message"], mine["share_of_floor"]
        places = mine["rank"]["throughput"]
        row = [
            server["name"],
            middle(rate, count) + mark(mine), span(rate, counts), places_text(places),
            middle(cpu, duration), span(cpu, durations), middle(share, ratio), span(share, ratios),
        ]
        if server["family"] == "floor":
            floors.append(row)
        else:
            ranked.append((places or (len(view.servers),) * 2, row))
    rows = [row for _, row in sorted(ranked, key=lambda each: each[0])] + floors + failed
    if not rows:
        return ""
    head = ["", UNITS.get(cell.mode, "messages/s"), "95 %", "rank", "CPU each", "95 %", "x floor",
            "95 %"]
    return f"{cell.title()}\n{grid(head, rows, width)}"


def has_failed(server, cell):
    return bool(server["checks"]["failed"] or cell and cell["failed"])


def shares(view, width):
    """CPU per message by the floor's, for every load: the table to look at first."""
    loads = sorted(dict.fromkeys(cell for _, cell in view.cells), key=order)
    rows = [
        [server["name"], *(share_text(server, view.at(server, cell)) for cell in loads)]
        for server in view.echoes
    ]
    if not rows or not loads:
        return ""
    head = ["", *(cell.label() for cell in loads)]
    keep = [0] + [at for at in range(1, len(head)) if any(row[at] != NONE for row in rows)]
    if len(keep) == 1:
        return ""
    rows = [[row[at] for at in keep] for row in rows]
    return ("CPU per message, relative to a raw TCP echo on the same loop (peers: by hand)\n"
            + grid([head[at] for at in keep], rows, width))




def order(cell):
    return MODES.index(cell.mode), cell.size, cell.payload, cell.connections, cell.pipeline


def share_text(server, cell):
    if has_failed(server, cell):
        return "FAILED"
    return middle(cell and cell["share_of_floor"], ratio)


def costs(view, width):
    """Latency, system calls, memory: one column a question, each of the load that answers it."""
    main = next(iter(view.loads("main")), None)
    late = next(iter(view.loads("latency")), main)
    idle = view.loads("idle")
    counted = {load(c) for c in view.results["cells"] if c["syscalls_per_message"] is not None}
    columns = {
        "p50": lambda s: part(view.at(s, late), "latency", "p50", duration),
        "p99": lambda s: part(view.at(s, late), "latency", "p99", duration),
    }
    asked = dict.fromkeys(view.loads("main") + view.loads("pipeline") + view.loads("churn"))
    for cell in [cell for cell in asked if cell in counted]:
        columns[f"calls {cell.label()}"] = lambda s, cell=cell: part(
            view.at(s, cell), "syscalls_per_message", None, ratio)
    columns["switches"] = lambda s: part(view.at(s, main), "context_switches", "voluntary", ratio)
    for cell in idle[-1:]:
        columns["B/connection"] = lambda s: middle(
            (view.at(s, cell) or {}).get("rss_per_connection"), count)
    for cell in idle:
        columns[f"CPU {cell.connections:,} idle"] = lambda s, cell=cell: middle(
            (view.at(s, cell) or {}).get("cpu_per_message"), duration)
    for name in dict.fromkeys(k for s in view.servers for k in s.get("instructions") or {}):
        columns[f"instr. {name}"] = lambda s, name=name: whole(
            (s.get("instructions") or {}).get(name))
    rows = [
        [server["name"], *(value(server) for value in columns.values())]
        for server in view.servers if not server["checks"]["failed"]
    ]
    rows = [row for row in rows if any(cell != NONE for cell in row[1:])]
    if not rows:
        return ""
    title = (f"Latency: {late.title()}. System calls and context switches a message"
             + (f". Memory a connection: {idle[-1].title()}" if idle else ""))
    return "\n".join([*textwrap.wrap(title, width), grid(["", *columns], rows, width)])


def facts(view, width):
    """What a server is and what its loop brings, whatever it is measured on."""
    rows = [
        [
            server["name"], whole(server["adapter_lines"]),
            NONE if server["binary_bytes"] is None else f"{server['binary_bytes'] / 1024:.0f} KiB",
            NONE if server["compile_seconds"] is None else f"{server['compile_seconds']:.1f} s",
            server["licence"] or NONE,
            *((server["loop"] or {}).get(what) or NONE for what in BRINGS),
        ]
        for server in view.echoes
    ]
    head = ["", "lines", "program", "compile", "licence", *BRINGS]
    title = "Lines of the adapter, size of the program, what compiling takes; what the loop brings"
    return (f"{title}\n" + grid(head, rows, width, left=4)
            if rows else "")


def notes(view):
    """What has to be known before anybody cites a number."""
    results = view.results
    for server in results["servers"]:
        cells = [cell for cell in results["cells"] if cell["server"] == server["name"]]
        failed = list(server["checks"]["failed"])
        failed += [f"{load(cell).title()}: {cell['failed']}" for cell in cells if cell["failed"]]
        for sentence in failed:
            yield f"{server['name']} FAILED: {sentence}"
        for cell in cells:
            for sentence in cell["repeated"]:
                yield f"{server['name']}, {load(cell).title()}: a run was repeated: {sentence}"
    skipped = [f"{s['name']} ({s['skipped']})" for s in results["servers"] if s["skipped"]]
    if skipped:
        yield f"Left out: {', '.join(skipped)}."
    shown = [cell for cell in results["cells"] if cell["throughput"]]
    if any(mark(cell) == "*" for cell in shown):
        yield ("* The server's core was not saturated: messages/s is what the client, waiting or "
               "other programs left of it, and only the CPU time says something of the server.")
    if any(mark(cell) == "!" for cell in shown):
        yield ("! The client was the bottleneck: messages/s is the client's, and only the CPU time "
               "says something of the server.")
    for main in view.loads("main"):
        open_places = [
            cell["server"] for server in view.echoes if (cell := view.at(server, main))
            and (places := cell["rank"]["throughput"]) and places[0] != places[1]
        ]
        if open_places:
            yield ("Not ranked, for their intervals overlap with another's: "
                   f"{', '.join(open_places)}. A rank of 2-4 leaves these places open.")
    method = results["method"]
    few = method["rounds"] < ENOUGH or not results["complete"]
    rounds = f"{method['rounds']} round{'s' * (method['rounds'] > 1)} of {method['seconds']:g} s"
    yield (f"Medians of {rounds}, one server at a time, in random order (--seed {method['seed']}); "
           "95 % is the interval of the median."
           + f" With fewer than {ENOUGH} rounds it is too narrow, so nothing is ranked." * few)
    machine = results["machine"]
    pinned = machine["pinning"]
    if pinned["server"] is None:
        yield "Server and client share one processor: nothing here is worth citing."
    else:
        yield (f"Server on processor {pinned['server']}, client on {pinned['client']} of "
               f"{machine['cores']}, over loopback, congestion control "
               f"{machine['congestion_control']}."
               + (" The machine is virtual: differences under 10 % may be its neighbours'."
                  if machine["virtual"] else ""))
    if machine["load_average"] > machine["cores"] / 2:
        yield (f"The machine was busy with other things, its load average was "
               f"{machine['load_average']:.1f} at the start: repeat this when it is idle.")
    built = machine["cmake_build_type"]
    if built not in (None, "Release", "RelWithDebInfo"):
        yield f"The programs were built as {built}: nothing here is worth citing."
    if method.get("syscalls"):
        yield f"System calls were not counted: {method['syscalls']}."
    if not results["complete"]:
        yield "Interrupted: this is what had been measured by then."


def mark(cell):
    """Whether messages/s is the server's own limit; an open loop has none."""
    if cell["mode"] == "open" or cell["saturated"]:
        return ""
    return "!" if cell["client_bottleneck"] else "*"


def grid(head, rows, width, left=None):
    """Columns under their heads, split into several grids where they do not fit.

    The first column names the row, and is in each. Columns from `left` on are text.
    """
    table = [[clipped(text) for text in row] for row in ([*head], *rows)]
    table = [row + [""] * (len(head) - len(row)) for row in table]
    widths = [max(len(row[at]) for row in table) for at in range(len(head))]
    grids, columns, used = [], [0], widths[0]
    for at in range(1, len(head)):
        if used + GAP + widths[at] > width and len(columns) > 1:
            grids.append(columns)
            columns, used = [0], widths[0]
        columns.append(at)
        used += GAP + widths[at]
    grids.append(columns)

    def line(row, columns):
        cells = [
            row[at].ljust(widths[at]) if at == 0 or left and at >= left
            else row[at].rjust(widths[at]) for at in columns
        ]
        return (" " * GAP).join(cells).rstrip()

    return "\n\n".join("\n".join(line(row, columns) for row in table) for columns in grids)


def clipped(text):
    return text if len(text) <= WIDEST else text[:WIDEST - 3] + "..."


def middle(interval, form):
    return form(interval["median"]) if interval else NONE


def span(interval, form):
    """An interval, by a form that takes both its ends."""
    if not interval or interval["low"] is None:
        return NONE
    return form(interval["low"], interval["high"])


def part(cell, key, name, form):
    value = (cell or {}).get(key)
    if name is not None:
        value = (value or {}).get(name)
    return NONE if value is None else form(value)


def places_text(places):
    if not places:
        return NONE
    return str(places[0]) if places[0] == places[1] else f"{places[0]}-{places[1]}"


def count(value):
    return f"{value:,.0f}"


def counts(low, high):
    return f"{count(low)}..{count(high)}"


def ratio(value):
    return f"{value:.2f}" if value < 100 else count(value)


def ratios(low, high):
    return f"{ratio(low)}..{ratio(high)}"


def whole(value):
    return NONE if value is None else count(value)


def duration(seconds):
    """Three digits that count, and a unit."""
    unit, factor = unit_of(seconds)
    return f"{digits(seconds / factor)} {unit}"


def durations(low, high):
    """Both in the unit of the larger one."""
    unit, factor = unit_of(high)
    return f"{digits(low / factor)}..{digits(high / factor)} {unit}"


def unit_of(seconds):
    units = (("s", 1), ("ms", 1e-3), ("us", 1e-6))
    return next((each for each in units if seconds >= each[1]), units[-1])


def digits(value):
    return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f}"
