"""A table and a plot of what over_time.py measured."""

import math

KINDS = (("writes", "Writes"), ("reads", "Consistent reads"), ("machine", "The machine: how late a sleep of 1 ms ends"),
         ("disk", "The disk: an append of 256 bytes with fdatasync, beside the nodes"))
LINES = (("p50_ms", "#1a7f37", "p50"), ("p99_ms", "#0969da", "p99"), ("p999_ms", "#bc4c00", "p99.9"))
TITLES = {"raftkv": "raft-kv", "etcd": "etcd, v3 JSON"}
PHASES = {"before": "before the join", "during": "while the fourth node joins", "after": "after the join"}

WIDTH, LEFT, RIGHT = 920, 76, 20
PANEL, BARS, GAP, TOP = 150, 64, 46, 108
LETTERS = 15  # their height


def number(value):
    return f"{value:.2f}" if value < 9.995 else f"{value:.0f}"


def figures(part):
    if "p50_ms" not in part:
        return "- | - | -"
    return " | ".join(number(part[name]) for name, _, _ in LINES)


def spread(result, kind):
    """The worst window's p99 over the median one's."""
    values = sorted(w[kind]["p99_ms"] for w in result["windows"] if "p99_ms" in w[kind])
    return values[-1] / values[len(values) // 2] if values else 0


def joined(result):
    join = result["join"]
    if join["end_s"] is None:
        return "The fourth node did not become a voter in this time."
    return f"The fourth node joined from {join['start_s']:.1f} to {join['end_s']:.1f} s."


def load_of(result):
    parts = []
    for work, part in result["load"].items():
        failed = f" ({part['failed']:,} failed)" if part["failed"] else ""
        parts.append(f"{work} {part['requests'] / part['seconds']:,.0f} a second{failed}")
    return ", ".join(parts)


def said(name, result):
    windows, own = result["windows"], result["prober"]
    failed = {kind: sum(w[kind]["failed"] for w in windows) for kind in ("writes", "reads")}
    tables = (f"{sum(w['tables'] for w in windows):,} tables, {sum(w['table_mib'] for w in windows):,.0f} MiB, were seen being "
              "written by LevelDB on all nodes. ") if name == "raftkv" else ""
    return (f"{result['keys']:,} keys. wrk: {load_of(result)}. {joined(result)} {tables}"
            f"Failed: {failed['writes']} timed writes, {failed['reads']} timed reads. The worst window's p99 over the median "
            f"window's: writes {spread(result, 'writes'):.1f}, reads {spread(result, 'reads'):.1f}, "
            f"the machine {spread(result, 'machine'):.1f}, the disk {spread(result, 'disk'):.1f}. The prober itself: a round trip to a server that does nothing takes "
            f"{own['idle']['p50_ms']:.2f} ms (p50), {own['idle']['p99_ms']:.2f} ms (p99) without load; "
            f"it used {own['cpu_share'] * 100:.0f} % of a core. All nodes hold {result['resident_mib']:.0f} MiB at the end.\n")


HEAD = ("| ms | writes p50 | p99 | p99.9 | reads p50 | p99 | p99.9 | machine p50 | p99 | p99.9 | disk p50 | p99 | p99.9 |\n"
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|\n")


def row(name, part):
    return f"| {name} | {' | '.join(figures(part[kind]) for kind, _ in KINDS)} |\n"


def markdown(about, results):
    out = (f"{about['date']}, {about['cores']} cores, {about['seconds']} s; wrk with {about['connections']} connections (nine "
           f"consistent reads to one write) and {about['write_connections']} (writes); {about['rate']} writes and as many "
           "consistent reads a second are timed.\n")
    for name, result in results.items():
        out += f"\n### {TITLES[name]}\n\n{said(name, result)}\n{HEAD}"
        for phase in result["phases"]:
            out += row(f"{PHASES[phase['name']]}, {phase['start_s']:.1f} to {phase['end_s']:.1f} s", phase)
        out += f"\n{HEAD}"
        for window in result["windows"]:
            out += row(f"from {window['start_s']:g} s", window)
    return out


class Axis:
    """From values to pixels."""

    def __init__(self, low, high, at_low, at_high, logarithmic=False):
        self.low, self.high, self.at_low, self.at_high = low, high, at_low, at_high
        self.scale = math.log10 if logarithmic else float

    def __call__(self, value):
        value = min(max(value, self.low), self.high)
        share = (self.scale(value) - self.scale(self.low)) / (self.scale(self.high) - self.scale(self.low))
        return self.at_low + share * (self.at_high - self.at_low)


def text(x, y, words, kind=""):
    return f'<text x="{x:.1f}" y="{y:.1f}"{f" class={chr(34)}{kind}{chr(34)}" if kind else ""}>{words}</text>'


def level(y, kind):
    return f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" class="{kind}"/>'


def axis_name(top, height, words):
    y = top + height / 2
    return f'<text x="16" y="{y:.1f}" transform="rotate(-90 16 {y:.1f})" class="middle">{words}</text>'


def latencies(windows, kind, title, x, top, marks):
    """A panel with a logarithmic axis: a line for each percentile, a dot for each window's greatest."""
    y = Axis(marks[0], marks[-1], top + PANEL, top, logarithmic=True)
    out = text(LEFT, top - 10, title, "title") + axis_name(top, PANEL, "ms (logarithmic)")
    for mark in marks:
        out += level(y(mark), "grid")
        if mark in marks[1:-1] or all(abs(y(other) - y(mark)) > LETTERS for other in marks[1:-1]):
            out += text(LEFT - 8, y(mark) + 4, f"{mark:g}", "end")
    for name, colour, _ in LINES:
        points = [(x((w["start_s"] + w["end_s"]) / 2), y(w[kind][name])) for w in windows if name in w[kind]]
        out += (f'<polyline fill="none" stroke="{colour}" stroke-width="1.8" points="' +
                " ".join(f"{px:.1f},{py:.1f}" for px, py in points) + '"/>')
    for w in windows:
        middle = x((w["start_s"] + w["end_s"]) / 2)
        if "max_ms" in w[kind]:
            out += f'<circle cx="{middle:.1f}" cy="{y(w[kind]["max_ms"]):.1f}" r="2.2" class="most"/>'
        if w[kind]["failed"]:
            out += f'<path d="M{middle - 4:.1f} {top + 2} l8 8 m0 -8 l-8 8" class="failed"/>'
    return out


def nice(value):
    """The least of 1, 2, 5, 10, … that is not below."""
    power = 10 ** math.floor(math.log10(value)) if value > 0 else 1
    return next(f * power for f in (1, 2, 5, 10) if f * power >= value)


def bars(windows, name, title, unit, x, top):
    values = [w[name] or 0 for w in windows]
    highest = nice(max(values)) or 1
    y = Axis(0, highest, top + BARS, top)
    out = text(LEFT, top - 10, title, "title") + axis_name(top, BARS, unit)
    for mark in (0, highest):
        out += level(y(mark), "grid") + text(LEFT - 8, y(mark) + 4, f"{mark:,.0f}", "end")
    for w, value in zip(windows, values):
        left, right = x(w["start_s"]) + 1, x(w["end_s"]) - 1
        out += f'<rect x="{left:.1f}" y="{y(value):.1f}" width="{right - left:.1f}" height="{top + BARS - y(value):.1f}" class="bar"/>'
    return out


def marks_of(windows):
    """One scale for all panels, so that they can be compared: its ends, and the powers of ten between."""
    values = [v for w in windows for kind, _ in KINDS for name in ("p50_ms", "max_ms") if (v := w[kind].get(name))]
    low, high = 1 / nice(1 / max(min(values, default=1), 0.01)), nice(max(max(values, default=10), 10))
    return [low, *(10.0 ** n for n in range(-2, 6) if low < 10.0 ** n < high), high]


def legend(failed):
    out, x = "", LEFT
    for _, colour, words in LINES:
        out += f'<line x1="{x}" x2="{x + 22}" y1="48" y2="48" stroke="{colour}" stroke-width="2.5"/>' + text(x + 28, 52, words)
        x += 90
    out += f'<circle cx="{x + 6}" cy="48" r="2.6" class="most"/>' + text(x + 16, 52, "greatest of the window")
    x += 180
    if not failed:
        return out
    return out + f'<path d="M{x} 44 l8 8 m0 -8 l-8 8" class="failed"/>' + text(x + 16, 52, "requests failed")


def join_mark(result, x, bottom):
    join = result["join"]
    end = join["end_s"] if join["end_s"] is not None else result["windows"][-1]["end_s"]
    left, right = x(join["start_s"]), x(end)
    words = f"a fourth node joins, {join['start_s']:.1f} to {end:.1f} s" if join["end_s"] is not None else "a fourth node tries to join"
    return (f'<rect x="{left:.1f}" y="{TOP - 28}" width="{max(right - left, 1):.1f}" height="{bottom - TOP + 28}" class="join"/>',
            text(min(max((left + right) / 2, LEFT + 110), WIDTH - RIGHT - 110), TOP - 33, words, "middle"))


def plot(name, about, result):
    windows = result["windows"]
    marks = marks_of(windows)
    seconds = windows[-1]["end_s"]
    x = Axis(0, seconds, LEFT, WIDTH - RIGHT)
    top = TOP + 24
    body = ""
    for kind, title in KINDS:
        body += latencies(windows, kind, title, x, top, marks)
        top += PANEL + GAP
    strips = [("entries_per_second", "Log entries committed", "a second"),
              ("table_mib", "LevelDB tables written by all nodes (flushes and compactions)", "MiB")]
    for field, title, unit in strips if name == "raftkv" else []:
        body += bars(windows, field, title, unit, x, top)
        top += BARS + GAP
    bottom = top - GAP
    step = nice(seconds / 12)
    for n in range(int(seconds / step) + 1):
        body += text(x(n * step), bottom + 18, f"{n * step:g}", "middle")
    body += text((LEFT + WIDTH - RIGHT) / 2, bottom + 38, f"seconds (each point and bar: {about['window']:g} s)", "middle")
    shade, words = join_mark(result, x, bottom)
    height = bottom + 52
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
            f'aria-label="Latency over time of {TITLES[name]} under load while a fourth node joins">'
            "<style>text{font:12px sans-serif;fill:#1f2328}.title{font-weight:bold}.head{font-size:15px;font-weight:bold}"
            ".middle{text-anchor:middle}.end{text-anchor:end}.grid{stroke:#d0d7de}.most{fill:#6e7781}.bar{fill:#8c959f}"
            ".failed{stroke:#cf222e;stroke-width:2;fill:none}.join{fill:#fff8c5}</style>"
            f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>' + shade +
            text(LEFT, 26, f"{TITLES[name]}: latency over time, three nodes and the load on {about['cores']} cores", "head") +
            legend(any(w[kind]["failed"] for w in windows for kind, _ in KINDS)) + words + body + "</svg>\n")
