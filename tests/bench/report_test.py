"""The report of a comparison: its sentences, its file, and the page as headless Chromium shows it.

The results are made up (fixture_results.py). Screenshots of the page at the width of a desk and of
a phone, light and dark, are saved on the way.
"""

import argparse
import base64
import contextlib
import copy
import html.parser
import json
import math
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

HERE = Path(__file__).resolve().parent
REPORT = HERE.parents[1] / "bench" / "report"
sys.path[:0] = [str(REPORT), str(HERE.parent), str(HERE.parent / "interop")]

from selenium.common.exceptions import TimeoutException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

import chromium
import closing
import fixture_results
import report
from findings import findings

TIMEOUT = 30.0  # seconds, for one wait
ENOUGH = 200  # pixels of a colour, for a chart that is drawn with it
WIDTHS = {1280: False, 390: True}  # whether it is a phone
SCHEMES = ("light", "dark")
HOSTILE = "</script><script>document.title = 'taken'</script><!-- <b>&amp;"

options = None
folder = whole = None  # where the reports are, and that of all results
results = fixture_results.results()


def setUpModule():
    global folder, whole
    folder = Path(unittest.enterModuleContext(tempfile.TemporaryDirectory()))
    whole = written(results, "whole.html")


def changed(change):
    """The results, after `change` has been at them."""
    others = copy.deepcopy(results)
    change(others)
    return others


def written(of, name="report.html"):
    report.write(of, folder / name)
    return folder / name


class Page(html.parser.HTMLParser):
    """What a browser would load, and the text of the scripts."""

    def __init__(self, text):
        super().__init__()
        self.references, self.scripts, self.kinds = [], [], []
        self.inside = False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.references += [value for name, value in attributes
                            if name in ("src", "href", "srcset", "action", "data", "poster")]
        self.inside = tag == "script"
        if self.inside:
            self.kinds.append(dict(attributes).get("type"))
            self.scripts.append("")

    def handle_endtag(self, tag):
        self.inside = False

    def handle_data(self, data):
        if self.inside:
            self.scripts[-1] += data


class File(unittest.TestCase):
    def test_refers_to_nothing_outside(self):
        page = Page(whole.read_text())
        self.assertIn("#says", page.references)
        self.assertEqual([r for r in page.references if not r.startswith(("#", "data:,"))], [])
        styles = (REPORT / "report.css").read_text()
        self.assertNotRegex(styles, r"url\(|@import|@font-face")

    def test_data_is_whole_and_ends_no_script(self):
        def hostile(of):
            of["note"] = of["machine"]["cpu"] = HOSTILE
            of["servers"][0]["code"][0]["text"] = HOSTILE

        of = changed(hostile)
        page = Page(written(of).read_text())
        self.assertEqual(page.kinds, ["application/json", None, None])
        self.assertEqual(json.loads(page.scripts[0]), of)

    def test_what_is_no_number_is_null(self):
        def divide_by_zero(of):
            of["cells"][0]["throughput"] = {"median": math.nan, "low": math.inf, "high": -math.inf}

        data = json.loads(Page(written(changed(divide_by_zero)).read_text()).scripts[0],
                          parse_constant=self.fail)
        self.assertEqual(data["cells"][0]["throughput"],
                         {"median": None, "low": None, "high": None})

    def test_library_ends_no_script(self):
        self.assertEqual(report.script("a = '</SCRIPT>' + '<script>'"),
                         r"a = '\x3c/SCRIPT>' + '\x3cscript>'")

    def test_without_the_library_it_says_so(self):
        with mock.patch.object(report, "LIBRARY_FOLDERS", ("/nowhere",)):
            with self.assertRaisesRegex(OSError, "libjs-chart.js"):
                written(results, "without.html")
        self.assertFalse((folder / "without.html").exists())

    def test_command_line(self):
        source = folder / "results.json"
        source.write_text(json.dumps(results))

        def run(*arguments):
            return subprocess.run([sys.executable, "-B", REPORT / "report.py", *arguments],
                                  capture_output=True, text=True, timeout=TIMEOUT)

        # As compare.py loads it: by its path, from anywhere.
        loaded = subprocess.run([sys.executable, "-B", "-c", f"""
import importlib.util
spec = importlib.util.spec_from_file_location("report", {str(REPORT / "report.py")!r})
spec.loader.exec_module(importlib.util.module_from_spec(spec))"""], cwd=folder, timeout=TIMEOUT)
        self.assertEqual(loaded.returncode, 0)
        made = run(source, folder / "made.html")
        self.assertEqual((made.returncode, made.stdout, made.stderr), (0, "", ""))
        self.assertEqual((folder / "made.html").read_text(), whole.read_text())
        self.assertEqual(run().returncode, 2)
        source.write_text(json.dumps({"format": 99}))
        for file, why in ((source, "format 99"), (folder / "none.json", "No such file")):
            failed = run(file, folder / "failed.html")
            self.assertEqual(failed.returncode, 1)
            self.assertRegex(failed.stderr, f"report: .*{why}")


class Sentences(unittest.TestCase):
    """What the report says of three loops, of one cell."""

    def said(self, *intervals, quantity="throughput", rounds=6, **more):
        names = ("poll", "epoll", "asio")
        cells = [{"server": name, "mode": "closed", "size": 16, "pipeline": 1, "connections": 50,
                  "payload": "binary", "rounds": [{}] * rounds, **more,
                  quantity: dict(zip(("low", "median", "high"), values))}
                 for name, values in zip(names, intervals)]
        return dict(findings({"cells": cells, "servers": [
            {"name": name, "family": "timtow"} for name in names]}))

    def test_no_ranking_where_intervals_overlap(self):
        said = self.said((9, 10, 11), (10, 11, 12), (10, 10.5, 13))["Throughput"]
        self.assertIn("No loop can be told from the fastest", said)
        self.assertNotRegex(said, "poll|asio|Surely")

    def test_what_is_apart_is_told(self):
        said = self.said((9, 10, 10.5), (11, 12, 13), (10, 11, 12))["Throughput"]
        self.assertIn("In 0 of 1 cells", said)
        self.assertIn("Surely slower than the fastest: poll in 1 cell (0.83 times); never epoll or "
                      "asio.", said)

    def test_less_cpu_is_better(self):
        said = self.said((9, 10, 10.5), (11, 12, 13), (10, 11, 12), quantity="cpu_per_message")
        self.assertIn("Surely dearer than the cheapest: epoll in 1 cell (1.20 times); never poll "
                      "or asio.", said["CPU per message"])

    def test_few_rounds_tell_nothing(self):
        apart = (9, 10, 11), (19, 20, 21), (29, 30, 31)
        self.assertEqual(self.said(*apart, rounds=5), {})
        self.assertIn("Throughput", self.said(*apart, rounds=6))
        self.assertEqual(self.said((None, 10, None), (None, 20, None), rounds=1), {})

    def test_what_was_no_measure_of_the_server_is_told(self):
        said = self.said((9, 10, 11), (9, 10, 11), client_bottleneck=True)
        self.assertIn("16 B, one at a time on 50 connections", said["Where throughput says little"])

    def test_whole_run(self):
        said = dict(findings(results))
        self.assertRegex(said["Idle connections"],
                         r"From 10 to 10,000 idle connections .* \d\d times as much on poll and "
                         r"\d\.\d\d to \d\.\d\d times on epoll, libev, .* only 3 rounds\.")
        self.assertRegex(said["The others"], r"beast 1\.\d+ to 11\.\d")
        self.assertNotIn("io_async", said["The others"])  # it failed a check

    def test_warnings(self):
        def stop_early(of):
            of["complete"] = False
            for cell in of["cells"]:
                cell["rounds"] = cell["rounds"][:1]

        text = " ".join(report.warnings(changed(stop_early)))
        for part in ("interrupted", "Only 1 round: 6 are needed", "io_async FAILED", "Made-up",
                     "65536 bytes came back", "Not run: poe (perl cannot find POE",
                     "websocketpp, closed, 1 MiB, one at a time on 1 connection: no echo in 20 s"):
            self.assertIn(part, text)
        self.assertNotIn("needed", " ".join(report.warnings(results)))
        self.assertIn("Nothing was measured", " ".join(report.warnings({**results, "cells": []})))


class Browser(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cleanup = cls.enterClassContext(contextlib.ExitStack())
        cls.driver = chromium.start(cleanup, TIMEOUT, logs=["browser", "performance"])

    def setUp(self):
        self.driver.get("about:blank")
        self.driver.get_log("performance")  # of the page that a new browser shows, too

    def command(self, name, **parameters):
        return self.driver.execute_cdp_cmd(name, parameters)

    def set_media(self, scheme, media=""):
        self.command("Emulation.setEmulatedMedia", media=media,
                     features=[{"name": "prefers-color-scheme", "value": scheme}])

    def open(self, file, width=1280, scheme="light"):
        self.command("Emulation.setDeviceMetricsOverride", width=width, height=900,
                     deviceScaleFactor=1, mobile=WIDTHS[width])
        self.set_media(scheme)
        self.driver.get(file.as_uri())

    def script(self, text, *arguments):
        return self.driver.execute_script(text, *arguments)

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def assert_quiet(self):
        """Nothing went wrong on the page, and it asked nobody for anything."""
        self.assertEqual(self.driver.get_log("browser"), [])
        messages = [json.loads(entry["message"])["message"]
                    for entry in self.driver.get_log("performance")]
        asked = [message["params"]["request"]["url"] for message in messages
                 if message["method"] == "Network.requestWillBeSent"]
        self.assertGreater(len(asked), 0)  # the page itself
        self.assertEqual([url for url in asked
                          if not url.startswith((folder.as_uri(), "data:", "blob:"))], [])

    def drawn(self, family="timtow"):
        """{figure: pixels of its chart that have the colour which the family has now}"""
        return self.script("""
            const hex = getComputedStyle(document.documentElement)
              .getPropertyValue("--" + arguments[0]).trim().slice(1);
            const [r, g, b] = [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16));
            const wanted = (0xff000000 | b << 16 | g << 8 | r) >>> 0;
            return Object.fromEntries([...document.querySelectorAll("figure")].map((figure) => {
              const chart = figure.querySelector("canvas");
              const copy = new OffscreenCanvas(chart.width, chart.height);
              const context = copy.getContext("2d", {willReadFrequently: true});
              context.drawImage(chart, 0, 0);
              const pixels = context.getImageData(0, 0, chart.width, chart.height).data;
              let count = 0;
              for (const pixel of new Uint32Array(pixels.buffer)) count += pixel === wanted;
              return [figure.id, count];
            }));""", family)

    def test_widths_and_schemes(self):
        for width in WIDTHS:
            self.open(whole, width)
            for scheme in SCHEMES:
                with self.subTest(width=width, scheme=scheme):
                    self.set_media(scheme)
                    self.assert_fits(width)
                    self.assert_drawn()
                    self.save_screenshot(f"report-{width}-{scheme}.png")
        self.set_media("dark", media="print")
        self.assert_drawn()
        self.assertEqual(self.script("return getComputedStyle(document.documentElement)"
                                     ".getPropertyValue('--timtow').trim()"), "#0072b2")
        self.assert_quiet()

    def assert_fits(self, width):
        self.assertEqual(self.script("return window.innerWidth"), width)
        self.assertLessEqual(self.script("return document.documentElement.scrollWidth"), width)
        # Wide things scroll in their boxes, and are reached by the keyboard.
        inside = self.script("""
            const box = document.getElementById("main-table");
            return [box.scrollWidth > box.clientWidth, box.tabIndex];""")
        self.assertEqual(inside, [True, 0])

    def assert_drawn(self):
        with contextlib.suppress(TimeoutException):  # what is blank is said below
            WebDriverWait(self.driver, TIMEOUT, poll_frequency=0.05).until(
                lambda _: min(self.drawn().values()) > ENOUGH)
        drawn = self.drawn()
        self.assertGreaterEqual(len(drawn), 13)
        self.assertEqual([figure for figure, pixels in drawn.items() if pixels <= ENOUGH], [])
        # And for those who do not see them:
        self.assertEqual(self.script("""
            return [...document.querySelectorAll("figure")].filter((figure) =>
              !figure.querySelector("canvas").ariaLabel.includes("numbers are in the table below")
              || figure.querySelectorAll("details tbody tr").length < 6).length"""), 0)

    def save_screenshot(self, name):
        height = self.script("return document.documentElement.scrollHeight")
        width = self.script("return window.innerWidth")
        shot = self.command(
            "Page.captureScreenshot", captureBeyondViewport=True, optimizeForSpeed=True,
            clip={"x": 0, "y": 0, "width": width, "height": height, "scale": 1})
        (options.screenshots / name).write_bytes(base64.b64decode(shot["data"]))

    def test_numbers(self):
        self.open(whole)
        for quantity, kind, value, interval in (
                ((187_234, 182_500, 192_900), "rate", "187 k/s", "183 to 193"),
                ((13_700, 5_000, 33_000), "rate", "14 k/s", "5 to 33"),
                ((4.98e-6, 4.80e-6, 5.02e-6), "seconds", "4.98 µs", "4.80 to 5.02"),
                ((4.98e-6, 4.20e-6, 5.92e-6), "seconds", "5.0 µs", "4.2 to 5.9"),
                ((0.9996, 0.99, 1.0101), "ratio", "1.00", "0.99 to 1.01"),
                ((12.3456, 12.3455, 12.3457), "ratio", "12.3", "12.3 to 12.3"),
                ((1_360, None, None), "bytes", "1.36 kB", ""),
                ((760, 760, 760), "bytes", "760 B", ""),
                ((0, 0, 0), "seconds", "0 ns", ""),
                (None, "rate", "–", "")):
            with self.subTest(value):
                of = quantity and dict(zip(("median", "low", "high"), quantity))
                self.assertEqual(self.script(
                    "return [written(...arguments), writtenInterval(...arguments)]", of, kind),
                    [value, interval])

    def test_choose_a_cell(self):
        self.open(whole)

        def shown():
            return [self.one(f"#{figure} figcaption small").text
                    for figure in ("throughput", "cpu", "share", "syscalls")]

        self.assertEqual(set(shown()), {"16 B, one at a time on 50 connections; 6 rounds"})
        self.one("input[name=pipeline][value='1']").send_keys(Keys.ARROW_RIGHT)
        self.assertEqual(set(shown()), {"16 B, 16 at a time on 50 connections; 6 rounds"})
        # There is no such cell with 1,000 connections: the nearest that was measured is shown.
        self.one("input[name=connections][value='1000']").click()
        self.assertEqual(set(shown()), {"16 B, one at a time on 1,000 connections; 6 rounds"})
        self.assertTrue(self.one("input[name=pipeline][value='1']").is_selected())
        self.assertIn("1,000 connections", self.one("#table-cell").text)
        cell = next(c for c in results["cells"] if c["server"] == "asio" and c["mode"] == "closed"
                    and c["connections"] == 1000)
        table = self.one("#cpu details tbody").get_attribute("textContent")
        self.assertIn(f"asio{cell['cpu_per_message']['median'] * 1e6:.2f} µs", table)
        self.assertGreater(self.drawn("perl")["cpu"], ENOUGH)
        self.one("#chooser input[value=perl]").click()
        self.assertEqual(self.drawn("perl")["cpu"], 0)
        self.assertFalse(self.one("#table input[value=perl]").is_selected())
        self.one("#table input[value=perl]").click()
        self.assertGreater(self.drawn("perl")["cpu"], ENOUGH)
        self.assert_quiet()

    def test_curves(self):
        self.open(whole)
        latency = Select(self.one("#latency-cell"))
        self.assertIn("open loop, 20 k/s", latency.first_selected_option.text)
        latency.select_by_visible_text("closed loop, 1 KiB, 16 at a time on 50 connections")
        self.assertIn("1 KiB", self.one("#percentiles small").text)
        before = self.drawn()["scaling"]
        Select(self.one("#scaling select")).select_by_visible_text("poll")
        self.assertLess(self.drawn()["scaling"], before)  # the others are faint
        self.assertGreater(self.drawn()["scaling"], ENOUGH)
        # The points of a curve end at the slowest message.
        last = self.script("return document.getElementById('percentiles').chart"
                           ".data.datasets[0].data.at(-1).y")
        cell = next(c for c in results["cells"] if c["server"] == "poll" and c["size"] == 1024
                    and c["pipeline"] == 16 and c["connections"] == 50)
        self.assertEqual(last, cell["latency_histogram"][-1][0])
        self.assert_quiet()

    def test_sort_the_table(self):
        self.open(whole)

        def names():
            return self.script("return [...document.querySelectorAll("
                               "'#main-table tbody th')].map((th) => th.textContent)")

        def heading(text):
            return next(b for b in self.all("#main-table th button") if b.text.startswith(text))

        cells = {c["server"]: c for c in results["cells"] if c["mode"] == "closed"
                 and (c["size"], c["pipeline"], c["connections"]) == (16, 1, 50)}
        measured = [s["name"] for s in results["servers"] if s["name"] in cells
                    and not s["checks"]["failed"]]
        by_rate = sorted(measured, key=lambda name: -cells[name]["throughput"]["median"])
        self.assertEqual(names()[:6], measured[:6])
        heading("throughput").click()
        self.assertEqual(names(), [*by_rate, "io_async", "poe"])
        self.assertEqual(self.one("th[aria-sort=descending]").text.split()[0], "throughput")
        self.driver.switch_to.active_element.send_keys(Keys.ENTER)  # it kept the focus
        self.assertEqual(names(), [*by_rate[::-1], "io_async", "poe"])
        heading("adapter").click()  # most have none: those come last
        self.assertEqual(names()[:3], ["poll", "epoll", "libev"])
        self.assertRegex(self.one("#main-table").text, r"FAILED: 65536 bytes came back changed")
        self.assert_quiet()

    def test_choose_code(self):
        self.open(whole)

        def lines(side):
            return self.script("return [...document.querySelectorAll(arguments[0])].map((line) =>"
                               " [line.className, line.querySelector('code')?.textContent])",
                               f"#{side}-code .line")

        def source(side, kinds=("line", "line differs")):
            return [text for kind, text in lines(side) if kind in kinds]

        for side, path in (("left", "examples/by_hand/libev.cpp"),
                           ("right", "examples/by_hand/libuv.cpp")):
            Select(self.one(f"#{side}")).select_by_value(path)
        texts = {}
        for side, path in (("left", "examples/by_hand/libev.cpp"),
                           ("right", "examples/by_hand/libuv.cpp")):
            texts[side] = (fixture_results.ROOT / path).read_text().splitlines()
            self.assertEqual(source(side), [line or " " for line in texts[side]])
        # What is not marked is the same on both sides, in the same rows.
        self.assertEqual(len(lines("left")), len(lines("right")))
        common = 0
        for (left, a), (right, b) in zip(lines("left"), lines("right")):
            if left == right == "line":
                self.assertEqual(a.strip(), b.strip())
                common += a != " "
        self.assertGreater(common, 10)
        self.assertGreater(len(source("left", ["line differs"])), 10)
        Select(self.one("#right")).select_by_value("examples/by_hand/libev.cpp")
        self.assertEqual({kind for kind, _ in lines("right")}, {"line"})
        self.assertRegex(self.one("#code-note").text, "^80 lines in common, 0 only on the left")
        self.assert_quiet()

    def test_save_the_data(self):
        self.open(whole)
        file = folder / "saved" / "results.json"
        self.command("Browser.setDownloadBehavior", behavior="allow",
                     downloadPath=str(file.parent))
        self.one("#download").click()
        WebDriverWait(self.driver, TIMEOUT, poll_frequency=0.05).until(lambda _: file.exists())
        self.assertEqual(json.loads(file.read_text()), results)
        self.assert_quiet()

    def test_what_is_missing(self):
        measures = ("throughput", "cpu_per_message", "latency", "latency_histogram", "errors",
                    "share_of_floor", "rss_per_connection", "syscalls", "syscalls_per_message",
                    "saturated", "client_bottleneck", "rounds")

        def forget(of):
            of["machine"] = of["method"] = of["finished"] = None
            for cell in of["cells"]:
                cell.update(dict.fromkeys(measures))
            for server in of["servers"]:
                server.update(dict.fromkeys(server.keys() - {"name", "family"}))

        def one_round(of):
            of["cells"] = of["cells"][:3]
            for cell in of["cells"]:
                cell["rounds"] = cell["rounds"][:1]
                for name in ("throughput", "cpu_per_message", "share_of_floor"):
                    cell[name].update(low=None, high=None)

        def nothing(of):
            of["cells"], of["complete"] = [], False
            for server in of["servers"]:
                server["skipped"] = "its program is not there"

        for change, figure in ((forget, "Not measured."), (one_round, "The numbers"),
                               (nothing, "")):
            with self.subTest(change.__name__):
                self.open(written(changed(change)), 390)
                self.assertLessEqual(
                    self.script("return document.documentElement.scrollWidth"), 390)
                self.assertIn(figure, self.one("#throughput").text)
                self.assertGreater(len(self.all("#main-table tbody tr")), 20)
                text = self.script("document.getElementById('sides').remove();"
                                   "return document.body.innerText")
                self.assertEqual(re.findall("NaN|undefined|null|Infinity", text), [])
                self.assert_quiet()

    def test_hostile_texts_are_texts(self):
        def hostile(of):
            of["note"] = of["servers"][0]["licence"] = HOSTILE
            of["servers"][0]["code"][0]["text"] = HOSTILE

        self.open(written(changed(hostile)))
        self.assertIn("six event loops", self.driver.title)
        self.assertIn(HOSTILE, self.one("#left-code").text)
        self.assert_quiet()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--screenshots", type=Path, default=Path(tempfile.gettempdir()),
                        help="the folder for them")
    options, others = parser.parse_known_args()
    closing.run(others)
