"""Draws what a comparison says first, as one picture: chart.py results.json chart.svg

CPU time a message: a column a load, a bar a server. The picture needs nothing outside itself, is
light or dark as its reader's screen is, and says at its foot where its numbers come from.
"""

import json
import math
import sys
import textwrap
from html import escape
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))  # for who loads this file by its path

from findings import ENOUGH, echoes, failed_checks, listed, plural, size_name
from report import FORMAT, duration, read

LOADS = ((50, 1, 16), (50, 16, 16), (50, 1, 16 * 1024))  # connections, in flight, bytes
FAMILIES = {"timtow": "timtow on", "floor": "raw TCP", "peer": "other servers", "perl": "Perl"}
TITLE = "CPU time a message of WebSocket echo servers"
FLOOR = "floor-raw-epoll"  # the floor that all can be compared to
CUT = 2.5  # a bar that is so many times longer than the longest whisker of timtow is broken

WIDTH, MARGIN, NAMES, VALUE = 720, 16, 122, 60  # pixels; VALUE: right of a bar, for its number
ROW, BAR, HEAD, LINE, COLUMNS = 23, 14, 142, 18, 88  # COLUMNS: letters of a line at the foot
ROOM = (WIDTH - MARGIN - NAMES) / len(LOADS)  # of a load
SCALE = ROOM - VALUE - 8

# The colours are those of report.css. In a narrow page the picture is small, so its letters grow.
STYLE = """
svg { --paper: #fdfdfb; --ink: #1c1d1f; --muted: #5d6166; --rule: #dcdcd6;
  --timtow: #0072b2; --floor: #8b8f94; --peer: #d55e00; --perl: #a2568b; }
@media (prefers-color-scheme: dark) {
  svg { --paper: #17181a; --ink: #e4e3de; --muted: #a3a6aa; --rule: #36383b;
    --timtow: #56b4e9; --floor: #8f9398; --peer: #e9863f; --perl: #cc88b8; }
  .bar { fill-opacity: 0.7; }
}
text { font: 14px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif;
  font-variant-numeric: tabular-nums; fill: var(--ink);
  stroke: var(--paper); stroke-width: 3px; paint-order: stroke; }
.title { font-size: 22px; font-weight: 600; }
.strong { font-weight: 600; }
.muted { fill: var(--muted); font-size: 13px; }
.paper { fill: var(--paper); stroke: var(--rule); }
.rule { stroke: var(--rule); }
.whisker { stroke: var(--ink); stroke-width: 1.5; fill: none; }
.gap { stroke: var(--paper); stroke-width: 3; }
.timtow { fill: var(--timtow); } .floor { fill: var(--floor); }
.peer { fill: var(--peer); } .perl { fill: var(--perl); }
@media (max-width: 540px) { text { font-size: 15px; } .muted { font-size: 14.5px; } }
"""


def draw(results):
    """The picture, as a string."""
    if results.get("format") != FORMAT:
        raise ValueError(f"results of format {results.get('format')}, not {FORMAT}")
    servers = [s for s in results["servers"] if not s.get("skipped") and not failed_checks(s)
               and echoes(s) and (s["family"] != "floor" or s["name"] == FLOOR)]
    cells = {(c["server"], load_of(c)): c for c in results["cells"]
             if c["mode"] == "closed" and c["payload"] == "binary"}
    loads = sorted(dict.fromkeys(load for _, load in cells),
                   key=lambda load: LOADS.index(load) if load in LOADS else len(LOADS))
    del loads[len(LOADS):]
    places, parts, y = {}, [], HEAD
    for family, words in FAMILIES.items():
        if mine := [s for s in servers if s["family"] == family
                    and any((s["name"], load) in cells for load in loads)]:
            parts.append(text(MARGIN, y + 14, words, "muted"))
            y += ROW - 3
            for server in mine:
                places[server["name"]] = server, y
                parts.append(text(MARGIN + 10, y + 12, label(server)))
                y += ROW
            y += 5
    described, shown = [], []
    for at, load in enumerate(loads):
        rows = [(server, top, cells.get((name, load))) for name, (server, top) in places.items()]
        parts.append(column(MARGIN + NAMES + at * ROOM, load, rows, y))
        shown += (row for row in rows if has_value(row[-1]))
        told = [f"{label(s)} {written(c['cpu_per_message']['median'])}" for s, _, c in rows
                if has_value(c)]
        described.append(f"{', '.join(load_words(load))}: {', '.join(told) or 'nothing'}.")
    foot = [line for sentence in sources(results, shown)
            for line in textwrap.wrap(sentence, COLUMNS)]
    y += LINE + 22
    parts += [text(MARGIN, y + at * LINE, line, "muted") for at, line in enumerate(foot)]
    height = y + len(foot) * LINE
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" role="img" aria-labelledby="title description">',
        f'<title id="title">{TITLE}</title>',
        f'<desc id="description">{escape(" ".join(described))}</desc>',
        f"<style>{STYLE}</style>",
        f'<rect class="paper" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="6"/>',
        text(MARGIN, 36, TITLE, "title"),
        text(MARGIN, 60, "Raw TCP: the same bytes without WebSocket. Shorter is better. "
                         "Lines: 95 % intervals.", "muted"),
        *parts, "</svg>", ""])


def column(x, load, rows, bottom):
    """One load: its name, a scale, and the bar of each server."""
    known = [(server, cell["cpu_per_message"]) for server, _, cell in rows if has_value(cell)]
    ours = [end(cpu) for server, cpu in known if server["family"] == "timtow"]
    most = CUT * max(ours or [end(cpu) for _, cpu in known], default=1)
    whole = max((end(cpu) for _, cpu in known if cpu["median"] <= most), default=most)
    parts = [text(0, 92 + LINE * at, words, "" if at else "strong")
             for at, words in enumerate(load_words(load))]
    step = step_of(whole)
    for tick in (step * at for at in range(int(whole / step) + 1) if known):
        at = SCALE * tick / whole
        parts += [f'<path class="rule" d="M{at:.1f} {HEAD} V{bottom}"/>',
                  text(at, bottom + 16, tick_name(tick, tick + step > whole), "muted", "middle")]
    for server, top, cell in rows:
        if has_value(cell):
            parts.append(bar(server, top, cell["cpu_per_message"], whole))
        else:
            why = "failed" if cell and cell.get("failed") else "not measured"
            parts.append(text(10, top + 12, why, "muted"))
    return f'<g transform="translate({x:.1f} 0)">{"".join(parts)}</g>'


def bar(server, top, cpu, whole):
    """A bar from 0 on; one that is far too long is broken, and its number is the whole."""
    middle, is_cut = top + BAR / 2, cpu["median"] > whole
    low, median, high = (min(SCALE, SCALE * value / whole) for value in
                         (start(cpu), cpu["median"], end(cpu)))
    told, mark = f"{label(server)}: {written(cpu['median'])}", ""
    if start(cpu) < end(cpu):
        told += f", 95 % interval {written(start(cpu))} to {written(end(cpu))}"
        mark = (f'<path class="whisker" d="M{low:.2f} {middle} H{high:.2f} '
                f'M{low:.2f} {middle - 4} v8 M{high:.2f} {middle - 4} v8"/>')
    if is_cut:
        mark = f'<path class="gap" d="M{SCALE - 15:.1f} {top + BAR + 2} l6 {-BAR - 4}"/>'
    return (f'<g><title>{escape(told)}</title><rect class="bar {server["family"]}" y="{top}" '
            f'width="{median:.2f}" height="{BAR}"/>{mark}'
            f'{text(max(median, high) + 6, top + 12, written(cpu["median"]))}</g>')


def sources(results, shown):
    """Where the numbers come from, in sentences; `shown` are the rows that have a bar."""
    of, how = results.get("machine") or {}, results.get("method") or {}
    if results.get("note"):
        yield results["note"]
    if not results.get("complete", True):
        yield "Interrupted: this is what had been measured by then."
    if failed := [server["name"] for server in results["servers"] if failed_checks(server)]:
        yield f"Left out, for a check failed: {listed(failed)}."
    yield "Each load has its own scale. A bar with a gap goes on: its number is the whole."
    rounds = max((len(cell.get("rounds") or ()) for *_, cell in shown), default=0)
    once = dict.fromkeys(label(server) for server, _, cell in shown
                         if len(cell.get("rounds") or ()) == 1)
    yield (f"Medians of {plural(rounds, 'round')} of {how.get('seconds', '?')} s"
           + f" (once: {listed(list(once))})" * bool(once and rounds > 1)
           + ", too few for the interval" * (rounds < ENOUGH)
           + f", one server at a time, over loopback. Measured by {results.get('command')} of "
           + f"timtow {results.get('version')}{duration(results)}.")
    cores, load = of.get("cores") or 0, of.get("load_average") or 0
    yield (f"{of.get('cpu') or 'Unknown CPU'}, {plural(cores, 'core')}"
           + ", a virtual machine" * bool(of.get("virtual")) + f", {of.get('kernel')}."
           + f" Other programs ran beside it: load average {load:.1f} at the start."
           * (load > cores / 2))


def load_of(cell):
    return cell["connections"], cell["pipeline"], cell["size"]


def load_words(load):
    connections, pipeline, size = load
    return size_name(size), plural(connections, "connection"), f"{pipeline} in flight"


def label(server):
    return server["name"].removeprefix("floor-").replace("raw-", "raw ")


def has_value(cell):
    cpu = cell and not cell.get("failed") and cell.get("cpu_per_message")
    return bool(cpu and cpu["median"])


def start(cpu):
    return cpu["median"] if cpu.get("low") is None else cpu["low"]


def end(cpu):
    return cpu["median"] if cpu.get("high") is None else cpu["high"]


def step_of(whole):
    """A round one, for two or three of them to fit."""
    power = 10 ** math.floor(math.log10(whole))
    return next(step * power for step in (0.5, 1, 2, 5) if whole / (step * power) < 3.2)


def unit_of(seconds):
    return next((unit for unit in ((1, "s"), (1e-3, "ms")) if seconds >= unit[0]), (1e-6, "µs"))


def tick_name(seconds, is_last):
    factor, unit = unit_of(seconds)
    return f"{seconds / factor:.3g}" + f" {unit}" * is_last


def written(seconds):
    """As the tables write it: three digits, and of less than ten two decimals."""
    factor, unit = unit_of(seconds)
    value = seconds / factor
    return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f} {unit}"


def text(x, y, words, kind="", anchor="start"):
    return (f'<text x="{x:.1f}" y="{y}" class="{kind}" text-anchor="{anchor}">'
            f"{escape(str(words))}</text>")


def main():
    if len(sys.argv) != 3:
        print("usage: chart.py results.json chart.svg", file=sys.stderr)
        sys.exit(2)
    try:
        # Python writes NaN, which is no JSON, and no number to show.
        results = json.loads(read(sys.argv[1]), parse_constant=lambda name: None)
        Path(sys.argv[2]).write_text(draw(results), encoding="utf-8")
    except (OSError, ValueError) as error:
        sys.exit(f"chart: {error}")


if __name__ == "__main__":
    main()
