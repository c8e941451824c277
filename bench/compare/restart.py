#!/usr/bin/env python3
"""How long after all three nodes were killed are writes acknowledged again?

Fills three nodes with keys; then, some times: writes for a moment, kills all three (SIGKILL), starts all three, and asks
each of them for a write, again and again, until one is acknowledged. The time counts from just before the first
is started. The page cache stays warm. After each restart keys are read back, and the write that was acknowledged
first after the restart before. raft-kv and etcd (v3 JSON) are treated alike, one after the other.
"""

import datetime
import json
import os
import random
import shutil
import statistics
import sys
import tempfile
import threading
import time

from client import Connection
from clusters import Etcd, RaftKv
from load import Values, busy_ms, fill, key, parser_of, patiently, require, wrk

SYSTEMS = {"raftkv": RaftKv, "etcd": Etcd}
ASK_TIMEOUT_S = 1
PAUSE_S = 0.005
GIVE_UP_S = 120
SAMPLES = 200
SETTLE_S = 1


def parse_arguments():
    parser = parser_of(__doc__, "Exit code 0: every restart has a time and nothing was lost; 1: not so.",
                       "restart.json and restart.md")
    parser.add_argument("--keys", type=int, default=1_000_000, help="of 16 bytes (default %(default)s)")
    parser.add_argument("--etcd-keys", type=int, help="another number for etcd")
    parser.add_argument("--value-bytes", type=int, default=64, help="of a value (default %(default)s)")
    parser.add_argument("--batch", type=int, default=100,
                        help="keys that are filled in by one request (default %(default)s; etcd takes at most 128)")
    parser.add_argument("--restarts", type=int, default=10, help="default %(default)s")
    parser.add_argument("--load-seconds", type=int, default=1, metavar="SECONDS",
                        help="writes of 256 bytes to 10,000 of the keys, with wrk over 64 connections, just before each "
                             "kill (default %(default)s; 0: none)")
    parser.add_argument("--systems", default=",".join(SYSTEMS), help=f"of {','.join(SYSTEMS)}")
    arguments = parser.parse_args()
    arguments.systems = arguments.systems.split(",")
    for name in arguments.systems:
        if name not in SYSTEMS:
            parser.error(f"no system '{name}'; there are: {', '.join(SYSTEMS)}")
    require(parser, "wrk", *(vars(arguments)[name] for name in arguments.systems))
    return arguments


def first_write(cluster, question, begin):
    """Seconds from `begin` to the first acknowledged write, and the node that gave it. One thread a node asks."""
    acknowledged = []
    done = threading.Event()

    def ask(node):
        connection = Connection(cluster.http[node], ASK_TIMEOUT_S)
        while not done.is_set() and time.monotonic() < begin + GIVE_UP_S:
            try:
                if connection.ask(question)[0] == 200:
                    acknowledged.append((time.monotonic() - begin, node))
                    done.set()
            except OSError:
                pass
            done.wait(PAUSE_S)
        connection.close()

    threads = [threading.Thread(target=ask, args=(node,)) for node in range(len(cluster.http))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if not acknowledged:
        raise RuntimeError(f"{cluster.name}: no write within {GIVE_UP_S} s")
    return min(acknowledged)


def lost(cluster, expected):
    """Those of the keys in `expected` that do not have their value, by consistent reads at the leader."""
    connection = Connection(cluster.await_leader()[0], 10)
    missing = []
    for name, value in expected.items():
        question = cluster.read_request(name)
        if not patiently(connection, question) or cluster.value_in(connection.ask(question)[1]) != value:
            missing.append(name)
    connection.close()
    return missing


def sampled(keys, values):
    """Keys that load.lua does not overwrite, with their values."""
    step = max(1, keys // 10_000)
    draw = random.Random(2)
    chosen = [draw.randrange(keys) for _ in range(SAMPLES)]
    return {key(i): values.of(i) for i in chosen if i % step != 0}


def measure(name, cluster, keys, arguments):
    values = Values(arguments.value_bytes)
    result = {"keys": keys, "restarts": [], "fill_s": fill(cluster, keys, values, arguments.batch)}
    print(f"{name}: {keys:,} keys in {result['fill_s']:.1f} s, {cluster.resident_mib():.0f} MiB resident", flush=True)
    expected = sampled(keys, values)
    for number in range(arguments.restarts):
        if arguments.load_seconds:
            wrk(cluster.await_leader()[0], {"raftkv": "raftkv", "etcd": "etcd-v3"}[name], "writes", 64,
                arguments.load_seconds, space=keys)
        before = cluster.resident_mib()
        cluster.kill()
        calibration = busy_ms()
        begin = time.monotonic()
        cluster.restart()
        took, node = first_write(cluster, cluster.write_request(f"restart-{number:08d}", str(number)), begin)
        row = {"seconds": took, "node": node, "resident_mib": cluster.resident_mib(), "resident_before_mib": before,
               "busy_ms": calibration}
        time.sleep(SETTLE_S)
        cluster.check()
        expected[f"restart-{number:08d}"] = str(number)
        row["lost"] = lost(cluster, expected)
        result["restarts"].append(row)
        print(f"{name} [{number + 1}/{arguments.restarts}] {took:6.2f} s (node {node}), "
              f"{row['resident_mib']:.0f} MiB resident, {before:.0f} before"
              f"{'  LOST ' + ' '.join(row['lost']) if row['lost'] else ''}", flush=True)
    return result


def summarize(result):
    times = [row["seconds"] for row in result["restarts"]]
    result.update(median_s=statistics.median(times), min_s=min(times), max_s=max(times),
                  resident_mib=statistics.median(row["resident_mib"] for row in result["restarts"]),
                  resident_before_mib=statistics.median(row["resident_before_mib"] for row in result["restarts"]))


def markdown(about, results):
    out = (f"{about['date']}, {about['cores']} cores; values of {about['value_bytes']} bytes, filled in by {about['batch']} a "
           f"request, {about['load_seconds']} s of single writes before each kill. `kill -9` of all three to the first acknowledged "
           "write. Memory: of all three, resident, medians.\n\n"
           "| | keys | restarts | median | least | most | each | MiB at the first write | MiB before the kill |\n"
           "|---|---|---|---|---|---|---|---|---|\n")
    for name, result in results.items():
        each = " ".join(f"{row['seconds']:.2f}" for row in result["restarts"])
        out += (f"| {name} | {result['keys']:,} | {len(result['restarts'])} | {result['median_s']:.2f} s | {result['min_s']:.2f} s | "
                f"{result['max_s']:.2f} s | {each} | {result['resident_mib']:.0f} | {result['resident_before_mib']:.0f} |\n")
    return out


def main():
    arguments = parse_arguments()
    os.makedirs(arguments.out, exist_ok=True)
    results = {}
    for name in arguments.systems:
        data = tempfile.mkdtemp(prefix="data-", dir=arguments.data or arguments.out)
        cluster = None
        try:
            cluster = SYSTEMS[name](vars(arguments)[name], f"{data}/{name}")
            keys = arguments.etcd_keys if name == "etcd" and arguments.etcd_keys else arguments.keys
            results[name] = measure(name, cluster, keys, arguments)
        finally:
            if cluster is not None:
                cluster.kill()
            shutil.rmtree(data, ignore_errors=True)
        summarize(results[name])
        write(arguments, results)
    return 1 if any(row["lost"] for result in results.values() for row in result["restarts"]) else 0


def write(arguments, results):
    about = {"date": datetime.date.today().isoformat(), "cores": os.cpu_count(), "value_bytes": arguments.value_bytes,
             "batch": arguments.batch, "load_seconds": arguments.load_seconds}
    with open(f"{arguments.out}/restart.json", "w") as f:
        json.dump({"about": about, "systems": results}, f, indent=1)
    with open(f"{arguments.out}/restart.md", "w") as f:
        f.write(markdown(about, results))
    print(markdown(about, results), flush=True)


if __name__ == "__main__":
    sys.exit(main())
