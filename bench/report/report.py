"""Makes the report of a comparison from its results: report.py results.json report.html

The report is one file that needs no network: the page, its styles and scripts, the charting
library and the raw data. What stands still is written here; charts, tables and code are drawn by
the scripts from the embedded data. The library is Chart.js, as Debian's libjs-chart.js installs it.
"""

import html
import json
import re
import sys
from datetime import datetime
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))  # for who loads this file by its path

from findings import ENOUGH, cell_name, echoes, failed_checks, findings, listed, parameters, plural

SCRIPTS = ("numbers.js", "charts.js", "code.js", "report.js")
LIBRARY_FOLDERS = ("/usr/share/javascript/chart.js", "/usr/share/nodejs/chart.js/dist")
LIBRARY_NAMES = ("chart.umd.js", "chart.min.js")  # of Chart.js 4, of 3
FORMAT = 1


def write(results, path):
    """Writes the report to path. Raises OSError if it cannot, or if Chart.js is missing."""
    if results.get("format") != FORMAT:
        raise ValueError(f"results of format {results.get('format')}, not {FORMAT}: "
                         f"measure again with this version")
    # Python writes NaN, which is no JSON, and no number to show.
    results = json.loads(json.dumps(results), parse_constant=lambda name: None)
    parts = {
        "title": title(results),
        "warnings": paragraphs(warnings(results), "warning"),
        "about": about(results),
        "findings": definitions(findings(results)
                                or [("Nothing yet", "There is nothing that can be compared.")]),
        **method(results),
        "machine": definitions(machine(results)),
        "styles": read(HERE / "report.css"),
        "library": script(chart_library()),
        "scripts": script("\n".join(read(HERE / name) for name in SCRIPTS)),
        # A "<" is only ever in a string there.
        "data": json.dumps(results, separators=(",", ":")).replace("<", r"\u003c"),
    }
    page = re.sub(r"\{\{(\w+)\}\}", lambda name: parts[name[1]], read(HERE / "template.html"))
    Path(path).write_text(page, encoding="utf-8")


def read(path):
    return Path(path).read_text(encoding="utf-8")


def chart_library():
    for folder in LIBRARY_FOLDERS:
        for name in LIBRARY_NAMES:
            if (file := Path(folder, name)).is_file():
                return read(file)
    raise FileNotFoundError("Chart.js is not there: install the Debian package libjs-chart.js")


def script(text):
    """JavaScript that cannot end its <script> element: such a "<" is in a string or a pattern."""
    return re.sub(r"<(?=/?script)", r"\\x3c", text, flags=re.I)


def title(results):
    loops = [s for s in results["servers"]
             if s["family"] == "timtow" and echoes(s) and not s.get("skipped")]
    return (f"One WebSocket echo server on {in_words(len(loops))} event "
            f"loop{'' if len(loops) == 1 else 's'}")


def warnings(results):
    """What a reader has to know before any number."""
    if results.get("note"):
        yield results["note"]
    if not results["cells"]:
        yield "Nothing was measured."
    if not results.get("complete", True):
        yield ("This run was interrupted. What was measured until then is here; intervals are "
               "wider than those of a whole run, and cells are missing.")
    rounds = max((len(cell.get("rounds") or []) for cell in results["cells"]), default=ENOUGH)
    if rounds < ENOUGH:
        yield (f"Only {plural(rounds, 'round')}: {ENOUGH} are needed for an interval that can tell "
               f"two servers apart, so nothing is ranked, and whiskers are too short.")
    busy = (results.get("machine") or {}).get("load_average")
    if busy and busy > ((results.get("machine") or {}).get("cores") or busy):
        yield f"The machine was busy with other work: its load average was {busy:.1f} at the start."
    skipped = [f"{s['name']} ({s['skipped']})" for s in results["servers"] if s.get("skipped")]
    if skipped:
        yield f"Not run: {', '.join(skipped)}."
    for server in results["servers"]:
        if failed := failed_checks(server):
            yield f"{server['name']} FAILED and is left out of the charts: {'; '.join(failed)}."
    for cell in results["cells"]:
        where = f"{cell['server']}, {cell['mode']}, {cell_name(parameters(cell))}"
        if cell.get("failed"):
            yield f"{where}: {cell['failed']}."
        elif cell.get("errors"):
            yield f"{where}: {plural(cell['errors'], 'error')}."
    for left_out in (results.get("method") or {}).get("left_out") or []:
        yield f"Left out: {left_out}."


def about(results):
    of = results.get("machine") or {}
    families = {"timtow": "timtow on {} event loops", "floor": "{} raw TCP echoes to compare with",
                "peer": "{} other WebSocket servers", "perl": "{} in Perl"}
    run = [s["family"] for s in results["servers"] if echoes(s) and not s.get("skipped")]
    kinds = [text.format(in_words(run.count(family))) for family, text in families.items()
             if family in run]
    hardware = of.get("cpu") or "an unknown CPU"
    if of.get("cores"):
        hardware += f" with {plural(of['cores'], 'core')}"
    system = f", {of['kernel']}" if of.get("kernel") else ""
    return (f"{plural(len(run), 'echo server')}{': ' if kinds else ''}{listed(kinds)}. Measured on "
            f"{escaped(hardware + system)}, by "
            f"<code>{escaped(results.get('command'))}</code> of timtow "
            f"{escaped(results.get('version'))}{escaped(duration(results))}.")


def in_words(count):
    words = "no one two three four five six seven eight nine ten eleven twelve".split()
    return words[count] if count < len(words) else str(count)


def duration(results):
    try:
        started = datetime.fromisoformat(results["started"])
        day = f"{started.day} {started:%B %Y}"
        seconds = round((datetime.fromisoformat(results["finished"]) - started).total_seconds())
    except (KeyError, TypeError, ValueError):  # not finished, or not told
        return f", started {results['started']}" if results.get("started") else ""
    took = f"{seconds // 60}\u00a0min {seconds % 60}\u00a0s" if seconds >= 60 else f"{seconds} s"
    return f", on {day}, in {took}"


def method(results):
    """What the description of the method leaves open."""
    how = results.get("method") or {}
    pinning = (results.get("machine") or {}).get("pinning") or {}
    pinned = (f"It has core {pinning['server']} for itself, the client core {pinning['client']}. "
              if None not in (pinning.get("server"), pinning.get("client")) else "")
    return {"pinned": escaped(pinned), "rounds": escaped(how.get("rounds", "?")),
            "warmup": escaped(how.get("warmup", "?")), "seconds": escaped(how.get("seconds", "?")),
            "seed": escaped(how.get("seed", "?")), "plan": escaped(how.get("plan", "?")),
            "confidence": f"{100 * (how.get('confidence') or 0.95):.0f}"}


def machine(results):
    of = dict(results.get("machine") or {})
    libraries, mitigations = of.pop("libraries", None) or {}, of.pop("mitigations", None) or {}
    if of.get("memory_bytes"):
        of["memory"] = f"{of.pop('memory_bytes') / 2**30:.1f} GiB"
    if of.get("pinning"):
        of["pinning"] = ", ".join(f"{who} on core {core}" for who, core in of["pinning"].items())
    rows = [(name.replace("_", " "), {True: "yes", False: "no"}.get(value, str(value)))
            for name, value in of.items() if value is not None]
    affected = {k: v for k, v in mitigations.items() if v != "Not affected"}
    if mitigations:
        others = len(mitigations) - len(affected)
        rows.append(("mitigations", "; ".join(f"{k}: {v}" for k, v in affected.items())
                     + (f"{'; ' if affected else ''}{others} not affected" if others else "")))
    if libraries:
        rows.append(("libraries", ", ".join(f"{name} {version}" for name, version
                                            in libraries.items())))
    return rows or [("machine", "not recorded")]


def escaped(text):
    return html.escape(str(text))


def paragraphs(texts, kind):
    return "".join(f'<p class="{kind}">{escaped(text)}</p>' for text in texts)


def definitions(rows):
    return "".join(f"<dt>{escaped(name)}</dt><dd>{escaped(text)}</dd>" for name, text in rows)


def main():
    if len(sys.argv) != 3:
        print("usage: report.py results.json report.html", file=sys.stderr)
        sys.exit(2)
    try:
        results = json.loads(read(sys.argv[1]))
        write(results, sys.argv[2])
    except (OSError, ValueError) as error:
        sys.exit(f"report: {error}")


if __name__ == "__main__":
    main()
