"""What the results of a comparison say, in sentences: findings(results).

Two servers are told apart only where their intervals do not overlap, and never ranked otherwise.
Servers that failed a check are left out: who does not do the same work is not compared.
"""

import math

ENOUGH = 6  # rounds: of fewer, not even the smallest and the largest are a 95 % interval


def findings(results):
    """A list of (what it is about, sentences)."""
    compared = [s for s in results["servers"] if not s.get("skipped") and not failed_checks(s)]
    family = {s["name"]: s["family"] for s in compared}
    order = list(family)
    cells = sorted((c for c in results["cells"] if c["server"] in family),
                   key=lambda c: order.index(c["server"]))
    loops = [c for c in cells if family[c["server"]] == "timtow"]
    closed = [c for c in loops if c["mode"] == "closed"]
    found = [
        ("Throughput", told_apart(closed, "throughput", max, "fastest", "slower")),
        ("CPU per message", told_apart(closed, "cpu_per_message", min, "cheapest", "dearer")),
        ("What WebSocket costs", websocket_cost(closed)),
        ("The others", cost_of_others(cells, family)),
        ("Text", text_cost(loops)),
        ("Idle connections", idle_growth(loops)),
        ("Memory", idle_memory(loops)),
        ("Connection churn", scenario(loops, "churn", "Connecting, one echo and closing cost")),
        ("Fan-out", scenario(loops, "fanout", "A delivery costs")),
        ("Where throughput says little", limits(closed)),
    ]
    return [(topic, text) for topic, text in found if text]


def failed_checks(server):
    return (server.get("checks") or {}).get("failed") or []


def echoes(server):
    """Whether it is one of those that the closed loop measures; the others send to many."""
    return server.get("mode") in (None, "echo")


def rounds_of(cells):
    return min(len(cell.get("rounds") or []) for cell in cells)


def has_interval(cell, quantity):
    """Whether there is one that can tell two servers apart."""
    of = cell.get(quantity) or {}
    low, high = of.get("low"), of.get("high")
    return rounds_of([cell]) >= ENOUGH and None not in (low, high) and low < high


def has_value(cell, quantity):
    return bool(cell.get(quantity)) and cell[quantity]["median"] is not None


def parameters(cell):
    return tuple(cell.get(key) for key in ("mode", "size", "pipeline", "connections", "payload"))


def by_cell(cells):
    """{parameters: [cells of the servers]}, where at least two servers were measured."""
    groups = {}
    for cell in cells:
        groups.setdefault(parameters(cell), []).append(cell)
    return {key: group for key, group in groups.items() if len(group) > 1}


def told_apart(cells, quantity, best_of, best_name, worse_name):
    """Who is surely not the best, in how many cells, and by how much."""
    behind, alike, compared = {}, [], 0
    for key, group in by_cell(c for c in cells if has_interval(c, quantity)).items():
        compared += 1
        best = best_of(group, key=lambda c: c[quantity]["median"])[quantity]
        worse = [c for c in group if (c[quantity]["high"] < best["low"] if best_of is max else
                                      c[quantity]["low"] > best["high"])]
        if not worse:
            alike.append(key)
        for cell in worse:
            share = cell[quantity]["median"] / best["median"]
            behind.setdefault(cell["server"], []).append(share)
    if not compared:
        return None
    if not behind:
        return (f"No loop can be told from the {best_name} in any of {plural(compared, 'cell')}: "
                f"the intervals overlap.")
    never = [name for name in dict.fromkeys(c["server"] for c in cells) if name not in behind]
    parts = [f"{name} in {plural(len(shares), 'cell')} ({span(shares)} times)"
             for name, shares in sorted(behind.items(), key=lambda item: len(item[1]))]
    return (f"In {len(alike)} of {compared} cells no loop can be told from the {best_name}"
            f"{': ' if alike else ''}{some(alike)}. Surely {worse_name} than the {best_name}: "
            f"{listed(parts)}{'; never ' if never else ''}{listed(never, 'or')}.")


def websocket_cost(cells):
    shares = [c for c in cells if has_value(c, "share_of_floor")]
    if not shares:
        return None
    low, high = extremes(shares)
    text = (f"A message costs {share_text(low)} to {share_text(high)} times the CPU of a raw TCP "
            f"echo of the same bytes on the same loop, and most at {cell_name(parameters(high))}.")
    known = [c["share_of_floor"] for c in shares if has_interval(c, "share_of_floor")]
    if known:
        at_parity = sum(share["low"] <= 1 <= share["high"] for share in known)
        text += (f" In {at_parity} of {len(known)} cases the interval includes 1: there, WebSocket "
                 f"cannot be told from no WebSocket.")
    return text + roughly(shares)


def cost_of_others(cells, family):
    parts = []
    for name in (name for name, its in family.items() if its in ("peer", "perl")):
        shares = [c for c in cells if c["server"] == name and c["mode"] == "closed"
                  and has_value(c, "share_of_floor")]
        if shares:
            low, high = map(share_text, extremes(shares))
            parts.append(f"{name} {low}" if low == high else f"{name} {low} to {high}")
    return parts and f"The same ratio for servers that are not timtow’s: {listed(parts)}."


def text_cost(cells):
    binary = {(c["server"], *parameters(c)[:-1]): c for c in cells if c.get("payload") == "binary"}
    shares = []
    for cell in cells:
        other = binary.get((cell["server"], *parameters(cell)[:-1]))
        if cell.get("payload") == "mixed" and other:
            if all(has_value(c, "cpu_per_message") for c in (cell, other)):
                shares.append(cell["cpu_per_message"]["median"]
                              / other["cpu_per_message"]["median"])
    return shares and (f"Text of 1- to 4-byte characters costs {span(shares)} times the CPU of as "
                       f"many bytes of binary.")


def idle_growth(cells):
    """How the cost of a message grows with the connections that say nothing."""
    idle = [c for c in cells if c["mode"] == "idle" and has_value(c, "cpu_per_message")]
    if not idle:
        return None
    few, many = (of(c["connections"] for c in idle) for of in (min, max))
    cost = {(c["server"], c["connections"]): c["cpu_per_message"]["median"] for c in idle}
    growth = {name: cost[name, many] / cost[name, few] for name, count in cost
              if count == many and (name, few) in cost and few < many}
    grown = [f"{significant(times)} times as much on {name}"
             for name, times in growth.items() if times >= 2]
    flat = [name for name, times in growth.items() if times < 2]
    if flat:
        grown.append(f"{span([growth[name] for name in flat])} times on {listed(flat)}")
    return grown and (f"From {few:,} to {many:,} idle connections the CPU of a message becomes "
                      f"{listed(grown)}.{roughly(idle)}")


def idle_memory(cells):
    most = {}
    for cell in cells:
        if cell["mode"] == "idle" and has_value(cell, "rss_per_connection"):
            known = most.get(cell["server"])
            if not known or known["connections"] < cell["connections"]:
                most[cell["server"]] = cell
    if not most:
        return None
    sizes = [significant(size) for size in
             sorted(c["rss_per_connection"]["median"] for c in most.values())]
    return (f"An idle connection holds {sizes[0]} to {sizes[-1]} bytes of the server’s memory, "
            f"depending on the loop; the kernel’s own buffers come on top.")


def scenario(cells, mode, what):
    shares = [c for c in cells if c["mode"] == mode and has_value(c, "share_of_floor")]
    if not shares:
        return None
    low, high = map(share_text, extremes(shares))
    return (f"{what} {low if low == high else f'{low} to {high}'} times the CPU of raw TCP."
            f"{roughly(shares)}")


def limits(cells):
    held = [c for c in cells if c.get("client_bottleneck")]
    waiting = [c for c in cells if c.get("saturated") is False and not c.get("client_bottleneck")]
    text = []
    if held:
        text.append(f"The client was the limit at {some(map(parameters, held))}: servers may do "
                    f"more there.")
    if waiting:
        text.append(f"The server’s core was not full at {some(map(parameters, waiting))}: it "
                    f"waited for the kernel and the client. Compare the CPU per message there.")
    return " ".join(text)


def extremes(cells):
    ordered = sorted(cells, key=lambda c: c["share_of_floor"]["median"])
    return ordered[0], ordered[-1]


def roughly(cells):
    rounds = rounds_of(cells)
    return "" if rounds >= ENOUGH else f" Roughly: only {plural(rounds, 'round')}."


def share_text(cell):
    """With the digits that numbers.js gives it, but two places at most."""
    share = cell["share_of_floor"]
    if not has_interval(cell, "share_of_floor"):
        return significant(share["median"])
    places = -math.floor(math.log10((share["high"] - share["low"]) / 2 / 3.55))
    return f"{share['median']:.{max(0, min(2, places))}f}"


def significant(value):
    """Two digits that mean something, three behind a leading 1."""
    if value == 0:
        return "0"
    digits = 3 if f"{value:e}"[0] == "1" else 2
    places = digits - 1 - math.floor(math.log10(abs(value)))
    return f"{round(value, places):,.{max(0, places)}f}"


def span(values):
    low, high = f"{min(values):.2f}", f"{max(values):.2f}"
    return low if low == high else f"{low} to {high}"


def cell_name(key, connections=None):
    """`connections`: instead of the cell's own, all that are meant."""
    _, size, pipeline, own, payload = key
    text = f" of {payload} text" if payload not in (None, "binary") else ""
    how = "one at a time" if pipeline == 1 else f"{pipeline} at a time"
    many = connections or [own]
    on = f"{listed([f'{count:,}' for count in many])} connection{'' if many == [1] else 's'}"
    return f"{size_name(size)}{text}, {how} on {on}"


def size_name(size):
    for unit, name in ((1 << 20, "MiB"), (1 << 10, "KiB")):
        if size and size % unit == 0:
            return f"{size // unit} {name}"
    return f"{size} B"


def some(keys):
    """The names of cells, but not too many; those that differ in their connections are one."""
    alike = {}
    for mode, size, pipeline, connections, payload in dict.fromkeys(keys):
        alike.setdefault((mode, size, pipeline, None, payload), []).append(connections)
    names = [cell_name(key, sorted(connections)) for key, connections in alike.items()]
    return "; ".join(names[:4]) + (f"; and {len(names) - 4} more" if len(names) > 4 else "")


def plural(count, word):
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def listed(words, last_by="and"):
    *most, last = words or [""]
    return f"{', '.join(most)} {last_by} {last}" if most else last
