#!/usr/bin/env python3
"""raft-kv and etcd side by side: three nodes each on this machine, fsync on, loaded by wrk in turns.

Beside them http-alone: raft-kv's HTTP server with nothing behind it, one process. More than it nobody can do here.

Every cell (a system, a kind of work, a number of connections) runs once a round, the systems one right after the
other, in another order each round. Medians over the rounds, their spread, and ratios go into a table and a plot.
A cell with one failed request or answer that is no success is void. A fixed loop on one core before each cell
says how busy the machine was.
"""

import datetime
import json
import math
import os
import shutil
import statistics
import sys
import tempfile
import time

from clusters import Etcd, HttpAlone, RaftKv
from load import HERE, busy_ms, parser_of, require, wrk
from report import markdown, plot

SYSTEMS = ("raftkv", "etcd-v3", "etcd-v2", "http-alone")
WORKS = ("writes", "consistent", "stale", "mixed")
CONNECTIONS = (1, 16, 64, 256, 1024)
SETTLE_S = 0.3


def parse_arguments():
    parser = parser_of(__doc__, "Exit code 0: all cells have figures; 1: some are void, or a node died.",
                       "results.json, results.md and results.svg")
    parser.add_argument("--http-alone", metavar="PROGRAM", default=f"{HERE}/../../build/bench/bin/http_alone",
                        help="the program (default: of build/bench)")
    parser.add_argument("--rounds", type=int, default=3, help="times that each cell is run (default 3)")
    parser.add_argument("--seconds", type=int, default=8, help="length of a cell (default 8)")
    parser.add_argument("--warm-up", type=int, default=2, metavar="SECONDS",
                        help="the same load before each cell, not counted (default 2)")
    parser.add_argument("--systems", default=",".join(SYSTEMS), help=f"of {','.join(SYSTEMS)}")
    parser.add_argument("--works", default=",".join(WORKS), help=f"of {','.join(WORKS)}")
    parser.add_argument("--connections", default=",".join(map(str, CONNECTIONS)),
                        help="numbers of connections (default %(default)s)")
    arguments = parser.parse_args()
    arguments.systems = arguments.systems.split(",")
    arguments.works = arguments.works.split(",")
    arguments.connections = [int(n) for n in arguments.connections.split(",")]
    for given, known, what in ((arguments.systems, SYSTEMS, "system"), (arguments.works, WORKS, "work")):
        for name in given:
            if name not in known:
                parser.error(f"no {what} '{name}'; there are: {', '.join(known)}")
    programs = {"raftkv": arguments.raftkv, "etcd-v3": arguments.etcd, "etcd-v2": arguments.etcd,
                "http-alone": arguments.http_alone}
    require(parser, "wrk", *(programs[system] for system in arguments.systems))
    return arguments


def spent_since(before, after):
    """Of threads that were there all the time."""
    return {thread: tuple(b - a for a, b in zip(before[thread], after[thread]))
            for thread in before if thread in after}


def cpu_by_thread(threads, total, leader, requests):
    """µs a request by what the threads do: [user, system]. What is missing is of threads that come and go: compactions."""
    sums = {}
    for (node, _, name), (user, system) in threads.items():
        who = "the leader's" if node == leader else "the followers'"
        part = sums.setdefault(f"{who} {name if name in ('log', 'apply', 'read', 'upkeep') else 'loop'}", [0, 0])
        part[0] += user * 1e6 / requests
        part[1] += system * 1e6 / requests
    rest = total * 1e6 / requests - sum(map(sum, sums.values()))
    sums["flushes and compactions, all"] = [max(rest, 0), 0]
    return {name: part for name, part in sums.items() if sum(part) >= 0.1}


SLOW_MS = 50


def slowest_log_write(before, after):
    """Of any node, in ms: the upper bound of the last bucket with a new write in it, of the one before
    if it has none; 0 without a write."""
    slowest = 0
    for old, new in zip(before, after):
        last = max(filter(math.isfinite, new), default=0)
        slowest = max([slowest] + [min(bound, last) * 1e3 for bound, count in new.items() if count > old.get(bound, 0)])
    return slowest


def run_cell(cluster, system, work, connections, arguments):
    leader, follower = cluster.await_leader()
    address = follower if work == "stale" else leader
    if arguments.warm_up:
        wrk(address, system, work, connections, arguments.warm_up)
    time.sleep(SETTLE_S)
    calibration = busy_ms()
    log_writes = cluster.log_writes() if system == "raftkv" else []
    cpu, threads = cluster.cpu_seconds(), cluster.thread_seconds()
    result = wrk(address, system, work, connections, arguments.seconds)
    cpu, threads = cluster.cpu_seconds() - cpu, spent_since(threads, cluster.thread_seconds())
    cluster.check()
    slowest = slowest_log_write(log_writes, cluster.log_writes()) if system == "raftkv" else 0
    done = result["requests"]
    by_thread = {}
    if system == "raftkv" and done:
        by_thread = cpu_by_thread(threads, cpu, cluster.http.index(leader), done)
    return {
        "threads": by_thread, "slowest_log_write_ms": slowest,
        "system": system, "work": work, "connections": connections,
        "per_second": done / result["seconds"], "p50_ms": result["p50_ms"], "p99_ms": result["p99_ms"],
        "p999_ms": result["p999_ms"], "cpu_us": cpu / done * 1e6 if done else 0,
        "resident_mib": cluster.resident_mib(), "busy_ms": calibration,
        "void": result["failed"] > 0 or done == 0, "failed": result["failed"],
    }


def slow_note(cell):
    """What would explain a stall of all clients."""
    slowest = cell["slowest_log_write_ms"]
    return f"  a log write took up to {slowest:.0f} ms" if slowest > SLOW_MS else ""


def fill(cluster, system):
    """Every key is there before anything is measured."""
    leader, _ = cluster.await_leader()
    wrk(leader, system, "fill", 64, 6)


def measure(arguments, clusters):
    cells = []
    total = arguments.rounds * len(arguments.works) * len(arguments.connections) * len(arguments.systems)
    for round_number in range(arguments.rounds):
        for work in arguments.works:
            for connections in arguments.connections:
                shift = round_number % len(arguments.systems)
                for system in arguments.systems[shift:] + arguments.systems[:shift]:
                    cell = run_cell(clusters[system], system, work, connections, arguments)
                    cell["round"] = round_number
                    cells.append(cell)
                    print(f"[{len(cells)}/{total}] {work:10} {connections:5} {system:8} "
                          f"{cell['per_second']:9.0f}/s p99 {cell['p99_ms']:8.2f} ms "
                          f"{cell['cpu_us']:6.1f} us{'  VOID' if cell['void'] else ''}{slow_note(cell)}", flush=True)
    return cells


def summarize(cells):
    """A row for each cell: medians over the rounds that are not void, and the spread of the rate."""
    rows = []
    keys = dict.fromkeys((c["work"], c["connections"], c["system"]) for c in cells)
    for work, connections, system in keys:
        same = [c for c in cells if (c["work"], c["connections"], c["system"]) == (work, connections, system)]
        good = [c for c in same if not c["void"]]
        row = {"work": work, "connections": connections, "system": system,
               "rounds": len(same), "void": len(same) - len(good)}
        if good:
            for name in ("per_second", "p50_ms", "p99_ms", "p999_ms", "cpu_us", "resident_mib", "busy_ms"):
                row[name] = statistics.median(c[name] for c in good)
            row["threads"] = {name: [statistics.median(c["threads"].get(name, [0, 0])[i] for c in good) for i in (0, 1)]
                              for name in good[0]["threads"]}
            rates = [c["per_second"] for c in good]
            row["spread"] = (max(rates) - min(rates)) / row["per_second"]
        rows.append(row)
    return rows


def main():
    arguments = parse_arguments()
    os.makedirs(arguments.out, exist_ok=True)
    data = tempfile.mkdtemp(prefix="data-", dir=arguments.data or arguments.out)
    clusters, running = {}, []
    try:
        if "raftkv" in arguments.systems:
            running.append(RaftKv(arguments.raftkv, f"{data}/raftkv"))
            clusters["raftkv"] = running[-1]
        if any(s.startswith("etcd") for s in arguments.systems):
            running.append(Etcd(arguments.etcd, f"{data}/etcd"))
            clusters["etcd-v2"] = clusters["etcd-v3"] = running[-1]
        if "http-alone" in arguments.systems:
            running.append(HttpAlone(arguments.http_alone, f"{data}/http-alone"))
            clusters["http-alone"] = running[-1]
        for system in arguments.systems:
            fill(clusters[system], system)
        cells = measure(arguments, clusters)
    finally:
        for cluster in running:
            cluster.kill()
        shutil.rmtree(data, ignore_errors=True)
    rows = summarize(cells)
    about = {"date": datetime.date.today().isoformat(), "cores": os.cpu_count(), "seconds": arguments.seconds,
             "rounds": arguments.rounds,
             "busy_ms": statistics.median(c["busy_ms"] for c in cells)}
    with open(f"{arguments.out}/results.json", "w") as f:
        json.dump({"about": about, "rows": rows, "cells": cells}, f, indent=1)
    with open(f"{arguments.out}/results.md", "w") as f:
        f.write(markdown(about, rows))
    with open(f"{arguments.out}/results.svg", "w") as f:
        f.write(plot(rows))
    print(markdown(about, rows))
    return 1 if any(row["void"] for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
