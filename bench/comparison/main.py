"""Runs a plan: checks, rounds, counts. Writes results.json after each round, and prints tables."""

import collections
import importlib.util
import random
import resource
import shlex
import sys

from . import facts, interrupts, machine, table
from .measure import Bench, Failed, Starved
from .options import ROOT, choose, parse, plan_of
from .plan import COUNTING, scripted
from .progress import Progress, time_text
from .results import Results
from .server import BENCH, read_servers
from .statistics import CONFIDENCE
from .syscalls import Unavailable

INTERRUPTED = 130  # what a shell makes of SIGINT
SPARE_FILES = 50  # descriptors that a program needs beside its connections
REPEATS = 3  # of a run that got no time
CHECKING = 0.3  # seconds for a server's checks, about
RUNTIME = ("libc6", "libstdc++6")


class Comparison:
    def __init__(self, options):
        self.options = options
        self.bin = options.bin.resolve()
        self.left_out = []
        self.plan = self.within_file_limit(plan_of(options))
        chosen = choose(read_servers(bin=self.bin), options)
        self.chosen = [server for server in chosen if self.plan.cells_of(server)]
        self.missing = {server.name: server.missing() for server in self.chosen}
        self.servers = [server for server in self.chosen if not self.missing[server.name]]
        self.seed = random.SystemRandom().getrandbits(32) if options.seed is None else options.seed
        self.random = random.Random(self.seed)
        self.compiler = facts.Compiler(self.bin.parent, options.json.with_name("compile.json"))
        self.compiled = [] if options.quick else [s for s in self.servers if not scripted(s)]
        self.expected = (
            self.plan.all_seconds(self.servers, not options.no_syscalls)
            + CHECKING * len(self.to_check()) + self.compiler.expected(self.compiled)
        )

    def within_file_limit(self, plan):
        """Raises the limit of open files as far as it goes, for who is started from here inherits
        it, and leaves out what needs more."""
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        cells = []
        for cell in plan.cells:
            needed = cell.sockets() + SPARE_FILES
            if most != resource.RLIM_INFINITY and needed > most:
                self.left_out.append(f"{cell.title()}: needs `ulimit -n {needed}`, and has {most}")
            else:
                cells.append(cell)
        return plan.with_cells(cells)

    def list(self):
        """What would be measured."""
        plan = self.plan
        print(f"The {plan.name} plan: {plan.rounds} rounds of {plan.seconds:g} s, about "
              f"{time_text(self.expected)}\n")
        for server in self.chosen:
            cells = len(plan.cells_of(server))
            what = self.missing[server.name] or f"{cells} load{'' if cells == 1 else 's'}"
            print(f"  {server.name:<18} {server.family:<8} {what}")
        print()
        for cell in plan.cells:
            counts = collections.Counter(
                plan.rounds_of(server, cell) for server in self.servers
                if cell in plan.cells_of(server))
            rounds = ", ".join(f"{rounds} x {count}" for rounds, count in counts.items())
            print(f"  {cell.title():<58} {rounds or 'no'} servers")
        for sentence in self.left_out:
            print(f"  left out: {sentence}")

    def run(self):
        """Everything; the exit code."""
        self.results = Results(self.header(), {
            server.name: facts.describe(server, self.missing[server.name])
            for server in self.chosen
        })
        versions = self.results.header["machine"]["libraries"]
        for server in self.results.servers.values():
            server["library_version"] = versions.get(server["library"])
        self.bench = Bench(self.bin / "bench-load", self.results.header["machine"]["pinning"])
        self.results.write(self.options.json)  # what cannot be written is better known now

        print(f"{len(self.servers)} servers, {len(self.plan.cells)} loads, {self.plan.rounds} "
              f"rounds: about {time_text(self.expected)}. Seed {self.seed}. Ctrl-C keeps what was "
              "measured.", file=sys.stderr, flush=True)
        self.progress = Progress(self.expected)
        complete = False
        interrupts.take()
        try:
            self.check()
            for at in range(self.plan.rounds):
                self.round(at)
                self.results.write(self.options.json)
            if not self.options.no_syscalls:
                self.count_syscalls()
            self.time_compiler()
            if self.options.instructions:
                self.count_instructions()
            complete = True
        except KeyboardInterrupt:
            pass
        interrupts.ignore()  # the rest is short
        self.progress.clear()
        return self.finish(complete)

    def header(self):
        plan = self.plan
        build = self.bin.parent
        packages = [*RUNTIME, *(server.library for server in self.servers if server.library)]
        return {
            "version": machine.cache_of(build).get("CMAKE_PROJECT_VERSION"),
            "command": shlex.join(["./compare.sh", *sys.argv[1:]]),
            "machine": machine.describe(build, packages),
            "method": {
                "plan": plan.name, "rounds": plan.rounds, "seconds": plan.seconds,
                "warmup": plan.warmup, "warmup_scripted": plan.warmup_scripted,
                "confidence": CONFIDENCE, "order": "randomised, interleaved", "seed": self.seed,
                "interval": "of the median: order statistics from 6 rounds on, bootstrap below",
                "left_out": self.left_out,
                "syscalls": "--no-syscalls was given" if self.options.no_syscalls else None,
            },
            "scenarios": plan.scenarios,
        }

    def to_check(self):
        return [server for server in self.servers if server.protocol == "websocket"]

    def check(self):
        """The echoes of each, with an independent client. Who fails is not measured."""
        self.progress.heading("checking echoes")
        for server in self.to_check():
            self.progress.step(f"checking {server.name}", CHECKING)
            checks = self.results.servers[server.name]["checks"]
            try:
                checks["passed"] = self.bench.check(server)
            except Failed as error:
                checks["failed"].append(str(error))
                self.servers.remove(server)

    def round(self, at):
        """Each load once, in random order, and for each the servers in random order: so those that
        are compared are neighbours in time, and no place in the row is always the same one's."""
        plan = self.plan
        self.progress.heading(f"round {at + 1} of {plan.rounds}")
        for cell in self.shuffled(plan.cells):
            for server in self.shuffled(
                    s for s in self.servers
                    if cell in plan.cells_of(s) and at < plan.rounds_of(s, cell)):
                expected = plan.run_seconds(server, cell)
                self.progress.step(
                    f"{at + 1}/{plan.rounds} {server.name}, {cell.title()}", expected)
                self.attempt(server, cell, lambda: self.results.add(
                    server.name, cell, at,
                    self.bench.run(server, cell, plan.warmup_of(server), plan.seconds)))

    def shuffled(self, these):
        these = list(these)
        self.random.shuffle(these)
        return these

    def attempt(self, server, cell, action):
        """What fails is not asked again, and the others go on. A run that got no time is repeated,
        and that is told."""
        if (server.name, cell) in self.results.failures:
            return
        for repeats in range(REPEATS + 1):
            try:
                return action()
            except Failed as error:
                if repeats == REPEATS or not isinstance(error, Starved):
                    return self.results.fail(server.name, cell, str(error))
                self.results.repeat(server.name, cell, str(error))

    def count_syscalls(self):
        self.progress.heading("counting system calls")
        for server in self.servers:
            for cell in self.plan.counted_of(server):
                self.progress.step(f"strace {server.name}, {cell.title()}", COUNTING)
                try:
                    self.attempt(server, cell, lambda: self.results.syscalls.update({
                        (server.name, cell): self.bench.count(server, cell, self.plan.count)}))
                except Unavailable as error:
                    self.results.header["method"]["syscalls"] = str(error)
                    return

    def time_compiler(self):
        if self.compiled:
            self.progress.heading("compiling")
        for server in self.compiled:
            self.progress.step(f"compiling {server.name}", self.compiler.expected([server]))
            self.results.servers[server.name]["compile_seconds"] = self.compiler.seconds(server)

    def count_instructions(self):
        """Of timtow's echo servers, which bench/instructions.py knows how to drive."""
        instructions = module(BENCH / "instructions.py")
        self.progress.heading("counting instructions")
        for server in self.servers:
            if server.family != "timtow" or server.mode != "echo":
                continue
            self.progress.step(f"valgrind {server.name}", 0)
            def whole_process(*case):
                return instructions.whole_process(server.command[0], *case)

            self.results.servers[server.name]["instructions"] = {
                f"{size} B x {pipeline}": instructions.per_message(whole_process, pipeline, size)
                for pipeline, size in instructions.CASES
            }

    def finish(self, complete):
        """Files, tables, and what a caller is told by the exit code."""
        self.results.write(self.options.json, complete)
        document = self.results.document(complete)
        print(table.render(document))
        print(f"Results: {shown(self.options.json)}")
        reported = self.report(document)
        if not complete:
            return INTERRUPTED
        return 0 if reported and not self.results.failed() else 1

    def report(self, document):
        """Whether there is a report, or needs to be none."""
        script = BENCH / "report" / "report.py"
        if not script.exists():
            if self.options.html_wanted:
                fail(f"no report was written: {shown(script)} is not there")
            return not self.options.html_wanted
        try:
            module(script).write(document, self.options.html)
        except Exception as error:  # whatever it is, what was measured is safe and shown
            fail(f"no report was written: {error}")
            return False
        print(f"Report:  {shown(self.options.html)}")
        return True


def module(path):
    """A script of bench/ as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def shown(path):
    """A path as one would type it."""
    path = path.resolve()
    return path.relative_to(ROOT) if path.is_relative_to(ROOT) else path


def main(arguments):
    comparison = Comparison(parse(arguments))
    if comparison.options.list:
        comparison.list()
        return 0
    load = comparison.bin / "bench-load"
    if not load.exists():
        return fail(f"{load} is not there: build the preset release, or name its folder with --bin")
    if not comparison.servers:
        return fail("no server is there: " + "; ".join(filter(None, comparison.missing.values())))
    try:
        return comparison.run()
    except BrokenPipeError:
        raise
    except OSError as error:
        return fail(str(error))


def fail(sentence):
    print(f"compare: {sentence}", file=sys.stderr)
    return 1
