#!/usr/bin/python3
"""The comparison: its statistics, its plans, its tables, and short runs of it.

Called with the folder of the programs. The last line is `N passed, 0 failed`.
"""

import contextlib
import dataclasses
import io
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from unittest import mock

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "bench"), str(ROOT / "tests")]

import closing  # noqa: E402
from comparison import (  # noqa: E402
    interrupts, machine, main, measure, options, plan, progress, results, server, statistics,
    syscalls, table,
)
from comparison.plan import Cell  # noqa: E402

TIMEOUT = 100  # seconds; only bounds a wait for something that has to happen
programs = None


class Statistics(unittest.TestCase):
    def test_interval_by_order_statistics(self):
        # Of six, P(all on one side of the median) = 2/64: the extremes are a 96.9 % interval.
        self.assertEqual(statistics.interval([6, 1, 5, 2, 4, 3]),
                         {"median": 3.5, "low": 1, "high": 6})
        # The classical table: n = 9 leaves out one at each end, n = 20 five, n = 25 seven.
        self.assertEqual([statistics.order_statistic(n) for n in (8, 9, 12, 20, 25)],
                         [0, 1, 2, 5, 7])
        self.assertEqual(statistics.interval(range(20)), {"median": 9.5, "low": 5, "high": 14})

    def test_outliers_do_not_widen_it(self):
        self.assertEqual(statistics.interval([10] * 7 + [1, 1000]),
                         {"median": 10, "low": 10, "high": 10})

    def test_interval_of_few_is_the_bootstrap(self):
        # Of the 27 resamples of three, 7 have the median 1: more than 2.5 % of them.
        self.assertEqual(statistics.interval([3, 1, 2]), {"median": 2, "low": 1, "high": 3})
        # Of the 3125 of five, 181 have the first as their median, 5.8 %.
        self.assertEqual(statistics.interval([1, 2, 3, 4, 9]), {"median": 3, "low": 1, "high": 9})
        self.assertEqual(statistics.interval([1, 2, 3, 4, 9], 0.80),
                         {"median": 3, "low": 2, "high": 4})

    def test_one_value_has_no_interval_and_none_nothing(self):
        self.assertEqual(statistics.interval([5]), {"median": 5, "low": None, "high": None})
        self.assertIsNone(statistics.interval([]))

    def test_ratios_are_paired_by_round(self):
        # Both twice as slow in round 1, and the floor was not measured in round 3.
        self.assertEqual(statistics.ratios({0: 3, 1: 6, 3: 9}, {0: 2, 1: 4, 2: 1}), [1.5, 1.5])

    def test_no_ranking_where_intervals_overlap(self):
        def interval(low, high):
            return {"median": (low + high) / 2, "low": low, "high": high}

        intervals = {"a": interval(10, 12), "b": interval(9, 10), "c": interval(7, 9),
                     "d": interval(1, 2), "one round": interval(5, 5) | {"low": None}, "none": None}
        self.assertEqual(statistics.ranks(intervals),
                         {"a": (1, 2), "b": (1, 3), "c": (2, 3), "d": (4, 4)})
        self.assertEqual(statistics.ranks(intervals, larger_is_better=False)["d"], (1, 1))

    def test_medians_of_each_key(self):
        self.assertEqual(statistics.median_of([{"p50": 1, "max": None}, {"p50": 3}, {"p50": 2}]),
                         {"p50": 2, "max": None})

    def test_histograms_add_up(self):
        self.assertEqual(statistics.merged([[[1e-3, 2], [2e-3, 1]], [[5e-4, 1], [1e-3, 3]]]),
                         [[5e-4, 1], [1e-3, 5], [2e-3, 1]])


def entry(name, **more):
    return server.Server(**{"name": name, "family": "timtow", "protocol": "websocket",
                            "command": [f"/bin/{name}"]} | more)


class Plans(unittest.TestCase):
    def test_full_matrix(self):
        cells = plan.full().cells
        closed = {(c.size, c.connections, c.pipeline) for c in cells
                  if c.mode == "closed" and c.payload == "binary"}
        every = {(size, connections, pipeline) for size in (16, 1024, 16384, 2**20)
                 for connections in (1, 50, 1000) for pipeline in (1, 16)}
        # More than 256 MiB in flight is more than the kernel holds.
        self.assertEqual(every - closed, {(2**20, 1000, 1), (2**20, 1000, 16), (2**20, 50, 16)})
        self.assertEqual(closed - every, set())
        for cell in (Cell("idle", 10000), Cell("churn", 16), Cell("fanout", 1000),
                     Cell("closed", 50, 1, 16384, "mixed"), Cell("closed", 50, 1, 16384)):
            self.assertIn(cell, cells)

    def test_default_takes_about_three_minutes(self):
        servers, made = server.read_servers(), plan.default()
        checked = sum(each.protocol == "websocket" for each in servers)
        seconds = made.all_seconds(servers, True) + main.CHECKING * checked
        self.assertLess(seconds, 190)
        self.assertGreater(seconds, 150)  # there was time for more

    def test_default_ranks_the_closed_loops(self):
        made = plan.default()
        for cell in (c for c in made.cells if c.mode == "closed"):
            for family in ("timtow", "floor", "peer"):
                each = entry("e", family=family)
                self.assertIn(cell, made.cells_of(each))
                self.assertGreaterEqual(made.rounds_of(each, cell), statistics.ENOUGH)

    def test_rounds_of_what_takes_long_or_needs_no_more(self):
        made = dataclasses.replace(plan.default(), rounds=6, few={Cell("churn", 16): 2, "perl": 1})
        perl, other = entry("p", family="perl"), entry("e")
        rounds = [made.rounds_of(each, cell) for each in (other, perl)
                  for cell in (made.cells[0], Cell("churn", 16))]
        self.assertEqual(rounds, [6, 2, 1, 1])
        self.assertEqual(dataclasses.replace(made, rounds=1).rounds_of(other, made.cells[0]), 1)

    def test_a_scenario_names_cells_of_the_plan(self):
        for make in plan.PLANS.values():
            for sizes in (None, (100,), (plan.MIB, 16)):
                made = make(sizes)
                self.assertIn("main", made.scenarios)
                for group in made.scenarios.values():
                    for cell in group["cells"]:
                        self.assertIn(Cell(**cell), made.cells)

    def test_who_is_measured_on_what(self):
        made = plan.full()
        fanout, perl = entry("f", mode="fanout"), entry("p", family="perl")
        self.assertEqual({c.mode for c in made.cells_of(fanout)}, {"fanout"})
        self.assertNotIn("fanout", {c.mode for c in made.cells_of(entry("e"))})
        self.assertLess({*made.cells_of(perl)}, {*made.cells_of(entry("e"))})
        floor = entry("t", family="floor")
        self.assertEqual(made.cells_of(floor), made.cells_of(entry("e")))
        self.assertEqual({c.mode for c in plan.default().cells_of(floor)}, {"closed", "churn"})
        self.assertEqual(
            {c.mode for c in plan.default().cells_of(entry("f", family="floor", mode="fanout"))},
            {"fanout"})

    def test_scripts_warm_up_longer(self):
        made = plan.default()
        script = entry("s", command=["/usr/bin/node", str(server.BENCH / "peers" / "x.cjs")])
        self.assertEqual(made.warmup_of(entry("e")), made.warmup)
        self.assertEqual(made.warmup_of(script), made.warmup_scripted)

    def test_cells_that_are_left_out_leave_the_scenarios(self):
        made = plan.default()
        rest = made.with_cells([c for c in made.cells if c.mode != "idle"])
        self.assertNotIn("idle", rest.scenarios)
        self.assertIn("main", rest.scenarios)

    def test_what_bench_load_is_told(self):
        self.assertEqual(
            Cell("closed", 50, 16, 1024, "mixed").arguments(),
            ["closed", "--size", "1024", "--payload", "mixed", "--connections", "50",
             "--pipeline", "16"])
        self.assertEqual(
            Cell("churn", 16).arguments(),
            ["churn", "--size", "16", "--payload", "binary", "--concurrency", "16"])
        self.assertIn("--rate", Cell("open", rate=10000).arguments())


class Choice(unittest.TestCase):
    def chosen(self, *arguments):
        servers = [
            entry("epoll", adapter="adapters/epoll", floor="floor-epoll"),
            entry("fanout-epoll", adapter="adapters/epoll", mode="fanout", floor="floor-all"),
            entry("poll", adapter="adapters/poll", floor="floor-poll"),
            entry("floor-epoll", family="floor", floor="floor-raw"),
            entry("floor-poll", family="floor"), entry("floor-raw", family="floor"),
            entry("floor-all", family="floor"),
            entry("beast", family="peer", floor="floor-raw"), entry("poe", family="perl"),
        ]
        return [s.name for s in options.choose(servers, options.parse(arguments))]

    def test_everything(self):
        self.assertEqual(len(self.chosen()), 9)

    def test_loops_bring_their_floors_and_those_theirs(self):
        self.assertEqual(self.chosen("--loops", "epoll"),
                         ["epoll", "fanout-epoll", "floor-epoll", "floor-raw", "floor-all"])

    def test_peers(self):
        self.assertNotIn("beast", self.chosen("--no-peers"))
        self.assertEqual(self.chosen("--loops", "poll", "--peers"),
                         ["poll", "floor-poll", "floor-raw", "beast", "poe"])

    def test_servers(self):
        self.assertEqual(self.chosen("--servers", "beast,floor-poll"),
                         ["floor-poll", "floor-raw", "beast"])

    def test_sizes(self):
        self.assertEqual(options.sizes("16, 1K,16KiB,1M,16B"), (16, 1024, 16384, 2**20))


class Parts(unittest.TestCase):
    STRACE = """% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 60.00    0.000600           1       500           epoll_wait
 40.00    0.000400           2       200        10 recvfrom
------ ----------- ----------- --------- --------- ----------------
100.00    0.001000           1       700        10 total
"""

    def test_strace(self):
        short = syscalls.parse(self.STRACE)
        self.assertEqual(short, {"epoll_wait": 500, "recvfrom": 200})
        long = {"epoll_wait": 900, "recvfrom": 500, "brk": 1, "futex": 1}
        self.assertEqual(syscalls.per_message(short | {"futex": 4}, long, 200),
                         {"epoll_wait": 2, "recvfrom": 1.5, "brk": 0.005})

    def test_strace_that_is_absent_or_refused(self):
        with mock.patch.dict(os.environ, PATH="/nowhere"):
            with self.assertRaisesRegex(syscalls.Unavailable, "strace is not installed"):
                with syscalls.Trace(os.getpid()):
                    pass
        with self.assertRaisesRegex(syscalls.Unavailable, "attach"):
            with syscalls.Trace(2**22 + 1):  # no such process
                pass

    def test_what_is_worth_another_run_is_what_bench_load_says(self):
        self.assertIn(f'"{measure.STARVED}', (server.BENCH / "load" / "report.cpp").read_text())

    def test_an_interrupt_waits_for_what_has_to_be_known(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            self.addCleanup(signal.signal, number, signal.getsignal(number))
        interrupts.take()
        known = None
        with self.assertRaises(KeyboardInterrupt):
            with interrupts.held():
                with interrupts.held():
                    signal.raise_signal(signal.SIGTERM)
                known = "assigned"
            self.fail("it did not come")
        self.assertEqual(known, "assigned")
        with self.assertRaises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)

    def test_processors_apart(self):
        with mock.patch.object(machine, "siblings", lambda cpu: {cpu, cpu ^ 1}):
            self.assertEqual(machine.pinning({0, 1, 2, 3}), {"server": 3, "client": 1})
            self.assertEqual(machine.pinning({0, 1}), {"server": 1, "client": 0})
        self.assertEqual(machine.pinning({0}), {"server": None, "client": None})

    def test_progress(self):
        now = 0
        stream = io.StringIO()
        shown = progress.Progress(100, stream, clock=lambda: now)
        shown.step("one", 50)
        now = 100  # twice as slow as it was expected to be
        self.assertEqual(shown.remaining(), 100)
        shown.heading("round 2 of 2")
        self.assertEqual(stream.getvalue(), "round 2 of 2, about 1 min 40 s left\n")

    def test_progress_on_a_terminal(self):
        now = 0
        stream = mock.Mock(wraps=io.StringIO(), isatty=lambda: True)
        shown = progress.Progress(40, stream, clock=lambda: now)
        shown.step("poll", 10)
        now = 10
        shown.step("epoll", 10)
        line = stream.write.call_args_list[-2].args[0]
        self.assertRegex(line, r"^\r\[#{6}\.{18}\]  25%  30 s left  epoll *$")

    def test_times(self):
        self.assertEqual([progress.time_text(s) for s in (8, 60, 200, 900, 3600, 5400)],
                         ["8 s", "1 min", "3 min 20 s", "15 min", "1 h", "1 h 30 min"])


def run_of(cpu, rate, **more):
    return {"rate": rate, "server": {"cpu_per_message": cpu, "core_busy": 0.95}, "saturated": True,
            "client": {"core_busy": 0.5, "was_bottleneck": False}, "errors": 0,
            "latency": {"p50": 2e-4, "p99": 9e-4}, "latency_histogram": [[2e-4, 10]]} | more


class Table(unittest.TestCase):
    CELL, OPEN = Cell(), Cell("open", rate=10000)

    def document(self, rounds=6, complete=True):
        def about(name, **more):
            return {"name": name, "family": "timtow", "mode": "echo", "protocol": "websocket",
                    "floor": "floor", "loop": {"timers": "yes", "windows": ""}, "licence": "MIT",
                    "library": None, "adapter_lines": 88, "binary_bytes": 204800,
                    "compile_seconds": 1.25, "skipped": None,
                    "checks": {"passed": 44, "failed": []}} | more

        servers = [
            about("fast"), about("also-fast"), about("slow"), about("broken"),
            about("wrong", checks={"passed": 3, "failed": ["no pong in 20 s"]}),
            about("floor", family="floor", protocol="tcp", floor=None),
            about("absent", family="peer", skipped="it is not there"),
        ]
        header = {
            "version": "1.0.0", "scenarios": plan.scenarios([self.CELL], [self.OPEN]),
            "method": {"rounds": rounds, "seconds": 1.0, "seed": 7,
                       "syscalls": "ptrace is refused"},
            "machine": {"pinning": {"server": 1, "client": 0}, "cores": 2, "virtual": True,
                        "load_average": 0.5,
                        "congestion_control": "cubic", "cmake_build_type": "Release"},
        }
        made = results.Results(header, {each["name"]: each for each in servers})
        for at in range(rounds):
            slower = 2 if at == 1 else 1  # a round in which the machine was busy
            for name, cpu in (("fast", 5.5), ("also-fast", 6), ("slow", 20), ("floor", 5)):
                cpu *= slower * 1e-6
                made.add(name, self.CELL, at, run_of(cpu, 0.9 / cpu, saturated=name != "slow"))
        made.add("fast", self.OPEN, 0, run_of(5e-6, 10000))
        made.repeat("fast", self.CELL, "bench-load: nothing came back")
        made.fail("broken", self.CELL, "it ended with -11")
        made.syscalls["fast", self.CELL] = {"recvfrom": 1.0, "sendmsg": 1.0, "epoll_wait": 0.25}
        return json.loads(json.dumps(made.document(complete)))

    def lines(self, document):
        text = table.render(document)
        self.assertLessEqual(max(map(len, text.splitlines())), 100)
        return [" ".join(line.split()) for line in text.splitlines()]

    def test_results(self):
        document = self.document()
        cells = {(c["server"], c["mode"]): c for c in document["cells"]}
        fast = cells["fast", "closed"]
        # The busy round doubled both, so it is in the interval of the cost, and not of the ratio.
        self.assertAlmostEqual(fast["cpu_per_message"]["high"], 11e-6)
        self.assertAlmostEqual(fast["share_of_floor"]["median"], 1.1)
        self.assertAlmostEqual(fast["share_of_floor"]["high"], 1.1)
        self.assertEqual(fast["syscalls_per_message"], 2.25)
        self.assertEqual(fast["latency_histogram"], [[2e-4, 60]])
        self.assertEqual([r["round"] for r in fast["rounds"]], [0, 1, 2, 3, 4, 5])
        self.assertEqual(fast["rank"]["throughput"], [1, 2])
        self.assertEqual(cells["slow", "closed"]["rank"]["throughput"], [3, 3])
        self.assertIsNone(cells["broken", "closed"]["throughput"])
        self.assertEqual(cells["broken", "closed"]["failed"], "it ended with -11")

    def test_rows(self):
        lines = self.lines(self.document())
        self.assertIn(
            "fast 163,636 81,818..163,636 1-2 5.50 us 5.50..11.0 us 1.10 1.10..1.10", lines)
        self.assertIn(
            "slow 45,000* 22,500..45,000 3 20.0 us 20.0..40.0 us 4.00 4.00..4.00", lines)
        self.assertIn("floor 180,000 90,000..180,000 - 5.00 us 5.00..10.0 us - -", lines)
        self.assertIn("broken FAILED", lines)
        self.assertIn("wrong FAILED", lines)
        self.assertIn("fast 88 200 KiB 1.2 s MIT yes - - - -", lines)
        self.assertIn("fast 200 us 900 us 2.25 -", lines)

    def test_few_rounds_are_not_ranked(self):
        for rounds, ranked in ((5, False), (6, True)):
            (slow,) = (c for c in self.document(rounds)["cells"] if c["server"] == "slow")
            self.assertEqual(slow["rank"]["throughput"] is not None, ranked)

    def test_whose_limit_it_was(self):
        document = self.document()
        (slow,) = (c for c in document["cells"] if c["server"] == "slow")
        slow["client_bottleneck"] = True
        text = " ".join(self.lines(document))
        self.assertIn("slow 45,000! ", text)
        self.assertIn("! The client was the bottleneck", text)
        self.assertNotIn("* The server", text)

    def test_what_has_to_be_said(self):
        text = " ".join(self.lines(self.document()))
        for sentence in (
            "broken FAILED: 16 B, 50 connections, 1 in flight: it ended with -11",
            "fast, 16 B, 50 connections, 1 in flight: a run was repeated: bench-load: nothing came",
            "wrong FAILED: no pong in 20 s", "Left out: absent (it is not there).",
            "* The server's core was not saturated",
            "Not ranked, for their intervals overlap with another's: fast, also-fast.",
            "System calls were not counted: ptrace is refused.", "The machine is virtual",
        ):
            self.assertIn(sentence, text)
        self.assertNotIn("nothing is ranked", text)
        self.assertNotIn("Interrupted", text)

    def test_what_has_to_be_said_of_less(self):
        document = self.document(rounds=1, complete=False)
        document["machine"] |= {"cmake_build_type": "Debug", "load_average": 7.4,
                                "pinning": {"server": None, "client": None}}
        text = " ".join(self.lines(document))
        for sentence in ("nothing is ranked", "Interrupted", "built as Debug", "was 7.4",
                         "Server and client share one processor"):
            self.assertIn(sentence, text)

    def test_wide_tables_are_split(self):
        text = table.grid(["", *("column",) * 5], [["row", *map(str, range(5))]], 30)
        self.assertEqual(text, "     column  column  column\nrow       0       1       2\n\n"
                               "     column  column\nrow       3       4")

    def test_nothing_measured(self):
        document = self.document(rounds=0, complete=False) | {"cells": []}
        self.assertIn("Interrupted", table.render(document))


def compare(*arguments, **more):
    return [[sys.executable, "-B", str(ROOT / "bench" / "compare.py"), *map(str, arguments)]], {
        "stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE,
        "text": True} | more


def ended(*arguments):
    positional, named = compare(*arguments)
    return subprocess.run(*positional, timeout=TIMEOUT, **named)


def descendants(pid):
    """Every process that this one has started, and those theirs."""
    children = {}
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            children.setdefault(int(stat.read_text().rpartition(")")[2].split()[1]), []).append(
                int(stat.parent.name))
        except OSError:
            pass  # it ended meanwhile
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found[1:]


class CommandLine(unittest.TestCase):
    def refused(self, *arguments):
        """Exit code 2, and one sentence on stderr: it is returned."""
        with contextlib.redirect_stderr(io.StringIO()) as stderr, \
                self.assertRaises(SystemExit) as end:
            main.main(arguments)
        self.assertEqual(end.exception.code, 2)
        self.assertRegex(stderr.getvalue(), r"\Acompare: [^\n]+; --help lists the options\n\Z")
        return stderr.getvalue()

    def test_bad_values(self):
        for option, value, said in (
            ("--rounds", "0", '"0" is not a number of rounds'),
            ("--seconds", "soon", '"soon" is not a number of seconds'),
            ("--seconds", "nan", '"nan" is not a number of seconds'),
            ("--sizes", "16,1G", '"1G" is not a size'),
            ("--sizes", "17M", '"17M" is not a size'),
            ("--loops", "pol", 'there is no loop "pol"; there are poll, epoll'),
            ("--servers", "uWebSockets", 'there is no server "uWebSockets"; there are poll'),
            ("--servers", "poll,,", "not a list of names"),
            ("--seed", "-1", '"-1" is not a number'),
            ("--json", "/", "/ is a folder"),
        ):
            with self.subTest(option=option, value=value):
                self.assertIn(said, self.refused(f"{option}={value}"))
        self.assertIn("not allowed with", self.refused("--quick", "--full"))
        self.assertIn("--round", self.refused("--roundabout"))

    def test_list(self):
        result = ended("--list", "--loops", "poll,epoll", "--bin", programs)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertIn("16 B, 50 connections, 1 in flight", result.stdout)
        self.assertIn("floor-raw-epoll", result.stdout)
        self.assertNotIn("libev", result.stdout)

    def test_nothing_built(self):
        with tempfile.TemporaryDirectory() as folder:
            result = ended("--quick", "--bin", folder, "--json", f"{folder}/results.json")
        self.assertEqual((result.returncode, result.stdout), (1, ""))
        self.assertIn("bench-load is not there", result.stderr)


CRASHING = """
import socket, sys
server = socket.create_server(("127.0.0.1", 0))
print("http://127.0.0.1:%d/" % server.getsockname()[1], flush=True)
server.accept()
sys.exit("out of luck")
"""


class Runs(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.json = self.folder / "out" / "results.json"

    def programs_but(self, **scripts):
        """A folder of the programs, with scripts in place of some."""
        folder = self.folder / "bin"
        folder.mkdir()
        for program in programs.iterdir():
            if program.name.replace("-", "_") not in scripts:
                (folder / program.name).symlink_to(program)
        for name, script in scripts.items():
            file = folder / name.replace("_", "-")
            file.write_text(f"#!/bin/sh\n{script}\n")
            file.chmod(0o755)
        return folder

    def test_quick(self):
        result = ended("--quick", "--loops", "poll,epoll", "--bin", programs, "--seed", 1,
                       "--json", self.json)
        self.assertEqual(result.returncode, 0, result)
        document = json.loads(self.json.read_text())
        self.assertTrue(document["complete"])
        self.assertEqual(document["method"]["seed"], 1)
        self.assertEqual({s["name"] for s in document["servers"]},
                         {"poll", "epoll", "floor-poll", "floor-epoll", "floor-raw-poll",
                          "floor-raw-epoll"})
        for name in ("poll", "epoll"):
            (about,) = (s for s in document["servers"] if s["name"] == name)
            self.assertEqual(about["checks"], {"passed": 43, "failed": []})
            self.assertGreater(about["adapter_lines"], 50)
            self.assertGreater(about["binary_bytes"], 50_000)
            self.assertIn(f"adapters/{name}/src/{name}.cpp", [c["path"] for c in about["code"]])
            cells = {c["mode"]: c for c in document["cells"] if c["server"] == name}
            closed = cells["closed"]
            self.assertEqual(len(closed["rounds"]), 2)
            self.assertGreater(closed["throughput"]["low"], 0)
            self.assertGreater(closed["share_of_floor"]["median"], 0.2)
            self.assertIsNone(closed["failed"])
            if document["method"]["syscalls"] is None:
                # At least a read and a write a message, and a wait for many.
                self.assertGreater(closed["syscalls_per_message"], 1.9)
            self.assertGreater(cells["idle"]["rss_per_connection"]["median"], 0)
            self.assertRegex(result.stdout, rf"(?m)^{name} +[\d,]+[*!]? +[\d,]+\.\.[\d,]+ ")
        self.assertIn("Seed 1", result.stderr)
        self.assertRegex(result.stderr, r"(?m)^round 2 of 2, about .* left$")

    def test_who_fails_is_said_and_the_others_go_on(self):
        load = programs / "bench-load"
        folder = self.programs_but(
            echo_epoll="echo it is broken >&2; exit 3",
            bench_load=f'case $1 in idle) echo "bench-load: no room" >&2; exit 1;; esac; '
                       f'exec {load} "$@"')
        result = ended("--quick", "--loops", "poll,epoll", "--bin", folder, "--json", self.json,
                       "--no-syscalls", "--rounds", 1)
        self.assertEqual(result.returncode, 1, result)
        document = json.loads(self.json.read_text())
        self.assertTrue(document["complete"])
        failed = {s["name"]: s["checks"]["failed"] for s in document["servers"]}
        self.assertRegex(failed["epoll"][0], "ended before it was ready.*it is broken")
        cells = {(c["server"], c["mode"]): c for c in document["cells"]}
        self.assertGreater(cells["poll", "closed"]["throughput"]["median"], 0)
        self.assertEqual(cells["poll", "idle"]["failed"], "bench-load: no room")
        self.assertNotIn(("epoll", "closed"), cells)
        self.assertRegex(result.stdout, r"(?m)^epoll +FAILED$")
        self.assertIn("poll FAILED: 200 idle", result.stdout)
        self.assertIn("not counted: --no-syscalls was given", " ".join(result.stdout.split()))

    def test_a_run_that_got_no_time_is_repeated(self):
        load, once = programs / "bench-load", self.folder / "once"
        starved = f'echo "bench-load: {measure.STARVED}, in 0.1 s" >&2; exit 1'
        folder = self.programs_but(
            bench_load=f'case $1 in idle) {starved};; esac\n'
                       f'[ -e {once} ] || {{ touch {once}; {starved}; }}\nexec {load} "$@"')
        result = ended("--quick", "--servers", "floor-raw-epoll", "--bin", folder, "--json",
                       self.json, "--no-syscalls", "--rounds", 2, "--seed", 1)
        self.assertEqual(result.returncode, 1, result)
        cells = {c["mode"]: c for c in json.loads(self.json.read_text())["cells"]}
        self.assertIn(measure.STARVED, cells["idle"]["failed"])
        self.assertIsNone(cells["closed"]["failed"])
        self.assertEqual(len(cells["closed"]["rounds"]), 2)
        self.assertGreater(len(cells["closed"]["repeated"]), 0)
        self.assertEqual(len(cells["idle"]["repeated"]), main.REPEATS)

    def test_a_server_that_crashes_says_more_than_its_client(self):
        # It passes its checks; the next one is gone as soon as anybody connects.
        folder = self.programs_but(
            echo_poll=f"cd {self.folder}; [ -e once ] || "
                      f'{{ touch once; exec {programs}/echo-poll "$@"; }}'
                      f"\nexec {sys.executable} -c '{CRASHING}'")
        result = ended("--quick", "--servers", "poll", "--bin", folder, "--json", self.json,
                       "--no-syscalls", "--rounds", 1)
        self.assertEqual(result.returncode, 1, result)
        cells = {(c["server"], c["mode"]): c for c in json.loads(self.json.read_text())["cells"]}
        self.assertRegex(cells["poll", "closed"]["failed"], "ended with 1 before.*out of luck")

    def test_interrupted(self):
        positional, named = compare("--quick", "--servers", "epoll", "--rounds", 10000, "--bin",
                                    programs, "--json", self.json)
        process = subprocess.Popen(*positional, **named)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        deadline = time.monotonic() + TIMEOUT
        while not (self.json.exists() and json.loads(self.json.read_text())["cells"]):
            self.assertIsNone(process.poll())
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.05)
        while not (started := descendants(process.pid)):
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=TIMEOUT)
        self.assertEqual(process.returncode, 130, errors)
        self.assertNotIn("Traceback", errors)
        self.assertEqual([pid for pid in started if os.path.exists(f"/proc/{pid}")], [])
        document = json.loads(self.json.read_text())
        self.assertFalse(document["complete"])
        self.assertTrue(document["cells"][0]["rounds"])
        self.assertIn("Interrupted", output)
        self.assertRegex(output, r"(?m)^epoll +[\d,]+")


if __name__ == "__main__":
    programs = pathlib.Path(sys.argv[1]).resolve()
    closing.run(sys.argv[2:])
