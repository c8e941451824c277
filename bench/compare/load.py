"""What the tools of this folder share: wrk, the fixed loop, their options, and filling a cluster with keys."""

import argparse
import json
import os
import random
import shutil
import string
import subprocess
import threading
import time

from client import Connection

HERE = os.path.dirname(os.path.abspath(__file__))
FILLERS = 4
ATTEMPTS = 20


def parser_of(text, epilog, out):
    """With the options that every tool has."""
    parser = argparse.ArgumentParser(description=text, epilog=epilog,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--raftkv", default=f"{HERE}/../../build/release/bin/raftkv",
                        help="the program (default: of build/release)")
    parser.add_argument("--etcd", default="etcd", help="the program (default: of the PATH)")
    parser.add_argument("--out", default="compare", metavar="DIR", help=f"where {out} go (default ./compare)")
    parser.add_argument("--data", metavar="DIR",
                        help="where the nodes keep their data: on the disk to be measured (default: under --out)")
    return parser


def require(parser, *programs):
    for program in programs:
        if shutil.which(program) is None:
            parser.error(f"'{program}' is not there: run scripts/setup bench, and build the release preset")


def busy_ms():
    """A fixed piece of work on one core: longer means that others use the machine."""
    begin = time.perf_counter()
    x = 1
    for _ in range(400_000):
        x = (x * 1103515245 + 12345) & 0x7FFFFFFF
    return (time.perf_counter() - begin) * 1e3


def start_wrk(address, system, work, connections, seconds, space=10_000):
    """`space`: the keys are spread evenly over that many."""
    threads = 1 if connections == 1 else 2
    return subprocess.Popen(["wrk", "--latency", f"-t{threads}", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s",
                             "-s", f"{HERE}/load.lua", f"http://{address}", "--", system, work, str(space)],
                            stdout=subprocess.PIPE, text=True)


def wrk_result(process):
    output = process.communicate()[0]
    for line in output.splitlines():
        if line.startswith("RESULT "):
            return json.loads(line[len("RESULT "):])
    raise RuntimeError(f"wrk said nothing: {' '.join(process.args)}\n{output}")


def wrk(*arguments, **named):
    return wrk_result(start_wrk(*arguments, **named))


def key(i):
    """16 bytes, the same as load.lua's."""
    return f"key-{i:012d}"


class Values:
    """Letters and digits that no compression makes much smaller; the same for every run."""

    def __init__(self, size):
        self.size = size
        draw = random.Random(1)
        self.text = "".join(draw.choices(string.ascii_letters + string.digits, k=1_000_003 + size))

    def of(self, i):
        at = i * 7919 % 1_000_003
        return self.text[at:at + self.size]


def fill(cluster, keys, values, batch):
    """Sets key(0) to key(keys - 1), `batch` of them in a request; the seconds that it took."""
    leader, _ = cluster.await_leader()
    begin = time.monotonic()
    starts = iter(range(0, keys, batch))
    lock = threading.Lock()
    failures = []

    def work():
        connection = Connection(leader, 10)
        while not failures:
            with lock:
                start = next(starts, None)
            if start is None:
                break
            question = cluster.batch_request([(key(i), values.of(i)) for i in range(start, min(start + batch, keys))])
            if not patiently(connection, question):
                failures.append(start)
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(FILLERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise RuntimeError(f"{cluster.name}: the keys from {failures[0]} on are not accepted")
    return time.monotonic() - begin


def patiently(connection, question):
    """Asks until it succeeds, a bounded number of times: for what may be done twice."""
    for _ in range(ATTEMPTS):
        try:
            if connection.ask(question)[0] == 200:
                return True
        except OSError:
            pass
        time.sleep(0.2)
    return False
