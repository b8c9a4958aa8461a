"""What was measured, and results.json made of it: after every round, so that nothing is lost."""

import datetime
import json
import os
from pathlib import Path

from . import statistics


def now():
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")


class Results:
    """Takes the runs of each server and cell; document() is results.json."""

    def __init__(self, header, servers):
        """`header` is what is known before; `servers` are those of results.json, by name."""
        self.header = {"format": 1, "tool": "timtow compare", "started": now(), **header}
        self.servers = servers
        self.runs = {}  # {(server, cell): {round: bench-load's JSON}}
        self.failures = {}  # {(server, cell): sentence}
        self.repeated = {}  # {(server, cell): [why a run was, ...]}
        self.syscalls = {}  # {(server, cell): {name: per message}}

    def add(self, server, cell, at, run):
        self.runs.setdefault((server, cell), {})[at] = run

    def fail(self, server, cell, sentence):
        self.failures.setdefault((server, cell), sentence)

    def repeat(self, server, cell, sentence):
        self.repeated.setdefault((server, cell), []).append(sentence)

    def failed(self):
        """Every sentence on what did not work: {server: [sentence, ...]}."""
        sentences = {
            name: list(server["checks"]["failed"]) for name, server in self.servers.items()
        }
        for (name, cell), sentence in self.failures.items():
            sentences[name].append(f"{cell.title()}: {sentence}")
        return {name: failed for name, failed in sentences.items() if failed}

    def document(self, complete):
        keys = dict.fromkeys([*self.runs, *self.failures])
        cells = {(name, cell): self.cell(name, cell) for name, cell in keys}
        for key, places in self.ranks(cells).items():
            cells[key]["rank"] = places
        return {
            **self.header, "finished": now(), "complete": complete,
            "servers": list(self.servers.values()), "cells": list(cells.values()),
        }

    def write(self, path, complete=False):
        """Whole, or as it was: a reader never finds half of it."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(path.name + ".new")
        draft.write_text(json.dumps(self.document(complete)) + "\n")
        os.replace(draft, path)

    def cell(self, name, cell):
        runs = self.runs.get((name, cell), {})
        rounds = list(runs.values())
        servers = [run.get("server") or {} for run in rounds]
        calls = self.syscalls.get((name, cell))
        cpu = statistics.interval(present(servers, "cpu_per_message"))
        if cpu:
            cpu |= statistics.median_of([
                {part: server.get(f"{part}_per_message") for part in ("user", "system")}
                for server in servers
            ])
        floor = self.runs.get((self.servers[name].get("floor"), cell), {})
        return {
            "server": name, **cell.key(),
            "failed": self.failures.get((name, cell)),
            "repeated": self.repeated.get((name, cell), []),
            "rounds": [
                {"round": at} | {k: v for k, v in run.items() if k != "latency_histogram"}
                for at, run in runs.items()
            ],
            "throughput": statistics.interval(present(rounds, "rate")),
            "cpu_per_message": cpu,
            "latency": statistics.median_of([run.get("latency") or {} for run in rounds]),
            "latency_histogram": statistics.merged(
                run.get("latency_histogram") or [] for run in rounds
            ),
            "rss_per_connection": statistics.interval(present(rounds, "rss_per_connection")),
            "context_switches": statistics.median_of(
                [server.get("context_switches_per_message") or {} for server in servers]
            ),
            "syscalls_per_message": None if calls is None else sum(calls.values()),
            "syscalls": calls,
            "share_of_floor": paired(runs, floor, cpu_of),
            "floor_throughput_share": paired(runs, floor, lambda run: run.get("rate")),
            "core_busy": {
                "server": middle(present(servers, "core_busy")),
                "client": middle(present([run.get("client") or {} for run in rounds], "core_busy")),
            },
            "rank": {"throughput": None, "cpu_per_message": None},
            "saturated": bool(rounds) and all(run.get("saturated") for run in rounds),
            "client_bottleneck": any(
                (run.get("client") or {}).get("was_bottleneck") for run in rounds
            ),
            "errors": sum(run.get("errors") or 0 for run in rounds),
        }

    def ranks(self, cells):
        """The places that throughput and CPU leave open to each server that speaks WebSocket; of
        fewer rounds than an interval needs, none."""
        ranked = {}
        for cell in dict.fromkeys(cell for _, cell in cells):
            rows = {
                key: row for key, row in cells.items()
                if key[1] == cell and self.servers[key[0]]["protocol"] == "websocket"
                and len(row["rounds"]) >= statistics.ENOUGH
            }
            by = {
                quantity: statistics.ranks(
                    {key: row[quantity] for key, row in rows.items()}, quantity == "throughput"
                )
                for quantity in ("throughput", "cpu_per_message")
            }
            for key in rows:
                ranked[key] = {quantity: places.get(key) for quantity, places in by.items()}
        return ranked


def present(dictionaries, key):
    return [each[key] for each in dictionaries if each.get(key) is not None]


def middle(values):
    return statistics.interval(values)["median"] if values else None


def cpu_of(run):
    return (run.get("server") or {}).get("cpu_per_message")


def paired(mine, floor, quantity):
    """The interval of the ratio of a quantity to the floor's, paired by round."""
    values = [
        {at: quantity(run) for at, run in runs.items() if quantity(run)} for runs in (mine, floor)
    ]
    return statistics.interval(statistics.ratios(*values))
