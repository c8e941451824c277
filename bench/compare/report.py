"""Tables and a plot of what compare.py measured."""

TITLES = {"writes": "Writes", "consistent": "Consistent reads", "stale": "Stale reads, at a follower",
          "mixed": "Nine consistent reads to one write"}
COLOURS = {"raftkv": "#0969da", "etcd-v3": "#bc4c00", "etcd-v2": "#6e7781", "http-alone": "#d0d7de"}
ALONE = "http-alone"


def of(rows, work, connections, system):
    """The row of this cell, or None where it is missing or void."""
    for row in rows:
        if (row["work"], row["connections"], row["system"]) == (work, connections, system):
            return row if "per_second" in row else None
    return None


def in_order(rows, name):
    return list(dict.fromkeys(row[name] for row in rows))


def ratio(ours, theirs, name, inverted=False):
    if ours is None or theirs is None or not ours[name] or not theirs[name]:
        return "-"
    value = theirs[name] / ours[name] if inverted else ours[name] / theirs[name]
    return f"{value:.1f}"


def cell_row(row, work, connections, system):
    if row is None:
        return f"| {connections} | {system} | void | | | | | | |\n"
    return (f"| {connections} | {system} | {row['per_second']:,.0f} | ±{row['spread'] * 50:.0f} % | {row['p50_ms']:.2f} | "
            f"{row['p99_ms']:.2f} | {row['cpu_us']:.0f} | {row['resident_mib']:.0f} | {row['busy_ms']:.0f} |\n")


def where_the_cpu_goes(rows):
    """Of a write, by thread, where there are most connections but at most 256."""
    ours = [row for row in rows if row["system"] == "raftkv" and row["work"] == "writes" and row.get("threads")
            and row["connections"] <= 256]
    if not ours:
        return ""
    row = max(ours, key=lambda r: r["connections"])
    out = (f"\n### Where the CPU of a write goes, at {row['connections']} connections\n\n"
           "| threads | user µs | system µs |\n|---|---|---|\n")
    for name, (user, system) in row["threads"].items():
        whole = name.startswith("flushes")
        out += f"| {name} | {user:.1f} | {'(with it)' if whole else f'{system:.1f}'} |\n"
    return out


def bounds(rows, others):
    """What the HTTP server does with nothing behind it, over what the others do: no ratio can be larger."""
    if ALONE not in in_order(rows, "system"):
        return ""
    out = ("\n### The bound\n\nHTTP alone: the same server and load, with nothing behind it. Its rate over theirs is the largest ratio that is possible.\n\n"
           f"| work | connections | HTTP alone, a second | {' | '.join('over ' + s for s in others)} | raft-kv of it |\n"
           f"|---|---|---|{'---|' * len(others)}---|\n")
    for work in in_order(rows, "work"):
        for connections in in_order(rows, "connections"):
            alone, ours = of(rows, work, connections, ALONE), of(rows, work, connections, "raftkv")
            most = [ratio(alone, of(rows, work, connections, system), "per_second") for system in others]
            share = f"{ours['per_second'] / alone['per_second'] * 100:.0f} %" if ours and alone else "-"
            rate = f"{alone['per_second']:,.0f}" if alone else "void"
            out += f"| {work} | {connections} | {rate} | {' | '.join(most)} | {share} |\n"
    return out


def markdown(about, rows):
    out = (f"{about['date']}, {about['cores']} cores, medians of {about['rounds']} rounds of {about['seconds']} s. "
           "CPU: of all servers, in µs a request. Memory: of all of them, resident. "
           "Busy: a fixed loop on one core just before, in ms.\n")
    systems = in_order(rows, "system")
    for work in in_order(rows, "work"):
        out += f"\n### {TITLES[work]}\n\n"
        out += "| connections | system | a second | spread | p50 ms | p99 ms | CPU µs | MiB | busy |\n|---|---|---|---|---|---|---|---|---|\n"
        for connections in in_order(rows, "connections"):
            for system in systems:
                out += cell_row(of(rows, work, connections, system), work, connections, system)
    out += where_the_cpu_goes(rows)
    others = [s for s in systems if s not in ("raftkv", ALONE)]
    if "raftkv" not in systems or not others:
        return out
    out += "\n### Ratios of medians\n\nRate: ours over theirs; p99, CPU and memory: theirs over ours. More is better for raft-kv.\n\n"
    out += "| work | connections | against | rate | p99 | CPU | memory |\n|---|---|---|---|---|---|---|\n"
    for work in in_order(rows, "work"):
        for connections in in_order(rows, "connections"):
            ours = of(rows, work, connections, "raftkv")
            for system in others:
                theirs = of(rows, work, connections, system)
                out += (f"| {work} | {connections} | {system} | {ratio(ours, theirs, 'per_second')} | "
                        f"{ratio(ours, theirs, 'p99_ms', True)} | {ratio(ours, theirs, 'cpu_us', True)} | "
                        f"{ratio(ours, theirs, 'resident_mib', True)} |\n")
    return out + bounds(rows, others)


def bars(rows, work, left, top, width, height):
    """One panel: groups of bars by connections."""
    systems = in_order(rows, "system")
    connections = in_order(rows, "connections")
    cells = [of(rows, work, c, s) for c in connections for s in systems]
    highest = max([c["per_second"] for c in cells if c] or [1])
    out = f'<text x="{left}" y="{top - 22}" class="title">{TITLES[work]}, a second</text>'
    group = width / len(connections)
    bar = group * 0.8 / len(systems)
    for g, count in enumerate(connections):
        x = left + g * group
        out += f'<text x="{x + group * 0.4:.1f}" y="{top + height + 16}" class="axis">{count}</text>'
        for i, system in enumerate(systems):
            row = of(rows, work, count, system)
            if row is None:
                continue
            tall = height * row["per_second"] / highest
            at = x + i * bar
            out += (f'<rect x="{at:.1f}" y="{top + height - tall:.1f}" width="{bar * 0.92:.1f}" height="{tall:.1f}" '
                    f'fill="{COLOURS[system]}"/>'
                    f'<text x="{at + bar / 2:.1f}" y="{top + height - tall - 4:.1f}" class="value">'
                    f'{short(row["per_second"])}</text>')
    return out + f'<line x1="{left}" x2="{left + width}" y1="{top + height}" y2="{top + height}" class="base"/>'


def short(number):
    return f"{number / 1000:.0f}k" if number >= 9950 else f"{number / 1000:.1f}k" if number >= 1000 else f"{number:.0f}"


def plot(rows):
    works = in_order(rows, "work")
    width, height, gap = 430, 190, 76
    total_width = 2 * (width + 40) + 20
    total_height = ((len(works) + 1) // 2) * (height + gap) + 40
    out = (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total_width} {total_height}" role="img" '
           'aria-label="Requests a second of raft-kv and etcd by number of connections">'
           "<style>text{font:12px sans-serif;fill:#1f2328}.title{font-weight:bold}.axis,.value{text-anchor:middle}"
           ".value{font-size:9px}.base{stroke:#1f2328}</style>"
           f'<rect width="{total_width}" height="{total_height}" fill="#ffffff"/>')
    for i, system in enumerate(in_order(rows, "system")):
        out += (f'<rect x="{20 + i * 110}" y="12" width="12" height="12" fill="{COLOURS[system]}"/>'
                f'<text x="{38 + i * 110}" y="22">{system}</text>')
    for i, work in enumerate(works):
        out += bars(rows, work, 20 + (i % 2) * (width + 40), 70 + (i // 2) * (height + gap), width, height)
    return out + "</svg>\n"
