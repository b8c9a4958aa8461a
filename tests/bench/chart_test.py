"""The picture of a comparison: that it is XML, and shows each number where it belongs.

The results are made up (fixture_results.py).
"""

import copy
import json
import math
import re
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as xml
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPORT = HERE.parents[1] / "bench" / "report"
sys.path[:0] = [str(REPORT), str(HERE.parent)]

import chart
import closing
import fixture_results

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "]]></style><script>\"'&amp;<b>"
LEFT_OUT = {"poe", "io_async"}  # one is skipped, one fails a check

# What the picture is made of, and no more: the rest takes long to copy.
results = fixture_results.results()
results["cells"] = [
    cell | {"latency_histogram": None, "rounds": [{}] * len(cell["rounds"])}
    for cell in results["cells"] if cell["mode"] == "closed" and cell["size"] < fixture_results.MIB
]
results["servers"] = [server | {"code": []} for server in results["servers"]]


def changed(change):
    others = copy.deepcopy(results)
    change(others)
    return others


def picture(of=results):
    return xml.fromstring(chart.draw(of))


def columns(of=results):
    """{bytes, connections, in flight: {server: its bar}}, as written."""
    return {
        tuple(text.text for text in group.findall(f"{SVG}text")[:3]): {
            bar.find(f"{SVG}title").text.split(":")[0]: bar for bar in group.findall(f"{SVG}g")}
        for group in picture(of).findall(f"{SVG}g")
    }


def words(of):
    return " ".join(" ".join(picture(of).itertext()).split())


def cpu(server, load, of=results):
    name = server.replace("raw epoll", chart.FLOOR)
    size, connections, pipeline = load
    return next(c["cpu_per_message"] for c in of["cells"]
                if c["server"] == name and c["mode"] == "closed" and c["payload"] == "binary"
                and chart.load_words(chart.load_of(c)) == load)


def width(bar):
    return float(bar.find(f"{SVG}rect").get("width"))


def part(bar, kind):
    return bar.find(f"{SVG}path[@class='{kind}']")


class Picture(unittest.TestCase):
    def test_a_bar_for_each_server_in_order(self):
        found = columns()
        self.assertEqual(list(found), [("16 B", "50 connections", "1 in flight"),
                                       ("16 B", "50 connections", "16 in flight"),
                                       ("16 KiB", "50 connections", "1 in flight")])
        expected = [*fixture_results.LOOPS, "raw epoll", *fixture_results.PEERS,
                    *(name for name in fixture_results.PERL if name not in LEFT_OUT)]
        for bars in found.values():
            self.assertEqual(list(bars), expected)
            tops = [float(bar.find(f"{SVG}rect").get("y")) for bar in bars.values()]
            self.assertEqual(tops, sorted(set(tops)))

    def test_bars_and_whiskers_agree_with_the_numbers(self):
        whole = 0
        for load, bars in columns().items():
            scale = width(bars["epoll"]) / cpu("epoll", load)["median"]
            for server, bar in bars.items():
                of, numbers = cpu(server, load), bar.findall(f"{SVG}text")
                self.assertEqual([n.text for n in numbers], [chart.written(of["median"])])
                if part(bar, "gap") is not None:
                    continue
                whole += 1
                self.assertAlmostEqual(width(bar), scale * of["median"], delta=0.1)
                low, high = re.match(r"M(\S+) \S+ H(\S+) ", part(bar, "whisker").get("d")).groups()
                self.assertAlmostEqual(float(low), scale * of["low"], delta=0.1)
                self.assertAlmostEqual(float(high), scale * of["high"], delta=0.1)
                self.assertGreaterEqual(float(numbers[0].get("x")), float(high))
        self.assertGreater(whole, 3 * len(fixture_results.LOOPS))

    def test_what_is_far_too_long_is_broken(self):
        for load, bars in columns().items():
            broken = {server for server, bar in bars.items() if part(bar, "gap") is not None}
            self.assertLessEqual({"mojolicious", "anyevent"}, broken)
            self.assertFalse(broken & {*fixture_results.LOOPS, "raw epoll"})
            for server, bar in bars.items():
                self.assertLessEqual(width(bar), chart.SCALE + 0.01)
                if server in broken:
                    self.assertAlmostEqual(width(bar), chart.SCALE, delta=0.01)
                    self.assertIsNone(part(bar, "whisker"))

    def test_ticks_are_where_their_values_are(self):
        group = picture().find(f"{SVG}g")
        ticks = [(float(text.get("x")), text.text) for text in group.findall(f"{SVG}text")
                 if text.get("text-anchor") == "middle"]
        load = next(iter(columns()))
        scale = width(columns()[load]["epoll"]) / cpu("epoll", load)["median"]
        self.assertEqual(ticks[0], (0, "0"))
        self.assertGreater(len(ticks), 1)
        self.assertTrue(ticks[-1][1].endswith(" µs"))
        for x, name in ticks:
            self.assertAlmostEqual(x, scale * float(name.split()[0]) * 1e-6, delta=0.2)

    def test_says_what_it_is(self):
        root, said = picture(), words(results)
        for name in ("title", "desc"):
            self.assertTrue(root.find(f"{SVG}{name}").text)
            self.assertIn(root.find(f"{SVG}{name}").get("id"), root.get("aria-labelledby").split())
        for fact in (results["note"], "CPU time a message", "Imaginary CPU 9000 (made up), 2 cores",
                     "Linux 0.0.0 (made up)", "1 January 2000", "6 rounds of 1.0 s",
                     "./compare.sh --full", "Left out, for a check failed: io_async."):
            self.assertIn(fact, said)
        epoll = cpu("epoll", ("16 B", "50 connections", "1 in flight"))
        self.assertIn(f"epoll {chart.written(epoll['median'])}", root.find(f"{SVG}desc").text)
        self.assertNotIn("Other programs", said)

        def busy(of):
            of["machine"]["load_average"] = 2.04

        self.assertIn("Other programs ran beside it: load average 2.0", words(changed(busy)))

    def test_needs_nothing_outside(self):
        drawn = chart.draw(results).replace('xmlns="http://www.w3.org/2000/svg"', "")
        self.assertNotRegex(drawn, r"http|url\(|href|@import|@font-face|<script|<image")
        self.assertIn("prefers-color-scheme: dark", drawn)

    def test_names_are_only_text(self):
        def hostile(of):
            of["note"] = of["command"] = of["machine"]["cpu"] = of["servers"][0]["name"] = HOSTILE
            for cell in of["cells"]:
                cell["server"] = HOSTILE if cell["server"] == "poll" else cell["server"]

        root = picture(changed(hostile))
        self.assertEqual(list(root.iter(f"{SVG}script")), [])
        self.assertIn(HOSTILE, [text.text for text in root.iter(f"{SVG}text")])


class Incomplete(unittest.TestCase):
    def test_nothing_was_measured(self):
        def nothing(of):
            of.update(cells=[], machine={}, method={}, complete=False)
            del of["finished"]

        self.assertEqual(columns(changed(nothing)), {})
        self.assertIn("Interrupted", words(changed(nothing)))

    def test_nulls_and_what_is_no_number(self):
        def spoil(of):
            closed = [c for c in of["cells"] if c["mode"] == "closed" and c["payload"] == "binary"
                      and (c["size"], c["connections"], c["pipeline"]) == (16, 50, 1)]
            by_name = {cell["server"]: cell for cell in closed}
            by_name["poll"].update(cpu_per_message=None, failed="no echo in 20 s", rounds=[])
            by_name["epoll"]["cpu_per_message"] = None
            by_name["libev"]["cpu_per_message"] = {"median": None, "low": None, "high": None}
            by_name["libuv"]["cpu_per_message"].update(low=None, high=None)
            by_name["libuv"]["rounds"] = by_name["libuv"]["rounds"][:1]
            of["cells"].remove(by_name["libevent"])

        spoilt = changed(spoil)
        bars = next(iter(columns(spoilt).values()))
        self.assertEqual([*bars][:3], ["libuv", "asio", "raw epoll"])
        self.assertIsNone(part(bars["libuv"], "whisker"))
        self.assertIsNotNone(part(bars["asio"], "whisker"))
        said = [text.text for text in picture(spoilt).find(f"{SVG}g").findall(f"{SVG}text")]
        self.assertEqual((said.count("failed"), said.count("not measured")), (1, 3))
        self.assertIn("(once: libuv)", words(spoilt))

    def test_nothing_but_nulls(self):
        def empty(of):
            for cell in of["cells"]:
                cell.update(cpu_per_message=None, rounds=None)

        self.assertEqual([len(bars) for bars in columns(changed(empty)).values()], [0, 0, 0])

    def test_only_others(self):
        def without_loops(of):
            of["servers"] = [s for s in of["servers"] if s["family"] in ("peer", "perl")]

        for bars in columns(changed(without_loops)).values():
            self.assertEqual([*bars][:len(fixture_results.PEERS)], [*fixture_results.PEERS])

    def test_other_loads(self):
        def others(of):
            of["cells"] = [c for c in of["cells"] if c["connections"] == 1 and c["size"] > 16]

        found = columns(changed(others))
        self.assertEqual(len(found), 3)
        self.assertNotIn("16 B", {size for size, *_ in found})

    def test_few_rounds(self):
        def few(of):
            for cell in of["cells"]:
                cell["rounds"] = cell["rounds"][:2]

        self.assertIn("2 rounds of 1.0 s, too few for the interval", words(changed(few)))


class Command(unittest.TestCase):
    def run_it(self, *arguments):
        return subprocess.run([sys.executable, "-B", REPORT / "chart.py", *arguments],
                              capture_output=True, text=True)

    def test_writes_the_picture(self):
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder, "results.json"), Path(folder, "chart.svg")
            source.write_text(json.dumps(results))
            done = self.run_it(source, target)
            self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
            self.assertEqual(target.read_text(encoding="utf-8"), chart.draw(results))

            spoilt = copy.deepcopy(results)
            epoll = next(c for c in spoilt["cells"] if c["server"] == "epoll" and c["size"] == 16
                         and c["connections"] == 50 and c["mode"] == "closed")
            epoll["cpu_per_message"]["median"] = math.nan
            source.write_text(json.dumps(spoilt))
            self.assertEqual(self.run_it(source, target).returncode, 0)
            self.assertNotIn("nan", target.read_text(encoding="utf-8"))

    def test_errors(self):
        self.assertEqual(self.run_it().returncode, 2)
        with tempfile.TemporaryDirectory() as folder:
            other = Path(folder, "results.json")
            other.write_text('{"format": 2}')
            for source, cause in ((other, "format 2"), ("/nowhere/results.json", "/nowhere")):
                done = self.run_it(source, Path(folder, "chart.svg"))
                self.assertEqual(done.returncode, 1)
                self.assertIn(cause, done.stderr)
                self.assertNotIn("Traceback", done.stderr)


if __name__ == "__main__":
    closing.run(sys.argv[1:])
