"""The command line of the comparison."""

import argparse
import dataclasses
import re
import sys
from pathlib import Path

from . import plan
from .server import BIN

ROOT = Path(__file__).resolve().parent.parent.parent
JSON = ROOT / "build" / "comparison" / "results.json"
UNITS = {"": 1, "K": plan.KIB, "M": plan.MIB}
LONGEST = 50  # seconds of a run, for bench-load stops by itself after 60


class Parser(argparse.ArgumentParser):
    def error(self, message):
        print(f"{self.prog}: {message}; --help lists the options", file=sys.stderr)
        sys.exit(2)


def number(kind, low, high, what):
    def parse(text):
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not low <= value <= high:
            raise argparse.ArgumentTypeError(f'"{text}" is not {what}')
        return value
    return parse


def names(text):
    found = [name.strip() for name in text.split(",")]
    if not all(found):
        raise argparse.ArgumentTypeError(f'"{text}" is not a list of names with commas')
    return found


def sizes(text):
    found = []
    for word in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,9})\s*([KM]?)(?:i?B)?\s*", word, re.I)
        size = match and int(match[1]) * UNITS[match[2].upper()]
        if not match or not 1 <= size <= plan.LARGEST:
            raise argparse.ArgumentTypeError(
                f'"{word}" is not a size from 1 to 16M bytes, such as 16, 1K or 1M')
        found.append(size)
    return tuple(dict.fromkeys(found))


def parse(arguments):
    parser = Parser(
        prog="compare", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Compares WebSocket servers: the same echo on every loop, the raw TCP echo "
        "that each is\nmeasured against, and peers. Without options it takes about three minutes.",
        epilog="Ctrl-C keeps what was measured. docs/comparison.md tells what the numbers mean.",
    )
    extent = parser.add_mutually_exclusive_group()
    extent.add_argument("--full", action="store_true", help="the whole matrix: more than an hour")
    extent.add_argument("--quick", action="store_true", help="whether it works; no number to cite")
    parser.add_argument("--loops", type=names, metavar="A,B", help="only timtow on these loops")
    parser.add_argument("--servers", type=names, metavar="A,B",
                        help="only these servers; see --list")
    parser.add_argument("--peers", action=argparse.BooleanOptionalAction, default=None,
                        help="with or without servers that are not timtow (default: with, unless "
                        "--loops or --servers chooses)")
    parser.add_argument("--sizes", type=sizes, metavar="A,B", help="of messages: 16, 1K, 1M ...")
    parser.add_argument("--rounds", type=number(int, 1, 10000, "a number of rounds, 1 or more"),
                        metavar="N", help="each measures everything once; 6 or more to rank")
    parser.add_argument(
        "--seconds", metavar="S", help="of a run",
        type=number(float, 0.01, LONGEST, f"a number of seconds from 0.01 to {LONGEST}"))
    parser.add_argument("--seed", type=number(int, 0, 2**32 - 1, "a number from 0 to 4294967295"),
                        metavar="N", help="of the order, to repeat it")
    parser.add_argument("--no-syscalls", action="store_true", help="do not count them with strace")
    parser.add_argument("--instructions", action="store_true",
                        help="count them with valgrind as well, of timtow's servers: minutes")
    parser.add_argument("--json", type=Path, default=JSON, metavar="FILE",
                        help="the results (build/comparison/results.json)")
    parser.add_argument("--html", type=Path, metavar="FILE",
                        help="the report (report.html, beside the results)")
    parser.add_argument("--bin", type=Path, default=BIN, metavar="FOLDER",
                        help="where the programs are (build/release/bin)")
    parser.add_argument("--list", action="store_true", help="only tell what would be measured")
    options = parser.parse_args(arguments)
    for file in (options.json, options.html):
        if file and file.is_dir():
            parser.error(f"{file} is a folder: name a file")
    options.html_wanted = options.html is not None
    options.html = options.html or options.json.with_name("report.html")
    options.refuse = parser.error
    return options


def choose(servers, options):
    """The servers that the options name, with the floors that they are compared to, in order."""
    by_name = {server.name: server for server in servers}
    loops = dict.fromkeys(loop_of(s) for s in servers if s.family == "timtow")
    for word, wanted, known in (
            ("loop", options.loops, loops), ("server", options.servers, by_name)):
        for name in wanted or ():
            if name not in known:
                options.refuse(f'there is no {word} "{name}"; there are {", ".join(known)}')
    some = options.loops or options.servers
    peers = not some if options.peers is None else options.peers

    def chosen(server):
        if options.servers and server.name in options.servers:
            return True
        if server.family == "timtow":
            return loop_of(server) in options.loops if options.loops else not some
        if server.family == "floor":
            return not some
        return peers

    names = {server.name for server in servers if chosen(server)}
    waiting = list(names)
    while waiting:
        floor = by_name[waiting.pop()].floor
        if floor and floor not in names:
            names.add(floor)
            waiting.append(floor)
    return [server for server in servers if server.name in names]


def loop_of(server):
    """The loop of a server of timtow: the name of its adapter."""
    return Path(server.adapter).name if server.adapter else server.name


def plan_of(options):
    """The plan that the options ask for."""
    name = "full" if options.full else "quick" if options.quick else "default"
    changes = {
        key: value for key in ("rounds", "seconds") if (value := getattr(options, key)) is not None
    }
    return dataclasses.replace(plan.PLANS[name](options.sizes), **changes)
