"""A process that asks a cluster at a bounded rate and notes how long each answer took; over_time.py starts it.

Threads with one kept connection each send at fixed times. Where the answer before is late, the next request counts
from the time at which it was due: a stall is seen by all who would have come meanwhile. Another thread of the same process
sleeps 1 ms again and again and notes by how much it overslept: what the machine, and the threads here that
wait for one another, did to everybody at that time. A last one makes a small append durable, as a node does, on the same disk: what
the disk, which the nodes load, did to everybody.
"""

import multiprocessing
import os
import random
import socket
import sys
import threading
import time

from client import Connection
from load import key

THREADS = 8  # for each kind
ASK_TIMEOUT_S = 5
NAP_S = 0.001
SYNCS = 50  # a second
SYNC_BYTES = 256
KEYS = 10_000
CALIBRATION = 2_000
CANNED = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Samples:
    """What one thread has seen: (when it was due, how long it took) in seconds, and when requests failed."""

    def __init__(self):
        self.good = []
        self.failed = []


def ask_at_a_rate(cluster, questions, leader, times, samples):
    """Asks the leader at these times; others in turn where it fails."""
    addresses = [leader] + [a for a in cluster.http if a != leader]
    target = 0
    connection = Connection(addresses[target], ASK_TIMEOUT_S)
    begin, end, interval, offset = times
    due = begin + offset
    draw = random.Random(offset)
    while due < end:
        now = time.monotonic()
        late = now >= due
        if not late:
            time.sleep(due - now)
        question = questions[draw.randrange(len(questions))]
        start = due if late else time.monotonic()
        try:
            good = connection.ask(question)[0] == 200
        except OSError:
            good = False
        if good:
            samples.good.append((start - begin, time.monotonic() - start))
        else:
            samples.failed.append(start - begin)
            connection.close()
            target = (target + 1) % len(addresses)
            connection = Connection(addresses[target], ASK_TIMEOUT_S)
        due += interval
    connection.close()


def nap(begin, end, samples):
    while (now := time.monotonic()) < end:
        time.sleep(NAP_S)
        if now >= begin:
            samples.good.append((now - begin, time.monotonic() - now - NAP_S))


def sync(path, begin, end, samples):
    """Into zeros that are there already, as the nodes' log."""
    file = os.open(path, os.O_RDWR | os.O_CREAT)
    os.pwrite(file, bytes(int((end - begin) * SYNCS + 1) * SYNC_BYTES), 0)
    os.fsync(file)
    piece = b"s" * SYNC_BYTES
    due, at = begin, 0
    while due < end:
        time.sleep(max(0, due - time.monotonic()))
        start = time.monotonic()
        os.pwrite(file, piece, at)
        os.fdatasync(file)
        samples.good.append((start - begin, time.monotonic() - start))
        due, at = due + 1 / SYNCS, at + SYNC_BYTES
    os.close(file)


def probe(cluster, leader, space, values, begin, seconds, rate, results):
    """The process. Sends {"writes", "reads", "machine", "disk": (good, failed), "cpu_seconds"} to `results`."""
    sys.setswitchinterval(0.0002)
    spent = time.process_time()
    step = max(1, space // KEYS)
    chosen = [i * step for i in range(KEYS)]
    questions = {"writes": [cluster.write_request(key(i), values.of(i)) for i in chosen],
                 "reads": [cluster.read_request(key(i)) for i in chosen]}
    interval = THREADS / rate
    samples = {"machine": [Samples()], "disk": [Samples()]}
    threads = [threading.Thread(target=nap, args=(begin, begin + seconds, samples["machine"][0])),
               threading.Thread(target=sync, args=(f"{cluster.directory}/probe", begin, begin + seconds, samples["disk"][0]))]
    for k, kind in enumerate(questions):
        samples[kind] = [Samples() for _ in range(THREADS)]
        for i, own in enumerate(samples[kind]):
            times = begin, begin + seconds, interval, (2 * i + k) * interval / (2 * THREADS)
            threads.append(threading.Thread(target=ask_at_a_rate, args=(cluster, questions[kind], leader, times, own)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = {kind: (sorted(s for own in all_own for s in own.good), sorted(s for own in all_own for s in own.failed))
             for kind, all_own in samples.items()}
    results.send({**found, "cpu_seconds": time.process_time() - spent})
    results.close()


def answer_the_same(listener):
    """A server that does nothing: what is left is what asking costs."""
    accepted, _ = listener.accept()
    accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while accepted.recv(65536):
        accepted.sendall(CANNED)


def own_overhead(question):
    """Round trips, in seconds, with a server that does nothing, in a process of its own."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = multiprocessing.Process(target=answer_the_same, args=(listener,), daemon=True)
        server.start()
        connection = Connection("127.0.0.1:%d" % listener.getsockname()[1], ASK_TIMEOUT_S)
        times = []
        for _ in range(CALIBRATION):
            start = time.monotonic()
            connection.ask(question)
            times.append(time.monotonic() - start)
        connection.close()
        server.join()
    return times


def start(*arguments):
    """The process, and where its results will come."""
    ours, theirs = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.Process(target=probe, args=(*arguments, theirs), daemon=True)
    process.start()
    theirs.close()
    return process, ours
