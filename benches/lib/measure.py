"""Starts the servers, drives them, and reads what it cost them."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

SERVER_CORE, LOAD_CORE = [str(core) for core in sorted(os.sched_getaffinity(0))[:2]]
CONNECTIONS = 64
PATH = "/courier/token"

# framework, row, what it is
HOT = [
    ("axum", "bare", "bare handler, a constant"),
    ("axum", "bare-user", "bare handler that takes the user"),
    ("axum", "bare-nested", "bare handler that takes the user, nested router"),
    ("axum", "moka", "by hand: tokens in moka"),
    ("axum", "bodies", "by hand: finished bodies in quick_cache"),
    ("axum", "ours", "**`.layer(courier)`**"),
    ("axum", "around", "**`courier.layer(app)`**, around the router"),
    ("axum", "nest", "**`.nest(\"/courier\", courier.routes())`**"),
    ("axum", "route", "**`.route(\"/courier/token\", courier.route())`**"),
    ("actix", "bare", "bare handler, a constant"),
    ("actix", "bare-user", "bare handler that takes the user"),
    ("actix", "moka", "by hand: tokens in moka"),
    ("actix", "bodies", "by hand: finished bodies in quick_cache"),
    ("actix", "ours", "**`.configure(courier.routes())`**"),
]
COLD = [
    ("axum", "uncached", "by hand: a `reqwest` call per request"),
    ("axum", "bodies", "by hand: the same, and the finished body kept in quick_cache, growing"),
    ("axum", "full", "**`.layer(courier)`**, its cache full"),
    ("axum", "ours", "**`.layer(courier)`**, its cache growing"),
    ("actix", "uncached", "by hand: a `reqwest` call per request"),
    ("actix", "bodies", "by hand: the same, and the finished body kept in quick_cache, growing"),
    ("actix", "full", "**`.configure(courier.routes())`**, its cache full"),
    ("actix", "ours", "**`.configure(courier.routes())`**, its cache growing"),
]
# Where a server has its memory from instead of glibc's allocator as it comes: from another one, or from this one when it
# asks the kernel for huge pages.
MIMALLOC = "mimalloc"
HUGE_PAGES = "glibc.malloc.hugetlb=1"
# Of them, how many users come.
HERDS = [
    ("bare", "bare handler, a constant", 1),
    ("waiting", "bare handler that waits as long as Courier takes", 1),
    ("moka", "by hand: tokens in moka", 1),
    ("ours", "**ours**", 1),
    ("moka", "by hand: tokens in moka", 200),
    ("ours", "**ours**", 200),
]
HELD = [
    ("ours", "`TokenProvider`"),
    ("ours-uuid", "`TokenProvider`, ids of 36 characters"),
    ("bodies", "finished bodies in quick_cache"),
    ("moka", "tokens in moka"),
]


def build(package):
    """Builds the servers with the workspace's versions of what both use: with glibc's allocator, and with mimalloc."""
    shutil.copy(package.parent / "Cargo.lock", package / "Cargo.lock")
    glibc = package / "target" / "glibc-benches"
    shutil.copy(cargo_build(package), glibc)
    return glibc, cargo_build(package, "--features", "mimalloc")


def cargo_build(package, *features):
    command = ["cargo", "build", "--release", "--message-format=json-render-diagnostics", *features]
    built = subprocess.run(command, cwd=package, stdout=subprocess.PIPE, text=True)
    if built.returncode != 0:
        sys.exit(built.returncode)
    messages = [json.loads(line) for line in built.stdout.splitlines()]
    return next(message["executable"] for message in messages if message.get("executable"))


@dataclass
class Row:
    """What the runs of one row gave, one entry each."""

    framework: str
    name: str
    title: str
    memory: str = ""  # where from
    cpu: list = field(default_factory=list)  # us per request
    rate: list = field(default_factory=list)  # requests per second
    p99: list = field(default_factory=list)  # ms
    busy: list = field(default_factory=list)  # share of its core that the server used

    def ratio(self, to):
        """To another row, run by run: what disturbs a round disturbs both."""
        return median(mine / its for mine, its in zip(self.cpu, to.cpu))


@dataclass
class Herd:
    """Many first requests at one moment, and what the runs gave."""

    framework: str
    name: str
    title: str
    size: int  # requests
    users: int
    calls: set = field(default_factory=set)  # to Courier
    p99: list = field(default_factory=list)  # ms
    last: list = field(default_factory=list)  # ms


class Bench:
    def __init__(self, binary, mimalloc, script, args):
        self.binary, self.mimalloc, self.script, self.args = binary, mimalloc, script, args
        # Of users that no server has seen.
        self.next_user = args.users

    def load(self, stack, parts):
        """The hot and the cold rows, all servers beside each other, one row after the other."""
        upstream = stack.enter_context(self.upstream(0))
        hot = [Row(*row) for row in HOT if "hot" in parts]
        cold = [Row(*row, memory) for memory in ["", MIMALLOC] for row in COLD if "cold" in parts]
        servers = {}
        for row in hot + cold:
            log(f"start {row.framework} {row.name} {row.memory}")
            # A cold one that grows has room for all users that come.
            users = self.args.users if row in hot or row.name == "full" else 0
            server = self.serve(row.framework, row.name, upstream.url, users, row.memory)
            servers[id(row)] = stack.enter_context(server)
        for number in range(self.args.rounds):
            log(f"round {number + 1} of {self.args.rounds}")
            for row in turned(hot, number):
                self.wrk(servers[id(row)], row, self.args.users)
            for row in turned(cold, number):
                self.wrk(servers[id(row)], row, self.args.users, self.next_user)
                self.next_user += 1_000_000 // (len(cold) * self.args.rounds)
        return {"hot": hot, "cold": cold}

    def wrk(self, server, row, *users):
        command = ["taskset", "-c", LOAD_CORE, "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{self.args.seconds}s"]
        command += ["--latency", "--timeout", "10s", "-s", str(self.script), server.url + PATH]
        command += ["--", *map(str, users)]
        before, begin = server.cpu(), time.monotonic()
        run = subprocess.run(command, capture_output=True, text=True, timeout=self.args.seconds + 60)
        took, cpu = time.monotonic() - begin, server.cpu() - before
        text = run.stdout
        failed = ["Non-2xx", "Socket errors", " 0 requests in"]
        if run.returncode != 0 or any(sign in text for sign in failed):
            sys.exit(f"{row.framework} {row.name}: {text}{run.stderr}")
        requests = int(re.search(r"(\d+) requests in", text)[1])
        row.cpu.append(cpu * 1e6 / requests)
        row.rate.append(float(re.search(r"Requests/sec: +([\d.]+)", text)[1]))
        row.p99.append(milliseconds(re.search(r"99% +(\S+)", text)[1]))
        row.busy.append(cpu / took)

    def instructions(self, stack):
        """Instructions per request outside the kernel, which repeat where times do not."""
        upstream = stack.enter_context(self.upstream(0))
        counts = {}
        for framework, row, _ in HOT:
            log(f"count {framework} {row}")
            few, many = [self.callgrind(framework, row, upstream.url, n) for n in (100, 1100)]
            counts[framework, row] = (many - few) / 1000
        return counts

    def callgrind(self, framework, row, upstream, requests):
        # Not from the start: how long it takes to gather entropy for TLS is a matter of chance.
        valgrind = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", "--instr-atstart=no"]
        with self.serve(framework, row, upstream, 50, under=valgrind) as server:
            ask(server.url, 50, 50)
            subprocess.run(["callgrind_control", "-i", "on", str(server.child.pid)], check=True, capture_output=True)
            ask(server.url, requests, 50)
            said = server.stop()
        return int(re.search(r"Collected : (\d+)", said)[1])

    def herds(self, stack, size):
        """Many first requests at one moment."""
        upstream = stack.enter_context(self.upstream(HERD_LATENCY_MS))
        herds = []
        for framework in ["axum", "actix"]:
            rows = [Herd(framework, row, title, size, users) for row, title, users in HERDS]
            for number in range(self.args.rounds):
                log(f"herd {framework}, round {number + 1} of {self.args.rounds}")
                for herd in rows:
                    with self.serve(framework, herd.name, upstream.url, 0) as server:
                        before = upstream.asked()
                        p99, last = self.herd(server, size, herd.users)
                    herd.calls.add(upstream.asked() - before)
                    herd.p99.append(p99)
                    herd.last.append(last)
            herds += rows
        return herds

    def herd(self, server, size, users):
        command = ["taskset", "-c", LOAD_CORE, self.binary, "herd", server.url, str(size), str(users)]
        run = subprocess.run(command, capture_output=True, text=True, timeout=90)
        if run.returncode != 0:
            sys.exit(f"herd: {run.stderr}")
        return [int(us) / 1000 for us in run.stdout.split()]

    def many_users(self, stack):
        """The same routes with few users and with many, side by side: pairs of (users, row)."""
        upstream = stack.enter_context(self.upstream(0))
        rows = []
        for name, memory in [("bodies", ""), ("ours", ""), ("bodies", HUGE_PAGES), ("ours", HUGE_PAGES)]:
            title = next(title for framework, row, title in HOT if (framework, row) == ("axum", name))
            for users in [1_000, 1_000_000]:
                log(f"start axum {name}, {users} users {memory}")
                server = stack.enter_context(self.serve("axum", name, upstream.url, users, memory))
                rows.append((server, users, Row("axum", name, title, memory)))
        for number in range(self.args.rounds):
            log(f"round {number + 1} of {self.args.rounds}")
            for server, users, row in rows:
                self.wrk(server, row, users)
        measured = [(users, row) for _, users, row in rows]
        return list(zip(measured[::2], measured[1::2]))

    def memory(self):
        """What is held of how many users, and what a look at one of them takes."""
        held = []
        for users in [10_000, 100_000, 1_000_000]:
            for row, title in HELD:
                log(f"hold {users} {row}")
                with self.upstream(0) as upstream:
                    # Shards fill unevenly: with a tenth more room, nobody replaces anybody.
                    held.append((users, title, self.hold(row, upstream, users + users // 10, users)))
        return held

    def churn(self):
        """Whether memory stays what it is when users come and go."""
        log(f"churn of {self.args.churn} users")
        with self.upstream(0) as upstream:
            return self.hold("ours", upstream, CHURN_ROOM, self.args.churn)[0]

    def hold(self, row, upstream, room, users):
        """(users asked for, bytes, users held) as they grow, and nanoseconds per look."""
        command = ["taskset", "-c", SERVER_CORE, self.binary, "hold", row, upstream.url, str(room), str(users)]
        run = subprocess.run(command, capture_output=True, text=True, timeout=1800)
        if run.returncode != 0:
            sys.exit(f"hold {row}: {run.stderr}")
        lines = [[float(number) for number in line.split()] for line in run.stdout.splitlines()]
        steps, look = lines[:11], lines[11:]
        return steps, look and look[0][0]

    def upstream(self, latency_ms):
        return process(["taskset", "-c", LOAD_CORE, self.binary, "upstream", str(latency_ms)])

    def serve(self, framework, row, upstream, users, memory="", under=()):
        binary = self.mimalloc if memory == MIMALLOC else self.binary
        if memory == HUGE_PAGES:
            under = ["env", f"GLIBC_TUNABLES={memory}"]
        command = ["taskset", "-c", SERVER_CORE, *under, binary]
        return process([*command, "serve", framework, row, upstream, str(users)])


class Process:
    """A server of ours that prints its address when it is ready and ends when its stdin does."""

    def __init__(self, command):
        pipe = subprocess.PIPE
        self.child = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        self.url = self.child.stdout.readline().strip()
        if not self.url:
            sys.exit(f"{command}: {self.stop()}")

    def cpu(self):
        """Seconds, in user space and in the kernel, of all threads that there are."""
        tasks = Path(f"/proc/{self.child.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9

    def asked(self):
        self.child.stdin.write("\n")
        self.child.stdin.flush()
        return int(self.child.stdout.readline())

    def stop(self):
        """Ends it, and returns what it said on stderr."""
        try:
            return self.child.communicate(timeout=20)[1]
        except subprocess.TimeoutExpired:
            self.child.kill()
            return self.child.communicate()[1]


@contextmanager
def process(command):
    started = Process(command)
    try:
        yield started
    finally:
        if started.child.poll() is None:
            started.stop()


def turned(rows, number):
    """Another one first in each round: what comes before a row, or at which time, is no row's own."""
    at = number * 5 % len(rows) if rows else 0
    return rows[at:] + rows[:at]


def ask(url, requests, users):
    """One request after the other on one connection, the same ones each time."""
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        answers = connection.makefile("rb")
        for n in range(requests):
            head = f"GET {PATH} HTTP/1.1\r\nhost: localhost\r\nx-user: user-{n % users:07}\r\n\r\n"
            connection.sendall(head.encode())
            status, length = answers.readline(), 0
            if b" 200 " not in status:
                sys.exit(f"{url}: {status}")
            while (line := answers.readline()) != b"\r\n":
                name, _, value = line.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
            answers.read(length)


def milliseconds(text):
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s)", text).groups()
    return float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit]


def log(text):
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


# About what an API across the internet takes at best.
HERD_LATENCY_MS = 20
# Calls to Courier that the crate makes at once.
AT_ONCE = 16
CHURN_ROOM = 100_000
