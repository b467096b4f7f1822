"""What the torture kinds share: a real mosquitto, an independent subscriber, the real agent, and a
publisher that notes each receipt. Every process started here ends with the one that started it.
"""

import json
import os
import pathlib
import select
import socket
import subprocess
import time

from tool.place import Trouble
from tool.programs import Programs, end, free_port, run, start, wait_for
from torture_audit import payload_of

PREFIX = "torture"
LANES = ("urgent", "normal", "bulk")
WINDOW = 20             # max_in_flight of the agents
ACK_FLUSH = 0.1         # seconds


class Broker:
    """A real mosquitto on loopback, and mosquitto_sub, which writes down all that arrives."""

    def __init__(self, folder):
        self.folder = folder
        self.port = free_port()
        self.record = folder / "record"
        self.process = self.subscriber = None
        self.marks = 0

    def start(self):
        config = self.folder / "mosquitto.conf"
        user = subprocess.check_output(["id", "-un"], text=True).strip()
        config.write_text(f"user {user}\nlistener {self.port} 127.0.0.1\nallow_anonymous true\n"
                          "persistence false\nmax_inflight_messages 0\nmax_queued_messages 0\n"
                          "set_tcp_nodelay true\nlog_dest stderr\nlog_type error\n"
                          "log_type warning\n")
        with open(self.folder / "broker.log", "ab") as log:
            self.process = start([Programs.system("mosquitto"), "-c", config], stdout=log,
                                 stderr=log)
        wait_for(self._listens, 20, "mosquitto listens")
        with open(self.record, "ab") as record, open(self.folder / "subscriber.log", "ab") as log:
            self.subscriber = start(
                [Programs.system("mosquitto_sub"), "-h", "127.0.0.1", "-p", self.port, "-i",
                 "auditor", "-V", "mqttv311", "-c", "-q", "1", "-t", f"{PREFIX}/#", "-t",
                 "audit/#", "-F", "%U %t %p"], stdout=record, stderr=log)
        self.caught_up()

    def _listens(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def caught_up(self, seconds=120):
        """Returns when a mark, sent through the broker after everything else, was recorded."""
        self.marks += 1
        mark = f"{os.getpid()}-{self.marks}"
        deadline = time.monotonic() + seconds
        sent = 0.0
        while time.monotonic() < deadline:
            if self.process.poll() is not None or self.subscriber.poll() is not None:
                raise Trouble(f"the broker or its subscriber has ended; see {self.folder}")
            # Once a second: a mark sent before the very first subscription goes nowhere.
            if time.monotonic() >= sent + 1:
                run(Programs.system("mosquitto_pub"), "-h", "127.0.0.1", "-p", str(self.port),
                    "-i", f"marker-{os.getpid()}", "-q", "1", "-t", "audit/mark", "-m", mark)
                sent = time.monotonic()
            with open(self.record, "rb") as record:
                record.seek(max(0, self.record.stat().st_size - 65536))
                if f"audit/mark {mark}\n".encode() in record.read():
                    return
            time.sleep(0.02)
        raise Trouble(f"the subscriber did not get a mark within {seconds} s")

    def close(self):
        end(self.subscriber)
        end(self.process)


class Agent:
    """holdfastd in a directory of its own, started and killed as often as one likes."""

    def __init__(self, folder, name, binary, port):
        self.folder, self.name, self.binary = folder, name, binary
        folder.mkdir(parents=True, exist_ok=True)
        self.socket = folder / "api.sock"
        self.config = folder / "device.toml"
        self.log = folder / "agent.log"
        self.port = port
        self.process = None
        self.preload = {}
        self.command = []       # put before the agent's own command: strace and its like
        self.set_outbox(folder / "outbox", "4MiB")

    def set_outbox(self, directory, max_size):
        lanes = ", ".join(f'"{lane}"' for lane in LANES)
        self.config.write_text(f"""\
profile = "generic"
[connection]
host = "127.0.0.1"
port = {self.port}
client_id = "{self.name}"
[tls]
enabled = false
[timing]
backoff_first = "100ms"
backoff_cap = "500ms"
stable_after = "1s"
[flow]
max_in_flight = {WINDOW}
lanes = [{lanes}]
[limits]
receipts = 0
[outbox]
directory = "{directory}"
max_size = "{max_size}"
ack_flush = "{int(ACK_FLUSH * 1000)}ms"
[local]
socket = "{self.socket}"
[safe_mode]
crashes = 0
[log]
level = "warning"
""")

    def start(self, offline=False):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("HOLDFAST_")}
        environment.update(self.preload)
        if offline:     # nobody listens at port 1: the backlog grows
            environment["HOLDFAST_CONNECTION_PORT"] = "1"
        with open(self.log, "ab") as log:
            self.process = start([*self.command, self.binary, "--config", self.config],
                                 stdout=log, stderr=log, env=environment)

    def kill(self):
        """SIGKILL. The wall clock just after the process has gone, and its exit status."""
        self.process.kill()
        status = self.process.wait()
        return time.time(), status

    def stop(self):
        """SIGTERM; the exit status and the seconds it took."""
        before = time.monotonic()
        self.process.terminate()
        try:
            return self.process.wait(60), time.monotonic() - before
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return None, time.monotonic() - before

    def last_words(self):
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "(nothing logged)"

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Publisher:
    """Publishes through the local socket and enters each answer in the book. Never blocks long."""

    def __init__(self, book, path, topic, random):
        self.book, self.path, self.topic, self.random = book, str(path), topic, random
        self.connection = None
        self.unread = b""
        self.unsent = b""
        self.seq = 0
        self.requests = 0
        self.states = []        # answers to status, oldest first

    def connect(self):
        """True once the agent's socket takes us."""
        if self.connection is None:
            one = socket.socket(socket.AF_UNIX)
            try:
                one.connect(self.path)
            except OSError:
                one.close()
                return False
            one.setblocking(False)
            self.connection, self.unread, self.unsent = one, b"", b""
        return True

    def ask_status(self):
        self.unsent += b'{"op":"status"}\n'

    def publish(self):
        self.seq += 1
        self.requests += 1
        lane = self.random.choice(LANES)
        self.book.lanes[self.seq] = lane
        self.book.waiting[self.requests] = self.seq
        line = {"op": "publish", "id": self.requests, "topic": f"{self.topic}/{lane}",
                "lane": lane, "payload": payload_of(self.seq)}
        self.unsent += json.dumps(line).encode() + b"\n"

    def move(self, seconds):
        """Sends and receives what is ready within `seconds`; False when the agent has gone."""
        if self.connection is None:
            return False
        writers = [self.connection] if self.unsent else []
        readable, writable, _ = select.select([self.connection], writers, [], max(0, seconds))
        try:
            if writable:
                self.unsent = self.unsent[self.connection.send(self.unsent):]
            if readable:
                got = self.connection.recv(1 << 16)
                if not got:
                    return self._gone()
                self._take(got)
        except BlockingIOError:
            pass
        except OSError:
            return self._gone()
        return True

    def work(self, until, most, pause):
        """Publishes until then with at most `most` receipts owed; False when the agent has gone."""
        following = 0.0
        while (now := time.monotonic()) < until:
            if len(self.book.waiting) < most and not self.unsent and now >= following:
                self.publish()
                following = now + pause
            busy = self.unsent or len(self.book.waiting) >= most
            wait = until - now if busy else min(until, following) - now
            if not self.move(wait):
                return False
        return True

    def drain(self):
        """The agent was killed: what it had answered before is still in the socket, and counts."""
        while self.connection is not None and self.move(5):
            pass
        self.book.cut()

    def _gone(self):
        # A write that fails says nothing about answers that came before: read to the end.
        if self.connection is not None:
            self.connection.setblocking(True)
            self.connection.settimeout(5)
            try:
                while got := self.connection.recv(1 << 16):
                    self._take(got)
            except OSError:
                pass
            self.connection.close()
            self.connection = None
        return False

    def _take(self, got):
        *lines, self.unread = (self.unread + got).split(b"\n")
        for line in lines:
            answer = json.loads(line)
            if "status" in answer:
                self.states.append(answer["status"])
            else:
                self.book.answer(answer)

    def status(self, seconds=30):
        """A fresh status, or None."""
        end = time.monotonic() + seconds
        seen = len(self.states)
        while not self.connect():
            if time.monotonic() > end:
                return None
            time.sleep(0.01)
        self.ask_status()
        while len(self.states) == seen and time.monotonic() < end:
            if not self.move(end - time.monotonic()):
                return None
        return self.states[-1] if len(self.states) > seen else None


def drained(publisher, seconds=120):
    """Waits until nothing is pending; the last status, or None if the agent does not answer."""
    end = time.monotonic() + seconds
    state = None
    while time.monotonic() < end:
        state = publisher.status() or state
        if state and state["ledger"]["pending"] == 0 and state["in_flight"] == 0:
            break
        time.sleep(0.05)
    return state


def commit_of(root):
    """The commit that is tested; "+" when the tree differs from it."""
    def git(*words):
        done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=60)
        return done.stdout.strip() if done.returncode == 0 else ""
    commit = git("rev-parse", "--short", "HEAD")
    changed = git("status", "--porcelain", "--untracked-files=no", "--", "src", "agent", "include",
                  "lab", "sim", "cmake", "CMakeLists.txt")
    return (commit or "unknown") + ("+" if changed else "")


def record_total(entry, file):
    """Appends one entry to the ledger, one line an entry."""
    path = pathlib.Path(file)
    entries = json.loads(path.read_text()) if path.exists() else []
    entries.append(entry)
    new = path.with_suffix(".new")
    new.write_text("[\n" + ",\n".join("  " + json.dumps(one) for one in entries) + "\n]\n")
    os.replace(new, path)
