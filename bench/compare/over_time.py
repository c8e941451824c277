#!/usr/bin/env python3
"""Does latency stay flat while LevelDB flushes and compacts, and while a fourth node joins and receives the state?

Three nodes are filled with keys; wrk loads them (nine consistent reads to one write, and a second wrk only writes); after
a while a fourth node joins. Meanwhile another process writes and reads (consistent) at a bounded rate and notes every
latency, how late a sleep of 1 ms ends (the machine's own stalls), and how long a small append with fdatasync on the nodes'
disk takes. Percentiles for each window of time. A request that is due while the one before it is still open counts from
when it was due. wrk works as fast as it can, so the cores are full throughout.
"""

import datetime
import glob
import json
import math
import os
import shutil
import sys
import tempfile
import threading
import time

import prober
from clusters import Etcd, RaftKv, fetch
from load import Values, busy_ms, fill, parser_of, require, start_wrk, wrk_result
from over_time_report import markdown, plot

SYSTEMS = {"raftkv": RaftKv, "etcd": Etcd}
WRK_NAMES = {"raftkv": "raftkv", "etcd": "etcd-v3"}
FILL_BATCH = 100
WARM_UP_S = 3
LOOK_S = 0.2


def parse_arguments():
    parser = parser_of(__doc__, "Exit code 0: measured; 1: requests failed, the fourth node did not join, or a node died.",
                       "over-time.json, over-time.md and over-time-SYSTEM.svg")
    parser.add_argument("--seconds", type=int, default=60, help="measured (default %(default)s)")
    parser.add_argument("--join-after", type=int, default=20, metavar="SECONDS", help="default %(default)s")
    parser.add_argument("--window", type=float, default=2, metavar="SECONDS", help="default %(default)s")
    parser.add_argument("--rate", type=int, default=500,
                        help="writes a second, and reads a second, whose latency is noted (default %(default)s each)")
    parser.add_argument("--connections", type=int, default=64, help="of the mixed load (default %(default)s)")
    parser.add_argument("--write-connections", type=int, default=16,
                        help="of the load that only writes (default %(default)s; 0: none)")
    parser.add_argument("--keys", type=int, default=400_000, help="filled in before (default %(default)s)")
    parser.add_argument("--value-bytes", type=int, default=256, help="of a value (default %(default)s)")
    parser.add_argument("--with-etcd", action="store_true", help="the same with etcd (v3 JSON) afterwards")
    arguments = parser.parse_args()
    if not 0 < arguments.join_after < arguments.seconds:
        parser.error("--join-after: a moment within --seconds")
    arguments.systems = ["raftkv", "etcd"] if arguments.with_etcd else ["raftkv"]
    require(parser, "wrk", *(vars(arguments)[name] for name in arguments.systems))
    return arguments


class Watch:
    """What the nodes do beside answering: LevelDB tables as they appear, and the log's growth."""

    def __init__(self, name, cluster, leader):
        self.name, self.cluster, self.leader = name, cluster, leader
        self.known = set()
        self.tables = []  # (when, bytes), for each new one
        self.entries = []  # (when, the leader's commit index)
        self._look_for_tables(None)

    def look(self, begin):
        now = time.monotonic() - begin
        self._look_for_tables(now)
        if self.name == "raftkv":
            answer = fetch(f"http://{self.leader}/status")
            if answer:
                self.entries.append((time.monotonic() - begin, json.loads(answer)["commitIndex"]))

    def _look_for_tables(self, now):
        for path in glob.glob(f"{self.cluster.directory}/n*/state-*/*.ldb") + glob.glob(f"{self.cluster.directory}/n*/log/*.ldb"):
            if path in self.known:
                continue
            self.known.add(path)
            try:
                if now is not None:
                    self.tables.append((now, os.stat(path).st_size))
            except FileNotFoundError:
                pass  # a compaction was faster


class Join(threading.Thread):
    """Lets the fourth node in at its time."""

    def __init__(self, cluster, begin, after):
        super().__init__(daemon=True)
        self.cluster, self.begin, self.after = cluster, begin, after
        self.started = self.ended = self.failure = None

    def run(self):
        time.sleep(max(0, self.begin + self.after - time.monotonic()))
        self.started = time.monotonic() - self.begin
        try:
            self.cluster.join()
            self.ended = time.monotonic() - self.begin
        except RuntimeError as failure:
            self.failure = str(failure)


def percentile(ordered, share):
    """The smallest that at least this share is not above."""
    return ordered[math.ceil(share * len(ordered)) - 1]


def figures(latencies, failed):
    """In ms."""
    ordered = sorted(latencies)
    out = {"count": len(ordered), "failed": failed}
    if ordered:
        out.update({name: percentile(ordered, share) * 1e3
                    for name, share in (("p50_ms", 0.5), ("p99_ms", 0.99), ("p999_ms", 0.999), ("max_ms", 1))})
    return out


def between(samples, start, end):
    good, failed = samples
    return figures([took for at, took in good if start <= at < end], sum(start <= at < end for at in failed))


def all_between(found, start, end):
    return {kind: between(found[kind], start, end) for kind in ("writes", "reads", "machine", "disk")}


def growth(entries, start, end):
    """Entries a second."""
    inside = [e for e in entries if start <= e[0] < end]
    if len(inside) < 2 or inside[-1][0] == inside[0][0]:
        return None
    return (inside[-1][1] - inside[0][1]) / (inside[-1][0] - inside[0][0])


def windows_of(found, watch, arguments):
    out = []
    for number in range(int(arguments.seconds / arguments.window)):
        start = number * arguments.window
        end = start + arguments.window
        tables = [size for at, size in watch.tables if start <= at < end]
        out.append({"start_s": start, "end_s": end, **all_between(found, start, end),
                    "entries_per_second": growth(watch.entries, start, end),
                    "tables": len(tables), "table_mib": sum(tables) / (1 << 20)})
    return out


def phases_of(found, join, seconds):
    """Before the join, during it, after it."""
    end = join.ended if join.ended is not None else seconds
    cuts = [("before", 0, join.started), ("during", join.started, end), ("after", end, seconds)]
    return [{"name": name, "start_s": start, "end_s": stop, **all_between(found, start, stop)}
            for name, start, stop in cuts if stop > start]


def measure(name, cluster, arguments):
    values = Values(arguments.value_bytes)
    fill_s = fill(cluster, arguments.keys, values, FILL_BATCH)
    leader, _ = cluster.await_leader()
    calibration = busy_ms()
    own = figures(prober.own_overhead(cluster.write_request("k" * 16, values.of(0))), 0)
    print(f"{name}: {arguments.keys:,} keys in {fill_s:.1f} s; asking a server that does nothing: "
          f"p50 {own['p50_ms']:.2f} ms, p99 {own['p99_ms']:.2f} ms", flush=True)
    watch = Watch(name, cluster, leader)
    begin = time.monotonic() + WARM_UP_S
    seconds = arguments.seconds + WARM_UP_S
    loads = {"mixed": arguments.connections, "writes": arguments.write_connections}
    loads = {work: start_wrk(leader, WRK_NAMES[name], work, count, seconds, space=arguments.keys)
             for work, count in loads.items() if count}
    join = Join(cluster, begin, arguments.join_after)
    try:
        process, results = prober.start(cluster, leader, arguments.keys, values, begin, arguments.seconds, arguments.rate)
        join.start()
        while time.monotonic() < begin + arguments.seconds:
            time.sleep(LOOK_S)
            watch.look(begin)
        found = results.recv()
        process.join()
        load = {work: wrk_result(process) for work, process in loads.items()}
        join.join(timeout=1)
        cluster.check()
    finally:
        for process in loads.values():
            process.kill()
    return {
        "keys": arguments.keys, "fill_s": fill_s, "busy_ms": calibration,
        "prober": {"idle": own, "cpu_share": found["cpu_seconds"] / arguments.seconds}, "load": load,
        "join": {"start_s": join.started, "end_s": join.ended, "failure": join.failure},
        "phases": phases_of(found, join, arguments.seconds), "windows": windows_of(found, watch, arguments),
        "resident_mib": cluster.resident_mib(),
    }


def good(result):
    failed = sum(w[kind]["failed"] for w in result["windows"] for kind in ("writes", "reads"))
    failed += sum(load["failed"] for load in result["load"].values())
    return failed == 0 and result["join"]["end_s"] is not None


def write(arguments, about, results):
    with open(f"{arguments.out}/over-time.json", "w") as f:
        json.dump({"about": about, "systems": results}, f, indent=1)
    with open(f"{arguments.out}/over-time.md", "w") as f:
        f.write(markdown(about, results))
    for name, result in results.items():
        with open(f"{arguments.out}/over-time-{name}.svg", "w") as f:
            f.write(plot(name, about, result))


def main():
    arguments = parse_arguments()
    os.makedirs(arguments.out, exist_ok=True)
    about = {"date": datetime.date.today().isoformat(), "cores": os.cpu_count(),
             **{name: vars(arguments)[name] for name in ("seconds", "window", "rate", "connections", "write_connections",
                                                         "value_bytes")}}
    results = {}
    for name in arguments.systems:
        data = tempfile.mkdtemp(prefix="data-", dir=arguments.data or arguments.out)
        cluster = None
        try:
            cluster = SYSTEMS[name](vars(arguments)[name], f"{data}/{name}")
            results[name] = measure(name, cluster, arguments)
        finally:
            if cluster is not None:
                cluster.kill()
            shutil.rmtree(data, ignore_errors=True)
        write(arguments, about, results)
    print(markdown(about, results))
    return 0 if all(map(good, results.values())) else 1


if __name__ == "__main__":
    sys.exit(main())
