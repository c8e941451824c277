"""Three nodes of raft-kv and three of etcd on this machine, started and watched by the tools of this folder."""

import base64
import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

from client import request

TICKS = os.sysconf("SC_CLK_TCK")
PATIENCE_S = 60


def free_ports(count):
    """Ports of 127.0.0.1 that nobody uses now."""
    sockets = [socket.socket() for _ in range(count)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def fetch(url, body=None, method=None):
    """The answer's body, or None where there is no good answer."""
    request = urllib.request.Request(url, data=body, method=method)
    try:
        with urllib.request.urlopen(request, timeout=5) as response:
            return response.read()
    except (urllib.error.URLError, OSError):
        return None


def eventually(ask, what):
    """The first answer of `ask` that is not empty."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        answer = ask()
        if answer:
            return answer
        time.sleep(0.05)
    raise RuntimeError(f"{what}: not within {PATIENCE_S} s")


class Cluster:
    """Processes, and what they have used."""

    def __init__(self, name, directory):
        self.name = name
        self.directory = directory
        self.processes = []
        self.commands = []
        os.makedirs(directory)

    def launch(self, command, environment=None):
        self.commands.append((command, environment))
        self._start(len(self.commands) - 1)

    def _start(self, i):
        command, environment = self.commands[i]
        with open(f"{self.directory}/{i}.log", "ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log,
                                       env={**os.environ, **(environment or {})})
        self.processes[i:i + 1] = [process]

    def check(self):
        for i, process in enumerate(self.processes):
            if process.poll() is not None:
                raise RuntimeError(f"{self.name}: node {i} ended; see {self.directory}/{i}.log")

    def cpu_seconds(self):
        total = 0
        for process in self.processes:
            with open(f"/proc/{process.pid}/stat") as stat:
                fields = stat.read().rsplit(")", 1)[1].split()
            total += (int(fields[11]) + int(fields[12])) / TICKS
        return total

    def thread_seconds(self):
        """CPU by (node, thread id, name): the user's part and the system's."""
        spent = {}
        for i, process in enumerate(self.processes):
            for thread in os.listdir(f"/proc/{process.pid}/task"):
                try:
                    with open(f"/proc/{process.pid}/task/{thread}/stat") as stat:
                        text = stat.read()
                except FileNotFoundError:
                    continue  # it has ended meanwhile
                name = text[text.index("(") + 1:text.rindex(")")]
                fields = text[text.rindex(")") + 1:].split()
                spent[i, thread, name] = (int(fields[11]) / TICKS, int(fields[12]) / TICKS)
        return spent

    def resident_mib(self):
        """Of all nodes together."""
        total = 0
        for process in self.processes:
            with open(f"/proc/{process.pid}/status") as status:
                total += int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1))
        return total / 1024

    def kill(self):
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
        for process in self.processes:
            process.wait()

    def restart(self):
        """All of them, at once, after kill()."""
        for i in range(len(self.commands)):
            self._start(i)


class RaftKv(Cluster):
    def __init__(self, program, directory):
        super().__init__("raftkv", directory)
        self.program = program
        self.http = [f"127.0.0.1:{port}" for port in free_ports(3)]
        raft = [f"127.0.0.1:{port}" for port in free_ports(3)]
        data = [f"{directory}/n{i}" for i in range(3)]
        subprocess.run([program, "init", "--data", data[0], "--id", "n0", "--http", self.http[0],
                        "--raft", raft[0]], check=True, stdout=subprocess.DEVNULL)
        for i in range(3):
            join = [] if i == 0 else ["--id", f"n{i}", "--join", self.http[0]]
            self.launch([program, "serve", "--data", data[i], "--http", self.http[i],
                         "--raft", raft[i], *join])
            eventually(lambda: self._voters() == i + 1, f"raftkv: {i + 1} voters")
        self.await_leader()

    def _voters(self):
        answer = fetch(f"http://{self.http[0]}/members")
        return answer and sum(m["role"] == "voter" for m in json.loads(answer)["members"])

    def roles(self):
        """Leader and a follower, as addresses; None while there is no leader."""
        leader, follower = None, None
        for address in self.http:
            answer = fetch(f"http://{address}/status")
            role = answer and json.loads(answer)["role"]
            if role == "leader":
                leader = address
            elif role == "follower":
                follower = address
        return (leader, follower) if leader and follower else None

    def await_leader(self):
        return eventually(self.roles, "raftkv: a leader")

    def log_writes(self):
        """A node's writes of its log by how long they took: {upper bound in seconds: writes}, not cumulated."""
        nodes = []
        for address in self.http:
            counts, below = {}, 0
            for line in fetch(f"http://{address}/metrics").decode().splitlines():
                if line.startswith('raftkv_log_write_seconds_bucket{le="'):
                    bound, count = line.split('"')[1], int(line.rsplit(" ", 1)[1])
                    counts[float(bound)] = count - below
                    below = count
            nodes.append(counts)
        return nodes

    def join(self):
        """Starts a fourth node; returns when it is a voter, which it becomes when it has the state."""
        http, raft = (f"127.0.0.1:{port}" for port in free_ports(2))
        self.launch([self.program, "serve", "--data", f"{self.directory}/n3", "--id", "n3", "--join", self.http[0],
                     "--http", http, "--raft", raft])
        eventually(lambda: self._voters() == 4, "raftkv: 4 voters")

    # Requests, as bytes. 200 is success; a follower answers with another status.

    def write_request(self, key, value):
        return request("PUT", f"/key/{key}", value.encode())

    def read_request(self, key):
        return request("GET", f"/key/{key}?raw&level=consistent")

    def batch_request(self, pairs):
        return request("POST", "/key", json.dumps(dict(pairs)).encode())

    def value_in(self, answer):
        """Of a good answer to read_request."""
        return answer.decode()


class HttpAlone(Cluster):
    """One process: raft-kv's HTTP server with nothing behind it (bench/http_alone.cc)."""

    def __init__(self, program, directory):
        super().__init__("http-alone", directory)
        self.http = [f"127.0.0.1:{port}" for port in free_ports(1)]
        self.launch([program, self.http[0]])
        eventually(lambda: fetch(f"http://{self.http[0]}/key/k?level=stale"), "http-alone: an answer")

    def await_leader(self):
        return self.http[0], self.http[0]


class Etcd(Cluster):
    def __init__(self, program, directory):
        super().__init__("etcd", directory)
        self.program = program
        self.http = [f"127.0.0.1:{port}" for port in free_ports(3)]
        peers = [f"127.0.0.1:{port}" for port in free_ports(3)]
        self.initial = ",".join(f"e{i}=http://{peer}" for i, peer in enumerate(peers))
        for i in range(3):
            self._launch(i, self.http[i], peers[i], self.initial, "new")
        self.await_leader()

    def _launch(self, i, http, peer, initial, state):
        self.launch([self.program, "--name", f"e{i}", "--data-dir", f"{self.directory}/e{i}",
                     "--enable-v2=true", "--logger=zap", "--log-level=error",
                     "--quota-backend-bytes", str(8 << 30),
                     "--listen-client-urls", f"http://{http}", "--advertise-client-urls", f"http://{http}",
                     "--listen-peer-urls", f"http://{peer}", "--initial-advertise-peer-urls", f"http://{peer}",
                     "--initial-cluster", initial, "--initial-cluster-state", state],
                    {"ETCD_UNSUPPORTED_ARCH": os.uname().machine})

    def roles(self):
        leader, follower = None, None
        for address in self.http:
            answer = fetch(f"http://{address}/v3/maintenance/status", b"{}", "POST")
            if answer is None:
                return None
            status = json.loads(answer)
            if status.get("leader") == status["header"]["member_id"]:
                leader = address
            else:
                follower = address
        return (leader, follower) if leader and follower else None

    def await_leader(self):
        return eventually(self.roles, "etcd: a leader")

    def join(self):
        """Adds and starts a fourth node; returns when it answers a linearizable read."""
        http, peer = (f"127.0.0.1:{port}" for port in free_ports(2))
        body = json.dumps({"peerURLs": [f"http://{peer}"]}).encode()
        if fetch(f"http://{self.http[0]}/v3/cluster/member/add", body, "POST") is None:
            raise RuntimeError("etcd: no fourth member")
        self._launch(3, http, peer, f"{self.initial},e3=http://{peer}", "existing")
        body = json.dumps({"key": base64_of("k")}).encode()
        eventually(lambda: fetch(f"http://{http}/v3/kv/range", body, "POST"), "etcd: the fourth node serves")

    # Requests, as bytes. 200 is success.

    def write_request(self, key, value):
        return request("POST", "/v3/kv/put", json.dumps(put_of(key, value)).encode())

    def read_request(self, key):
        return request("POST", "/v3/kv/range", json.dumps({"key": base64_of(key)}).encode())

    def batch_request(self, pairs):
        return request("POST", "/v3/kv/txn",
                       json.dumps({"success": [{"requestPut": put_of(*pair)} for pair in pairs]}).encode())

    def value_in(self, answer):
        """Of a good answer to read_request; None where there is no such key."""
        found = json.loads(answer).get("kvs")
        return base64.b64decode(found[0]["value"]).decode() if found else None


def base64_of(text):
    return base64.b64encode(text.encode()).decode()


def put_of(key, value):
    return {"key": base64_of(key), "value": base64_of(value)}
